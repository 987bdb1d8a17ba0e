/* Progress and cancelling, call by call. */
#ifndef TESSERA_PROGRESS_H
#define TESSERA_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a call is at work on. */
typedef enum tess_activity {
    TESS_ACTIVITY_LOADING,    /* weights that stay resident, in bytes */
    TESS_ACTIVITY_CHECKSUMS,  /* files, in bytes */
    TESS_ACTIVITY_PACKING,    /* weights for a packed store, in bytes as published */
    TESS_ACTIVITY_UNPACKING,  /* the reverse */
    TESS_ACTIVITY_PREFILL,    /* a prompt, in tokens */
    TESS_ACTIVITY_DECODE,     /* a single token, in layers */
    TESS_ACTIVITY_GENERATING, /* an answer, in tokens */
    TESS_ACTIVITY_ENCODING,   /* media, in tokens */
    TESS_ACTIVITY_SPEAKING,   /* an answer, in frames; it is not known how many: total is 0 */
    TESS_ACTIVITY_LOOKING,    /* a film whose length is found out, in bytes of its file */
    TESS_ACTIVITY_PREPARING,  /* a medium, in frames; of sound it is not known how many: total is 0 */
    TESS_ACTIVITY_PLAYING,    /* sound, in samples */
    TESS_ACTIVITY_WAITING,    /* for the reader of a pipe, in bytes that it took; total is 0 */
} tess_activity;

/* Who wants to know how far a call has come, and may stop it. `tell` is called while work goes on, in the
 * calling thread; `done` counts up to `total`. Returning false asks to stop: the call then returns
 * TESS_EINTERRUPTED. Belongs to one call; only its pointers need to live as long. */
typedef struct tess_progress {
    bool (*tell)(void *context, tess_activity activity, uint64_t done, uint64_t total);
    void *context;
} tess_progress;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
