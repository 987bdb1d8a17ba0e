/* The split of the original's pattern, written as a scanner. The pattern's alternatives, tried in this order:
 *
 *   1  (?i:'s|'t|'re|'ve|'m|'ll|'d)      an English contraction
 *   2  [^\r\n\p{L}\p{N}]?\p{L}+          letters, with one character before them that is no number or line
 * break 3  \p{N}                             one number character 4   ?[^\s\p{L}\p{N}]+[\r\n]*         other
 * characters, with a space before and line breaks after 5  \s*[\r\n]+                        white space up
 * to its last line break 6  \s+(?!\S)                         white space, but for its last character if
 * something follows 7  \s+                               white space
 *
 * Every character is of one class (letter, number, space, other), so at every place one alternative matches
 * and none needs backtracking: where 5 fails the run has no line break, where 6 fails the run is one
 * character. A run of white space is looked at at most three times, so the scan is linear.
 */
#include "text/pretokenize.h"

#include <stdbool.h>

#include "base/utf8.h"
#include "text/unicode.h"

static tess_unicode_class class_at(const uint8_t *text, size_t at, size_t *next)
{
    uint32_t code;
    *next = at + tess_utf8_read(text + at, &code);
    return tess_char_get_class(code);
}

static bool is_line_break(uint8_t byte)
{
    return byte == '\r' || byte == '\n';
}

/* The end of the run of characters of class `wanted` from `at`, which may be empty. */
static size_t skip_class(const uint8_t *text, size_t n, size_t at, tess_unicode_class wanted)
{
    size_t next;
    while (at < n && class_at(text, at, &next) == wanted) at = next;
    return at;
}

/* The end of a contraction whose apostrophe stands at `at`, or `at` if there is none.
 * QUIRK: without regard to case, U+017F (long s) is an s. */
static size_t skip_contraction(const uint8_t *text, size_t n, size_t at)
{
    if (n - at < 2) return at;
    uint8_t first = text[at + 1] | 0x20;
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if (n - at < 3) return at;
    if (text[at + 1] == 0xc5 && text[at + 2] == 0xbf) return at + 3;
    uint8_t second = text[at + 2] | 0x20;
    bool pair =
        (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
    return pair ? at + 3 : at;
}

static size_t skip_white_space(const uint8_t *text, size_t n, size_t at)
{
    size_t end = at, last = at, after_break = at, next;
    while (end < n && class_at(text, end, &next) == TESS_UNICODE_SPACE) {
        if (is_line_break(text[end])) after_break = next;
        last = end;
        end = next;
    }
    if (after_break > at) return after_break;
    return end == n || last == at ? end : last;
}

size_t tess_word_get_end(const uint8_t *text, size_t n, size_t at)
{
    size_t next;
    tess_unicode_class first = class_at(text, at, &next);
    if (first == TESS_UNICODE_LETTER) return skip_class(text, n, next, TESS_UNICODE_LETTER);
    if (first == TESS_UNICODE_NUMBER) return next;
    if (text[at] == '\'') {
        size_t end = skip_contraction(text, n, at);
        if (end > at) return end;
    }
    size_t after;
    tess_unicode_class second = next < n ? class_at(text, next, &after) : TESS_UNICODE_SPACE;
    if (second == TESS_UNICODE_LETTER && !is_line_break(text[at]))
        return skip_class(text, n, after, TESS_UNICODE_LETTER);
    if (first == TESS_UNICODE_OTHER || (text[at] == ' ' && second == TESS_UNICODE_OTHER)) {
        size_t end = skip_class(text, n, next, TESS_UNICODE_OTHER);
        while (end < n && is_line_break(text[end])) end++;
        return end;
    }
    return skip_white_space(text, n, at);
}
