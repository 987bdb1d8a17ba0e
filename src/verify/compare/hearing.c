#include "verify/compare/hearing.h"

tess_status tess_hearing_read_choice(tess_hearing *h, const tess_tensor *choices, int64_t row,
                                     const int64_t **out, tess_error *err)
{
    int64_t width = (int64_t)choices->dim[1], n_row = (int64_t)choices->dim[0];
    if (h->routed_of != choices || row < h->routed_begin || row >= h->routed_end) {
        int64_t n = TESS_ROUTED_ROOM / width;
        if (n > n_row - row) n = n_row - row;
        h->routed_of = NULL;
        tess_status status = tess_file_read(tess_safetensors_get_file(h->reference.st),
                                            choices->offset + (uint64_t)(row * width) * sizeof *h->routed,
                                            h->routed, (size_t)(n * width) * sizeof *h->routed, err);
        if (status != TESS_OK) return status;
        h->routed_of = choices;
        h->routed_begin = row;
        h->routed_end = row + n;
    }
    *out = h->routed + (row - h->routed_begin) * width;
    return TESS_OK;
}
