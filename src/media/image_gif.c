/* GIF: the first picture on its canvas. FFmpeg's decoder passes over codes that are missing or damaged; here
 * they are refused. What the picture leaves free is the transparent colour, else colour 0, as in Pillow.
 */
#include <stdlib.h>
#include <string.h>

#include "media/gif.h"
#include "media/image_decoders.h"

enum { MOST_CODES = 4096, CODE_BITS = 12 };

/* Codes, packed from the lowest bit on, over blocks of at most 255 bytes. */
typedef struct code_reader {
    const uint8_t *data;
    size_t n_byte, next; /* of the file; the next byte */
    size_t block_end;
    uint32_t bits;
    int n_bit;
} code_reader;

/* -1 at the end of the blocks or of the file. */
static int read_code(code_reader *r, int width)
{
    while (r->n_bit < width) {
        if (r->next == r->block_end) {
            if (r->next >= r->n_byte || r->data[r->next] == 0) return -1;
            r->block_end = r->next + 1 + r->data[r->next];
            r->next++;
        }
        if (r->next >= r->n_byte) return -1;
        r->bits |= (uint32_t)r->data[r->next++] << r->n_bit;
        r->n_bit += 8;
    }
    int code = (int)(r->bits & ((1u << width) - 1));
    r->bits >>= width;
    r->n_bit -= width;
    return code;
}

/* What a code stands for: what another one does, and one more pixel. */
typedef struct code_table {
    uint16_t before[MOST_CODES], length[MOST_CODES];
    uint8_t last[MOST_CODES], first[MOST_CODES];
    int n, width; /* codes that are known, bits of the next one */
} code_table;

static void clear_table(code_table *t, int n_root, int root_bits)
{
    for (int i = 0; i < n_root; i++) {
        t->first[i] = t->last[i] = (uint8_t)i;
        t->length[i] = 1;
    }
    t->n = n_root + 2;
    t->width = root_bits + 1;
}

static void add_code(code_table *t, int before, uint8_t last)
{
    if (t->n == MOST_CODES) return;
    t->before[t->n] = (uint16_t)before;
    t->first[t->n] = t->first[before];
    t->last[t->n] = last;
    t->length[t->n] = (uint16_t)(t->length[before] + 1);
    t->n++;
    if (t->n == 1 << t->width && t->width < CODE_BITS) t->width++;
}

/* Fills n pixels; what is behind them is passed over. False: the codes end before, or one is unknown. */
static bool read_pixels(code_reader *r, int root_bits, uint8_t *out, size_t n, code_table *t)
{
    int n_root = 1 << root_bits, before = -1;
    clear_table(t, n_root, root_bits);
    for (size_t done = 0; done < n;) {
        int code = read_code(r, t->width);
        if (code < 0 || code == n_root + 1) return false;
        if (code == n_root) {
            clear_table(t, n_root, root_bits);
            before = -1;
            continue;
        }
        if (code > t->n || (before < 0 && code >= n_root)) return false;
        if (before >= 0) {
            bool is_new = code == t->n;
            add_code(t, before, t->first[is_new ? before : code]);
        }
        size_t length = t->length[code];
        int rest = code;
        for (size_t i = length; i-- > 0; rest = t->before[rest])
            if (done + i < n) out[done + i] = t->last[rest];
        done += length;
        before = code;
    }
    return true;
}

/* As which one a row of the picture is stored. */
static int find_stored(const tess_gif *gif, int y)
{
    if (!gif->is_interlaced) return y;
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    int n_before = 0;
    for (int pass = 0; pass < 3; pass++) {
        if (y % step[pass] == first[pass]) return n_before + y / step[pass];
        if (gif->picture_height > first[pass])
            n_before += (gif->picture_height - first[pass] + step[pass] - 1) / step[pass];
    }
    return n_before + y / step[3];
}

/* Colours that a palette lacks are black, and without a palette all are grey, as in Pillow. */
static void set_palette(const tess_image_bytes *file, const tess_gif *gif, uint8_t palette[256][3])
{
    for (int i = 0; i < 256; i++) {
        bool is_there = i < gif->n_colour;
        const uint8_t *colour = file->data + gif->palette + 3 * (is_there ? i : 0);
        for (int c = 0; c < 3; c++) palette[i][c] = is_there ? colour[c] : gif->n_colour ? 0 : (uint8_t)i;
        if (i == gif->transparent) memset(palette[i], 255, 3);
    }
}

static void put_picture(const tess_image_bytes *file, const tess_gif *gif, const uint8_t *pixels,
                        tess_rows *rows)
{
    uint8_t palette[256][3];
    set_palette(file, gif, palette);
    const uint8_t *ground = palette[gif->transparent < 0 ? 0 : gif->transparent];
    for (int y = 0; y < rows->height; y++) {
        uint8_t *rgb = tess_rows_get(rows, y);
        for (int x = 0; x < rows->width; x++) memcpy(rgb + 3 * x, ground, 3);
        const bool is_inside = y >= gif->top && y - gif->top < gif->picture_height;
        const size_t stored = is_inside ? (size_t)find_stored(gif, y - gif->top) : 0;
        const uint8_t *from = pixels + stored * (size_t)gif->picture_width;
        for (int x = 0; is_inside && x < gif->picture_width; x++)
            memcpy(rgb + 3 * (gif->left + x), palette[from[x]], 3);
        tess_rows_put(rows, y);
    }
}

static tess_status decode(const tess_image_bytes *file, const tess_gif *gif, tess_rows *rows, tess_error *err)
{
    size_t n = (size_t)gif->picture_width * (size_t)gif->picture_height;
    uint8_t *pixels = malloc(n + !n);
    code_table *table = malloc(sizeof *table);
    tess_status status = TESS_OK;
    if (!pixels || !table) {
        status = tess_fail(err, TESS_ENOMEM, "%s: no memory to decode it", file->name);
    } else {
        int root_bits = gif->codes < file->n_byte ? file->data[gif->codes] : 0;
        code_reader reader = {.data = file->data, .n_byte = file->n_byte};
        reader.next = reader.block_end = (size_t)gif->codes + 1;
        if (root_bits < 1 || root_bits > 8 || !read_pixels(&reader, root_bits, pixels, n, table))
            status = tess_refuse(err, file->name, "", (int64_t)gif->codes, "a whole GIF picture",
                                 "one that is cut off or damaged");
        else
            put_picture(file, gif, pixels, rows);
    }
    free(pixels);
    free(table);
    return status;
}

tess_status tess_gif_decode(const tess_image_bytes *file, tess_rows *rows, tess_error *err)
{
    tess_source source = {.name = file->name, .data = file->data, .n_byte = file->n_byte};
    tess_source_reader reader = {&source, -1, file->n_byte};
    tess_peek peek;
    tess_peek_init(&peek, &reader);
    tess_gif gif;
    tess_status status = tess_gif_read(&peek, &gif, err);
    if (status != TESS_OK) return status;
    if (gif.width != rows->width || gif.height != rows->height ||
        gif.palette + 3 * (uint64_t)gif.n_colour > file->n_byte)
        return tess_refuse(err, file->name, "", -1, "a whole GIF picture", "one that is cut off or damaged");
    return decode(file, &gif, rows, err);
}
