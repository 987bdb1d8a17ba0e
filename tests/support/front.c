#include "front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

static double bend(double x)
{
    return x * (32768 - (x < 0 ? -x : x));
}

/* All are whole numbers over a power of two in double: exact, whatever the order of the products. */
static double sample_of(const char *kind, int64_t at, double noise)
{
    if (!strcmp(kind, "noise")) return noise / 65536;
    if (!strcmp(kind, "zeros")) return 0;
    if (!strcmp(kind, "quiet")) return noise / 17179869184.0;
    if (!strcmp(kind, "loud")) return noise * 64;
    if (!strcmp(kind, "swell")) return noise * (double)(at % 20000) / 2147483648.0;
    if (!strcmp(kind, "saw")) return (double)(at * 1803 % 65536 - 32768) / 65536;
    if (!strcmp(kind, "smooth")) return bend((double)(at * 1803 % 65536 - 32768)) / 268435456.0;
    if (!strcmp(kind, "click")) return at == 2000 ? 0.5 : 0;
    if (!strcmp(kind, "tail")) return at >= 15950 ? noise / 65536 : 0;
    fail_msg("no samples of the kind %s", kind);
    return 0;
}

float *front_samples(const char *kind, size_t n)
{
    float *out = malloc((n ? n : 1) * sizeof *out);
    assert_non_null(out);
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (float)sample_of(kind, (int64_t)i, (double)(state >> 16) - 32768);
    }
    return out;
}

uint8_t *front_picture(int width, int height, int seed)
{
    uint8_t *out = malloc((size_t)width * (size_t)height * 3), *at = out;
    assert_non_null(out);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                const int slope = (x * 3 + y * 5 + c * 40 + seed * 17) / 4;
                const int edge = (x / 13 + y / 9 + c) % 2 * 90;
                const int detail = ((x * 31 + seed) ^ (y * 57 + c * 11)) % 64;
                *at++ = (uint8_t)((slope + edge + detail) % 256);
            }
    return out;
}

json_t *front_pictures(void)
{
    json_error_t problem;
    json_t *root = json_load_file("tests/golden/front/pictures.json", 0, &problem);
    if (!root) fail_msg("pictures.json, line %d: %s", problem.line, problem.text);
    return root;
}

int front_int(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);
    assert_true(json_is_integer(value));
    return (int)json_integer_value(value);
}

void front_assert_digest(const json_t *entry, const char *key, const void *bytes, size_t n_byte)
{
    char hex[TESS_SHA256_HEX];
    tess_sha256_bytes(bytes, n_byte, hex);
    const char *expected = json_string_value(json_object_get(entry, key));
    assert_non_null(expected);
    if (strcmp(hex, expected) != 0) {
        char *text = json_dumps(entry, 0);
        fail_msg("%s: other bytes, %s", text, hex);
    }
}
