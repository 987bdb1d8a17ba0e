#include "verify/report/base64.h"

static void put_group(tess_base64 *e, int n_digit)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 4; i++) fputc(i < n_digit ? digits[e->bits >> (18 - 6 * i) & 63] : '=', e->out);
    e->bits = 0;
    e->n = 0;
}

void tess_base64_put(tess_base64 *e, unsigned byte)
{
    e->bits |= (uint32_t)(byte & 255) << (16 - 8 * e->n++);
    if (e->n == 3) put_group(e, 4);
}

void tess_base64_put_number(tess_base64 *e, uint32_t value, int n_byte)
{
    for (int i = 0; i < n_byte; i++) tess_base64_put(e, value >> 8 * i);
}

void tess_base64_end(tess_base64 *e)
{
    if (e->n) put_group(e, e->n + 1);
}
