/* The added tokens of a folder: which file says them, and what is refused. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "text/normalize.h"
#include "text/vocab.h"

enum { PUBLISHED_VOCABULARY = 151643 };

/* The published added tokens: ids count up from PUBLISHED_VOCABULARY. Those that stand here without a star
 * are special; the others are only kept whole. */
static const char *const published[] = {
    "<|endoftext|>",      "<|im_start|>",     "<|im_end|>",       "<|object_ref_start|>",
    "<|object_ref_end|>", "<|box_start|>",    "<|box_end|>",      "<|quad_start|>",
    "<|quad_end|>",       "<|vision_start|>", "<|vision_end|>",   "<|vision_pad|>",
    "<|image_pad|>",      "<|video_pad|>",    "*<tool_call>",     "*</tool_call>",
    "*<|fim_prefix|>",    "*<|fim_middle|>",  "*<|fim_suffix|>",  "*<|fim_pad|>",
    "*<|repo_name|>",     "*<|file_sep|>",    "*<tool_response>", "*</tool_response>",
    "*<think>",           "*</think>",        "<|audio_start|>",  "<|audio_end|>",
    "<tts_pad>",          "<tts_text_bos>",   "<tts_text_eod>",   "<tts_text_bos_single>",
    "<|audio_pad|>",
};
enum { N_PUBLISHED = sizeof published / sizeof published[0] };

typedef struct loader {
    tess_vocab *vocab;
    const tess_token_index *index;
} loader;

/* Refuses an id or a text that the vocabulary gives to another. */
static tess_status check_vocabulary(const loader *l, const char *file, const char *field, uint32_t id,
                                    const char *bytes, size_t n, bool literal, tess_error *err)
{
    const tess_token *token = l->vocab->token;
    uint32_t slot = *tess_token_index_find(l->index, bytes, n);
    bool same_text = slot && token[slot - 1].literal == literal;
    if (same_text && slot - 1 != id)
        return tess_refuse(err, file, field, -1, "the id of this token in the vocabulary",
                           "id %u, which is not %u", (unsigned)id, (unsigned)slot - 1);
    if (!same_text && id < l->vocab->n_ids && token[id].n)
        return tess_refuse(err, file, field, -1, "an id that no other token has", "id %u", (unsigned)id);
    return TESS_OK;
}

static tess_status check_new(const tess_vocab *vocab, const char *file, const char *field,
                             const tess_added_token *token, tess_error *err)
{
    if (!token->n) return tess_refuse(err, file, field, -1, "a token of at least one byte", "an empty one");
    if (vocab->n_added == TESS_MAX_ADDED_TOKENS) {
        char expected[48];
        snprintf(expected, sizeof expected, "at most %d added tokens", TESS_MAX_ADDED_TOKENS);
        return tess_refuse(err, file, field, -1, expected, "one more");
    }
    for (size_t i = 0; i < vocab->n_added; i++)
        if (vocab->added[i].n == token->n && !memcmp(vocab->added[i].content, token->content, token->n))
            return tess_refuse(err, file, field, -1, "different added tokens", "that of id %u again",
                               (unsigned)vocab->added[i].id);
    return TESS_OK;
}

/* Gives the token's id its bytes unless the vocabulary did.
 * QUIRK: the original decodes an added token like any other, as written in the byte alphabet, and one that is
 * looked for in normalised text after normalising it. Both matter only to characters beyond ASCII. */
static tess_status set_bytes(const loader *l, const char *file, const char *field,
                             const tess_added_token *token, tess_error *err)
{
    tess_text text = {0};
    bool literal;
    tess_status status = tess_text_append(&text, token->content, token->n, err);
    if (status == TESS_OK) {
        size_t n = tess_bytes_from_printable(token->content, token->n, text.data, &literal);
        status = check_vocabulary(l, file, field, token->id, text.data, n, literal, err);
    }
    bool present = token->id < l->vocab->n_ids && l->vocab->token[token->id].n;
    if (status == TESS_OK && !present) {
        text.count = 0;
        status = token->normalized ? tess_nfc_append((const uint8_t *)token->content, token->n, &text, err)
                                   : tess_text_append(&text, token->content, token->n, err);
    }
    if (status == TESS_OK && !present) {
        size_t n = tess_bytes_from_printable(text.data, text.count, text.data, &literal);
        status = tess_vocab_set(l->vocab, token->id, text.data, n, literal, err);
    }
    tess_text_release(&text);
    return status;
}

/* Enters a copy of `token`, whose id is not among the added ones. */
static tess_status add_token(const loader *l, const char *file, const char *field,
                             const tess_added_token *token, tess_error *err)
{
    tess_vocab *vocab = l->vocab;
    tess_status status = check_new(vocab, file, field, token, err);
    if (status != TESS_OK) return status;
    char *content = malloc(token->n + 1);
    tess_added_token *added = realloc(vocab->added, (vocab->n_added + 1) * sizeof *added);
    if (added) vocab->added = added;
    if (!content || !added) {
        free(content);
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for an added token", file);
    }
    memcpy(content, token->content, token->n + 1);
    vocab->added[vocab->n_added] = *token;
    vocab->added[vocab->n_added++].content = content;
    return set_bytes(l, file, field, token, err);
}

/* An optional true or false. */
static tess_status get_flag(const tess_json_section *s, const char *key, bool *value, tess_error *err)
{
    return json_object_get(s->object, key) ? tess_json_bool(s, key, value, err) : TESS_OK;
}

static tess_status read_flags(const tess_json_section *s, tess_added_token *token, tess_error *err)
{
    static const char *const unsupported[] = {"lstrip", "rstrip", "single_word"};
    for (size_t i = 0; i < 3; i++) {
        bool value = false;
        tess_status status = get_flag(s, unsupported[i], &value, err);
        if (status != TESS_OK) return status;
        if (value)
            return tess_fail(err, TESS_EUNSUPPORTED,
                             "%s: %s: added tokens with \"%s\": true are not supported", s->file, s->path,
                             unsupported[i]);
    }
    tess_status status = get_flag(s, "special", &token->special, err);
    token->normalized = !token->special;
    if (status == TESS_OK) status = get_flag(s, "normalized", &token->normalized, err);
    return status;
}

/* A decimal number without sign or leading zeros. */
static tess_status read_id(const char *file, const char *text, uint32_t *id, tess_error *err)
{
    uint32_t value = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && value <= TESS_MAX_TOKEN_ID; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    if (!i || text[i] || value > TESS_MAX_TOKEN_ID || (text[0] == '0' && i > 1)) {
        char expected[48];
        snprintf(expected, sizeof expected, "ids from 0 to %d", TESS_MAX_TOKEN_ID);
        return tess_refuse(err, file, "added_tokens_decoder", -1, expected, "\"%.40s\"", text);
    }
    *id = value;
    return TESS_OK;
}

static int compare_ids(const void *a, const void *b)
{
    const tess_added_token *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Whether one of the first n added tokens has this id. */
static bool has_id(const tess_vocab *vocab, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (vocab->added[i].id == id) return true;
    return false;
}

/* Adds a token that an object describes, unless an earlier file has its id. */
static tess_status add_described(const loader *l, const tess_json_section *described, uint32_t id,
                                 size_t n_earlier, tess_error *err)
{
    tess_added_token token = {.id = id};
    const char *content;
    tess_status status = tess_json_text(described, "content", &content, err);
    if (status == TESS_OK) status = read_flags(described, &token, err);
    if (status != TESS_OK || has_id(l->vocab, n_earlier, id)) return status;
    token.content = (char *)content;
    token.n = (uint32_t)strlen(content);
    return add_token(l, described->file, described->path, &token, err);
}

/* added_tokens_decoder of tokenizer_config.json: id → token. */
static tess_status load_decoder(const loader *l, const tess_json_section *top, tess_error *err)
{
    tess_json_section decoder, described;
    tess_status status = tess_json_enter(top, "added_tokens_decoder", &decoder, err);
    const char *key;
    json_t *value;
    uint32_t id = 0;
    size_t n_earlier = l->vocab->n_added;
    if (status != TESS_OK) return status;
    json_object_foreach((json_t *)(uintptr_t)decoder.object, key, value)
    {
        status = read_id(top->file, key, &id, err);
        if (status == TESS_OK) status = tess_json_enter(&decoder, key, &described, err);
        if (status == TESS_OK) status = add_described(l, &described, id, n_earlier, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

/* added_tokens of tokenizer.json. */
static tess_status load_array(const loader *l, const tess_tokenizer_json *json, tess_error *err)
{
    const tess_json_section top = {.object = json->parts, .file = json->file};
    const json_t *array = json_object_get(json->parts, "added_tokens");
    tess_status status = TESS_OK;
    for (size_t i = 0; i < json_array_size(array) && status == TESS_OK; i++) {
        tess_json_section described;
        int64_t id = 0;
        status = tess_json_enter_item(&top, "added_tokens", array, i, &described, err);
        if (status == TESS_OK) status = tess_json_int(&described, "id", 0, TESS_MAX_TOKEN_ID, &id, err);
        if (status == TESS_OK && has_id(l->vocab, i, id))
            status = tess_refuse(err, json->file, described.path, -1, "each id once", "id %lld again",
                                 (long long)id);
        if (status == TESS_OK) status = add_described(l, &described, (uint32_t)id, 0, err);
    }
    return status;
}

static bool is_kept_whole_only(const char *content)
{
    for (size_t i = 0; i < N_PUBLISHED; i++)
        if (published[i][0] == '*' && !strcmp(published[i] + 1, content)) return true;
    return false;
}

/* added_tokens.json: token → id. It does not say which tokens are special: all are but those that are not
 * among the published ones. */
static tess_status load_list(const loader *l, const char *file, const json_t *root, tess_error *err)
{
    tess_json_section top = {.object = root, .file = file};
    const char *key;
    json_t *value;
    size_t n_earlier = l->vocab->n_added;
    json_object_foreach((json_t *)root, key, value)
    {
        int64_t id = 0;
        tess_status status = tess_json_int(&top, key, 0, TESS_MAX_TOKEN_ID, &id, err);
        if (status != TESS_OK) return status;
        if (has_id(l->vocab, n_earlier, id)) continue;
        if (has_id(l->vocab, l->vocab->n_added, id))
            return tess_refuse(err, file, key, -1, "each id once", "id %lld again", (long long)id);
        tess_added_token token = {(char *)key, (uint32_t)strlen(key), (uint32_t)id, !is_kept_whole_only(key),
                                  false};
        status = add_token(l, file, key, &token, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status load_published(const loader *l, tess_error *err)
{
    tess_status status = TESS_OK;
    for (uint32_t i = 0; i < N_PUBLISHED && status == TESS_OK; i++) {
        bool special = published[i][0] != '*';
        const char *content = published[i] + (special ? 0 : 1);
        tess_added_token token = {(char *)content, (uint32_t)strlen(content), PUBLISHED_VOCABULARY + i,
                                  special, false};
        status = add_token(l, "the published added tokens", content, &token, err);
    }
    return status;
}

/* ---- what tokenizer_config.json says of them */

/* A token's text: a string, or an object with its "content"; NULL for anything else. */
static const char *find_content(const json_t *value)
{
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

/* QUIRK: the original adds what it finds named and in no list, under the next free id. */
static tess_status check_named(const tess_vocab *vocab, const tess_json_section *s, const char *key,
                               const json_t *value, tess_error *err)
{
    const char *content = find_content(value);
    if (!content) return TESS_OK;
    for (size_t i = 0; i < vocab->n_added; i++)
        if (!strcmp(vocab->added[i].content, content)) return TESS_OK;
    char found[100];
    tess_json_spell(value, found, sizeof found);
    return tess_json_refuse(s, key, "one of the added tokens, which have ids", found, err);
}

/* The items of an array, or the members of an object that is no token itself. */
static tess_status check_all_named(const tess_vocab *vocab, const tess_json_section *s, const char *key,
                                   tess_error *err)
{
    const json_t *list = json_object_get(s->object, key);
    tess_status status = TESS_OK;
    size_t i;
    const char *name;
    json_t *value;
    json_array_foreach(list, i, value)
    {
        if (status == TESS_OK) status = check_named(vocab, s, key, value, err);
    }
    json_object_foreach((json_t *)(uintptr_t)list, name, value)
    {
        if (status == TESS_OK) status = check_named(vocab, s, key, value, err);
    }
    return status;
}

static bool is_name_of_token(const char *key)
{
    static const char end[] = "_token";
    size_t n = strlen(key);
    return n >= sizeof end - 1 && !strcmp(key + n - (sizeof end - 1), end);
}

static tess_status check_names(const tess_vocab *vocab, const tess_json_section *config, tess_error *err)
{
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens",
                                        "model_specific_special_tokens"};
    tess_status status = TESS_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)config->object, key, value)
    {
        if (status == TESS_OK && is_name_of_token(key)) status = check_named(vocab, config, key, value, err);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists && status == TESS_OK; i++)
        status = check_all_named(vocab, config, lists[i], err);
    return status;
}

/* QUIRK: without added_tokens_decoder the original takes what special_tokens_map.json says as if
 * tokenizer_config.json said it, of tokens and of anything else; with it, it does not look at the file. */
static tess_status check_named_elsewhere(const tess_vocab *vocab, const char *folder, const json_t *config,
                                         tess_error *err)
{
    char path[PATH_MAX];
    if (json_object_get(config, "added_tokens_decoder")) return TESS_OK;
    tess_status status = tess_vocab_path(folder, "special_tokens_map.json", path, sizeof path, err);
    if (status != TESS_OK || (access(path, F_OK) && errno == ENOENT)) return status;
    json_t *root = NULL;
    status = tess_json_load(path, TESS_MAX_VOCAB_FILE_BYTES, &root, err);
    const tess_json_section map = {.object = root, .file = path};
    if (status == TESS_OK) status = tess_tokenizer_config_check(&map, err);
    if (status == TESS_OK) status = check_names(vocab, &map, err);
    json_decref(root);
    return status;
}

/* ---- which file counts */

/* QUIRK: to the original's class for this model, added_tokens_decoder is the whole list; to the general
 * classes it adds to tokenizer.json. */
static bool has_whole_list(const json_t *config, const tess_tokenizer_json *json)
{
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    bool is_general =
        name && (!strcmp(name, "TokenizersBackend") || !strcmp(name, "PreTrainedTokenizerFast"));
    return json_object_get(config, "added_tokens_decoder") && !(is_general && json->text);
}

static tess_status load_lists(const loader *l, const char *folder, const tess_tokenizer_json *json,
                              const tess_json_section *config, tess_error *err)
{
    uint32_t n_file_tokens = l->vocab->n_tokens;
    if (has_whole_list(config->object, json)) return load_decoder(l, config, err);
    bool found = json->text != NULL;
    tess_status status = json->text ? load_array(l, json, err) : TESS_OK;
    if (status == TESS_OK && json_object_get(config->object, "added_tokens_decoder"))
        return load_decoder(l, config, err);
    char path[PATH_MAX];
    json_t *root = NULL;
    if (status == TESS_OK) status = tess_vocab_path(folder, "added_tokens.json", path, sizeof path, err);
    if (status == TESS_OK && !(access(path, F_OK) && errno == ENOENT))
        status = tess_json_load(path, TESS_MAX_VOCAB_FILE_BYTES, &root, err);
    found |= root != NULL;
    if (root) status = load_list(l, path, root, err);
    json_decref(root);
    if (status == TESS_OK && !found && n_file_tokens == PUBLISHED_VOCABULARY) status = load_published(l, err);
    return status;
}

tess_status tess_vocab_load_added(const char *folder, const tess_tokenizer_json *json, tess_vocab *vocab,
                                  const tess_token_index *index, tess_error *err)
{
    const loader l = {vocab, index};
    char path[PATH_MAX];
    json_t *root;
    tess_status status = tess_tokenizer_config_read(folder, path, &root, err);
    const tess_json_section config = {.object = root, .file = path};
    if (root) status = tess_tokenizer_config_check(&config, err);
    if (status == TESS_OK) status = load_lists(&l, folder, json, &config, err);
    if (status == TESS_OK && root) status = check_names(vocab, &config, err);
    if (status == TESS_OK) status = check_named_elsewhere(vocab, folder, root, err);
    json_decref(root);
    if (vocab->n_added) qsort(vocab->added, vocab->n_added, sizeof *vocab->added, compare_ids);
    return status;
}
