#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "verify/report/page.h"
#include "verify/trace/tap_name.h"

/* Characters that cannot be seen would make a report say what is not there. */
static bool is_hidden(uint32_t code)
{
    return tess_utf8_is_control(code) || code == 0xad || (code >= 0x200b && code <= 0x200d) ||
           code == 0x2028 || code == 0x2029 || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
           (code & 0xfffe) == 0xfffe;
}

static const char *visible_blank(uint32_t code)
{
    return code == ' ' ? "␣" : code == '\n' ? "↵" : code == '\t' ? "⇥" : NULL;
}

static void put_escaped(FILE *out, const char *text, size_t n_byte, bool is_token)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + n_byte;
    for (size_t length; at < end; at += length) {
        if (tess_utf8_step(at, (size_t)(end - at), &length) != TESS_UTF8_VALID) {
            fputs(TESS_UTF8_REPLACEMENT, out);
            continue;
        }
        uint32_t code;
        tess_utf8_read(at, &code);
        const char *blank = is_token ? visible_blank(code) : NULL;
        if (blank)
            fprintf(out, "<i>%s</i>", blank);
        else if (is_hidden(code))
            fprintf(out, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        else if (code == '<' || code == '>' || code == '&' || code == '"' || code == '\'')
            fprintf(out, "&#%u;", (unsigned)code);
        else
            fwrite(at, 1, length, out);
    }
}

void tess_report_put_text(FILE *out, const char *text, size_t n_byte)
{
    put_escaped(out, text, n_byte, false);
}

void tess_report_put_string(FILE *out, const char *text)
{
    put_escaped(out, text, strlen(text), false);
}

void tess_report_put_token(FILE *out, const char *bytes, size_t n_byte)
{
    put_escaped(out, bytes, n_byte, true);
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
