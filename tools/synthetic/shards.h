/* Writes the shards of a layout: threads make a piece each and write it where it belongs. */
#ifndef TESS_TOOLS_SYNTHETIC_SHARDS_H
#define TESS_TOOLS_SYNTHETIC_SHARDS_H

#include "layout.h"

/* Asks between pieces whether to stop. */
typedef bool shards_stop(void);

/* Called now and then by the thread that called shards_write(). */
typedef void shards_progress(uint64_t done_bytes, uint64_t total_bytes, double seconds);

/* Writes all shards into an existing folder. Room for all that is no hole is reserved first; direct I/O where
 * the file system has it; flushed to the disk at the end unless everything is a hole.
 * TESS_EIO and TESS_ENOMEM name the file; TESS_EINTERRUPTED when stopped. Files may be left behind then. */
tess_status shards_write(const char *folder, const synthetic_layout *layout, const synthetic_weights *weights,
                         int n_thread, shards_stop *stop, shards_progress *progress, tess_error *err);

#endif
