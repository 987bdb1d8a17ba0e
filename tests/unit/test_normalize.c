/* NFC equals the original's: the decompositions, random texts, and every code point among marks and jamo. */
#include "text/normalize.h"

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

static const char cases_file[] = "tests/golden/unicode/nfc_cases.txt";
static const char blocks_file[] = "tests/golden/unicode/blocks.txt";
enum { BLOCK = 0x1000 };

/* "41 300" → UTF-8; returns its bytes. */
static size_t read_codes(const char *text, uint8_t *out)
{
    size_t n = 0;
    for (char *end; *text && *text != '\n' && *text != ';'; text = end) {
        n += tess_utf8_write((uint32_t)strtoul(text, &end, 16), out + n);
        assert_ptr_not_equal(text, end);
        while (*end == ' ') end++;
    }
    return n;
}

static void assert_nfc(const uint8_t *text, size_t n, const uint8_t *expected, size_t n_expected)
{
    tess_text out = {0};
    tess_error err;
    assert_int_equal(tess_nfc_append(text, n, &out, &err), TESS_OK);
    assert_int_equal(out.count, n_expected);
    assert_memory_equal(out.data, expected, n_expected);
    if (tess_nfc_is_trivial(text, n)) assert_true(n == n_expected && !memcmp(text, expected, n));
    tess_text_release(&out);
}

static void equals_the_cases(void **state)
{
    (void)state;
    FILE *f = fopen(cases_file, "r");
    assert_non_null(f);
    char line[4096];
    int n_cases = 0;
    while (fgets(line, sizeof line, f)) {
        uint8_t text[2048], expected[2048];
        const char *split = strchr(line, ';');
        assert_non_null(split);
        size_t n = read_codes(line, text), n_expected = read_codes(split + 1, expected);
        assert_nfc(text, n, expected, n_expected);
        assert_nfc(expected, n_expected, expected, n_expected);
        n_cases++;
    }
    fclose(f);
    assert_true(n_cases > 3000);
}

static const char *const templates[] = {"{}",       "A\u0345{}",      "A{}\u0334",      "A{}\u0323\u0301",
                                        "{}\u0301", "{}\u0338\u0345", "\u0928{}\u093c", "\u1100{}\u11a8",
                                        "{}{}"};

/* Writes `pattern` with the code point in place of {}. */
static size_t fill(const char *pattern, uint32_t code, uint8_t *out)
{
    size_t n = 0;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '{' && p[1] == '}') {
            n += tess_utf8_write(code, out + n);
            p++;
        } else {
            out[n++] = (uint8_t)*p;
        }
    }
    return n;
}

static void hash_block(uint32_t block, const char *pattern, char hex[33])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    tess_text out = {0};
    for (uint32_t code = block; code < block + BLOCK; code++) {
        if (code >= 0xd800 && code <= 0xdfff) continue;
        uint8_t text[64];
        size_t n = fill(pattern, code, text);
        out.count = 0;
        assert_int_equal(tess_nfc_append(text, n, &out, NULL), TESS_OK);
        assert_int_equal(tess_text_append(&out, "\n", 1, NULL), TESS_OK);
        EVP_DigestUpdate(hash, out.data, out.count);
    }
    unsigned char digest[32];
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    tess_text_release(&out);
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void equals_the_original_for_every_code_point(void **state)
{
    (void)state;
    FILE *f = fopen(blocks_file, "r");
    assert_non_null(f);
    char kind[16], expected[64], found[33];
    uint32_t block;
    unsigned index, n_blocks = 0;
    while (fscanf(f, "%" SCNx32 " %15s %u %63s", &block, kind, &index, expected) == 4) {
        if (strcmp(kind, "nfc")) continue;
        assert_true(index < sizeof templates / sizeof templates[0]);
        hash_block(block, templates[index], found);
        if (strcmp(found, expected))
            fail_msg("block %" PRIX32 " in template \"%s\"", block, templates[index]);
        n_blocks++;
    }
    fclose(f);
    assert_int_equal(n_blocks, 0x110000 / BLOCK * 9);
}

static void knows_what_is_trivial(void **state)
{
    (void)state;
    static const char *const trivial[] = {"", "plain", "na\u00efve \u4eac\U0001f642 \uac00"};
    static const char *const other[] = {"\u0301", "a\u0323", "\u212b", "\u1161", "\U0001d160"};
    for (size_t i = 0; i < 3; i++)
        assert_true(tess_nfc_is_trivial((const uint8_t *)trivial[i], strlen(trivial[i])));
    for (size_t i = 0; i < 5; i++)
        assert_false(tess_nfc_is_trivial((const uint8_t *)other[i], strlen(other[i])));
}

/* A hundred thousand marks in a row are sorted, not shuffled one by one. */
static void sorts_long_runs(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint8_t *text = malloc(4 * N), *expected = malloc(4 * N);
    assert_true(text && expected);
    size_t n = 0, half;
    for (int i = 0; i < N; i++) n += tess_utf8_write(i % 2 ? 0x301 : 0x323, text + n);
    half = 0;
    for (int i = 0; i < N / 2; i++) half += tess_utf8_write(0x323, expected + half);
    for (int i = 0; i < N / 2; i++) half += tess_utf8_write(0x301, expected + half);
    assert_nfc(text, n, expected, half);
    free(text);
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_cases),
        cmocka_unit_test(equals_the_original_for_every_code_point),
        cmocka_unit_test(knows_what_is_trivial),
        cmocka_unit_test(sorts_long_runs),
    };
    return cmocka_run_group_tests_name("normalize", tests, NULL, NULL);
}
