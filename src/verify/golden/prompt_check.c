/* The tokenizer is opened for the check alone and given back, so that its memory is there for the run. */
#include "verify/golden/prompt_check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
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

static tess_status encode_raw(const tess_tokenizer *tokenizer, const char *raw, tess_prompt_check *out,
                              tess_error *err)
{
    out->component = "tokenizer";
    return tess_tokenizer_encode(tokenizer, raw, strlen(raw), 0, &out->prompt.ids, err);
}

static tess_status encode_messages(const tess_tokenizer *tokenizer, const char *model_dir,
                                   const tess_trace_inputs *inputs, tess_prompt_check *out, tess_error *err)
{
    tess_text text = {0};
    out->component = "tokenizer";
    tess_status status = tess_conversation_render(&out->talk, TESS_CHAT_GENERATE, &text, err);
    tess_text_release(&text);
    if (status == TESS_OK) {
        status = tess_prompt_make(&out->talk, tokenizer, model_dir, TESS_CHAT_GENERATE, &out->prompt, err);
        /* What can be rendered and not encoded lacks the template's tokens: another tokenizer, and no ids. */
        if (status == TESS_EINPUT) status = TESS_OK;
    }
    if (status == TESS_OK && is_own_tokenizer(tokenizer, inputs, &out->talk))
        out->component = "chat_template";
    return status;
}

/* ---- media ---- */

/* Why a medium or what preparing it needs is not at hand, in out->unchecked; NULL: nothing is wanting. */
static tess_status find_absent(const char *model_dir, const char *folder, tess_prompt_check *out,
                               tess_error *err)
{
    char path[PATH_MAX], reason[PATH_MAX + 32];
    *reason = 0;
    bool has_media = false;
    for (size_t i = 0; i < out->talk.count; i++)
        for (size_t k = 0; k < out->talk.turn[i].n_content; k++) {
            const tess_content *content = &out->talk.turn[i].content[k];
            has_media |= content->kind != TESS_CONTENT_TEXT;
            if (content->kind == TESS_CONTENT_TEXT || *reason) continue;
            if (!strcmp(content->data, "-"))
                snprintf(reason, sizeof reason, "a medium came by standard input");
            if (!tess_source_is_path(content->data)) continue;
            snprintf(path, sizeof path, "%s%s%s", *content->data == '/' ? "" : folder,
                     *content->data == '/' ? "" : "/", content->data);
            if (access(path, R_OK)) snprintf(reason, sizeof reason, "%s is not there", path);
        }
    snprintf(path, sizeof path, "%s/preprocessor_config.json", model_dir);
    if (has_media && !*reason && access(path, R_OK)) snprintf(reason, sizeof reason, "%s is not there", path);
    if (!*reason) return TESS_OK;
    out->unchecked = strdup(reason);
    return out->unchecked ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for a golden's messages");
}

/* The golden's folder, from which its media are seen; to be freed. */
static char *folder_of(const char *golden)
{
    const char *end = strrchr(golden, '/');
    return end ? strndup(golden, end == golden ? 1 : (size_t)(end - golden)) : strdup(".");
}

static tess_status prepare_media(const char *model_dir, const char *golden, const tess_trace_inputs *inputs,
                                 tess_prompt_check *out, tess_error *err)
{
    char *folder = folder_of(golden);
    if (!folder) return tess_fail(err, TESS_ENOMEM, "no memory for a path");
    tess_status status = find_absent(model_dir, folder, out, err);
    const tess_media_use use = {.model_dir = model_dir,
                                .folder = folder,
                                .fps = inputs->fps,
                                .use_audio_in_video = inputs->use_audio_in_video};
    tess_error why;
    if (status == TESS_OK && !out->unchecked) {
        status = tess_conversation_prepare(&out->talk, &use, &why);
        if (status == TESS_EUNSUPPORTED) { /* a library is not installed: that is no defect of the model */
            out->unchecked = strdup(why.message);
            status = out->unchecked ? TESS_OK : TESS_ENOMEM;
        }
        if (status != TESS_OK && err) *err = why;
    }
    free(folder);
    return status;
}

static tess_status check_said(const tess_tokenizer *tokenizer, const char *model_dir, const char *golden,
                              const tess_trace_inputs *inputs, tess_prompt_check *out, tess_error *err)
{
    if (inputs->raw) return encode_raw(tokenizer, inputs->raw, out, err);
    tess_status status =
        tess_conversation_parse(&out->talk, golden, inputs->messages, strlen(inputs->messages), err);
    if (status == TESS_OK) status = prepare_media(model_dir, golden, inputs, out, err);
    if (status != TESS_OK || out->unchecked) return status;
    return encode_messages(tokenizer, model_dir, inputs, out, err);
}

/* ---- the check ---- */

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
    status = check_said(tokenizer, model_dir, golden, inputs, out, err);
    tess_tokenizer_close(tokenizer);
    out->is_checked = status == TESS_OK && !out->unchecked;
    return status;
}

void tess_prompt_check_release(tess_prompt_check *check)
{
    tess_prompt_release(&check->prompt);
    tess_conversation_release(&check->talk);
    free(check->unchecked);
    *check = (tess_prompt_check){0};
}
