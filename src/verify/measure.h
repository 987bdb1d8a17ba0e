/* Hearing taps: pieces go into the sums of their tap, reference and truth are read along. */
#ifndef TESS_VERIFY_MEASURE_H
#define TESS_VERIFY_MEASURE_H

#include "verify/tap_state.h"
#include "verify/trace_reader.h"

/* Experts whose logits are looked at for ties at most; far above any configuration. */
enum { TESS_COMPARE_MAX_EXPERT = TESS_EXPERT_SUMS_MOST };

/* Ids of tess_hearing.routed; at least one row of a router. */
enum { TESS_ROUTED_ROOM = 4096 };

/* What all taps of one comparison share while they are heard. The owner opens the files and provides the
 * buffers. */
typedef struct tess_hearing {
    tess_trace_reader reference, truth;
    /* The router's rows as heard, for matching the weights that follow. */
    int64_t *chosen;                  /* [rows, n_chosen], room for the largest tap of indices */
    const tess_tensor *chosen_of;     /* the reference's tensor of that tap; NULL: nothing was heard */
    int64_t chosen_begin, chosen_end; /* rows */
    /* Some rows of the reference's choices, for the experts' sums. */
    int64_t *routed;              /* [TESS_ROUTED_ROOM] */
    const tess_tensor *routed_of; /* NULL: none are there */
    int64_t routed_begin, routed_end;
    void *side_window; /* for reading a second tensor of the reference */
    float *logits;     /* [TESS_COMPARE_MAX_EXPERT] of one token */
} tess_hearing;

/* Takes the next `count` elements of a tap. Errors: TESS_EUSAGE a router's rows come in parts; TESS_EIO,
 * TESS_ENOMEM. */
tess_status tess_tap_state_hear(tess_hearing *hearing, tess_tap_state *s, const void *values, size_t count,
                                tess_error *err);

#endif
