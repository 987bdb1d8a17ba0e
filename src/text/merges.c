/* merges.txt: one merge a line, two tokens and a blank between them, in the order of their ranks. Lines that
 * begin with "#version" say nothing, as in the original. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/whole_file.h"
#include "text/vocab.h"

typedef struct merge_line {
    const char *file, *start; /* of the file's text */
    const char *text;
    size_t n; /* without the line's end */
    unsigned number;
} merge_line;

static tess_status refuse_line(const merge_line *line, const char *expected, tess_error *err,
                               const char *found, size_t n_found)
{
    char field[40];
    snprintf(field, sizeof field, "line %u", line->number);
    return tess_refuse(err, line->file, field, line->text - line->start, expected, "%.*s%s",
                       n_found > 100 ? 100 : (int)n_found, found, n_found > 100 ? "…" : "");
}

/* The id of one side of a merge; its bytes are appended at `bytes`. */
static tess_status find_side(const merge_line *line, const tess_token_index *index, const char *text,
                             size_t n, char *bytes, size_t *n_bytes, uint32_t *id, tess_error *err)
{
    bool literal;
    *n_bytes = tess_bytes_from_printable(text, n, bytes, &literal);
    uint32_t slot = literal ? 0 : *tess_token_index_find(index, bytes, *n_bytes);
    if (!slot) return refuse_line(line, "two tokens of vocab.json", err, text, n);
    *id = slot - 1;
    return TESS_OK;
}

/* `bytes`: room for line->n bytes. */
static tess_status add_merge(tess_bpe *bpe, const merge_line *line, const tess_token_index *index,
                             char *bytes, tess_error *err)
{
    const char *end = line->text + line->n;
    const char *blank = memchr(line->text, ' ', line->n);
    if (!blank || blank == line->text || blank + 1 == end ||
        memchr(blank + 1, ' ', (size_t)(end - blank - 1)))
        return refuse_line(line, "two tokens with a blank between them", err, line->text, line->n);
    size_t n_left, n_right;
    uint32_t left, right;
    tess_status status =
        find_side(line, index, line->text, (size_t)(blank - line->text), bytes, &n_left, &left, err);
    if (status != TESS_OK) return status;
    status =
        find_side(line, index, blank + 1, (size_t)(end - blank - 1), bytes + n_left, &n_right, &right, err);
    if (status != TESS_OK) return status;
    uint32_t joined = *tess_token_index_find(index, bytes, n_left + n_right);
    if (!joined)
        return refuse_line(line, "a merge whose result is a token of vocab.json", err, line->text, line->n);
    if (tess_bpe_add(bpe, left, right, joined - 1))
        return refuse_line(line, "each merge once", err, line->text, line->n);
    return TESS_OK;
}

static tess_status add_lines(tess_bpe *bpe, const char *file, const char *text, size_t size,
                             const tess_token_index *index, char *bytes, tess_error *err)
{
    merge_line line = {.file = file, .start = text};
    tess_status status = TESS_OK;
    for (size_t at = 0; at < size && status == TESS_OK;) {
        const char *end = memchr(text + at, '\n', size - at);
        line.text = text + at;
        line.n = end ? (size_t)(end - line.text) : size - at;
        line.number++;
        at += line.n + 1;
        if (line.n && line.text[line.n - 1] == '\r') line.n--;
        if (line.n >= 8 && !memcmp(line.text, "#version", 8)) continue;
        status = add_merge(bpe, &line, index, bytes, err);
    }
    return status;
}

static tess_status parse_merges(tess_bpe *bpe, const char *file, const char *text, size_t size,
                                const tess_token_index *index, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, size);
    if (invalid < size)
        return tess_refuse(err, file, "", (int64_t)invalid, "UTF-8", "byte 0x%02x",
                           (unsigned)(uint8_t)text[invalid]);
    uint32_t n_lines = 1;
    for (size_t i = 0; i < size; i++) n_lines += text[i] == '\n';
    char *bytes = malloc(size + 1);
    if (!bytes) return tess_fail(err, TESS_ENOMEM, "%s: no memory for %zu bytes", file, size);
    tess_status status = tess_bpe_init(bpe, n_lines, err);
    if (status == TESS_OK) status = add_lines(bpe, file, text, size, index, bytes, err);
    free(bytes);
    return status;
}

tess_status tess_vocab_load_merges(const char *folder, tess_vocab *vocab, const tess_token_index *index,
                                   tess_error *err)
{
    char file[PATH_MAX];
    tess_status status = tess_vocab_path(folder, "merges.txt", file, sizeof file, err);
    if (status != TESS_OK) return status;
    char *text = NULL;
    size_t size = 0;
    status = tess_whole_file_read(file, "a file of merges", TESS_MAX_VOCAB_FILE_BYTES, &text, &size, err);
    if (status == TESS_OK) status = parse_merges(&vocab->bpe, file, text, size, index, err);
    free(text);
    return status;
}
