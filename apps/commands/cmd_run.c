/* tessera run: one answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "cli/engine_options.h"
#include "cli/generate.h"
#include "cli/outputs.h"
#include "cli/prompt.h"
#include "cli/screen.h"
#include "cli/standard_output.h"
#include "commands/commands.h"

enum { USUAL_MOST_NEW = 1024 };

/* DIFFERS: the original speaks what it generates and nothing else; a text to be read aloud stands as the
 * answer to this question, fed and spoken as one that was generated (tests/cli/test_speech.sh). */
#define SAY_QUESTION "Please read aloud."

typedef struct request {
    cli_common common;
    cli_engine engine;
    cli_prompt prompt;
    cli_sampling sampling;
    cli_speech speech;
    int max_new, n_top;
    const char *rank_text;
    const char *say;     /* the answer, instead of one that is generated; NULL: none */
    tess_ids said;       /* the tokens of it, */
    tess_ids whole;      /* and behind those of the prompt */
    double load_seconds; /* opening the engine: what stays resident is read */
} request;

/* The likeliest next tokens, as asked for by --top and --rank. */
typedef struct ranking {
    tess_likely *top;
    int n_top;
    tess_likely wanted;
    bool has_wanted;
} ranking;

static int find_rank_token(const cli_command *self, const request *r, int32_t *id)
{
    tess_ids ids = {0};
    tess_error err;
    *id = tess_tokenizer_get_id(r->prompt.tokenizer, r->rank_text, strlen(r->rank_text));
    if (*id >= 0) return -1;
    tess_status status =
        tess_tokenizer_encode(r->prompt.tokenizer, r->rank_text, strlen(r->rank_text), 0, &ids, &err);
    size_t count = ids.count;
    if (status == TESS_OK && count == 1) *id = ids.data[0];
    tess_ids_release(&ids);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    if (count != 1)
        return cli_usage(self, &r->common, "--rank: found \"%s\", which is %zu tokens, expected one",
                         r->rank_text, count);
    return -1;
}

static int rank_tokens(const cli_command *self, const request *r, tess_session *session, int n_vocab,
                       ranking *out)
{
    out->n_top = r->n_top < n_vocab ? r->n_top : n_vocab;
    if (out->n_top > 0) {
        out->top = calloc((size_t)out->n_top, sizeof *out->top);
        if (!out->top) return CLI_SYSTEM;
        tess_session_get_top(session, out->n_top, out->top);
    }
    if (!r->rank_text) return -1;
    int32_t id;
    int code = find_rank_token(self, r, &id);
    if (code >= 0) return code;
    if (id >= n_vocab)
        return cli_usage(self, &r->common, "--rank: \"%s\" is no output of this model", r->rank_text);
    tess_session_get_rank(session, id, &out->wanted);
    out->has_wanted = true;
    return -1;
}

static json_t *likely_json(const tess_tokenizer *tokenizer, const tess_likely *l)
{
    size_t n_byte = 0;
    const char *bytes = tess_tokenizer_get_bytes(tokenizer, l->id, &n_byte);
    json_t *text = json_stringn(bytes ? bytes : "", n_byte);
    return json_pack("{s:i, s:i, s:o, s:f}", "rank", l->rank, "id", l->id, "text", text ? text : json_null(),
                     "probability", (double)l->probability);
}

static void print_likely(const tess_tokenizer *tokenizer, const tess_likely *l)
{
    enum { BESIDE_TEXT = 6 + 1 + 8 + 1 + 12 + 2 + 2 };
    char text[256], shown[256];
    size_t n_byte = 0;
    const char *bytes = tess_tokenizer_get_bytes(tokenizer, l->id, &n_byte);
    cli_escape(bytes ? bytes : "", n_byte, text, sizeof text);
    cli_text_shorten(text, cli_screen_columns() - BESIDE_TEXT, shown, sizeof shown);
    printf("%6d %8d %12.8f  \"%s\"\n", l->rank, l->id, (double)l->probability, shown);
}

static void print_ranking(const request *r, const ranking *ranks)
{
    if (r->common.json || (!ranks->n_top && !ranks->has_wanted)) return;
    printf("%6s %8s %12s  %s\n", "rank", "id", "probability", "text");
    for (int i = 0; i < ranks->n_top; i++) print_likely(r->prompt.tokenizer, &ranks->top[i]);
    if (ranks->has_wanted) print_likely(r->prompt.tokenizer, &ranks->wanted);
    putchar('\n');
}

static json_t *ids_json(const int32_t *ids, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(array, json_integer(ids[i]));
    return array;
}

/* Numbers of the JSON library are signed, a seed is not: it is written behind the object's other members. */
static void print_with_seed(json_t *object, uint64_t seed)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    size_t n = text ? strlen(text) : 0;
    if (n > 0) printf("%.*s,\"seed\":%llu}\n", (int)(n - 1), text, (unsigned long long)seed);
    cli_stdout_flush();
    free(text);
    json_decref(object);
}

static void print_result(const request *r, const tess_engine *engine, const cli_answer *answer,
                         const ranking *ranks, double prefill_seconds)
{
    json_t *root = json_object();
    cli_answer_put(root, answer);
    json_object_set_new(root, "tokens", ids_json(answer->made.ids.data, answer->made.ids.count));
    json_object_set_new(root, "prompt_ids", ids_json(r->prompt.made.ids.data, r->prompt.made.ids.count));
    json_object_set_new(root, "prompt_tokens", json_integer((json_int_t)r->prompt.made.ids.count));
    json_object_set_new(root, "finish_reason", json_string(cli_finish_name(answer->made.finish)));
    json_object_set_new(root, "seconds",
                        json_pack("{s:f, s:f, s:f}", "load", r->load_seconds, "prefill", prefill_seconds,
                                  "decode", answer->seconds));
    json_object_set_new(root, "bytes_read", json_integer((json_int_t)tess_engine_get_bytes_read(engine)));
    json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_peak_rss_bytes()));
    json_object_set_new(root, "budget_bytes",
                        json_integer((json_int_t)tess_engine_get_plan(engine)->budget_bytes));
    cli_put_residency(root, tess_engine_get_plan(engine));
    if (r->prompt.made.n_media) json_object_set_new(root, "parts", cli_prompt_list_parts(&r->prompt));
    if (r->speech.file) json_object_set_new(root, "speech", cli_speech_describe(&r->speech));
    if (ranks->n_top) {
        json_t *top = json_array();
        for (int i = 0; i < ranks->n_top; i++)
            json_array_append_new(top, likely_json(r->prompt.tokenizer, &ranks->top[i]));
        json_object_set_new(root, "top", top);
    }
    if (ranks->has_wanted)
        json_object_set_new(root, "rank", likely_json(r->prompt.tokenizer, &ranks->wanted));
    print_with_seed(root, r->engine.seed);
}

/* "12 new in 0.50 s (24.0/s)"; without a rate where nothing was done. */
static void format_speed(size_t n_tok, const char *what, double seconds, char *out, size_t size)
{
    int used = snprintf(out, size, "%zu %s in %.2f s", n_tok, what, seconds);
    double rate = seconds > 0 ? (double)n_tok / seconds : 0;
    if (rate > 0) snprintf(out + used, size - (size_t)used, rate < 100 ? " (%.3g/s)" : " (%.0f/s)", rate);
}

static size_t count_fed(const request *r)
{
    return r->say ? r->whole.count : r->prompt.made.ids.count;
}

static void remark_speed(const request *r, const tess_engine *engine, const cli_answer *answer,
                         double prefill_seconds)
{
    if (r->common.quiet || r->common.json) return;
    char read[32], peak[32], prompt[64], new[64];
    cli_format_bytes(tess_engine_get_bytes_read(engine), read, sizeof read);
    cli_format_bytes(tess_peak_rss_bytes(), peak, sizeof peak);
    format_speed(count_fed(r), "prompt tokens", prefill_seconds, prompt, sizeof prompt);
    if (!r->say) format_speed(answer->made.ids.count, "new", answer->seconds, new, sizeof new);
    char line[320];
    snprintf(line, sizeof line, "[loading %.2f s; %s%s%s; %s read, %s peak]", r->load_seconds, prompt,
             r->say ? "" : ", ", r->say ? "" : new, read, peak);
    cli_print_wrapped(stderr, line);
}

static void remark_interrupt(const cli_command *self, const request *r, const cli_answer *answer)
{
    size_t n = answer->made.ids.count;
    if (r->say)
        cli_remark(self, "interrupted");
    else
        cli_remark(self, "interrupted after %zu token%s", n, n == 1 ? "" : "s");
}

/* Before the peak is told, so that it is the peak of all that was done. */
static void record_answer(request *r, const tess_engine *engine, const cli_answer *answer,
                          double prefill_seconds, int code)
{
    tess_ledger_run_end end = {.finish = cli_finish_name(answer->made.finish),
                               .exit_code = code,
                               .n_prompt = (int64_t)count_fed(r),
                               .n_new = r->say ? 0 : (int64_t)answer->made.ids.count,
                               .prefill_seconds = prefill_seconds,
                               .decode_seconds = answer->seconds};
    cli_ledger_end_run(&r->engine.ledger, engine, &end);
}

/* Of a text that is stopped what was spoken by then stays, and no more is. */
static int end_speech(const cli_command *self, request *r, int code)
{
    if (code == CLI_INTERRUPTED) cli_speech_interrupt(&r->speech);
    int spoken = cli_speech_finish(&r->speech, self, &r->common);
    return spoken < 0 ? code : spoken;
}

/* What was given as the answer, as one that was generated. */
static int say_answer(const cli_command *self, request *r, cli_answer *answer)
{
    tess_error err;
    tess_status status = tess_text_append(&answer->made.text, r->say, strlen(r->say), &err);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    answer->made.ids = r->said;
    answer->made.finish = TESS_FINISH_STOP;
    r->said = (tess_ids){0};
    for (size_t i = 0; i < answer->made.ids.count; i++)
        if (!cli_speech_take(&r->speech, answer->made.ids.data[i])) break;
    return CLI_DONE;
}

static int make_answer(const cli_command *self, request *r, tess_engine *engine, tess_session *session,
                       cli_answer *answer)
{
    if (r->say) return say_answer(self, r, answer);
    int code = cli_answer_make(self, &r->common, engine, session, r->prompt.tokenizer, &r->sampling,
                               cli_ledger_get_listener(&r->engine.ledger), &r->engine.bar.unseen, r->max_new,
                               &r->speech, answer);
    FILE *out = cli_speech_text_file(&r->speech);
    if ((code == CLI_DONE || code == CLI_INTERRUPTED) && !r->common.json && answer->made.ids.count)
        putc('\n', out);
    if (out == stdout)
        cli_stdout_flush();
    else
        fflush(out);
    return code;
}

static tess_feed get_feed(const request *r)
{
    tess_feed feed = tess_prompt_get_feed(&r->prompt.made);
    if (!r->say) return feed;
    feed.ids = r->whole.data;
    feed.n_tok = (int)r->whole.count;
    return feed;
}

static int answer_prompt(const cli_command *self, request *r, tess_engine *engine, tess_session *session)
{
    tess_error err;
    double start = tess_system_seconds();
    const tess_feed prompt = tess_prompt_get_feed(&r->prompt.made);
    tess_feed feed = get_feed(r);
    feed.listener = cli_ledger_get_listener(&r->engine.ledger);
    feed.last_logits = true;
    feed.progress = &r->engine.bar.drawn_bar;
    tess_status status = tess_session_feed(session, &feed, &err);
    double prefill_seconds = tess_system_seconds() - start;
    cli_progress_clear(&r->engine.bar);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    ranking ranks = {0};
    cli_answer answer = {0};
    int code = rank_tokens(self, r, session, tess_engine_get_vocab_size(engine), &ranks);
    if (code < 0) {
        print_ranking(r, &ranks);
        code =
            cli_speech_begin(&r->speech, self, &r->common, session, &prompt, r->engine.seed, &r->engine.bar);
    }
    if (code < 0) code = make_answer(self, r, engine, session, &answer);
    if (code == CLI_DONE || code == CLI_INTERRUPTED) code = end_speech(self, r, code);
    if (code == CLI_DONE || code == CLI_INTERRUPTED) {
        record_answer(r, engine, &answer, prefill_seconds, code);
        if (r->common.json) print_result(r, engine, &answer, &ranks, prefill_seconds);
        cli_answer_remark(&answer, self, &r->common, r->max_new);
        cli_speech_remark(&r->speech, self, &r->common);
        if (code == CLI_INTERRUPTED && !r->common.quiet) remark_interrupt(self, r, &answer);
        remark_speed(r, engine, &answer, prefill_seconds);
    }
    tess_answer_release(&answer.made);
    free(ranks.top);
    return code;
}

static tess_status append_ids(tess_ids *to, const tess_ids *ids, tess_error *err)
{
    tess_status status = tess_ids_reserve(to, ids->count, err);
    if (status != TESS_OK) return status;
    for (size_t i = 0; i < ids->count; i++) to->data[to->count++] = ids->data[i];
    return TESS_OK;
}

/* The tokens of a text to be read aloud, in which nothing is a control token. */
static int encode_answer(const cli_command *self, request *r)
{
    if (!r->say) return -1;
    size_t n_byte = strlen(r->say);
    tess_error err;
    tess_status status = cli_check_text("--say", r->say, n_byte, &err);
    if (status == TESS_OK)
        status =
            tess_tokenizer_encode(r->prompt.tokenizer, r->say, n_byte, TESS_ENCODE_PLAIN, &r->said, &err);
    if (status == TESS_OK) status = append_ids(&r->whole, &r->prompt.made.ids, &err);
    if (status == TESS_OK) status = append_ids(&r->whole, &r->said, &err);
    if (status != TESS_OK) return cli_report(self, &r->common, &err);
    r->max_new = (int)r->said.count;
    r->prompt.kind = "say";
    r->prompt.said = r->say;
    r->prompt.n_said = n_byte;
    return -1;
}

static int run_request(const cli_command *self, request *r)
{
    int code = cli_prompt_encode(&r->prompt, self, &r->common, &r->engine);
    if (code < 0) code = encode_answer(self, r);
    if (code >= 0) return code;
    if (r->prompt.made.ids.count > (size_t)INT32_MAX - (size_t)r->max_new)
        return cli_usage(self, &r->common,
                         "--max-new: found %d, expected at most %zu after a prompt of %zu tokens", r->max_new,
                         (size_t)INT32_MAX - r->prompt.made.ids.count, r->prompt.made.ids.count);
    const tess_feed expected = tess_prompt_get_feed(&r->prompt.made);
    r->engine.options.n_needed = (int)r->prompt.made.ids.count + r->max_new;
    r->engine.options.expected = &expected;
    r->engine.options.n_expected = 1;
    cli_ledger_open(&r->engine.ledger, self, &r->common);
    cli_ledger_note_prompt(&r->engine.ledger, r->prompt.kind, r->prompt.said, r->prompt.n_said,
                           r->prompt.system);
    cli_ledger_note_media(&r->engine.ledger, r->prompt.made.media, r->prompt.made.n_media);
    cli_ledger_begin_run(&r->engine.ledger, &r->engine.options, r->engine.seed);
    tess_error err;
    tess_engine *engine;
    tess_session *session;
    double start = tess_system_seconds();
    tess_status status = cli_prompt_open_engine(&r->prompt, &r->engine.options, &engine, &err);
    r->load_seconds = tess_system_seconds() - start;
    cli_progress_clear(&r->engine.bar);
    if (status != TESS_OK) {
        code = cli_report(self, &r->common, &err);
        cli_ledger_fail_run(&r->engine.ledger, NULL, code);
        return code;
    }
    cli_engine_remark_reads(&r->engine, self, &r->common, engine);
    status = tess_session_new(engine, &session, &err);
    code = status == TESS_OK ? answer_prompt(self, r, engine, session) : cli_report(self, &r->common, &err);
    if (status == TESS_OK) tess_session_free(session);
    cli_ledger_fail_run(&r->engine.ledger, engine, code);
    cli_engine_remark_reads(&r->engine, self, &r->common, engine);
    tess_engine_close(engine);
    return code;
}

/* Of a text that is read aloud nothing is asked and nothing generated. */
static int check_say(const cli_command *self, request *r)
{
    const cli_prompt *p = &r->prompt;
    const cli_sampling *s = &r->sampling, usual = CLI_SAMPLING_DEFAULT;
    if (!r->say) return -1;
    if (!r->speech.file)
        return cli_usage(self, &r->common, "--say: --speak OUT.wav is missing, the file to read aloud into");
    if (p->text || p->system || p->messages || p->raw || p->plain || p->thinking ||
        cli_media_count(&p->media))
        return cli_usage(self, &r->common,
                         "--say is read aloud instead of an answer: --prompt, --system, --messages, --raw, "
                         "--plain, --think, --image, --audio and --video go without it");
    if (r->n_top || r->rank_text || r->max_new != USUAL_MOST_NEW || s->temperature != usual.temperature ||
        s->repetition_penalty != usual.repetition_penalty)
        return cli_usage(self, &r->common,
                         "--say is read aloud and nothing is generated: --max-new, --temperature, "
                         "--repetition-penalty, --top and --rank go without it");
    r->prompt.text = SAY_QUESTION;
    return -1;
}

/* What messages name is checked once they are read. */
static int check_output(const cli_command *self, request *r)
{
    const char *out = r->speech.file && strcmp(r->speech.file, "-") != 0 ? r->speech.file : NULL;
    const char *const used[] = {r->prompt.messages};
    int code = cli_output_check(self, &r->common, "--speak", out, used, 1, r->engine.options.model_dir);
    if (code < 0) code = cli_output_check_ledger(self, &r->common, "--speak", out, r->engine.ledger.place);
    if (code < 0) code = cli_output_check_standard(self, &r->common, "--speak", out, "the answer");
    r->prompt.output = out;
    r->prompt.output_option = "--speak";
    return code;
}

/* The file is made before anything is computed. */
static int open_speech(const cli_command *self, request *r)
{
    const char *file = r->speech.file;
    int code = cli_voice_check(&r->speech.voice, file != NULL, self, &r->common, r->engine.options.model_dir);
    if (code >= 0 || !file) return code;
    if (r->common.json && !strcmp(file, "-"))
        return cli_usage(self, &r->common, "--speak - and --json both want standard output");
    r->speech.ends_text = true;
    r->engine.options.n_speech_step = r->speech.voice.max_step;
    cli_catch_termination(); /* what is begun of the file must go, or be ended */
    return cli_speech_open_file(&r->speech, self, &r->common, &r->engine.bar);
}

static int run_run(const cli_command *self, int argc, char **argv)
{
    request r = {.common = CLI_COMMON_DEFAULT,
                 .engine = CLI_ENGINE_DEFAULT,
                 .prompt = CLI_PROMPT_DEFAULT,
                 .sampling = CLI_SAMPLING_DEFAULT,
                 .speech = CLI_SPEECH_DEFAULT,
                 .max_new = USUAL_MOST_NEW};
    const cli_option options[] = {
        CLI_PROMPT_OPTIONS(&r.prompt),
        {"max-new", CLI_COUNT, &r.max_new, "N", "most tokens of the answer; default 1024"},
        CLI_SAMPLING_OPTIONS(&r.sampling),
        {"top", CLI_COUNT, &r.n_top, "N", "print the N likeliest next tokens first"},
        {"rank", CLI_TEXT, &r.rank_text, "TEXT", "print the rank of this token among them"},
        {"say", CLI_TEXT, &r.say, "TEXT",
         "read this aloud into --speak OUT.wav instead of answering: it is spoken as the answer to "
         "\"" SAY_QUESTION "\""},
        {"speak", CLI_NAME, &r.speech.file, "OUT.wav",
         "speak the answer into a file: .wav, .flac, .mp3 or .opus; - is standard output, and the text goes "
         "to standard error"},
        CLI_VOICE_OPTIONS(&r.speech.voice),
        CLI_ENGINE_OPTIONS(&r.engine),
        CLI_SEED_OPTION(&r.engine, "seed of the sampler; default 0"),
        CLI_LEDGER_TEXT_OPTION(&r.engine, CLI_LEDGER_TEXT_HELP),
    };
    char **words;
    int n_word;
    int code =
        cli_parse(self, options, sizeof options / sizeof options[0], &r.common, argc, argv, &words, &n_word);
    if (code >= 0) return code;
    if (n_word > 0) return cli_unexpected_word(self, &r.common, words[0], "the question goes after --prompt");
    code = cli_engine_check(&r.engine, self, &r.common);
    if (code < 0) code = cli_sampling_check(&r.sampling, self, &r.common, r.engine.seed);
    if (code < 0) code = check_say(self, &r);
    if (code < 0) code = check_output(self, &r);
    if (code < 0) code = open_speech(self, &r);
    if (code < 0) code = run_request(self, &r);
    cli_speech_end(&r.speech);
    tess_ids_release(&r.said);
    tess_ids_release(&r.whole);
    cli_ledger_close(&r.engine.ledger);
    cli_prompt_release(&r.prompt);
    return code;
}

const cli_command cli_run = {
    .name = "run",
    .summary = "Answers one prompt.",
    .arguments = "[options] --model DIR (--prompt TEXT | --messages FILE | --say TEXT)",
    .has = CLI_HAS_PROGRESS | CLI_HAS_REMARKS | CLI_HAS_BUDGET,
    .examples =
        {"tessera run --model Qwen3-Omni-30B-A3B-Instruct --memory 12GiB --prompt \"What is the "
         "capital of France?\"",
         "tessera run --model demo/checkpoint --raw --prompt \"The capital of France is\" --top 5 "
         "--max-new 8",
         "tessera run --model demo/checkpoint --image tests/data/media/images/420.jpg --prompt "
         "\"What is it?\"",
         "tessera run --model demo/checkpoint --audio tests/data/media/audio/tone.mp3 --video "
         "tests/data/media/video/sound.mp4 --use-audio-in-video --prompt \"What do you hear?\"",
         "tessera run --model demo/checkpoint --prompt \"Hello!\" --speak answer.wav --speaker chelsie",
         "tessera run --model demo/checkpoint --say \"Good morning.\" --speak morning.flac"},
    .run = run_run,
    .notes = CLI_PROMPT_NOTES,
};
