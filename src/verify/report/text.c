#include <math.h>
#include <stdint.h>
#include <string.h>

#include "verify/report/page.h"
#include "verify/trace/tap_name.h"

/* Length of the valid UTF-8 character at `at`, 0 if there is none; its code point in *code. */
static size_t character(const unsigned char *at, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : at[0] >> 3 == 30 ? 4 : 0;
    if (!length || length > n) return 0;
    *code = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2) return 0;
        *code = *code << 6 | (at[i] & 0x3f);
    }
    bool is_valid = *code >= least[length] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff);
    return is_valid ? length : 0;
}

/* Characters that reorder or hide their neighbours would make a report say what is not there. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code & 0xfffe) == 0xfffe;
}

static const char *visible_blank(uint32_t code)
{
    return code == ' ' ? "␣" : code == '\n' ? "↵" : code == '\t' ? "⇥" : NULL;
}

static void put(FILE *out, const char *text, size_t n_byte, bool is_token)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + n_byte;
    while (at < end) {
        uint32_t code;
        size_t length = character(at, (size_t)(end - at), &code);
        if (!length) {
            fputs("\xef\xbf\xbd", out);
            at++;
            continue;
        }
        const char *blank = is_token ? visible_blank(code) : NULL;
        if (blank)
            fprintf(out, "<i>%s</i>", blank);
        else if (is_hidden(code))
            fprintf(out, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        else if (code == '<' || code == '>' || code == '&' || code == '"' || code == '\'')
            fprintf(out, "&#%u;", (unsigned)code);
        else
            fwrite(at, 1, length, out);
        at += length;
    }
}

void tess_report_put_text(FILE *out, const char *text, size_t n_byte)
{
    put(out, text, n_byte, false);
}

void tess_report_put_string(FILE *out, const char *text)
{
    put(out, text, strlen(text), false);
}

void tess_report_put_token(FILE *out, const char *bytes, size_t n_byte)
{
    put(out, bytes, n_byte, true);
}

void tess_report_put_number(FILE *out, double value)
{
    if (isnan(value)) {
        fputs("–", out);
    } else if (isinf(value)) {
        fputs("∞", out);
    } else if (value == 0) {
        fputs("0", out);
    } else {
        char text[32];
        snprintf(text, sizeof text, "%.1e", value);
        /* 4.1e-07 is written 4.1e-7, and 1.0e+00 1.0e0. */
        char *exponent = strchr(text, 'e') + 1;
        fprintf(out, "%.*s%s%s", (int)(exponent - text), text, *exponent == '-' ? "-" : "",
                exponent + (exponent[1] == '0' ? 2 : 1));
    }
}

bool tess_report_is_expert(const tess_tap_report *tap)
{
    return tess_tap_place_of(tap->name).class == TESS_CLASS_EXPERT;
}

bool tess_report_by_steps(const tess_compare_result *result)
{
    for (int i = 0; i < result->n_tap; i++)
        if (result->tap[i].measure == TESS_MEASURE_STEPS) return true;
    return false;
}

bool tess_report_by_truth(const tess_compare_result *result)
{
    return result->truth && !tess_report_by_steps(result);
}
