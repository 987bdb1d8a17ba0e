#include "media/orientation.h"

#include <string.h>

#include "media/tiff_tags.h"

enum { TAG_ORIENTATION = 274, TAG_XMP = 700, ENTRY_BYTES = 12 };
enum {
    BYTE = 1,
    SHORT = 3,
    LONG,
    RATIONAL,
    S_BYTE,
    UNDEFINED,
    S_SHORT,
    S_LONG,
    S_RATIONAL,
    FLOAT,
    DOUBLE,
    IFD,
    LONG8 = 16,
    N_TYPE
};

/* ---- EXIF ---- */

/* Where the value of a tag lies. */
typedef struct tag_value {
    uint32_t type;
    uint64_t offset, n_byte; /* of the data */
} tag_value;

/* Finds a tag as Pillow does: the first of its number that has a value counts; an earlier one whose value
 * lies beyond the end stops the search, and all values together are no longer than the data. */
static bool find_tag(const tess_tiff_data *data, uint32_t id, tag_value *out)
{
    static const uint8_t unit[N_TYPE] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
    const uint8_t *p = tess_tiff_data_at(data, data->directory, 2);
    const uint32_t n_entry = p ? tess_tiff_data_get16(data, p) : 0;
    uint64_t offset = (uint64_t)data->directory + 2, all_bytes = 0;
    for (uint32_t i = 0; i < n_entry; i++, offset += ENTRY_BYTES) {
        p = tess_tiff_data_at(data, offset, ENTRY_BYTES);
        if (!p) return false;
        const uint32_t found = tess_tiff_data_get16(data, p), type = tess_tiff_data_get16(data, p + 2);
        tag_value value = {.type = type, .offset = offset + 8};
        if (type >= N_TYPE || !unit[type]) continue;
        value.n_byte = (uint64_t)tess_tiff_data_get32(data, p + 4) * unit[type];
        if (value.n_byte > 4) {
            value.offset = tess_tiff_data_get32(data, p + 8);
            all_bytes += value.n_byte;
            if (all_bytes > data->n) continue;
            if (value.offset > data->n || value.n_byte > data->n - value.offset) return false;
        }
        if (found != id || value.n_byte == 0) continue;
        *out = value;
        return true;
    }
    return false;
}

/* a / b where that is 1 to 8, else 1: what it is otherwise turns nothing. */
static int to_orientation(int64_t a, int64_t b)
{
    return b != 0 && a % b == 0 && a / b >= 1 && a / b <= 8 ? (int)(a / b) : 1;
}

static int from_double(double value)
{
    return value >= 1 && value <= 8 && (double)(int)value == value ? (int)value : 1;
}

/* The first number of a value; bytes and texts are none. */
static int read_orientation(const tess_tiff_data *data, const tag_value *value)
{
    const uint8_t *p = tess_tiff_data_at(data, value->offset, value->n_byte < 8 ? value->n_byte : 8);
    if (!p) return 1;
    const bool is_long = value->n_byte >= 8;
    const uint32_t a = value->n_byte >= 4 ? tess_tiff_data_get32(data, p) : 0;
    const uint32_t b = is_long ? tess_tiff_data_get32(data, p + 4) : 0;
    const uint64_t both = data->is_big_endian ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    float single;
    double real;
    memcpy(&single, &a, sizeof single);
    memcpy(&real, &both, sizeof real);
    switch (value->type) {
    case S_BYTE:
        return to_orientation((int8_t)*p, 1);
    case SHORT:
        return to_orientation((int64_t)tess_tiff_data_get16(data, p), 1);
    case S_SHORT:
        return to_orientation((int16_t)tess_tiff_data_get16(data, p), 1);
    case LONG:
    case IFD:
        return to_orientation(a, 1);
    case S_LONG:
        return to_orientation((int32_t)a, 1);
    case RATIONAL:
        return to_orientation(a, b);
    case S_RATIONAL:
        return to_orientation((int32_t)a, (int32_t)b);
    case FLOAT:
        return from_double((double)single);
    case DOUBLE:
        return from_double(real);
    case LONG8:
        return both <= 8 ? to_orientation((int64_t)both, 1) : 1;
    default:
        return 1;
    }
}

/* The mark that EXIF data begin with in a JPEG, and elsewhere at times; it may stand there twice. */
static tess_piece strip_marks(tess_peek *peek, tess_piece exif)
{
    static const uint8_t mark[] = {'E', 'x', 'i', 'f', 0, 0};
    for (int i = 0; i < 2 && exif.n >= sizeof mark; i++) {
        const uint8_t *p = tess_peek_at(peek, exif.offset, sizeof mark);
        if (!p || memcmp(p, mark, sizeof mark) != 0) break;
        exif = (tess_piece){exif.offset + sizeof mark, exif.n - sizeof mark};
    }
    return exif;
}

bool tess_exif_find_orientation(tess_peek *peek, tess_piece exif, int *out)
{
    tess_tiff_data data;
    tag_value value;
    exif = strip_marks(peek, exif);
    *out = 1;
    if (exif.n == 0) return false;
    if (!tess_tiff_data_open(peek, exif.offset, exif.n, &data)) return true;
    if (!find_tag(&data, TAG_ORIENTATION, &value)) return false;
    *out = read_orientation(&data, &value);
    return true;
}

tess_piece tess_exif_find_xmp(tess_peek *peek)
{
    tess_tiff_data data;
    tag_value value;
    if (!tess_tiff_data_open(peek, 0, peek->n_byte, &data) || !find_tag(&data, TAG_XMP, &value) ||
        (value.type != BYTE && value.type != UNDEFINED))
        return (tess_piece){0};
    return (tess_piece){value.offset, value.n_byte};
}

/* ---- XMP ---- */

/* Pillow's pattern: tiff:Orientation(="|>)([0-9]). Returns the digit, or -1. */
static int match_orientation(const uint8_t *p, size_t n)
{
    static const char name[] = "tiff:Orientation";
    const size_t n_name = sizeof name - 1;
    if (n < n_name + 2 || memcmp(p, name, n_name) != 0) return -1;
    p += n_name;
    if (*p == '>')
        p++;
    else if (n > n_name + 2 && p[0] == '=' && p[1] == '"')
        p += 2;
    else
        return -1;
    return *p >= '0' && *p <= '9' ? *p - '0' : -1;
}

int tess_xmp_find_orientation(tess_peek *peek, tess_piece xmp)
{
    enum { LONGEST = 19 };
    for (uint64_t i = 0; i < xmp.n; i++) {
        const size_t n = xmp.n - i < LONGEST ? (size_t)(xmp.n - i) : LONGEST;
        const uint8_t *p = tess_peek_at(peek, xmp.offset + i, n);
        const int digit = p ? match_orientation(p, n) : -1;
        if (!p) break;
        if (digit >= 0) return to_orientation(digit, 1);
    }
    return 1;
}

int tess_orientation_find(tess_peek *peek, tess_piece exif, tess_piece xmp)
{
    int orientation;
    if (exif.n > 0 && tess_exif_find_orientation(peek, exif, &orientation)) return orientation;
    return tess_xmp_find_orientation(peek, xmp);
}
