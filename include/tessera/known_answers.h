/* Known answers: published observations of a checkpoint that whoever has its weights can check again.
 *
 *     tess_known_answers *answers;
 *     tess_known_answers_read(NULL, &answers, &err);                      the built-in list
 *     tess_known_answers_check(answers, &options, show, context, &n_different, &err);
 *     tess_known_answers_free(answers);
 *
 * The built-in list is data/known_answers.json, of the published Qwen3-Omni-30B-A3B-Instruct. Every answer
 * says where it comes from; the format is described in docs/VERIFICATION.md.
 */
#ifndef TESSERA_KNOWN_ANSWERS_H
#define TESSERA_KNOWN_ANSWERS_H

#include "tessera/engine.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_known_answers tess_known_answers;

/* Reads a list; `path` NULL: the built-in one. Every field is checked: TESS_EINPUT names file and field of
 * one that is missing, unknown, of another type or out of range, an answer without `source` among them. */
tess_status tess_known_answers_read(const char *path, tess_known_answers **out, tess_error *err);
void tess_known_answers_free(tess_known_answers *answers); /* NULL is fine */

/* What the list is of, and how many answers it has; the text lives as long as the list. */
const char *tess_known_answers_get_checkpoint(const tess_known_answers *answers);
size_t tess_known_answers_get_count(const tess_known_answers *answers);

typedef enum tess_known_verdict {
    TESS_KNOWN_CONFIRMED, /* as the list says */
    TESS_KNOWN_DIFFERENT,
    TESS_KNOWN_REPORTED, /* nothing is known to judge it by */
} tess_known_verdict;
const char *tess_known_verdict_name(tess_known_verdict verdict); /* "confirmed", "different", "reported" */

/* One answer, checked. Texts live for the call. */
typedef struct tess_known_finding {
    const char *kind, *name; /* kind: "tensors", "tokens", "router", "rank" or "chat" */
    const char *expected;    /* "" if the list expects nothing */
    const char *found;
    const char *beside; /* what others found, with their sources; "" if the list has none */
    const char *source;
    tess_known_verdict verdict;
} tess_known_finding;
typedef void tess_known_report(void *context, const tess_known_finding *finding);

/* Checks all answers against the checkpoint of `options`. First those that read headers, tokenizer files and
 * two tensors only (tensors, tokens, router), then those that run the model (rank, chat) in one session of
 * one engine; within each group in the list's order. *n_different counts the answers that are not as the list
 * says; a context is planned for the longest prompt and answer unless `options` has one. Errors: TESS_EINPUT
 * the checkpoint is of another configuration than the list (err->field: the first value that differs), lacks
 * its tokenizer files, or has no such layer, expert or token; those of tess_tokenizer_open, tess_engine_open
 * and tess_session_feed. What was found until then has been reported. */
tess_status tess_known_answers_check(const tess_known_answers *answers, const tess_engine_options *options,
                                     tess_known_report *report, void *context, size_t *n_different,
                                     tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
