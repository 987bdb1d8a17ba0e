/* A look at the chat template file of a model folder, which is never executed. */
#ifndef TESS_TEXT_TEMPLATE_FILE_H
#define TESS_TEXT_TEMPLATE_FILE_H

#include "base/error.h"
#include "tessera/tokenizer.h"

/* Appends one sentence to `warning` for each chat_template.json or chat_template.jinja that is not known to
 * say what chat.c does; nothing if there is none. */
tess_status tess_template_check(const char *folder, tess_text *warning, tess_error *err);

#endif
