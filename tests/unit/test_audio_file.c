/* Sound files: the samples of the original's loader (tests/data/media/audio, made by
 * reference/media_audio.py), and what is refused. */
#include "media/audio_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "../support/media.h"

#define FOLDER "tests/data/media/audio/"
enum { RATE = 16000, MOST = 1 << 20 };
/* Of resampled samples: soxr's own variants, by instruction set, differ that much (measured: 1.2e-7). */
static const double NEAR = 2e-7;

typedef struct heard {
    float *samples;
    size_t n;
} heard;

static tess_status hear(void *context, const float *samples, size_t n, tess_error *err)
{
    heard *h = context;
    assert_true(n > 0);
    if (h->n + n > MOST) return tess_fail(err, TESS_EINTERRUPTED, "enough");
    memcpy(h->samples + h->n, samples, n * sizeof *samples);
    h->n += n;
    return TESS_OK;
}

static heard begin(void)
{
    heard h = {malloc(MOST * sizeof(float)), 0};
    assert_non_null(h.samples);
    return h;
}

static bool is_exact(const heard *h, const char *expected)
{
    tess_sha256 sha;
    char hex[TESS_SHA256_HEX];
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, h->samples, h->n * sizeof *h->samples);
    tess_sha256_finish(&sha, hex);
    return !strcmp(hex, expected);
}

static bool is_near(const heard *h, const char *file)
{
    char path[128];
    size_t n_byte;
    snprintf(path, sizeof path, FOLDER "%s", file);
    uint8_t *bytes = media_read(path, &n_byte);
    double worst = n_byte == h->n * sizeof(float) ? 0 : INFINITY;
    for (size_t i = 0; i < h->n && worst < INFINITY; i++) {
        float expected;
        memcpy(&expected, bytes + i * sizeof expected, sizeof expected);
        worst = fmax(worst, fabs((double)expected - h->samples[i]));
    }
    free(bytes);
    print_message("# %s: max abs %.3g\n", path, worst);
    return worst <= NEAR;
}

/* Codecs lose something (LAME scales by 0.95), and give a little more or less than they were given; what was
 * put in is a tone of amplitude 1/2. */
static bool is_tone(const heard *h, double hz)
{
    double along = 0, across = 0, power = 0;
    size_t first = h->n / 4, end = 3 * h->n / 4;
    for (size_t i = first; i < end; i++) {
        double turn = 2 * M_PI * hz * (double)i / RATE;
        along += h->samples[i] * cos(turn);
        across += h->samples[i] * sin(turn);
        power += (double)h->samples[i] * h->samples[i];
    }
    double n = (double)(end - first), amplitude = 2 * hypot(along, across) / n;
    double left_over = power / n - amplitude * amplitude / 2;
    print_message("# amplitude %.4f, what is no tone %.2g\n", amplitude, left_over);
    return fabs(amplitude - 0.5) < 0.03 && left_over < 2e-4;
}

static bool check_file(const char *name, int rate, int n_channel, size_t n, const char *kind,
                       const char *said)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    tess_source source = {.name = path, .path = path};
    tess_audio_facts facts = {0};
    tess_error err = {0};
    heard h = begin();
    tess_status status = tess_audio_decode(&source, RATE, hear, &h, &facts, &err);
    bool is_tone_kind = !strcmp(kind, "tone");
    bool is_good = status == TESS_OK && facts.rate_hz == rate && facts.n_channel == n_channel &&
                   (is_tone_kind ? labs((long)h.n - (long)n) <= 1600 : h.n == n);
    if (!is_good)
        print_error("# %s: %s; %d Hz, %d channels, %zu samples (%s)\n", path, err.message, facts.rate_hz,
                    facts.n_channel, h.n, facts.format);
    else if (!strcmp(kind, "exact"))
        is_good = is_exact(&h, said);
    else
        is_good = is_tone_kind ? is_tone(&h, atof(said)) : is_near(&h, said);
    if (!is_good) print_error("# %s: not the samples expected\n", path);
    free(h.samples);
    return is_good;
}

static void decodes_to_the_loaders_samples(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "samples.txt", "r");
    assert_non_null(list);
    char name[64], kind[16], said[TESS_SHA256_HEX];
    int rate, n_channel, n_file = 0, n_bad = 0;
    for (size_t n; fscanf(list, "%63s %d %d %zu %15s %64s", name, &rate, &n_channel, &n, kind, said) == 6;
         n_file++)
        n_bad += !check_file(name, rate, n_channel, n, kind, said);
    fclose(list);
    assert_int_equal(n_bad, 0);
    assert_true(n_file >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_to_the_loaders_samples),
    };
    return cmocka_run_group_tests_name("audio_file", tests, NULL, NULL);
}
