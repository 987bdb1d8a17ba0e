/* Prints a digest of what the front end makes of sound and pictures. tests/invariance/test_front_neon.sh
 * builds it for two architectures: needs the C library alone. */
#include <stdio.h>
#include <stdlib.h>

#include "media/image_size.h"
#include "media/mel.h"
#include "media/patches.h"
#include "media/resize.h"

enum { N_SAMPLE = 40000, N_MEL = 128, WIDE = 333, HIGH = 217, PATCH = 1536 };

static uint64_t mix(uint64_t digest, const void *bytes, size_t n_byte)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n_byte; i++) digest = (digest ^ at[i]) * 1099511628211u;
    return digest;
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static uint64_t sound(void)
{
    static float samples[N_SAMPLE], frame[N_MEL];
    uint32_t state = 12345;
    for (int i = 0; i < N_SAMPLE; i++)
        samples[i] = ((float)next(&state) - 32768.0f) / 65536.0f / (float)(1 << i % 20000 / 1000);
    tess_mel *mel;
    if (tess_mel_new(&mel, "", N_MEL, N_SAMPLE, NULL) != TESS_OK) exit(1);
    if (tess_mel_push(mel, samples, N_SAMPLE, NULL) != TESS_OK || tess_mel_finish(mel, NULL) != TESS_OK)
        exit(1);
    const tess_features features = tess_mel_get_features(mel);
    uint64_t digest = 0;
    for (int64_t t = 0; t < features.n_frame; t++) {
        features.read(features.context, t, 1, frame, NULL);
        digest = mix(digest, frame, sizeof frame);
    }
    tess_mel_free(mel);
    return digest;
}

static uint64_t picture(int64_t most)
{
    static const double mean[3] = {0.48145466, 0.4578275, 0.40821073},
                        deviation[3] = {0.26862954, 0.26130258, 0.27577711};
    static uint8_t rgb[WIDE * HIGH * 3];
    static float row[PATCH];
    uint32_t state = 1;
    for (int i = 0; i < WIDE * HIGH * 3; i++) rgb[i] = (uint8_t)next(&state);
    tess_picture out;
    if (tess_image_size_choose("", WIDE, HIGH, 32, 1, most, &out.width, &out.height, NULL) != TESS_OK)
        exit(1);
    out.rgb = malloc((size_t)out.width * (size_t)out.height * 3);
    if (!out.rgb || tess_picture_resize(&(tess_picture){WIDE, HIGH, rgb}, &out, "", NULL) != TESS_OK) exit(1);
    tess_patches patches = {out.width, out.height, 16, 2, 2, 1, &out.rgb, {{0}}};
    tess_patches_set_values(&patches, mean, deviation);
    const tess_features features = tess_patches_get_features(&patches, TESS_MEDIA_IMAGE);
    uint64_t digest = 0;
    for (int64_t i = 0; i < (int64_t)features.n_high * features.n_wide; i++) {
        features.read(features.context, i, 1, row, NULL);
        digest = mix(digest, row, sizeof row);
    }
    free(out.rgb);
    return digest;
}

int main(void)
{
    printf("sound %016llx\n", (unsigned long long)sound());
    printf("picture %016llx\n", (unsigned long long)picture(1 << 24));
    printf("smaller %016llx\n", (unsigned long long)picture(1 << 13));
    return 0;
}
