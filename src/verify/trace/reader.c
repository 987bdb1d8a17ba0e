#include "verify/trace/reader.h"

#include <stdlib.h>
#include <string.h>

tess_status tess_trace_reader_open(const char *path, tess_trace_reader *out, tess_error *err)
{
    tess_safetensors *st;
    tess_status status = tess_safetensors_open(path, TESS_DIRECT_OFF, &st, err);
    if (status != TESS_OK) return status;
    void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(TESS_TRACE_PIECE_BYTES));
    if (!window) {
        tess_safetensors_close(st);
        return tess_fail(err, TESS_ENOMEM, "%s: no memory to read it", path);
    }
    *out = (tess_trace_reader){st, window};
    return TESS_OK;
}

void tess_trace_reader_close(tess_trace_reader *reader)
{
    tess_safetensors_close(reader->st);
    free(reader->window);
    *reader = (tess_trace_reader){0};
}

tess_status tess_trace_reader_read(tess_trace_reader *reader, const tess_tensor *tensor, uint64_t first,
                                   size_t count, const void **values, tess_error *err)
{
    size_t item = tess_dtype_bytes(tensor->dtype);
    TESS_ASSERT(count * item <= TESS_TRACE_PIECE_BYTES);
    return tess_tensor_read_part(tess_safetensors_get_file(reader->st), tensor, first * item, count * item,
                                 reader->window, values, err);
}

size_t tess_trace_reader_piece(const tess_tensor *tensor, uint64_t first, size_t row_width)
{
    size_t most = TESS_TRACE_PIECE_BYTES / tess_dtype_bytes(tensor->dtype);
    if (row_width && row_width <= most) most -= most % row_width;
    uint64_t left = tess_tensor_count(tensor) - first;
    return left < most ? (size_t)left : most;
}

tess_status tess_trace_reader_precision(const tess_trace_reader *reader, tess_precision *out, bool *known,
                                        tess_error *err)
{
    const char *word = tess_safetensors_get_metadata(reader->st, "dtype");
    *known = word != NULL;
    if (!word) return TESS_OK;
    if (!strcmp(word, "float32") || !strcmp(word, "f32"))
        *out = TESS_PRECISION_F32;
    else if (!strcmp(word, "bfloat16") || !strcmp(word, "bf16"))
        *out = TESS_PRECISION_BF16;
    else
        return tess_refuse(err, tess_trace_reader_get_path(reader), "dtype", -1, "float32 or bfloat16",
                           "\"%.60s\"", word);
    return TESS_OK;
}
