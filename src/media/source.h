/* Where the bytes of a medium come from: a file, standard input, a data URL, or memory.
 *
 * The bytes decide what a medium is, never its name. A source is plain data: whoever has bytes in memory
 * fills one in without opening anything.
 */
#ifndef TESS_MEDIA_SOURCE_H
#define TESS_MEDIA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct tess_source {
    const char *name; /* for messages */
    const char *path; /* of a regular file; NULL: the bytes are in memory */
    const void *data; /* [n_byte] */
    size_t n_byte;
    void *owned; /* what release frees; NULL for a borrowed source */
} tess_source;

/* `text` is a path, "-" (standard input, read to its end), or a data URL ("data:…;base64,…"; line breaks and
 * absent padding are accepted, whatever type it claims). A path is borrowed, and nothing but its being a
 * non-empty regular file is looked at. What is held in memory may be at most most_bytes long.
 * Errors: TESS_EINPUT  no such file, an empty one, one too long, what is no base64; TESS_EIO; TESS_ENOMEM. */
tess_status tess_source_open(const char *text, uint64_t most_bytes, tess_source *out, tess_error *err);
void tess_source_release(tess_source *source);

/* A source's bytes for reading here and there. */
typedef struct tess_source_reader {
    const tess_source *source; /* borrowed */
    int fd;                    /* -1: in memory */
    uint64_t n_byte;
} tess_source_reader;

tess_status tess_source_reader_open(const tess_source *source, tess_source_reader *out, tess_error *err);
void tess_source_reader_close(tess_source_reader *reader);
/* Copies at most n bytes from `offset` on; fewer only at the end. Returns their number, or -1 with errno. */
int64_t tess_source_reader_read(const tess_source_reader *reader, uint64_t offset, void *out, size_t n);

/* All bytes at once, with n_pad zeros behind them. A source in memory is borrowed if n_pad is 0, and copied
 * otherwise; *owned is what the caller frees. How large they may be, the caller asks reader->n_byte first. */
tess_status tess_source_reader_load(const tess_source_reader *reader, size_t n_pad, const uint8_t **data,
                                    void **owned, tess_error *err);

#endif
