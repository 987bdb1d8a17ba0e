/* Films: which frames are sampled and what their pixels are (tests/data/media/video, made by
 * reference/media_video.py from what the ffmpeg program says), and what is refused. */
#include "media/video_file.h"

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

#define FOLDER "tests/data/media/video/"
enum { ROOM = 256 << 20 };

typedef struct seen {
    tess_sha256 sha;
    int n, width, height;
    double last, fps;
    bool is_even; /* frames lie 1 / fps apart */
} seen;

static tess_status see(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)err;
    seen *s = context;
    if (s->n && fabs(seconds - s->last - 1 / s->fps) > 1e-9) s->is_even = false;
    if (!s->n && seconds != 0) s->is_even = false;
    s->last = seconds;
    s->n++;
    s->width = frame->width;
    s->height = frame->height;
    tess_sha256_add(&s->sha, frame->rgb, 3 * (size_t)frame->width * (size_t)frame->height);
    return TESS_OK;
}

typedef struct expectation {
    char name[64], sha[TESS_SHA256_HEX];
    double fps, sampled_fps;
    int most, width, height, n_decoded, n_frame, has_audio;
} expectation;

static bool is_as_expected(const expectation *e, const tess_video_facts *facts)
{
    return facts->width == e->width && facts->height == e->height && facts->n_decoded == e->n_decoded &&
           facts->n_frame == e->n_frame && fabs(facts->fps - e->sampled_fps) < 1e-7 * e->sampled_fps &&
           facts->has_audio == e->has_audio;
}

static bool check(const expectation *e)
{
    char path[128], hex[TESS_SHA256_HEX];
    snprintf(path, sizeof path, FOLDER "%s", e->name);
    tess_source source = {.name = path, .path = path};
    tess_video_options options = {.fps = e->fps, .max_frames = e->most, .max_bytes = ROOM};
    tess_video_facts probed = {0}, facts = {0};
    tess_error err = {0};
    if (tess_video_probe(&source, &options, &probed, &err) != TESS_OK) {
        print_error("# %s\n", err.message);
        return false;
    }
    options.known = &probed;
    seen s = {.fps = probed.fps, .is_even = true};
    tess_sha256_init(&s.sha);
    tess_status status = tess_video_decode(&source, &options, see, &s, &facts, &err);
    tess_sha256_finish(&s.sha, hex);
    bool is_good = status == TESS_OK && is_as_expected(e, &probed) &&
                   !memcmp(&facts, &probed, sizeof facts) && s.n == e->n_frame && s.width == e->width &&
                   s.height == e->height && s.is_even && !strcmp(hex, e->sha);
    if (!is_good)
        print_error("# %s at %g fps, at most %d: %s; %d x %d, %lld decoded, %d frames at %.9g fps, %s%s\n",
                    path, e->fps, e->most, err.message, facts.width, facts.height, (long long)facts.n_decoded,
                    s.n, facts.fps, facts.has_audio ? "sound" : "no sound",
                    strcmp(hex, e->sha) ? ", other pixels" : "");
    return is_good;
}

static void samples_the_frames_that_are_shown(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "frames.txt", "r");
    assert_non_null(list);
    int n = 0, n_bad = 0;
    for (expectation e;
         fscanf(list, "%63s %lf %d %d %d %d %d %lf %d %64s", e.name, &e.fps, &e.most, &e.width, &e.height,
                &e.n_decoded, &e.n_frame, &e.sampled_fps, &e.has_audio, e.sha) == 10;
         n++)
        n_bad += !check(&e);
    fclose(list);
    assert_int_equal(n_bad, 0);
    assert_true(n >= 76);
}

/* ---- what is refused, and what is not ---- */

static const tess_video_options ordinary = {.fps = 2, .max_frames = 768, .max_bytes = ROOM};

static uint8_t *read_film(const char *name, size_t *n)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    return media_read(path, n);
}

static tess_status probe(const void *data, size_t n, tess_video_facts *facts, tess_error *err)
{
    tess_source source = {.name = "film", .data = data, .n_byte = n};
    return tess_video_probe(&source, &ordinary, facts, err);
}

static void must_refuse(const void *data, size_t n, const char *found)
{
    tess_video_facts facts = {.width = 7};
    tess_error err = {0};
    tess_status status = probe(data, n, &facts, &err);
    if (status != TESS_EINPUT || !strstr(err.found, found)) print_error("# %d %s\n", status, err.message);
    assert_int_equal(status, TESS_EINPUT);
    assert_string_equal(err.file, "film");
    assert_non_null(strstr(err.found, found));
    assert_int_equal(facts.width, 7);
}

static void refuses_what_is_no_film(void **state)
{
    (void)state;
    must_refuse("", 0, "empty");
    must_refuse("x", 1, "cannot be read");
    char text[4096];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "the quick brown fox\n"[i % 20];
    must_refuse(text, sizeof text, "cannot be read");
    static const char *const others[] = {"../audio/s16.wav", "../audio/tone.m4a", "../images/444.jpg"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n;
        uint8_t *bytes = read_film(others[i], &n);
        must_refuse(bytes, n, i < 2 ? "no video track" : "a picture (JPEG)");
        free(bytes);
    }
}

static void refuses_frames_that_are_too_large(void **state)
{
    (void)state;
    tess_source source = {.name = "film", .path = FOLDER "plain.mp4"};
    tess_video_options options = ordinary;
    tess_video_facts facts;
    tess_error err;
    assert_int_equal(tess_video_probe(&source, &options, &facts, &err), TESS_OK);
    options.max_bytes = facts.bytes;
    assert_int_equal(tess_video_probe(&source, &options, &facts, &err), TESS_OK);
    options.max_bytes = facts.bytes - 1;
    assert_int_equal(tess_video_probe(&source, &options, &facts, &err), TESS_EBUDGET);
    assert_string_equal(err.field, "max_bytes");
    assert_int_equal(err.smallest_budget_bytes, facts.bytes);
    assert_non_null(strstr(err.message, "its 36 x 28 pixels take 3"));
}

/* Frames that become larger on the way are refused before they are made, or for being another size. */
static void refuses_frames_that_grow(void **state)
{
    (void)state;
    tess_source source = {.name = "film", .path = "tests/data/media/refused/growing.ivf"};
    tess_video_options options = ordinary;
    tess_video_facts facts;
    tess_error err = {0};
    assert_int_equal(tess_video_probe(&source, &options, &facts, &err), TESS_EINPUT);
    assert_string_equal(err.found, "320 x 240 after 32 x 32");
    options.max_bytes = 34 << 20;
    assert_int_equal(tess_video_probe(&source, &options, &facts, &err), TESS_EBUDGET);
    assert_non_null(strstr(err.message, "its 320 x 2"));
}

/* Packets of vp9.webm by ffprobe: the eleventh of 24, and the last. */
enum { MIDDLE_AT = 2643, MIDDLE_BYTES = 308, LAST_AT = 4599, LAST_BYTES = 99, N_WHOLE = 24 };

static void leaves_out_a_last_frame_that_is_damaged(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_film("vp9.webm", &n);
    memset(bytes + LAST_AT + 8, 0xff, LAST_BYTES - 8);
    tess_video_facts facts;
    tess_error err;
    assert_int_equal(probe(bytes, n, &facts, &err), TESS_OK);
    assert_int_equal(facts.n_decoded, N_WHOLE - 1);
    memset(bytes + MIDDLE_AT + 8, 0xff, MIDDLE_BYTES - 8);
    must_refuse(bytes, n, "damage with more behind it");
    free(bytes);
}

/* Last packets of MP4 files by ffprobe, all in H.264 with their length in the first four bytes: whatever is
 * made of the frame, those before it are taken, an even number of them. */
static void leaves_out_a_last_frame_of_h264(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at, n_byte;
        int n_whole, n_frame; /* decoded, and sampled at as many a second as it has */
    } films[] = {
        {"plain.mp4", 2947, 24, 50, 50}, {"frames3.mp4", 1054, 19, 3, 2}, {"frames2.mp4", 1025, 13, 2, 2}};
    static const uint8_t fills[] = {0x00, 0xff, 0x5a};
    tess_video_options options = ordinary;
    options.fps = 25;
    for (size_t i = 0; i < sizeof films / sizeof *films; i++)
        for (size_t k = 0; k < sizeof fills; k++) {
            size_t n;
            uint8_t *bytes = read_film(films[i].name, &n);
            memset(bytes + films[i].at + 4, fills[k], films[i].n_byte - 4);
            const tess_source source = {.name = "film", .data = bytes, .n_byte = n};
            tess_video_facts facts;
            tess_error err;
            seen s = {.fps = 25, .is_even = true};
            tess_sha256_init(&s.sha);
            assert_int_equal(tess_video_decode(&source, &options, see, &s, &facts, &err), TESS_OK);
            assert_int_equal(facts.n_decoded, films[i].n_whole - 1);
            assert_int_equal(facts.n_frame, films[i].n_frame);
            assert_int_equal(s.n, films[i].n_frame);
            assert_non_null(strstr(facts.loss, "decoded"));
            free(bytes);
        }
    size_t n;
    uint8_t *bytes = read_film("plain.mp4", &n);
    memset(bytes + 2853 + 4, 0xff, 30 - 4); /* the fourth before the end */
    must_refuse(bytes, n, "damage with more behind it");
    free(bytes);
}

/* The container says how many frames there should be; those that are there count. */
static void counts_the_frames_that_are_there(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_film("vp9.webm", &n);
    int n_shorter = 0;
    for (size_t cut = 1; cut < n; cut += 61) {
        uint8_t *copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        tess_video_facts facts;
        tess_error err;
        tess_status status = probe(copy, cut, &facts, &err);
        assert_true(status == TESS_EINPUT || status == TESS_EBUDGET || status == TESS_OK);
        if (status == TESS_OK) {
            assert_true(facts.n_decoded >= 1 && facts.n_decoded <= N_WHOLE);
            assert_true(facts.n_frame >= 2 && facts.n_frame % 2 == 0);
            n_shorter += facts.n_decoded < N_WHOLE;
        }
        free(copy);
    }
    assert_true(n_shorter > 10);
    free(bytes);
}

static void damage_anywhere_is_survived(void **state)
{
    (void)state;
    static const char *const names[] = {"plain.mp4", "sound.mp4", "odd-size.mkv", "mpeg4.avi",
                                        "animated.gif"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n;
        uint8_t *bytes = read_film(names[i], &n);
        for (size_t at = 0; at + 8 < n; at += n / 50 + 1) {
            uint8_t saved[8];
            memcpy(saved, bytes + at, 8);
            for (int k = 0; k < 8; k++) bytes[at + (size_t)k] ^= (uint8_t)(0x35 + k);
            tess_video_facts facts;
            tess_error err = {0};
            tess_status status = probe(bytes, n, &facts, &err);
            if (status != TESS_OK) {
                assert_true(status == TESS_EINPUT || status == TESS_EBUDGET);
                assert_string_equal(err.file, "film");
            }
            memcpy(bytes + at, saved, 8);
        }
        free(bytes);
    }
}

static tess_status stop(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)frame;
    (void)seconds;
    return ++*(int *)context < 3 ? TESS_OK : tess_fail(err, TESS_EINTERRUPTED, "enough");
}

static void stops_when_the_sink_does(void **state)
{
    (void)state;
    int n_call = 0;
    tess_source source = {.name = "film", .path = FOLDER "plain.mp4"};
    tess_error err;
    assert_int_equal(tess_video_decode(&source, &ordinary, stop, &n_call, NULL, &err), TESS_EINTERRUPTED);
    assert_int_equal(n_call, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_no_film),
        cmocka_unit_test(refuses_frames_that_are_too_large),
        cmocka_unit_test(refuses_frames_that_grow),
        cmocka_unit_test(leaves_out_a_last_frame_that_is_damaged),
        cmocka_unit_test(leaves_out_a_last_frame_of_h264),
        cmocka_unit_test(counts_the_frames_that_are_there),
        cmocka_unit_test(damage_anywhere_is_survived),
        cmocka_unit_test(stops_when_the_sink_does),
        cmocka_unit_test(samples_the_frames_that_are_shown),
    };
    return cmocka_run_group_tests_name("video_file", tests, NULL, NULL);
}
