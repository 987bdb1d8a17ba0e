/* What all taps of one comparison share while they are heard: the files, and buffers for reading along. */
#ifndef TESS_VERIFY_COMPARE_HEARING_H
#define TESS_VERIFY_COMPARE_HEARING_H

#include "verify/compare/expert_sums.h"
#include "verify/trace/reader.h"

/* Experts whose logits are looked at for ties at most; far above any configuration. */
enum { TESS_COMPARE_MAX_EXPERT = TESS_EXPERT_SUMS_MOST };

/* Ids of tess_hearing.routed; at least one row of a router. */
enum { TESS_ROUTED_ROOM = 4096 };

/* The owner opens the files and provides the buffers. */
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
    /* Where an expert's rows stand in the reference; see expert_rows.h. */
    int32_t *place;              /* [room_place] */
    const tess_tensor *place_of; /* whose; NULL: none's */
    size_t room_place;
    void *side_window; /* for reading a second tensor of the reference */
    float *logits;     /* [TESS_COMPARE_MAX_EXPERT] of one token */
} tess_hearing;

/* The reference's choices of one row; they are read some rows at a time. Valid until the next call. */
tess_status tess_hearing_read_choice(tess_hearing *hearing, const tess_tensor *choices, int64_t row,
                                     const int64_t **out, tess_error *err);

#endif
