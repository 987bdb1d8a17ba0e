/* Every character there is, and what is none: how many bytes one replacement stands for. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool is_surrogate(uint32_t code)
{
    return code >= 0xd800 && code <= 0xdfff;
}

static void knows_every_character(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        uint8_t bytes[4];
        uint32_t read;
        size_t used, n = tess_utf8_write(code, bytes);
        if (is_surrogate(code)) {
            assert_int_equal(tess_utf8_step(bytes, n, &used), TESS_UTF8_INVALID);
            continue;
        }
        assert_int_equal(tess_utf8_step(bytes, n, &used), TESS_UTF8_VALID);
        assert_int_equal(used, n);
        assert_int_equal(tess_utf8_read(bytes, &read), n);
        assert_int_equal(read, code);
        assert_int_equal(tess_utf8_find_invalid(bytes, n), n);
        for (size_t i = 0; i < n; i++) assert_int_equal(tess_utf8_goes_on((char)bytes[i]), i > 0);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(tess_utf8_step(bytes, cut, &used), TESS_UTF8_INCOMPLETE);
            assert_int_equal(used, cut);
        }
    }
}

/* Unicode 16, section 3.9, table 3-8 and its neighbours. */
static void takes_the_longest_part(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int used[8]; /* ends with 0 */
    } cases[] = {
        {"\x80", {1}},
        {"\xff", {1}},
        {"\xc0\x80", {1, 1}},
        {"\xe0\x9f\x80", {1, 1, 1}},
        {"\xed\xa0\x80", {1, 1, 1}},
        {"\xf4\x90\x80\x80", {1, 1, 1, 1}},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf", {2, 1, 3, 2}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const uint8_t *at = (const uint8_t *)cases[k].bytes;
        size_t left = strlen(cases[k].bytes), used;
        assert_int_equal(tess_utf8_find_invalid(at, left), 0);
        for (int i = 0; left; i++, at += used, left -= used) {
            assert_int_not_equal(tess_utf8_step(at, left, &used), TESS_UTF8_VALID);
            assert_int_equal(used, cases[k].used[i]);
        }
    }
}

/* Eight bytes are looked at together where all are ASCII. */
static void finds_the_first_byte(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        uint8_t text[40];
        memset(text, 'a', sizeof text);
        text[at] = 0xff;
        assert_int_equal(tess_utf8_find_invalid(text, sizeof text), at);
        assert_int_equal(tess_utf8_find_invalid(text, at), at);
    }
}

/* What steers a terminal or turns the direction of writing is spelled out; joiners, which emoji need, stay.
 */
static void spells_controls_out(void **state)
{
    (void)state;
    static const struct {
        const char *text, *kept, *shown;
    } cases[] = {
        {"plain, \u00e9 \u4eac \U0001f469\u200d\U0001f467", "",
         "plain, \u00e9 \u4eac \U0001f469\u200d\U0001f467"},
        {"a\n\tb", "\n\t", "a\n\tb"},
        {"a\n\tb\r", "", "a\\n\\x09b\\x0d"},
        {"\x1b]0;title\a\x7f", "\n\t", "\\x1b]0;title\\x07\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\n\t", "\\u009b31m"},
        {"a\u202egnp.exe\u2069\u061c\u200e\u200f\u2066", "",
         "a\\u202egnp.exe\\u2069\\u061c\\u200e\\u200f\\u2066"},
        {"\xff"
         "a\xe4\xba",
         "", "\\xffa\\xe4\\xba"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text);
        assert_int_equal(tess_utf8_escape(cases[i].text, n, cases[i].kept, out, sizeof out), n);
        assert_string_equal(out, cases[i].shown);
    }
    assert_int_equal(tess_utf8_escape("a\0b", 3, "\n", out, sizeof out), 3);
    assert_string_equal(out, "a\\x00b");
    /* Cut between characters; the rest can follow. */
    assert_int_equal(tess_utf8_escape("abcdef\u202e", 9, "", out, 8), 6);
    assert_string_equal(out, "abcdef");
    assert_int_equal(tess_utf8_escape("\u202e", 3, "", out, 8), 3);
    for (uint32_t code = 0; code < 0x110000; code++)
        if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) assert_true(tess_utf8_is_control(code));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_character),
        cmocka_unit_test(takes_the_longest_part),
        cmocka_unit_test(finds_the_first_byte),
        cmocka_unit_test(spells_controls_out),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
