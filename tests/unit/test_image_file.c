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
#include "base/random.h"
#include "media/resize.h"
#include "../support/media.h"

#define FOLDER "tests/data/media/images/"
enum { ROOM = 64 << 20 };

/* Decodes what is in memory, borrowed. */
static tess_status decode(const void *data, size_t n, tess_picture *out, tess_error *err)
{
    tess_source source = {.name = "picture", .data = data, .n_byte = n};
    return media_decode(&source, ROOM, out, err);
}

static void digest_of(const tess_picture *picture, char hex[TESS_SHA256_HEX])
{
    tess_sha256_bytes(picture->rgb, 3 * (size_t)picture->width * (size_t)picture->height, hex);
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
        media_decode(&source, ROOM, &picture, &err) != TESS_OK) {
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

/* Resizing rows as they come gives what resizing the picture gives: smaller, with either pass first, larger,
 * one side alone, and the picture itself. */
static int check_resizing(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    const tess_source source = {.name = path, .path = path};
    tess_image_facts facts;
    tess_picture whole;
    tess_error err;
    assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
    assert_int_equal(media_decode(&source, ROOM, &whole, &err), TESS_OK);
    const int w = whole.width, h = whole.height;
    const int sizes[][2] = {{w / 2 + 1, h / 3 + 1}, {w, 3}, {w > 1 ? w - 1 : 2, h / 4 + 1}, {5, h},
                            {2 * w, 2 * h + 1},     {w, h}};
    int n_bad = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n_byte = 3 * (size_t)sizes[i][0] * (size_t)sizes[i][1];
        /* Room that ends with the picture, so that a sanitizer sees what goes beyond it. */
        const tess_picture expected = {sizes[i][0], sizes[i][1], malloc(n_byte)},
                           out = {sizes[i][0], sizes[i][1], malloc(n_byte)};
        assert_true(expected.rgb && out.rgb);
        assert_int_equal(tess_picture_resize(&whole, &expected, path, &err), TESS_OK);
        assert_int_equal(tess_image_decode(&source, &facts, ROOM, &out, &err), TESS_OK);
        n_bad += memcmp(out.rgb, expected.rgb, n_byte) != 0;
        free(expected.rgb);
        free(out.rgb);
    }
    if (n_bad) print_error("# %s: %d sizes of other pixels\n", path, n_bad);
    free(whole.rgb);
    return n_bad;
}

static void resizes_rows_as_they_come(void **state)
{
    (void)state;
    FILE *list = fopen(FOLDER "pixels.txt", "r");
    assert_non_null(list);
    char name[64], hex[TESS_SHA256_HEX];
    int width, height, n_bad = 0;
    while (fscanf(list, "%63s %d %d %64s", name, &width, &height, hex) == 4) n_bad += check_resizing(name);
    fclose(list);
    assert_int_equal(n_bad, 0);
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

/* ---- what is refused ---- */

static void must_refuse(const void *data, size_t n, const char *field, const char *found)
{
    tess_picture picture = {.width = 7};
    tess_image_facts facts = {.width = 7};
    tess_error err = {0};
    tess_source source = {.name = "picture", .data = data, .n_byte = n};
    assert_int_equal(decode(data, n, &picture, &err), TESS_EINPUT);
    if (strcmp(err.field, field) || !strstr(err.found, found)) print_error("# %s\n", err.message);
    assert_string_equal(err.file, "picture");
    assert_string_equal(err.field, field);
    assert_non_null(strstr(err.found, found));
    assert_int_equal(picture.width, 7);
    assert_null(picture.rgb);
    if (tess_image_probe(&source, &facts, &err) != TESS_OK) assert_int_equal(facts.width, 7);
}

static void refuses_other_kinds_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *found;
        size_t n;
    } kinds[] = {
        {"", "empty", 0},
        {"x", "begins with 78)", 1},
        {"\x01\x02\x03\x04\x05\x06\x07\x08\x09", "begins with 01 02 03 04 05 06 07 08)", 9},
        {"\0\0\0\x1c"
         "ftypheic\0\0\0\0",
         "HEIC", 16},
        {"\0\0\0\x1c"
         "ftypmif1\0\0\0\0",
         "HEIF", 16},
        {"\0\0\0\x1c"
         "ftypavif\0\0\0\0",
         "AVIF", 16},
        {"\0\0\0\x1c"
         "ftypisom\0\0\0\0",
         "a film", 16},
        {"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", 41},
        {"<?xml version='1.0'?><svg/>", "SVG", 27},
        {"%PDF-1.7", "PDF", 8},
        {"RIFF\0\0\0\0WAVEfmt ", "WAV", 16},
        {"\xff\x0a\0\0", "JPEG XL", 4},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        must_refuse(kinds[i].bytes, kinds[i].n, "", kinds[i].found);
        tess_error err;
        tess_picture picture;
        decode(kinds[i].bytes, kinds[i].n, &picture, &err);
        if (kinds[i].n) assert_string_equal(err.expected, "JPEG, PNG, WebP, GIF, BMP or TIFF");
    }
}

static void refuses_whole_pictures_of_other_kinds(void **state)
{
    (void)state;
    static const char *const kinds[][2] = {
        {"picture.heic", "HEIC"}, {"picture.avif", "AVIF"}, {"drawing.svg", "SVG"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char path[128];
        size_t n;
        tess_picture picture;
        tess_error err;
        snprintf(path, sizeof path, FOLDER "../refused/%s", kinds[i][0]);
        uint8_t *bytes = media_read(path, &n);
        must_refuse(bytes, n, "", kinds[i][1]);
        decode(bytes, n, &picture, &err);
        assert_string_equal(err.found, kinds[i][1]);
        assert_string_equal(err.expected, "JPEG, PNG, WebP, GIF, BMP or TIFF");
        free(bytes);
    }
}

/* A file of the tree with four bytes written over. */
static uint8_t *read_changed(const char *name, size_t at, const char four[4], size_t *n)
{
    char path[128];
    snprintf(path, sizeof path, FOLDER "%s", name);
    uint8_t *bytes = media_read(path, n);
    memcpy(bytes + at, four, 4);
    return bytes;
}

static void refuses_what_is_too_large_before_decoding(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_changed("rgb8.png", 16, "\0\0\x75\x30", &n);
    memcpy(bytes + 20, "\0\0\x75\x30", 4);
    bytes[28] = 1; /* interlaced, and so held whole */
    tess_source source = {.name = "picture", .data = bytes, .n_byte = n};
    tess_image_facts facts;
    tess_picture picture;
    tess_error err;
    assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
    assert_int_equal(facts.width, 30000);
    assert_int_equal(facts.height, 30000);
    assert_true(facts.is_whole);
    assert_int_equal(media_decode(&source, 1u << 30, &picture, &err), TESS_EINPUT);
    assert_string_equal(err.field, "size");
    assert_non_null(strstr(err.found, "30000 x 30000 pixels, which take 54"));
    assert_non_null(strstr(err.expected, "at most 1073741824 bytes"));
    memcpy(bytes + 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8);
    must_refuse(bytes, n, "size", "2147483647 x 2147483647");
    memcpy(bytes + 16, "\0\0\0\0", 4);
    must_refuse(bytes, n, "size", "0 x 2147483647");
    free(bytes);
}

static void counts_what_decoding_takes(void **state)
{
    (void)state;
    static const char *const names[] = {
        "420.jpg", "420-progressive.jpg", "rgb8.png", "alpha.webp", "palette.gif", "rgb.bmp", "rgba.tiff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, FOLDER "%s", names[i]);
        tess_source source = {.name = path, .path = path};
        tess_image_facts facts;
        tess_picture picture;
        tess_error err;
        assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
        const uint64_t n_byte = tess_image_count_bytes(&facts, facts.width, facts.height);
        assert_int_equal(media_decode(&source, n_byte - 1, &picture, &err), TESS_EINPUT);
        assert_int_equal(media_decode(&source, n_byte, &picture, &err), TESS_OK);
        free(picture.rgb);
    }
}

/* What is upright and comes by rows is never there whole, however large. */
static void counts_pixels_only_where_they_are_held(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_whole;
    } cases[] = {{"420.jpg", false},
                 {"420-progressive.jpg", false},
                 {"rgb8.png", false},
                 {"interlaced.gif", false},
                 {"lossy.webp", false},
                 {"rgb.bmp", false},
                 {"rgb8-interlaced.png", true},
                 {"orientation6.jpg", true},
                 {"orientation2.jpg", true}};
    enum { SIDE = 1 << 16 };
    const uint64_t n_pixel = (uint64_t)SIDE * SIDE;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128];
        snprintf(path, sizeof path, FOLDER "%s", cases[i].name);
        const tess_source source = {.name = path, .path = path};
        tess_image_facts facts;
        tess_error err;
        assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
        assert_int_equal(facts.is_whole, cases[i].is_whole);
        facts.width = facts.height = SIDE; /* the decoder's share stays that of a small one */
        const uint64_t n_byte = tess_image_count_bytes(&facts, 1024, 1024);
        assert_true(facts.is_whole ? n_byte >= 3 * n_pixel : n_byte < n_pixel / 64);
    }
}

/* Between looking and decoding. */
static void refuses_what_has_changed(void **state)
{
    (void)state;
    const tess_source source = {.name = "picture", .path = FOLDER "420.jpg"};
    tess_image_facts facts;
    tess_error err;
    uint8_t rgb[3] = {1, 2, 3};
    assert_int_equal(tess_image_probe(&source, &facts, &err), TESS_OK);
    const int width = facts.width++;
    assert_int_equal(tess_image_decode(&source, &facts, ROOM, &(tess_picture){1, 1, rgb}, &err), TESS_EINPUT);
    assert_string_equal(err.field, "size");
    char expected[64];
    snprintf(expected, sizeof expected, "%d x %d pixels, as at first", width + 1, facts.height);
    assert_string_equal(err.expected, expected);
    assert_int_equal(rgb[0], 1);
}

static void refuses_damage(void **state)
{
    (void)state;
    size_t n;
    uint8_t *bytes = read_changed("rgb8.png", 600, "\1\2\3\4", &n);
    must_refuse(bytes, n, "", "damaged");
    free(bytes);
    bytes = read_changed("rgb8.png", 24, "\3\2\0\0", &n); /* depth 3 */
    must_refuse(bytes, n, "", "type 2 of 3 bits");
    free(bytes);
    bytes = read_changed("palette.gif", 300, "\xff\xff\xff\xff", &n);
    must_refuse(bytes, n, "", "damaged");
    free(bytes);
    /* A marker in the middle of the scan. */
    bytes = read_changed("444.jpg", 1200, "\xff\xd9\xff\xd9", &n);
    must_refuse(bytes, n, "", "premature end");
    free(bytes);
}

/* As Pillow does; but where scans follow each other, the mark is what tells that none is missing. */
static void takes_a_jpeg_that_lacks_only_its_end_mark(void **state)
{
    (void)state;
    size_t n;
    tess_picture whole, picture;
    tess_error err;
    uint8_t *bytes = media_read(FOLDER "420.jpg", &n);
    assert_int_equal(decode(bytes, n, &whole, &err), TESS_OK);
    assert_int_equal(decode(bytes, n - 2, &picture, &err), TESS_OK);
    assert_memory_equal(whole.rgb, picture.rgb, 3 * (size_t)whole.width * (size_t)whole.height);
    free(whole.rgb);
    free(picture.rgb);
    must_refuse(bytes, n - 30, "", "premature end");
    free(bytes);
    bytes = media_read(FOLDER "420-progressive.jpg", &n);
    must_refuse(bytes, n - 2, "", "Premature end");
    free(bytes);
}

/* FFmpeg would make pixels of these, but not Pillow's. */
static void refuses_rare_kinds_of_tiff(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag, value;
        const char *found;
    } kinds[] = {
        {262 & 255, 5, "CMYK"}, {262 & 255, 6, "CMYK"}, {262 & 255, 0, "white as 0"}, {259 & 255, 7, "JPEG"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n;
        uint8_t *bytes = media_read(FOLDER "rgb-raw.tiff", &n);
        const uint8_t entry[8] = {kinds[i].tag, 1, 3, 0, 1, 0, 0, 0};
        uint8_t *at = memmem(bytes, n, entry, sizeof entry);
        assert_non_null(at);
        at[8] = kinds[i].value;
        must_refuse(bytes, n, "pixels", kinds[i].found);
        free(bytes);
    }
}

static void refuses_random_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t n;
    } heads[] = {
        {"", 0},   {"\xff\xd8\xff\xe0", 4}, {"\x89PNG\r\n\x1a\n", 8},       {"GIF89a", 6},
        {"BM", 2}, {"II*\0\x08\0\0\0", 8},  {"RIFF\x10\0\0\0WEBPVP8 ", 16}, {"RIFF\x10\0\0\0WEBPVP8X", 16}};
    uint64_t random = 1;
    for (size_t i = 0; i < 4000; i++) {
        uint8_t bytes[256];
        size_t n = 32 + tess_random_next(&random) % (sizeof bytes - 32), head = i % 8;
        for (size_t k = 0; k < n; k++) bytes[k] = (uint8_t)tess_random_next(&random);
        memcpy(bytes, heads[head].head, heads[head].n);
        tess_picture picture;
        tess_error err;
        tess_source source = {.name = "picture", .data = bytes, .n_byte = n};
        tess_status status = media_decode(&source, 1 << 22, &picture, &err);
        if (status == TESS_OK)
            free(picture.rgb);
        else
            assert_int_equal(status, TESS_EINPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_other_kinds_by_name),
        cmocka_unit_test(refuses_whole_pictures_of_other_kinds),
        cmocka_unit_test(refuses_what_is_too_large_before_decoding),
        cmocka_unit_test(counts_what_decoding_takes),
        cmocka_unit_test(refuses_damage),
        cmocka_unit_test(takes_a_jpeg_that_lacks_only_its_end_mark),
        cmocka_unit_test(refuses_rare_kinds_of_tiff),
        cmocka_unit_test(refuses_random_bytes),
        cmocka_unit_test(refuses_what_is_cut_off),
        cmocka_unit_test(decodes_to_pillows_pixels),
        cmocka_unit_test(resizes_rows_as_they_come),
        cmocka_unit_test(refuses_what_has_changed),
        cmocka_unit_test(counts_pixels_only_where_they_are_held),
    };
    return cmocka_run_group_tests_name("image_file", tests, NULL, NULL);
}
