#include "media/tiff_tags.h"

#include <string.h>

enum { TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

const uint8_t *tess_tiff_data_at(const tess_tiff_data *data, uint64_t offset, size_t n)
{
    if (offset > data->n || n > data->n - offset) return NULL;
    return tess_peek_at(data->peek, data->begin + offset, n);
}

uint32_t tess_tiff_data_get16(const tess_tiff_data *data, const uint8_t *p)
{
    return data->is_big_endian ? tess_peek_be16(p) : tess_peek_le16(p);
}

uint32_t tess_tiff_data_get32(const tess_tiff_data *data, const uint8_t *p)
{
    return data->is_big_endian ? tess_peek_be32(p) : tess_peek_le32(p);
}

/* Other marks than the two usual ones there are, and Pillow takes them. */
bool tess_tiff_data_open(tess_peek *peek, uint64_t begin, uint64_t n, tess_tiff_data *out)
{
    static const char marks[][5] = {"II*\0", "MM\0*", "II\0*", "MM*\0", "MM\0+"};
    tess_tiff_data data = {.peek = peek, .begin = begin, .n = n};
    const uint8_t *p = tess_tiff_data_at(&data, 0, 8);
    for (size_t i = 0; p && i < sizeof marks / sizeof marks[0]; i++) {
        if (memcmp(p, marks[i], 4) != 0) continue;
        data.is_big_endian = p[0] == 'M';
        data.directory = tess_tiff_data_get32(&data, p + 4);
        *out = data;
        return true;
    }
    return false;
}

/* The first value of an entry: in the entry itself if all of them fit there, else where it points. */
static bool read_value(const tess_tiff_data *data, uint32_t type, uint32_t count, const uint8_t *field,
                       uint32_t *out)
{
    size_t size = type == TYPE_BYTE ? 1 : type == TYPE_SHORT ? 2 : type == TYPE_LONG ? 4 : 0;
    if (size == 0 || count == 0) return false;
    const uint8_t *p =
        count <= 4 / size ? field : tess_tiff_data_at(data, tess_tiff_data_get32(data, field), size);
    if (!p) return false;
    *out = size == 1 ? *p : size == 2 ? tess_tiff_data_get16(data, p) : tess_tiff_data_get32(data, p);
    return true;
}

bool tess_tiff_tags_find(tess_peek *peek, uint64_t begin, uint64_t n, tess_tiff_tag *tags, int n_tag)
{
    tess_tiff_data data;
    if (!tess_tiff_data_open(peek, begin, n, &data)) return false;
    const uint32_t offset = data.directory;
    const uint8_t *count = tess_tiff_data_at(&data, offset, 2);
    if (!count) return false;
    uint32_t n_entry = tess_tiff_data_get16(&data, count);
    for (uint32_t i = 0; i < n_entry; i++) {
        const uint8_t *entry =
            tess_tiff_data_at(&data, (uint64_t)offset + 2 + (uint64_t)i * ENTRY_BYTES, ENTRY_BYTES);
        if (!entry) return false;
        uint32_t id = tess_tiff_data_get16(&data, entry), value;
        for (int k = 0; k < n_tag; k++) {
            if (tags[k].id != id) continue;
            uint32_t type = tess_tiff_data_get16(&data, entry + 2),
                     n_value = tess_tiff_data_get32(&data, entry + 4);
            if (!read_value(&data, type, n_value, entry + 8, &value)) break;
            tags[k] = (tess_tiff_tag){(uint16_t)id, value, n_value, true};
            break;
        }
    }
    return true;
}
