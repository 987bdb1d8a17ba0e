/* Files of a tokenizer that hold something wrong are refused by name, and nothing is read past their ends. */
#include "tessera/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

static char folder[SCRATCH_BYTES];
static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"};

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void write_bytes(const char *name, const char *content, size_t n)
{
    char path[128];
    path_of(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_file(const char *name, const char *content)
{
    write_bytes(name, content, strlen(content));
}

static void remove_files(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        path_of(names[i], path);
        unlink(path);
        rmdir(path);
    }
}

static int make_folder(void **state)
{
    (void)state;
    return scratch_make_folder(folder, SCRATCH_ANYWHERE);
}

static int remove_folder(void **state)
{
    (void)state;
    remove_files();
    return rmdir(folder);
}

/* {"Ā":0, …, "ÿ":255 in the byte alphabet, then `more`}. Ids of the bytes are the bytes' order in the
 * alphabet. */
static void write_vocab(const char *more)
{
    char text[8192] = "{";
    int id = 0;
    for (unsigned code = 0x21; code <= 0x143; code++) {
        if ((code > 0x7e && code < 0xa1) || code == 0xad) continue;
        snprintf(text + strlen(text), 64, "%s\"\\u%04x\":%d", id ? "," : "", code, id);
        id++;
    }
    assert_int_equal(id, 256);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s}", more);
    write_file("vocab.json", text);
}

static void start(const char *more_vocab, const char *merges)
{
    remove_files();
    write_vocab(more_vocab);
    write_file("merges.txt", merges);
}

static void assert_refused(const char *file, const char *field, const char *found, const char *expected)
{
    tess_tokenizer *t = NULL;
    tess_error err;
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_EINPUT);
    assert_null(t);
    char path[128];
    path_of(file, path);
    assert_string_equal(err.file, path);
    assert_string_equal(err.field, field);
    if (!strstr(err.found, found)) assert_string_equal(err.found, found);
    if (!strstr(err.expected, expected)) assert_string_equal(err.expected, expected);
    assert_non_null(strstr(err.message, path));
}

static void opens_the_least(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    tess_ids ids = {0};
    start(",\"ab\":256", "#version: 0.2\r\na b");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_encode(t, "cab<|im_end|>", 13, 0, &ids, &err), TESS_OK);
    assert_int_equal(ids.count, 12); /* no added tokens */
    assert_int_equal(ids.data[1], 256);
    assert_int_equal(tess_tokenizer_get_id(t, "ab", 2), 256);
    tess_ids_release(&ids);
    tess_tokenizer_close(t);
}

/* Long words are merged from a heap in which candidates grow stale: "a b" is one once "b c" is joined, and
 * must not let "a bc" go before "bc d". */
static void merges_long_words_in_order_of_rank(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    tess_ids once = {0}, often = {0};
    enum { TIMES = 50 };
    char text[5 * TIMES + 1] = "";
    for (int i = 0; i < TIMES; i++) strcat(text, "abcdx");
    start(",\"bc\":256,\"ab\":257,\"bcd\":258,\"abc\":259", "b c\na b\nbc d\na bc\n");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_encode(t, text, 5, 0, &once, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_encode(t, text, strlen(text), 0, &often, &err), TESS_OK);
    assert_int_equal(once.count, 3);
    assert_int_equal(once.data[1], 258);
    assert_int_equal(often.count, 3 * TIMES);
    for (size_t i = 0; i < often.count; i++) assert_int_equal(often.data[i], once.data[i % 3]);
    tess_ids_release(&once);
    tess_ids_release(&often);
    tess_tokenizer_close(t);
}

static void refuses_vocabularies(void **state)
{
    (void)state;
    remove_files();
    assert_refused("vocab.json", "", "no such file", "a JSON file");
    start("", "");
    char path[128];
    path_of("vocab.json", path);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused("vocab.json", "", "something else", "a regular file");
    start("", "");
    write_file("vocab.json", "{\"a\":0");
    assert_refused("vocab.json", "JSON", "end of file", "valid JSON");
    write_file("vocab.json", "[]");
    assert_refused("vocab.json", "JSON", "an array", "an object");
    write_file("vocab.json", "{\"a\":0,\"b\":[[[[]]]]}");
    assert_refused("vocab.json", "b", "an array", "an integer");
    write_file("vocab.json", "{}");
    assert_refused("vocab.json", "", "none for byte 0x00", "256 bytes");
    write_file("vocab.json", "{\"\xff\":0}");
    assert_refused("vocab.json", "JSON", "unable to decode byte 0xff", "valid JSON");
    start(",\"ab\":-1", "");
    assert_refused("vocab.json", "ab", "-1", "from 0 to 2097151");
    start(",\"ab\":2097152", "");
    assert_refused("vocab.json", "ab", "2097152", "from 0 to 2097151");
    start(",\"ab\":123456789012345678901234567890", "");
    assert_refused("vocab.json", "JSON", "too big integer", "valid JSON");
    start(",\"ab\":1.5", "");
    assert_refused("vocab.json", "ab", "a number", "an integer");
    start(",\"ab\":0", "");
    assert_refused("vocab.json", "ab", "id 0 a second time", "each id once");
    start(",\"ab\":256,\"ab\":257", "");
    assert_refused("vocab.json", "ab", "duplicate", "valid JSON");
    start(",\"\":256", "");
    assert_refused("vocab.json", "", "an empty token", "at least one byte");
    start(",\"x y\":256,\"x\\u0120y\":257", "");
    assert_refused("vocab.json", "x\u0120y", "the bytes of id 256", "different bytes");
}

static void refuses_merges(void **state)
{
    (void)state;
    start(",\"ab\":256", "a b");
    char path[128];
    path_of("merges.txt", path);
    unlink(path);
    assert_refused("merges.txt", "", "no such file", "a file of merges");
    static const struct {
        const char *text, *field, *found, *expected;
    } cases[] = {
        {"a b\nab\n", "line 2", "ab", "two tokens with a blank between them"},
        {"a b\n\n", "line 2", "", "two tokens with a blank between them"},
        {"a  b\n", "line 1", "a  b", "two tokens with a blank between them"},
        {"a b \n", "line 1", "a b ", "two tokens with a blank between them"},
        {" a b\n", "line 1", " a b", "two tokens with a blank between them"},
        {"#version: x\na bc\n", "line 2", "bc", "two tokens of vocab.json"},
        {"a \u4eac\n", "line 1", "\u4eac", "two tokens of vocab.json"},
        {"a c\n", "line 1", "a c", "whose result is a token"},
        {"a b\na b\n", "line 2", "a b", "each merge once"},
        {"a b\n\xff b\n", "", "byte 0xff", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(",\"ab\":256", cases[i].text);
        assert_refused("merges.txt", cases[i].field, cases[i].found, cases[i].expected);
    }
    tess_tokenizer *t;
    tess_error err;
    start(",\"ab\":256", "a b\na c\n");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_EINPUT);
    assert_int_equal(err.offset, 4);
}

static void refuses_added_tokens(void **state)
{
    (void)state;
    static const char config[] = "tokenizer_config.json", decoder[] = "added_tokens_decoder";
    static const struct {
        const char *json, *field, *found, *expected;
    } cases[] = {
        {"[]", "", "an array", "an object"},
        {"{\"x\":1}", "", "\"x\"", "ids from 0"},
        {"{\"257\":1}", "257", "an integer", "an object"},
        {"{\"-1\":{\"content\":\"A\"}}", "", "\"-1\"", "ids from 0"},
        {"{\"0257\":{\"content\":\"A\"}}", "", "\"0257\"", "ids from 0"},
        {"{\"2097152\":{\"content\":\"A\"}}", "", "\"2097152\"", "ids from 0"},
        {"{\"99999999999999999999\":{\"content\":\"A\"}}", "", "9999", "ids from 0"},
        {"{\"257\":{}}", "257.content", "nothing", "a string"},
        {"{\"257\":{\"content\":\"\"}}", "257", "an empty one", "at least one byte"},
        {"{\"257\":{\"content\":\"<x>\",\"special\":1}}", "257.special", "an integer", "true or false"},
        {"{\"256\":{\"content\":\"<x>\"}}", "256", "id 256", "an id that no other token has"},
        {"{\"300\":{\"content\":\"ab\"}}", "300", "id 300, which is not 256", "the id of this token"},
        {"{\"300\":{\"content\":\"<x>\"},\"301\":{\"content\":\"<x>\"}}", "301", "that of id 300 again",
         "different"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512], field[128];
        start(",\"ab\":256", "a b");
        snprintf(text, sizeof text, "{\"%s\":%s}", decoder, cases[i].json);
        write_file(config, text);
        snprintf(field, sizeof field, "%s%s%s", decoder, *cases[i].field ? "." : "", cases[i].field);
        assert_refused(config, field, cases[i].found, cases[i].expected);
    }
    tess_tokenizer *t;
    tess_error err;
    write_file(config, "{\"added_tokens_decoder\":{\"300\":{\"content\":\"<x>\",\"lstrip\":true}}}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "lstrip"));
}

static void takes_added_tokens_in_order_of_files(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    start(",\"ab\":256", "a b");
    write_file("added_tokens.json", "{\"<x>\":300,\"<think>\":301,\"ab\":256}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_get_id(t, "<x>", 3), 300);
    assert_true(tess_tokenizer_is_special(t, 300) && !tess_tokenizer_is_special(t, 301));
    assert_int_equal(tess_tokenizer_get_n_ids(t), 302);
    assert_int_equal(tess_tokenizer_get_n_tokens(t), 259); /* 257 … 299 are free, 256 is one token */
    tess_tokenizer_close(t);
    write_file("tokenizer_config.json", "{\"model_max_length\":1}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_get_id(t, "<x>", 3), 300);
    tess_tokenizer_close(t);
    write_file("tokenizer_config.json",
               "{\"added_tokens_decoder\":{\"400\":{\"content\":\"<y>\",\"special\":true}}}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_int_equal(tess_tokenizer_get_id(t, "<x>", 3), -1);
    assert_int_equal(tess_tokenizer_get_id(t, "<y>", 3), 400);
    tess_tokenizer_close(t);
    write_file("tokenizer_config.json", "{}");
    write_file("added_tokens.json", "{\"<x>\":300,\"<y>\":300}");
    assert_refused("added_tokens.json", "<y>", "id 300 again", "each id once");
    write_file("added_tokens.json", "{\"<x>\":\"300\"}");
    assert_refused("added_tokens.json", "<x>", "a string", "an integer");
}

/* Every cut and some flipped bits of the small vocabulary's files: opened or refused, nothing else. */
static void survives_damage(void **state)
{
    (void)state;
    static const char vocab[] = ",\"ab\":256,\"abc\":257,\"\\u0120x\":258";
    static const char merges[] = "a b\nab c\n\u0120 x\n";
    static const char config[] =
        "{\"added_tokens_decoder\":{\"300\":{\"content\":\"<x>\",\"special\":true}}}";
    int n_opened = 0, n_tried = 0;
    for (int file = 0; file < 3; file++) {
        start(vocab, merges);
        write_file("tokenizer_config.json", config);
        char path[128], text[8192];
        path_of(names[file], path);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f);
        for (size_t i = 0; i<2 * n; i += n> 1000 ? 7 : 1, n_tried++) {
            if (i < n) {
                write_bytes(names[file], text, i);
            } else {
                text[i - n] ^= 0x11;
                write_bytes(names[file], text, n);
                text[i - n] ^= 0x11;
            }
            tess_tokenizer *t;
            tess_error err = {0};
            if (tess_tokenizer_open(folder, &t, &err) == TESS_OK) {
                tess_tokenizer_close(t);
                n_opened++;
            } else {
                assert_true(err.message[0]);
            }
        }
    }
    assert_true(n_opened > 0 && n_opened < n_tried / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_least),      cmocka_unit_test(merges_long_words_in_order_of_rank),
        cmocka_unit_test(refuses_vocabularies), cmocka_unit_test(refuses_merges),
        cmocka_unit_test(refuses_added_tokens), cmocka_unit_test(takes_added_tokens_in_order_of_files),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests_name("tokenizer_files", tests, make_folder, remove_folder);
}
