/* libcrypto's plain functions, which its current versions call old: the new interface looks up providers and
 * a configuration file first, which adds 2 MB to a process that promises to stay small. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/whole_file.h"

_Static_assert(TESS_SHA256_BYTES == SHA256_DIGEST_LENGTH, "the digest has another length");
_Static_assert(sizeof(SHA256_CTX) <= sizeof(tess_sha256), "the record is too small");

static SHA256_CTX *context_of(tess_sha256 *sha)
{
    return (SHA256_CTX *)(void *)sha->state;
}

void tess_sha256_init(tess_sha256 *sha)
{
    SHA256_Init(context_of(sha));
}

void tess_sha256_add(tess_sha256 *sha, const void *bytes, size_t n_byte)
{
    SHA256_Update(context_of(sha), bytes, n_byte);
}

void tess_sha256_finish_bytes(tess_sha256 *sha, unsigned char digest[TESS_SHA256_BYTES])
{
    SHA256_Final(digest, context_of(sha));
}

void tess_sha256_spell(const unsigned char digest[TESS_SHA256_BYTES], char hex[TESS_SHA256_HEX])
{
    for (int i = 0; i < TESS_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void tess_sha256_finish(tess_sha256 *sha, char hex[TESS_SHA256_HEX])
{
    unsigned char digest[TESS_SHA256_BYTES];
    tess_sha256_finish_bytes(sha, digest);
    tess_sha256_spell(digest, hex);
}

void tess_sha256_bytes(const void *bytes, size_t n_byte, char hex[TESS_SHA256_HEX])
{
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, bytes, n_byte);
    tess_sha256_finish(&sha, hex);
}

tess_status tess_sha256_file(const char *path, char hex[TESS_SHA256_HEX], tess_error *err)
{
    struct stat info;
    int fd;
    tess_status status = tess_regular_file_open(path, "a file", &fd, &info, err);
    if (status != TESS_OK) return status;
    tess_sha256 sha;
    tess_sha256_init(&sha);
    char block[16384];
    int64_t offset = 0;
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int code = errno;
            close(fd);
            return tess_fail_system(err, code, path, offset, "read");
        }
        if (n == 0) break;
        offset += n;
        tess_sha256_add(&sha, block, (size_t)n);
    }
    close(fd);
    tess_sha256_finish(&sha, hex);
    return TESS_OK;
}
