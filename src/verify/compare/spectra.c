#include "verify/compare/spectra.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/angles.h"

enum { LINE_BINS = TESS_FFT_BINS / TESS_SOUND_LINES, EDGE = TESS_FFT_POINTS / 2 };
_Static_assert(LINE_BINS *TESS_SOUND_LINES == TESS_FFT_BINS, "lines are whole bins");

static uint64_t count_spectra(uint64_t n_sample)
{
    return (n_sample + TESS_SPECTRA_HOP - 1) / TESS_SPECTRA_HOP;
}

static int count_moments(uint64_t n_sample)
{
    uint64_t n = count_spectra(n_sample);
    return n < TESS_SOUND_COLUMNS ? (int)n : TESS_SOUND_COLUMNS;
}

static void fill_window(float *window)
{
    const double pi = 3.14159265358979323846;
    for (int i = 0; i < TESS_FFT_POINTS; i++) {
        double sine, cosine;
        tess_sincos(2 * pi * i / TESS_FFT_POINTS, &sine, &cosine);
        window[i] = (float)(0.5 - 0.5 * cosine);
    }
}

tess_status tess_spectra_new(int64_t n_sample, tess_spectra **out, tess_error *err)
{
    tess_spectra *s = calloc(1, sizeof *s);
    bool ok = s != NULL;
    if (ok) {
        s->n_spectrum = (int64_t)count_spectra((uint64_t)n_sample);
        s->n_moment = count_moments((uint64_t)n_sample);
        s->n_held = EDGE; /* a spectrum stands for its middle */
        s->count = calloc((size_t)s->n_moment + 1, sizeof *s->count);
        ok = s->count != NULL;
        for (int side = 0; side < TESS_SOUND_SIDES && ok; side++) {
            s->power[side] = calloc((size_t)s->n_moment * TESS_SOUND_LINES + 1, sizeof **s->power);
            ok = s->power[side] != NULL;
        }
    }
    if (!ok) {
        tess_spectra_free(s);
        return tess_fail(err, TESS_ENOMEM, "no memory for the spectra of %lld samples", (long long)n_sample);
    }
    tess_fft_init(&s->fft);
    fill_window(s->window);
    *out = s;
    return TESS_OK;
}

void tess_spectra_free(tess_spectra *spectra)
{
    if (!spectra) return;
    for (int side = 0; side < TESS_SOUND_SIDES; side++) free(spectra->power[side]);
    free(spectra->count);
    free(spectra);
}

static void take_spectrum(tess_spectra *s)
{
    size_t moment = (size_t)(s->n_done * s->n_moment / s->n_spectrum);
    for (int side = 0; side < TESS_SOUND_SIDES; side++) {
        float windowed[TESS_FFT_POINTS];
        double power[TESS_FFT_BINS];
        for (int i = 0; i < TESS_FFT_POINTS; i++) windowed[i] = s->window[i] * s->held[side][i];
        tess_fft_power(&s->fft, windowed, power);
        for (int bin = 0; bin < TESS_FFT_BINS; bin++)
            s->power[side][(size_t)(bin / LINE_BINS) * (size_t)s->n_moment + moment] += (float)power[bin];
        memmove(s->held[side], s->held[side] + TESS_SPECTRA_HOP,
                (TESS_FFT_POINTS - TESS_SPECTRA_HOP) * sizeof **s->held);
    }
    s->count[moment]++;
    s->n_done++;
    s->n_held -= TESS_SPECTRA_HOP;
}

void tess_spectra_add(tess_spectra *s, const float sample[TESS_SOUND_SIDES])
{
    for (int side = 0; side < TESS_SOUND_SIDES; side++) s->held[side][s->n_held] = sample[side];
    if (++s->n_held == TESS_FFT_POINTS && s->n_done < s->n_spectrum)
        take_spectrum(s);
    else if (s->n_held == TESS_FFT_POINTS)
        s->n_held--;
}

void tess_spectra_end(tess_spectra *s)
{
    static const float silence[TESS_SOUND_SIDES];
    while (s->n_done < s->n_spectrum) tess_spectra_add(s, silence);
    for (int side = 0; side < TESS_SOUND_SIDES; side++)
        for (size_t i = 0; i < (size_t)s->n_moment * TESS_SOUND_LINES; i++)
            s->power[side][i] /= (float)(s->count[i % (size_t)s->n_moment] * LINE_BINS);
}

uint64_t tess_spectra_bytes(uint64_t n_sample)
{
    uint64_t n = (uint64_t)count_moments(n_sample);
    return sizeof(tess_spectra) + (n + 1) * sizeof(int64_t) +
           TESS_SOUND_SIDES * (n * TESS_SOUND_LINES + 1) * sizeof(float);
}
