/* Telling whoever watches a call how far it is. */
#ifndef TESS_BASE_PROGRESS_H
#define TESS_BASE_PROGRESS_H

#include "base/error.h"
#include "base/guard.h"
#include "tessera/progress.h"

/* TESS_EINTERRUPTED if they ask to stop. `progress` may be NULL. */
static inline tess_status tess_progress_tell(const tess_progress *progress, tess_activity activity,
                                             uint64_t done, uint64_t total, tess_error *err)
{
    int paused = tess_guard_pause(); /* who is told may allocate */
    bool goes_on = !progress || progress->tell(progress->context, activity, done, total);
    tess_guard_resume(paused);
    if (goes_on) return TESS_OK;
    return tess_fail(err, TESS_EINTERRUPTED, "interrupted");
}

#endif
