/* tessera trace: runs a prompt and writes what every module of the model put out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/outputs.h"
#include "base/error.h"
#include "base/system.h"
#include "cli/engine_options.h"
#include "cli/folder.h"
#include "cli/prompt.h"
#include "cli/screen.h"
#include "commands/commands.h"

typedef struct request {
    cli_common common;
    cli_engine engine;
    cli_prompt prompt;
    const char *inputs_path, *out;
    cli_list globs; /* as given: lists with commas */
    char **glob;    /* one by one */
    int n_glob;
    int generate, speak; /* -1: as the inputs say */
    bool last_logits, list;
    tess_trace_inputs inputs;
} request;

/* A failure to get memory, as an exit code. */
static int no_memory(const cli_command *self, const request *r)
{
    tess_error err = {.status = TESS_ENOMEM, .offset = -1, .message = "no memory for the request"};
    return cli_report(self, &r->common, &err);
}

/* Cuts "a,b" into globs. Returns -1 or an exit code. */
static int split_globs(const cli_command *self, request *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->globs.count; i++) most += strlen(r->globs.item[i]) + 1;
    r->glob = calloc(most + 1, sizeof *r->glob);
    if (!r->glob) return no_memory(self, r);
    for (size_t i = 0; i < r->globs.count; i++) {
        const char *at = r->globs.item[i];
        for (;;) {
            size_t length = strcspn(at, ",");
            if (!length)
                return cli_usage(self, &r->common, "--taps: an empty name in \"%s\"", r->globs.item[i]);
            r->glob[r->n_glob] = strndup(at, length);
            if (!r->glob[r->n_glob]) return no_memory(self, r);
            r->n_glob++;
            if (!at[length]) break;
            at += length + 1;
        }
    }
    return -1;
}

static void release(request *r)
{
    for (int i = 0; i < r->n_glob; i++) free(r->glob[i]);
    free(r->glob);
    free(r->globs.item);
    tess_trace_inputs_release(&r->inputs);
    cli_prompt_release(&r->prompt);
    cli_ledger_close(&r->engine.ledger);
}

/* ---- --list ---- */

typedef struct listing {
    const request *request;
    json_t *names; /* NULL: printed as they come */
} listing;

static void list_tap(void *context, const tess_tap *tap)
{
    listing *l = context;
    if (!tess_tap_matches(tap->name, (const char *const *)l->request->glob, l->request->n_glob)) return;
    if (l->names)
        json_array_append_new(l->names, json_string(tap->name));
    else
        puts(tap->name);
}

/* The taps of a prompt with one medium of each kind that has taps of its own. */
static tess_status list_all(const request *r, listing *l, tess_error *err)
{
    const char *dir = r->engine.options.model_dir;
    tess_features clip, image;
    tess_status status = tess_model_get_smallest_features(dir, TESS_MEDIA_AUDIO, &clip, err);
    if (status == TESS_OK) status = tess_model_get_smallest_features(dir, TESS_MEDIA_IMAGE, &image, err);
    const tess_features *const media[] = {&clip, &image};
    const tess_feed feed = {.n_tok = 1, .media = media, .n_media = 2, .last_logits = r->last_logits};
    return status == TESS_OK ? tess_model_list_taps(dir, &feed, list_tap, l, err) : status;
}

static int list_taps(const cli_command *self, request *r)
{
    if (!r->engine.options.model_dir)
        return cli_usage(self, &r->common, "--model is missing: the folder of a checkpoint");
    int code = cli_check_checkpoint(self, &r->common, r->engine.options.model_dir);
    if (code >= 0) return code;
    listing l = {r, r->common.json ? json_array() : NULL};
    tess_error err;
    tess_status status = list_all(r, &l, &err);
    if (status != TESS_OK) {
        json_decref(l.names);
        return cli_report(self, &r->common, &err);
    }
    list_tap(&l, &(tess_tap){.name = "tap.thinker.generated", .is_integer = true, .n_dim = 1});
    if (l.names) cli_print_json(json_pack("{s:o}", "taps", l.names));
    return CLI_DONE;
}

/* Names depend on the model, --taps and --last-logits; a listing runs nothing. */
static int check_list(const cli_command *self, const request *r)
{
    const char *given = r->inputs_path       ? "--inputs"
                        : r->prompt.text     ? "--prompt"
                        : r->prompt.messages ? "--messages"
                        : r->prompt.system   ? "--system"
                        : r->prompt.raw      ? "--raw"
                        : r->prompt.plain    ? "--plain"
                        : r->out             ? "--out"
                        : r->generate >= 0   ? "--generate"
                        : r->speak >= 0      ? "--speak"
                                             : NULL;
    if (!r->list || !given) return -1;
    return cli_usage(self, &r->common, "%s: --list only prints names, and runs nothing", given);
}

static int check_logits(const cli_command *self, const request *r)
{
    if (!r->last_logits || tess_tap_matches("tap.thinker.lm_head", (const char *const *)r->glob, r->n_glob))
        return -1;
    return cli_usage(self, &r->common, "--last-logits is about thinker.lm_head, which --taps leaves out");
}

/* ---- the prompt ---- */

/* Whether the prompt's ids are what its text gives without --plain and --think. */
static bool is_usual(const cli_prompt *p, const char *model_dir)
{
    tess_prompt usual = {0};
    tess_status status =
        p->raw ? tess_tokenizer_encode(p->tokenizer, p->said, p->n_said, 0, &usual.ids, NULL)
               : tess_prompt_make(&p->talk, p->tokenizer, model_dir, TESS_CHAT_GENERATE, &usual, NULL);
    bool same = status == TESS_OK && usual.ids.count == p->made.ids.count &&
                !memcmp(usual.ids.data, p->made.ids.data, usual.ids.count * sizeof *usual.ids.data);
    tess_prompt_release(&usual);
    return same;
}

/* Whether a medium's source is a path that depends on where one stands. */
static bool is_relative(const tess_content *content)
{
    const char *source = content->data;
    return content->kind != TESS_CONTENT_TEXT && *source != '/' && tess_source_is_path(source);
}

/* The path from everywhere of a source that is seen from a folder, also of a file that is not there; to be
 * freed. NULL: it has none. */
static char *find_from_everywhere(const char *folder, const char *source)
{
    char path[PATH_MAX], whole[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, source);
    if (n < 0 || (size_t)n >= sizeof path) return NULL;
    if (realpath(path, whole)) return strdup(whole);
    if (!realpath(folder, whole)) return NULL;
    n = snprintf(path, sizeof path, "%s/%s", whole, source);
    return n < 0 || (size_t)n >= sizeof path ? NULL : strdup(path);
}

/* The parts of messages as JSON get the paths that their media have from everywhere. Whether any was another.
 */
static bool settle_paths(const tess_conversation *talk, const char *folder, json_t *messages)
{
    bool is_changed = false;
    for (size_t i = 0; i < talk->count; i++)
        for (size_t k = 0; k < talk->turn[i].n_content; k++) {
            const tess_content *content = &talk->turn[i].content[k];
            char *path = is_relative(content) ? find_from_everywhere(folder, content->data) : NULL;
            json_t *part = json_array_get(json_object_get(json_array_get(messages, i), "content"), k);
            const char *type = json_string_value(json_object_get(part, "type"));
            if (path)
                json_object_set_new(part, json_object_get(part, "path") ? "path" : type, json_string(path));
            is_changed |= path != NULL;
            free(path);
        }
    return is_changed;
}

/* The messages as JSON, which are read from where the trace lies. */
static tess_status write_messages(const tess_conversation *talk, char **out, tess_error *err)
{
    tess_text json = {0};
    tess_status status = tess_conversation_write(talk, &json, err);
    if (status != TESS_OK) return status;
    json_t *messages = json_loadb(json.data, json.count, JSON_ALLOW_NUL, NULL);
    tess_text_release(&json);
    if (messages) settle_paths(talk, ".", messages);
    *out = messages ? json_dumps(messages, JSON_COMPACT) : NULL;
    json_decref(messages);
    return *out ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for messages as JSON");
}

/* Whether what is seen from a file's folder is seen from the other's as well. */
static bool lie_together(const char *a, const char *b)
{
    char folder_a[PATH_MAX], folder_b[PATH_MAX];
    struct stat of_a, of_b;
    if (!lstat(b, &of_b) && S_ISLNK(of_b.st_mode)) return false; /* it may be read by the name it leads to */
    cli_folder_of(a, folder_a);
    cli_folder_of(b, folder_b);
    return !stat(folder_a, &of_a) && !stat(folder_b, &of_b) && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/* Messages that are taken over are seen from where the inputs lie; those that are none stay as they are. */
static int settle_messages(const cli_command *self, request *r)
{
    char folder[PATH_MAX], *settled = NULL;
    const char *said = r->inputs.messages;
    tess_conversation talk = {0};
    if (!said || lie_together(r->inputs_path, r->out)) return -1;
    cli_folder_of(r->inputs_path, folder);
    bool is_said = tess_conversation_parse(&talk, r->inputs_path, said, strlen(said), NULL) == TESS_OK;
    json_t *messages = is_said ? json_loads(said, JSON_ALLOW_NUL, NULL) : NULL;
    bool is_changed = messages && settle_paths(&talk, folder, messages);
    if (is_changed) settled = json_dumps(messages, JSON_COMPACT);
    json_decref(messages);
    tess_conversation_release(&talk);
    if (is_changed ? !settled : is_said && !messages) return no_memory(self, r);
    if (!is_changed) return -1;
    free(r->inputs.messages);
    r->inputs.messages = settled;
    return -1;
}

/* What was said, for whoever reads the trace with a tokenizer: the raw text, or the messages as JSON. */
static int note_prompt(const cli_command *self, request *r)
{
    const cli_prompt *p = &r->prompt;
    /* Who reads a noted text takes control tokens in it for tokens, and lets a model think: one that differs
     * is left to its ids. */
    bool is_special = p->plain || cli_thinking_flag(p->thinking);
    if (is_special && !is_usual(p, r->engine.options.model_dir)) return -1;
    if (p->raw) {
        /* A text with a NUL in it cannot be noted as text; its ids are there all the same. */
        if (memchr(p->said, 0, p->n_said)) return -1;
        r->inputs.raw = strndup(p->said, p->n_said);
        return r->inputs.raw ? -1 : no_memory(self, r);
    }
    tess_error err;
    tess_status status = write_messages(&p->talk, &r->inputs.messages, &err);
    return status == TESS_OK ? -1 : cli_report(self, &r->common, &err);
}

/* The prompt's ids as inputs; the tokenizer's memory is given back before the plan is made. */
static int take_prompt(const cli_command *self, request *r)
{
    int code = cli_prompt_encode(&r->prompt, self, &r->common, &r->engine);
    if (code < 0) code = note_prompt(self, r);
    if (code >= 0) return code;
    size_t n = r->prompt.made.ids.count;
    if (n > INT32_MAX / 2) return cli_usage(self, &r->common, "the prompt is %zu tokens long", n);
    r->inputs.ids = malloc(n * sizeof *r->inputs.ids);
    if (!r->inputs.ids) return no_memory(self, r);
    memcpy(r->inputs.ids, r->prompt.made.ids.data, n * sizeof *r->inputs.ids);
    r->inputs.n_tok = (int)n;
    r->inputs.media = r->prompt.made.media;
    r->inputs.n_media = r->prompt.made.n_media;
    r->inputs.use_audio_in_video = r->prompt.media.use_audio_in_video && r->prompt.made.n_media > 0;
    r->inputs.fps = r->prompt.made.n_media > 0 ? r->prompt.media.fps : 0;
    cli_ledger_note_prompt(&r->engine.ledger, r->prompt.kind, r->prompt.said, r->prompt.n_said,
                           r->prompt.system);
    cli_ledger_note_media(&r->engine.ledger, r->inputs.media, r->inputs.n_media);
    tess_tokenizer_close(r->prompt.tokenizer);
    r->prompt.tokenizer = NULL;
    return -1;
}

static int take_inputs(const cli_command *self, request *r)
{
    if (!r->inputs_path) return take_prompt(self, r);
    if (r->prompt.text || r->prompt.system || r->prompt.messages || r->prompt.raw || r->prompt.plain)
        return cli_usage(self, &r->common,
                         "--inputs says what to run; --prompt, --system, --messages, --raw and --plain say "
                         "it too");
    tess_error err;
    tess_status status = tess_trace_inputs_read(r->inputs_path, &r->inputs, &err);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    int code =
        cli_output_check_messages(self, &r->common, "--out", r->out, r->inputs.messages, r->inputs_path);
    if (code < 0) code = settle_messages(self, r);
    if (code >= 0) return code;
    cli_ledger_note_prompt(&r->engine.ledger, "ids", r->inputs.ids,
                           (size_t)r->inputs.n_tok * sizeof *r->inputs.ids, NULL);
    cli_ledger_note_media(&r->engine.ledger, r->inputs.media, r->inputs.n_media);
    return -1;
}

/* ---- the run ---- */

static void print_result(const request *r, const tess_engine *engine)
{
    if (r->common.json) {
        json_t *root = json_object();
        json_object_set_new(root, "out", cli_text(r->out, strlen(r->out)));
        json_object_set_new(root, "prompt_tokens", json_integer(r->inputs.n_tok));
        json_object_set_new(root, "generate", json_integer(r->inputs.generate));
        json_object_set_new(root, "bytes_read", json_integer((json_int_t)tess_engine_get_bytes_read(engine)));
        json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_peak_rss_bytes()));
        json_object_set_new(root, "budget_bytes",
                            json_integer((json_int_t)tess_engine_get_plan(engine)->budget_bytes));
        cli_print_json(root);
    } else if (!r->common.quiet) {
        char read[32], peak[32];
        cli_format_bytes(tess_engine_get_bytes_read(engine), read, sizeof read);
        cli_format_bytes(tess_peak_rss_bytes(), peak, sizeof peak);
        char line[768];
        snprintf(line, sizeof line, "[%d prompt tokens traced to %s; %s read, %s peak]", r->inputs.n_tok,
                 CLI_SAFE(r->out), read, peak);
        cli_print_wrapped(stderr, line);
    }
}

/* A trace does not tell how many tokens it generated, nor the time of prompt and generation apart. */
static void record_trace(request *r, const tess_engine *engine, double seconds, int code)
{
    tess_ledger_run_end end = {.finish = "done",
                               .exit_code = code,
                               .n_prompt = r->inputs.n_tok,
                               .n_new = r->inputs.generate ? -1 : 0,
                               .prefill_seconds = r->inputs.generate ? -1 : seconds,
                               .decode_seconds = r->inputs.generate ? -1 : 0};
    if (code == CLI_DONE) cli_ledger_end_run(&r->engine.ledger, engine, &end);
    cli_ledger_fail_run(&r->engine.ledger, engine, code);
}

static int trace_request(const cli_command *self, request *r)
{
    if (r->generate >= 0) r->inputs.generate = r->generate;
    if (r->speak >= 0) r->inputs.speak = r->speak;
    if (r->inputs.n_tok > INT32_MAX - r->inputs.generate)
        return cli_usage(self, &r->common, "--generate: found %d, more than any context", r->inputs.generate);
    r->engine.options.n_needed = r->inputs.n_tok + r->inputs.generate;
    r->engine.options.n_speech_step = r->inputs.codes ? 1 : r->inputs.speak; /* codes are spoken already */
    const tess_feed expected = {.media = r->inputs.media, .n_media = r->inputs.n_media};
    r->engine.options.expected = &expected;
    r->engine.options.n_expected = 1;
    cli_catch_termination(); /* what was reserved for the trace must go */
    cli_ledger_begin_run(&r->engine.ledger, &r->engine.options, r->engine.seed);
    tess_error err;
    tess_engine *engine;
    tess_status status = cli_prompt_open_engine(&r->prompt, &r->engine.options, &engine, &err);
    cli_progress_clear(&r->engine.bar);
    if (status != TESS_OK && r->inputs_path) cli_name_file(&err, r->inputs_path);
    if (status != TESS_OK) {
        int code = cli_report(self, &r->common, &err);
        cli_ledger_fail_run(&r->engine.ledger, NULL, code);
        return code;
    }
    cli_engine_remark_reads(&r->engine, self, &r->common, engine);
    tess_trace_options options = {.model_dir = r->engine.options.model_dir,
                                  .globs = (const char *const *)r->glob,
                                  .n_glob = r->n_glob,
                                  .last_logits = r->last_logits,
                                  .observer = cli_ledger_get_listener(&r->engine.ledger),
                                  .progress = &r->engine.bar.drawn_bar};
    double start = tess_system_seconds();
    status = tess_trace_write(engine, &r->inputs, &options, r->out, &err);
    cli_progress_clear(&r->engine.bar);
    if (status != TESS_OK && r->inputs_path) cli_name_file(&err, r->inputs_path);
    int code = status == TESS_OK ? CLI_DONE : cli_report(self, &r->common, &err);
    record_trace(r, engine, tess_system_seconds() - start, code);
    if (status == TESS_OK) print_result(r, engine);
    cli_engine_remark_reads(&r->engine, self, &r->common, engine);
    tess_engine_close(engine);
    return code;
}

static int run_request(const cli_command *self, request *r)
{
    int code = split_globs(self, r);
    if (code < 0) code = check_list(self, r);
    if (code < 0) code = check_logits(self, r);
    if (code >= 0) return code;
    if (r->list) return list_taps(self, r);
    if (!r->out) return cli_usage(self, &r->common, "--out is missing: the trace to write");
    code = cli_engine_check(&r->engine, self, &r->common);
    if (code < 0) cli_ledger_open(&r->engine.ledger, self, &r->common);
    if (code < 0) code = take_inputs(self, r);
    return code < 0 ? trace_request(self, r) : code;
}

/* What messages name is checked once they are read. */
static int check_output(const cli_command *self, request *r)
{
    const char *const used[] = {r->inputs_path, r->prompt.messages};
    int code = cli_output_check(self, &r->common, "--out", r->out, used, 2, r->engine.options.model_dir);
    if (code < 0) code = cli_output_check_ledger(self, &r->common, "--out", r->out, r->engine.ledger.place);
    r->prompt.output = r->out;
    r->prompt.output_option = "--out";
    return code;
}

static int run_trace(const cli_command *self, int argc, char **argv)
{
    request r = {.common = CLI_COMMON_DEFAULT,
                 .engine = CLI_ENGINE_DEFAULT,
                 .prompt = CLI_PROMPT_DEFAULT,
                 .generate = -1,
                 .speak = -1};
    const cli_option options[] = {
        {"inputs", CLI_NAME, &r.inputs_path, "IN.safetensors", "the in.* tensors of a trace or golden"},
        CLI_PROMPT_OPTIONS(&r.prompt),
        {"out", CLI_NAME, &r.out, "OUT.safetensors", "the trace to write (required)"},
        {"taps", CLI_LIST, &r.globs, "GLOB,...", "only taps with such names; default all; see --list"},
        {"last-logits", CLI_FLAG, &r.last_logits, NULL, "lm_head of the last position only"},
        {"generate", CLI_COUNT, &r.generate, "N",
         "tokens to produce greedily after the prompt; default as the inputs say, else 0"},
        {"speak", CLI_COUNT, &r.speak, "N",
         "steps of a greedy talker after the tokens, of which --generate makes 2 or more; default as the "
         "inputs say, else 0"},
        {"list", CLI_FLAG, &r.list, NULL, "print the names of all taps and end"},
        CLI_ENGINE_OPTIONS(&r.engine),
        CLI_SEED_OPTION(&r.engine, NULL),
        CLI_LEDGER_TEXT_OPTION(&r.engine, CLI_LEDGER_TEXT_HELP),
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code < 0 && n_word > 0)
        code = cli_unexpected_word(self, &r.common, words[0], "the trace to write goes after --out");
    if (code < 0) code = check_output(self, &r);
    if (code < 0) code = run_request(self, &r);
    release(&r);
    return code;
}

const cli_command cli_trace = {
    .name = "trace",
    .summary = "Runs a prompt and writes what every module of the model puts out.",
    .arguments = "[options] --model DIR (--inputs FILE | --prompt TEXT | --messages FILE) --out FILE",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples = {"tessera trace --model tests/golden/c --inputs tests/golden/c-f32/text.safetensors --out "
                 "ours.safetensors",
                 "tessera trace --model demo/checkpoint --raw --prompt \"The capital of France is\" --taps "
                 "'thinker.model.layers.*.mlp,thinker.lm_head' --last-logits --out france.safetensors",
                 "tessera trace --model demo/checkpoint --image tests/data/media/images/420.jpg --prompt "
                 "\"What is it?\" --out picture.safetensors"},
    .run = run_trace,
    .notes = CLI_PROMPT_NOTES,
};
