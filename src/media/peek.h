/* Looking at a file here and there, a few bytes at a time, for headers. A small window of it is kept, so that
 * a walk over many short pieces costs few system calls. */
#ifndef TESS_MEDIA_PEEK_H
#define TESS_MEDIA_PEEK_H

#include "media/source.h"

enum { TESS_PEEK_BYTES = 4096 };

typedef struct tess_peek {
    const tess_source_reader *reader; /* borrowed */
    const char *name;                 /* for messages */
    uint64_t n_byte, begin;           /* of the file; where the window begins */
    size_t n;                         /* bytes in the window */
    int failure;                      /* errno of a read that failed; 0 */
    uint8_t window[TESS_PEEK_BYTES];
} tess_peek;

void tess_peek_init(tess_peek *peek, const tess_source_reader *reader);
/* The n <= 64 bytes at `offset`, valid until the next call; NULL where the file ends before, or cannot be
 * read. */
const uint8_t *tess_peek_at(tess_peek *peek, uint64_t offset, size_t n);
/* What tess_peek_at could not give, as an error: `what` was expected at `offset`. */
tess_status tess_peek_refuse(const tess_peek *peek, uint64_t offset, const char *what, tess_error *err);

static inline uint32_t tess_peek_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t tess_peek_be32(const uint8_t *p)
{
    return tess_peek_be16(p) << 16 | tess_peek_be16(p + 2);
}
static inline uint32_t tess_peek_le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}
static inline uint32_t tess_peek_le32(const uint8_t *p)
{
    return tess_peek_le16(p + 2) << 16 | tess_peek_le16(p);
}

#endif
