/* What every kind of answer needs while it is checked: its prompt's ids, sentences, and refusals. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "verify/answers/answers.h"

tess_status tess_known_say(tess_text *text, tess_error *err, const char *format, ...)
{
    char *line = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&line, format, args);
    va_end(args);
    if (n < 0) return tess_fail(err, TESS_ENOMEM, "no memory for a sentence");
    tess_status status = tess_text_append(text, line, (size_t)n, err);
    free(line);
    return status;
}

tess_status tess_known_refuse(const tess_known_check *c, const tess_known_answer *a, const char *key,
                              const char *expected, const char *found, tess_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", a->field, key);
    return tess_refuse(err, c->answers->path, name, -1, expected, "%s", found);
}

tess_status tess_known_encode(tess_known_check *c, const tess_known_answer *a, tess_ids *ids, tess_error *err)
{
    if (!c->tokenizer) {
        tess_status status = tess_tokenizer_open(c->options->model_dir, &c->tokenizer, err);
        if (status != TESS_OK) return status;
    }
    if (a->talk.count) return tess_conversation_encode(&a->talk, c->tokenizer, TESS_CHAT_GENERATE, ids, err);
    return tess_tokenizer_encode(c->tokenizer, a->prompt, strlen(a->prompt), 0, ids, err);
}
