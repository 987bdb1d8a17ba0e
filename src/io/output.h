/* An output file that appears under its name only when it is whole.
 *
 * It is written under a temporary name in the same folder, then flushed to the disk and renamed: whoever
 * looks at the name sees the old content or the new, never a part. Given up, or after a failure, nothing of
 * it stays. Threads: one at a time.
 */
#ifndef TESS_IO_OUTPUT_H
#define TESS_IO_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/little_endian.h"

typedef struct tess_output tess_output;

/* Creates the temporary file and, if n_byte is not 0, asks the system for that much room, so that a full disk
 * shows before the work and not after it. A symbolic link stays: the file it names is what is written. Owner,
 * group and permissions are those of the file that is replaced, as far as the system lets, else those a new
 * file would get. TESS_EUSAGE: the name is empty, or belongs to something other than a regular file. */
tess_status tess_output_create(const char *path, uint64_t n_byte, tess_output **out, tess_error *err);

/* Writes all n_byte bytes at `offset`; pieces may come in any order. What is never written is zero. */
tess_status tess_output_write(tess_output *output, uint64_t offset, const void *bytes, size_t n_byte,
                              tess_error *err);

/* Cuts or extends to n_byte, flushes, renames. Frees the output in every case; after a failure the temporary
 * file is gone and the name is as it was. */
tess_status tess_output_commit(tess_output *output, uint64_t n_byte, tess_error *err);

/* All three for bytes that are there: the file at `path` has them and no others, or is as it was. */
tess_status tess_output_save(const char *path, const void *bytes, size_t n_byte, tess_error *err);

/* Removes the temporary file and frees the output. NULL is fine. */
void tess_output_abandon(tess_output *output);

#endif
