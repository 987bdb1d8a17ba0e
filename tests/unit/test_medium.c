/* A medium from its source to features: what is known before it is decoded, and what is refused. */
#include <fenv.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/front.h"
#include "media/audio_file.h"
#include "media/image_size.h"
#include "media/patches.h"
#include "media/resize.h"
#include "media/video_file.h"
#include "../support/media.h"
#include "tessera/media.h"

enum { WAV_SAMPLES = 24000, WAV_HEAD = 44 };

static const char picture_path[] = "tests/data/media/images/rgb.bmp";

/* A WAV file of 16 bits in memory; the caller frees. */
static unsigned char *make_wav(size_t *n_byte)
{
    *n_byte = WAV_HEAD + 2 * WAV_SAMPLES;
    unsigned char *out = malloc(*n_byte);
    float *samples = front_samples("noise", WAV_SAMPLES);
    assert_non_null(out);
    const uint32_t rate = 16000, data = 2 * WAV_SAMPLES, all = data + 36, per_second = 32000, form = 16;
    const uint16_t kind = 1, n_channel = 1, block = 2, bits = 16;
    memcpy(out, "RIFF", 4);
    memcpy(out + 4, &all, 4);
    memcpy(out + 8, "WAVEfmt ", 8);
    memcpy(out + 16, &form, 4);
    memcpy(out + 20, &kind, 2);
    memcpy(out + 22, &n_channel, 2);
    memcpy(out + 24, &rate, 4);
    memcpy(out + 28, &per_second, 4);
    memcpy(out + 32, &block, 2);
    memcpy(out + 34, &bits, 2);
    memcpy(out + 36, "data", 4);
    memcpy(out + 40, &data, 4);
    for (size_t i = 0; i < WAV_SAMPLES; i++) {
        const int16_t value = (int16_t)(samples[i] * 32768.0f);
        memcpy(out + WAV_HEAD + 2 * i, &value, 2);
    }
    free(samples);
    return out;
}

/* All rows; the caller frees. */
static float *read_all(const tess_features *f, int64_t n_row, int width)
{
    float *rows = malloc((size_t)n_row * (size_t)width * sizeof *rows);
    assert_non_null(rows);
    assert_int_equal(f->read(f->context, 0, n_row, rows, NULL), TESS_OK);
    return rows;
}

static unsigned char *read_file(const char *path, size_t *n_byte)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *out = malloc(1 << 20);
    assert_non_null(out);
    *n_byte = fread(out, 1, 1 << 20, file);
    assert_int_equal(fclose(file), 0);
    return out;
}

static void a_picture_is_counted_before_it_is_decoded(void **state)
{
    (void)state;
    tess_medium_options options = media_options();
    tess_medium *medium = media_open(TESS_MEDIA_IMAGE, picture_path, &options);
    const tess_medium_facts before = *tess_medium_get_facts(medium), *facts = tess_medium_get_facts(medium);
    assert_string_equal(facts->name, picture_path);
    assert_string_equal(facts->format, "BMP");
    assert_true(facts->width > 0 && facts->height > 0);
    assert_int_equal(facts->taken_width % 32, 0);
    assert_int_equal(facts->n_wide, facts->taken_width / 16);
    assert_int_equal(facts->n_high, facts->taken_height / 16);
    assert_int_equal(facts->n_step, 1);
    assert_int_equal(facts->n_frame, 1);
    assert_true(facts->bytes_held > (uint64_t)facts->taken_width * (uint64_t)facts->taken_height * 3);
    assert_true(facts->bytes_peak > facts->bytes_held);
    media_prepare(medium);
    assert_memory_equal(facts, &before, sizeof before);
    const tess_features *features = tess_medium_get_features(medium);
    assert_int_equal(features->kind, TESS_MEDIA_IMAGE);
    assert_int_equal(features->n_wide, facts->n_wide);
    assert_true(features->seconds_per_grid == 0);
    tess_medium_close(medium);
}

static void memory_and_file_are_the_same(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = read_file(picture_path, &n_byte);
    tess_medium_options options = media_options();
    tess_medium *file = media_open(TESS_MEDIA_IMAGE, picture_path, &options), *memory;
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_IMAGE, "picture 1", bytes, n_byte, &options, &memory, NULL),
        TESS_OK);
    assert_string_equal(tess_medium_get_facts(memory)->name, "picture 1");
    media_prepare(file);
    fesetround(FE_UPWARD); /* and nothing of the caller's floating-point environment shows */
    media_prepare(memory);
    fesetround(FE_TONEAREST);
    const tess_features *a = tess_medium_get_features(file), *b = tess_medium_get_features(memory);
    const int64_t n_row = (int64_t)a->n_high * a->n_wide;
    assert_int_equal((int64_t)b->n_high * b->n_wide, n_row);
    float *from_file = read_all(a, n_row, 1536), *from_memory = read_all(b, n_row, 1536);
    assert_memory_equal(from_file, from_memory, (size_t)n_row * 1536 * sizeof *from_file);
    free(from_file);
    free(from_memory);
    free(bytes);
    tess_medium_close(file);
    tess_medium_close(memory);
}

static void sound_is_known_when_it_is_prepared(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    tess_medium_options options = media_options();
    tess_medium *medium;
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &medium, NULL), TESS_OK);
    const tess_medium_facts *facts = tess_medium_get_facts(medium);
    assert_int_equal(facts->n_frame, 0);
    assert_int_equal(facts->bytes_held, 0);
    media_prepare(medium);
    assert_int_equal(facts->n_frame, WAV_SAMPLES / 160);
    assert_int_equal(facts->rate_hz, 16000);
    assert_int_equal(facts->n_channel, 1);
    assert_true(facts->seconds == 1.5);
    assert_true(facts->bytes_held > (uint64_t)facts->n_frame * 128 * sizeof(float));
    const tess_features *features = tess_medium_get_features(medium);
    assert_int_equal(features->n_frame, facts->n_frame);
    float *rows = read_all(features, features->n_frame, 128);
    free(rows);
    tess_medium_close(medium);
    free(bytes);
}

static const char film_path[] = "tests/data/media/video/plain.mp4";

enum { MOST_FRAMES = 64 };

/* The frames of a film, each resized as a picture within the limits of a film's frames. */
typedef struct frames {
    uint8_t *rgb[MOST_FRAMES];
    int n, width, height;
} frames;

static tess_status keep_frame(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)seconds;
    frames *kept = context;
    assert_true(kept->n < MOST_FRAMES);
    assert_int_equal(tess_image_size_choose("film", frame->width, frame->height, 32, 131072, 786432,
                                            &kept->width, &kept->height, err),
                     TESS_OK);
    uint8_t *rgb = malloc((size_t)kept->width * (size_t)kept->height * 3);
    assert_non_null(rgb);
    kept->rgb[kept->n++] = rgb;
    return tess_picture_resize(frame, &(tess_picture){kept->width, kept->height, rgb}, "film", err);
}

/* A film's row holds, colour by colour, what the rows of its step's frames hold as pictures. */
static void a_step_is_two_frames(void **state)
{
    (void)state;
    enum { SQUARE = 16 * 16 };
    tess_medium_options options = media_options();
    options.fps = 5;
    tess_medium *medium = media_open(TESS_MEDIA_VIDEO, film_path, &options);
    media_prepare(medium);
    const tess_features *film = tess_medium_get_features(medium);
    const int per_step = film->n_high * film->n_wide;
    assert_true(film->seconds_per_grid == 0.4);
    float *rows = read_all(film, (int64_t)film->n_step * per_step, 1536);
    frames kept = {.n = 0};
    const tess_source source = {.name = film_path, .path = film_path};
    const tess_video_options decoding = {.fps = 5, .max_frames = MOST_FRAMES, .max_bytes = 1 << 30};
    assert_int_equal(tess_video_decode(&source, &decoding, keep_frame, &kept, NULL, NULL), TESS_OK);
    assert_int_equal(kept.n, 10);
    assert_int_equal(kept.n, tess_medium_get_facts(medium)->n_frame);
    for (int i = 0; i < kept.n; i++) {
        tess_patches patches = {kept.width, kept.height, 16, 2, 2, 1, &kept.rgb[i], {{0}}};
        tess_patches_set_values(&patches, media_published.mean, media_published.deviation);
        const tess_features picture = tess_patches_get_features(&patches, TESS_MEDIA_IMAGE);
        float *alone = read_all(&picture, per_step, 1536);
        for (int row = 0; row < per_step; row++)
            for (int c = 0; c < 3; c++)
                assert_memory_equal(
                    rows + ((size_t)(i / 2 * per_step + row) * 6 + (size_t)(2 * c + i % 2)) * SQUARE,
                    alone + ((size_t)row * 6 + (size_t)(2 * c)) * SQUARE, SQUARE * sizeof *rows);
        free(alone);
        free(kept.rgb[i]);
    }
    free(rows);
    tess_medium_close(medium);
}

/* A film of 2 s at a rate that would give more than the most frames. */
static void a_film_at_the_cap(void **state)
{
    (void)state;
    tess_medium_options options = media_options();
    options.fps = 1000;
    tess_medium *medium = media_open(TESS_MEDIA_VIDEO, film_path, &options);
    const tess_medium_facts *facts = tess_medium_get_facts(medium);
    assert_int_equal(facts->n_frame, 768);
    assert_true(fabs(facts->fps - 768 / facts->seconds) < 1e-9);
    assert_int_equal(facts->n_step, 384);
    assert_true(facts->bytes_held > 768ull * 416 * 320 * 3);
    assert_false(facts->has_sound);
    tess_error err;
    tess_medium *sound = NULL;
    assert_int_equal(tess_medium_open_sound(medium, &sound, &err), TESS_EINPUT);
    assert_string_equal(err.file, film_path);
    assert_string_equal(err.field, "sound");
    assert_null(sound);
    tess_medium_close(medium);
}

/* What becomes of half a minute of 30 frames a second: one grid is two frames at the rate really sampled. */
static void a_film_at_several_rates(void **state)
{
    (void)state;
    static const struct {
        double fps, sampled, seconds_per_grid;
        int n_frame;
    } rates[] = {{1, 1, 2, 30},
                 {2, 2, 1, 60},
                 {10, 10, 0.2, 300},
                 {25, 25, 0.08, 750},
                 {25.6, 25.6, 2 / 25.6, 768},
                 {30, 25.6, 2 / 25.6, 768}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        tess_medium_options options = media_options();
        options.fps = rates[i].fps;
        tess_medium *medium =
            media_open(TESS_MEDIA_VIDEO, "tests/data/media/large/thirty-seconds.mp4", &options);
        const tess_medium_facts *facts = tess_medium_get_facts(medium);
        const tess_features *features = tess_medium_get_features(medium);
        assert_true(facts->seconds == 30);
        assert_true(facts->fps == rates[i].sampled);
        assert_int_equal(facts->n_frame, rates[i].n_frame);
        assert_int_equal(features->n_step, rates[i].n_frame / 2);
        assert_true(features->seconds_per_grid == rates[i].seconds_per_grid);
        assert_int_equal(tess_features_count_tokens(features, &media_published), rates[i].n_frame / 2 * 144);
        tess_medium_close(medium);
    }
}

static void refuses_options(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        double fps;
        int most_frames;
        int64_t most_mel_frames;
    } cases[] = {{"fps", 0, 8, 8},
                 {"fps", -1, 8, 8},
                 {"fps", 1e9, 8, 8},
                 {"most_frames", 2, 0, 8},
                 {"most_frames", 2, 3, 8},
                 {"most_frames", 2, -2, 8},
                 {"most_mel_frames", 2, 8, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tess_medium_options options = media_options();
        options.fps = cases[i].fps;
        options.most_frames = cases[i].most_frames;
        options.most_mel_frames = cases[i].most_mel_frames;
        tess_medium *medium = NULL;
        tess_error err;
        assert_int_equal(tess_medium_open(TESS_MEDIA_IMAGE, picture_path, &options, &medium, &err),
                         TESS_EUSAGE);
        assert_string_equal(err.field, cases[i].field);
        assert_null(medium);
    }
}

/* What is told before is enough; a byte less is refused with what it takes, and can be given later. */
static void check_memory(tess_media_kind kind, const char *path)
{
    tess_medium_options options = media_options();
    tess_medium *medium = media_open(kind, path, &options);
    const uint64_t least = tess_medium_get_facts(medium)->bytes_peak;
    tess_medium_close(medium);
    tess_error err;
    options.max_bytes = least - 1;
    medium = media_open(kind, path, &options);
    assert_int_equal(tess_medium_get_facts(medium)->bytes_peak, least);
    assert_int_equal(tess_medium_prepare(medium, NULL, &err), TESS_EBUDGET);
    assert_int_equal(err.smallest_budget_bytes, least);
    assert_string_equal(err.file, path);
    assert_string_equal(err.field, "max_bytes");
    tess_medium_set_max_bytes(medium, least);
    media_prepare(medium);
    tess_medium_close(medium);
}

static void memory_is_met_exactly(void **state)
{
    (void)state;
    check_memory(TESS_MEDIA_IMAGE, picture_path);
    check_memory(TESS_MEDIA_VIDEO, film_path);
}

static void sound_that_is_too_long_stops_early(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    for (int i = 0; i < 2; i++) {
        tess_medium_options options = media_options();
        if (i == 0)
            options.most_mel_frames = 149;
        else
            options.max_bytes = 1 << 15;
        tess_medium *medium;
        tess_error err;
        assert_int_equal(
            tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &medium, NULL),
            TESS_OK);
        assert_int_equal(tess_medium_prepare(medium, NULL, &err), i == 0 ? TESS_EINPUT : TESS_EBUDGET);
        assert_string_equal(err.file, "clip");
        assert_string_equal(err.field, i == 0 ? "length" : "max_bytes");
        tess_medium_close(medium);
    }
    free(bytes);
}

/* A clip that its header says is too long is counted before anything is computed of it: samples that would be
 * refused when heard are not come to. A header that lies costs time and nothing else. */
static void sound_said_to_be_too_long_is_counted(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    tess_medium_options options = media_options();
    tess_medium *medium;
    tess_error err;
    size_t n_cut;
    unsigned char *cut = read_file("tests/data/media/containers/sound.au", &n_cut);
    const tess_source source = {.name = "cut", .data = cut, .n_byte = 9000};
    assert_true(tess_audio_estimate_seconds(&source) == 2);
    options.most_mel_frames = 112;
    assert_int_equal(tess_medium_open_memory(TESS_MEDIA_AUDIO, "cut", cut, 9000, &options, &medium, NULL),
                     TESS_OK);
    media_prepare(medium);
    assert_int_equal(tess_medium_get_facts(medium)->n_frame, 112);
    tess_medium_close(medium);
    free(cut);
    /* As float32: half as many samples, of which one is none. */
    const uint16_t kind = 3, block = 4, bits = 32;
    memcpy(bytes + 20, &kind, 2);
    memcpy(bytes + 32, &block, 2);
    memcpy(bytes + 34, &bits, 2);
    memset(bytes + WAV_HEAD, 0, n_byte - WAV_HEAD);
    memset(bytes + WAV_HEAD + 400, 0xff, 4);
    for (int i = 0; i < 2; i++) {
        options.most_mel_frames = i == 0 ? 50 : 1000;
        assert_int_equal(
            tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &medium, NULL),
            TESS_OK);
        assert_int_equal(tess_medium_prepare(medium, NULL, &err), TESS_EINPUT);
        assert_string_equal(err.field, i == 0 ? "length" : "sample 100 (at 0.006 s)");
        tess_medium_close(medium);
    }
    free(bytes);
}

/* What a refusal says a clip takes is enough, and what it then holds; it is known without holding it. */
static void sound_says_what_it_takes(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    tess_medium_options options = media_options();
    tess_medium *medium, *counted;
    tess_error err;
    options.max_bytes = 1 << 15;
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &medium, NULL), TESS_OK);
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &counted, NULL), TESS_OK);
    assert_int_equal(tess_medium_count(counted, NULL, &err), TESS_OK);
    assert_int_equal(tess_medium_prepare(medium, NULL, &err), TESS_EBUDGET);
    const tess_medium_facts *facts = tess_medium_get_facts(counted);
    assert_int_equal(err.smallest_budget_bytes, facts->bytes_peak);
    assert_int_equal(tess_medium_get_features(counted)->n_frame, WAV_SAMPLES / 160);
    assert_int_equal(tess_medium_prepare(counted, NULL, &err), TESS_EBUDGET);
    tess_medium_set_max_bytes(medium, err.smallest_budget_bytes);
    media_prepare(medium);
    const tess_medium_facts *prepared = tess_medium_get_facts(medium);
    assert_int_equal(prepared->bytes_peak, facts->bytes_peak);
    assert_int_equal(prepared->n_frame, facts->n_frame);
    assert_true(prepared->seconds == facts->seconds);
    assert_int_equal(prepared->rate_hz, facts->rate_hz);
    assert_string_equal(prepared->format, facts->format);
    tess_medium_close(medium);
    tess_medium_close(counted);
    free(bytes);
}

/* Where a clip is too long or too short, counting says so as preparing does. */
static void counting_refuses_lengths(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    for (int i = 0; i < 2; i++) {
        tess_medium_options options = media_options();
        tess_medium *medium;
        tess_error counted, prepared;
        if (i == 0) options.most_mel_frames = 149;
        const size_t n = i == 0 ? n_byte : WAV_HEAD + 2 * 159;
        assert_int_equal(tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n, &options, &medium, NULL),
                         TESS_OK);
        assert_int_equal(tess_medium_count(medium, NULL, &counted), TESS_EINPUT);
        assert_int_equal(tess_medium_prepare(medium, NULL, &prepared), TESS_EINPUT);
        assert_string_equal(counted.message, prepared.message);
        assert_string_equal(counted.field, "length");
        tess_medium_close(medium);
    }
    free(bytes);
}

/* A film's frames that have no room are no fault of the film: it is opened without decoding them, and what is
 * said of it then is enough. Given room, it is what it is where there was room at first. */
static void a_film_without_room_is_a_matter_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"plain.mp4", "hevc.mp4",    "mpeg4.avi",    "ntsc.webm",
                                        "vp9.webm",  "slowing.mkv", "odd-size.mkv", "animated.gif",
                                        "short.mp4", "turned90.mp4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (uint64_t max_bytes = 1; max_bytes <= 1 << 20; max_bytes <<= 20) {
            char path[64];
            snprintf(path, sizeof path, "tests/data/media/video/%s", names[i]);
            tess_medium_options options = media_options(), narrow = media_options();
            narrow.max_bytes = max_bytes;
            tess_medium *usual_one = media_open(TESS_MEDIA_VIDEO, path, &options);
            tess_medium *medium = media_open(TESS_MEDIA_VIDEO, path, &narrow);
            const tess_medium_facts *is = tess_medium_get_facts(usual_one),
                                    *most = tess_medium_get_facts(medium);
            assert_int_equal(most->width, is->width);
            assert_int_equal(most->height, is->height);
            assert_int_equal(most->has_sound, is->has_sound);
            assert_in_range(most->n_frame, is->n_frame, is->n_frame + 4);
            assert_in_range(most->bytes_peak, is->bytes_peak, is->bytes_peak + is->bytes_peak / 8);
            tess_error err;
            assert_int_equal(tess_medium_prepare(medium, NULL, &err), TESS_EBUDGET);
            assert_string_equal(err.file, path);
            assert_string_equal(err.field, "max_bytes");
            assert_int_equal(err.smallest_budget_bytes, most->bytes_peak);
            tess_medium_set_max_bytes(medium, err.smallest_budget_bytes);
            media_prepare(medium);
            media_prepare(usual_one);
            assert_int_equal(most->n_frame, is->n_frame);
            assert_memory_equal(tess_medium_get_features(medium)->digest,
                                tess_medium_get_features(usual_one)->digest, 32);
            tess_medium_close(medium);
            tess_medium_close(usual_one);
        }
}

/* ---- several in one room ---- */

enum { N_SEVERAL = 4 };

/* A picture, a clip, a film, a clip: two of them known only when they are heard. */
static void open_several(tess_medium *media[N_SEVERAL], const unsigned char *wav, size_t n_byte)
{
    tess_medium_options options = media_options();
    media[0] = media_open(TESS_MEDIA_IMAGE, picture_path, &options);
    media[2] = media_open(TESS_MEDIA_VIDEO, film_path, &options);
    for (int i = 1; i < N_SEVERAL; i += 2)
        assert_int_equal(
            tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", wav, n_byte, &options, &media[i], NULL),
            TESS_OK);
}

static bool count_pictures(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)done;
    if (activity == TESS_ACTIVITY_PREPARING && total > 0) ++*(int *)context;
    return true;
}

/* However little there is, the first refusal says what is enough for all, and no picture is decoded for it; a
 * byte less is too little. */
static void one_number_is_enough_for_all(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *wav = make_wav(&n_byte);
    uint64_t enough = 0;
    for (uint64_t max_bytes = 1; max_bytes < 1ull << 27; max_bytes = max_bytes * 3 + 1) {
        tess_medium *media[N_SEVERAL];
        tess_error err;
        uint64_t held, most;
        int failed = -1, n_frame = 0;
        const tess_progress progress = {count_pictures, &n_frame};
        open_several(media, wav, n_byte);
        const tess_status status = tess_media_prepare(media, N_SEVERAL, max_bytes, &progress, &failed, &err);
        if (status == TESS_OK) {
            assert_true(enough > 0 && max_bytes >= enough);
        } else {
            assert_int_equal(status, TESS_EBUDGET);
            assert_in_range(failed, 0, N_SEVERAL - 1);
            assert_int_equal(n_frame, 0);
            if (enough) assert_int_equal(err.smallest_budget_bytes, enough);
            enough = err.smallest_budget_bytes;
            tess_media_count_bytes(media, N_SEVERAL, &held, &most);
            assert_int_equal(most, enough);
            assert_int_equal(tess_media_prepare(media, N_SEVERAL, enough - 1, NULL, NULL, &err),
                             TESS_EBUDGET);
            assert_int_equal(err.smallest_budget_bytes, enough);
            assert_int_equal(tess_media_prepare(media, N_SEVERAL, enough, NULL, NULL, &err), TESS_OK);
            tess_media_count_bytes(media, N_SEVERAL, &held, &most);
            assert_int_equal(held, most);
        }
        for (int i = 0; i < N_SEVERAL; i++) tess_medium_close(media[i]);
    }
    assert_true(enough > 0);
    free(wav);
}

/* A clip that is no good is named, though another has no room. */
static void what_is_wrong_comes_before_what_is_large(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *wav = make_wav(&n_byte);
    tess_medium_options options = media_options();
    tess_medium *media[2];
    tess_error err;
    int failed = -1;
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", wav, n_byte, &options, &media[0], NULL), TESS_OK);
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "noise", wav + 100, 400, &options, &media[1], NULL),
        TESS_OK);
    assert_int_equal(tess_media_prepare(media, 2, 1, NULL, &failed, &err), TESS_EINPUT);
    assert_int_equal(failed, 1);
    assert_string_equal(err.file, "noise");
    for (int i = 0; i < 2; i++) tess_medium_close(media[i]);
    free(wav);
}

/* What goes elsewhere is told by what it is. */
static void another_kind_is_named(void **state)
{
    (void)state;
    static const struct {
        tess_media_kind kind;
        const char *path, *found, *expected;
    } cases[] = {
        {TESS_MEDIA_AUDIO, "tests/data/media/images/420.jpg", "a picture (JPEG)", "sound: WAV"},
        {TESS_MEDIA_VIDEO, "tests/data/media/images/rgb8.png", "a picture (PNG)", "a film: MP4"},
        {TESS_MEDIA_VIDEO, "tests/data/media/audio/s16.wav", "no video track", "a file with a film"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/s16.wav", "sound (WAV)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/s16.flac", "sound (FLAC)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/tone.mp3", "sound (MP3)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/tone.ogg", "sound (OGG)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/tone.m4a", "sound (M4A)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/s16.aiff", "sound (AIFF)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/audio/s16.caf", "sound (CAF)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/video/plain.mp4", "a film (MP4 or MOV)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "tests/data/media/video/mpeg4.avi", "a film (AVI)", "JPEG, PNG"},
        {TESS_MEDIA_IMAGE, "https://example.com/photo.jpg", "a URL", "the path of a file"},
        {TESS_MEDIA_VIDEO, "rtsp://example.com/film", "a URL", "the path of a file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tess_medium_options options = media_options();
        tess_medium *medium = NULL;
        tess_error err;
        tess_status status = tess_medium_open(cases[i].kind, cases[i].path, &options, &medium, &err);
        if (status == TESS_OK)
            status = tess_medium_prepare(medium, NULL, &err); /* sound is looked at later */
        assert_int_equal(status, TESS_EINPUT);
        assert_string_equal(err.found, cases[i].found);
        assert_ptr_equal(strstr(err.expected, cases[i].expected), err.expected);
        tess_medium_close(medium);
    }
}

static bool stop(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    assert_int_equal(activity, TESS_ACTIVITY_PREPARING);
    ++*(int *)context;
    return false;
}

static void stops_when_asked(void **state)
{
    (void)state;
    size_t n_byte;
    unsigned char *bytes = make_wav(&n_byte);
    tess_medium_options options = media_options();
    tess_medium *medium;
    int n_call = 0;
    const tess_progress progress = {stop, &n_call};
    assert_int_equal(
        tess_medium_open_memory(TESS_MEDIA_AUDIO, "clip", bytes, n_byte, &options, &medium, NULL), TESS_OK);
    assert_int_equal(tess_medium_prepare(medium, &progress, NULL), TESS_EINTERRUPTED);
    assert_int_equal(n_call, 1);
    tess_medium_close(medium);
    free(bytes);
}

typedef struct looked {
    uint64_t last, total;
    int n_call, n_left; /* calls until it stops */
} looked;

static bool look_on(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    looked *l = context;
    assert_int_equal(activity, TESS_ACTIVITY_LOOKING);
    assert_true(done <= total);
    if (l->n_call++) assert_int_equal(total, l->total);
    l->last = done;
    l->total = total;
    return l->n_left-- > 0;
}

/* A film is looked at frame by frame, or packet by packet where its frames have no room, up to the end of its
 * file; it can be stopped at any. */
static void looking_is_told_and_stops(void **state)
{
    (void)state;
    for (uint64_t max_bytes = 1; max_bytes <= 1ull << 30; max_bytes <<= 30) {
        looked all = {.n_left = INT_MAX}, some = {.n_left = 3};
        tess_progress progress = {look_on, &all};
        tess_medium_options options = media_options();
        options.progress = &progress;
        options.max_bytes = max_bytes;
        tess_medium *medium = media_open(TESS_MEDIA_VIDEO, film_path, &options);
        tess_medium_close(medium);
        medium = NULL;
        assert_int_equal(all.n_call, 50); /* frames of 2 s */
        assert_true(all.last > all.total / 2);
        progress.context = &some;
        tess_error err;
        assert_int_equal(tess_medium_open(TESS_MEDIA_VIDEO, film_path, &options, &medium, &err),
                         TESS_EINTERRUPTED);
        assert_int_equal(some.n_call, 4);
        assert_null(medium);
    }
}

static tess_error fault_err;

static tess_status work_without_memory(void)
{
    tess_medium_options options = media_options();
    tess_medium *medium;
    tess_status status =
        tess_medium_open(TESS_MEDIA_IMAGE, "tests/data/media/images/420.jpg", &options, &medium, &fault_err);
    if (status != TESS_OK) return status;
    status = tess_medium_prepare(medium, NULL, &fault_err);
    tess_medium_close(medium);
    return status;
}

static void runs_out_of_memory_safely(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(work_without_memory, &fault_err) > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_is_counted_before_it_is_decoded),
        cmocka_unit_test(memory_and_file_are_the_same),
        cmocka_unit_test(sound_is_known_when_it_is_prepared),
        cmocka_unit_test(a_step_is_two_frames),
        cmocka_unit_test(a_film_at_the_cap),
        cmocka_unit_test(a_film_at_several_rates),
        cmocka_unit_test(refuses_options),
        cmocka_unit_test(memory_is_met_exactly),
        cmocka_unit_test(sound_that_is_too_long_stops_early),
        cmocka_unit_test(sound_said_to_be_too_long_is_counted),
        cmocka_unit_test(sound_says_what_it_takes),
        cmocka_unit_test(counting_refuses_lengths),
        cmocka_unit_test(a_film_without_room_is_a_matter_of_memory),
        cmocka_unit_test(one_number_is_enough_for_all),
        cmocka_unit_test(what_is_wrong_comes_before_what_is_large),
        cmocka_unit_test(another_kind_is_named),
        cmocka_unit_test(stops_when_asked),
        cmocka_unit_test(looking_is_told_and_stops),
        cmocka_unit_test(runs_out_of_memory_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
