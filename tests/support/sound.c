#include "sound.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static tess_status hear(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)err;
    heard *h = context;
    h->samples = realloc(h->samples, (h->n + n) * sizeof *samples);
    assert_non_null(h->samples);
    memcpy(h->samples + h->n, samples, n * sizeof *samples);
    h->n += n;
    return TESS_OK;
}

static heard hear_source(const tess_source *source, int rate_hz)
{
    heard h = {0};
    tess_error err;
    if (tess_audio_decode(source, rate_hz, hear, &h, &h.facts, &err) != TESS_OK) fail_msg("%s", err.message);
    return h;
}

heard hear_file(const char *path, int rate_hz)
{
    tess_source source = {.name = path, .path = path};
    return hear_source(&source, rate_hz);
}

heard hear_bytes(const void *bytes, size_t n_byte, int rate_hz)
{
    tess_source source = {.name = "sound", .data = bytes, .n_byte = n_byte};
    return hear_source(&source, rate_hz);
}

float *make_sound(size_t n, int rate_hz)
{
    float *samples = malloc((n + 1) * sizeof *samples);
    assert_non_null(samples);
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / rate_hz;
        samples[i] = (float)(0.5 * sin(2 * M_PI * 440 * t) + 0.3 * sin(2 * M_PI * 1234.5 * t * (1 + t / 9)) +
                             0.15 * (2 * tess_random_unit(&state) - 1));
    }
    return samples;
}
