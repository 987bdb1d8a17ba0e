/* The tokenizer is opened for the check alone and given back, so that its memory is there for the run. */
#include "verify/golden/prompt_check.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tessera/dialog.h"

/* ---- who is at fault ---- */

/* Whether a part's text, as the tokenizer gives it back, stands in `whole`. */
static bool holds_part(const tess_tokenizer *tokenizer, const tess_text *whole, const tess_content *part)
{
    tess_ids ids = {0};
    tess_text text = {0};
    bool found = tess_tokenizer_encode(tokenizer, part->data, part->n_byte, 0, &ids, NULL) == TESS_OK &&
                 tess_tokenizer_decode(tokenizer, ids.data, ids.count, 0, &text, NULL) == TESS_OK &&
                 text.count > 0 && memmem(whole->data, whole->count, text.data, text.count) != NULL;
    tess_ids_release(&ids);
    tess_text_release(&text);
    return found;
}

/* A tokenizer that turns the golden's ids into a text in which something said can be found, if anything was,
 * and that text into the same ids again, is the golden's: then the template rendered something else. */
static bool is_own_tokenizer(const tess_tokenizer *tokenizer, const tess_trace_inputs *inputs,
                             const tess_conversation *talk)
{
    tess_text text = {0};
    tess_ids again = {0};
    size_t n = (size_t)inputs->n_tok;
    bool is_own = tess_tokenizer_decode(tokenizer, inputs->ids, n, 0, &text, NULL) == TESS_OK &&
                  tess_tokenizer_encode(tokenizer, text.data, text.count, 0, &again, NULL) == TESS_OK &&
                  again.count == n && !memcmp(again.data, inputs->ids, n * sizeof *again.data);
    bool is_found = false, is_said = false;
    for (size_t i = 0; is_own && i < talk->count; i++)
        for (size_t k = 0; k < talk->turn[i].n_content; k++) {
            is_said |= talk->turn[i].content[k].n_byte > 0;
            is_found |= holds_part(tokenizer, &text, &talk->turn[i].content[k]);
        }
    tess_text_release(&text);
    tess_ids_release(&again);
    return is_own && (is_found || !is_said);
}

/* ---- the check ---- */

static tess_status encode_said(const tess_tokenizer *tokenizer, const char *golden,
                               const tess_trace_inputs *inputs, tess_prompt_check *out, tess_error *err)
{
    out->component = "tokenizer";
    if (inputs->raw)
        return tess_tokenizer_encode(tokenizer, inputs->raw, strlen(inputs->raw), 0, &out->ids, err);
    tess_conversation talk = {0};
    tess_text text = {0};
    tess_status status =
        tess_conversation_parse(&talk, golden, inputs->messages, strlen(inputs->messages), err);
    if (status == TESS_OK) status = tess_conversation_render(&talk, TESS_CHAT_GENERATE, &text, err);
    tess_text_release(&text);
    if (status == TESS_OK) {
        status = tess_conversation_encode(&talk, tokenizer, TESS_CHAT_GENERATE, &out->ids, err);
        /* What can be rendered and not encoded lacks the template's tokens: another tokenizer, and no ids. */
        if (status == TESS_EINPUT) status = TESS_OK;
    }
    if (status == TESS_OK && is_own_tokenizer(tokenizer, inputs, &talk)) out->component = "chat_template";
    tess_conversation_release(&talk);
    return status;
}

static bool has_tokenizer(const char *model_dir)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", model_dir, names[i]);
        if (!access(path, F_OK)) return true;
    }
    return false;
}

tess_status tess_prompt_check_make(const char *model_dir, const char *golden, const tess_trace_inputs *inputs,
                                   tess_prompt_check *out, tess_error *err)
{
    *out = (tess_prompt_check){0};
    if (!inputs->raw && !inputs->messages) return TESS_OK;
    if (!has_tokenizer(model_dir)) return TESS_OK;
    tess_tokenizer *tokenizer;
    tess_status status = tess_tokenizer_open(model_dir, &tokenizer, err);
    if (status != TESS_OK) return status;
    status = encode_said(tokenizer, golden, inputs, out, err);
    tess_tokenizer_close(tokenizer);
    out->is_checked = status == TESS_OK;
    return status;
}

void tess_prompt_check_release(tess_prompt_check *check)
{
    tess_ids_release(&check->ids);
    *check = (tess_prompt_check){0};
}
