/* A look at the chat templates of a model folder, which are never executed. */
#include "tessera/chat.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "text/tokenizer_json.h"

/* SHA-256 of template files whose rules are those of chat.c. */
static const char *const known[] = {
    "90c1b81f29e41b7642b0cc02c877a10c8bf6751a8d8fa1d16ac9a718cf1c3d86", /* published, chat_template.json */
    "65293fd18147b4709da9397238200e8daee322a41814b4dc0dd1a746d5bebfe5", /* a published text, as a file alone
                                                                         */
};

/* hex[0] = 0 if there is no such file. */
static tess_status hash_template(const char *file, char hex[TESS_SHA256_HEX], tess_error *err)
{
    hex[0] = 0;
    return access(file, F_OK) && errno == ENOENT ? TESS_OK : tess_sha256_file(file, hex, err);
}

/* Appends a sentence unless the hash is known. `key`: " (chat_template)" or "". */
static tess_status judge_template(const char *file, const char *key, const char *hex, tess_text *warning,
                                  tess_error *err)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (!strcmp(hex, known[k])) return TESS_OK;
    char sentence[PATH_MAX + 256];
    int n = snprintf(sentence, sizeof sentence,
                     "%s%s%s: not the published chat template (SHA-256 %s); it is not used, prompts follow "
                     "the published rules",
                     warning->count ? "; " : "", file, key, hex);
    return tess_text_append(warning, sentence, (size_t)n, err);
}

/* chat_template of tokenizer_config.json: a text, or a list of named ones. */
static tess_status check_inner_template(const char *folder, tess_text *warning, tess_error *err)
{
    char file[PATH_MAX], hex[TESS_SHA256_HEX] = "";
    json_t *root;
    tess_status status = tess_tokenizer_config_read(folder, file, &root, err);
    const json_t *template = json_object_get(root, "chat_template");
    bool is_there = status == TESS_OK && template && !json_is_null(template);
    if (is_there) {
        char *text = json_is_string(template) ? NULL : json_dumps(template, 0);
        const char *hashed = text ? text : json_string_value(template);
        if (hashed)
            tess_sha256_bytes(hashed, strlen(hashed), hex);
        else
            status = tess_fail(err, TESS_ENOMEM, "%s: no memory for its chat template", file);
        free(text);
    }
    json_decref(root);
    return status == TESS_OK && is_there ? judge_template(file, " (chat_template)", hex, warning, err)
                                         : status;
}

/* QUIRK: the original asks tokenizer_config.json only where there is no file. */
tess_status tess_template_check(const char *folder, tess_text *warning, tess_error *err)
{
    static const char *const names[] = {"chat_template.json", "chat_template.jinja"};
    bool is_there = false;
    for (size_t i = 0; i < 2; i++) {
        char file[PATH_MAX], hex[TESS_SHA256_HEX];
        tess_status status = tess_vocab_path(folder, names[i], file, sizeof file, err);
        if (status == TESS_OK) status = hash_template(file, hex, err);
        if (status == TESS_OK && hex[0]) status = judge_template(file, "", hex, warning, err);
        if (status != TESS_OK) return status;
        is_there |= hex[0] != 0;
    }
    return is_there ? TESS_OK : check_inner_template(folder, warning, err);
}
