#include "commands/chat.h"

#include <string.h>

#include "cli/prompt.h"

tess_status chat_start_over(chat *c, tess_error *err)
{
    tess_conversation_truncate(&c->talk, 0);
    c->has_draft = false;
    if (!c->system) return TESS_OK;
    tess_status status = cli_check_text("--system", c->system, strlen(c->system), err);
    return status == TESS_OK ? tess_conversation_say(&c->talk, "system", c->system, strlen(c->system), err)
                             : status;
}

void chat_note_refusal(chat *c, int code)
{
    if (!c->editor && !c->refused) c->refused = code;
}
