#include "media/png_text.h"

#include <stdlib.h>
#include <string.h>

#include "media/libraries.h"

/* What Pillow unpacks of a text at most. */
enum { MOST_TEXT_BYTES = 1 << 20 };

/* ---- chunks ---- */

/* Whether the data begin with a keyword and the zero behind it, which are then left out. */
static bool take_keyword(tess_peek *peek, const char *keyword, tess_piece *data)
{
    const size_t n = strlen(keyword) + 1;
    const uint8_t *p = n <= data->n ? tess_peek_at(peek, data->offset, n) : NULL;
    if (!p || memcmp(p, keyword, n) != 0) return false;
    *data = (tess_piece){data->offset + n, data->n - n};
    return true;
}

/* Leaves out what comes up to the next zero, and that. */
static bool skip_word(tess_peek *peek, tess_piece *data)
{
    for (const uint8_t *p; data->n > 0 && (p = tess_peek_at(peek, data->offset, 1));) {
        *data = (tess_piece){data->offset + 1, data->n - 1};
        if (*p == 0) return true;
    }
    return false;
}

/* The text behind the keyword: of tEXt all, of zTXt what follows a method, of iTXt what follows flag, method
 * and two words. */
static bool find_text(tess_peek *peek, const uint8_t type[4], tess_piece data, tess_png_text *out)
{
    const bool is_plain = type[0] == 't', is_packed = type[0] == 'z';
    *out = (tess_png_text){.piece = data};
    if (is_plain) return true;
    const size_t n = is_packed ? 1 : 2;
    const uint8_t *p = n <= data.n ? tess_peek_at(peek, data.offset, n) : NULL;
    if (!p) return false;
    out->is_compressed = is_packed || p[0] != 0;
    if (out->is_compressed && p[n - 1] != 0) return false;
    out->piece = (tess_piece){data.offset + n, data.n - n};
    const int n_word = is_packed ? 0 : 2;
    for (int i = 0; i < n_word; i++)
        if (!skip_word(peek, &out->piece)) return false;
    return true;
}

static void note_text(tess_png_notes *notes, tess_peek *peek, const uint8_t type[4], tess_piece data)
{
    tess_png_text text;
    tess_piece rest = data;
    if (take_keyword(peek, "XML:com.adobe.xmp", &rest)) {
        if (find_text(peek, type, rest, &text)) notes->xmp = text;
    } else if (take_keyword(peek, "Raw profile type exif", &rest)) {
        if (find_text(peek, type, rest, &text)) notes->profile = text;
    } else if (type[0] == 't' && take_keyword(peek, "exif", &rest))
        notes->exif = rest;
}

void tess_png_note(tess_png_notes *notes, tess_peek *peek, const uint8_t type[4], tess_piece data)
{
    uint8_t name[4]; /* the window that `type` may lie in moves on */
    memcpy(name, type, sizeof name);
    if (!memcmp(name, "acTL", 4)) {
        const uint8_t *p = tess_peek_at(peek, data.offset, 4);
        notes->n_frame = p && data.n >= 8 && !notes->n_frame ? tess_peek_be32(p) : 0;
    }
    if (!memcmp(name, "IDAT", 4) && !notes->has_pixels) {
        notes->has_pixels = true;
        if (notes->n_frame && !notes->has_frame) notes->n_frame++; /* a picture that is no frame */
    }
    if (!memcmp(name, "fcTL", 4)) {
        notes->is_over |= notes->has_pixels && notes->n_frame > 1; /* another frame */
        notes->has_frame = true;
    }
    if (notes->is_over) return;
    if (!memcmp(name, "eXIf", 4)) notes->exif = data;
    if (!memcmp(name, "tEXt", 4) || !memcmp(name, "zTXt", 4) || !memcmp(name, "iTXt", 4))
        note_text(notes, peek, name, data);
}

/* ---- texts ---- */

/* Bytes in memory, and one beyond what may be there. */
typedef struct text {
    uint8_t *bytes; /* [MOST_TEXT_BYTES + 1] */
    size_t n;
} text;

/* What is damaged is no text; one that is cut off is as long as it is. */
static tess_status unpack(tess_peek *peek, tess_piece piece, text *out, tess_error *err)
{
    tess_zlib_library lib;
    tess_status status = tess_zlib_library_open(&lib, err);
    z_stream stream = {.next_out = out->bytes, .avail_out = MOST_TEXT_BYTES + 1};
    if (status != TESS_OK) return status;
    if (lib.inflateInit_(&stream, ZLIB_VERSION, sizeof stream) != Z_OK)
        return tess_fail(err, TESS_ENOMEM, "%s: no memory for a text in it", peek->name);
    int code = Z_OK;
    while (code == Z_OK && piece.n > 0 && stream.avail_out > 0) {
        uint8_t packed[4096];
        const size_t wanted = piece.n < sizeof packed ? (size_t)piece.n : sizeof packed;
        const int64_t n = tess_source_reader_read(peek->reader, piece.offset, packed, wanted);
        if (n <= 0) break;
        stream.next_in = packed;
        stream.avail_in = (uInt)n;
        code = lib.inflate(&stream, Z_NO_FLUSH);
        piece = (tess_piece){piece.offset + (uint64_t)n, piece.n - (uint64_t)n};
    }
    lib.inflateEnd(&stream);
    out->n = code == Z_DATA_ERROR || code == Z_NEED_DICT ? 0 : MOST_TEXT_BYTES + 1 - stream.avail_out;
    return TESS_OK;
}

/* Reads a text into memory. */
static tess_status read_text(tess_peek *peek, const tess_png_text *from, text *out, tess_error *err)
{
    tess_status status = TESS_OK;
    *out = (text){.bytes = malloc(MOST_TEXT_BYTES + 1)};
    if (!out->bytes) return tess_fail(err, TESS_ENOMEM, "%s: no memory for a text in it", peek->name);
    if (from->is_compressed) {
        status = unpack(peek, from->piece, out, err);
    } else {
        const uint64_t n = from->piece.n <= MOST_TEXT_BYTES ? from->piece.n : MOST_TEXT_BYTES + 1;
        const int64_t got = tess_source_reader_read(peek->reader, from->piece.offset, out->bytes, (size_t)n);
        out->n = got > 0 ? (size_t)got : 0;
    }
    if (status == TESS_OK && out->n > MOST_TEXT_BYTES)
        status = tess_refuse(err, peek->name, "text", (int64_t)from->piece.offset,
                             "at most a MiB of EXIF data or XMP", "more");
    return status;
}

/* ---- EXIF data in digits ---- */

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Turns the digits behind the third line break into bytes, in their place. What are no pairs of digits is no
 * data. */
static void read_digits(text *t)
{
    size_t at = 0, n = 0;
    for (int line = 0; line < 3 && at < t->n; at++) line += t->bytes[at] == '\n';
    while (at < t->n) {
        const uint8_t c = t->bytes[at];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            at++;
            continue;
        }
        size_t next = at + 1;
        while (next < t->n && t->bytes[next] == '\n') next++; /* lines are joined first */
        const int high = digit_of(c), low = next < t->n ? digit_of(t->bytes[next]) : -1;
        if (high < 0 || low < 0) {
            n = 0;
            break;
        }
        t->bytes[n++] = (uint8_t)(high << 4 | low);
        at = next + 1;
    }
    t->n = n;
}

/* Whether the profile has the tag. */
static tess_status find_in_profile(const tess_png_notes *notes, tess_peek *peek, bool *is_found, int *out,
                                   tess_error *err)
{
    text t;
    tess_status status = read_text(peek, &notes->profile, &t, err);
    if (status == TESS_OK) read_digits(&t);
    if (status == TESS_OK && t.n > 0) {
        const tess_source source = {.name = peek->name, .data = t.bytes, .n_byte = t.n};
        const tess_source_reader reader = {.source = &source, .fd = -1, .n_byte = t.n};
        tess_peek digits;
        tess_peek_init(&digits, &reader);
        *is_found = tess_exif_find_orientation(&digits, (tess_piece){0, t.n}, out);
    }
    free(t.bytes);
    return status;
}

/* ---- which way up ---- */

static tess_status find_in_xmp(const tess_png_notes *notes, tess_peek *peek, int *out, tess_error *err)
{
    if (!notes->xmp.is_compressed) {
        *out = tess_xmp_find_orientation(peek, notes->xmp.piece);
        return TESS_OK;
    }
    text t;
    tess_status status = read_text(peek, &notes->xmp, &t, err);
    if (status == TESS_OK) {
        const tess_source source = {.name = peek->name, .data = t.bytes, .n_byte = t.n};
        const tess_source_reader reader = {.source = &source, .fd = -1, .n_byte = t.n};
        tess_peek packet;
        tess_peek_init(&packet, &reader);
        *out = tess_xmp_find_orientation(&packet, (tess_piece){0, t.n});
    }
    free(t.bytes);
    return status;
}

tess_status tess_png_find_orientation(const tess_png_notes *notes, tess_peek *peek, int *out, tess_error *err)
{
    bool is_found = false;
    tess_status status = TESS_OK;
    if (notes->exif.n > 0)
        is_found = tess_exif_find_orientation(peek, notes->exif, out);
    else if (notes->profile.piece.n > 0)
        status = find_in_profile(notes, peek, &is_found, out, err);
    return status == TESS_OK && !is_found ? find_in_xmp(notes, peek, out, err) : status;
}
