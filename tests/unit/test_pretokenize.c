/* Character classes and the split into words equal the original's for every code point. */
#include "text/pretokenize.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum { BLOCK = 0x1000 };

static void knows_every_class(void **state)
{
    (void)state;
    static const char *const names[] = {"other", "letter", "number", "space"};
    FILE *f = fopen("tests/golden/unicode/classes.txt", "r");
    assert_non_null(f);
    uint32_t first, last, next = 0;
    char name[16];
    while (fscanf(f, "%" SCNx32 " %" SCNx32 " %15s", &first, &last, name) == 3) {
        assert_int_equal(first, next);
        for (uint32_t code = first; code <= last; code++)
            if (strcmp(names[tess_char_get_class(code)], name))
                fail_msg("U+%04" PRIX32 " is a %s", code, name);
        next = last + 1;
    }
    fclose(f);
    assert_int_equal(next, 0x110000);
}

/* The words of a text as "3 1 4": their lengths in bytes. */
static void split(const uint8_t *text, size_t n, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = tess_word_get_end(text, n, at);
        assert_true(end > at && end <= n);
        used += (size_t)snprintf(out + used, size - used, "%s%zu", at ? " " : "", end - at);
    }
}

static void hash_block(uint32_t block, char hex[33])
{
    static const char pattern[] = "a{}b {} 1{}\n{}{}!{} \n'{}'r{}'l{}'v{}'{}e'{}l  {}?";
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    for (uint32_t code = block; code < block + BLOCK; code++) {
        if (code >= 0xd800 && code <= 0xdfff) continue;
        uint8_t text[256];
        size_t n = 0;
        for (const char *p = pattern; *p; p++) {
            if (*p == '{') {
                n += tess_utf8_write(code, text + n);
                p++;
            } else {
                text[n++] = (uint8_t)*p;
            }
        }
        char line[512];
        split(text, n, line, sizeof line - 1);
        strcat(line, "\n");
        EVP_DigestUpdate(hash, line, strlen(line));
    }
    unsigned char digest[32];
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void splits_around_every_code_point(void **state)
{
    (void)state;
    FILE *f = fopen("tests/golden/unicode/blocks.txt", "r");
    assert_non_null(f);
    char kind[16], expected[64], found[33];
    uint32_t block;
    unsigned index, n_blocks = 0;
    while (fscanf(f, "%" SCNx32 " %15s %u %63s", &block, kind, &index, expected) == 4) {
        if (strcmp(kind, "split")) continue;
        hash_block(block, found);
        if (strcmp(found, expected)) fail_msg("block %" PRIX32, block);
        n_blocks++;
    }
    fclose(f);
    assert_int_equal(n_blocks, 0x110000 / BLOCK);
}

/* The rules one by one, with the lengths the original gives. */
static void splits_by_each_rule(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"don't WE'LL he'd", "3 2 3 3 3 2"}, /* 1 */
        {"'stop'REal", "2 3 3 2"},
        {"'\u017fx", "3 1"},
        {"'lx 'r", "3 2 1"},
        {"a !b\tc", "1 2 1 2"}, /* 2 */
        {"x12 3", "1 1 1 1 1"}, /* 3 */
        {" !!\r\n\nx", "6 1"},
        {"..\u00a0.", "2 2 1"},    /* 4 */
        {"a \n \n  b", "1 4 1 2"}, /* 5 */
        {"a   b", "1 2 2"},
        {"a   ", "1 3"},
        {"\t\t!", "1 1 1"}, /* 6 */
        {"a\u3000\u3000!", "1 3 3 1"},
        {"\t!", "1 1"}, /* 7 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char words[64];
        split((const uint8_t *)cases[i].text, strlen(cases[i].text), words, sizeof words);
        assert_string_equal(words, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_class),
        cmocka_unit_test(splits_around_every_code_point),
        cmocka_unit_test(splits_by_each_rule),
    };
    return cmocka_run_group_tests_name("pretokenize", tests, NULL, NULL);
}
