/* Decoding, one id at a time: the bytes of the tokens, with what is no UTF-8 replaced by U+FFFD. A character
 * may be spread over several tokens, so up to three bytes are held back until the next one decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer.h"

enum { MOST_HELD = 3 };

struct tess_detokenizer {
    const tess_tokenizer *tokenizer;
    unsigned flags;
    size_t n_held;  /* bytes of an incomplete character at the start of `bytes` */
    uint8_t *bytes; /* held bytes and those of one token */
    char *text;     /* what they give, at most a replacement for each byte, and a NUL */
};

tess_status tess_detokenizer_new(const tess_tokenizer *tokenizer, unsigned flags, tess_detokenizer **out,
                                 tess_error *err)
{
    size_t n_bytes = tokenizer->vocab.longest + MOST_HELD;
    tess_detokenizer *d = malloc(sizeof *d + n_bytes + TESS_UTF8_REPLACEMENT_BYTES * n_bytes + 1);
    if (!d) return tess_fail(err, TESS_ENOMEM, "no memory for a detokenizer");
    *d = (tess_detokenizer){.tokenizer = tokenizer, .flags = flags, .bytes = (uint8_t *)(d + 1)};
    d->text = (char *)d->bytes + n_bytes;
    *out = d;
    return TESS_OK;
}

void tess_detokenizer_free(tess_detokenizer *d)
{
    free(d);
}

/* Turns the first n of d->bytes into text and holds back what is incomplete. */
static size_t give_text(tess_detokenizer *d, size_t n)
{
    size_t n_text = 0;
    d->n_held = 0;
    for (size_t i = 0, used; i < n; i += used) {
        tess_utf8 kind = tess_utf8_step(d->bytes + i, n - i, &used);
        if (kind == TESS_UTF8_VALID) {
            memcpy(d->text + n_text, d->bytes + i, used);
            n_text += used;
        } else if (kind == TESS_UTF8_INVALID) {
            memcpy(d->text + n_text, TESS_UTF8_REPLACEMENT, TESS_UTF8_REPLACEMENT_BYTES);
            n_text += TESS_UTF8_REPLACEMENT_BYTES;
        } else {
            memmove(d->bytes, d->bytes + i, used);
            d->n_held = used;
        }
    }
    d->text[n_text] = 0;
    return n_text;
}

tess_status tess_detokenizer_push(tess_detokenizer *d, int32_t id, const char **text, size_t *n_bytes,
                                  tess_error *err)
{
    size_t n;
    const char *bytes = tess_tokenizer_get_bytes(d->tokenizer, id, &n);
    if (!bytes && !(d->flags & TESS_DECODE_SKIP_UNKNOWN)) {
        char expected[64];
        snprintf(expected, sizeof expected, "an id of a token, 0 to %d",
                 (int)tess_tokenizer_get_n_ids(d->tokenizer) - 1);
        return tess_refuse(err, "", "token id", -1, expected, "%d", (int)id);
    }
    if ((d->flags & TESS_DECODE_SKIP_SPECIAL) && tess_tokenizer_is_special(d->tokenizer, id)) n = 0;
    if (n) memcpy(d->bytes + d->n_held, bytes, n);
    *n_bytes = give_text(d, d->n_held + n);
    *text = d->text;
    return TESS_OK;
}

void tess_detokenizer_flush(tess_detokenizer *d, const char **text, size_t *n_bytes)
{
    *n_bytes = d->n_held ? TESS_UTF8_REPLACEMENT_BYTES : 0;
    memcpy(d->text, TESS_UTF8_REPLACEMENT, *n_bytes);
    d->text[*n_bytes] = 0;
    d->n_held = 0;
    *text = d->text;
}

tess_status tess_tokenizer_decode(const tess_tokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                                  unsigned flags, tess_text *text, tess_error *err)
{
    tess_detokenizer *d;
    tess_status status = tess_detokenizer_new(tokenizer, flags, &d, err);
    if (status != TESS_OK) return status;
    size_t before = text->count, n;
    const char *piece;
    for (size_t i = 0; i < n_ids && status == TESS_OK; i++) {
        status = tess_detokenizer_push(d, ids[i], &piece, &n, err);
        if (status == TESS_OK) status = tess_text_append(text, piece, n, err);
    }
    if (status == TESS_OK) {
        tess_detokenizer_flush(d, &piece, &n);
        status = tess_text_append(text, piece, n, err);
    }
    tess_detokenizer_free(d);
    if (status != TESS_OK && text->data) {
        text->count = before;
        text->data[before] = 0;
    }
    return status;
}
