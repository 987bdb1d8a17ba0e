#include "media/ends.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "media/peek.h"

/* What a check has found. */
typedef struct ending {
    tess_peek peek;
    uint64_t expected; /* bytes that there should be; 0: enough are there, as far as it is said */
    bool lacks_mark;   /* that every whole file of the kind ends with */
    const char
        *piece; /* what does not begin at the byte `broken`, where the one before it ends; NULL: none */
    uint64_t broken;
} ending;

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)tess_peek_be32(p) << 32 | tess_peek_be32(p + 4);
}

static uint64_t le64(const uint8_t *p)
{
    return (uint64_t)tess_peek_le32(p + 4) << 32 | tess_peek_le32(p);
}

/* Notes that a piece of n bytes begins at `offset`. Returns whether it lies in the file. */
static bool note_piece(ending *e, uint64_t offset, uint64_t n)
{
    uint64_t end;
    if (!tess_add_u64(offset, n, &end)) end = UINT64_MAX;
    if (end <= e->peek.n_byte) return true;
    e->expected = end;
    return false;
}

/* ---- chunks with a size ---- */

/* Sizes that stand for one that was not known when the header was written. */
static bool is_open_size(uint32_t n)
{
    return n == 0 || n >= 0x7fffff00;
}

static void check_wav(ending *e)
{
    uint64_t offset = 12;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, 8));) {
        const uint32_t n = tess_peek_le32(p + 4);
        const bool is_data = !memcmp(p, "data", 4);
        if (is_data && is_open_size(n)) return;
        if (!note_piece(e, offset + 8, n) || is_data) return;
        offset += 8 + (uint64_t)n + (n & 1);
    }
}

/* Long ones are several files of the kind, one behind the other. */
static void check_avi(ending *e)
{
    uint64_t offset = 0;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, 8)) && !memcmp(p, "RIFF", 4);) {
        const uint32_t n = tess_peek_le32(p + 4);
        if (is_open_size(n) || !note_piece(e, offset + 8, n)) return;
        offset += 8 + (uint64_t)n + (n & 1);
    }
}

static void check_aiff(ending *e)
{
    const uint8_t *p = tess_peek_at(&e->peek, 0, 8);
    if (p && !is_open_size(tess_peek_be32(p + 4))) note_piece(e, 8, tess_peek_be32(p + 4));
}

static void check_w64(ending *e)
{
    const uint8_t *p = tess_peek_at(&e->peek, 16, 8);
    if (p && le64(p) < INT64_MAX) note_piece(e, 0, le64(p));
}

static void check_caf(ending *e)
{
    uint64_t offset = 8;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, 12));) {
        const uint64_t n = be64(p + 4);
        if (n > INT64_MAX || !note_piece(e, offset + 12, n)) return;
        offset += 12 + n;
    }
}

/* Objects of a broadcast have no size. */
static void check_asf(ending *e)
{
    enum { HEAD_BYTES = 24 };
    uint64_t offset = 0;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, HEAD_BYTES));) {
        const uint64_t n = le64(p + 16);
        if (n < HEAD_BYTES || n > INT64_MAX || !note_piece(e, offset, n)) return;
        offset += n;
    }
}

static bool is_box_name(const uint8_t *p)
{
    for (int i = 0; i < 4; i++)
        if (!isalnum(p[i]) && p[i] != ' ' && p[i] != '_' && p[i] != '-' && p[i] != 0xa9) return false;
    return true;
}

static void note_break(ending *e, const char *piece, uint64_t offset)
{
    e->piece = piece;
    e->broken = offset;
}

/* Zeros up to the end are no damage. */
static bool is_padding(ending *e, uint64_t offset)
{
    static const uint8_t zeros[8];
    const uint8_t *p = tess_peek_at(&e->peek, offset, sizeof zeros);
    if (!p || memcmp(p, zeros, sizeof zeros) != 0) return false;
    p = tess_peek_at(&e->peek, e->peek.n_byte - sizeof zeros, sizeof zeros);
    return p && !memcmp(p, zeros, sizeof zeros);
}

/* A box of size 0 goes on to the end. */
static void check_mov(ending *e)
{
    uint64_t offset = 0;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, 8));) {
        uint64_t n = tess_peek_be32(p), head = 8;
        if (!is_box_name(p + 4)) {
            if (!is_padding(e, offset)) note_break(e, "box", offset);
            return;
        }
        if (n == 0) return;
        if (n == 1) {
            p = tess_peek_at(&e->peek, offset, 16);
            n = p ? be64(p + 8) : 0;
            head = 16;
        }
        if (n < head) note_break(e, "box", offset);
        if (n < head || !note_piece(e, offset, n)) return;
        offset += n;
    }
}

/* An EBML number that says a size: as many bytes as there are zeros before its first one, and one. Ones alone
 * are a size that was not known. Returns the bytes it takes, or 0. */
static size_t read_ebml_size(tess_peek *peek, uint64_t offset, uint64_t *out)
{
    const uint8_t *p = tess_peek_at(peek, offset, 1);
    if (!p || !*p) return 0;
    size_t n = 1;
    for (uint8_t bit = 0x80; !(*p & bit); bit >>= 1) n++;
    p = tess_peek_at(peek, offset, n);
    if (!p) return 0;
    uint64_t value = *p & (0xff >> n), ones = 0xff >> n;
    for (size_t i = 1; i < n; i++) {
        value = value << 8 | p[i];
        ones = ones << 8 | 0xff;
    }
    *out = value;
    return value == ones ? 0 : n;
}

static void check_matroska(ending *e)
{
    uint64_t n_head, n_segment;
    const size_t at = read_ebml_size(&e->peek, 4, &n_head);
    if (!at || n_head > e->peek.n_byte) return;
    const uint64_t offset = 4 + at + n_head;
    const uint8_t *p = tess_peek_at(&e->peek, offset, 4);
    if (!p || tess_peek_be32(p) != 0x18538067) return;
    const size_t n = read_ebml_size(&e->peek, offset + 4, &n_segment);
    if (n) note_piece(e, offset + 4 + n, n_segment);
}

/* ---- pieces that follow each other, and marks of an end ---- */

/* Tags follow each other, and behind each stands how long it is. */
static void check_flv(ending *e)
{
    enum { HEAD_BYTES = 11, LENGTH_BYTES = 4 };
    const uint8_t *p = tess_peek_at(&e->peek, 5, 4);
    uint64_t offset = p ? (uint64_t)tess_peek_be32(p) + LENGTH_BYTES : UINT64_MAX;
    while ((p = tess_peek_at(&e->peek, offset, HEAD_BYTES))) {
        const uint64_t n = HEAD_BYTES + (tess_peek_be32(p) & 0xffffff);
        if (!note_piece(e, offset, n + LENGTH_BYTES)) return;
        p = tess_peek_at(&e->peek, offset + n, LENGTH_BYTES);
        if (!p || tess_peek_be32(p) != n) {
            note_break(e, "tag", offset);
            return;
        }
        offset += n + LENGTH_BYTES;
    }
    e->lacks_mark = offset != e->peek.n_byte;
}

/* Pages follow each other; the last is flagged as its stream's last. */
static void check_ogg(ending *e)
{
    enum { HEAD_BYTES = 27, LAST = 4 };
    uint64_t offset = 0;
    for (const uint8_t *p; (p = tess_peek_at(&e->peek, offset, HEAD_BYTES));) {
        if (memcmp(p, "OggS", 5) != 0) {
            if (offset > 0 && !is_padding(e, offset)) note_break(e, "page", offset);
            return;
        }
        const int n_piece = p[26];
        uint64_t n = HEAD_BYTES + (uint64_t)n_piece;
        e->lacks_mark = !(p[5] & LAST);
        for (int i = 0; i < n_piece; i++) {
            p = tess_peek_at(&e->peek, offset + HEAD_BYTES + (uint64_t)i, 1);
            if (p) n += *p;
        }
        if (!note_piece(e, offset, n)) return;
        offset += n;
    }
}

static void check_gif(ending *e)
{
    uint64_t n = e->peek.n_byte;
    const uint8_t *p = NULL;
    while (n > 0 && (p = tess_peek_at(&e->peek, n - 1, 1)) && *p == 0) n--;
    e->lacks_mark = !p || *p != ';';
}

/* ---- which ---- */

void tess_ends_check(const tess_source_reader *reader, const char *format, char *out, size_t size)
{
    static const struct {
        const char *format, *name;
        void (*check)(ending *e);
    } kinds[] = {
        {"wav", "WAV", check_wav},
        {"avi", "AVI", check_avi},
        {"aiff", "AIFF", check_aiff},
        {"w64", "W64", check_w64},
        {"caf", "CAF", check_caf},
        {"asf", "ASF", check_asf},
        {"mov,mp4,m4a,3gp,3g2,mj2", "MP4", check_mov},
        {"matroska,webm", "Matroska", check_matroska},
        {"flv", "FLV", check_flv},
        {"ogg", "OGG", check_ogg},
        {"gif", "GIF", check_gif},
    };
    ending e = {.expected = 0};
    tess_peek_init(&e.peek, reader);
    *out = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(format, kinds[i].format) != 0) continue;
        kinds[i].check(&e);
        if (e.peek.failure) return; /* told where the file is read for what is in it */
        if (e.expected)
            snprintf(out, size, "found %llu bytes, expected %llu as its header says",
                     (unsigned long long)reader->n_byte, (unsigned long long)e.expected);
        else if (e.piece)
            snprintf(out, size, "found no %s at byte %llu, expected one where another ends", e.piece,
                     (unsigned long long)e.broken);
        else if (e.lacks_mark)
            snprintf(out, size, "found no end of it, expected one as in every whole %s file", kinds[i].name);
        return;
    }
}
