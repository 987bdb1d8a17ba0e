/* An output file that is made over more than one run: what a process that was killed has written stays, and
 * the next one goes on with it.
 *
 * Until it is whole it has ".part" behind its name; then it is flushed to the disk and renamed. Whose bytes
 * are in it, and how many of them are good, is for the caller to find out; and that no other process writes
 * it (tess_folder_lock). Threads: one at a time; reads and writes of different parts, any number.
 */
#ifndef TESS_IO_PARTIAL_H
#define TESS_IO_PARTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/little_endian.h"

#define TESS_PARTIAL_SUFFIX ".part"

typedef struct tess_partial tess_partial;

/* "PATH.part", which the caller frees; NULL where there is no memory. */
char *tess_partial_name(const char *path);

/* Opens PATH.part, or makes it. n_byte: what it will take at most; what is missing on the disk is refused
 * (TESS_EIO, with the numbers) before anything is written, and the room is reserved where the file system
 * can. TESS_EINPUT: something else is there under this name. */
tess_status tess_partial_open(const char *path, uint64_t n_byte, tess_partial **out, tess_error *err);

/* The name of PATH.part. */
const char *tess_partial_get_path(const tess_partial *partial);
/* Bytes up to the last that was written. */
tess_status tess_partial_get_size(const tess_partial *partial, uint64_t *size, tess_error *err);

/* Exact: all bytes, or a failure. Reading behind the end is TESS_EINPUT. Large parts whose address and offset
 * leave the same rest by TESS_IO_ALIGN are written past the page cache, where the system allows it. */
tess_status tess_partial_read(tess_partial *partial, uint64_t offset, void *out, size_t n_byte,
                              tess_error *err);
tess_status tess_partial_write(tess_partial *partial, uint64_t offset, const void *bytes, size_t n_byte,
                               tess_error *err);

/* What is written so far is on the disk. */
tess_status tess_partial_flush(tess_partial *partial, tess_error *err);

/* Cuts to n_byte, flushes, renames. Frees it in every case; after a failure the part is still there. */
tess_status tess_partial_commit(tess_partial *partial, uint64_t n_byte, tess_error *err);
/* Leaves the part for the next run. NULL is fine. */
void tess_partial_close(tess_partial *partial);

#endif
