/* What the files of this folder and readers of larger documents share about conversations. */
#ifndef TESS_DIALOG_CONVERSATION_H
#define TESS_DIALOG_CONVERSATION_H

#include "base/json.h"
#include "tessera/dialog.h"

#define TESS_ROLES "system, user, assistant or tool"
/* The role as a static string, or NULL. */
const char *tess_role_find(const char *role);

/* "text", "image", …: as in messages. */
const char *tess_content_kind_name(tess_content_kind kind);

/* Appends the turns of the messages under `key` of a document that somebody else has parsed. Errors: those of
 * tess_conversation_parse. */
tess_status tess_conversation_take(tess_conversation *c, const tess_json_section *outer, const char *key,
                                   tess_error *err);

#endif
