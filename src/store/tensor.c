/* Element types, shapes, and aligned reads of a tensor's bytes. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "store/safetensors.h"

static const struct {
    const char *name;
    unsigned n_byte;
} dtypes[TESS_N_DTYPE] = {
    [TESS_DTYPE_NONE] = {"?", 0},          [TESS_DTYPE_BOOL] = {"BOOL", 1},
    [TESS_DTYPE_U8] = {"U8", 1},           [TESS_DTYPE_I8] = {"I8", 1},
    [TESS_DTYPE_F8_E4M3] = {"F8_E4M3", 1}, [TESS_DTYPE_F8_E5M2] = {"F8_E5M2", 1},
    [TESS_DTYPE_U16] = {"U16", 2},         [TESS_DTYPE_I16] = {"I16", 2},
    [TESS_DTYPE_F16] = {"F16", 2},         [TESS_DTYPE_BF16] = {"BF16", 2},
    [TESS_DTYPE_U32] = {"U32", 4},         [TESS_DTYPE_I32] = {"I32", 4},
    [TESS_DTYPE_F32] = {"F32", 4},         [TESS_DTYPE_U64] = {"U64", 8},
    [TESS_DTYPE_I64] = {"I64", 8},         [TESS_DTYPE_F64] = {"F64", 8},
};

const char *tess_dtype_name(tess_dtype dtype)
{
    return dtypes[(unsigned)dtype < TESS_N_DTYPE ? dtype : TESS_DTYPE_NONE].name;
}

unsigned tess_dtype_bytes(tess_dtype dtype)
{
    return dtypes[(unsigned)dtype < TESS_N_DTYPE ? dtype : TESS_DTYPE_NONE].n_byte;
}

tess_dtype tess_dtype_find(const char *name)
{
    for (int i = 1; i < TESS_N_DTYPE; i++)
        if (!strcmp(dtypes[i].name, name)) return (tess_dtype)i;
    return TESS_DTYPE_NONE;
}

uint64_t tess_tensor_count(const tess_tensor *tensor)
{
    uint64_t n = tensor->dtype != TESS_DTYPE_NONE;
    for (int i = 0; i < tensor->n_dim; i++) n *= tensor->dim[i];
    return n;
}

void tess_tensor_format_shape(int n_dim, const uint64_t *dim, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < n_dim && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64, i ? ", " : "", dim[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

bool tess_tensor_count_rows(const tess_tensor *tensor, uint64_t *n_row, uint64_t *n_col)
{
    const uint64_t n = tess_tensor_count(tensor);
    *n_row = tensor->n_dim > 1 ? tensor->dim[0] : n;
    *n_col = n > 0 ? n / *n_row : 0;
    return tensor->dtype == TESS_DTYPE_BF16 && n > 0 && *n_row <= INT_MAX && *n_col <= INT_MAX;
}

tess_status tess_tensor_read_part(tess_file *file, const tess_tensor *tensor, uint64_t first, size_t n_byte,
                                  void *window, const void **data, tess_error *err)
{
    TESS_ASSERT(first <= tensor->n_byte && n_byte <= tensor->n_byte - first);
    const void *read;
    tess_status status = tess_file_read_window(file, tensor->offset + first, n_byte, window, &read, err);
    if (status != TESS_OK) return status;
    unsigned item = tess_dtype_bytes(tensor->dtype);
    size_t ahead = item ? (uintptr_t)read % item : 0;
    char *aligned = (char *)window + ((const char *)read - (const char *)window) - ahead;
    *data = ahead ? memmove(aligned, read, n_byte) : read;
    return TESS_OK;
}
