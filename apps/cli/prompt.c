#include "cli/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

/* The question, with the system message before it, as a conversation. */
static tess_status take_question(cli_prompt *prompt, tess_error *err)
{
    tess_status status = TESS_OK;
    if (prompt->system)
        status = tess_conversation_say(&prompt->talk, "system", prompt->system, strlen(prompt->system), err);
    if (status == TESS_OK)
        status = tess_conversation_say(&prompt->talk, "user", prompt->said, prompt->n_said, err);
    return status;
}

static tess_status take_messages(cli_prompt *prompt, tess_error *err)
{
    tess_status status = tess_conversation_load(&prompt->talk, prompt->messages, err);
    if (status == TESS_OK) status = tess_conversation_write(&prompt->talk, &prompt->json, err);
    prompt->said = prompt->json.data;
    prompt->n_said = prompt->json.count;
    return status;
}

/* Wrong bytes are found here, where it is known which option they came by. */
static tess_status check_text(const char *option, const char *text, size_t n_byte, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, n_byte);
    if (invalid == n_byte) return TESS_OK;
    return tess_refuse(err, "", option, (int64_t)invalid, "UTF-8", "byte 0x%02x",
                       (unsigned)(uint8_t)text[invalid]);
}

static tess_status check_texts(const cli_prompt *prompt, tess_error *err)
{
    tess_status status = TESS_OK;
    if (prompt->messages) return TESS_OK;
    if (prompt->system) status = check_text("--system", prompt->system, strlen(prompt->system), err);
    if (status != TESS_OK) return status;
    return check_text(prompt->text ? "--prompt" : "standard input", prompt->said, prompt->n_said, err);
}

static int encode_said(cli_prompt *prompt, const cli_command *self, const cli_common *common)
{
    tess_error err;
    tess_status status = check_texts(prompt, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->raw) {
        status = tess_tokenizer_encode(prompt->tokenizer, prompt->said, prompt->n_said,
                                       prompt->plain ? TESS_ENCODE_PLAIN : 0, &prompt->ids, &err);
    } else {
        status = prompt->messages ? take_messages(prompt, &err) : take_question(prompt, &err);
        if (status == TESS_OK)
            status = tess_conversation_encode(&prompt->talk, prompt->tokenizer,
                                              TESS_CHAT_GENERATE | (prompt->plain ? TESS_CHAT_PLAIN : 0),
                                              &prompt->ids, &err);
    }
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->ids.count == 0)
        return cli_usage(self, common, "the prompt is empty: say something with --prompt");
    return -1;
}

/* What is said in words: --prompt, or standard input. */
static int read_words(cli_prompt *prompt, const cli_command *self, const cli_common *common)
{
    prompt->said = prompt->text;
    if (prompt->text) {
        prompt->n_said = strlen(prompt->text);
        return -1;
    }
    int code = cli_read_input(self, common, &prompt->input, &prompt->n_said);
    if (code) return code;
    prompt->said = prompt->input;
    if (prompt->n_said > 0 && prompt->input[prompt->n_said - 1] == '\n') prompt->n_said--;
    return -1;
}

void cli_remark_template(const cli_command *self, const cli_common *common, const char *model_dir)
{
    tess_text warning = {0};
    if (common->quiet) return;
    if (tess_template_check(model_dir, &warning, NULL) == TESS_OK && warning.count)
        cli_remark(self, "%s", warning.data);
    tess_text_release(&warning);
}

int cli_prompt_encode(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                      const char *model_dir)
{
    if (prompt->messages && (prompt->text || prompt->system || prompt->raw))
        return cli_usage(self, common,
                         "--messages says what is asked; --prompt, --system and --raw say it too");
    if (prompt->raw && prompt->system)
        return cli_usage(self, common, "--system is a message of the chat template, which --raw leaves out");
    tess_error err;
    tess_status status = tess_tokenizer_open(model_dir, &prompt->tokenizer, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (!prompt->raw) cli_remark_template(self, common, model_dir);
    prompt->kind = prompt->messages ? "messages" : prompt->raw ? "raw" : "chat";
    int code = prompt->messages ? -1 : read_words(prompt, self, common);
    return code < 0 ? encode_said(prompt, self, common) : code;
}

void cli_prompt_release(cli_prompt *prompt)
{
    tess_conversation_release(&prompt->talk);
    tess_text_release(&prompt->json);
    tess_ids_release(&prompt->ids);
    tess_tokenizer_close(prompt->tokenizer);
    free(prompt->input);
    *prompt = (cli_prompt){0};
}
