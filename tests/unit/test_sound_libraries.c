/* Libraries and encoders that are not installed: said by name, with the package, before a file is made; and
 * what does without them. */
#include "tessera/sound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/libraries.h"
#include "../support/scratch.h"

static char folder[SCRATCH_BYTES], path[SCRATCH_BYTES + 16];
static tess_error err;

/* As if FFmpeg were built without an encoder. */
static const char *absent_encoder;
static const void *(*find_encoder)(const char *name);

static const void *find_encoder_but_one(const char *name)
{
    return strcmp(name, absent_encoder) ? find_encoder(name) : NULL;
}

static void *leave_one_out(const char *name, void *real)
{
    if (strcmp(name, "avcodec_find_encoder_by_name")) return real;
    const void *(*ours)(const char *) = find_encoder_but_one;
    memcpy(&find_encoder, &real, sizeof real);
    memcpy(&real, &ours, sizeof real);
    return real;
}

static tess_status try_to_write(const char *ending)
{
    tess_sound_options options = TESS_SOUND_OPTIONS_DEFAULT;
    tess_sound_writer *writer;
    static const float samples[100];
    snprintf(path, sizeof path, "%s/a.%s", folder, ending);
    tess_status status = tess_sound_writer_open(path, &options, &writer, &err);
    if (status != TESS_OK) return status;
    assert_int_equal(tess_sound_writer_write(writer, samples, 100, &err), TESS_OK);
    return tess_sound_writer_finish(writer, &err);
}

static void must_refuse(const char *ending, const char *what, const char *package)
{
    assert_int_equal(try_to_write(ending), TESS_EUNSUPPORTED);
    print_message("# %s\n", err.message);
    assert_non_null(strstr(err.message, what));
    assert_non_null(strstr(err.message, package));
    assert_int_equal(scratch_count_files(folder), 0);
}

static const char *const endings[] = {"flac", "mp3", "opus"};

static void names_libraries_that_are_absent(void **state)
{
    (void)state;
    static const char *const libraries[][2] = {{"libavutil.so", "libavutil57"},
                                               {"libavcodec.so", "libavcodec59"},
                                               {"libavformat.so", "libavformat59"}};
    for (size_t i = 0; i < 3; i++)
        for (size_t f = 0; f < 3; f++) {
            libraries_hide(libraries[i][0]);
            must_refuse(endings[f], libraries[i][0], libraries[i][1]);
        }
    libraries_hide("");
}

static void names_encoders_that_are_absent(void **state)
{
    (void)state;
    static const char *const encoders[] = {"flac", "libmp3lame", "libopus"};
    libraries_stand_in("libavcodec.so.59", leave_one_out);
    for (size_t f = 0; f < 3; f++) {
        absent_encoder = encoders[f];
        must_refuse(endings[f], encoders[f], "libavcodec59");
    }
    libraries_stand_in("", NULL);
    for (size_t f = 0; f < 3; f++) {
        assert_int_equal(try_to_write(endings[f]), TESS_OK);
        unlink(path);
    }
}

static void wav_needs_none(void **state)
{
    (void)state;
    libraries_hide("lib");
    assert_int_equal(try_to_write("wav"), TESS_OK);
    libraries_hide("");
    unlink(path);
}

static int begin(void **state)
{
    (void)state;
    return scratch_make_folder(folder, SCRATCH_ANYWHERE);
}

static int end(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_libraries_that_are_absent),
        cmocka_unit_test(names_encoders_that_are_absent),
        cmocka_unit_test(wav_needs_none),
    };
    return cmocka_run_group_tests_name("sound_libraries", tests, begin, end);
}
