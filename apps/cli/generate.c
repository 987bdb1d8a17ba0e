#include "cli/generate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

int cli_sampling_check(cli_sampling *sampling, const cli_command *self, const cli_common *common,
                       uint64_t seed)
{
    sampling->seed = seed;
    if (sampling->temperature < 0)
        return cli_usage(self, common, "--temperature: found %g, expected 0 or more", sampling->temperature);
    if (sampling->top_p <= 0 || sampling->top_p > 1)
        return cli_usage(self, common, "--top-p: found %g, expected more than 0 and at most 1",
                         sampling->top_p);
    if (sampling->repetition_penalty <= 0)
        return cli_usage(self, common, "--repetition-penalty: found %g, expected more than 0",
                         sampling->repetition_penalty);
    if (sampling->temperature == 0 && (sampling->top_k > 0 || sampling->top_p < 1))
        return cli_usage(self, common,
                         "--top-k and --top-p choose what is drawn from, but nothing is drawn without "
                         "--temperature");
    return -1;
}

typedef struct printer {
    tess_detokenizer *detokenizer;
    cli_answer *answer;
    bool show;
    tess_status status;
    tess_error err;
} printer;

static bool print_piece(printer *p, const char *text, size_t n_byte)
{
    p->status = tess_text_append(&p->answer->text, text, n_byte, &p->err);
    if (p->status != TESS_OK || !p->show || n_byte == 0) return p->status == TESS_OK;
    errno = 0;
    if (fwrite(text, 1, n_byte, stdout) == n_byte && !fflush(stdout)) return true;
    p->status = TESS_EIO;
    p->err = (tess_error){.status = TESS_EIO, .os_errno = errno, .offset = -1};
    snprintf(p->err.message, sizeof p->err.message, "cannot write standard output: %s", strerror(errno));
    return false;
}

static bool print_token(void *context, int32_t id)
{
    printer *p = context;
    const char *text;
    size_t n_byte;
    p->status = tess_detokenizer_push(p->detokenizer, id, &text, &n_byte, &p->err);
    return p->status == TESS_OK && print_piece(p, text, n_byte) && !cli_interrupted();
}

static tess_status generate(tess_engine *engine, tess_session *session, const tess_tokenizer *tokenizer,
                            const cli_sampling *sampling, const tess_tap_listener *listener,
                            const tess_progress *progress, int max_new, printer *p)
{
    int32_t stop[2] = {tess_engine_get_end_token(engine)};
    int32_t end_of_text = tess_tokenizer_get_id(tokenizer, "<|endoftext|>", strlen("<|endoftext|>"));
    stop[1] = end_of_text < 0 ? stop[0] : end_of_text;
    tess_generation generation = {.sampling = {.temperature = sampling->temperature,
                                               .top_k = sampling->top_k,
                                               .top_p = sampling->top_p,
                                               .repetition_penalty = sampling->repetition_penalty,
                                               .seed = sampling->seed},
                                  .max_new = max_new,
                                  .stop = stop,
                                  .n_stop = 2,
                                  .on_token = print_token,
                                  .context = p,
                                  .listener = listener,
                                  .progress = progress};
    cli_answer *answer = p->answer;
    double start = tess_system_seconds();
    tess_status status =
        tess_session_generate(session, &generation, answer->ids, &answer->n_new, &answer->finish, &p->err);
    answer->seconds = tess_system_seconds() - start;
    if (status == TESS_OK) status = p->status;
    if (status != TESS_OK) return status;
    const char *text;
    size_t n_byte;
    tess_detokenizer_flush(p->detokenizer, &text, &n_byte);
    return print_piece(p, text, n_byte) ? TESS_OK : p->status;
}

int cli_answer_make(const cli_command *self, const cli_common *common, tess_engine *engine,
                    tess_session *session, const tess_tokenizer *tokenizer, const cli_sampling *sampling,
                    const tess_tap_listener *listener, const tess_progress *progress, int max_new,
                    cli_answer *answer)
{
    printer p = {.answer = answer, .show = !common->json};
    *answer = (cli_answer){.ids = calloc((size_t)max_new + 1, sizeof *answer->ids)};
    tess_status status = TESS_ENOMEM;
    if (!answer->ids)
        p.err = (tess_error){.status = status, .offset = -1, .message = "no memory for the answer"};
    else
        status = tess_detokenizer_new(tokenizer, TESS_DECODE_SKIP_SPECIAL | TESS_DECODE_SKIP_UNKNOWN,
                                      &p.detokenizer, &p.err);
    if (status == TESS_OK)
        status = generate(engine, session, tokenizer, sampling, listener, progress, max_new, &p);
    tess_detokenizer_free(p.detokenizer);
    if (status == TESS_EINTERRUPTED)
        answer->finish = TESS_FINISH_INTERRUPTED;
    else if (status != TESS_OK)
        return cli_report(self, common, &p.err);
    return answer->finish == TESS_FINISH_INTERRUPTED ? CLI_INTERRUPTED : CLI_DONE;
}

void cli_answer_release(cli_answer *answer)
{
    free(answer->ids);
    tess_text_release(&answer->text);
    *answer = (cli_answer){0};
}
