/* Encoding: cut the added tokens out of the text, bring what lies between into NFC, split it into words,
 * apply BPE to each word. Decoding is in detokenizer.c. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tessera/chat.h"
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/pretokenize.h"

enum { MOST_TEXT_BYTES = 1 << 30 };

/* ---- opening */

/* By first byte, then the longest first. */
static int compare_patterns(const void *a, const void *b)
{
    const tess_pattern *x = a, *y = b;
    if (x->text[0] != y->text[0]) return (uint8_t)x->text[0] < (uint8_t)y->text[0] ? -1 : 1;
    return (x->n < y->n) - (x->n > y->n);
}

static tess_status open_matcher(tess_matcher *m, const tess_vocab *vocab, bool normalized, tess_error *err)
{
    size_t n = 0;
    m->pattern = malloc((vocab->n_added + 1) * sizeof *m->pattern);
    if (!m->pattern) return tess_fail(err, TESS_ENOMEM, "no memory for the added tokens");
    for (size_t i = 0; i < vocab->n_added; i++) {
        const tess_added_token *added = &vocab->added[i];
        if (added->normalized != normalized) continue;
        tess_pattern *pattern = &m->pattern[n];
        tess_text text = {0};
        tess_status status = normalized ? tess_nfc_append((uint8_t *)added->content, added->n, &text, err)
                                        : tess_text_append(&text, added->content, added->n, err);
        if (status != TESS_OK) return status;
        *pattern = (tess_pattern){text.data, text.count, (int32_t)added->id};
        m->n_patterns = ++n;
    }
    qsort(m->pattern, n, sizeof *m->pattern, compare_patterns);
    for (size_t i = 0, byte = 0; byte <= 256; byte++) {
        while (i < n && (uint8_t)m->pattern[i].text[0] < byte) i++;
        m->first[byte] = (uint16_t)i;
    }
    return TESS_OK;
}

static void close_matcher(tess_matcher *m)
{
    for (size_t i = 0; i < m->n_patterns; i++) free(m->pattern[i].text);
    free(m->pattern);
}

tess_status tess_tokenizer_open(const char *folder, tess_tokenizer **out, tess_error *err)
{
    tess_tokenizer *t = calloc(1, sizeof *t);
    if (!t) return tess_fail(err, TESS_ENOMEM, "no memory for a tokenizer");
    tess_status status = tess_vocab_load(folder, &t->vocab, err);
    if (status == TESS_OK) status = open_matcher(&t->original, &t->vocab, false, err);
    if (status == TESS_OK) status = open_matcher(&t->normalized, &t->vocab, true, err);
    if (status == TESS_OK) status = tess_template_check(folder, &t->warning, err);
    if (status != TESS_OK) {
        tess_tokenizer_close(t);
        return status;
    }
    *out = t;
    return TESS_OK;
}

void tess_tokenizer_close(tess_tokenizer *t)
{
    if (!t) return;
    close_matcher(&t->original);
    close_matcher(&t->normalized);
    tess_vocab_release(&t->vocab);
    tess_text_release(&t->warning);
    free(t);
}

/* ---- encoding */

/* Where the next added token from `at` on begins, the leftmost and of those the longest; n if there is none.
 */
static size_t find_added(const tess_matcher *m, const uint8_t *text, size_t n, size_t at,
                         const tess_pattern **found)
{
    *found = NULL;
    if (!m->n_patterns) return n;
    for (; at < n; at++) {
        for (size_t i = m->first[text[at]]; i < m->first[text[at] + 1]; i++) {
            const tess_pattern *pattern = &m->pattern[i];
            if (pattern->n <= n - at && !memcmp(text + at, pattern->text, pattern->n)) {
                *found = pattern;
                return at;
            }
        }
    }
    return n;
}

static tess_status encode_words(const tess_tokenizer *t, const uint8_t *text, size_t n, tess_ids *ids,
                                tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t at = 0, end; at < n && status == TESS_OK; at = end) {
        end = tess_word_get_end(text, n, at);
        status = tess_bpe_encode(&t->vocab.bpe, text + at, end - at, ids, err);
    }
    return status;
}

/* Cuts the matcher's tokens out and hands what lies between to `encode`.
 * DIFFERS: `plain` takes every added token as text. The original's own switch does so for special ones only,
 * and "<think>" stays a token there (test_tokenizer.c compares with the original without added tokens). */
typedef tess_status encode_piece(const tess_tokenizer *t, const uint8_t *text, size_t n, bool plain,
                                 tess_ids *ids, tess_error *err);

static tess_status encode_around(const tess_tokenizer *t, const tess_matcher *m, encode_piece *encode,
                                 const uint8_t *text, size_t n, bool plain, tess_ids *ids, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t at = 0; at < n && status == TESS_OK;) {
        const tess_pattern *found = NULL;
        size_t end = plain ? n : find_added(m, text, n, at, &found);
        if (end > at) status = encode(t, text + at, end - at, plain, ids, err);
        if (status == TESS_OK && found) status = tess_ids_reserve(ids, 1, err);
        if (status == TESS_OK && found) ids->data[ids->count++] = found->id;
        at = found ? end + found->n : n;
    }
    return status;
}

static tess_status encode_normalized(const tess_tokenizer *t, const uint8_t *text, size_t n, bool plain,
                                     tess_ids *ids, tess_error *err)
{
    (void)plain;
    return encode_words(t, text, n, ids, err);
}

static tess_status encode_original(const tess_tokenizer *t, const uint8_t *text, size_t n, bool plain,
                                   tess_ids *ids, tess_error *err)
{
    tess_text nfc = {0};
    tess_status status = TESS_OK;
    if (!tess_nfc_is_trivial(text, n)) {
        status = tess_nfc_append(text, n, &nfc, err);
        text = (const uint8_t *)nfc.data;
        n = nfc.count;
    }
    if (status == TESS_OK)
        status = encode_around(t, &t->normalized, encode_normalized, text, n, plain, ids, err);
    tess_text_release(&nfc);
    return status;
}

tess_status tess_tokenizer_encode(const tess_tokenizer *t, const char *text, size_t n_bytes, unsigned flags,
                                  tess_ids *ids, tess_error *err)
{
    if (n_bytes > MOST_TEXT_BYTES)
        return tess_fail(err, TESS_EUSAGE, "a text of %zu bytes; at most %d are encoded at a time", n_bytes,
                         MOST_TEXT_BYTES);
    const uint8_t *bytes = (const uint8_t *)text;
    size_t invalid = tess_utf8_find_invalid(bytes, n_bytes);
    if (invalid < n_bytes)
        return tess_refuse(err, "", "text", (int64_t)invalid, "UTF-8", "byte 0x%02x",
                           (unsigned)bytes[invalid]);
    size_t before = ids->count;
    bool plain = flags & TESS_ENCODE_PLAIN;
    tess_status status = encode_around(t, &t->original, encode_original, bytes, n_bytes, plain, ids, err);
    if (status != TESS_OK) ids->count = before;
    return status;
}

/* ---- questions */

static const tess_added_token *find_added_id(const tess_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->vocab.n_added; i++)
        if (t->vocab.added[i].id == (uint32_t)id) return &t->vocab.added[i];
    return NULL;
}

int32_t tess_tokenizer_get_id(const tess_tokenizer *t, const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < t->vocab.n_added; i++) {
        const tess_added_token *added = &t->vocab.added[i];
        if (added->n == n_bytes && !memcmp(added->content, text, n_bytes)) return (int32_t)added->id;
    }
    if (!n_bytes) return -1;
    for (uint32_t id = 0; id < t->vocab.n_ids; id++) {
        const tess_token *token = &t->vocab.token[id];
        if (token->n == n_bytes && !memcmp(t->vocab.pool + token->start, text, n_bytes)) return (int32_t)id;
    }
    return -1;
}

const char *tess_tokenizer_get_bytes(const tess_tokenizer *t, int32_t id, size_t *n_bytes)
{
    *n_bytes = 0;
    if (id < 0 || (uint32_t)id >= t->vocab.n_ids || !t->vocab.token[id].n) return NULL;
    *n_bytes = t->vocab.token[id].n;
    return t->vocab.pool + t->vocab.token[id].start;
}

bool tess_tokenizer_is_added(const tess_tokenizer *t, int32_t id)
{
    return find_added_id(t, id) != NULL;
}

bool tess_tokenizer_is_special(const tess_tokenizer *t, int32_t id)
{
    const tess_added_token *added = find_added_id(t, id);
    return added && added->special;
}

size_t tess_tokenizer_get_n_tokens(const tess_tokenizer *t)
{
    return t->vocab.n_tokens;
}

int32_t tess_tokenizer_get_n_ids(const tess_tokenizer *t)
{
    return (int32_t)t->vocab.n_ids;
}

const char *tess_tokenizer_get_warning(const tess_tokenizer *t)
{
    return t->warning.data;
}
