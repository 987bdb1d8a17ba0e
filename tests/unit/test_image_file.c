/* Image files: the pixels of Pillow to the bit (tests/data/media/images, made by reference/media_images.py),
 * and what is refused instead of being guessed. */
#include "media/image_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "../support/media.h"

#define FOLDER "tests/data/media/images/"
enum { ROOM = 64 << 20 };

/* Decodes what is in memory, borrowed. */
static tess_status decode(const void *data, size_t n, tess_picture *out, tess_error *err)
{
    tess_source source = {.name = "picture", .data = data, .n_byte = n};
    return tess_image_decode(&source, ROOM, out, err);
}

static void digest_of(const tess_picture *picture, char hex[TESS_SHA256_HEX])
{
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, picture->rgb, 3 * (size_t)picture->width * (size_t)picture->height);
    tess_sha256_finish(&sha, hex);
}

static int check_file(const char *name, int width, int height, const char *expected)
{
    char path[128], hex[TESS_SHA256_HEX];
    snprintf(path, sizeof path, FOLDER "%s", name);
    tess_source source = {.name = path, .path = path};
    tess_picture picture = {0};
    tess_image_facts facts;
    tess_error err = {0};
    if (tess_image_probe(&source, &facts, &err) != TESS_OK ||
        tess_image_decode(&source, ROOM, &picture, &err) != TESS_OK) {
        print_error("# %s\n", err.message);
        return 1;
    }
    digest_of(&picture, hex);
    bool is_good = picture.width == width && picture.height == height && facts.width == width &&
                   facts.height == height && !strcmp(hex, expected);
    if (!is_good) print_error("# %s: other pixels or another size\n", path);
    free(picture.rgb);
    return !is_good;
}

static void decodes_to_pillows_pixels(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "pixels.txt", "r");
    assert_non_null(list);
    char name[64], hex[TESS_SHA256_HEX];
    int width, height, n = 0, n_bad = 0;
    for (; fscanf(list, "%63s %d %d %64s", name, &width, &height, hex) == 4; n++)
        n_bad += check_file(name, width, height, hex);
    fclose(list);
    assert_int_equal(n_bad, 0);
    assert_true(n >= 100);
}

/* A prefix is refused by name, or holds all that the pixels need. */
static int check_cuts(const char *name, const char *expected)
{
    char path[128];
    size_t n_byte, n_bad = 0, last = 0;
    snprintf(path, sizeof path, FOLDER "%s", name);
    uint8_t *bytes = media_read(path, &n_byte);
    for (size_t n = n_byte; n-- > 0; n -= n > 300 && n < n_byte - 40 ? n_byte / 97 : 0) {
        /* In memory of its own, so that a sanitizer sees what is read beyond it. */
        uint8_t *cut = malloc(n + 1);
        assert_non_null(cut);
        memcpy(cut, bytes, n);
        tess_picture picture = {0};
        tess_error err = {0};
        char hex[TESS_SHA256_HEX];
        tess_status status = decode(cut, n, &picture, &err);
        if (status == TESS_OK) digest_of(&picture, hex);
        bool is_good = status == TESS_OK ? !strcmp(hex, expected)
                                         : status == TESS_EINPUT && !strcmp(err.file, "picture");
        if (!is_good) n_bad++, last = n;
        free(picture.rgb);
        free(cut);
    }
    if (n_bad)
        print_error("# %s: %zu cuts of %zu bytes are not refused, as at %zu\n", path, n_bad, n_byte, last);
    free(bytes);
    return n_bad > 0;
}

static void refuses_what_is_cut_off(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "pixels.txt", "r");
    assert_non_null(list);
    char name[64], hex[TESS_SHA256_HEX];
    int width, height, n_bad = 0;
    while (fscanf(list, "%63s %d %d %64s", name, &width, &height, hex) == 4) n_bad += check_cuts(name, hex);
    fclose(list);
    assert_int_equal(n_bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_cut_off),
        cmocka_unit_test(decodes_to_pillows_pixels),
    };
    return cmocka_run_group_tests_name("image_file", tests, NULL, NULL);
}
