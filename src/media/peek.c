#include "media/peek.h"

#include <errno.h>

void tess_peek_init(tess_peek *peek, const tess_source_reader *reader)
{
    peek->reader = reader;
    peek->name = reader->source->name;
    peek->n_byte = reader->n_byte;
    peek->begin = peek->n = 0;
    peek->failure = 0;
}

const uint8_t *tess_peek_at(tess_peek *peek, uint64_t offset, size_t n)
{
    TESS_ASSERT(n <= 64);
    if (offset > peek->n_byte || n > peek->n_byte - offset) return NULL;
    if (offset < peek->begin || offset + n > peek->begin + peek->n) {
        int64_t got = tess_source_reader_read(peek->reader, offset, peek->window, sizeof peek->window);
        if (got < 0) peek->failure = errno;
        peek->begin = offset;
        peek->n = got > 0 ? (size_t)got : 0;
        if (n > peek->n) return NULL;
    }
    return peek->window + (offset - peek->begin);
}

tess_status tess_peek_refuse(const tess_peek *peek, uint64_t offset, const char *what, tess_error *err)
{
    if (peek->failure) return tess_fail_system(err, peek->failure, peek->name, (int64_t)offset, "read");
    return tess_refuse(err, peek->name, "", (int64_t)offset, what, "the end of the file at byte %llu",
                       (unsigned long long)peek->n_byte);
}
