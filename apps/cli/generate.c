#include "cli/generate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"

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
    bool has_failed;
    tess_error err;
} printer;

static bool print_text(void *context, const char *text, size_t n_byte)
{
    printer *p = context;
    errno = 0;
    if (cli_write_text(stdout, text, n_byte) && !fflush(stdout)) return true;
    p->has_failed = true;
    p->err = (tess_error){.status = TESS_EIO, .os_errno = errno, .offset = -1};
    snprintf(p->err.message, sizeof p->err.message, "cannot write standard output: %s", strerror(errno));
    return false;
}

int cli_answer_make(const cli_command *self, const cli_common *common, tess_engine *engine,
                    tess_session *session, const tess_tokenizer *tokenizer, const cli_sampling *sampling,
                    const tess_tap_listener *listener, const tess_progress *progress, int max_new,
                    cli_answer *answer)
{
    printer p = {0};
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer_request request = {.sampling = sampling_options(sampling),
                                   .max_new = max_new,
                                   .stop_ids = stop_ids,
                                   .n_stop_id = tess_stop_ids_get(engine, tokenizer, stop_ids),
                                   .on_text = common->json ? NULL : print_text,
                                   .context = &p,
                                   .listener = listener,
                                   .progress = progress};
    double start = tess_system_seconds();
    tess_error err;
    tess_status status = tess_answer_generate(session, tokenizer, &request, &answer->made, &err);
    answer->seconds = tess_system_seconds() - start;
    if (status != TESS_OK || p.has_failed) return cli_report(self, common, p.has_failed ? &p.err : &err);
    return answer->made.finish == TESS_FINISH_INTERRUPTED ? CLI_INTERRUPTED : CLI_DONE;
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
