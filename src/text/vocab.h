/* The vocabulary of a model folder: which bytes each id stands for, the merges, and the added tokens.
 *
 * vocab.json and merges.txt spell bytes as printable characters (GPT-2's byte alphabet); here they are bytes.
 */
#ifndef TESS_TEXT_VOCAB_H
#define TESS_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/bpe.h"
#include "text/tokenizer_json.h"

enum {
    TESS_MAX_TOKEN_ID = 0x1fffff,
    TESS_MAX_ADDED_TOKENS = 4096,
};

/* Where in the pool the bytes of an id stand; n = 0: no token has this id. `literal`: its text has characters
 * outside the byte alphabet, so its bytes are the text itself. */
typedef struct tess_token {
    uint32_t start;
    uint32_t n : 31, literal : 1;
} tess_token;

/* A token that is cut out of the text before anything else happens to it. */
typedef struct tess_added_token {
    char *content; /* as it stands in the text; owned */
    uint32_t n;
    uint32_t id;
    bool special;    /* left out by TESS_DECODE_SKIP_SPECIAL */
    bool normalized; /* looked for in the normalised text instead of the original one */
} tess_added_token;

typedef struct tess_vocab {
    char *pool; /* the bytes of all tokens */
    size_t pool_bytes;
    tess_token *token; /* by id */
    uint32_t n_ids;    /* highest id + 1 */
    uint32_t n_tokens;
    uint32_t longest; /* bytes of the longest token */
    tess_bpe bpe;
    tess_added_token *added; /* in ascending id */
    size_t n_added;
} tess_vocab;

/* Reads tokenizer.json, or vocab.json and merges.txt, and the added tokens of a folder, checking everything.
 * On failure *vocab holds nothing. Errors: those of tess_tokenizer_open. */
tess_status tess_vocab_load(const char *folder, tess_vocab *vocab, tess_error *err);
void tess_vocab_release(tess_vocab *vocab);

/* ---- Steps of tess_vocab_load, each with a file of its own */

/* Ids by their bytes, for the time of loading: open addressing, a power of two of slots, 0 empty, else id
 * + 1. */
typedef struct tess_token_index {
    const tess_vocab *vocab;
    uint32_t *slot; /* owned by whoever loads */
    size_t mask;
} tess_token_index;

/* The slot of the token with these bytes, or the empty one where it would stand. */
uint32_t *tess_token_index_find(const tess_token_index *index, const char *bytes, size_t n);

/* The vocabulary of tokenizer.json, else vocab.json; fills the index. */
tess_status tess_vocab_load_tokens(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                   tess_token_index *index, tess_error *err);
tess_status tess_vocab_load_merges(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                   const tess_token_index *index, tess_error *err);
/* Also checks tokenizer_config.json. */
tess_status tess_vocab_load_added(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                  const tess_token_index *index, tess_error *err);

/* Sets the token of an id; the id is free and `bytes` are not empty. */
tess_status tess_vocab_set(tess_vocab *vocab, uint32_t id, const char *bytes, size_t n, bool literal,
                           tess_error *err);

/* Turns printable characters into the bytes they stand for: writes at most n bytes (`bytes` may be `text`)
 * and returns their count. Text with a character outside the byte alphabet stands for itself: copied,
 * *literal set. */
size_t tess_bytes_from_printable(const char *text, size_t n, char *bytes, bool *literal);

#endif
