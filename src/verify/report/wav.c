/* Sound as WAV in data URLs: every browser plays it, and nothing needs to be compressed. */
#include "media/sound_wav.h"
#include "verify/report/base64.h"
#include "verify/report/page.h"

void tess_report_put_wav(FILE *out, const int16_t *samples, int64_t n, int rate_hz)
{
    uint8_t header[TESS_WAV_MOST_HEADER];
    tess_base64 e = {.out = out};
    tess_wav_write_header(rate_hz, false, (uint64_t)n, header);
    fputs("data:audio/wav;base64,", out);
    for (unsigned i = 0; i < tess_wav_header_size(false); i++) tess_base64_put(&e, header[i]);
    for (int64_t i = 0; i < n; i++) tess_base64_put_number(&e, (uint16_t)samples[i], sizeof *samples);
    tess_base64_end(&e);
}
