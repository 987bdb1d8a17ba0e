/* What the files of this folder and readers of larger documents share about conversations. */
#ifndef TESS_DIALOG_CONVERSATION_H
#define TESS_DIALOG_CONVERSATION_H

#include <jansson.h>

#include "tessera/dialog.h"

#define TESS_ROLES "system, user, assistant or tool"
/* The role as a static string, or NULL. */
const char *tess_role_find(const char *role);

/* "text", "image", …: as in messages. */
const char *tess_content_kind_name(tess_content_kind kind);

/* Appends the turns of an array of messages that somebody else has parsed. `file` and `path`, as
 * "answers[3].messages", are for messages. Errors: those of tess_conversation_parse. */
tess_status tess_conversation_take(tess_conversation *c, const json_t *messages, const char *file,
                                   const char *path, tess_error *err);

#endif
