#include "verify/golden/media_check.h"

#include <string.h>

#include "verify/trace/media_tensors.h"

enum { MOST_TENSORS = 8 };

/* What the comparison asks for, of what the media make. */
typedef struct hearing_media {
    tess_comparison *comparison;
    const char *wanted[MOST_TENSORS];
    int n_wanted;
} hearing_media;

static tess_status declare(void *context, const char *name, bool is_integer, int n_dim, const int64_t *dim,
                           tess_error *err)
{
    hearing_media *h = context;
    uint64_t shape[2] = {0};
    (void)err;
    for (int i = 0; i < n_dim; i++) shape[i] = (uint64_t)dim[i];
    TESS_ASSERT(h->n_wanted < MOST_TENSORS);
    if (tess_comparison_wants(h->comparison, name, is_integer ? TESS_DTYPE_I64 : TESS_DTYPE_F32, n_dim,
                              shape))
        h->wanted[h->n_wanted++] = name;
    return TESS_OK;
}

static bool is_wanted(const hearing_media *h, const char *name)
{
    for (int i = 0; i < h->n_wanted; i++)
        if (!strcmp(h->wanted[i], name)) return true;
    return false;
}

static tess_status put(void *context, const char *name, int64_t first, const void *values, int64_t n,
                       tess_error *err)
{
    const hearing_media *h = context;
    if (!is_wanted(h, name)) return TESS_OK;
    return tess_comparison_hear(h->comparison, name, (uint64_t)first, values, (size_t)n, err);
}

static tess_status put_columns(void *context, const char *name, int64_t column, int64_t n,
                               const float *values, tess_error *err)
{
    const hearing_media *h = context;
    if (!is_wanted(h, name)) return TESS_OK;
    return tess_comparison_hear_columns(h->comparison, name, (uint64_t)column, values, (size_t)n, err);
}

tess_status tess_golden_hear_media(tess_comparison *comparison, const tess_features *const *media,
                                   int n_medium, tess_error *err)
{
    hearing_media h = {.comparison = comparison};
    const tess_media_sink sink = {declare, put, put_columns, &h};
    tess_status status = tess_media_tensors_declare(media, n_medium, &sink, err);
    return status == TESS_OK ? tess_media_tensors_put(media, n_medium, &sink, NULL, err) : status;
}
