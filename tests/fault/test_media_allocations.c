/* Every allocation of our own while media are opened and decoded fails once: reported as such, and nothing is
 * leaked. What libraries allocate is theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/media.h"
#include "media/audio_file.h"
#include "media/image_file.h"
#include "media/video_file.h"

#define FOLDER "tests/data/media/"
static tess_error err;
static const char *path;

static tess_status decode_image(void)
{
    tess_source source = {.name = path, .path = path};
    tess_picture picture = {0};
    tess_status status = media_decode(&source, 1 << 26, &picture, &err);
    assert_true(status == TESS_OK || !picture.rgb);
    free(picture.rgb);
    return status;
}

static void images(void **state)
{
    (void)state;
    static const char *const names[] = {
        FOLDER "images/orientation6.jpg", FOLDER "images/cmyk.jpg",    FOLDER "images/rgb8-interlaced.png",
        FOLDER "images/turned.webp",      FOLDER "images/alpha.webp",  FOLDER "images/animated.webp",
        FOLDER "images/interlaced.gif",   FOLDER "images/turned.tiff", FOLDER "images/rgb.bmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path = names[i];
        assert_true(fault_alloc_each(decode_image, &err) >= 2);
    }
}

static tess_status see(void *context, const tess_picture *frame, double seconds, tess_error *error)
{
    (void)context, (void)frame, (void)seconds, (void)error;
    return TESS_OK;
}

static tess_status decode_video(void)
{
    tess_source source = {.name = path, .path = path};
    tess_video_options options = {.fps = 2, .max_frames = 4, .max_bytes = 1 << 28};
    return tess_video_decode(&source, &options, see, NULL, NULL, &err);
}

static void films(void **state)
{
    (void)state;
    path = FOLDER "video/turned90.mp4";
    assert_true(fault_alloc_each(decode_video, &err) == 5);
}

static tess_status open_source(void)
{
    tess_source source;
    tess_status status = tess_source_open("data:;base64,AAECAw==", 100, &source, &err);
    if (status == TESS_OK) tess_source_release(&source);
    return status;
}

static void sources(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(open_source, &err) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images),
        cmocka_unit_test(films),
        cmocka_unit_test(sources),
    };
    return cmocka_run_group_tests_name("media_allocations", tests, NULL, NULL);
}
