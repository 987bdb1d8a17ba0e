#include "media/sound_wav.h"

#include <string.h>

#include "base/little_endian.h"

enum { FORMAT_INTEGER = 1, FORMAT_FLOAT = 3 };

static uint8_t *put_name(uint8_t *at, const char name[4])
{
    memcpy(at, name, 4);
    return at + 4;
}

static uint8_t *put_16(uint8_t *at, unsigned value)
{
    uint16_t number = (uint16_t)value;
    memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

static uint8_t *put_32(uint8_t *at, uint64_t value)
{
    uint32_t number = (uint32_t)value;
    memcpy(at, &number, sizeof number);
    return at + sizeof number;
}

static unsigned sample_size(bool is_float)
{
    return is_float ? sizeof(float) : sizeof(int16_t);
}

uint64_t tess_wav_most_samples(bool is_float)
{
    return (UINT32_MAX - 1 - (tess_wav_header_size(is_float) - 8)) / sample_size(is_float);
}

void tess_wav_write_header(int rate_hz, bool is_float, uint64_t n_sample, uint8_t out[TESS_WAV_MOST_HEADER])
{
    unsigned size = sample_size(is_float), n_header = tess_wav_header_size(is_float);
    bool is_known = n_sample != TESS_WAV_UNKNOWN;
    uint64_t n_data = n_sample * size;
    uint8_t *at = put_name(out, "RIFF");
    at = put_32(at, is_known ? n_header - 8 + n_data : UINT32_MAX); /* what follows; 8: "RIFF" and this */
    at = put_name(at, "WAVE");
    at = put_name(at, "fmt ");
    at = put_32(at, is_float ? 18 : 16);
    at = put_16(at, is_float ? FORMAT_FLOAT : FORMAT_INTEGER);
    at = put_16(at, 1); /* channels */
    at = put_32(at, (uint64_t)rate_hz);
    at = put_32(at, (uint64_t)rate_hz * size); /* bytes a second */
    at = put_16(at, size);                     /* bytes of a sample in all channels */
    at = put_16(at, 8 * size);
    if (is_float) {
        at = put_16(at, 0); /* bytes of the extension */
        at = put_name(at, "fact");
        at = put_32(at, 4);
        at = put_32(at, is_known ? n_sample : UINT32_MAX);
    }
    at = put_name(at, "data");
    put_32(at, is_known ? n_data : UINT32_MAX);
}
