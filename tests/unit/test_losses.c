/* Nothing of a film or a sound is lost without a word: what was cut off, zeroed or taken out of a file of any
 * container that can show it is refused, said, or misses nothing. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/media.h"
#include "media/audio_file.h"
#include "media/video_file.h"

#define MEDIA "tests/data/media/"

/* What was made of a file. */
typedef struct outcome {
    tess_status status;
    int64_t n; /* frames or samples */
    char loss[160];
    tess_error err;
} outcome;

static tess_status count(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)samples;
    (void)err;
    *(int64_t *)context += (int64_t)n;
    return TESS_OK;
}

static outcome play(const uint8_t *bytes, size_t n_byte, bool is_film)
{
    const tess_source source = {.name = "file", .data = bytes, .n_byte = n_byte};
    const tess_video_options options = {.fps = 2, .max_frames = 768, .max_bytes = 1 << 28};
    tess_video_facts film = {0};
    tess_audio_facts sound = {0};
    outcome out = {0};
    if (is_film)
        out.status = tess_video_probe(&source, &options, &film, &out.err);
    else
        out.status = tess_audio_decode(&source, 16000, count, &out.n, &sound, &out.err);
    if (is_film) out.n = film.n_decoded;
    snprintf(out.loss, sizeof out.loss, "%s", is_film ? film.loss : sound.loss);
    return out;
}

/* A copy of its own, so that a sanitizer sees what is read beyond it. */
static uint8_t *copy_of(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    return copy;
}

/* ---- whole files ---- */

static int check_whole(const char *folder, const char *name)
{
    char path[512];
    size_t n_byte;
    if (*name == '.' || strstr(name, ".txt") || strstr(name, ".f32")) return 0;
    snprintf(path, sizeof path, "%s%s", folder, name);
    uint8_t *bytes = media_read(path, &n_byte);
    const outcome film = play(bytes, n_byte, true), sound = play(bytes, n_byte, false);
    free(bytes);
    const bool is_good = (film.status == TESS_OK || sound.status == TESS_OK) && !*film.loss && !*sound.loss;
    if (!is_good) print_error("# %s: %s%s\n", path, film.loss, sound.loss);
    return is_good ? 1 : 10000;
}

static void whole_files_lack_nothing(void **state)
{
    (void)state;
    static const char *const folders[] = {MEDIA "audio/", MEDIA "video/", MEDIA "containers/",
                                          MEDIA "large/"};
    int n = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        DIR *folder = opendir(folders[i]);
        assert_non_null(folder);
        for (const struct dirent *entry; (entry = readdir(folder));)
            n += check_whole(folders[i], entry->d_name);
        closedir(folder);
    }
    assert_in_range(n, 65, 200);
}

/* The same 2 s of picture and sound in every container. */
static void every_container_gives_its_film(void **state)
{
    (void)state;
    static const char *const names[] = {"asf", "avi", "flv", "mkv", "mov", "mp4", "mpg", "ts", "webm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        size_t n_byte;
        snprintf(path, sizeof path, MEDIA "containers/film.%s", names[i]);
        uint8_t *bytes = media_read(path, &n_byte);
        const outcome film = play(bytes, n_byte, true), sound = play(bytes, n_byte, false);
        free(bytes);
        print_message("# %s: %lld frames, %lld samples\n", names[i], (long long)film.n, (long long)sound.n);
        assert_int_equal(film.status, TESS_OK);
        assert_int_equal(film.n, 50);
        assert_int_equal(sound.status, TESS_OK);
        assert_in_range(sound.n, 2 * 16000 - 400, 2 * 16000 + 1600); /* whole packets */
    }
}

/* ---- damaged ones ---- */

typedef enum harm { CUT, ZEROS, TAKEN_OUT } harm;

static uint8_t *harm_file(const uint8_t *bytes, size_t n, harm how, size_t at, size_t n_harmed, size_t *n_out)
{
    uint8_t *copy = copy_of(bytes, n);
    *n_out = how == CUT ? at : how == ZEROS ? n : n - n_harmed;
    if (how == ZEROS) memset(copy + at, 0, n_harmed);
    if (how == TAKEN_OUT) memmove(copy + at, copy + at + n_harmed, n - at - n_harmed);
    copy = realloc(copy, *n_out + 1);
    assert_non_null(copy);
    return copy;
}

/* How many harms of a kind lose something without a word; *n_said how many are said. */
static int count_silent(const char *name, bool is_film, harm how, int *n_said)
{
    char path[128];
    size_t n;
    int n_silent = 0;
    snprintf(path, sizeof path, MEDIA "containers/%s", name);
    uint8_t *bytes = media_read(path, &n);
    const outcome whole = play(bytes, n, is_film);
    const size_t n_harmed = n / 16 | 1; /* whole pieces that are taken out leave no trace */
    for (size_t at = n / 5; at < n - n_harmed; at += n / 23) {
        size_t n_copy;
        uint8_t *copy = harm_file(bytes, n, how, at, n_harmed, &n_copy);
        const outcome found = play(copy, n_copy, is_film);
        free(copy);
        /* A sound's last packets are as long as they are. */
        const int64_t least = is_film ? whole.n : whole.n - 400;
        const bool is_silent = found.status == TESS_OK && !*found.loss && found.n < least;
        if (found.status != TESS_OK) assert_int_equal(found.status, TESS_EINPUT);
        if (is_silent)
            print_error("# %s (%s), harm %d at %zu: %lld of %lld\n", name, is_film ? "film" : "sound", how,
                        at, (long long)found.n, (long long)whole.n);
        n_silent += is_silent;
        *n_said += found.status == TESS_OK && *found.loss;
    }
    free(bytes);
    return n_silent;
}

typedef struct container {
    const char *name;
    bool is_film;
} container;

static void what_is_cut_off_is_said(void **state)
{
    (void)state;
    static const container all[] = {
        {"film.mp4", true},   {"fragments.mp4", true}, {"film.mkv", true},    {"film.webm", true},
        {"film.avi", true},   {"film.flv", true},      {"film.asf", true},    {"film.mp4", false},
        {"film.mkv", false},  {"film.webm", false},    {"film.avi", false},   {"film.flv", false},
        {"film.asf", false},  {"sound.ogg", false},    {"sound.opus", false}, {"sound.w64", false},
        {"sound.caf", false}, {"sound.aiff", false},   {"sound.au", false},   {"sound.mp3", false},
        {"film.mov", true},   {"film.mov", false}};
    int n_silent = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int n_said = 0;
        n_silent += count_silent(all[i].name, all[i].is_film, CUT, &n_said);
        /* One that has its index at its end is refused without it. */
        if (strcmp(all[i].name, "film.mov")) assert_true(n_said > 0);
    }
    assert_int_equal(n_silent, 0);
}

static void what_is_damaged_in_the_middle_is_said(void **state)
{
    (void)state;
    static const container all[] = {
        {"film.mp4", true},    {"fragments.mp4", true}, {"film.mov", true},   {"film.mkv", true},
        {"film.webm", true},   {"film.avi", true},      {"film.flv", true},   {"film.mp4", false},
        {"film.mkv", false},   {"film.webm", false},    {"film.avi", false},  {"film.flv", false},
        {"sound.ogg", false},  {"sound.opus", false},   {"sound.w64", false}, {"sound.caf", false},
        {"sound.aiff", false}, {"sound.mp3", false},    {"film.mov", false}};
    int n_silent = 0, n_said = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (harm how = ZEROS; how <= TAKEN_OUT; how++)
            n_silent += count_silent(all[i].name, all[i].is_film, how, &n_said);
    print_message("# %d harms are said\n", n_said);
    assert_int_equal(n_silent, 0);
    assert_true(n_said > 200);
}

/* What is said says what was found and what was expected. */
static void words_name_both(void **state)
{
    (void)state;
    static const struct {
        const char *name, *loss;
        bool is_film;
        harm how;
        double at;
    } cases[] = {
        {"film.mkv", "found 5474 bytes, expected 10949 as its header says", true, CUT, 0.5},
        {"sound.au", "found 1.00 s, expected 2.00 s as its header says", false, CUT, 0.5},
        {"sound.ogg", "found 4819 bytes, expected 5355 as its header says", false, CUT, 0.9},
        {"film.flv", "found no tag at byte ", true, TAKEN_OUT, 0.5},
        {"film.webm", "found damage about byte ", true, ZEROS, 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        size_t n, n_copy;
        snprintf(path, sizeof path, MEDIA "containers/%s", cases[i].name);
        uint8_t *bytes = media_read(path, &n);
        uint8_t *copy = harm_file(bytes, n, cases[i].how, (size_t)(cases[i].at * (double)n), n / 16, &n_copy);
        const outcome found = play(copy, n_copy, cases[i].is_film);
        if (strncmp(found.loss, cases[i].loss, strlen(cases[i].loss)))
            fail_msg("%s: %s%s", cases[i].name, found.loss, found.err.message);
        free(copy);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files_lack_nothing), cmocka_unit_test(every_container_gives_its_film),
        cmocka_unit_test(what_is_cut_off_is_said), cmocka_unit_test(what_is_damaged_in_the_middle_is_said),
        cmocka_unit_test(words_name_both)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
