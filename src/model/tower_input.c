#include "model/tower_input.h"

#include "base/guard.h"

static tess_status refuse_value(tess_media_kind kind, float value, int64_t row, size_t column,
                                tess_error *err)
{
    static const struct {
        const char *field, *expected, *row, *column;
    } words[] = {[TESS_MEDIA_AUDIO] = {"input_features", "finite mel frames", "frame", "mel bin"},
                 [TESS_MEDIA_IMAGE] = {"pixel_values", "finite patches", "patch", "column"},
                 [TESS_MEDIA_VIDEO] = {"pixel_values_videos", "finite patches", "patch", "column"}};
    return tess_refuse(err, "", words[kind].field, -1, words[kind].expected, "%g in %s %lld, %s %zu",
                       (double)value, words[kind].row, (long long)row, words[kind].column, column);
}

tess_status tess_tower_read(const tess_compute *compute, const tess_features *medium, int64_t first, int n,
                            size_t width, float *out, tess_error *err)
{
    size_t n_value = (size_t)n * width;
    int paused = tess_guard_pause(); /* features are their owner's code and may allocate */
    tess_status status = medium->read(medium->context, first, n, out, err);
    tess_guard_resume(paused);
    if (status != TESS_OK) return status;
    size_t at = compute->kernels->find_non_finite(out, n_value);
    if (at < n_value)
        return refuse_value(medium->kind, out[at], first + (int64_t)(at / width), at % width, err);
    if (compute->rounding == TESS_ROUND_BF16) compute->kernels->round_bf16(out, n_value);
    return TESS_OK;
}
