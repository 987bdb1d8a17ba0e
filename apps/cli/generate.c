#include "cli/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "cli/screen.h"
#include "cli/standard_output.h"

static tess_sampling sampling_options(const cli_sampling *sampling)
{
    return (tess_sampling){.temperature = sampling->temperature,
                           .top_k = sampling->top_k,
                           .top_p = sampling->top_p,
                           .repetition_penalty = sampling->repetition_penalty,
                           .seed = sampling->seed};
}

int cli_sampling_check(cli_sampling *sampling, const cli_command *self, const cli_common *common,
                       uint64_t seed)
{
    sampling->seed = seed;
    const tess_sampling checked = sampling_options(sampling);
    tess_error err;
    if (tess_sampling_check(&checked, &err) != TESS_OK) return cli_report(self, common, &err);
    if (sampling->temperature == 0 && (sampling->top_k > 0 || sampling->top_p < 1))
        return cli_usage(self, common,
                         "--top-k and --top-p choose what is drawn from, but nothing is drawn without "
                         "--temperature");
    return -1;
}

/* Where text goes as it comes. */
typedef struct printer {
    FILE *out;
    cli_speech *speech; /* NULL: nothing is spoken */
    tess_text seen;     /* up to the end of the reasoning: its marks may come in pieces */
    bool is_dim, is_past_reasoning;
    bool is_lost;   /* text could not be written */
    tess_error err; /* TESS_OK: nothing else has failed */
} printer;

static bool put_text(printer *p, const char *text, size_t n_byte)
{
    bool is_written = cli_write_text(p->out, text, n_byte);
    p->is_lost |= !(p->out == stdout ? cli_stdout_flush() : !fflush(p->out)) || !is_written;
    return !p->is_lost;
}

/* Where the reasoning ends in a piece behind what was seen: the bytes of the piece that belong to it. */
static size_t count_reasoning(const printer *p, size_t n_before, size_t n_byte)
{
    static const char end[] = "</think>";
    const char *stop = memmem(p->seen.data, p->seen.count, end, sizeof end - 1);
    return stop ? (size_t)(stop - p->seen.data) + sizeof end - 1 - n_before : n_byte;
}

/* What a model thinks before it answers is dimmed on a terminal. */
static bool print_text(void *context, const char *text, size_t n_byte)
{
    static const char begin[] = "<think>";
    printer *p = context;
    if (p->is_past_reasoning) return put_text(p, text, n_byte);
    size_t n_before = p->seen.count;
    if (tess_text_append(&p->seen, text, n_byte, &p->err) != TESS_OK) return false;
    if (!p->is_dim && strncmp(p->seen.data, begin, sizeof begin - 1)) {
        p->is_past_reasoning = true;
        return put_text(p, text, n_byte);
    }
    size_t n_dim = count_reasoning(p, n_before, n_byte);
    if (!p->is_dim) fputs(cli_colour_begin(CLI_DIM), p->out);
    p->is_dim = true;
    bool ok = put_text(p, text, n_dim);
    if (ok && n_dim == n_byte && !memmem(p->seen.data, p->seen.count, "</think>", 8)) return true;
    fputs(cli_colour_end(), p->out);
    p->is_past_reasoning = true;
    return ok && put_text(p, text + n_dim, n_byte - n_dim);
}

/* DIFFERS: of an answer that is cut the original leaves out the last token, which is never fed; here every
 * token that is shown is spoken (tests/cli/test_speech.sh). */
static bool speak_token(void *context, int32_t id)
{
    printer *p = context;
    return cli_speech_take(p->speech, id);
}

static void end_printer(printer *p)
{
    if (p->is_dim && !p->is_past_reasoning) fputs(cli_colour_end(), p->out);
    tess_text_release(&p->seen);
}

int cli_answer_make(const cli_command *self, const cli_common *common, tess_engine *engine,
                    tess_session *session, const tess_tokenizer *tokenizer, const cli_sampling *sampling,
                    const tess_tap_listener *listener, const tess_progress *progress, int max_new,
                    cli_speech *speech, cli_answer *answer)
{
    /* A model that speaks does not think first: what looks like it is what it says. */
    answer->may_reason = !tess_engine_has_talker(engine);
    printer p = {
        .out = cli_speech_text_file(speech), .speech = speech, .is_past_reasoning = !answer->may_reason};
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer_request request = {.sampling = sampling_options(sampling),
                                   .max_new = max_new,
                                   .stop_ids = stop_ids,
                                   .n_stop_id = tess_stop_ids_get(engine, tokenizer, stop_ids),
                                   .on_text = common->json ? NULL : print_text,
                                   .on_id = speech && speech->speech ? speak_token : NULL,
                                   .context = &p,
                                   .listener = listener,
                                   .progress = progress};
    double start = tess_system_seconds();
    tess_error err;
    tess_status status = tess_answer_generate(session, tokenizer, &request, &answer->made, &err);
    answer->seconds = tess_system_seconds() - start;
    end_printer(&p);
    if (status == TESS_OK) status = (err = p.err).status;
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (p.is_lost) return CLI_SYSTEM; /* which is told at the end */
    /* A speech that failed has ended the answer, and says so itself. */
    bool is_interrupted =
        answer->made.finish == TESS_FINISH_INTERRUPTED && !cli_speech_has_ended_text(speech);
    return is_interrupted ? CLI_INTERRUPTED : CLI_DONE;
}

void cli_answer_remark(const cli_answer *answer, const cli_command *self, const cli_common *common,
                       int max_new)
{
    size_t n_new = answer->made.ids.count;
    /* Where no answer was asked for, none was cut. */
    if (common->quiet || answer->made.finish != TESS_FINISH_LENGTH || max_new == 0) return;
    fprintf(stderr, "tessera %s: the answer was cut after %zu token%s: %s\n", self->name, n_new,
            n_new == 1 ? "" : "s",
            n_new < (size_t)max_new ? "the context is full; --context N makes it longer"
                                    : "--max-new N allows more");
}

static json_t *part_of(const tess_text *text, size_t begin, size_t end)
{
    return json_stringn(text->data ? text->data + begin : "", end - begin);
}

void cli_answer_put(json_t *object, const cli_answer *answer)
{
    const tess_text *text = &answer->made.text;
    tess_answer_parts parts = {0};
    if (answer->may_reason) parts = tess_answer_get_parts(text);
    json_object_set_new(object, "text", part_of(text, parts.text_begin, text->count));
    if (!parts.has_reasoning) return;
    json_object_set_new(object, "reasoning", part_of(text, parts.reasoning_begin, parts.reasoning_end));
}
