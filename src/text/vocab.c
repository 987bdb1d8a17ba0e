#include "text/vocab.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"

/* The byte of a printable character, or -1: GPT-2's alphabet. Bytes that print (by its choice) stand for
 * themselves, the other 68 are numbered from U+0100. */
static int byte_of(uint32_t code)
{
    if ((code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xac) || (code >= 0xae && code <= 0xff))
        return (int)code;
    if (code < 0x100 || code > 0x143) return -1;
    uint32_t index = code - 0x100;
    if (index <= 0x20) return (int)index;
    if (index <= 0x42) return (int)(index - 0x21 + 0x7f);
    return 0xad;
}

size_t tess_bytes_from_printable(const char *text, size_t n, char *bytes, bool *literal)
{
    uint32_t code;
    *literal = false;
    for (size_t i = 0; i < n && !*literal;) {
        i += tess_utf8_read((const uint8_t *)text + i, &code);
        *literal = byte_of(code) < 0;
    }
    if (*literal) {
        memmove(bytes, text, n);
        return n;
    }
    size_t count = 0;
    for (size_t i = 0; i < n;) {
        i += tess_utf8_read((const uint8_t *)text + i, &code);
        bytes[count++] = (char)byte_of(code);
    }
    return count;
}

/* The token whose n bytes stand at the end of the pool. */
static tess_token make_token(const tess_vocab *vocab, size_t n, bool literal)
{
    return (tess_token){
        .start = (uint32_t)vocab->pool_bytes, .n = (uint32_t)n & INT32_MAX, .literal = literal};
}

tess_status tess_vocab_set(tess_vocab *vocab, uint32_t id, const char *bytes, size_t n, bool literal,
                           tess_error *err)
{
    if (id >= vocab->n_ids) {
        tess_token *token = realloc(vocab->token, (id + (size_t)1) * sizeof *token);
        if (!token) return tess_fail(err, TESS_ENOMEM, "no memory for %u tokens", (unsigned)id + 1);
        memset(token + vocab->n_ids, 0, (id + (size_t)1 - vocab->n_ids) * sizeof *token);
        vocab->token = token;
        vocab->n_ids = id + 1;
    }
    char *pool = realloc(vocab->pool, vocab->pool_bytes + n);
    if (!pool) return tess_fail(err, TESS_ENOMEM, "no memory for %zu bytes of tokens", vocab->pool_bytes + n);
    memcpy(pool + vocab->pool_bytes, bytes, n);
    vocab->pool = pool;
    vocab->token[id] = make_token(vocab, n, literal);
    vocab->pool_bytes += n;
    vocab->n_tokens++;
    if (n > vocab->longest) vocab->longest = (uint32_t)n;
    return TESS_OK;
}

uint32_t *tess_token_index_find(const tess_token_index *x, const char *bytes, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    for (size_t i = (size_t)(hash ^ hash >> 32) & x->mask;; i = (i + 1) & x->mask) {
        uint32_t *slot = &x->slot[i];
        if (!*slot) return slot;
        const tess_token *token = &x->vocab->token[*slot - 1];
        if (token->n == n && !memcmp(x->vocab->pool + token->start, bytes, n)) return slot;
    }
}

/* Room for every token at once, so that the tables are not copied for each. */
static tess_status reserve_tables(tess_vocab *vocab, const tess_json_section *top, tess_error *err)
{
    uint32_t n_ids = 0;
    size_t pool_bytes = 1;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)top->object, key, value)
    {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > TESS_MAX_TOKEN_ID)
            return tess_json_int(top, key, 0, TESS_MAX_TOKEN_ID, &(int64_t){0}, err);
        if (!*key)
            return tess_refuse(err, top->file, top->path, -1, "tokens of at least one byte",
                               "an empty token");
        if (n_ids <= id) n_ids = (uint32_t)id + 1;
        pool_bytes += strlen(key);
    }
    vocab->token = calloc(n_ids ? n_ids : 1, sizeof *vocab->token);
    vocab->pool = malloc(pool_bytes);
    if (!vocab->token || !vocab->pool)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for %u tokens", top->file, (unsigned)n_ids);
    vocab->n_ids = n_ids;
    return TESS_OK;
}

/* Refuses a token for the id that has its bytes, or its own, already. */
static tess_status refuse_twice(const tess_json_section *top, const char *key, bool is_id, uint32_t id,
                                tess_error *err)
{
    char found[64];
    snprintf(found, sizeof found, is_id ? "id %u a second time" : "the bytes of id %u", (unsigned)id);
    return tess_json_refuse(top, key, is_id ? "each id once" : "tokens that stand for different bytes", found,
                            err);
}

static tess_status fill_tables(tess_vocab *vocab, tess_token_index *x, const tess_json_section *top,
                               tess_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)top->object, key, value)
    {
        uint32_t id = (uint32_t)json_integer_value(value);
        char *bytes = vocab->pool + vocab->pool_bytes;
        bool literal;
        size_t n = tess_bytes_from_printable(key, strlen(key), bytes, &literal);
        if (vocab->token[id].n) return refuse_twice(top, key, true, id, err);
        uint32_t *slot = tess_token_index_find(x, bytes, n);
        if (*slot) return refuse_twice(top, key, false, *slot - 1, err);
        vocab->token[id] = make_token(vocab, n, literal);
        *slot = id + 1;
        vocab->pool_bytes += n;
        vocab->n_tokens++;
        if (n > vocab->longest) vocab->longest = (uint32_t)n;
    }
    return TESS_OK;
}

static tess_status find_bytes(tess_vocab *vocab, const tess_token_index *x, const tess_json_section *top,
                              tess_error *err)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        uint32_t slot = *tess_token_index_find(x, &c, 1);
        if (!slot)
            return tess_refuse(err, top->file, top->path, -1, "a token for each of the 256 bytes",
                               "none for byte 0x%02x", byte);
        vocab->bpe.byte_id[byte] = slot - 1;
    }
    return TESS_OK;
}

/* *root: token → id, of tokenizer.json or else vocab.json, whose name is left in `file`. */
static tess_status parse_tokens(const char *folder, const tess_tokenizer_json *json, char file[PATH_MAX],
                                json_t **root, tess_error *err)
{
    if (!json->text) {
        tess_status status = tess_vocab_path(folder, "vocab.json", file, PATH_MAX, err);
        if (status == TESS_OK && access(file, F_OK) && errno == ENOENT)
            return tess_refuse(err, file, "", -1, "tokenizer.json, or vocab.json and merges.txt", "neither");
        return status == TESS_OK ? tess_json_load(file, TESS_MAX_VOCAB_FILE_BYTES, root, err) : status;
    }
    memcpy(file, json->file, PATH_MAX);
    return tess_json_parse(file, json->vocab.begin, json->text + json->vocab.begin, json->vocab.n, root, err);
}

tess_status tess_vocab_load_tokens(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                   tess_token_index *x, tess_error *err)
{
    char file[PATH_MAX];
    json_t *root = NULL;
    tess_status status = parse_tokens(folder, json, file, &root, err);
    if (status != TESS_OK) return status;
    size_t slots = 16;
    while (slots < 2 * json_object_size(root)) slots *= 2;
    tess_json_section top = {.object = root, .file = file, .path = ""};
    if (json->text) strcpy(top.path, "model.vocab");
    x->mask = slots - 1;
    x->slot = calloc(slots, sizeof *x->slot);
    if (!x->slot) status = tess_fail(err, TESS_ENOMEM, "%s: no memory for an index", file);
    if (status == TESS_OK) status = reserve_tables(vocab, &top, err);
    if (status == TESS_OK) status = fill_tables(vocab, x, &top, err);
    json_decref(root);
    /* Parsed, the published vocabulary takes 20 MB in small pieces; they go back to the system before
     * anything is built beside them. */
    malloc_trim(0);
    if (status == TESS_OK) status = find_bytes(vocab, x, &top, err);
    return status;
}

void tess_vocab_release(tess_vocab *vocab)
{
    for (size_t i = 0; i < vocab->n_added; i++) free(vocab->added[i].content);
    free(vocab->added);
    free(vocab->token);
    free(vocab->pool);
    tess_bpe_release(&vocab->bpe);
    *vocab = (tess_vocab){0};
}
