/* Files of sound read back, by the decoder that media are read with. */
#ifndef TESS_TESTS_SOUND_H
#define TESS_TESTS_SOUND_H

#include <stddef.h>

#include "media/audio_file.h"

typedef struct heard {
    float *samples; /* which the caller frees */
    size_t n;
    tess_audio_facts facts;
} heard;

/* Decodes a file to mono at rate_hz; one that cannot be decoded fails the test. */
heard hear_file(const char *path, int rate_hz);
heard hear_bytes(const void *bytes, size_t n_byte, int rate_hz);

/* n samples that no codec finds simple: tones and noise, within [-1, 1]. The caller frees them. */
float *make_sound(size_t n, int rate_hz);

#endif
