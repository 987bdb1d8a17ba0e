#include "cli/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int encode(cli_prompt *prompt, const cli_command *self, const cli_common *common, const char *text,
                  size_t n_byte)
{
    tess_error err;
    tess_status status;
    prompt->said = text;
    prompt->n_said = n_byte;
    if (prompt->raw) {
        status = tess_tokenizer_encode(prompt->tokenizer, text, n_byte, 0, &prompt->ids, &err);
    } else {
        tess_message messages[2];
        size_t n = 0;
        if (prompt->system)
            messages[n++] = (tess_message){
                .role = "system", .content = prompt->system, .n_content = strlen(prompt->system)};
        messages[n++] = (tess_message){.role = "user", .content = text, .n_content = n_byte};
        status = tess_chat_encode(prompt->tokenizer, messages, n, TESS_CHAT_GENERATE, &prompt->ids, &err);
        /* an offset in the question says more than one in the rendered text */
        tess_ids unused = {0};
        if (status == TESS_EINPUT) tess_tokenizer_encode(prompt->tokenizer, text, n_byte, 0, &unused, &err);
        tess_ids_release(&unused);
    }
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->ids.count == 0)
        return cli_usage(self, common, "the prompt is empty: say something with --prompt");
    return -1;
}

int cli_prompt_encode(cli_prompt *prompt, const cli_command *self, const cli_common *common,
                      const char *model_dir)
{
    if (prompt->raw && prompt->system)
        return cli_usage(self, common, "--system is a message of the chat template, which --raw leaves out");
    tess_error err;
    tess_status status = tess_tokenizer_open(model_dir, &prompt->tokenizer, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    if (prompt->text) return encode(prompt, self, common, prompt->text, strlen(prompt->text));
    size_t n_byte;
    int code = cli_read_input(self, common, &prompt->input, &n_byte);
    if (code) return code;
    if (n_byte > 0 && prompt->input[n_byte - 1] == '\n') n_byte--;
    return encode(prompt, self, common, prompt->input, n_byte);
}

void cli_prompt_release(cli_prompt *prompt)
{
    tess_ids_release(&prompt->ids);
    tess_tokenizer_close(prompt->tokenizer);
    free(prompt->input);
    *prompt = (cli_prompt){0};
}
