#include "wave.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/utf8.h"
#include "base/whole_file.h"
#include "voice.h"

enum { HEADER = 44, MOST_BYTES = HEADER + 3600 * VOICE_RATE_HZ * 2 };

static const struct field {
    const char *name;
    int at, n_byte;
    uint32_t expected;
} fields[] = {{"format", 20, 2, 1}, /* integers */
              {"channels", 22, 2, 1},
              {"samples a second", 24, 4, VOICE_RATE_HZ},
              {"bits of a sample", 34, 2, 16}};

static tess_status check_name(const char *path, const char *bytes, int at, const char *expected,
                              tess_error *err)
{
    size_t n = strlen(expected);
    if (!memcmp(bytes + at, expected, n)) return TESS_OK;
    char found[64];
    tess_utf8_escape(bytes + at, n, "", found, sizeof found);
    return tess_refuse(err, path, "header", at, expected, "%s", found);
}

static tess_status check_header(const char *path, const char *bytes, size_t n_byte, tess_error *err)
{
    if (n_byte < HEADER)
        return tess_refuse(err, path, "", 0, "a WAV file of at least 44", "%zu bytes", n_byte);
    tess_status status = check_name(path, bytes, 0, "RIFF", err);
    if (status == TESS_OK) status = check_name(path, bytes, 8, "WAVEfmt ", err);
    for (size_t i = 0; i < sizeof fields / sizeof *fields && status == TESS_OK; i++) {
        const struct field *f = &fields[i];
        uint32_t found = 0;
        memcpy(&found, bytes + f->at, (size_t)f->n_byte);
        char expected[16];
        snprintf(expected, sizeof expected, "%" PRIu32, f->expected);
        if (found != f->expected)
            status = tess_refuse(err, path, f->name, f->at, expected, "%" PRIu32, found);
    }
    if (status == TESS_OK) status = check_name(path, bytes, 36, "data", err);
    uint32_t n_data = 0;
    if (status == TESS_OK) memcpy(&n_data, bytes + 40, sizeof n_data);
    /* A file that was written through a pipe does not know its length. */
    if (status == TESS_OK && n_data != UINT32_MAX && n_data != n_byte - HEADER) {
        char expected[32];
        snprintf(expected, sizeof expected, "%zu, as follow", n_byte - HEADER);
        status = tess_refuse(err, path, "bytes of samples", 40, expected, "%" PRIu32, n_data);
    }
    if (status == TESS_OK && (n_byte - HEADER) % 2)
        status = tess_refuse(err, path, "bytes of samples", 40, "an even number", "%zu", n_byte - HEADER);
    return status;
}

tess_status wave_read(const char *path, float **out, size_t *n_sample, tess_error *err)
{
    char *bytes;
    size_t n_byte;
    tess_status status = tess_whole_file_read(path, "a WAV file", MOST_BYTES, &bytes, &n_byte, err);
    if (status != TESS_OK) return status;
    status = check_header(path, bytes, n_byte, err);
    size_t n = status == TESS_OK ? (n_byte - HEADER) / 2 : 0;
    float *samples = status == TESS_OK ? malloc((n + 1) * sizeof *samples) : NULL;
    if (status == TESS_OK && !samples) status = tess_fail(err, TESS_ENOMEM, "no memory for %zu samples", n);
    for (size_t i = 0; i < n && samples; i++) {
        int16_t sample;
        memcpy(&sample, bytes + HEADER + 2 * i, sizeof sample);
        samples[i] = (float)sample / 32767;
    }
    free(bytes);
    if (status != TESS_OK) return status;
    *out = samples;
    *n_sample = n;
    return TESS_OK;
}
