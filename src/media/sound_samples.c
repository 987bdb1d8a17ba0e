#include "media/sound_samples.h"

#include <math.h>

void tess_samples_to_int16(const float *samples, size_t n, int16_t *out)
{
    for (size_t i = 0; i < n; i++) {
        float scaled = samples[i] * 32767.0f;
        scaled = scaled > 32767.0f ? 32767.0f : scaled < -32768.0f ? -32768.0f : scaled;
        out[i] = (int16_t)lrintf(scaled);
    }
}

tess_status tess_samples_check(const char *name, const float *samples, size_t n, uint64_t n_before,
                               tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (isfinite(samples[i])) continue;
        unsigned long long place = n_before + i;
        (void)tess_refuse(err, name, "samples", -1, "finite numbers", "%s in sample %llu",
                          isnan(samples[i]) ? "NaN" : "infinity", place);
        if (err) err->status = TESS_ENONFINITE;
        return TESS_ENONFINITE;
    }
    return TESS_OK;
}
