/* Media files for tests. */
#ifndef TESS_TESTS_MEDIA_H
#define TESS_TESTS_MEDIA_H

#include <stddef.h>
#include <stdint.h>

#include "media/image_file.h"

/* A file's bytes, which the caller frees; a file that cannot be read fails the test. */
uint8_t *media_read(const char *path, size_t *n_byte);

/* A picture in its own size, whose rgb the caller frees; untouched by a failure. */
tess_status media_decode(const tess_source *source, uint64_t max_bytes, tess_picture *out, tess_error *err);

#endif
