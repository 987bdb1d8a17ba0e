#include "media/gif.h"

enum { SCREEN = 6, HEAD_BYTES = 13, EXTENSION = 0x21, IMAGE = 0x2c, GRAPHIC_CONTROL = 0xf9 };

static int count_colours(int flags)
{
    return flags & 0x80 ? 2 << (flags & 7) : 0;
}

/* Moves behind the blocks that begin at *offset, the empty one at their end included. */
static bool skip_blocks(tess_peek *peek, uint64_t *offset)
{
    for (const uint8_t *p; (p = tess_peek_at(peek, *offset, 1)); *offset += 1 + (uint64_t)*p)
        if (*p == 0) {
            ++*offset;
            return true;
        }
    return false;
}

static bool read_picture(tess_peek *peek, uint64_t offset, tess_gif *gif)
{
    const uint8_t *p = tess_peek_at(peek, offset, 10);
    if (!p) return false;
    gif->left = (int)tess_peek_le16(p + 1);
    gif->top = (int)tess_peek_le16(p + 3);
    gif->picture_width = (int)tess_peek_le16(p + 5);
    gif->picture_height = (int)tess_peek_le16(p + 7);
    gif->is_interlaced = p[9] & 0x40;
    int n_local = count_colours(p[9]);
    if (n_local) {
        gif->n_colour = n_local;
        gif->palette = offset + 10;
    }
    gif->codes = offset + 10 + 3 * (uint64_t)n_local;
    if (gif->width < gif->left + gif->picture_width) gif->width = gif->left + gif->picture_width;
    if (gif->height < gif->top + gif->picture_height) gif->height = gif->top + gif->picture_height;
    return true;
}

tess_status tess_gif_read(tess_peek *peek, tess_gif *out, tess_error *err)
{
    const uint8_t *p = tess_peek_at(peek, 0, HEAD_BYTES);
    if (!p) return tess_peek_refuse(peek, SCREEN, "a GIF screen descriptor", err);
    tess_gif gif = {.width = (int)tess_peek_le16(p + SCREEN),
                    .height = (int)tess_peek_le16(p + SCREEN + 2),
                    .n_colour = count_colours(p[SCREEN + 4]),
                    .transparent = -1,
                    .palette = HEAD_BYTES};
    uint64_t offset = HEAD_BYTES + 3 * (uint64_t)gif.n_colour;
    for (;;) {
        p = tess_peek_at(peek, offset, 1);
        if (!p) break;
        if (*p == IMAGE) {
            if (!read_picture(peek, offset, &gif)) break;
            *out = gif;
            return TESS_OK;
        }
        if (*p != EXTENSION)
            return tess_refuse(err, peek->name, "", (int64_t)offset, "a picture of a GIF file", "the byte %u",
                               *p);
        p = tess_peek_at(peek, offset, 8);
        if (p && p[1] == GRAPHIC_CONTROL && p[2] >= 4) gif.transparent = p[3] & 1 ? p[6] : -1;
        offset += 2;
        if (!skip_blocks(peek, &offset)) break;
    }
    return tess_peek_refuse(peek, offset, "a picture of a GIF file", err);
}
