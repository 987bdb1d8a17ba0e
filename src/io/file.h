/* Exact reads of byte ranges of a file that does not change, past the page cache where the system allows it.
 *
 * A byte is held once: weights live in our own buffers, so the page cache must not keep a second copy. Reads
 * are direct (O_DIRECT); where the file system refuses that, buffered reads are followed by
 * posix_fadvise(DONTNEED) for their range. Both give the same bytes.
 *
 * Every read is exact: all bytes asked for, or a failure naming file and offset. Interrupted and short reads
 * are continued. Threads: a tess_file may be read by any number of threads at once.
 */
#ifndef TESS_IO_FILE_H
#define TESS_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/little_endian.h"
#include "tessera/direct.h"

/* Windows are aligned to this, and direct reads start and end on multiples of it. */
enum { TESS_IO_ALIGN = 4096 };

typedef struct tess_file tess_file;

/* Opens a regular file for reading. A file that is absent or not regular: TESS_EINPUT; other refusals of the
 * system, and TESS_DIRECT_ON where direct reads are refused: TESS_EIO. */
tess_status tess_file_open(const char *path, tess_direct direct, tess_file **out, tess_error *err);
void tess_file_close(tess_file *file); /* NULL is fine */

/* The path it was opened by; lives as long as the file. */
const char *tess_file_get_path(const tess_file *file);
/* Bytes it had when it was opened. */
uint64_t tess_file_get_size(const tess_file *file);
/* When it was last modified, as of opening; nanoseconds since 1970. */
int64_t tess_file_get_mtime_ns(const tess_file *file);
/* When its bytes or anything else about it last changed, likewise: no program sets that back. */
int64_t tess_file_get_ctime_ns(const tess_file *file);
/* Whether windows are read past the page cache; TESS_DIRECT_AUTO may find out only at a read. */
bool tess_file_is_direct(const tess_file *file);
/* Whether direct reads were wanted and refused, as far as is known, so that the page cache is read through.
 */
bool tess_file_is_refused_direct(const tess_file *file);
/* Bytes the system delivered so far, what alignment added included. */
uint64_t tess_file_get_bytes_read(const tess_file *file);

/* Reads [offset, offset + n_byte) into any address: for headers and small parts, by the page cache.
 * A range that is not inside the file, or a file that has shrunk: TESS_EINPUT. */
tess_status tess_file_read(tess_file *file, uint64_t offset, void *out, size_t n_byte, tess_error *err);

/* The capacity of a window for n_byte bytes at any offset. n_byte at most SIZE_MAX - 2 * TESS_IO_ALIGN. */
static inline size_t tess_window_bytes(size_t n_byte)
{
    return (n_byte + (size_t)(2 * TESS_IO_ALIGN - 2)) & ~(size_t)(TESS_IO_ALIGN - 1);
}

/* Reads [offset, offset + n_byte) into `window`, aligned to TESS_IO_ALIGN and tess_window_bytes(n_byte) long,
 * and points *data at the byte of `offset` inside it. Nothing is copied, but that bytes of an odd offset are
 * moved by one: *data is always even, at (char *)window + offset % TESS_IO_ALIGN rounded down. What else the
 * window holds is unspecified. Errors as tess_file_read. */
tess_status tess_file_read_window(tess_file *file, uint64_t offset, size_t n_byte, void *window,
                                  const void **data, tess_error *err);

#endif
