/* Media files for tests, and media that must open. */
#ifndef TESS_TESTS_MEDIA_H
#define TESS_TESTS_MEDIA_H

#include <stddef.h>
#include <stdint.h>

#include "media/image_file.h"
#include "tessera/media.h"

/* A file's bytes, which the caller frees; a file that cannot be read fails the test. */
uint8_t *media_read(const char *path, size_t *n_byte);

/* A picture in its own size, whose rgb the caller frees; untouched by a failure. */
tess_status media_decode(const tess_source *source, uint64_t max_bytes, tess_picture *out, tess_error *err);

/* The published checkpoint's, and options with it. */
extern const tess_preprocessor media_published;
tess_medium_options media_options(void);

/* The caller frees it. What is refused fails the test. */
tess_medium *media_open(tess_media_kind kind, const char *source, const tess_medium_options *options);
void media_prepare(tess_medium *medium);

#endif
