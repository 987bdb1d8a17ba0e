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
#include "base/random.h"
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
    char hex[TESS_SHA256_HEX];
    tess_sha256_bytes(h->samples, h->n * sizeof *h->samples, hex);
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

/* ---- what is refused, and what is not ---- */

static tess_status decode(const void *data, size_t n, heard *h, tess_audio_facts *facts, tess_error *err)
{
    tess_source source = {.name = "sound", .data = data, .n_byte = n};
    h->n = 0;
    return tess_audio_decode(&source, RATE, hear, h, facts, err);
}

static uint8_t *read_sound(const char *name, size_t *n)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    return media_read(path, n);
}

static void memory_gives_what_a_file_gives(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_sound("44k.wav", &n);
    heard h = begin();
    tess_error err;
    tess_audio_facts facts;
    assert_int_equal(decode(bytes, n, &h, &facts, &err), TESS_OK);
    assert_true(is_near(&h, "44k.f32"));
    assert_string_equal(facts.format, "WAV, pcm_s16le");
    assert_true(fabs(facts.seconds - 2211 / 44100.0) < 1e-12);
    assert_int_equal(decode(bytes, n, &h, NULL, &err), TESS_OK);
    free(h.samples);
    free(bytes);
}

static void passes_nan_on(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_sound("f32.wav", &n);
    static const float bad[] = {NAN, INFINITY};
    memcpy(bytes + 44 + 400, bad, sizeof bad);
    heard h = begin();
    tess_error err;
    assert_int_equal(decode(bytes, n, &h, NULL, &err), TESS_OK);
    assert_true(isnan(h.samples[100]) && isinf(h.samples[101]) && isfinite(h.samples[102]));
    free(h.samples);
    free(bytes);
}

static void must_refuse(const void *data, size_t n, const char *found)
{
    heard h = begin();
    tess_audio_facts facts = {.rate_hz = 7};
    tess_error err = {0};
    tess_status status = decode(data, n, &h, &facts, &err);
    if (status != TESS_EINPUT || !strstr(err.found, found)) print_error("# %d %s\n", status, err.message);
    assert_int_equal(status, TESS_EINPUT);
    assert_string_equal(err.file, "sound");
    assert_non_null(strstr(err.found, found));
    assert_int_equal(facts.rate_hz, 7);
    free(h.samples);
}

static void refuses_what_is_no_sound(void **state)
{
    (void)state;
    must_refuse("", 0, "empty");
    must_refuse("x", 1, "cannot be read");
    static const char *const lists[] = {"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
                                        "ffconcat version 1.0\nfile /etc/passwd\n"};
    for (size_t i = 0; i < 2; i++) must_refuse(lists[i], strlen(lists[i]), "cannot be read");
    char text[4096];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "the quick brown fox\n"[i % 20];
    must_refuse(text, sizeof text, "cannot be read");
    static const char *const others[] = {"../images/444.jpg",    "../images/rgb8.png",
                                         "../images/lossy.webp", "../images/animated.gif",
                                         "../video/plain.mp4",   "../video/vp9.webm"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n;
        uint8_t *bytes = read_sound(others[i], &n);
        must_refuse(bytes, n, i < 3 ? "a picture (" : "no audio track");
        free(bytes);
    }
    size_t n;
    uint8_t *bytes = read_sound("s16.wav", &n);
    must_refuse(bytes, 44, "without a sample"); /* nothing but a header */
    free(bytes);
}

static void refuses_random_bytes(void **state)
{
    (void)state;
    heard h = begin();
    uint64_t random = 3;
    for (int i = 0; i < 60; i++) {
        uint8_t bytes[4096];
        for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (uint8_t)tess_random_next(&random);
        tess_error err;
        assert_int_equal(decode(bytes, sizeof bytes, &h, NULL, &err), TESS_EINPUT);
    }
    free(h.samples);
}

/* What is there of a file that was cut off is used, as that of a recording that was broken off is. */
static void cut_wav_gives_what_is_there(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_sound("s16.wav", &n);
    heard whole = begin(), part = begin();
    tess_error err;
    assert_int_equal(decode(bytes, n, &whole, NULL, &err), TESS_OK);
    for (size_t cut = 46; cut < n; cut += 97) {
        uint8_t *copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(decode(copy, cut, &part, NULL, &err), TESS_OK);
        assert_int_equal(part.n, (cut - 44) / 2);
        assert_memory_equal(part.samples, whole.samples, part.n * sizeof(float));
        free(copy);
    }
    free(whole.samples);
    free(part.samples);
    free(bytes);
}

static void other_cuts_are_refused_or_shorter(void **state)
{
    (void)state;
    static const char *const names[] = {"tone.mp3",  "tone.ogg", "tone.m4a",
                                        "tone.webm", "s16.flac", "s16.caf"};
    heard h = begin();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n, n_whole;
        uint8_t *bytes = read_sound(names[i], &n);
        tess_error err;
        assert_int_equal(decode(bytes, n, &h, NULL, &err), TESS_OK);
        n_whole = h.n;
        for (size_t cut = 1; cut < n; cut += n / 40 + 1) {
            uint8_t *copy = malloc(cut);
            assert_non_null(copy);
            memcpy(copy, bytes, cut);
            tess_status status = decode(copy, cut, &h, NULL, &err);
            assert_true(status == TESS_EINPUT || (status == TESS_OK && h.n <= n_whole + 1600));
            free(copy);
        }
        free(bytes);
    }
    free(h.samples);
}

static void refuses_damaged_flac(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_sound("s24.flac", &n);
    bytes[n - 1000] ^= 1;
    must_refuse(bytes, n, "damage with more behind it");
    free(bytes);
}

static tess_status count(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)samples;
    (void)err;
    *(size_t *)context += n;
    return TESS_OK;
}

/* A file of 19 KB with 20 MB of sound in it, all of it the same bytes again and again. */
static void refuses_a_file_that_leads_in_circles(void **state)
{
    (void)state;
    size_t n = 0;
    tess_source source = {.name = "sound", .path = "tests/data/media/refused/circles.mov"};
    tess_error err = {0};
    assert_int_equal(tess_audio_decode(&source, RATE, count, &n, NULL, &err), TESS_EINPUT);
    assert_non_null(strstr(err.found, "circles"));
    assert_true(n > 1000000 && n < 9600000);
}

static tess_status stop(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)samples;
    (void)n;
    ++*(int *)context;
    return tess_fail(err, TESS_EINTERRUPTED, "enough");
}

static void stops_when_the_sink_does(void **state)
{
    (void)state;
    static const char *const names[] = {FOLDER "s16.wav", FOLDER "44k.wav"};
    for (int i = 0; i < 2; i++) {
        int n_call = 0;
        tess_source source = {.name = names[i], .path = names[i]};
        tess_error err;
        assert_int_equal(tess_audio_decode(&source, RATE, stop, &n_call, NULL, &err), TESS_EINTERRUPTED);
        assert_int_equal(n_call, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_gives_what_a_file_gives),
        cmocka_unit_test(passes_nan_on),
        cmocka_unit_test(refuses_what_is_no_sound),
        cmocka_unit_test(refuses_random_bytes),
        cmocka_unit_test(cut_wav_gives_what_is_there),
        cmocka_unit_test(other_cuts_are_refused_or_shorter),
        cmocka_unit_test(refuses_damaged_flac),
        cmocka_unit_test(refuses_a_file_that_leads_in_circles),
        cmocka_unit_test(stops_when_the_sink_does),
        cmocka_unit_test(decodes_to_the_loaders_samples),
    };
    return cmocka_run_group_tests_name("audio_file", tests, NULL, NULL);
}
