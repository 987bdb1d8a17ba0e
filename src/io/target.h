/* Where an output goes, as its path says: into a regular file, which appears whole (io/output.h); or through
 * what is there and cannot be replaced: standard output ("-"), a pipe, a device.
 *
 * What is written through is with its reader at once, and stays when the rest is given up. Whoever writes to
 * a pipe ignores SIGPIPE, and is told by EPIPE that nobody reads. Threads: one at a time.
 */
#ifndef TESS_IO_TARGET_H
#define TESS_IO_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"

typedef struct tess_target tess_target;

/* Opens at once, so that a path that cannot be written shows before the work and not after it. Opening a
 * named pipe waits for its reader. `progress` (TESS_ACTIVITY_WAITING) is asked while a reader is waited for,
 * now and in writing; it lives as long as the target. NULL: only a signal whose handler lets calls fail ends
 * the wait for a reader, and nothing that for room. Errors: TESS_EIO, TESS_ENOMEM; TESS_EUSAGE  the name is
 * empty, or a folder's; TESS_EINTERRUPTED  the wait was ended. */
tess_status tess_target_open(const char *path, const tess_progress *progress, tess_target **out,
                             tess_error *err);

/* For messages: the path, or "standard output". */
const char *tess_target_get_name(const tess_target *target);

/* Whether bytes that are written may be written over: a regular file, be it standard output. */
bool tess_target_can_seek(const tess_target *target);

/* Bytes so far, up to the last that is written. */
uint64_t tess_target_get_size(const tess_target *target);

/* Writes n bytes at `offset`: at the end of what is written, or before it if the target can seek.
 * Errors: TESS_EIO, with the system's errno; what came before is as it was; TESS_EINTERRUPTED  progress asked
 * to stop while nobody read: of the n bytes some may be out. */
tess_status tess_target_write(tess_target *target, uint64_t offset, const void *bytes, size_t n,
                              tess_error *err);

/* Ends with n_byte bytes, at most as many as are written: a file is cut there and gets its name; what was
 * written through is closed as it is. Frees the target in every case. */
tess_status tess_target_commit(tess_target *target, uint64_t n_byte, tess_error *err);

/* Gives a file up without a trace, closes what was written through, and frees the target. NULL is fine. */
void tess_target_abandon(tess_target *target);

#endif
