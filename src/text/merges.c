/* The merges, in the order of their ranks: merges.txt has one a line, two tokens and a blank between them
 * (lines that begin with "#version" say nothing, as in the original); tokenizer.json has a list of such
 * lines, or of pairs of tokens. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_walk.h"
#include "base/utf8.h"
#include "base/whole_file.h"
#include "text/vocab.h"

typedef struct side {
    const char *text;
    size_t n;
} side;

/* One merge while it is added, and where it stands. */
typedef struct merge {
    const char *file;
    char field[48];
    int64_t offset;
    side left, right;
    char *bytes; /* room for both sides; grows */
    size_t capacity;
} merge;

static tess_status refuse_merge(const merge *m, const char *expected, tess_error *err, side found)
{
    return tess_refuse(err, m->file, m->field, m->offset, expected, "%.*s%s",
                       found.n > 100 ? 100 : (int)found.n, found.text, found.n > 100 ? "…" : "");
}

/* Parts a text at its one blank. */
static tess_status part_at_blank(merge *m, side whole, tess_error *err)
{
    const char *end = whole.text + whole.n, *blank = memchr(whole.text, ' ', whole.n);
    if (!blank || blank == whole.text || blank + 1 == end ||
        memchr(blank + 1, ' ', (size_t)(end - blank - 1)))
        return refuse_merge(m, "two tokens with a blank between them", err, whole);
    m->left = (side){whole.text, (size_t)(blank - whole.text)};
    m->right = (side){blank + 1, (size_t)(end - blank - 1)};
    return TESS_OK;
}

/* The id of one side; its bytes are appended at `bytes`. */
static tess_status find_side(const merge *m, side s, const tess_token_index *index, char *bytes,
                             size_t *n_bytes, uint32_t *id, tess_error *err)
{
    bool literal;
    *n_bytes = tess_bytes_from_printable(s.text, s.n, bytes, &literal);
    uint32_t slot = literal ? 0 : *tess_token_index_find(index, bytes, *n_bytes);
    if (!slot) return refuse_merge(m, "two tokens of the vocabulary", err, s);
    *id = slot - 1;
    return TESS_OK;
}

static tess_status reserve_bytes(merge *m, tess_error *err)
{
    size_t wanted = m->left.n + m->right.n + 1;
    if (wanted <= m->capacity) return TESS_OK;
    char *grown = realloc(m->bytes, 2 * wanted);
    if (!grown) return tess_fail(err, TESS_ENOMEM, "%s: no memory for a merge of %zu bytes", m->file, wanted);
    m->bytes = grown;
    m->capacity = 2 * wanted;
    return TESS_OK;
}

static tess_status add_merge(tess_bpe *bpe, merge *m, const tess_token_index *index, tess_error *err)
{
    size_t n_left, n_right;
    uint32_t left, right;
    tess_status status = reserve_bytes(m, err);
    if (status == TESS_OK) status = find_side(m, m->left, index, m->bytes, &n_left, &left, err);
    if (status == TESS_OK) status = find_side(m, m->right, index, m->bytes + n_left, &n_right, &right, err);
    if (status != TESS_OK) return status;
    char both[128];
    int n = snprintf(both, sizeof both, "%.*s %.*s", (int)(m->left.n < 60 ? m->left.n : 60), m->left.text,
                     (int)(m->right.n < 60 ? m->right.n : 60), m->right.text);
    uint32_t joined = *tess_token_index_find(index, m->bytes, n_left + n_right);
    if (!joined)
        return refuse_merge(m, "a merge whose result is a token of the vocabulary", err,
                            (side){both, (size_t)n});
    if (tess_bpe_add(bpe, left, right, joined - 1))
        return refuse_merge(m, "each merge once", err, (side){both, (size_t)n});
    return TESS_OK;
}

/* ---- merges.txt */

static tess_status add_lines(tess_bpe *bpe, merge *m, const char *text, size_t size,
                             const tess_token_index *index, tess_error *err)
{
    tess_status status = TESS_OK;
    unsigned number = 0;
    for (size_t at = 0; at < size && status == TESS_OK;) {
        const char *end = memchr(text + at, '\n', size - at);
        side line = {text + at, end ? (size_t)(end - text) - at : size - at};
        m->offset = (int64_t)at;
        snprintf(m->field, sizeof m->field, "line %u", ++number);
        at += line.n + 1;
        if (line.n && line.text[line.n - 1] == '\r') line.n--;
        if (line.n >= 8 && !memcmp(line.text, "#version", 8)) continue;
        status = part_at_blank(m, line, err);
        if (status == TESS_OK) status = add_merge(bpe, m, index, err);
    }
    return status;
}

static tess_status parse_lines(tess_bpe *bpe, const char *file, const char *text, size_t size,
                               const tess_token_index *index, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, size);
    if (invalid < size)
        return tess_refuse(err, file, "", (int64_t)invalid, "UTF-8", "byte 0x%02x",
                           (unsigned)(uint8_t)text[invalid]);
    uint32_t n_lines = 1;
    for (size_t i = 0; i < size; i++) n_lines += text[i] == '\n';
    merge m = {.file = file};
    tess_status status = tess_bpe_init(bpe, n_lines, err);
    if (status == TESS_OK) status = add_lines(bpe, &m, text, size, index, err);
    free(m.bytes);
    return status;
}

static tess_status load_lines(const char *folder, tess_vocab *vocab, const tess_token_index *index,
                              tess_error *err)
{
    char file[PATH_MAX];
    tess_status status = tess_vocab_path(folder, "merges.txt", file, sizeof file, err);
    if (status != TESS_OK) return status;
    char *text = NULL;
    size_t size = 0;
    status = tess_whole_file_read(file, "a file of merges", TESS_MAX_VOCAB_FILE_BYTES, &text, &size, err);
    if (status == TESS_OK) status = parse_lines(&vocab->bpe, file, text, size, index, err);
    free(text);
    return status;
}

/* ---- tokenizer.json */

/* At least the items of an array: one more than its commas outside strings and inner arrays. */
static uint32_t count_items(const char *text, size_t n)
{
    uint32_t count = 1;
    int depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            for (i++; i < n && text[i] != '"'; i++) i += text[i] == '\\';
        } else if (text[i] == '[') {
            depth++;
        } else if (text[i] == ']') {
            depth--;
        } else if (text[i] == ',' && depth == 1) {
            count++;
        }
    }
    return count;
}

static side side_of(const json_t *text)
{
    return (side){json_string_value(text), json_string_length(text)};
}

static tess_status add_item(tess_bpe *bpe, merge *m, const json_t *item, const tess_token_index *index,
                            tess_error *err)
{
    const json_t *left = json_array_get(item, 0), *right = json_array_get(item, 1);
    tess_status status = TESS_OK;
    if (json_is_string(item)) {
        status = part_at_blank(m, side_of(item), err);
    } else if (json_is_string(left) && json_is_string(right) && json_array_size(item) == 2) {
        m->left = side_of(left);
        m->right = side_of(right);
    } else {
        char found[100];
        tess_json_spell(item, found, sizeof found);
        return tess_refuse(err, m->file, m->field, m->offset, "two tokens", "%s", found);
    }
    return status == TESS_OK ? add_merge(bpe, m, index, err) : status;
}

/* Item by item: parsed as a whole, the published list would take 40 MB. */
static tess_status load_items(const tess_tokenizer_json *json, tess_vocab *vocab,
                              const tess_token_index *index, tess_error *err)
{
    static const char name[] = "model.merges";
    const char *text = json->text + json->merges.begin;
    tess_json_walk w;
    merge m = {.file = json->file};
    bool is_there = true;
    tess_status status = tess_bpe_init(&vocab->bpe, count_items(text, json->merges.n), err);
    if (status == TESS_OK)
        status =
            tess_json_walk_init_array(&w, json->file, name, json->merges.begin, text, json->merges.n, err);
    for (unsigned i = 0; status == TESS_OK; i++) {
        status = tess_json_walk_next_item(&w, &is_there, err);
        if (status != TESS_OK || !is_there) break;
        json_t *item = NULL;
        snprintf(m.field, sizeof m.field, "%s[%u]", name, i);
        m.offset = (int64_t)(w.offset + w.pos);
        status = tess_json_walk_value(&w, &item, err);
        if (status == TESS_OK) status = add_item(&vocab->bpe, &m, item, index, err);
        json_decref(item);
    }
    free(m.bytes);
    return status;
}

tess_status tess_vocab_load_merges(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                   const tess_token_index *index, tess_error *err)
{
    return json->text ? load_items(json, vocab, index, err) : load_lines(folder, vocab, index, err);
}
