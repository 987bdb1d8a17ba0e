/* What is kept of one tap while it is heard: sums, and where it first leaves the reference. */
#ifndef TESS_VERIFY_COMPARE_TAP_STATE_H
#define TESS_VERIFY_COMPARE_TAP_STATE_H

#include "store/safetensors.h"
#include "verify/compare/code_sums.h"
#include "verify/compare/expert_sums.h"
#include "verify/compare/logits_sums.h"
#include "verify/compare/metrics.h"
#include "verify/compare/rules.h"
#include "verify/compare/sound_sums.h"
#include "verify/trace/tap_name.h"

/* Sums of a row so far, of a tap that is heard in columns. */
typedef struct tess_column_sums {
    tess_sums row, truth_row, reference_truth_row;
} tess_column_sums;

/* The end of speech in place of a code. */
#define TESS_NO_CODE (-1)

typedef struct tess_code_difference {
    int64_t frame, codebook; /* frame -1: there is none */
    int64_t expected, found;
} tess_code_difference;

typedef struct tess_codes_heard {
    uint64_t n_frame;                         /* of the other side */
    tess_code_difference first, of_the_first; /* in the order of speaking: of all, of the first codebook */
    int64_t
        talker_frame; /* the first in which the talker chooses otherwise behind the reference's codes; -1 */
} tess_codes_heard;

typedef struct tess_tap_state {
    const tess_tensor *reference, *truth; /* truth NULL: there is none, or it is not needed */
    tess_tap_place place;
    tess_rule rule;
    bool is_integer, is_present, is_misshapen;
    char found_shape[80];
    size_t row_width;
    uint64_t n_heard;
    tess_sums total, row;                                 /* against the reference */
    tess_sums truth_total, truth_row;                     /* against the truth */
    tess_sums reference_truth_total, reference_truth_row; /* the reference against the truth */
    tess_column_sums *columns;                            /* [rows], NULL: no column was heard */
    uint64_t n_different;
    int64_t first_different, first_row; /* -1: none */
    int64_t n_row_failed, n_tie;
    double worst_steps; /* largest |a-b| of a row in bf16 steps of its largest element */
    tess_sums ranked;   /* of a single expert: against the reference's rows by rank */
    double ranked_steps;
    /* Of lists whose length is a result too (generated, in.input_ids, single experts, waveforms): what the
     * other side has. */
    bool length_is_compared;
    uint64_t other_length; /* elements */
    /* [rows], NULL before a row is heard. Of outputs of expert layers: error ÷ bar. Of a tower's: the error
     * that a report draws, NaN beside values that are not finite. */
    float *row_error;
    unsigned char *row_failed;  /* [rows], for taps that can name experts or places of a medium; NULL until a
                                   row fails */
    int64_t n_argmax;           /* rows with another arg max */
    tess_logits_sums *logits;   /* of taps of logits, once heard */
    const tess_tensor *choices; /* of an expert layer's output: the reference's indices; or NULL */
    tess_expert_sums experts;   /* of the same */
    tess_codes_heard codes;     /* of taps of codes */
    tess_code_sums *code_sums;  /* of the same, once heard */
    tess_sound_sums *sound;     /* of waveforms, once heard */
    double most_off;            /* of code2wav's stages: how far an element may be off without being noted */
    int64_t off[2];             /* the first columns in which one is further off, and far further; -1: none.
                                   Of mel frames the first frame in which one is beyond its bar */
    float *loudest; /* of mel frames, once heard: [row_width] each frame's loudest band; see mel_bars.h */
} tess_tap_state;

static inline bool tess_tap_state_is_tower(const tess_tap_state *s)
{
    return (s->place.part == TESS_PART_AUDIO || s->place.part == TESS_PART_VISION) && !s->is_integer;
}

/* Samples of a waveform, which is drawn and may be of another length. */
static inline bool tess_tap_state_is_waveform(const tess_tap_state *s)
{
    return s->place.class == TESS_CLASS_WAVEFORM && !s->is_integer && s->reference->n_dim == 1;
}

/* Elements that the other side has of a tap that is wanted. */
static inline uint64_t tess_tap_state_count(const tess_tap_state *s)
{
    bool is_codes = s->place.class == TESS_CLASS_CODES;
    return is_codes ? s->reference->dim[0] * s->codes.n_frame : tess_tensor_count(s->reference);
}

/* What code2wav makes on the way to a waveform. */
static inline bool tess_tap_state_is_stage(const tess_tap_state *s)
{
    return s->place.part == TESS_PART_CODE2WAV && !s->is_integer && !tess_tap_state_is_waveform(s);
}

static inline int64_t tess_tap_state_count_rows(const tess_tap_state *s)
{
    return s->row_width ? (int64_t)(tess_tensor_count(s->reference) / s->row_width) : 0;
}

#endif
