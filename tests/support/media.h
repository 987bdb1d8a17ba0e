/* Media files for tests. */
#ifndef TESS_TESTS_MEDIA_H
#define TESS_TESTS_MEDIA_H

#include <stddef.h>
#include <stdint.h>

/* A file's bytes, which the caller frees; a file that cannot be read fails the test. */
uint8_t *media_read(const char *path, size_t *n_byte);

#endif
