/* Writes a trace: one safetensors file whose tensors go to their place as they come.
 *
 *     tess_trace_writer_new(&w, err);
 *     tess_trace_writer_note(w, "dtype", "float32", err);                metadata
 *     tess_trace_writer_declare(w, "tap.thinker.lm_head", false, 2, dim, err);
 *     tess_trace_writer_declare_growing(w, "tap.thinker.generated", 1, most, err);
 *     tess_trace_writer_open(w, path, err);                              from here on nothing is allocated
 *     tess_trace_writer_put(w, "tap.thinker.lm_head", 0, values, n, err); in any order
 *     tess_trace_writer_grow(w, "tap.thinker.generated", n, ids, err);
 *     tess_trace_writer_commit(&w, err);                                 or _abandon(w)
 *
 * The file: eight bytes of length, the JSON header padded with blanks to a multiple of eight, then the
 * growing tensors, the I64 tensors, the F32 tensors, without gaps, so every element is aligned. Growing
 * tensors stand first because their room is then next to the header's padding: what they do not use becomes
 * blanks. Whichever has its shape first ends where the others begin, the next ends where it begins. Tensors
 * that are reached last, in whatever shape, follow in that order.
 *
 * Memory: the table of tensors. Nothing of their content is kept.
 */
#ifndef TESS_VERIFY_TRACE_WRITER_H
#define TESS_VERIFY_TRACE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tess_trace_writer tess_trace_writer;

tess_status tess_trace_writer_new(tess_trace_writer **out, tess_error *err);

/* Adds a pair to the metadata. Both must be UTF-8; a key given twice keeps the last value. */
tess_status tess_trace_writer_note(tess_trace_writer *writer, const char *key, const char *value,
                                   tess_error *err);

/* Declares a tensor: I64 if is_integer, else F32; n_dim 1 … 3. The name (letters, digits, and ._#) is copied.
 * TESS_EUSAGE if it was declared before. */
tess_status tess_trace_writer_declare(tess_trace_writer *writer, const char *name, bool is_integer, int n_dim,
                                      const int64_t *dim, tess_error *err);

/* Declares an I64 tensor whose shape, at most `most` in each axis, is known only later; there may be two. */
tess_status tess_trace_writer_declare_growing(tess_trace_writer *writer, const char *name, int n_dim,
                                              const int64_t *most, tess_error *err);

/* Declares an F32 tensor that stands behind all others, whose shape, at most `most` in each axis, is known
 * only when it is reached. */
tess_status tess_trace_writer_declare_last(tess_trace_writer *writer, const char *name, int n_dim,
                                           const int64_t *most, tess_error *err);

/* Lays the file out and creates it under a temporary name, with all its room. */
tess_status tess_trace_writer_open(tess_trace_writer *writer, const char *path, tess_error *err);

bool tess_trace_writer_has(const tess_trace_writer *writer, const char *name);

/* Writes `count` elements of a declared tensor from its element `first` on; values are int64_t or float as
 * declared. Every element must be written once before commit. */
tess_status tess_trace_writer_put(tess_trace_writer *writer, const char *name, int64_t first,
                                  const void *values, size_t count, tess_error *err);

/* Columns [column, column + n) of a float tensor of two axes: values [rows, n]. */
tess_status tess_trace_writer_put_columns(tess_trace_writer *writer, const char *name, int64_t column,
                                          int64_t n, const float *values, tess_error *err);

/* Gives a tensor that stands last its shape, before its first elements; of others, and later, nothing is
 * done. Not called: it is left out. */
tess_status tess_trace_writer_reach(tess_trace_writer *writer, const char *name, const int64_t *dim,
                                    tess_error *err);

/* Writes a growing tensor whole, of shape dim. Not called, or without elements: it is left out. */
tess_status tess_trace_writer_grow(tess_trace_writer *writer, const char *name, const int64_t *dim,
                                   const int64_t *values, tess_error *err);

/* Completes the header, flushes and renames. Frees the writer in every case. TESS_EUSAGE if a tensor was not
 * written whole: then there is no file. */
tess_status tess_trace_writer_commit(tess_trace_writer *writer, tess_error *err);

/* Removes what was written and frees the writer. NULL is fine. */
void tess_trace_writer_abandon(tess_trace_writer *writer);

#endif
