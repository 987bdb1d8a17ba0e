#include "text/template_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text/vocab.h"

enum { N_DIGEST = 32, N_HEX = 2 * N_DIGEST };

/* SHA-256 of template files whose rules are those of chat.c. */
static const char *const known[] = {
    "90c1b81f29e41b7642b0cc02c877a10c8bf6751a8d8fa1d16ac9a718cf1c3d86", /* published, chat_template.json */
};

static tess_status hash_open_file(int fd, const char *file, EVP_MD_CTX *context, unsigned char *digest,
                                  tess_error *err)
{
    char block[16384];
    int64_t offset = 0;
    bool good = EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    while (good) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return tess_fail_system(err, errno, file, offset, "read");
        if (!n) break;
        offset += n;
        good = EVP_DigestUpdate(context, block, (size_t)n) == 1;
    }
    if (!good || EVP_DigestFinal_ex(context, digest, NULL) != 1)
        return tess_fail(err, TESS_ENOMEM, "%s: cannot compute its SHA-256", file);
    return TESS_OK;
}

/* Writes the hash in hexadecimal and a NUL; hex[0] = 0 if there is no such file. */
static tess_status hash_file(const char *file, char hex[N_HEX + 1], tess_error *err)
{
    hex[0] = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? TESS_OK : tess_fail_system(err, errno, file, -1, "open");
    unsigned char digest[N_DIGEST];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    tess_status status = context ? hash_open_file(fd, file, context, digest, err)
                                 : tess_fail(err, TESS_ENOMEM, "%s: no memory for its SHA-256", file);
    EVP_MD_CTX_free(context);
    close(fd);
    for (int i = 0; i < N_DIGEST && status == TESS_OK; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return status;
}

tess_status tess_template_check(const char *folder, tess_text *warning, tess_error *err)
{
    static const char *const names[] = {"chat_template.json", "chat_template.jinja"};
    for (size_t i = 0; i < 2; i++) {
        char file[PATH_MAX], hex[N_HEX + 1], sentence[PATH_MAX + 256];
        tess_status status = tess_vocab_path(folder, names[i], file, sizeof file, err);
        if (status == TESS_OK) status = hash_file(file, hex, err);
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
