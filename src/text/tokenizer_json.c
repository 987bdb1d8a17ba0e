#include "text/tokenizer_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_walk.h"
#include "base/whole_file.h"

tess_status tess_vocab_path(const char *folder, const char *name, char *path, size_t size, tess_error *err)
{
    int n = snprintf(path, size, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= size)
        return tess_fail(err, TESS_EUSAGE, "the folder's name is too long: %.60s…", folder);
    return TESS_OK;
}

static bool is_absent(const char *path)
{
    return access(path, F_OK) && errno == ENOENT;
}

tess_status tess_tokenizer_config_read(const char *folder, char *path, json_t **root, tess_error *err)
{
    *root = NULL;
    tess_status status = tess_vocab_path(folder, "tokenizer_config.json", path, PATH_MAX, err);
    if (status != TESS_OK || is_absent(path)) return status;
    /* Without a limit, model_max_length is 10^30. */
    return tess_json_load_reals(path, TESS_MAX_VOCAB_FILE_BYTES, root, err);
}

/* ---- the file's parts */

/* The present member's value into `object`, where no other of its name is. */
static tess_status keep_member(tess_json_walk *walk, json_t *object, tess_error *err)
{
    if (json_object_get(object, walk->key))
        return tess_refuse(err, walk->file, walk->key, (int64_t)walk->key_offset, "each name once",
                           "it again");
    json_t *value = NULL;
    tess_status status = tess_json_walk_value(walk, &value, err);
    if (status == TESS_OK && json_object_set_new(object, walk->key, value))
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for its parts", walk->file);
    return status;
}

static tess_status skip_member(tess_json_walk *walk, tess_json_place *place, tess_error *err)
{
    if (place->n)
        return tess_refuse(err, walk->file, walk->key, (int64_t)walk->key_offset, "each name once",
                           "it again");
    return tess_json_walk_skip(walk, &place->begin, &place->n, err);
}

static tess_status split_model(tess_tokenizer_json *json, tess_json_walk *outer, tess_error *err)
{
    if (json_object_get(json->parts, "model"))
        return tess_refuse(err, outer->file, "model", (int64_t)outer->key_offset, "one model",
                           "a second one");
    json_t *model = json_object();
    if (json_object_set_new(json->parts, "model", model))
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for its parts", outer->file);
    tess_json_walk w;
    tess_status status = tess_json_walk_enter(outer, &w, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&w, err)) == TESS_OK && w.key) {
        if (!strcmp(w.key, "vocab"))
            status = skip_member(&w, &json->vocab, err);
        else if (!strcmp(w.key, "merges"))
            status = skip_member(&w, &json->merges, err);
        else
            status = keep_member(&w, model, err);
    }
    tess_json_walk_release(&w);
    return status;
}

static tess_status split_file(tess_tokenizer_json *json, size_t size, tess_error *err)
{
    json->parts = json_object();
    if (!json->parts) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its parts", json->file);
    tess_json_walk w;
    tess_status status = tess_json_walk_init(&w, json->file, 0, json->text, size, err);
    while (status == TESS_OK && (status = tess_json_walk_next(&w, err)) == TESS_OK && w.key)
        status = strcmp(w.key, "model") ? keep_member(&w, json->parts, err) : split_model(json, &w, err);
    tess_json_walk_release(&w);
    return status;
}

/* ---- what the parts must say */

/* A member and the values that say what is built in, as compact JSON with sorted names; "absent" stands for
 * its absence. */
typedef struct known_member {
    const char *key, *value[6];
} known_member;

static bool is_known(const known_member *known, const char *spelled)
{
    for (size_t i = 0; i < 6 && known->value[i]; i++)
        if (!strcmp(known->value[i], spelled)) return true;
    return false;
}

static tess_status check_members(const tess_json_section *s, const known_member *known, size_t n,
                                 tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(s->object, known[i].key);
        char *spelled = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (value && !spelled) return tess_fail(err, TESS_ENOMEM, "%s: no memory to check it", s->file);
        bool fits = is_known(&known[i], spelled ? spelled : "absent");
        free(spelled);
        if (fits) continue;
        char found[128];
        tess_json_spell(value, found, sizeof found);
        return tess_json_refuse(s, known[i].key, known[i].value[0], found, err);
    }
    return TESS_OK;
}
#define CHECK(section, known, err) check_members(section, known, sizeof(known) / sizeof *(known), err)

/* QUIRK: what ByteLevel says of offsets, and all of it where it stands last, changes no token. */
static tess_status check_pre_tokenizer(const tess_json_section *top, tess_error *err)
{
    static const known_member sequence[] = {{"type", {"\"Sequence\""}}};
    static const known_member split[] = {
        {"type", {"\"Split\""}},
        {"pattern",
         {"{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "
          "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}"}},
        {"behavior", {"\"Isolated\""}},
        {"invert", {"false", "absent"}},
    };
    static const known_member bytes[] = {
        {"type", {"\"ByteLevel\""}}, {"add_prefix_space", {"false"}}, {"use_regex", {"false"}}};
    const json_t *steps = NULL;
    tess_json_section s, step;
    tess_status status = tess_json_enter(top, "pre_tokenizer", &s, err);
    if (status == TESS_OK) status = CHECK(&s, sequence, err);
    if (status == TESS_OK) status = tess_json_array(&s, "pretokenizers", 2, &steps, err);
    if (status == TESS_OK) status = tess_json_enter_item(&s, "pretokenizers", steps, 0, &step, err);
    if (status == TESS_OK) status = CHECK(&step, split, err);
    if (status == TESS_OK) status = tess_json_enter_item(&s, "pretokenizers", steps, 1, &step, err);
    return status == TESS_OK ? CHECK(&step, bytes, err) : status;
}

/* One that adds nothing to a single text: ByteLevel, which trims offsets, or a template of that text alone.
 */
static tess_status check_post_processor(const tess_json_section *top, tess_error *err)
{
    static const known_member trims[] = {{"type", {"\"ByteLevel\"", "\"TemplateProcessing\""}}};
    static const known_member adds_nothing[] = {
        {"single", {"[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]"}}};
    const json_t *value = json_object_get(top->object, "post_processor");
    tess_json_section s;
    if (!value || json_is_null(value)) return TESS_OK;
    tess_status status = tess_json_enter(top, "post_processor", &s, err);
    if (status == TESS_OK) status = CHECK(&s, trims, err);
    if (status != TESS_OK || !strcmp(json_string_value(json_object_get(s.object, "type")), "ByteLevel"))
        return status;
    return CHECK(&s, adds_nothing, err);
}

static tess_status check_parts(const tess_tokenizer_json *json, tess_error *err)
{
    static const known_member steps[] = {
        {"version", {"\"1.0\""}},
        {"truncation", {"null", "absent"}},
        {"padding", {"null", "absent"}},
        {"normalizer", {"{\"type\":\"NFC\"}"}},
    };
    static const known_member bytes[] = {{"type", {"\"ByteLevel\""}}};
    static const known_member bpe[] = {
        {"type", {"\"BPE\"", "absent"}},
        {"dropout", {"null", "absent"}},
        {"unk_token", {"null", "absent"}},
        {"fuse_unk", {"false", "absent"}},
        {"continuing_subword_prefix", {"\"\"", "null", "absent"}},
        {"end_of_word_suffix", {"\"\"", "null", "absent"}},
        {"byte_fallback", {"false", "absent"}},
        {"ignore_merges", {"false", "absent"}},
    };
    const tess_json_section top = {.object = json->parts, .file = json->file};
    tess_json_section model, decoder;
    const json_t *added;
    tess_status status = CHECK(&top, steps, err);
    if (status == TESS_OK) status = check_pre_tokenizer(&top, err);
    if (status == TESS_OK) status = check_post_processor(&top, err);
    if (status == TESS_OK) status = tess_json_enter(&top, "decoder", &decoder, err);
    if (status == TESS_OK) status = CHECK(&decoder, bytes, err);
    if (status == TESS_OK) status = tess_json_enter(&top, "model", &model, err);
    if (status == TESS_OK) status = CHECK(&model, bpe, err);
    if (status == TESS_OK) status = tess_json_array(&top, "added_tokens", SIZE_MAX, &added, err);
    if (status == TESS_OK && !json->vocab.n)
        return tess_json_refuse(&model, "vocab", "an object", "nothing", err);
    if (status == TESS_OK && !json->merges.n)
        return tess_json_refuse(&model, "merges", "an array", "nothing", err);
    return status;
}

tess_status tess_tokenizer_json_read(const char *folder, tess_tokenizer_json *json, tess_error *err)
{
    *json = (tess_tokenizer_json){.text = NULL};
    size_t size = 0;
    tess_status status = tess_folder_check(folder, "the folder of a model", err);
    if (status == TESS_OK)
        status = tess_vocab_path(folder, "tokenizer.json", json->file, sizeof json->file, err);
    if (status != TESS_OK || is_absent(json->file)) return status;
    status =
        tess_whole_file_read(json->file, "a JSON file", TESS_MAX_VOCAB_FILE_BYTES, &json->text, &size, err);
    if (status == TESS_OK) status = split_file(json, size, err);
    return status == TESS_OK ? check_parts(json, err) : status;
}

void tess_tokenizer_json_release(tess_tokenizer_json *json)
{
    free(json->text);
    json_decref(json->parts);
    json->text = NULL;
    json->parts = NULL;
}

/* ---- tokenizer_config.json */

tess_status tess_tokenizer_config_check(const tess_json_section *config, tess_error *err)
{
    static const known_member known[] = {
        {"add_prefix_space", {"false", "null", "absent"}},
        {"add_bos_token", {"false", "null", "absent"}},
        {"add_eos_token", {"false", "null", "absent"}},
        {"split_special_tokens", {"false", "absent"}},
        {"clean_up_tokenization_spaces", {"false", "null", "absent"}},
        {"errors", {"\"replace\"", "absent"}},
        {"tokenizer_class",
         {"\"Qwen2Tokenizer\"", "\"Qwen2TokenizerFast\"", "\"PreTrainedTokenizerFast\"",
          "\"TokenizersBackend\"", "null", "absent"}},
    };
    return CHECK(config, known, err);
}
