/* Reads a trace piece by piece: a checked safetensors file and one window. */
#ifndef TESS_VERIFY_TRACE_READER_H
#define TESS_VERIFY_TRACE_READER_H

#include "store/safetensors.h"
#include "tessera/engine.h"

/* Bytes of one piece at most. */
enum { TESS_TRACE_PIECE_BYTES = 1 << 18 };

typedef struct tess_trace_reader {
    tess_safetensors *st;
    void *window;
} tess_trace_reader;

tess_status tess_trace_reader_open(const char *path, tess_trace_reader *out, tess_error *err);
void tess_trace_reader_close(tess_trace_reader *reader); /* zeroed is fine */

static inline const char *tess_trace_reader_get_path(const tess_trace_reader *reader)
{
    return tess_file_get_path(tess_safetensors_get_file(reader->st));
}

/* Elements [first, first + count) of a tensor, at most TESS_TRACE_PIECE_BYTES; valid until the next read. */
tess_status tess_trace_reader_read(tess_trace_reader *reader, const tess_tensor *tensor, uint64_t first,
                                   size_t count, const void **values, tess_error *err);

/* Elements to read at once of what is left from `first` on: whole rows of `row_width` where they fit. */
size_t tess_trace_reader_piece(const tess_tensor *tensor, uint64_t first, size_t row_width);

/* The metadata's dtype ("float32", "f32", "bfloat16", "bf16"). *known is false if there is none; another word
 * is refused. */
tess_status tess_trace_reader_precision(const tess_trace_reader *reader, tess_precision *out, bool *known,
                                        tess_error *err);

#endif
