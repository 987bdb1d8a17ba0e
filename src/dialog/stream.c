/* Text as it comes, up to a stop text.
 *
 * What has come and not been given is held: after each piece it contains no stop text, and is no longer than
 * the longest end of the text that a stop text begins with. Held text begins where a stop text may begin,
 * which is at a character, so what is given are whole characters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "tessera/dialog.h"

typedef struct stop_text {
    char *bytes;
    size_t n;
} stop_text;

struct tess_text_stream {
    tess_detokenizer *detokenizer;
    stop_text stop[TESS_STOP_MAX_TEXTS];
    int n_stop;
    int stopped_by; /* -1: not yet */
    tess_text text; /* what was given last, then what is held */
    size_t n_given;
};

static tess_status add_stop(tess_text_stream *s, int i, const char *text, tess_error *err)
{
    char field[32], expected[64];
    size_t n = strlen(text);
    snprintf(field, sizeof field, "stop_texts[%d]", i);
    snprintf(expected, sizeof expected, "a text of 1 to %d bytes of UTF-8", TESS_STOP_MAX_BYTES);
    if (n == 0 || n > TESS_STOP_MAX_BYTES || tess_utf8_find_invalid((const uint8_t *)text, n) < n)
        return tess_refuse_option(err, field, expected, "\"%.40s\"", text);
    char *copy = strdup(text);
    if (!copy) return tess_fail(err, TESS_ENOMEM, "no memory for a stop text");
    s->stop[s->n_stop++] = (stop_text){copy, n};
    return TESS_OK;
}

tess_status tess_text_stream_new(const tess_tokenizer *tokenizer, const char *const *stop_texts,
                                 int n_stop_text, tess_text_stream **out, tess_error *err)
{
    if (n_stop_text > TESS_STOP_MAX_TEXTS) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %d", TESS_STOP_MAX_TEXTS);
        return tess_refuse_option(err, "stop_texts", expected, "%d", n_stop_text);
    }
    tess_text_stream *s = calloc(1, sizeof *s);
    if (!s) return tess_fail(err, TESS_ENOMEM, "no memory for a stream of text");
    s->stopped_by = -1;
    tess_status status = TESS_OK;
    for (int i = 0; i < n_stop_text && status == TESS_OK; i++) status = add_stop(s, i, stop_texts[i], err);
    if (status == TESS_OK)
        status = tess_detokenizer_new(tokenizer, TESS_DECODE_SKIP_SPECIAL | TESS_DECODE_SKIP_UNKNOWN,
                                      &s->detokenizer, err);
    if (status == TESS_OK)
        *out = s;
    else
        tess_text_stream_free(s);
    return status;
}

void tess_text_stream_free(tess_text_stream *s)
{
    if (!s) return;
    for (int i = 0; i < s->n_stop; i++) free(s->stop[i].bytes);
    tess_detokenizer_free(s->detokenizer);
    tess_text_release(&s->text);
    free(s);
}

int tess_text_stream_get_stop(const tess_text_stream *s)
{
    return s->stopped_by;
}

/* Where the stop text begins that is complete first, whatever pieces the text came in; text.count if none is.
 */
static size_t find_stop(tess_text_stream *s)
{
    size_t begin = s->text.count, end = s->text.count + 1;
    for (int i = 0; i < s->n_stop; i++) {
        const char *at = memmem(s->text.data, s->text.count, s->stop[i].bytes, s->stop[i].n);
        if (!at) continue;
        size_t first = (size_t)(at - s->text.data), last = first + s->stop[i].n;
        if (last > end || (last == end && first >= begin)) continue;
        begin = first;
        end = last;
        s->stopped_by = i;
    }
    return begin;
}

/* How many bytes at the end of the text may be the beginning of a stop text. */
static size_t count_held(const tess_text_stream *s)
{
    size_t most = 0;
    for (int i = 0; i < s->n_stop; i++) {
        size_t n = s->stop[i].n - 1 < s->text.count ? s->stop[i].n - 1 : s->text.count;
        while (n > most && memcmp(s->text.data + s->text.count - n, s->stop[i].bytes, n) != 0) n--;
        if (n > most) most = n;
    }
    return most;
}

/* Forgets what was given last, appends a piece and gives what is certain; all of it at the end. */
static tess_status give_text(tess_text_stream *s, const char *piece, size_t n_piece, bool is_end,
                             const char **text, size_t *n_byte, tess_error *err)
{
    if (s->n_given) {
        s->text.count -= s->n_given;
        memmove(s->text.data, s->text.data + s->n_given, s->text.count);
        s->n_given = 0;
    }
    *text = "";
    *n_byte = 0;
    if (s->stopped_by >= 0) return TESS_OK;
    tess_status status = tess_text_append(&s->text, piece, n_piece, err);
    if (status != TESS_OK) return status;
    s->n_given = find_stop(s);
    if (s->stopped_by >= 0)
        s->text.count = s->n_given;
    else if (!is_end)
        s->n_given -= count_held(s);
    *text = s->text.data;
    *n_byte = s->n_given;
    return TESS_OK;
}

tess_status tess_text_stream_push(tess_text_stream *s, int32_t id, const char **text, size_t *n_byte,
                                  tess_error *err)
{
    const char *piece;
    size_t n_piece;
    tess_status status = tess_detokenizer_push(s->detokenizer, id, &piece, &n_piece, err);
    return status == TESS_OK ? give_text(s, piece, n_piece, false, text, n_byte, err) : status;
}

tess_status tess_text_stream_flush(tess_text_stream *s, const char **text, size_t *n_byte, tess_error *err)
{
    const char *piece;
    size_t n_piece;
    tess_detokenizer_flush(s->detokenizer, &piece, &n_piece);
    return give_text(s, piece, n_piece, true, text, n_byte, err);
}
