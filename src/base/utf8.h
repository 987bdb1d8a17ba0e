/* UTF-8, one character at a time. */
#ifndef TESS_BASE_UTF8_H
#define TESS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands for bytes that are no character: U+FFFD. */
#define TESS_UTF8_REPLACEMENT "\xef\xbf\xbd"
enum { TESS_UTF8_REPLACEMENT_BYTES = sizeof TESS_UTF8_REPLACEMENT - 1 };

typedef enum tess_utf8 { TESS_UTF8_VALID, TESS_UTF8_INVALID, TESS_UTF8_INCOMPLETE } tess_utf8;

/* Judges what begins at p (n > 0 bytes are there). *used: the bytes of the character if valid; if invalid the
 * longest part that could have begun a character, at least 1 – the piece one U+FFFD stands for (Unicode 16,
 * section 3.9, as Rust's and the web's decoders do it); if incomplete all n. */
tess_utf8 tess_utf8_step(const uint8_t *p, size_t n, size_t *used);

/* Offset of the first byte that begins no valid character, or n. */
size_t tess_utf8_find_invalid(const uint8_t *text, size_t n);

/* Characters that steer whatever shows a text instead of standing in it: C0, DEL, C1, and those that turn the
 * direction of writing. */
bool tess_utf8_is_control(uint32_t code);

/* Copies a text, each such character and each byte that is no UTF-8 spelled out ("\n", "\x1b", "\u202e"),
 * except the ASCII ones in `kept`. Stops before what does not fit into `size` bytes with a NUL at the end;
 * returns the bytes of `text` that were taken. size >= 8 takes at least one character. */
size_t tess_utf8_escape(const char *text, size_t n_byte, const char *kept, char *out, size_t size);

/* Whether a byte of valid UTF-8 goes on with a character and begins none. */
static inline bool tess_utf8_goes_on(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Code point at p in valid UTF-8; returns its bytes. */
static inline size_t tess_utf8_read(const uint8_t *p, uint32_t *code)
{
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    if (p[0] < 0xe0) {
        *code = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
        return 2;
    }
    if (p[0] < 0xf0) {
        *code = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        return 3;
    }
    *code = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
            (p[3] & 0x3f);
    return 4;
}

/* Writes a code point; returns its bytes, at most 4. */
static inline size_t tess_utf8_write(uint32_t code, uint8_t *p)
{
    if (code < 0x80) {
        p[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        p[0] = (uint8_t)(0xc0 | code >> 6);
        p[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        p[0] = (uint8_t)(0xe0 | code >> 12);
        p[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        p[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | code >> 18);
    p[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    p[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    p[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

#endif
