/* Text to token ids and back, exactly as the published model's tokenizer does it.
 *
 * Byte-level BPE over tokenizer.json of a model folder, or vocab.json and merges.txt where there is none,
 * NFC, the Qwen2 split of text into words, and the folder's added (special) tokens. Opening reads those files
 * and tokenizer_config.json only, never config.json.
 *
 * Threads: a tokenizer does not change after opening; any number of threads may use one at the same time.
 * A tess_detokenizer, a tess_ids and a tess_text belong to one thread at a time.
 */
#ifndef TESSERA_TOKENIZER_H
#define TESSERA_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_tokenizer tess_tokenizer;
typedef struct tess_detokenizer tess_detokenizer;

/* A growing list of token ids. Start from {0}; functions append; the caller releases. */
typedef struct tess_ids {
    int32_t *data;
    size_t count, capacity;
} tess_ids;

/* A growing text in UTF-8. Start from {0}; functions append; the caller releases. `data` is NULL while
 * nothing was ever appended, else it ends with a NUL that `count` does not count (the text may hold further
 * NULs). */
typedef struct tess_text {
    char *data;
    size_t count, capacity;
} tess_text;

enum {
    TESS_ENCODE_PLAIN = 1,        /* added tokens in the text are ordinary text */
    TESS_DECODE_SKIP_SPECIAL = 2, /* ids of special tokens give no text */
    TESS_DECODE_SKIP_UNKNOWN = 4, /* ids without a token give no text, as in the original; else refused */
};

/* Opens the tokenizer of a model folder: tokenizer.json where there is one, else vocab.json and merges.txt.
 * The added tokens are those of tokenizer_config.json (added_tokens_decoder); else those of tokenizer.json
 * and, with other ids, of added_tokens.json; else, where the vocabulary has the published 151,643 entries,
 * the published table; else there are none. (A tokenizer_class of "TokenizersBackend" or
 * "PreTrainedTokenizerFast" adds its added_tokens_decoder to those of tokenizer.json.)
 *
 * Cost: a quarter of a second with the published vocabulary, four tenths from tokenizer.json;
 * docs/PERFORMANCE.md states the memory. Errors: TESS_EINPUT  a file is missing or holds something wrong:
 * file, place, found, expected; tokenizer.json has another step of encoding, or tokenizer_config.json asks
 * for one, than those above; TESS_EUNSUPPORTED  an added token asks for matching that is not built in
 * (lstrip, rstrip, single_word); TESS_EIO, TESS_ENOMEM.
 */
tess_status tess_tokenizer_open(const char *folder, tess_tokenizer **out, tess_error *err);
void tess_tokenizer_close(tess_tokenizer *tokenizer); /* NULL is allowed */

/* Appends the ids of `n_bytes` of text. On failure `ids` keeps its old count.
 *   flags  0 or TESS_ENCODE_PLAIN
 * Errors: TESS_EINPUT  the text is no valid UTF-8 (err->offset says where);
 *         TESS_EUSAGE  more than 1 GiB; TESS_ENOMEM.
 */
tess_status tess_tokenizer_encode(const tess_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                  unsigned flags, tess_ids *ids, tess_error *err);

/* Appends the text of `n_ids` ids; bytes that form no valid UTF-8 become U+FFFD, as in the original. For text
 * x in valid UTF-8, decode(encode(x)) is the NFC of x with its added tokens untouched. On failure `text`
 * keeps its old count. flags  0 or TESS_DECODE_… Errors: TESS_EINPUT  an id without a token (err->field says
 * which of the list); TESS_ENOMEM.
 */
tess_status tess_tokenizer_decode(const tess_tokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                                  unsigned flags, tess_text *text, tess_error *err);

/* The id of an added token spelled like `text`, else of the vocabulary entry with exactly these bytes, else
 * -1. Cost: one pass over the vocabulary unless it is an added token. */
int32_t tess_tokenizer_get_id(const tess_tokenizer *tokenizer, const char *text, size_t n_bytes);

/* The bytes an id stands for (not always whole characters); NULL and 0 for an id without a token. They live
 * as long as the tokenizer. */
const char *tess_tokenizer_get_bytes(const tess_tokenizer *tokenizer, int32_t id, size_t *n_bytes);

bool tess_tokenizer_is_added(const tess_tokenizer *tokenizer, int32_t id);
bool tess_tokenizer_is_special(const tess_tokenizer *tokenizer, int32_t id);

size_t tess_tokenizer_get_n_tokens(const tess_tokenizer *tokenizer); /* entries, added tokens included */
int32_t tess_tokenizer_get_n_ids(const tess_tokenizer *tokenizer);   /* highest id + 1; ids may have gaps */

/* What tess_template_check (chat.h) says of the folder, or NULL. Lives as long as the tokenizer. */
const char *tess_tokenizer_get_warning(const tess_tokenizer *tokenizer);

/* Text from ids that come one at a time: each push gives the whole characters that are complete by then.
 * What all pushes and the flush give, one after the other, is what tess_tokenizer_decode gives.
 *   flags  as for tess_tokenizer_decode
 * The tokenizer must outlive it. Nothing is allocated after tess_detokenizer_new. */
tess_status tess_detokenizer_new(const tess_tokenizer *tokenizer, unsigned flags, tess_detokenizer **out,
                                 tess_error *err);
void tess_detokenizer_free(tess_detokenizer *detokenizer); /* NULL is allowed */

/* *text (valid UTF-8, may be empty, ends with a NUL) lives until the next call.
 * Errors: TESS_EINPUT  an id without a token; what was held back stays held back. */
tess_status tess_detokenizer_push(tess_detokenizer *detokenizer, int32_t id, const char **text,
                                  size_t *n_bytes, tess_error *err);

/* The end of the ids: gives U+FFFD where a character stayed incomplete, and starts anew. */
void tess_detokenizer_flush(tess_detokenizer *detokenizer, const char **text, size_t *n_bytes);

/* Makes room for `more` further items; frees and zeroes. */
tess_status tess_ids_reserve(tess_ids *ids, size_t more, tess_error *err);
void tess_ids_release(tess_ids *ids);
tess_status tess_text_append(tess_text *text, const char *bytes, size_t n_bytes, tess_error *err);
void tess_text_release(tess_text *text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
