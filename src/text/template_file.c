#include "text/template_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "text/vocab.h"

/* SHA-256 of template files whose rules are those of chat.c. */
static const char *const known[] = {
    "90c1b81f29e41b7642b0cc02c877a10c8bf6751a8d8fa1d16ac9a718cf1c3d86", /* published, chat_template.json */
};

/* hex[0] = 0 if there is no such file. */
static tess_status hash_template(const char *file, char hex[TESS_SHA256_HEX], tess_error *err)
{
    hex[0] = 0;
    return access(file, F_OK) && errno == ENOENT ? TESS_OK : tess_sha256_file(file, hex, err);
}

tess_status tess_template_check(const char *folder, tess_text *warning, tess_error *err)
{
    static const char *const names[] = {"chat_template.json", "chat_template.jinja"};
    for (size_t i = 0; i < 2; i++) {
        char file[PATH_MAX], hex[TESS_SHA256_HEX], sentence[PATH_MAX + 256];
        tess_status status = tess_vocab_path(folder, names[i], file, sizeof file, err);
        if (status == TESS_OK) status = hash_template(file, hex, err);
        if (status != TESS_OK) return status;
        bool fine = !hex[0];
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) fine |= !strcmp(hex, known[k]);
        if (fine) continue;
        int n = snprintf(sentence, sizeof sentence,
                         "%s%s: not the published chat template (SHA-256 %s); it is not used, prompts follow "
                         "the published rules",
                         warning->count ? "; " : "", file, hex);
        status = tess_text_append(warning, sentence, (size_t)n, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}
