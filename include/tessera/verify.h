/* Verifying: a golden's inputs are run again, and every tap is compared as it comes; no trace is written.
 *
 *     tess_golden golden;
 *     tess_golden_read("text.safetensors", "demo/checkpoint", &golden, &err);
 *     tess_engine_open(&options, &engine, &err);                 with golden.inputs.precision
 *     tess_verify_run(engine, &golden, &verify_options, &result, &err);
 *     if (result->verdict == TESS_VERDICT_DIFFERENT) puts(result->tap[result->first].name);
 */
#ifndef TESSERA_VERIFY_H
#define TESSERA_VERIFY_H

#include "tessera/compare.h"
#include "tessera/dialog.h"
#include "tessera/tokenizer.h"
#include "tessera/trace.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a golden asks to be run, and what it says of itself. */
typedef struct tess_golden {
    char *path;
    tess_trace_inputs inputs;
    char *config_sha256, *weights_sha256; /* declared; NULL where it does not say */
    uint64_t working_bytes; /* that comparing with it takes at most; for tess_engine_options.other_bytes */
    /* Where it says what was said (`raw`, `messages`) and the model has tokenizer files: the ids and the
     * media this becomes, and which component is at fault if they are not in.input_ids. */
    bool text_is_checked;
    tess_conversation talk; /* whose media `said` names */
    tess_prompt said;
    const char *said_component; /* "tokenizer" or "chat_template" */
    char *unchecked; /* why what was said is not checked although it is told: a medium that is not at hand; or
                        NULL */
} tess_golden;

/* Reads inputs and metadata, and renders and encodes the text with the tokenizer in `model_dir`, whose memory
 * is given back: do this before an engine plans its own. Media of its messages, whose paths are seen from the
 * golden's folder, are prepared again and stay. Errors: those of tess_trace_inputs_read and
 * tess_tokenizer_open; TESS_EINPUT messages that are none. Release after success. */
tess_status tess_golden_read(const char *path, const char *model_dir, tess_golden *out, tess_error *err);
void tess_golden_release(tess_golden *golden); /* zeroed is fine */

typedef struct tess_verify_options {
    const char *model_dir;      /* of the engine */
    const char *weights_sha256; /* of its checkpoint; NULL: not known, and not compared */
    const char *truth; /* a float32 trace of the same inputs; needed for a bfloat16 golden unless isolated */
    const char *truth_name; /* what the result calls it; NULL: its path */
    bool isolate; /* feed every module the golden's own input, and judge by the bars of single modules */
    bool ignore_identity;          /* as in tess_compare_options */
    const tess_progress *progress; /* prefill, decode, generating; may be NULL */
} tess_verify_options;

/* Runs the golden's inputs in a new session and judges every tap. The engine's precision must be the
 * golden's. Isolated, every tap is overwritten by the golden's after it was heard, and the greedy
 * tokens, which belong to a whole run, are left out. A bfloat16 golden that is not to be isolated is judged
 * by both sides of its bar: as a whole run, and then isolated as well. A run that ends in a value that is not
 * finite is judged by what was heard until then. Errors: those of tess_compare_files and tess_session_feed;
 * TESS_EINPUT ids that are none of this model, an isolated run without the golden's value for a module's
 * input; TESS_EUSAGE a context too small; TESS_EUNSUPPORTED speech. The caller frees the result. */
tess_status tess_verify_run(tess_engine *engine, const tess_golden *golden,
                            const tess_verify_options *options, tess_compare_result **out, tess_error *err);

/* Writes the float32 truth of a bfloat16 golden: the trace of its inputs with an engine of that precision.
 * `path` as in tess_trace_write. Errors: those of tess_trace_write, and of tess_verify_run about the request.
 */
tess_status tess_verify_write_truth(tess_engine *engine, const char *model_dir, const tess_golden *golden,
                                    const char *path, const tess_progress *progress, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
