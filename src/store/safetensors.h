/* One safetensors file: its header, checked, and exact reads of its tensors.
 *
 * The layout: 8 bytes of header length (little-endian), that many bytes of JSON, then the tensors' bytes. The
 * JSON maps names to {dtype, shape, data_offsets} and, optionally, "__metadata__" to strings.
 *
 * Checked at opening, everything against everything: the length against the file, offsets against the end,
 * each other (no overlap, no gap, none left over), shape times element size and the element size; names
 * against each other. Past opening all of it can be relied upon.
 */
#ifndef TESS_STORE_SAFETENSORS_H
#define TESS_STORE_SAFETENSORS_H

#include "io/file.h"
#include "store/problem.h"

typedef struct tess_safetensors tess_safetensors;

/* Opens any safetensors file. The first problem is a failure, TESS_EINPUT, which names it. */
tess_status tess_safetensors_open(const char *path, tess_direct direct, tess_safetensors **out,
                                  tess_error *err);
/* The same, for an inspection: with `sink` problems of single tensors are reported and it goes on; a file
 * without a usable header still fails. Tensors get the number `shard`. */
tess_status tess_safetensors_open_part(const char *path, tess_direct direct, int shard,
                                       const tess_problem_sink *sink, tess_safetensors **out,
                                       tess_error *err);
/* The same of a file of size bytes that is not there itself, but its beginning is: the header's length and
 * the header. `path` is for messages. It has no file to read from. */
tess_status tess_safetensors_open_header(const char *path, const void *head, size_t n_byte, uint64_t size,
                                         int shard, const tess_problem_sink *sink, tess_safetensors **out,
                                         tess_error *err);
void tess_safetensors_close(tess_safetensors *st); /* NULL is fine */

/* Bytes of the file before its tensors: the header's length and the header. */
uint64_t tess_safetensors_get_head_bytes(const tess_safetensors *st);

/* The file, for reading; closed with `st`. NULL if it was opened by its header alone. */
tess_file *tess_safetensors_get_file(const tess_safetensors *st);

/* Tensors in the order of their offsets. The pointers live as long as `st`. */
size_t tess_safetensors_get_count(const tess_safetensors *st);
const tess_tensor *tess_safetensors_get(const tess_safetensors *st, size_t i);
/* By name; NULL if there is none. */
const tess_tensor *tess_safetensors_find(const tess_safetensors *st, const char *name);

/* A text of "__metadata__" by its key, NULL if there is none; and all of them in the file's order. */
const char *tess_safetensors_get_metadata(const tess_safetensors *st, const char *key);
size_t tess_safetensors_get_metadata_count(const tess_safetensors *st);
void tess_safetensors_get_metadata_at(const tess_safetensors *st, size_t i, const char **key,
                                      const char **value);

/* Rows are the first axis of a tensor, columns all others; those of a vector are its elements. False if it is
 * no BF16 tensor with elements, and fewer than 2^31 rows and columns. */
bool tess_tensor_count_rows(const tess_tensor *tensor, uint64_t *n_row, uint64_t *n_col);

/* Reads a tensor, or the part [first, first + n_byte) of its bytes, into a window as tess_file_read_window()
 * wants it: TESS_IO_ALIGN-aligned, tess_window_bytes(n_byte) long. *data is aligned to the element size:
 * bytes are moved only in files whose header length is no multiple of it, which published ones never are. */
tess_status tess_tensor_read_part(tess_file *file, const tess_tensor *tensor, uint64_t first, size_t n_byte,
                                  void *window, const void **data, tess_error *err);

#endif
