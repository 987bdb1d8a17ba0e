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
static const char *const names[] = {"vocab.json",        "merges.txt",     "tokenizer_config.json",
                                    "added_tokens.json", "tokenizer.json", "special_tokens_map.json"};

static void path_of(const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void write_bytes(const char *name, const char *content, size_t n)
{
    char path[128];
    path_of(name, path);
    scratch_write(path, content, n);
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
    assert_refused("vocab.json", "", "neither", "tokenizer.json, or vocab.json and merges.txt");
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
        {"#version: x\na bc\n", "line 2", "bc", "two tokens of the vocabulary"},
        {"a \u4eac\n", "line 1", "\u4eac", "two tokens of the vocabulary"},
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
        {"{\"257\":1}", "257", "a number", "an object"},
        {"{\"-1\":{\"content\":\"A\"}}", "", "\"-1\"", "ids from 0"},
        {"{\"0257\":{\"content\":\"A\"}}", "", "\"0257\"", "ids from 0"},
        {"{\"2097152\":{\"content\":\"A\"}}", "", "\"2097152\"", "ids from 0"},
        {"{\"99999999999999999999\":{\"content\":\"A\"}}", "", "9999", "ids from 0"},
        {"{\"257\":{}}", "257.content", "nothing", "a string"},
        {"{\"257\":{\"content\":\"\"}}", "257", "an empty one", "at least one byte"},
        {"{\"257\":{\"content\":\"<x>\",\"special\":1}}", "257.special", "a number", "true or false"},
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

/* tokenizer.json with some parts left out or said otherwise; NULL: as built in. */
typedef struct one_file {
    const char *normalizer, *pre_tokenizer, *decoder, *model, *merges, *added, *more;
} one_file;

#define SPLIT                                                                                                \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"                             \
    "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"             \
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"

static void write_one_file(const one_file *f)
{
    char vocab[8192], text[16384], path[128];
    write_vocab(",\"ab\":256,\"abc\":257");
    path_of("vocab.json", path);
    FILE *from = fopen(path, "rb");
    assert_non_null(from);
    vocab[fread(vocab, 1, sizeof vocab - 1, from)] = 0;
    fclose(from);
    unlink(path);
    int n = snprintf(
        text, sizeof text,
        "{\"version\":\"1.0\",\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,\"decoder\":%s,%s"
        "\"model\":{%s\"merges\":%s,\"vocab\":%s}}",
        f->added ? f->added : "[{\"id\":258,\"content\":\"<x>\",\"special\":true}]",
        f->normalizer ? f->normalizer : "{\"type\":\"NFC\"}",
        f->pre_tokenizer ? f->pre_tokenizer
                         : "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT "," BYTES "]}",
        f->decoder ? f->decoder : "{\"type\":\"ByteLevel\"}", f->more ? f->more : "",
        f->model ? f->model : "\"type\":\"BPE\",", f->merges ? f->merges : "[\"a b\",[\"ab\",\"c\"]]", vocab);
    assert_true(n > 0 && (size_t)n < sizeof text);
    write_file("tokenizer.json", text);
}

/* It counts before vocab.json and merges.txt, which need not be there; merges in either spelling. */
static void reads_tokenizer_json_first(void **state)
{
    (void)state;
    static const char *const merges[] = {"[\"a b\",[\"ab\",\"c\"]]", " [ [\"a\" ,\"b\"] , \"ab c\" ] "};
    for (int i = 0; i < 4; i++) {
        tess_tokenizer *t;
        tess_error err;
        tess_ids ids = {0};
        remove_files();
        if (i >= 2) start(",\"xy\":256", "x y");
        write_one_file(&(one_file){.merges = merges[i % 2]});
        if (i >= 2) write_vocab(",\"xy\":256"); /* the way to the other file led over it */
        if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) fail_msg("%s", err.message);
        assert_int_equal(tess_tokenizer_encode(t, "abc<x>xy", 8, 0, &ids, &err), TESS_OK);
        assert_int_equal(ids.count, 4);
        assert_int_equal(ids.data[0], 257);
        assert_int_equal(ids.data[1], 258);
        assert_true(tess_tokenizer_is_special(t, 258));
        tess_ids_release(&ids);
        tess_tokenizer_close(t);
    }
}

static void rename_member(const char *name, const char *from, const char *to)
{
    char path[128], text[8192];
    path_of(name, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *at = strstr(text, from);
    assert_true(at && strlen(from) == strlen(to));
    memcpy(at, to, strlen(to));
    write_file(name, text);
}

static void refuses_tokenizer_json(void **state)
{
    (void)state;
    static const struct {
        one_file file;
        const char *field, *found, *expected;
    } cases[] = {
        {{.normalizer = "{\"type\":\"NFKC\"}"}, "normalizer", "NFKC", "{\"type\":\"NFC\"}"},
        {{.normalizer = "null"}, "normalizer", "null", "{\"type\":\"NFC\"}"},
        {{.pre_tokenizer = "null"}, "pre_tokenizer", "null", "an object"},
        {{.pre_tokenizer = BYTES}, "pre_tokenizer.type", "\"ByteLevel\"", "\"Sequence\""},
        {{.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES "," SPLIT "]}"},
         "pre_tokenizer.pretokenizers[0].type",
         "\"ByteLevel\"",
         "\"Split\""},
        {{.pre_tokenizer =
              "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"
              "\"x\"},\"behavior\":\"Isolated\"}," BYTES "]}"},
         "pre_tokenizer.pretokenizers[0].pattern",
         "{\"Regex\":\"x\"}",
         "(?i:'s|"},
        {{.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT ",{\"type\":\"ByteLevel\","
                           "\"add_prefix_space\":true,\"use_regex\":false}]}"},
         "pre_tokenizer.pretokenizers[1].add_prefix_space",
         "true",
         "false"},
        {{.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT ",{\"type\":\"ByteLevel\","
                           "\"add_prefix_space\":false}]}"},
         "pre_tokenizer.pretokenizers[1].use_regex",
         "nothing",
         "false"},
        {{.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT "]}"},
         "pre_tokenizer.pretokenizers[1]",
         "nothing",
         "an object"},
        {{.decoder = "{\"type\":\"WordPiece\"}"}, "decoder.type", "\"WordPiece\"", "\"ByteLevel\""},
        {{.more = "\"truncation\":{\"max_length\":8},"}, "truncation", "{\"max_length\":8}", "null"},
        {{.more = "\"padding\":{\"strategy\":{\"Fixed\":9}},"}, "padding", "Fixed", "null"},
        {{.more = "\"post_processor\":{\"type\":\"Bert\"},"},
         "post_processor.type",
         "\"Bert\"",
         "\"ByteLevel\""},
        {{.more = "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
                  "\"<x>\","
                  "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]},"},
         "post_processor.single",
         "SpecialToken",
         "\"Sequence\""},
        {{.more = "\"normalizer\":null,"}, "normalizer", "it again", "each name once"},
        {{.more = "\"model\":{},"}, "model", "a second one", "one model"},
        {{.model = "\"type\":\"WordPiece\","}, "model.type", "\"WordPiece\"", "\"BPE\""},
        {{.model = "\"ignore_merges\":true,"}, "model.ignore_merges", "true", "false"},
        {{.model = "\"dropout\":0.1,"}, "model.dropout", "0.1", "null"},
        {{.model = "\"unk_token\":\"a\","}, "model.unk_token", "\"a\"", "null"},
        {{.model = "\"fuse_unk\":true,"}, "model.fuse_unk", "true", "false"},
        {{.model = "\"merges\":[],"}, "merges", "it again", "each name once"},
        {{.merges = "[\"a b\",\"ab\"]"}, "model.merges[1]", "ab", "two tokens with a blank between them"},
        {{.merges = "[[\"a\",\"b\",\"c\"]]"}, "model.merges[0]", "[\"a\",\"b\",\"c\"]", "two tokens"},
        {{.merges = "[[\"a\",1]]"}, "model.merges[0]", "[\"a\",1]", "two tokens"},
        {{.merges = "[[\"a\",\"zz\"]]"}, "model.merges[0]", "zz", "two tokens of the vocabulary"},
        {{.merges = "[[\"a\",\"c\"]]"}, "model.merges[0]", "a c", "whose result is a token"},
        {{.merges = "[\"a b\" \"ab c\"]"}, "model.merges", "'\"'", "',' or ']'"},
        {{.merges = "\"a b\""}, "model.merges", "'\"'", "an array"},
        {{.added = "{}"}, "added_tokens", "an object", "an array"},
        {{.added = "[{\"content\":\"<x>\"}]"}, "added_tokens[0].id", "nothing", "an integer"},
        {{.added = "[{\"id\":258,\"content\":\"<x>\"},{\"id\":258,\"content\":\"<y>\"}]"},
         "added_tokens[1]",
         "id 258 again",
         "each id once"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_files();
        write_one_file(&cases[i].file);
        assert_refused("tokenizer.json", cases[i].field, cases[i].found, cases[i].expected);
    }
    static const struct {
        const char *vocab, *field, *found, *expected;
    } vocabs[] = {
        {"\"a\":-1", "model.vocab.a", "-1", "an integer from 0 to"},
        {"\"a\":\"b\"", "model.vocab.a", "a string", "an integer from 0 to"},
        {"\"a\":7,\"b\":7", "model.vocab.b", "id 7 a second time", "each id once"},
        {"\"\":7", "model.vocab", "an empty token", "at least one byte"},
        {"\"a\":7", "model.vocab", "none for byte 0x00", "each of the 256 bytes"},
        {"", "model.vocab", "none for byte 0x00", "each of the 256 bytes"},
    };
    for (size_t i = 0; i < sizeof vocabs / sizeof *vocabs; i++) {
        remove_files();
        char text[2048];
        snprintf(text, sizeof text,
                 "{\"version\":\"1.0\",\"added_tokens\":[],\"normalizer\":{\"type\":\"NFC\"},"
                 "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT "," BYTES "]},"
                 "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"merges\":[],\"vocab\":{%s}}}",
                 vocabs[i].vocab);
        write_file("tokenizer.json", text);
        assert_refused("tokenizer.json", vocabs[i].field, vocabs[i].found, vocabs[i].expected);
    }
    remove_files();
    write_one_file(&(one_file){.more = "\"x\":0,"});
    rename_member("tokenizer.json", "\"added_tokens\"", "\"other_tokens\"");
    tess_error err;
    tess_tokenizer *t;
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_EINPUT);
    assert_string_equal(err.field, "added_tokens");
    assert_string_equal(err.expected, "an array");
    assert_string_equal(err.found, "nothing");
    remove_files();
    write_file("tokenizer.json", "{\"version\":\"1.0\"");
    assert_refused("tokenizer.json", "JSON", "the end of the text", "',' or '}'");
}

/* Which lists of added tokens count beside tokenizer.json, by the original's rules. */
static void joins_added_tokens(void **state)
{
    (void)state;
    static const char decoder[] = "\"added_tokens_decoder\":{\"258\":{\"content\":\"<x>\",\"special\":true},"
                                  "\"260\":{\"content\":\"<z>\",\"special\":true}}";
    static const struct {
        const char *class, *config, *list;
        int x, y, z; /* ids of <x>, <y> and <z> */
    } cases[] = {
        {"Qwen2Tokenizer", "", NULL, 258, 259, -1},
        {"Qwen2Tokenizer", "", "{\"<w>\":259,\"<z>\":260}", 258, 259, 260},
        {"Qwen2Tokenizer", decoder, "{\"<w>\":261}", 258, -1, 260},
        {"Qwen2TokenizerFast", decoder, NULL, 258, -1, 260},
        {"TokenizersBackend", decoder, NULL, 258, 259, 260},
        {"PreTrainedTokenizerFast", decoder, NULL, 258, 259, 260},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_files();
        write_one_file(
            &(one_file){.added = "[{\"id\":258,\"content\":\"<x>\"},{\"id\":259,\"content\":\"<y>\"}]"});
        char text[512];
        snprintf(text, sizeof text,
                 "{\"model_max_length\":1000000000000000019884624838656,\"tokenizer_class\":\"%s\"%s%s}",
                 cases[i].class, *cases[i].config ? "," : "", cases[i].config);
        write_file("tokenizer_config.json", text);
        if (cases[i].list) write_file("added_tokens.json", cases[i].list);
        tess_tokenizer *t;
        tess_error err;
        if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) fail_msg("%s", err.message);
        assert_int_equal(tess_tokenizer_get_id(t, "<x>", 3), cases[i].x);
        assert_int_equal(tess_tokenizer_get_id(t, "<y>", 3), cases[i].y);
        assert_int_equal(tess_tokenizer_get_id(t, "<z>", 3), cases[i].z);
        tess_tokenizer_close(t);
    }
}

/* Keys that change ids or text must say what is built in. */
static void refuses_configurations(void **state)
{
    (void)state;
    static const struct {
        const char *json, *field, *found, *expected;
    } cases[] = {
        {"\"add_prefix_space\":true", "add_prefix_space", "true", "false"},
        {"\"add_bos_token\":true", "add_bos_token", "true", "false"},
        {"\"add_eos_token\":true", "add_eos_token", "true", "false"},
        {"\"split_special_tokens\":true", "split_special_tokens", "true", "false"},
        {"\"clean_up_tokenization_spaces\":true", "clean_up_tokenization_spaces", "true", "false"},
        {"\"errors\":\"strict\"", "errors", "\"strict\"", "\"replace\""},
        {"\"tokenizer_class\":\"LlamaTokenizer\"", "tokenizer_class", "\"LlamaTokenizer\"",
         "\"Qwen2Tokenizer\""},
        {"\"eos_token\":\"<e>\"", "eos_token", "\"<e>\"", "one of the added tokens"},
        {"\"audio_token\":{\"content\":\"<e>\"}", "audio_token", "<e>", "one of the added tokens"},
        {"\"extra_special_tokens\":[\"<x>\",\"<e>\"]", "extra_special_tokens", "\"<e>\"",
         "one of the added tokens"},
        {"\"extra_special_tokens\":{\"a\":\"<e>\"}", "extra_special_tokens", "\"<e>\"",
         "one of the added tokens"},
        {"\"additional_special_tokens\":[\"<e>\"]", "additional_special_tokens", "\"<e>\"",
         "one of the added tokens"},
        {"\"model_specific_special_tokens\":{\"a\":\"<e>\"}", "model_specific_special_tokens", "\"<e>\"",
         "one of the added tokens"},
    };
    char text[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(",\"ab\":256", "a b");
        snprintf(text, sizeof text, "{%s,\"added_tokens_decoder\":{\"300\":{\"content\":\"<x>\"}}}",
                 cases[i].json);
        write_file("tokenizer_config.json", text);
        assert_refused("tokenizer_config.json", cases[i].field, cases[i].found, cases[i].expected);
    }
    tess_tokenizer *t;
    tess_error err;
    write_file("tokenizer_config.json", "{\"add_prefix_space\":null,\"bos_token\":null,\"eos_token\":\"<x>\","
                                        "\"pad_token\":{\"content\":\"<x>\"},"
                                        "\"errors\":\"replace\",\"tokenizer_class\":null,\"added_tokens_"
                                        "decoder\":{\"300\":{\"content\":\"<x>\"}}}");
    if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) fail_msg("%s", err.message);
    tess_tokenizer_close(t);
}

/* special_tokens_map.json counts where tokenizer_config.json has no added_tokens_decoder: the original then
 * adds the tokens that it names and no list has, and takes its other keys as well. */
static void looks_at_special_tokens_map(void **state)
{
    (void)state;
    static const struct {
        const char *map, *field, *found, *expected; /* field NULL: nothing is wrong */
    } cases[] = {
        {"{\"eos_token\":\"<e>\"}", "eos_token", "\"<e>\"", "one of the added tokens"},
        {"{\"eos_token\":{\"content\":\"<e>\"}}", "eos_token", "<e>", "one of the added tokens"},
        {"{\"audio_token\":\"<e>\"}", "audio_token", "<e>", "one of the added tokens"},
        {"{\"additional_special_tokens\":[\"<x>\",\"<e>\"]}", "additional_special_tokens", "\"<e>\"",
         "one of the added tokens"},
        {"{\"add_prefix_space\":true}", "add_prefix_space", "true", "false"},
        {"[]", "JSON", "an array", "an object at the top"},
        {"{\"eos_token\":\"<x>\",\"pad_token\":{\"content\":\"<x>\"},\"additional_special_tokens\":[\"<x>\"]"
         "}",
         NULL, NULL, NULL},
    };
    static const char *const without[] = {NULL, "{}", "{\"eos_token\":\"<x>\"}"};
    tess_tokenizer *t;
    tess_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < sizeof without / sizeof *without; k++) {
            start(",\"ab\":256", "a b");
            write_file("added_tokens.json", "{\"<x>\":300}");
            write_file("special_tokens_map.json", cases[i].map);
            if (without[k]) write_file("tokenizer_config.json", without[k]);
            if (cases[i].field) {
                assert_refused("special_tokens_map.json", cases[i].field, cases[i].found, cases[i].expected);
                continue;
            }
            if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) fail_msg("%s", err.message);
            tess_tokenizer_close(t);
        }
        start(",\"ab\":256", "a b");
        write_file("special_tokens_map.json", cases[i].map);
        write_file("tokenizer_config.json", "{\"added_tokens_decoder\":{\"300\":{\"content\":\"<x>\"}}}");
        if (tess_tokenizer_open(folder, &t, &err) != TESS_OK) fail_msg("%s", err.message);
        tess_tokenizer_close(t);
    }
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
    for (int file = 0; file < 5; file++) {
        if (file == 3) continue;
        start(vocab, merges);
        write_file("tokenizer_config.json", config);
        if (file == 4) write_one_file(&(one_file){.added = "[]"});
        char path[128], text[8192];
        path_of(names[file], path);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f);
        for (size_t i = 0; i<2 * n; i += n> 4000 ? 29 : n > 1000 ? 7 : 1, n_tried++) {
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
        cmocka_unit_test(opens_the_least),        cmocka_unit_test(merges_long_words_in_order_of_rank),
        cmocka_unit_test(refuses_vocabularies),   cmocka_unit_test(refuses_merges),
        cmocka_unit_test(refuses_added_tokens),   cmocka_unit_test(takes_added_tokens_in_order_of_files),
        cmocka_unit_test(survives_damage),        cmocka_unit_test(reads_tokenizer_json_first),
        cmocka_unit_test(refuses_tokenizer_json), cmocka_unit_test(joins_added_tokens),
        cmocka_unit_test(refuses_configurations), cmocka_unit_test(looks_at_special_tokens_map),
    };
    return cmocka_run_group_tests_name("tokenizer_files", tests, make_folder, remove_folder);
}
