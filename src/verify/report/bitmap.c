/* Pictures as BMP in data URLs: every browser shows them, and nothing needs to be compressed. */
#include <stdint.h>

#include "verify/report/base64.h"
#include "verify/report/page.h"

void tess_report_put_bitmap(FILE *out, const unsigned char *pixels, int wide, int high, int n_channel)
{
    enum { HEAD = 14 + 40, COLOURS = 256 };
    tess_base64 e = {.out = out};
    uint32_t line = ((uint32_t)wide * (uint32_t)n_channel + 3) / 4 * 4; /* rows are whole words */
    uint32_t n_colour = n_channel == 1 ? COLOURS : 0, n_byte = line * (uint32_t)high;
    fputs("data:image/bmp;base64,", out);
    tess_base64_put(&e, 'B');
    tess_base64_put(&e, 'M');
    tess_base64_put_number(&e, HEAD + 4 * n_colour + n_byte, 4);
    tess_base64_put_number(&e, 0, 4);
    tess_base64_put_number(&e, HEAD + 4 * n_colour, 4);
    tess_base64_put_number(&e, 40, 4);
    tess_base64_put_number(&e, (uint32_t)wide, 4);
    tess_base64_put_number(&e, (uint32_t)high, 4);
    tess_base64_put_number(&e, 1, 2);
    tess_base64_put_number(&e, 8 * (uint32_t)n_channel, 2);
    tess_base64_put_number(&e, 0, 4);
    tess_base64_put_number(&e, n_byte, 4);
    tess_base64_put_number(&e, 2835, 4); /* pixels per metre: 72 to the inch */
    tess_base64_put_number(&e, 2835, 4);
    tess_base64_put_number(&e, n_colour, 4);
    tess_base64_put_number(&e, 0, 4);
    for (uint32_t i = 0; i < n_colour; i++) tess_base64_put_number(&e, i * 0x010101, 4);
    for (int y = high - 1; y >= 0; y--) { /* the lowest row comes first, blue before green before red */
        const unsigned char *at = pixels + (size_t)y * (size_t)wide * (size_t)n_channel;
        for (int x = 0; x < wide; x++, at += n_channel)
            for (int k = n_channel - 1; k >= 0; k--) tess_base64_put(&e, at[k]);
        for (uint32_t x = (uint32_t)wide * (uint32_t)n_channel; x < line; x++) tess_base64_put(&e, 0);
    }
    tess_base64_end(&e);
}
