/* Libraries that are not installed: said by name, with the package, and only where they are needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/libraries.h"
#include "../support/media.h"
#include "media/audio_file.h"
#include "media/image_file.h"
#include "media/video_file.h"

#define FOLDER "tests/data/media/"
static tess_status decode_image(const char *path, tess_error *err)
{
    tess_source source = {.name = path, .path = path};
    tess_picture picture = {0};
    tess_status status = media_decode(&source, 1 << 26, &picture, err);
    free(picture.rgb);
    return status;
}

static tess_status take_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)context, (void)samples, (void)n, (void)err;
    return TESS_OK;
}

static tess_status decode_audio(const char *path, tess_error *err)
{
    tess_source source = {.name = path, .path = path};
    return tess_audio_decode(&source, 16000, take_samples, NULL, NULL, err);
}

static tess_status take_frame(void *context, const tess_picture *frame, double seconds, tess_error *err)
{
    (void)context, (void)frame, (void)seconds, (void)err;
    return TESS_OK;
}

static tess_status decode_video(const char *path, tess_error *err)
{
    tess_source source = {.name = path, .path = path};
    tess_video_options options = {.fps = 2, .max_frames = 768, .max_bytes = 1 << 28};
    return tess_video_decode(&source, &options, take_frame, NULL, NULL, err);
}

static void names_what_is_absent(void **state)
{
    (void)state;
    static const struct {
        const char *library, *package, *path;
        tess_status (*decode)(const char *path, tess_error *err);
    } cases[] = {
        {"libjpeg.so.62", "libjpeg62-turbo", FOLDER "images/420.jpg", decode_image},
        {"libwebp.so.7", "libwebp7", FOLDER "images/lossy.webp", decode_image},
        {"libwebpdemux.so.2", "libwebpdemux2", FOLDER "images/animated.webp", decode_image},
        {"libz.so.1", "zlib1g", FOLDER "images/rgb8.png", decode_image},
        {"libavcodec.so", "libavcodec59", FOLDER "images/rgb.bmp", decode_image},
        {"libavutil.so", "libavutil57", FOLDER "images/rgba.tiff", decode_image},
        {"libavformat.so", "libavformat59", FOLDER "audio/s16.wav", decode_audio},
        {"libsoxr.so.0", "libsoxr0", FOLDER "audio/44k.wav", decode_audio},
        {"libavformat.so", "libavformat59", FOLDER "video/plain.mp4", decode_video},
        {"libswscale.so", "libswscale6", FOLDER "video/plain.mp4", decode_video},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tess_error err = {0};
        libraries_hide(cases[i].library);
        tess_status status = cases[i].decode(cases[i].path, &err);
        libraries_hide("");
        print_message("# %s\n", err.message);
        assert_int_equal(status, TESS_EUNSUPPORTED);
        assert_non_null(strstr(err.message, cases[i].library));
        assert_non_null(strstr(err.message, cases[i].package));
        assert_int_equal(cases[i].decode(cases[i].path, &err), TESS_OK);
    }
}

static void needs_nothing_else(void **state)
{
    (void)state;
    tess_error err;
    libraries_hide("lib");
    assert_int_equal(decode_image(FOLDER "images/palette.gif", &err), TESS_OK);
    libraries_hide("libav");
    assert_int_equal(decode_image(FOLDER "images/420.jpg", &err), TESS_OK);
    assert_int_equal(decode_image(FOLDER "images/alpha.webp", &err), TESS_OK);
    assert_int_equal(decode_image(FOLDER "images/rgb8.png", &err), TESS_OK);
    libraries_hide("libsoxr");
    assert_int_equal(decode_audio(FOLDER "audio/s16.wav", &err), TESS_OK);
    libraries_hide("lib");
    tess_source source = {.name = "picture", .path = FOLDER "images/420.jpg"};
    tess_image_facts facts;
    assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
    libraries_hide("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_absent),
        cmocka_unit_test(needs_nothing_else),
    };
    return cmocka_run_group_tests_name("media_libraries", tests, NULL, NULL);
}
