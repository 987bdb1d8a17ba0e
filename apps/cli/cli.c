#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <strings.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/utf8.h"
#include "cli/help.h"
#include "cli/screen.h"
#include "cli/standard_output.h"

enum { MAX_OPTIONS = 64 };

/* What getopt gives for the first long option, and so on: no letters. Each its own, else getopt would take
 * the first of several that begin with what was given. */
enum { FIRST_VALUE = 256 };

/* A number and a unit in any case: short ones and those with an i are binary. False: it is none. */
static bool read_size(const char *text, double *bytes)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},
                 {"b", 1},
                 {"k", 1024},
                 {"kib", 1024},
                 {"m", 1048576},
                 {"mib", 1048576},
                 {"g", 1073741824},
                 {"gib", 1073741824},
                 {"kb", 1e3},
                 {"mb", 1e6},
                 {"gb", 1e9},
                 {"t", 1099511627776},
                 {"tib", 1099511627776},
                 {"tb", 1e12}};
    char *unit;
    if (!isdigit((unsigned char)text[0]) && text[0] != '.') return false;
    if (text[0] == '0' && (text[1] | 0x20) == 'x') return false;
    double value = strtod(text, &unit);
    if (unit == text) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(unit, units[i].unit) != 0) continue;
        *bytes = value * units[i].bytes;
        return true;
    }
    return false;
}

/* As a text, and in bytes: sums of some of these stay whole numbers of 64 bits. */
#define LARGEST_SIZE "8000000TiB"
#define LARGEST_SIZE_BYTES (8e6 * 1099511627776)

static bool parse_size(const char *text, uint64_t *out)
{
    double bytes;
    if (!read_size(text, &bytes) || bytes < 1 || bytes > LARGEST_SIZE_BYTES) return false;
    *out = (uint64_t)bytes;
    return true;
}

static bool parse_unsigned(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*text)) return false;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || errno || value > most) return false;
    *out = value;
    return true;
}

/* The largest of a kind of whole numbers; 0: it is none. */
static uint64_t most_of(cli_kind kind)
{
    return kind == CLI_THREADS                     ? TESS_POOL_MAX_THREADS
           : kind == CLI_COUNT || kind == CLI_SOME ? INT32_MAX
           : kind == CLI_U64                       ? UINT64_MAX
                                                   : 0;
}

/* Whether a number is one, but larger than an option takes; then what that is. */
static bool is_too_large(const cli_option *option, const char *text, char largest[32])
{
    const uint64_t most = most_of(option->kind);
    uint64_t number;
    double bytes;
    snprintf(largest, 32, option->kind == CLI_SIZE ? LARGEST_SIZE : "%llu", (unsigned long long)most);
    if (option->kind == CLI_SIZE) return read_size(text, &bytes) && bytes > LARGEST_SIZE_BYTES;
    return most && *text && !text[strspn(text, "0123456789")] && !parse_unsigned(text, most, &number);
}

static bool append_item(cli_list *list, const char *item)
{
    const char **grown = realloc(list->item, (list->count + 1) * sizeof *grown);
    if (!grown) return false;
    list->item = grown;
    grown[list->count++] = item;
    return true;
}

/* Stores a value (NULL: none was given); returns what was expected instead, or NULL. */
static const char *store_value(const cli_option *option, const char *text)
{
    uint64_t number;
    switch (option->kind) {
    case CLI_ELSEWHERE:
        break;
    case CLI_FLAG:
        *(bool *)option->target = true;
        return NULL;
    case CLI_TEXT:
        *(const char **)option->target = text;
        return NULL;
    case CLI_NAME:
        *(const char **)option->target = text;
        return *text ? NULL : "a name";
    case CLI_MAYBE:
        *(const char **)option->target = text ? text : "";
        return !text || *text ? NULL : "a name";
    case CLI_LIST:
        if (!*text) return "a name";
        return append_item(option->target, text) ? NULL : "less text (out of memory)";
    case CLI_MARKED:
        if (!*text) return "a name";
        return append_item(option->target, option->name) && append_item(option->target, text)
                   ? NULL
                   : "less text (out of memory)";
    case CLI_COUNT:
        if (!parse_unsigned(text, most_of(option->kind), &number)) return "a whole number of 0 or more";
        *(int *)option->target = (int)number;
        return NULL;
    case CLI_SOME:
    case CLI_THREADS:
        if (!parse_unsigned(text, most_of(option->kind), &number) || !number)
            return "a whole number of 1 or more";
        *(int *)option->target = (int)number;
        return NULL;
    case CLI_U64:
        return parse_unsigned(text, UINT64_MAX, option->target) ? NULL : "a whole number of 0 or more";
    case CLI_SIZE:
        return parse_size(text, option->target) ? NULL : "a size such as 512MiB, 8GiB, 1.5GB or 12g";
    case CLI_NUMBER: {
        char *end;
        double value = strtod(text, &end);
        if (end == text || *end || !isfinite(value)) return "a finite number";
        *(double *)option->target = value;
        return NULL;
    }
    }
    return "another kind of option";
}

/* The option that a message begins with is what the error is about. */
static void note_option(tess_error *err)
{
    size_t n = strcspn(err->message, ":= ");
    if (!strncmp(err->message, "--", 2) && n > 2 && n < sizeof err->field)
        memcpy(err->field, err->message, n);
}

int cli_usage(const cli_command *self, const cli_common *common, const char *format, ...)
{
    tess_error err = {.status = TESS_EUSAGE, .offset = -1};
    va_list args;
    va_start(args, format);
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    note_option(&err);
    int code = cli_report(self, common, &err);
    fprintf(stderr, "Try 'tessera %s --help'.\n", self->name);
    return code;
}

int cli_choose(const cli_command *self, const cli_common *common, const char *option, const char *value,
               const char *const *words, int *out)
{
    char expected[160] = "";
    size_t used = 0;
    for (int i = 0; words[i]; i++) {
        if (!strcmp(value, words[i])) {
            *out = i;
            return -1;
        }
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
                                 i == 0         ? ""
                                 : words[i + 1] ? ", "
                                                : " or ",
                                 words[i]);
    }
    return cli_usage(self, common, "--%s: found \"%s\", expected %s", option, value, expected);
}

int cli_choose_direct(const cli_command *self, const cli_common *common, const char *value, tess_direct *out)
{
    static const char *const words[] = {
        [TESS_DIRECT_AUTO] = "auto", [TESS_DIRECT_ON] = "on", [TESS_DIRECT_OFF] = "off", NULL};
    int chosen, code = cli_choose(self, common, "direct", value, words, &chosen);
    if (code < 0) *out = (tess_direct)chosen;
    return code;
}

int cli_unexpected_word(const cli_command *self, const cli_common *common, const char *word,
                        const char *place)
{
    struct stat there;
    if (!stat(word, &there) && S_ISDIR(there.st_mode))
        place = "the folder of a checkpoint goes after --model";
    return cli_usage(self, common, "%s: unexpected word; %s", *word ? word : "an empty text", place);
}

int cli_check_names(const cli_command *self, const cli_common *common, const char *what, char **words,
                    int n_word)
{
    for (int i = 0; i < n_word; i++)
        if (!*words[i]) return cli_usage(self, common, "found an empty name, expected that of %s", what);
    return -1;
}

static bool has_json_flag(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json")) return true;
    return false;
}

/* A word that is no option of this command, or not one in this way. */
static int refuse_word(const cli_command *self, const cli_common *common, const cli_option *all, size_t n_all,
                       const char *word, int found)
{
    char name[64];
    while (*word == '-') word++;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (found >= FIRST_VALUE) return cli_usage(self, common, "--%s takes no value", name);
    cli_guess guess = {.word = name};
    char several[160] = "";
    size_t n_several = 0, used = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (!cli_option_is_offered(&all[i])) continue;
        cli_guess_offer(&guess, all[i].name);
        if (found || strncmp(all[i].name, name, strlen(name)) != 0 || used >= sizeof several) continue;
        used += (size_t)snprintf(several + used, sizeof several - used, "%s--%s", n_several++ ? ", " : "",
                                 all[i].name);
    }
    if (n_several > 1) return cli_usage(self, common, "--%s: could be %s", name, several);
    const char *dashes = strlen(name) > 1 ? "--" : "-";
    if (guess.best)
        return cli_usage(self, common, "%s%s: no such option; did you mean --%s?", dashes, name, guess.best);
    return cli_usage(self, common, "%s%s: no such option", dashes, name);
}

/* The word that getopt stumbled over: it moves on from a group of short options only behind the last. */
static const char *word_in_question(int argc, char **argv)
{
    const char *next = optind < argc ? argv[optind] : "";
    bool is_in_group = optopt && optopt < FIRST_VALUE && next[0] == '-' && next[1] == optopt;
    return is_in_group ? next : argv[optind - 1];
}

/* An option with optarg, its value. Of two values one would be lost without a word. Returns -1 or an exit
 * code.
 */
static int take_option(const cli_command *self, const cli_common *common, const cli_option *option,
                       bool *is_given)
{
    if (option->kind == CLI_ELSEWHERE)
        return cli_usage(self, common, "--%s is not for %s: %s", option->name, self->name, option->help);
    if (*is_given && option->kind != CLI_LIST && option->kind != CLI_MARKED && option->kind != CLI_FLAG)
        return cli_usage(self, common, "--%s is given twice; it takes one value", option->name);
    *is_given = true;
    char largest[32];
    if (is_too_large(option, optarg, largest))
        return cli_usage(self, common, "--%s: found \"%s\", which is too large, expected at most %s",
                         option->name, optarg, largest);
    const char *expected = store_value(option, optarg);
    if (!expected) return -1;
    return cli_usage(self, common, "--%s: found \"%s\", expected %s", option->name, optarg, expected);
}

static int parse_words(const cli_command *self, const cli_option *all, const struct option *table,
                       size_t n_all, const bool *help, cli_common *common, int argc, char **argv)
{
    bool given[MAX_OPTIONS] = {false};
    cli_common early = {.json = has_json_flag(argc, argv), .progress = "auto"};
    optind = 0;
    opterr = 0;
    int index;
    for (;;) {
        index = -1;
        int got = getopt_long(argc, argv, ":h", table, &index);
        if (got == -1) break;
        if (got == '?') return refuse_word(self, &early, all, n_all, word_in_question(argc, argv), optopt);
        if (got == ':') return cli_usage(self, &early, "%s: a value is missing", argv[optind - 1]);
        if (got == 'h') {
            cli_help_print(self, all, n_all);
            return CLI_DONE;
        }
        int code = take_option(self, &early, &all[index], &given[index]);
        if (code >= 0) return code;
    }
    if (*help) {
        cli_help_print(self, all, n_all);
        return CLI_DONE;
    }
    static const char *const when[] = {"auto", "always", "never", NULL};
    return cli_choose(self, &early, "progress", common->progress, when, &index);
}

static int argument_of(const cli_option *option)
{
    if (option->kind == CLI_MAYBE) return optional_argument;
    return option->argument ? required_argument : no_argument;
}

int cli_parse(const cli_command *self, const cli_option *options, size_t n_option, cli_common *common,
              int argc, char **argv, char ***words, int *n_word)
{
    bool help = false;
    const cli_option shared[] = {
        {"json", CLI_FLAG, &common->json, NULL, "print JSON on standard output, and nothing else there"},
        {"progress", CLI_TEXT, &common->progress, "WHEN",
         self->has & CLI_HAS_PROGRESS ? "auto (on a terminal), always or never; default auto" : NULL},
        {"quiet", CLI_FLAG, &common->quiet, NULL,
         self->has & CLI_HAS_REMARKS ? "no progress and no remarks on standard error" : NULL},
        {"help", CLI_FLAG, &help, NULL, "this text, also -h"},
    };
    enum { N_SHARED = sizeof shared / sizeof shared[0] };
    if (n_option + N_SHARED > MAX_OPTIONS) abort();
    cli_option all[MAX_OPTIONS];
    struct option table[MAX_OPTIONS + 1];
    size_t n_all = 0;
    for (size_t i = 0; i < n_option; i++) all[n_all++] = options[i];
    for (size_t i = 0; i < N_SHARED; i++) all[n_all++] = shared[i];
    for (size_t i = 0; i < n_all; i++)
        table[i] = (struct option){all[i].name, argument_of(&all[i]), NULL, FIRST_VALUE + (int)i};
    table[n_all] = (struct option){0};
    int code = parse_words(self, all, table, n_all, &help, common, argc, argv);
    *words = argv + optind;
    *n_word = argc - optind;
    return code;
}

static int exit_code(tess_status status)
{
    switch (status) {
    case TESS_OK:
        return CLI_DONE;
    case TESS_EUSAGE:
        return CLI_USAGE;
    case TESS_EINPUT:
    case TESS_EUNSUPPORTED:
    case TESS_ENONFINITE:
        return CLI_INPUT;
    case TESS_EIO:
    case TESS_ENOMEM:
        return CLI_SYSTEM;
    case TESS_EBUDGET:
        return CLI_BUDGET;
    case TESS_EINTERRUPTED:
        return CLI_INTERRUPTED;
    }
    return CLI_SYSTEM;
}

json_t *cli_text(const char *text, size_t n_byte)
{
    json_t *value = json_stringn(text, n_byte);
    char *copy = value ? NULL : malloc(n_byte * TESS_UTF8_REPLACEMENT_BYTES + 1);
    if (!copy) return value ? value : json_null();
    size_t n_copy = 0;
    for (size_t i = 0, used; i < n_byte; i += used) {
        bool is_valid = tess_utf8_step((const uint8_t *)text + i, n_byte - i, &used) == TESS_UTF8_VALID;
        size_t n = is_valid ? used : TESS_UTF8_REPLACEMENT_BYTES;
        memcpy(copy + n_copy, is_valid ? text + i : TESS_UTF8_REPLACEMENT, n);
        n_copy += n;
    }
    value = json_stringn(copy, n_copy);
    free(copy);
    return value ? value : json_null();
}

json_t *cli_text_or_null(const char *text)
{
    return *text ? cli_text(text, strlen(text)) : json_null();
}

void cli_name_file(tess_error *err, const char *file)
{
    if (err->status != TESS_EINPUT || *err->file) return;
    snprintf(err->file, sizeof err->file, "%.250s", file);
    size_t n = strlen(err->file);
    memmove(err->message + n + 2, err->message, sizeof err->message - n - 2);
    memcpy(err->message, err->file, n);
    memcpy(err->message + n, ": ", 2);
    err->message[sizeof err->message - 1] = 0;
}

int cli_report(const cli_command *self, const cli_common *common, const tess_error *err)
{
    return cli_report_with(self, common, err, common->json ? json_object() : NULL);
}

/* What preparing media is expected to take when a model comes after them. */
static const char MEDIA_FIRST[] = "before the model";

void cli_say_media_first(tess_error *err)
{
    size_t n = strlen(err->expected);
    snprintf(err->expected + n, sizeof err->expected - n, " %s", MEDIA_FIRST);
}

/* What the library calls by the name of a member, a user knows as an option; and what helps. */
static const struct {
    const char *field, *option, *hint; /* option NULL: the field keeps its name; hint NULL: none */
    const char *hinted;                /* the hint belongs to expectations that say this; NULL: to all */
} words_for_fields[] = {
    {"memory_bytes", "--memory", NULL, NULL},
    {"max_bytes", "--memory", NULL, NULL},
    {"fps", "--fps", NULL, NULL},
    {"n_context", "--context", "a larger one makes room, and 'tessera plan' says what it costs",
     "planned for"},
    {"n_tok", "the prompt", NULL, NULL},
    {"n_thread", "--threads", NULL, NULL},
    {"isa", "--isa", NULL, NULL},
    {"n_chunk", "--chunk", NULL, NULL},
    {"n_expert_slot", "--expert-slots", NULL, NULL},
    {"temperature", "--temperature", NULL, NULL},
    {"top_k", "--top-k", NULL, NULL},
    {"top_p", "--top-p", NULL, NULL},
    {"repetition_penalty", "--repetition-penalty", NULL, NULL},
    {"globs", "--taps", "--list prints all", NULL},
    {"speak", "--speak", "--speak 0 traces the text", NULL},
    {"generate", "--generate", NULL, NULL},
    {"n_speech_step", "the steps of speech", NULL, NULL},
    {"is_float", "--float", NULL, NULL},
    {"input_ids", NULL, "without --raw it is one", "by the chat template"},
    {"truth", "--truth", "--metrics-only measures without judging", NULL},
    {"dtype", NULL, "--metrics-only measures without judging", "as the reference"},
    {"config_sha256", NULL, "--ignore-identity compares anyway", "as in the reference"},
    {"weights_sha256", NULL, "--ignore-identity compares anyway", "as in the reference"},
};

static void add_hint(tess_error *err, const char *hint)
{
    size_t used = strlen(err->message);
    if (used + strlen(hint) + 3 > sizeof err->message) return;
    strcat(strcat(err->message, "; "), hint);
}

/* Spells the option where the message has the field, which is behind the file's name. */
static void name_option(tess_error *err, const char *option)
{
    char rest[sizeof err->message];
    size_t n_file = strlen(err->file);
    bool begins_with_file = !strncmp(err->message, err->file, n_file);
    char *at = strstr(err->message + (begins_with_file ? n_file : 0), err->field);
    if (at) {
        snprintf(rest, sizeof rest, "%s", at + strlen(err->field));
        snprintf(at, sizeof err->message - (size_t)(at - err->message), "%s%s", option, rest);
    }
    snprintf(err->field, sizeof err->field, "%s", option);
}

tess_error cli_translate(const tess_error *from)
{
    tess_error err = *from;
    char rest[sizeof err.message];
    for (size_t i = 0; i < sizeof words_for_fields / sizeof words_for_fields[0]; i++) {
        const char *option = words_for_fields[i].option;
        if (strcmp(from->field, words_for_fields[i].field)) continue;
        if (option && err.status == TESS_EINPUT) break; /* a file's field, which only has the same name */
        if (option) name_option(&err, option);
        const char *hinted = words_for_fields[i].hinted;
        if (words_for_fields[i].hint && (!hinted || strstr(err.expected, hinted)))
            add_hint(&err, words_for_fields[i].hint);
    }
    if (err.status == TESS_EBUDGET) {
        /* In tenths of MiB, rounded up: whole ones would tell some that are larger than need be. */
        unsigned long long tenths = (err.smallest_budget_bytes / 1024 * 10 + 10 + 1023) / 1024;
        bool is_medium = !strcmp(from->field, "max_bytes"), comes_first = strstr(err.expected, MEDIA_FIRST);
        snprintf(rest, sizeof rest, "%s --memory %llu.%lluMiB%s",
                 comes_first ? "what is sure to do, the model included, is" : "the smallest that works is",
                 tenths / 10, tenths % 10,
                 comes_first || is_medium ? "" : ", fewer positions (--context) need less");
        add_hint(&err, rest);
    }
    if (err.status == TESS_EINPUT &&
        (strstr(err.expected, "where this tensor ends") || !strncmp(err.expected, "a shard with ", 13)))
        add_hint(&err, "'tessera inspect --check' lists all that is wrong with the checkpoint");
    if (err.status == TESS_ENONFINITE)
        add_hint(&err, "are the weights intact? 'tessera inspect --checksum' tells");
    return err;
}

int cli_report_with(const cli_command *self, const cli_common *common, const tess_error *from, json_t *root)
{
    const tess_error translated = cli_translate(from), *err = &translated;
    bool closed_pipe = err->status == TESS_EIO && err->os_errno == EPIPE;
    if (common->json && !closed_pipe) {
        json_t *error = json_object();
        json_object_set_new(error, "code", json_string(tess_status_name(err->status)));
        json_object_set_new(error, "message", cli_text_or_null(err->message));
        json_object_set_new(error, "file", cli_text_or_null(err->file));
        json_object_set_new(error, "field", cli_text_or_null(err->field));
        json_object_set_new(error, "found", cli_text_or_null(err->found));
        json_object_set_new(error, "expected", cli_text_or_null(err->expected));
        json_object_set_new(error, "offset", err->offset < 0 ? json_null() : json_integer(err->offset));
        json_object_set_new(root, "error", error);
        if (err->status == TESS_EBUDGET)
            json_object_set_new(root, "smallest_budget_bytes",
                                json_integer((json_int_t)err->smallest_budget_bytes));
        cli_print_json(json_incref(root));
    }
    json_decref(root);
    /* Who stops a quiet command knows. */
    if (!closed_pipe && !(common->quiet && err->status == TESS_EINTERRUPTED)) {
        /* Names and texts of files from anywhere are in it. */
        cli_remark(self, "%s", err->message);
    }
    return exit_code(err->status);
}

/* A piece of JSON as jansson makes it: whole characters, C0 escaped already. What else steers a terminal
 * stands in strings only, where an escape means the same. */
static int put_json_piece(const char *piece, size_t n_byte, void *out)
{
    const uint8_t *at = (const uint8_t *)piece, *end = at + n_byte;
    for (size_t used; at < end; at += used) {
        uint32_t code;
        used = tess_utf8_read(at, &code);
        if (code >= 0x7f && tess_utf8_is_control(code))
            fprintf(out, "\\u%04x", (unsigned)code);
        else
            fwrite(at, 1, used, out);
    }
    return ferror((FILE *)out) ? -1 : 0;
}

void cli_write_json(const json_t *value, size_t flags)
{
    json_dump_callback(value, put_json_piece, stdout, flags | JSON_COMPACT);
}

void cli_print_json(json_t *object)
{
    cli_interrupt_waits(true);
    cli_write_json(object, JSON_REAL_PRECISION(9));
    putchar('\n');
    cli_stdout_flush();
    cli_interrupt_waits(false);
    json_decref(object);
}

json_t *cli_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void cli_escape(const char *text, size_t n_byte, char *out, size_t size)
{
    tess_utf8_escape(text, n_byte, "", out, size);
}

const char *cli_escaped(const char *text, char *out, size_t size)
{
    cli_escape(text, strlen(text), out, size);
    return out;
}

void cli_remark(const cli_command *self, const char *format, ...)
{
    char text[4096], safe[2 * sizeof text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int n = snprintf(safe, sizeof safe, "tessera %s: ", self->name);
    cli_escaped(text, safe + n, sizeof safe - (size_t)n);
    cli_print_wrapped(stderr, safe);
}

bool cli_write_text(FILE *out, const char *text, size_t n_byte)
{
    if (!isatty(fileno(out))) return fwrite(text, 1, n_byte, out) == n_byte;
    char safe[1024];
    for (size_t at = 0; at < n_byte;) {
        at += tess_utf8_escape(text + at, n_byte - at, "\n\t", safe, sizeof safe);
        if (fputs(safe, out) < 0) return false;
    }
    return true;
}

void cli_remark_buffered(const cli_command *self, const char *path)
{
    cli_remark(self,
               "direct reads of %s are refused: it is read by way of the page cache, which is dropped behind "
               "every read",
               path);
}

void cli_format_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(out, size, "%u B", (unsigned)bytes);
        return;
    }
    double value = (double)bytes / 1024;
    int u = 0;
    for (; value >= 1024 && u < 3; u++) value /= 1024;
    snprintf(out, size, "%.*f %s", value < 10 ? 2 : 1, value, unit[u]);
}

static int report_interrupt(const cli_command *self, const cli_common *common)
{
    tess_error err = {.status = TESS_EINTERRUPTED, .offset = -1, .message = "interrupted"};
    return cli_report(self, common, &err);
}

int cli_read_input(const cli_command *self, const cli_common *common, char **out, size_t *size)
{
    char *text = NULL;
    size_t used = 0, room = 0;
    if (isatty(STDIN_FILENO) && !common->quiet)
        fprintf(stderr, "tessera %s: reading what is typed here; Ctrl-D on a new line ends it\n", self->name);
    for (;;) {
        if (used == room) {
            room = room ? room * 2 : 65536;
            char *grown = realloc(text, room);
            if (!grown) {
                free(text);
                tess_error err = {
                    .status = TESS_ENOMEM, .offset = -1, .message = "standard input does not fit in memory"};
                return cli_report(self, common, &err);
            }
            text = grown;
        }
        cli_interrupt_waits(true);
        size_t n = fread(text + used, 1, room - used, stdin);
        cli_interrupt_waits(false);
        used += n;
        if (used < room) break; /* asked once more, a terminal would want a second Ctrl-D */
    }
    if (ferror(stdin)) {
        free(text);
        if (cli_interrupted()) return report_interrupt(self, common);
        tess_error err = {.status = TESS_EIO, .offset = -1, .message = "cannot read standard input"};
        return cli_report(self, common, &err);
    }
    *out = text;
    *size = used;
    return 0;
}
