/* NFC: decompose, put combining marks in order, compose (Unicode Standard, sections 3.11 and 3.12).
 *
 * The text is cut into clusters. Most code points are stable: they are their own NFC and join nothing that
 * stands before them. A cluster is one stable code point and the sensitive ones that follow it; nothing
 * crosses its borders, and one without sensitive code points is copied as it is.
 */
#include "text/normalize.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum {
    HANGUL_S = 0xac00,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11a7, /* one before the first trailing consonant */
    N_L = 19,
    N_V = 21,
    N_T = 28,
    MOST_PARTS = 8, /* more than the longest decomposition */
};

/* A decomposed cluster. Each item is class << 56 | place << 24 | code point, so that sorting numbers sorts
 * marks by class and keeps those of one class in their order. */
typedef struct cluster {
    uint64_t *item;
    size_t count, capacity;
} cluster;

static uint32_t code_of(uint64_t item)
{
    return (uint32_t)(item & 0xffffff);
}

static uint8_t class_of(uint64_t item)
{
    return (uint8_t)(item >> 56);
}

bool tess_nfc_is_trivial(const uint8_t *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (text[i] < 0xcc) { /* below U+0300 */
            i += text[i] < 0x80 ? 1 : 2;
            continue;
        }
        uint32_t code;
        i += tess_utf8_read(text + i, &code);
        if (tess_char_is_sensitive(code)) return false;
    }
    return true;
}

static size_t decompose(uint32_t code, uint32_t parts[MOST_PARTS])
{
    if (code - HANGUL_S < N_L * N_V * N_T) {
        uint32_t index = code - HANGUL_S;
        parts[0] = HANGUL_L + index / (N_V * N_T);
        parts[1] = HANGUL_V + index / N_T % N_V;
        parts[2] = HANGUL_T + index % N_T;
        return index % N_T ? 3 : 2;
    }
    const tess_unicode_pair *pair = tess_char_get_decomposition(code);
    if (!pair) {
        parts[0] = code;
        return 1;
    }
    size_t n = decompose(pair->first, parts);
    if (pair->second) parts[n++] = pair->second;
    return n;
}

/* The code point of two that compose, or 0. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    if (first - HANGUL_L < N_L && second - HANGUL_V < N_V)
        return HANGUL_S + ((first - HANGUL_L) * N_V + second - HANGUL_V) * N_T;
    if (first - HANGUL_S < N_L * N_V * N_T && (first - HANGUL_S) % N_T == 0 &&
        second - HANGUL_T - 1 < N_T - 1)
        return first + second - HANGUL_T;
    return tess_char_get_composition(first, second);
}

static tess_status cluster_add(cluster *c, uint32_t code, tess_error *err)
{
    if (c->capacity - c->count < MOST_PARTS) {
        size_t wanted = c->capacity * 2 + 4 * MOST_PARTS;
        uint64_t *item = realloc(c->item, wanted * sizeof *item);
        if (!item)
            return tess_fail(err, TESS_ENOMEM, "no memory for %zu combining characters in a row", wanted);
        c->item = item;
        c->capacity = wanted;
    }
    uint32_t parts[MOST_PARTS];
    size_t n = decompose(code, parts);
    for (size_t i = 0; i < n; i++) {
        uint64_t place = c->count;
        c->item[c->count++] = (uint64_t)tess_char_get_combining(parts[i]) << 56 | place << 24 | parts[i];
    }
    return TESS_OK;
}

static int compare_items(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts every run of marks between starters. */
static void cluster_order(cluster *c)
{
    for (size_t i = 0; i < c->count;) {
        size_t end = i;
        bool ordered = true;
        for (; end < c->count && class_of(c->item[end]); end++)
            if (end > i && c->item[end] < c->item[end - 1]) ordered = false;
        if (!ordered) qsort(c->item + i, end - i, sizeof *c->item, compare_items);
        i = end + 1;
    }
}

/* Joins each character to the last starter before it unless something between them blocks it. */
static void cluster_compose(cluster *c)
{
    size_t kept = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < c->count; i++) {
        uint8_t class = class_of(c->item[i]);
        if (starter != SIZE_MAX) {
            uint8_t before = class_of(c->item[kept - 1]);
            bool adjacent = starter == kept - 1;
            uint32_t joined = adjacent || (before && before < class)
                                  ? compose(code_of(c->item[starter]), code_of(c->item[i]))
                                  : 0;
            if (joined) {
                c->item[starter] = joined;
                continue;
            }
        }
        c->item[kept++] = c->item[i];
        if (!class) starter = kept - 1;
    }
    c->count = kept;
}

static tess_status cluster_write(cluster *c, tess_text *out, tess_error *err)
{
    cluster_order(c);
    cluster_compose(c);
    tess_status status = TESS_OK;
    for (size_t i = 0; i < c->count && status == TESS_OK; i++) {
        uint8_t bytes[4];
        size_t n = tess_utf8_write(code_of(c->item[i]), bytes);
        status = tess_text_append(out, (const char *)bytes, n, err);
    }
    c->count = 0;
    return status;
}

static tess_status append_clusters(const uint8_t *text, size_t n, cluster *c, tess_text *out, tess_error *err)
{
    tess_status status = TESS_OK;
    size_t done = 0;   /* text before this is written */
    size_t stable = 0; /* the last stable code point, if after `done` */
    for (size_t i = 0; i < n && status == TESS_OK;) {
        uint32_t code;
        size_t next = i + tess_utf8_read(text + i, &code);
        if (!tess_char_is_sensitive(code)) {
            stable = i;
            i = next;
            continue;
        }
        status = tess_text_append(out, (const char *)text + done, stable - done, err);
        for (i = stable; i < n && status == TESS_OK; i = next) {
            next = i + tess_utf8_read(text + i, &code);
            if (i != stable && !tess_char_is_sensitive(code)) break;
            status = cluster_add(c, code, err);
        }
        if (status == TESS_OK) status = cluster_write(c, out, err);
        done = stable = i;
    }
    if (status == TESS_OK) status = tess_text_append(out, (const char *)text + done, n - done, err);
    return status;
}

tess_status tess_nfc_append(const uint8_t *text, size_t n, tess_text *out, tess_error *err)
{
    cluster c = {0};
    tess_status status = append_clusters(text, n, &c, out, err);
    free(c.item);
    return status;
}
