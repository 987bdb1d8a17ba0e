#include "base/error.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tess_status_name(tess_status status)
{
    switch (status) {
    case TESS_OK:
        return "ok";
    case TESS_EUSAGE:
        return "usage";
    case TESS_EINPUT:
        return "bad_input";
    case TESS_EUNSUPPORTED:
        return "unsupported";
    case TESS_ENONFINITE:
        return "non_finite";
    case TESS_EIO:
        return "io";
    case TESS_ENOMEM:
        return "memory";
    case TESS_EBUDGET:
        return "budget";
    case TESS_EINTERRUPTED:
        return "interrupted";
    }
    return "unknown";
}

/* Copies what fits; a cut text ends in "…" so that nobody mistakes it for the whole. */
static void copy_text(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length < size) {
        memcpy(to, from, length + 1);
        return;
    }
    static const char cut[] = "…";
    memcpy(to, from, size - sizeof cut);
    memcpy(to + size - sizeof cut, cut, sizeof cut);
}

static void clear_record(tess_error *err, tess_status status)
{
    memset(err, 0, sizeof *err);
    err->status = status;
    err->offset = -1;
}

tess_status tess_fail(tess_error *err, tess_status status, const char *format, ...)
{
    if (!err) return status;
    clear_record(err, status);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

void tess_spell_number(double value, char out[32])
{
    /* With fewer than six a thousand would be 1e+03; the smallest of numbers have no six. */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 6; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value) return;
    }
}

static void refuse_value(tess_error *err, tess_status status, const char *file, const char *field,
                         int64_t offset, const char *expected, const char *found_format, va_list args)
{
    clear_record(err, status);
    err->offset = offset;
    copy_text(err->file, sizeof err->file, file);
    copy_text(err->field, sizeof err->field, field);
    copy_text(err->expected, sizeof err->expected, expected);
    vsnprintf(err->found, sizeof err->found, found_format, args);
    char place[40] = "";
    if (offset >= 0) snprintf(place, sizeof place, "%sbyte %lld", *file ? " at " : "", (long long)offset);
    snprintf(err->message, sizeof err->message, "%s%s%s%s%sfound %s, expected %s", err->file, place,
             *err->file || *place ? ": " : "", err->field, *err->field ? ": " : "", err->found,
             err->expected);
}

tess_status tess_refuse(tess_error *err, const char *file, const char *field, int64_t offset,
                        const char *expected, const char *found_format, ...)
{
    if (!err) return TESS_EINPUT;
    va_list args;
    va_start(args, found_format);
    refuse_value(err, TESS_EINPUT, file, field, offset, expected, found_format, args);
    va_end(args);
    return TESS_EINPUT;
}

tess_status tess_refuse_option(tess_error *err, const char *option, const char *expected,
                               const char *found_format, ...)
{
    if (!err) return TESS_EUSAGE;
    va_list args;
    va_start(args, found_format);
    refuse_value(err, TESS_EUSAGE, "", option, -1, expected, found_format, args);
    va_end(args);
    return TESS_EUSAGE;
}

tess_status tess_refuse_unsupported(tess_error *err, const char *field, const char *expected,
                                    const char *found_format, ...)
{
    if (!err) return TESS_EUNSUPPORTED;
    va_list args;
    va_start(args, found_format);
    refuse_value(err, TESS_EUNSUPPORTED, "", field, -1, expected, found_format, args);
    va_end(args);
    return TESS_EUNSUPPORTED;
}

tess_status tess_refuse_context(tess_error *err, const char *file, int64_t n_prompt, const char *parts,
                                int n_before, int n_new, int n_context, int n_most)
{
    char expected[96], sum[128] = "", before[32] = "", more[40] = "";
    bool is_all = n_context >= n_most;
    if (is_all)
        snprintf(expected, sizeof expected, "at most %d, the positions that this model has%s", n_most,
                 *parts ? "; fewer or smaller media take fewer" : "");
    else
        snprintf(expected, sizeof expected, "at most the %d positions planned for", n_context);
    if (*parts) snprintf(sum, sizeof sum, " (%s)", parts);
    if (n_before) snprintf(before, sizeof before, " after %d", n_before);
    if (n_new) snprintf(more, sizeof more, " and %d to generate", n_new);
    tess_refuse(err, file, is_all ? "n_tok" : "n_context", -1, expected, "%lld tokens%s%s%s",
                (long long)n_prompt, sum, before, more);
    if (err) err->status = TESS_EUSAGE;
    return TESS_EUSAGE;
}

tess_status tess_refuse_bytes(tess_error *err, const char *file, const char *what, uint64_t n_byte,
                              uint64_t max_bytes)
{
    const unsigned long long needed = n_byte, most = max_bytes;
    if (!err) return TESS_EBUDGET;
    clear_record(err, TESS_EBUDGET);
    err->smallest_budget_bytes = n_byte;
    copy_text(err->file, sizeof err->file, file);
    copy_text(err->field, sizeof err->field, "max_bytes");
    snprintf(err->found, sizeof err->found, "%llu bytes", most);
    snprintf(err->expected, sizeof err->expected, "%llu bytes", needed);
    snprintf(err->message, sizeof err->message,
             "%s: max_bytes: %s %llu bytes, and %llu bytes of the budget are left", err->file, what, needed,
             most > 1 ? most : 0);
    return TESS_EBUDGET;
}

tess_status tess_fail_system(tess_error *err, int code, const char *file, int64_t offset, const char *what)
{
    tess_status status = code == ENOMEM ? TESS_ENOMEM : TESS_EIO;
    if (!err) return status;
    clear_record(err, status);
    err->os_errno = code;
    err->offset = offset;
    copy_text(err->file, sizeof err->file, file);
    char reason[96];
    const char *text = strerror_r(code, reason, sizeof reason);
    char place[40] = "";
    if (offset >= 0) snprintf(place, sizeof place, " at byte %lld", (long long)offset);
    snprintf(err->message, sizeof err->message, "%s: cannot %s%s: %s", err->file, what, place, text);
    return status;
}

_Noreturn void tess_bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "tessera: internal error at %s:%d: %s. Please report this.\n", file, line, what);
    abort();
}
