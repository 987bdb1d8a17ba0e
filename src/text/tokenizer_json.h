/* tokenizer.json: vocabulary, merges, added tokens and the steps of encoding in one file, as the `tokenizers`
 * package writes it. A folder saved by version 5 of transformers has no other.
 */
#ifndef TESS_TEXT_TOKENIZER_JSON_H
#define TESS_TEXT_TOKENIZER_JSON_H

#include <limits.h>

#include "base/json.h"

enum { TESS_MAX_VOCAB_FILE_BYTES = 64 << 20 };

typedef struct tess_json_place {
    size_t begin, n; /* n = 0: it is not there */
} tess_json_place;

typedef struct tess_tokenizer_json {
    char file[PATH_MAX];
    char *text;                    /* NULL: the folder has none */
    tess_json_place vocab, merges; /* where in `text` these members of `model` stand, not yet parsed */
    json_t *parts;                 /* all else; "model" without these two */
} tess_tokenizer_json;

/* Reads the folder's file if there is one, and refuses by name every step of encoding that is another than
 * those built in. Release it in any case. Errors: TESS_EINPUT, TESS_EIO, TESS_ENOMEM. */
tess_status tess_tokenizer_json_read(const char *folder, tess_tokenizer_json *json, tess_error *err);
void tess_tokenizer_json_release(tess_tokenizer_json *json);

/* tokenizer_config.json, whose path is left in `path` of PATH_MAX bytes; *root NULL if there is none. */
tess_status tess_tokenizer_config_read(const char *folder, char *path, json_t **root, tess_error *err);
/* Refuses what it asks for and is not built in. */
tess_status tess_tokenizer_config_check(const tess_json_section *config, tess_error *err);

/* "folder/name". */
tess_status tess_vocab_path(const char *folder, const char *name, char *path, size_t size, tess_error *err);

#endif
