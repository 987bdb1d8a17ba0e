/* A comparison in progress: one reference file, and the values of the other side as they come.
 *
 *     tess_comparison_new(reference, options, &c, err);
 *     tess_comparison_meet(c, &other, err);                     identity of the other side
 *     if (tess_comparison_wants(c, name, dtype, n_dim, dim))    for every tap the other side has
 *         tess_comparison_hear(c, name, first, values, count, err);   pieces, ascending
 *     tess_comparison_finish(c, &result, err);                  judges; then
 *     tess_comparison_free(c);
 *
 * The other side may be a file or a run that is listened to: taps may interleave, each in ascending pieces. A
 * router's indices must be heard before its weights for the same rows. The reference and the truth are read
 * along in pieces; what is kept per tap are sums.
 */
#ifndef TESS_VERIFY_COMPARISON_H
#define TESS_VERIFY_COMPARISON_H

#include "tessera/compare.h"
#include "verify/metrics.h"
#include "verify/tap_name.h"
#include "verify/trace_reader.h"

/* How a tap is judged, known before it is heard. */
typedef struct tess_rule {
    tess_measure measure;
    double tolerance;
} tess_rule;

/* The bars of a full run: by the reference's precision, whether there is a truth, and what the tap is. */
tess_rule tess_rule_of(const tess_tap_place *place, bool is_integer, tess_precision reference,
                       bool has_truth);
/* The float32 bars of a module that was fed the reference's own input. */
tess_rule tess_rule_isolated(const tess_tap_place *place, bool is_integer);

/* Bounds of the mean ratio and of every ratio in bfloat16. */
#define TESS_RATIO_LOW 0.87
#define TESS_RATIO_HIGH 1.15
#define TESS_RATIO_MOST 2.5

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
    uint64_t n_different;
    int64_t first_different, first_row; /* -1: none */
    int64_t n_row_failed, n_tie;
    bool is_other_length; /* generated: the other side has other_length elements */
    uint64_t other_length;
    unsigned char *row_failed;    /* [rows], for taps that can name experts; NULL until a row fails */
    int64_t n_argmax;             /* rows with another arg max */
    int64_t best, best_reference; /* arg max of the row so far, -1 */
    float best_value, best_reference_value;
    int64_t frame, frame_row; /* codes: the first frame that differs, and its codebook; -1 */
} tess_tap_state;

/* Experts whose logits are looked at for ties at most; far above any configuration. */
enum { TESS_COMPARE_MAX_EXPERT = 65536 };

typedef struct tess_comparison {
    tess_compare_options options;
    tess_trace_reader reference, truth;
    bool has_truth;
    tess_precision precision, other_precision;
    bool precision_known, other_precision_known;
    tess_sameness config, weights;
    char *other_path;
    tess_tap_state *tap; /* [n_tap] in model order, the reference's inputs first */
    int n_tap;
    int64_t n_prompt; /* length of in.input_ids, 0 if unknown */
    char **extra;
    int n_extra;
    /* The router's rows as heard, for matching the weights that follow. */
    int64_t *chosen;                  /* [rows, n_chosen] */
    const tess_tap_state *chosen_of;  /* whose; NULL: nothing was heard */
    int64_t chosen_begin, chosen_end; /* rows */
    void *side_window;                /* for reading a second tensor of the reference */
    float *logits;                    /* [n_expert] of one token */
} tess_comparison;

tess_status tess_comparison_new(const char *reference, const tess_compare_options *options,
                                tess_comparison **out, tess_error *err);
void tess_comparison_free(tess_comparison *c); /* NULL is fine */

/* Who the other side is. NULL or unknown where it does not say. */
typedef struct tess_comparison_other {
    const char *path, *config_sha256, *weights_sha256;
    tess_precision precision;
    bool precision_known;
} tess_comparison_other;
tess_status tess_comparison_meet(tess_comparison *c, const tess_comparison_other *other, tess_error *err);

/* Whether the reference has this tap in this shape and type, so that its values shall be heard. Notes that
 * the other side has it, or has it otherwise. */
bool tess_comparison_wants(tess_comparison *c, const char *name, tess_dtype dtype, int n_dim,
                           const uint64_t *dim);
/* Notes a tap that the reference does not have. */
tess_status tess_comparison_note_extra(tess_comparison *c, const char *name, tess_error *err);

/* Elements [first, first + count) of a wanted tap; first continues where the last piece ended. */
tess_status tess_comparison_hear(tess_comparison *c, const char *name, uint64_t first, const void *values,
                                 size_t count, tess_error *err);

/* Judges what was heard. The result does not depend on `c` any more. */
tess_status tess_comparison_finish(tess_comparison *c, tess_compare_result **out, tess_error *err);

tess_tap_state *tess_comparison_find(tess_comparison *c, const char *name);

/* measure.c: takes one piece of a tap; reference and truth are read along. */
tess_status tess_tap_state_hear(tess_comparison *c, tess_tap_state *s, const void *values, size_t count,
                                tess_error *err);

#endif
