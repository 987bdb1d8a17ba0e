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
 * along in pieces; what is kept per tap are sums, and of experts and logits a few numbers per row.
 */
#ifndef TESS_VERIFY_COMPARE_COMPARISON_H
#define TESS_VERIFY_COMPARE_COMPARISON_H

#include "tessera/compare.h"
#include "verify/compare/measure.h"
#include "verify/compare/media_map.h"
#include "verify/compare/speech_map.h"

typedef struct tess_comparison {
    tess_compare_options options;
    tess_hearing hearing;
    bool has_truth;
    tess_precision precision, other_precision;
    bool precision_known, other_precision_known;
    tess_sameness config, weights;
    char *other_path;
    tess_tap_state *tap; /* [n_tap] in model order, the reference's inputs first */
    int n_tap;
    int64_t n_prompt;   /* length of in.input_ids, 0 if unknown */
    bool is_isolated;   /* judged by the bars of single modules */
    char ended_at[160]; /* the tap at which the other side's run ended, in a value `ended_by`; "" */
    char ended_by[192];
    bool
        is_run; /* the other side is a run, which tells of every expert that a token chose; a file need not */
    char **extra;
    int n_extra;
    tess_media_map media;   /* once it is finished */
    tess_speech_map speech; /* the same */
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

/* From now on taps are judged as outputs of modules that are fed the reference's own inputs. Greedy tokens
 * are no module's output and are left out. */
void tess_comparison_isolate(tess_comparison *c);

/* Whether the reference has this tap in this shape and type, so that its values shall be heard. Notes that
 * the other side has it, or has it otherwise. dim[0] of what is as long as it comes – tokens, a single
 * expert's output, a waveform – and dim[1] of codes are not part of the shape. */
bool tess_comparison_wants(tess_comparison *c, const char *name, tess_dtype dtype, int n_dim,
                           const uint64_t *dim);
/* Notes a tap that the reference does not have. */
tess_status tess_comparison_note_extra(tess_comparison *c, const char *name, tess_error *err);

#define TESS_HEAR_NEXT UINT64_MAX /* as `first`: where the last piece ended */
/* Elements [first, first + count) of a wanted tap; first continues where the last piece ended. Of taps whose
 * length belongs to what is compared, elements beyond the reference's are counted only. */
tess_status tess_comparison_hear(tess_comparison *c, const char *name, uint64_t first, const void *values,
                                 size_t count, tess_error *err);

/* The same of a tap of two axes whose rows go on together: columns [column, column + n) of all its rows,
 * values [rows, n]; column continues where the last piece ended. Floats of no router, expert or head only. */
tess_status tess_comparison_hear_columns(tess_comparison *c, const char *name, uint64_t column,
                                         const float *values, size_t n, tess_error *err);

/* Whether integers among the inputs, or the shape of one, are other than the reference's: then the
 * reference's own inputs may be refused by who would make others of the same request. */
bool tess_comparison_has_other_inputs(const tess_comparison *c);
/* Whether other codes were spoken than the reference's. */
bool tess_comparison_has_other_codes(const tess_comparison *c);
/* Whether they part ways where either the code predictor or a step of the talker can be at fault: behind the
 * first frame, in another codebook than the first. */
bool tess_comparison_doubts_codes(const tess_comparison *c);
/* It was the talker: behind the reference's own codes its choice is another one, in this frame first. */
void tess_comparison_blame_talker(tess_comparison *c, int64_t frame);

/* The other side ended early: `err` is its TESS_ENONFINITE, or why it refused the inputs. */
void tess_comparison_end(tess_comparison *c, const tess_error *err);

/* Judges what was heard. The result does not depend on `c` any more. */
tess_status tess_comparison_finish(tess_comparison *c, tess_compare_result **out, tess_error *err);

/* Counts what the reports of a result say, and finds the first and the worst; finishing does it too. */
void tess_comparison_count(tess_compare_result *result);

tess_tap_state *tess_comparison_find(tess_comparison *c, const char *name);

#endif
