/* SHA-256 of bytes that come in pieces, and of files. */
#ifndef TESS_BASE_DIGEST_H
#define TESS_BASE_DIGEST_H

#include <stddef.h>

#include "base/error.h"
#include "base/little_endian.h"

enum { TESS_SHA256_BYTES = 32, TESS_SHA256_HEX = 65 /* digits and a NUL */ };

/* Large enough for the library's own record; plain memory, nothing to release. */
typedef struct tess_sha256 {
    _Alignas(8) unsigned char state[128];
} tess_sha256;

void tess_sha256_init(tess_sha256 *sha);
void tess_sha256_add(tess_sha256 *sha, const void *bytes, size_t n_byte);
/* Both end the record's use: as bytes, and in lower-case digits. */
void tess_sha256_finish_bytes(tess_sha256 *sha, unsigned char digest[TESS_SHA256_BYTES]);
void tess_sha256_finish(tess_sha256 *sha, char hex[TESS_SHA256_HEX]);

/* A digest in digits. */
void tess_sha256_spell(const unsigned char digest[TESS_SHA256_BYTES], char hex[TESS_SHA256_HEX]);

/* Of bytes that are all there. */
void tess_sha256_bytes(const void *bytes, size_t n_byte, char hex[TESS_SHA256_HEX]);
/* Of a whole file. TESS_EINPUT if there is none, or something that is no regular file. */
tess_status tess_sha256_file(const char *path, char hex[TESS_SHA256_HEX], tess_error *err);

#endif
