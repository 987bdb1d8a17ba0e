#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

tess_utf8 tess_utf8_step(const uint8_t *p, size_t n, size_t *used)
{
    uint8_t lead = p[0];
    /* The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF. */
    uint8_t low = 0x80, high = 0xbf;
    size_t length;
    *used = 1;
    if (lead < 0x80) return TESS_UTF8_VALID;
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
    } else {
        return TESS_UTF8_INVALID;
    }
    for (size_t i = 1; i < length; i++) {
        *used = i;
        if (i == n) return TESS_UTF8_INCOMPLETE;
        if (p[i] < low || p[i] > high) return TESS_UTF8_INVALID;
        low = 0x80;
        high = 0xbf;
    }
    *used = length;
    return TESS_UTF8_VALID;
}

size_t tess_utf8_find_invalid(const uint8_t *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (i + 8 <= n && (memcpy(&eight, text + i, 8), !(eight & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        size_t used;
        if (tess_utf8_step(text + i, n - i, &used) != TESS_UTF8_VALID) return i;
        i += used;
    }
    return n;
}

bool tess_utf8_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* The character or broken byte at p as it is shown; *used: its bytes. */
static void show_character(const uint8_t *p, size_t n, const char *kept, char shown[8], size_t *used)
{
    uint32_t code = p[0];
    bool is_valid = tess_utf8_step(p, n, used) == TESS_UTF8_VALID;
    if (is_valid) tess_utf8_read(p, &code);
    if (is_valid && (!tess_utf8_is_control(code) || (code && code < 0x80 && strchr(kept, (int)code)))) {
        memcpy(shown, p, *used);
        shown[*used] = 0;
        return;
    }
    if (!is_valid) *used = 1;
    if (code == '\n')
        strcpy(shown, "\\n");
    else
        snprintf(shown, 8, !is_valid || code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code & 0xffff);
}

size_t tess_utf8_escape(const char *text, size_t n_byte, const char *kept, char *out, size_t size)
{
    size_t taken = 0, written = 0;
    for (size_t used; taken < n_byte; taken += used) {
        char shown[8];
        show_character((const uint8_t *)text + taken, n_byte - taken, kept, shown, &used);
        size_t n = strlen(shown);
        if (written + n >= size) break;
        memcpy(out + written, shown, n);
        written += n;
    }
    out[written] = 0;
    return taken;
}
