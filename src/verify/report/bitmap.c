/* Pictures as BMP in data URLs: every browser shows them, and nothing needs to be compressed. */
#include <stdint.h>

#include "verify/report/medium.h"

/* Bytes go out as base64 as soon as three are there. */
typedef struct encoder {
    FILE *out;
    uint32_t bits;
    int n;
} encoder;

static void put_group(encoder *e, int n_digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 4; i++) fputc(i < n_digit ? digits[e->bits >> (18 - 6 * i) & 63] : '=', e->out);
    e->bits = 0;
    e->n = 0;
}

static void put_byte(encoder *e, unsigned byte)
{
    e->bits |= (uint32_t)(byte & 255) << (16 - 8 * e->n++);
    if (e->n == 3) put_group(e, 4);
}

static void put_number(encoder *e, uint32_t value, int n_byte)
{
    for (int i = 0; i < n_byte; i++) put_byte(e, value >> 8 * i);
}

void tess_report_put_bitmap(FILE *out, const unsigned char *pixels, int wide, int high, int n_channel)
{
    enum { HEAD = 14 + 40, COLOURS = 256 };
    encoder e = {.out = out};
    uint32_t line = ((uint32_t)wide * (uint32_t)n_channel + 3) / 4 * 4; /* rows are whole words */
    uint32_t n_colour = n_channel == 1 ? COLOURS : 0, n_byte = line * (uint32_t)high;
    fputs("data:image/bmp;base64,", out);
    put_byte(&e, 'B');
    put_byte(&e, 'M');
    put_number(&e, HEAD + 4 * n_colour + n_byte, 4);
    put_number(&e, 0, 4);
    put_number(&e, HEAD + 4 * n_colour, 4);
    put_number(&e, 40, 4);
    put_number(&e, (uint32_t)wide, 4);
    put_number(&e, (uint32_t)high, 4);
    put_number(&e, 1, 2);
    put_number(&e, 8 * (uint32_t)n_channel, 2);
    put_number(&e, 0, 4);
    put_number(&e, n_byte, 4);
    put_number(&e, 2835, 4); /* pixels per metre: 72 to the inch */
    put_number(&e, 2835, 4);
    put_number(&e, n_colour, 4);
    put_number(&e, 0, 4);
    for (uint32_t i = 0; i < n_colour; i++) put_number(&e, i * 0x010101, 4);
    for (int y = high - 1; y >= 0; y--) { /* the lowest row comes first, blue before green before red */
        const unsigned char *at = pixels + (size_t)y * (size_t)wide * (size_t)n_channel;
        for (int x = 0; x < wide; x++, at += n_channel)
            for (int k = n_channel - 1; k >= 0; k--) put_byte(&e, at[k]);
        for (uint32_t x = (uint32_t)wide * (uint32_t)n_channel; x < line; x++) put_byte(&e, 0);
    }
    if (e.n) put_group(&e, e.n + 1);
}
