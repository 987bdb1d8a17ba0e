/* Comparing a trace with a reference, tap by tap: is it the same, and if not, where does it begin to differ?
 *
 *     tess_compare_options options = {0};
 *     tess_compare_result *result;
 *     tess_compare_files("golden.safetensors", "ours.safetensors", &options, &result, &err);
 *     if (result->verdict == TESS_VERDICT_DIFFERENT) puts(result->tap[result->first].name);
 *     tess_compare_result_free(result);
 *
 * Errors are divided by the reference's norm. The bars are those of docs/NUMERICS.md, chosen by the
 * reference's dtype. A float32 reference is judged tap by tap. For a bfloat16 reference the distances of both
 * sides to a float32 truth are compared, because rounding lets routers flip and errors grow chaotically.
 */
#ifndef TESSERA_COMPARE_H
#define TESSERA_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/engine.h"
#include "tessera/features.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_compare_options {
    const char *truth; /* a float32 trace of the same inputs, needed to judge a bfloat16 reference; or NULL */
    bool ignore_identity; /* compare although configuration or weights are declared to be others */
    bool metrics_only;    /* measure and judge nothing */
} tess_compare_options;

typedef enum tess_verdict {
    TESS_VERDICT_NONE,      /* metrics only */
    TESS_VERDICT_EQUAL,     /* every tap of the reference is there, bit for bit */
    TESS_VERDICT_AGREE,     /* every one is within its bar */
    TESS_VERDICT_DIFFERENT, /* at least one is not */
} tess_verdict;
const char *tess_verdict_name(tess_verdict verdict); /* "equal", "agree", "different", "none" */

/* By what a tap was judged. */
typedef enum tess_measure {
    TESS_MEASURE_NONE,    /* not judged */
    TESS_MEASURE_REL_L2,  /* ‖a-b‖ / ‖b‖ */
    TESS_MEASURE_MAX_ABS, /* largest |a-b|; router weights, matched by expert id */
    TESS_MEASURE_RATIO, /* our distance to the truth ÷ the reference's; the inverse where that is too large */
    TESS_MEASURE_EXACT,      /* bit equality; chosen experts: the same set in every row, ties aside */
    TESS_MEASURE_STEPS,      /* of the worst row, in bfloat16 steps: its worst element or its relative L2 */
    TESS_MEASURE_BY_ELEMENT, /* mel frames: largest |a-b| ÷ the bar of its own element */
} tess_measure;
const char *tess_measure_name(tess_measure measure); /* "rel_l2", … */

typedef enum tess_outcome {
    TESS_OUTCOME_EQUAL,      /* bit for bit */
    TESS_OUTCOME_AGREES,     /* within the bar */
    TESS_OUTCOME_NOT_JUDGED, /* measured; there is no bar for it here */
    TESS_OUTCOME_DIFFERENT,  /* beyond the bar; see tess_tap_report.why */
    TESS_OUTCOME_MISSING,    /* not in the trace */
    TESS_OUTCOME_SHAPE,      /* of another shape or element type */
    TESS_OUTCOME_NONFINITE,  /* a NaN or infinity on either side */
} tess_outcome;
const char *tess_outcome_name(tess_outcome outcome); /* "equal", "agrees", "not judged", … */

typedef struct tess_tap_report {
    const char *name;      /* with its "tap." or "in." */
    const char *component; /* "mlp.gate", … */
    int layer, expert;     /* -1 where they do not apply; expert: the only one that explains the failure */
    const int *experts;    /* all that explain it, n_experts of them */
    int n_experts;
    int64_t position; /* of the prompt, the first that fails; -1 */
    int64_t row;      /* of the first axis, the first that fails; -1. Of an audio tower's chunks: a step in
                         time, one chunk after the other */
    int64_t frame, codebook; /* of speech, the first that fails; -1 where they do not apply */
    int64_t column;          /* of code2wav's stages, of a waveform its sample: the first that is clearly off
                                (docs/VERIFICATION.md); -1 */
    char where[112];         /* of a tower's tap: the place of that row in a medium, in words; of code2wav's
                                the moment; of the talker's prompt in a run what the row stands for; or "" */
    int n_dim;
    int64_t dim[8]; /* the reference's shape */
    bool is_integer;

    bool is_measured; /* values of both sides were compared */
    tess_outcome outcome;
    tess_measure measure;
    double error, tolerance; /* by that measure; error infinite for missing, misshapen and non-finite taps */
    char why[288];           /* one phrase for a person, "" if there is nothing to say */

    int64_t n_element, n_different, first_different; /* elements; first_different -1 if there is none */
    int64_t n_nonfinite, n_nonfinite_reference;
    double max_abs, rel_l2, cosine;                  /* NaN for integers and where nothing was compared */
    int64_t n_tie;                                   /* rows in which the router's choice is a tie */
    double truth_distance, reference_truth_distance; /* relative L2 to the truth, ours and the reference's */
} tess_tap_report;

/* Whether its outcome is a failure: different, missing, misshapen or not finite. */
bool tess_tap_has_failed(const tess_tap_report *tap);

/* How the choices of one layer's router compare: n_tok = n_same + n_tie + n_other. */
typedef struct tess_layer_routing {
    const char *part; /* "thinker", "talker" */
    int layer, n_chosen;
    int64_t n_tok;
    int64_t n_same, n_tie, n_other; /* the same set of experts; the other of two tied ones; other experts */
} tess_layer_routing;

/* How far one expert's work lies from the reference's. */
typedef struct tess_expert_error {
    int64_t n_tok; /* tokens the reference routed to it; 0: it was not used, and there is no error */
    double rel_l2; /* infinite beside a reference of zeros; NaN: not used, or a value is not finite */
    double truth_distance, reference_truth_distance; /* to the truth, ours and the reference's; else NaN */
    bool is_own;   /* of this expert's own output; else of the layer's output for the tokens routed to it */
    bool is_fault; /* its own output failed, or it is among those that explain the layer's failure */
} tess_expert_error;

typedef struct tess_layer_experts {
    const char *part; /* "thinker", "talker" */
    int layer, n_expert;
    double tolerance;          /* of the layer's output, NaN if it is not judged by a relative error */
    tess_expert_error *expert; /* [n_expert] */
} tess_layer_experts;

/* What both sides expect behind one position. Probabilities are the softmax of the logits; NaN beside logits
 * that are not finite. */
typedef struct tess_next_token {
    int64_t position;
    int64_t token;           /* what stands at the position; -1: the reference does not say */
    int64_t expected, found; /* likeliest next token by the reference, by the trace */
    float expected_reference, expected_trace; /* probability of `expected` on either side */
    float found_reference, found_trace;       /* and of `found` */
    int64_t rank; /* of `expected` in the trace, 1: the likeliest; of equals the lower id comes first */
} tess_next_token;

/* A medium of the reference's prompt, and how far one tap of its tower lies off at each of its tokens: the
 * first tap that failed, else the one nearest its bar. */
typedef struct tess_medium_report {
    tess_media_kind kind;
    int number;                 /* among those of its kind, from 1 */
    int n_step, n_high, n_wide; /* images, videos: the grid in tokens, which stand in this order */
    int merge;                  /* and the patches along an edge of a token */
    double seconds_per_step;    /* videos */
    int64_t n_frame;            /* clips: of 10 ms each */
    int n_chunk_frame;          /* clips: frames of a chunk of the audio tower, but for a clip's last */
    int64_t n_token;
    int tap;               /* whose errors, an index; -1: no tap of the tower was compared */
    tess_measure measure;  /* which errors: TESS_MEASURE_STEPS, _RATIO (distances to the truth) or _REL_L2 */
    double tolerance;      /* of them, NaN if there is none */
    float *error;          /* [n_token] the largest of a token's rows; NaN: a value is not finite; or NULL */
    unsigned char *failed; /* [n_token] not 0: a row is beyond the bar; or NULL */
} tess_medium_report;

/* The three things that are drawn of a waveform: both sides, and trace - reference. */
typedef enum tess_sound_side {
    TESS_SOUND_REFERENCE,
    TESS_SOUND_TRACE,
    TESS_SOUND_DIFFERENCE,
    TESS_SOUND_SIDES
} tess_sound_side;

/* The samples of one column of a drawn waveform. */
typedef struct tess_sound_column {
    float low[TESS_SOUND_SIDES], high[TESS_SOUND_SIDES]; /* low > high: there are none */
    int64_t n_odd; /* pairs with a sample that is not finite, which are left out */
} tess_sound_column;

/* A waveform of both sides as a page draws it and lets it be heard. Sample i of the reference lies in column
 * i · n_column / n_sample; what the trace has beyond the reference's end is counted only. */
typedef struct tess_sound_report {
    int tap; /* an index */
    int rate_hz;
    int64_t n_sample, n_sample_trace;
    int64_t n_frame;            /* that the reference's samples come from; 0: it does not say */
    int64_t first, first_frame; /* of a tap that failed: the first sample off by `bar`, or that one side does
                                   not have; and its frame; -1 */
    /* What the tap's bar allows the reference's loudest sample, rounded down to a power of two; of a tap that
     * failed without reaching it, what it allows the root mean square; NaN. */
    double bar;
    int n_column;
    tess_sound_column *column; /* [n_column] */
    int n_moment, n_line;
    float *power[TESS_SOUND_SIDES]; /* [n_line, n_moment] mean power, low tones first, 0 to rate_hz / 2 */
    /* The first seconds of either side in 16 bits, TESS_SOUND_KEPT_SECONDS at most; NULL: not kept, as those
     * of the windowed waveform are not, which begins as the other does. */
    int64_t n_kept[2];
    int16_t *kept[2];
} tess_sound_report;

enum { TESS_SOUND_COLUMNS = 512, TESS_SOUND_LINES = 67, TESS_SOUND_KEPT_SECONDS = 20 };

/* One codebook over some frames. */
typedef struct tess_code_cell {
    int64_t n_different;
    int64_t frame, expected, found; /* the first that differs: the reference's code, the trace's */
} tess_code_cell;

/* Codes of both sides: frame i of the reference lies in column i · n_column / n_frame. */
typedef struct tess_codes_report {
    int tap; /* an index */
    int n_codebook, n_column;
    int64_t n_frame, n_frame_trace;
    int64_t first_frame;  /* that differs, or that one side does not have; -1 */
    int first_codebook;   /* of those that differ in it; -1: one side has no such frame */
    tess_code_cell *cell; /* [n_codebook, n_column] */
} tess_codes_report;

enum { TESS_CODES_COLUMNS = 256, TESS_CODES_MOST_CODEBOOKS = 64 };

typedef enum tess_sameness { TESS_SAME_UNKNOWN, TESS_SAME_YES, TESS_SAME_NO } tess_sameness;

typedef struct tess_compare_result {
    char *reference, *trace, *truth; /* paths; truth NULL if none was given */
    bool is_run;                     /* the trace was a run of the model in that folder, and no file */
    tess_precision reference_precision, trace_precision;
    bool reference_precision_known, trace_precision_known;
    tess_sameness config, weights; /* declared by both sides */
    tess_verdict verdict;
    /* Of a verified bfloat16 golden: judged as a whole run and module by module; else, why not the latter is
     * in one_side, "" if that does not apply. */
    bool both_sides;
    char one_side[160];
    int n_tap, n_compared, n_failed, n_equal;
    tess_tap_report *tap; /* [n_tap] the reference's, in model order */
    int worst;            /* index of the largest error ÷ tolerance among measured float taps; -1 */
    int first;            /* index of the first that failed; -1 */
    int64_t n_tie;
    int n_expert_absent; /* single experts' outputs, which a golden may hold to locate a fault, not in the
                            trace */
    int n_extra;
    const char *const *extra; /* taps only the trace has */
    /* Of a bfloat16 reference with a truth: geometric mean of the n_ratio ratios, and its bounds. */
    int n_ratio;
    double ratio_mean, ratio_low, ratio_high;
    int n_routing;
    tess_layer_routing
        *routing; /* [n_routing] one per router whose choices both sides tell, in model order */
    int n_experts;
    tess_layer_experts *experts; /* [n_experts] one per layer with experts, in model order */
    /* The text's logits: the number of positions, those where the likeliest token differs, and what both
     * sides expect behind positions, ascending: all of them, or of many the worst and the last. Worst are
     * those whose likeliest token differs, and then those whose probability of it differs most. */
    int64_t n_position, n_position_other;
    int n_token, n_token_worst; /* listed; of those the worst, 0 if all positions are listed */
    tess_next_token *token;     /* [n_token] */
    int n_medium;
    tess_medium_report *medium; /* [n_medium] clips, images, videos, as the reference's in.* hold them */
    char no_media[160]; /* why some or all of them, or their places, are not known; "" if none are left out */
    int n_codes, n_sound;
    tess_codes_report *codes; /* [n_codes] codes that both sides have */
    tess_sound_report *sound; /* [n_sound] waveforms that both sides have */
} tess_compare_result;

/* Positions that are listed at most; of more, one half are the worst and one half the last. */
enum { TESS_COMPARE_MAX_TOKENS = 64 };

/* Compares two traces. Memory stays small whatever their size: some numbers per tap, row and expert.
 * Errors: TESS_EINPUT  a file is unreadable or no trace; other configuration or weights; other dtypes; a
 * truth that is none for this reference, or not finite; no tap in common that has elements; TESS_EUSAGE  the
 * reference is bfloat16, not bit-equal, and there is no truth to judge by; TESS_EIO, TESS_ENOMEM. */
tess_status tess_compare_files(const char *reference, const char *trace, const tess_compare_options *options,
                               tess_compare_result **out, tess_error *err);
void tess_compare_result_free(tess_compare_result *result); /* NULL is fine */

/* Something a page says of itself or of one of its results, in the order given. */
typedef struct tess_page_fact {
    const char *name, *value; /* UTF-8; escaped by the page */
    int result;               /* whose: 0 .. n-1; -1: the page's */
} tess_page_fact;

/* How a page is written; zeroed is fine, and then the same results give the same bytes. */
typedef struct tess_page_options {
    const char *title; /* what was compared, in front of the verdict; NULL: "Trace and reference" */
    /* The bytes of a token, like tess_tokenizer_get_bytes; they may be cut characters. NULL, or NULL for an
     * id: ids are shown without text. Valid until the next call. */
    const char *(*get_bytes)(void *context, int64_t id, size_t *n_bytes);
    void *context;
    /* [n_fact] when, on what machine, from which files: what no result knows. */
    const tess_page_fact *fact;
    int n_fact;
} tess_page_options;

/* Writes n results, at least one, as one self-contained HTML page, under a temporary name and renamed.
 * options NULL: as zeroed. Errors: TESS_EIO, TESS_ENOMEM. */
tess_status tess_compare_write_html(tess_compare_result *const *results, int n,
                                    const tess_page_options *options, const char *path, tess_error *err);

/* Whether a page could be written to `path`: asked before a long run, it saves the run. Leaves nothing
 * behind. */
tess_status tess_compare_probe_html(const char *path, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
