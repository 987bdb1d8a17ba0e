/* Bytes of a data URL: they go out as base64 as soon as three are there. */
#ifndef TESS_VERIFY_REPORT_BASE64_H
#define TESS_VERIFY_REPORT_BASE64_H

#include <stdint.h>
#include <stdio.h>

typedef struct tess_base64 {
    FILE *out;
    uint32_t bits;
    int n; /* bytes that wait for others */
} tess_base64;

void tess_base64_put(tess_base64 *encoder, unsigned byte);
void tess_base64_put_number(tess_base64 *encoder, uint32_t value, int n_byte); /* the lowest byte first */
void tess_base64_end(tess_base64 *encoder);

#endif
