/* tokenize and detokenize: text to token ids and back. They need the tokenizer files of a model folder only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "tessera/tokenizer.h"

/* What both commands share: how they were called, and room that is used again for every line. */
typedef struct job {
    const cli_command *self;
    cli_common common;
    tess_tokenizer *tokenizer;
    unsigned flags;
    tess_ids ids;
    tess_text text;
} job;

static int report_error(const job *j, const tess_error *err)
{
    return cli_report(j->self, &j->common, err);
}

static int refuse_field(const job *j, const char *field, const char *found, const char *expected)
{
    tess_error err = {.status = TESS_EINPUT, .offset = -1};
    snprintf(err.field, sizeof err.field, "%s", field);
    snprintf(err.found, sizeof err.found, "%s", found);
    snprintf(err.expected, sizeof err.expected, "%s", expected);
    snprintf(err.message, sizeof err.message, "%s: found %s, expected %s", err.field, err.found,
             err.expected);
    return report_error(j, &err);
}

static int out_of_memory(const job *j)
{
    tess_error err = {.status = TESS_ENOMEM, .offset = -1, .message = "no memory for a line of JSON"};
    return report_error(j, &err);
}

/* ---- one line of JSON at a time */

typedef int line_function(job *j, const json_t *value, const char *place);

static int parse_line(job *j, const char *line, size_t n, unsigned long number, line_function *convert)
{
    char place[48], found[192];
    snprintf(place, sizeof place, "line %lu of standard input", number);
    json_error_t problem;
    bool no_memory;
    json_t *value = tess_json_decode(line, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem, &no_memory);
    if (no_memory) return out_of_memory(j);
    if (!value) {
        snprintf(found, sizeof found, "%s (column %d)", problem.text, problem.column);
        return refuse_field(j, place, found, "JSON");
    }
    int code = convert(j, value, place);
    json_decref(value);
    return code || !ferror(stdout) ? code : CLI_SYSTEM; /* which is told at the end */
}

static int convert_lines(job *j, line_function *convert)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int code = 0;
    for (unsigned long number = 1; !code && (n = getline(&line, &room, stdin)) >= 0; number++)
        code = parse_line(j, line, (size_t)n, number, convert);
    free(line);
    if (!code && ferror(stdin)) {
        tess_error err = {.status = TESS_EIO, .offset = -1, .message = "cannot read standard input"};
        code = report_error(j, &err);
    }
    return code;
}

/* ---- tokenize */

static json_t *ids_to_json(const tess_ids *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->count; i++) json_array_append_new(list, json_integer(ids->data[i]));
    return list;
}

static int fill_ids(job *j, const char *text, size_t n)
{
    tess_error err;
    j->ids.count = 0;
    if (tess_tokenizer_encode(j->tokenizer, text, n, j->flags, &j->ids, &err) == TESS_OK) return 0;
    return report_error(j, &err);
}

static int encode_line(job *j, const json_t *value, const char *place)
{
    if (!json_is_string(value)) return refuse_field(j, place, "something else", "a JSON string");
    int code = fill_ids(j, json_string_value(value), json_string_length(value));
    if (code) return code;
    putchar('[');
    for (size_t i = 0; i < j->ids.count; i++) printf(i ? ",%d" : "%d", (int)j->ids.data[i]);
    puts("]");
    return 0;
}

static int encode_text(job *j, const char *text, size_t n)
{
    int code = fill_ids(j, text, n);
    if (code) return code;
    if (j->common.json) {
        json_t *object = json_object();
        json_object_set_new(object, "ids", ids_to_json(&j->ids));
        cli_print_json(object);
        return 0;
    }
    for (size_t i = 0; i < j->ids.count; i++) printf(i ? " %d" : "%d", (int)j->ids.data[i]);
    putchar('\n');
    return 0;
}

/* ---- detokenize */

static int add_id(job *j, int64_t id, const char *place)
{
    tess_error err;
    char found[64];
    if (id < 0 || id > INT32_MAX) {
        snprintf(found, sizeof found, "%lld", (long long)id);
        return refuse_field(j, place, found, "a token id");
    }
    if (tess_ids_reserve(&j->ids, 1, &err) != TESS_OK) return report_error(j, &err);
    j->ids.data[j->ids.count++] = (int32_t)id;
    return 0;
}

/* Adds the ids of a text of numbers between blanks and line ends. */
static int add_numbers(job *j, const char *text)
{
    static const char blanks[] = " \t\r\n";
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t n = strcspn(text, blanks);
        char *end;
        errno = 0;
        long long id = strtoll(text, &end, 10);
        if (errno || end != text + n || *text < '0' || *text > '9') {
            char found[64];
            snprintf(found, sizeof found, "\"%.*s\"", n > 40 ? 40 : (int)n, text);
            return refuse_field(j, "token id", found, "a whole number of 0 or more");
        }
        int code = add_id(j, id, "token id");
        if (code) return code;
        text += n;
    }
    return 0;
}

static int fill_text(job *j)
{
    tess_error err;
    j->text.count = 0;
    if (tess_tokenizer_decode(j->tokenizer, j->ids.data, j->ids.count, j->flags, &j->text, &err) == TESS_OK)
        return 0;
    return report_error(j, &err);
}

static int decode_line(job *j, const json_t *value, const char *place)
{
    if (!json_is_array(value)) return refuse_field(j, place, "something else", "a JSON array of ids");
    j->ids.count = 0;
    size_t i;
    json_t *item;
    int code = 0;
    json_array_foreach(value, i, item)
    {
        if (!json_is_integer(item)) return refuse_field(j, place, "an item that is no integer", "token ids");
        code = add_id(j, json_integer_value(item), place);
        if (code) return code;
    }
    code = fill_text(j);
    if (code) return code;
    json_t *text = json_stringn(j->text.data, j->text.count);
    if (!text) return out_of_memory(j);
    cli_write_json(text, JSON_ENCODE_ANY);
    json_decref(text);
    putchar('\n');
    return 0;
}

static int decode_ids(job *j)
{
    int code = fill_text(j);
    if (code) return code;
    if (j->common.json) {
        json_t *object = json_object();
        json_object_set_new(object, "text", json_stringn(j->text.data, j->text.count));
        cli_print_json(object);
        return 0;
    }
    cli_write_text(stdout, j->text.data, j->text.count);
    /* The text alone, so that a pipe gets exactly it; on a terminal the prompt goes on a new line. */
    if (isatty(STDOUT_FILENO)) putchar('\n');
    return 0;
}

/* ---- both */

typedef int job_function(job *j, char **words, int n_word, bool lines);

static int tokenize(job *j, char **words, int n_word, bool lines)
{
    if (lines) return convert_lines(j, encode_line);
    if (n_word) return encode_text(j, words[0], strlen(words[0]));
    char *text;
    size_t n;
    int code = cli_read_input(j->self, &j->common, &text, &n);
    if (code) return code;
    code = encode_text(j, text, n);
    free(text);
    return code;
}

static int detokenize(job *j, char **words, int n_word, bool lines)
{
    if (lines) return convert_lines(j, decode_line);
    int code = 0;
    for (int i = 0; i < n_word && !code; i++) code = add_numbers(j, words[i]);
    if (!n_word) {
        char *text;
        size_t n;
        code = cli_read_input(j->self, &j->common, &text, &n);
        if (code) return code;
        char *ended = realloc(text, n + 1);
        if (ended) {
            ended[n] = 0;
            code = strlen(ended) == n ? add_numbers(j, ended)
                                      : refuse_field(j, "token id", "a NUL byte", "numbers");
        } else {
            code = out_of_memory(j);
        }
        free(ended ? ended : text);
    }
    return code ? code : decode_ids(j);
}

static int run_job(const cli_command *self, int argc, char **argv, const cli_option *special, unsigned flag,
                   int most_words, job_function *work)
{
    const char *model = NULL;
    bool lines = false;
    const cli_option options[] = {
        {"model", CLI_NAME, &model, "DIR",
         "folder with tokenizer.json, or vocab.json and merges.txt (required)"},
        {"jsonl", CLI_FLAG, &lines, NULL,
         "JSON strings and JSON arrays of ids, one a line, from standard input"},
        *special,
    };
    job j = {.self = self, .common = CLI_COMMON_DEFAULT};
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &j.common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    if (!model) return cli_usage(self, &j.common, "--model DIR is missing");
    if (n_word > most_words)
        return cli_usage(self, &j.common, "%d texts; give one, in quotes if it has blanks", n_word);
    if (lines && n_word)
        return cli_usage(self, &j.common, "--jsonl reads standard input; \"%.40s\" is too much", words[0]);
    j.flags = *(const bool *)special->target ? flag : 0;
    tess_error err;
    if (tess_tokenizer_open(model, &j.tokenizer, &err) != TESS_OK) return report_error(&j, &err);
    code = work(&j, words, n_word, lines);
    tess_tokenizer_close(j.tokenizer);
    tess_ids_release(&j.ids);
    tess_text_release(&j.text);
    return code;
}

static int run_tokenize(const cli_command *self, int argc, char **argv)
{
    bool plain = false;
    const cli_option option = {"no-special", CLI_FLAG, &plain, NULL,
                               "special tokens in the text are plain text"};
    return run_job(self, argc, argv, &option, TESS_ENCODE_PLAIN, 1, tokenize);
}

static int run_detokenize(const cli_command *self, int argc, char **argv)
{
    bool skip = false;
    const cli_option option = {"skip-special", CLI_FLAG, &skip, NULL, "leave special tokens out"};
    return run_job(self, argc, argv, &option, TESS_DECODE_SKIP_SPECIAL, INT32_MAX, detokenize);
}

const cli_command cli_tokenize = {
    "tokenize",
    "Turns text into token ids: TEXT, or standard input as it is.",
    "[options] --model DIR [TEXT]",
    CLI_HAS_REMARKS,
    {"tessera tokenize --model demo/checkpoint \"The capital of France is\"",
     "printf '\"%s\"\\n' Hello Goodbye | tessera tokenize --model demo/checkpoint --jsonl"},
    run_tokenize,
    NULL,
};

const cli_command cli_detokenize = {
    "detokenize",
    "Turns token ids into text: IDs, or those on standard input.",
    "[options] --model DIR [ID...]",
    CLI_HAS_REMARKS,
    {"tessera detokenize --model demo/checkpoint 40 75 76",
     "tessera tokenize --model demo/checkpoint Hello | tessera detokenize --model demo/checkpoint"},
    run_detokenize,
    NULL,
};
