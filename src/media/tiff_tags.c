#include "media/tiff_tags.h"

enum { TYPE_BYTE = 1, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

/* Data that count their offsets from their own beginning, in either order of bytes. */
typedef struct tiff_data {
    tess_peek *peek;
    uint64_t begin, n;
    bool is_big_endian;
} tiff_data;

static const uint8_t *at(const tiff_data *data, uint64_t offset, size_t n)
{
    if (offset > data->n || n > data->n - offset) return NULL;
    return tess_peek_at(data->peek, data->begin + offset, n);
}

static uint32_t get16(const tiff_data *data, const uint8_t *p)
{
    return data->is_big_endian ? tess_peek_be16(p) : tess_peek_le16(p);
}

static uint32_t get32(const tiff_data *data, const uint8_t *p)
{
    return data->is_big_endian ? tess_peek_be32(p) : tess_peek_le32(p);
}

/* The first value of an entry: in the entry itself if all of them fit there, else where it points. */
static bool read_value(const tiff_data *data, uint32_t type, uint32_t count, const uint8_t *field,
                       uint32_t *out)
{
    size_t size = type == TYPE_BYTE ? 1 : type == TYPE_SHORT ? 2 : type == TYPE_LONG ? 4 : 0;
    if (size == 0 || count == 0) return false;
    const uint8_t *p = count <= 4 / size ? field : at(data, get32(data, field), size);
    if (!p) return false;
    *out = size == 1 ? *p : size == 2 ? get16(data, p) : get32(data, p);
    return true;
}

bool tess_tiff_tags_find(tess_peek *peek, uint64_t begin, uint64_t n, tess_tiff_tag *tags, int n_tag)
{
    tiff_data data = {peek, begin, n, false};
    const uint8_t *head = at(&data, 0, 8);
    if (!head) return false;
    data.is_big_endian = head[0] == 'M';
    if ((head[0] != 'M' && head[0] != 'I') || head[1] != head[0] || get16(&data, head + 2) != 42)
        return false;
    uint32_t offset = get32(&data, head + 4);
    const uint8_t *count = at(&data, offset, 2);
    if (!count) return false;
    uint32_t n_entry = get16(&data, count);
    for (uint32_t i = 0; i < n_entry; i++) {
        const uint8_t *entry = at(&data, (uint64_t)offset + 2 + (uint64_t)i * ENTRY_BYTES, ENTRY_BYTES);
        if (!entry) return false;
        uint32_t id = get16(&data, entry), value;
        for (int k = 0; k < n_tag; k++) {
            if (tags[k].id != id) continue;
            uint32_t type = get16(&data, entry + 2), n_value = get32(&data, entry + 4);
            if (!read_value(&data, type, n_value, entry + 8, &value)) break;
            tags[k] = (tess_tiff_tag){(uint16_t)id, value, n_value, true};
            break;
        }
    }
    return true;
}

int tess_exif_orientation(tess_peek *peek, uint64_t begin, uint64_t n)
{
    tess_tiff_tag tag = {.id = TESS_TIFF_ORIENTATION};
    bool is_read = tess_tiff_tags_find(peek, begin, n, &tag, 1);
    return is_read && tag.is_found && tag.value >= 1 && tag.value <= 8 ? (int)tag.value : 1;
}
