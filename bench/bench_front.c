/* How fast the front end is: mel frames of half a minute of sound, a 12-megapixel picture made smaller and
 * larger, and its patches.
 *
 * Each figure is processor time, the median of ROUNDS, with the lowest and highest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "media/mel.h"
#include "media/patches.h"
#include "media/resize.h"

enum { ROUNDS = 7, SAMPLES = 30 * TESS_MEL_RATE_HZ, WIDE = 4000, HIGH = 3000, PATCH = 1536 };

typedef void work(const void *input, int width, int height);

static void measure(const char *what, work *do_it, const void *input, int width, int height)
{
    double seconds[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        const double start = bench_now(CLOCK_PROCESS_CPUTIME_ID);
        do_it(input, width, height);
        seconds[i] = bench_now(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    bench_sort(seconds, ROUNDS);
    printf("%-34s %7.1f ms (%.1f to %.1f)\n", what, 1e3 * seconds[ROUNDS / 2], 1e3 * seconds[0],
           1e3 * seconds[ROUNDS - 1]);
}

static void make_frames(const void *samples, int width, int height)
{
    (void)width;
    (void)height;
    tess_mel *mel;
    if (tess_mel_new(&mel, "", 128, SAMPLES, NULL) != TESS_OK) exit(1);
    if (tess_mel_push(mel, samples, SAMPLES, NULL) != TESS_OK || tess_mel_finish(mel, NULL) != TESS_OK)
        exit(1);
    tess_mel_free(mel);
}

static void resize(const void *rgb, int width, int height)
{
    uint8_t *out = malloc((size_t)width * (size_t)height * 3);
    const tess_picture in = {WIDE, HIGH, (uint8_t *)(uintptr_t)rgb}, to = {width, height, out};
    if (!out || tess_picture_resize(&in, &to, "", NULL) != TESS_OK) exit(1);
    free(out);
}

static void cut(const void *rgb, int width, int height)
{
    static const double half[3] = {0.5, 0.5, 0.5};
    uint8_t *frame = (uint8_t *)(uintptr_t)rgb;
    float *row = malloc(PATCH * sizeof *row);
    tess_patches patches = {width, height, 16, 2, 2, 1, &frame, {{0}}};
    tess_patches_set_values(&patches, half, half);
    const tess_features features = tess_patches_get_features(&patches, TESS_MEDIA_IMAGE);
    const int64_t n_row = (int64_t)features.n_high * features.n_wide;
    if (!row) exit(1);
    for (int64_t i = 0; i < n_row; i++) features.read(features.context, i, 1, row, NULL);
    free(row);
}

int main(void)
{
    float *samples = malloc(SAMPLES * sizeof *samples);
    uint8_t *rgb = malloc((size_t)WIDE * HIGH * 3);
    if (!samples || !rgb) return 1;
    uint32_t state = 7;
    for (int i = 0; i < SAMPLES; i++) {
        state = state * 1664525u + 1013904223u;
        samples[i] = (float)(state >> 16) / 65536.0f - 0.5f;
    }
    for (size_t i = 0; i < (size_t)WIDE * HIGH * 3; i++) {
        state = state * 1664525u + 1013904223u;
        rgb[i] = (uint8_t)(state >> 24);
    }
    measure("30 s of sound to 3,000 mel frames", make_frames, samples, 0, 0);
    measure("4000 x 3000 to 4000 x 3008", resize, rgb, 4000, 3008);
    measure("4000 x 3000 to 3872 x 2912", resize, rgb, 3872, 2912);
    measure("4000 x 3000 to 1024 x 768", resize, rgb, 1024, 768);
    measure("3872 x 2912 to patches", cut, rgb, 3872, 2912);
    free(samples);
    free(rgb);
    return 0;
}
