/* WAV: its header, mono, as Microsoft's and IBM's RIFF of 1991 and the formats of 1994 lay it out. */
#ifndef TESS_MEDIA_SOUND_WAV_H
#define TESS_MEDIA_SOUND_WAV_H

#include <stdbool.h>
#include <stdint.h>

/* "fmt " and "data" for 16-bit integers; for floats, which are format 3, its extension's size and "fact",
 * the number of samples, stand between. */
enum { TESS_WAV_INT16_HEADER = 44, TESS_WAV_FLOAT_HEADER = 58, TESS_WAV_MOST_HEADER = 58 };

/* A length that is not known yet: all sizes are 0xFFFFFFFF then, and players read to the end. */
#define TESS_WAV_UNKNOWN UINT64_MAX

static inline unsigned tess_wav_header_size(bool is_float)
{
    return is_float ? TESS_WAV_FLOAT_HEADER : TESS_WAV_INT16_HEADER;
}

/* The most samples that its sizes of 32 bits can tell; 0xFFFFFFFF means what is not known. */
uint64_t tess_wav_most_samples(bool is_float);

/* Writes tess_wav_header_size() bytes. n_sample: at most as many as above, or TESS_WAV_UNKNOWN. */
void tess_wav_write_header(int rate_hz, bool is_float, uint64_t n_sample, uint8_t out[TESS_WAV_MOST_HEADER]);

#endif
