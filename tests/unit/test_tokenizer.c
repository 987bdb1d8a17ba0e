/* Ids and texts equal the original's; streams give whole characters; long words take n log n. */
#include "tessera/tokenizer.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/recording.h"
#include "../support/scratch.h"

#define GOLDEN "tests/golden/text/"
static const char published[] = "../shared/data/qwen3_omni";

/* `saved`: the same tokenizers as one file each, as the original writes them. */
static tess_tokenizer *small, *overlapping, *saved, *saved_overlapping;
static json_t *cases;
static char folder[SCRATCH_BYTES];

static void link_file(const char *from, const char *name)
{
    char target[4096], path[4200];
    assert_non_null(realpath(from, target));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static int open_all(void **state)
{
    (void)state;
    tess_error err;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    link_file(GOLDEN "vocab.json", "vocab.json");
    link_file(GOLDEN "merges.txt", "merges.txt");
    link_file(GOLDEN "overlapping.json", "tokenizer_config.json");
    if (tess_tokenizer_open(GOLDEN, &small, &err) || tess_tokenizer_open(folder, &overlapping, &err) ||
        tess_tokenizer_open(GOLDEN "saved", &saved, &err) ||
        tess_tokenizer_open(GOLDEN "saved_overlapping", &saved_overlapping, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    cases = json_load_file(GOLDEN "cases.json", JSON_ALLOW_NUL, NULL);
    return cases ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
    for (int i = 0; i < 3; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    json_decref(cases);
    tess_tokenizer_close(small);
    tess_tokenizer_close(overlapping);
    tess_tokenizer_close(saved);
    tess_tokenizer_close(saved_overlapping);
    return rmdir(folder);
}

static void assert_ids(const tess_tokenizer *t, const json_t *text, unsigned flags, const json_t *expected)
{
    tess_ids ids = {0};
    tess_error err;
    assert_int_equal(
        tess_tokenizer_encode(t, json_string_value(text), json_string_length(text), flags, &ids, &err),
        TESS_OK);
    bool same = ids.count == json_array_size(expected);
    for (size_t i = 0; same && i < ids.count; i++)
        same = ids.data[i] == json_integer_value(json_array_get(expected, i));
    if (!same) fail_msg("other ids for \"%s\"", json_string_value(text));
    tess_ids_release(&ids);
}

static void encodes_as_the_original(void **state)
{
    (void)state;
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(cases, "encoded"), i, item)
    {
        const json_t *text = json_object_get(item, "text");
        assert_ids(small, text, 0, json_object_get(item, "ids"));
        assert_ids(small, text, TESS_ENCODE_PLAIN, json_object_get(item, "plain"));
        assert_ids(overlapping, text, 0, json_object_get(item, "overlapping"));
        assert_ids(saved, text, 0, json_object_get(item, "ids"));
        assert_ids(saved, text, TESS_ENCODE_PLAIN, json_object_get(item, "plain"));
        /* Saving added the class's own end of text, which this set lacks. */
        if (!strstr(json_string_value(text), "<|endoftext|>"))
            assert_ids(saved_overlapping, text, 0, json_object_get(item, "overlapping"));
    }
    assert_true(i > 700);
}

static size_t read_ids(const json_t *list, int32_t ids[64])
{
    size_t n = json_array_size(list);
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

/* Decodes at once and as a stream; both give `expected`, and each piece of the stream is whole characters. */
static void assert_text(const tess_tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                        const char *expected, size_t n_expected)
{
    tess_text text = {0}, stream = {0};
    tess_detokenizer *d;
    tess_error err;
    assert_int_equal(tess_tokenizer_decode(t, ids, n, flags, &text, &err), TESS_OK);
    assert_int_equal(text.count, n_expected);
    assert_memory_equal(text.data, expected, n_expected);
    assert_int_equal(tess_detokenizer_new(t, flags, &d, &err), TESS_OK);
    const char *piece;
    size_t n_piece;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tess_detokenizer_push(d, ids[i], &piece, &n_piece, &err), TESS_OK);
        if (n_piece) assert_true(((unsigned char)piece[0] & 0xc0) != 0x80);
        json_t *whole = json_stringn(piece, n_piece); /* refuses what is no UTF-8 */
        assert_non_null(whole);
        json_decref(whole);
        assert_int_equal(tess_text_append(&stream, piece, n_piece, &err), TESS_OK);
    }
    tess_detokenizer_flush(d, &piece, &n_piece);
    assert_int_equal(tess_text_append(&stream, piece, n_piece, &err), TESS_OK);
    assert_int_equal(stream.count, n_expected);
    assert_memory_equal(stream.data, expected, n_expected);
    tess_detokenizer_free(d);
    tess_text_release(&text);
    tess_text_release(&stream);
}

static void decodes_as_the_original(void **state)
{
    (void)state;
    size_t i;
    const json_t *item;
    int n_skipped = 0;
    json_array_foreach(json_object_get(cases, "decoded"), i, item)
    {
        int32_t ids[64];
        size_t n = read_ids(json_object_get(item, "ids"), ids);
        const json_t *text = json_object_get(item, "text"), *skipped = json_object_get(item, "skipped");
        const json_t *other = json_object_get(item, "overlapping");
        if (text) assert_text(small, ids, n, 0, json_string_value(text), json_string_length(text));
        if (skipped)
            assert_text(small, ids, n, TESS_DECODE_SKIP_SPECIAL, json_string_value(skipped),
                        json_string_length(skipped));
        if (other) assert_text(overlapping, ids, n, 0, json_string_value(other), json_string_length(other));
        if (skipped)
            assert_text(saved, ids, n, TESS_DECODE_SKIP_SPECIAL, json_string_value(skipped),
                        json_string_length(skipped));
        n_skipped += skipped && !json_equal(skipped, text);
    }
    assert_true(i > 300 && n_skipped > 5);
}

static void streams_whole_characters(void **state)
{
    (void)state;
    static const char text[] = "\U0001f642"; /* four bytes, four ids in this vocabulary */
    tess_ids ids = {0};
    tess_detokenizer *d;
    tess_error err;
    assert_int_equal(tess_tokenizer_encode(small, text, 4, 0, &ids, &err), TESS_OK);
    assert_true(ids.count > 1);
    assert_int_equal(tess_detokenizer_new(small, 0, &d, &err), TESS_OK);
    const char *piece;
    size_t n;
    for (size_t i = 0; i < ids.count; i++) {
        assert_int_equal(tess_detokenizer_push(d, ids.data[i], &piece, &n, &err), TESS_OK);
        assert_int_equal(n, i + 1 == ids.count ? 4 : 0);
    }
    assert_string_equal(piece, text);
    /* A refused id leaves what is held back; the end replaces it, and the next text starts clean. */
    assert_int_equal(tess_detokenizer_push(d, ids.data[0], &piece, &n, &err), TESS_OK);
    assert_int_equal(tess_detokenizer_push(d, 1 << 20, &piece, &n, &err), TESS_EINPUT);
    assert_string_equal(err.found, "1048576");
    assert_string_equal(err.expected, "an id of a token, 0 to 840");
    tess_detokenizer_flush(d, &piece, &n);
    assert_string_equal(piece, "\ufffd");
    tess_detokenizer_flush(d, &piece, &n);
    assert_int_equal(n, 0);
    tess_detokenizer_free(d);
    tess_ids_release(&ids);
}

static void refuses_by_name(void **state)
{
    (void)state;
    tess_ids ids = {0};
    tess_text text = {0};
    tess_error err;
    static const struct {
        const char *text;
        int offset;
    } bad[] = {{"ab\xff", 2},          {"\x80", 0},
               {"abcdefghij\xc3", 10}, {"\xed\xa0\x80", 0},
               {"\xc0\x80", 0},        {"\xf4\x90\x80\x80", 0},
               {"a\xe4\xba", 1},       {"12345678\xf8\x88\x80\x80\x80", 8}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tess_tokenizer_encode(small, bad[i].text, strlen(bad[i].text), 0, &ids, &err),
                         TESS_EINPUT);
        assert_int_equal(err.offset, bad[i].offset);
        assert_int_equal(ids.count, 0);
    }
    static const int32_t unknown[] = {1, -1}, gone[] = {1, 841};
    assert_int_equal(tess_text_append(&text, "kept", 4, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_decode(small, unknown, 2, 0, &text, &err), TESS_EINPUT);
    assert_string_equal(err.found, "-1");
    assert_int_equal(tess_tokenizer_decode(small, gone, 2, 0, &text, &err), TESS_EINPUT);
    assert_string_equal(text.data, "kept");
    assert_int_equal(tess_tokenizer_decode(small, gone, 2, TESS_DECODE_SKIP_UNKNOWN, &text, &err), TESS_OK);
    assert_string_equal(text.data, "kept\"");
    assert_int_equal(tess_tokenizer_open("/nowhere", &overlapping, &err), TESS_EINPUT);
    assert_string_equal(err.file, "/nowhere");
    tess_text_release(&text);
    tess_ids_release(&ids);
}

static void answers_questions(void **state)
{
    (void)state;
    size_t n;
    int32_t start = tess_tokenizer_get_id(small, "<|im_start|>", 12),
            think = tess_tokenizer_get_id(small, "<think>", 7);
    assert_int_equal(start, 809);
    assert_true(tess_tokenizer_is_added(small, start) && tess_tokenizer_is_special(small, start));
    assert_true(tess_tokenizer_is_added(small, think) && !tess_tokenizer_is_special(small, think));
    assert_int_equal(tess_tokenizer_get_id(small, "no such token", 13), -1);
    assert_int_equal(tess_tokenizer_get_id(small, "", 0), -1);
    int32_t capital = tess_tokenizer_get_id(small, " capital", 8);
    assert_true(capital > 0 && !tess_tokenizer_is_added(small, capital));
    assert_memory_equal(tess_tokenizer_get_bytes(small, capital, &n), " capital", 8);
    assert_int_equal(n, 8);
    assert_null(tess_tokenizer_get_bytes(small, 841, &n));
    assert_int_equal(n, 0);
    assert_null(tess_tokenizer_get_bytes(small, -5, &n));
    assert_int_equal(tess_tokenizer_get_n_tokens(small), 808 + 33);
    assert_int_equal(tess_tokenizer_get_n_ids(small), 808 + 33);
    assert_null(tess_tokenizer_get_warning(small));
}

/* A megabyte without a break: quadratic time would take hours. It comes back unchanged. */
static void takes_long_words(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    char *word = malloc(N);
    assert_non_null(word);
    static const char merging[] = "thecapitaloffranceandthecapitalofitaly";
    for (int kind = 0; kind < 2; kind++) {
        unsigned seed = 7;
        for (size_t i = 0; i < N; i++) {
            seed = seed * 1103515245 + 12345;
            word[i] = kind ? (char)('a' + (seed >> 16) % 26) : merging[i % (sizeof merging - 1)];
        }
        tess_ids ids = {0};
        tess_text text = {0};
        tess_error err;
        clock_t begin = clock();
        assert_int_equal(tess_tokenizer_encode(small, word, N, 0, &ids, &err), TESS_OK);
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        printf("# a word of 1 MiB: %zu ids in %.2f s\n", ids.count, seconds);
        assert_true(seconds < 60);
        assert_int_equal(tess_tokenizer_decode(small, ids.data, ids.count, 0, &text, &err), TESS_OK);
        assert_int_equal(text.count, N);
        assert_memory_equal(text.data, word, N);
        tess_ids_release(&ids);
        tess_text_release(&text);
    }
    free(word);
}

/* The published vocabulary as the one file that a newer version of the original makes of it. */
static void write_one_file(const char *path)
{
    char source[256], line[1024];
    json_t *root = json_load_file(GOLDEN "saved/tokenizer.json", 0, NULL), *merges = json_array();
    json_t *model = json_object_get(root, "model"), *added = json_object_get(root, "added_tokens"), *item;
    size_t i;
    json_array_foreach(added, i, item)
    {
        json_int_t id = json_integer_value(json_object_get(item, "id"));
        json_object_set_new(item, "id", json_integer(id - 808 + 151643));
    }
    snprintf(source, sizeof source, "%s/vocab.json", published);
    assert_int_equal(json_object_set_new(model, "vocab", json_load_file(source, 0, NULL)), 0);
    snprintf(source, sizeof source, "%s/merges.txt", published);
    FILE *f = fopen(source, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "#version", 8) != 0) json_array_append_new(merges, json_string(line));
    }
    fclose(f);
    json_object_set_new(model, "merges", merges);
    assert_int_equal(json_dump_file(root, path, JSON_COMPACT), 0);
    json_decref(root);
}

static void assert_published(const char *of)
{
    tess_tokenizer *t;
    tess_error err;
    if (tess_tokenizer_open(of, &t, &err) != TESS_OK) fail_msg("%s", err.message);
    json_t *list = json_load_file("../shared/golden/front/tokens.json", JSON_ALLOW_NUL, NULL);
    assert_non_null(list);
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        assert_ids(t, json_object_get(item, "text"), 0, json_object_get(item, "ids"));
    assert_int_equal(i, 399);
    assert_int_equal(tess_tokenizer_get_id(t, "<|audio_pad|>", 13), 151675);
    assert_int_equal(tess_tokenizer_get_id(t, "system", 6), 8948);
    assert_true(tess_tokenizer_is_special(t, 151645) && !tess_tokenizer_is_special(t, 151667));
    assert_int_equal(tess_tokenizer_get_n_tokens(t), 151676);
    json_decref(list);
    tess_tokenizer_close(t);
}

/* The published vocabulary and the texts that come with it. */
static void equals_the_published_tokenizer(void **state)
{
    (void)state;
    if (!test_shared_folder()) skip();
    assert_published(published);
    char one[SCRATCH_BYTES], path[64];
    assert_int_equal(scratch_make_folder(one, SCRATCH_ANYWHERE), 0);
    snprintf(path, sizeof path, "%s/tokenizer.json", one);
    write_one_file(path);
    assert_published(one);
    unlink(path);
    rmdir(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_the_original),
        cmocka_unit_test(decodes_as_the_original),
        cmocka_unit_test(streams_whole_characters),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(answers_questions),
        cmocka_unit_test(takes_long_words),
        cmocka_unit_test(equals_the_published_tokenizer),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, open_all, close_all);
}
