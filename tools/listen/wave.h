/* A WAV file as Tessera writes it: 24 kHz, one channel, 16 bits, a header of 44 bytes. */
#ifndef LISTEN_WAVE_H
#define LISTEN_WAVE_H

#include <stddef.h>

#include "base/error.h"

/* Reads all samples, +-1; the caller frees them. Errors: TESS_EINPUT  it is no such file, by the field of its
 * header; it is longer than an hour; TESS_EIO, TESS_ENOMEM. */
tess_status wave_read(const char *path, float **out, size_t *n_sample, tess_error *err);

#endif
