/* Regular files opened, and small ones read whole: one way to refuse what is absent, is no file, or is too
 * large. What it is goes into the message: "a JSON file", "a file of merges". */
#ifndef TESS_BASE_WHOLE_FILE_H
#define TESS_BASE_WHOLE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

/* A folder, before anything in it is asked for by name. Errors: TESS_EINPUT  there is no such folder, or a
 * file in its place; TESS_EIO. */
tess_status tess_folder_check(const char *path, const char *what, tess_error *err);

/* Refuses bytes that a file begins with if they are a Git LFS pointer: what a clone without `git lfs` leaves
 * in the place of each large file. */
tess_status tess_lfs_pointer_check(const char *path, const char *head, size_t n_byte, tess_error *err);
enum { TESS_LFS_POINTER_MOST_BYTES = 1023 }; /* by its specification */

/* Opens for reading; the caller closes *fd. A pipe is refused, not waited for. Errors: TESS_EINPUT  there is
 * no such file, or something that is no regular file; TESS_EIO. */
tess_status tess_regular_file_open(const char *path, const char *what, int *fd, struct stat *info,
                                   tess_error *err);

/* Reads n bytes from `offset` on and returns how many came: fewer where the file ends, or a read fails, of
 * which *failure is the errno, else 0. */
size_t tess_read_at(int fd, uint64_t offset, void *out, size_t n, int *failure);

/* Reads a file of at most most_bytes. *out, which the caller frees, holds its bytes and a NUL behind them.
 * Errors: as above; TESS_EINPUT  it is larger, or shrinks while it is read; TESS_ENOMEM. */
tess_status tess_whole_file_read(const char *path, const char *what, size_t most_bytes, char **out,
                                 size_t *n_byte, tess_error *err);

#endif
