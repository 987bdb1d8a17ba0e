/* Text as it comes: whole characters in every piece, the same text however ids cut it, and stop texts that
 * are found where they are complete first, at the id that completes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tessera.h"

static tess_tokenizer *tokenizer;
static tess_error err;

static int open_tokenizer(void **state)
{
    (void)state;
    return tess_tokenizer_open("tests/golden/text", &tokenizer, &err) == TESS_OK ? 0 : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tess_tokenizer_close(tokenizer);
    return 0;
}

/* One id for each byte: characters and stop texts are cut wherever they can be. */
static void spell_bytes(const char *text, size_t n, tess_ids *ids)
{
    assert_int_equal(tess_ids_reserve(ids, n, &err), TESS_OK);
    for (size_t i = 0; i < n; i++) {
        ids->data[ids->count] = tess_tokenizer_get_id(tokenizer, text + i, 1);
        assert_true(ids->data[ids->count++] >= 0);
    }
}

/* What a run of a stream gave. */
typedef struct outcome {
    tess_text text;
    int stop;
    size_t n_used; /* ids until the stop text was complete, or all */
} outcome;

static outcome stream_ids(const tess_ids *ids, const char *const *stops, int n_stop)
{
    outcome out = {.n_used = ids->count};
    tess_text_stream *s;
    const char *text;
    size_t n;
    if (tess_text_stream_new(tokenizer, stops, n_stop, &s, &err) != TESS_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i <= ids->count; i++) {
        bool was_stopped = tess_text_stream_get_stop(s) >= 0;
        if (i < ids->count)
            assert_int_equal(tess_text_stream_push(s, ids->data[i], &text, &n, &err), TESS_OK);
        else
            assert_int_equal(tess_text_stream_flush(s, &text, &n, &err), TESS_OK);
        assert_int_equal(tess_utf8_find_invalid((const uint8_t *)text, n), n);
        assert_true(!was_stopped || n == 0);
        assert_int_equal(tess_text_append(&out.text, text, n, &err), TESS_OK);
        if (!was_stopped && tess_text_stream_get_stop(s) >= 0 && i < ids->count) out.n_used = i + 1;
    }
    out.stop = tess_text_stream_get_stop(s);
    tess_text_stream_free(s);
    return out;
}

/* The same by the plainest means: the first end of the text at which a stop text ends. */
static size_t find_plainly(const char *text, size_t n, const char *const *stops, int n_stop, int *which,
                           size_t *end)
{
    for (*end = 1; *end <= n; (*end)++) {
        size_t begin = n + 1;
        *which = -1;
        for (int i = 0; i < n_stop; i++) {
            size_t length = strlen(stops[i]);
            if (length > *end || memcmp(text + *end - length, stops[i], length)) continue;
            if (*end - length >= begin) continue;
            begin = *end - length;
            *which = i;
        }
        if (*which >= 0) return begin;
    }
    *which = -1;
    *end = n;
    return n;
}

static void check_stream(const char *text, const char *const *stops, int n_stop)
{
    size_t n = strlen(text), end;
    int which;
    size_t expected = find_plainly(text, n, stops, n_stop, &which, &end);
    tess_ids bytes = {0}, words = {0};
    spell_bytes(text, n, &bytes);
    assert_int_equal(tess_tokenizer_encode(tokenizer, text, n, TESS_ENCODE_PLAIN, &words, &err), TESS_OK);
    const tess_ids *both[] = {&bytes, &words};
    for (int i = 0; i < 2; i++) {
        outcome out = stream_ids(both[i], stops, n_stop);
        if (out.text.count != expected || (expected && memcmp(out.text.data, text, expected)))
            fail_msg("\"%s\": \"%.*s\", expected the first %zu bytes", text, (int)out.text.count,
                     out.text.data, expected);
        assert_int_equal(out.stop, which);
        if (i == 0) assert_int_equal(out.n_used, end); /* it is known at the very byte */
        tess_text_release(&out.text);
    }
    tess_ids_release(&bytes);
    tess_ids_release(&words);
}

static void test_cases(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "The capital of France is Paris.",
        "aaaaaaab aabaa",
        "xyz12 y",
        "\xc3\x84rger \xe5\x8c\x97\xe4\xba\xac und \xf0\x9f\x98\x80\xf0\x9f\x98\x81!",
        "\n\nUser: more\n",
        "ababcababd",
    };
    static const char *const lists[][5] = {
        {"Paris"},
        {"."},
        {"is P", "France is", "capital of F"},
        {" capital", "p"}, /* both within one token */
        {"aab"},
        {"aaaaaaaaaaaaaaa", "b a"},
        {"xyz12", "y"},
        {"yz12 y", "z12", "xyz123"},
        {"\xe4\xba\xac"},
        {"\xe5\x8c\x97\xe4\xba\xac u", "\xf0\x9f\x98\x81"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x82", "\xf0\x9f\x98\x80\xf0\x9f\x98\x81!!"},
        {"\nUser:", "\n\n\n"},
        {"ababd", "abcabc"},
        {"T"},
    };
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        check_stream(texts[t], NULL, 0);
        for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
            int n = 0;
            while (lists[l][n]) n++;
            check_stream(texts[t], lists[l], n);
        }
    }
}

static unsigned draw(uint64_t *state, unsigned n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33) % n;
}

/* Few letters, so that stop texts begin and fail to go on all the time. */
static void test_drawn(void **state)
{
    (void)state;
    static const char *const letters[] = {"a", "b", "\xc3\xa4", "\xf0\x9f\x98\x80"};
    uint64_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        char text[256] = "", stop[4][64];
        const char *stops[4];
        for (unsigned i = draw(&seed, 40); i > 0; i--) strcat(text, letters[draw(&seed, 4)]);
        int n_stop = (int)draw(&seed, 5);
        for (int k = 0; k < n_stop; k++) {
            stop[k][0] = 0;
            for (unsigned i = 1 + draw(&seed, 6); i > 0; i--) strcat(stop[k], letters[draw(&seed, 4)]);
            stops[k] = stop[k];
        }
        check_stream(text, stops, n_stop);
    }
}

/* A character that stays incomplete becomes U+FFFD at the end, which may complete a stop text. */
static void test_end(void **state)
{
    (void)state;
    tess_ids ids = {0};
    spell_bytes("ab\xe5\x8c", 4, &ids);
    outcome out = stream_ids(&ids, NULL, 0);
    assert_string_equal(out.text.data, "ab\xef\xbf\xbd");
    tess_text_release(&out.text);
    const char *const stop[] = {"b\xef\xbf\xbd"};
    out = stream_ids(&ids, stop, 1);
    assert_string_equal(out.text.data, "a");
    assert_int_equal(out.stop, 0);
    tess_text_release(&out.text);
    tess_ids_release(&ids);
}

/* Special tokens and ids without a token give no text, and do not part a stop text. */
static void test_special(void **state)
{
    (void)state;
    tess_ids ids = {0};
    int32_t special = tess_tokenizer_get_id(tokenizer, "<|im_end|>", 10);
    assert_true(tess_tokenizer_is_special(tokenizer, special));
    spell_bytes("abc", 3, &ids);
    assert_int_equal(tess_ids_reserve(&ids, 2, &err), TESS_OK);
    memmove(ids.data + 4, ids.data + 2, sizeof *ids.data);
    ids.data[2] = special;
    ids.data[3] = INT32_MAX;
    ids.count = 5;
    outcome out = stream_ids(&ids, NULL, 0);
    assert_string_equal(out.text.data, "abc");
    tess_text_release(&out.text);
    const char *const stop[] = {"bc"};
    out = stream_ids(&ids, stop, 1);
    assert_string_equal(out.text.data, "a");
    tess_text_release(&out.text);
    tess_ids_release(&ids);
}

static void refused(const char *const *stops, int n_stop, const char *field)
{
    tess_text_stream *s = NULL;
    assert_int_equal(tess_text_stream_new(tokenizer, stops, n_stop, &s, &err), TESS_EUSAGE);
    assert_string_equal(err.field, field);
    assert_null(s);
}

static void test_refusals(void **state)
{
    (void)state;
    char text[TESS_STOP_MAX_BYTES + 2];
    memset(text, 'x', sizeof text);
    text[TESS_STOP_MAX_BYTES + 1] = 0;
    const char *stops[TESS_STOP_MAX_TEXTS + 1];
    for (int i = 0; i <= TESS_STOP_MAX_TEXTS; i++) stops[i] = text + 1;
    tess_text_stream *s;
    assert_int_equal(tess_text_stream_new(tokenizer, stops, TESS_STOP_MAX_TEXTS, &s, &err), TESS_OK);
    tess_text_stream_free(s);
    refused(stops, TESS_STOP_MAX_TEXTS + 1, "stop_texts");
    stops[2] = text;
    refused(stops, 3, "stop_texts[2]");
    stops[1] = "";
    refused(stops, 3, "stop_texts[1]");
    stops[0] = "a\xff";
    refused(stops, 3, "stop_texts[0]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),   cmocka_unit_test(test_drawn),    cmocka_unit_test(test_end),
        cmocka_unit_test(test_special), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("text_stream", tests, open_tokenizer, close_tokenizer);
}
