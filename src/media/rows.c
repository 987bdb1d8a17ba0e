#include "media/rows.h"

#include <stdlib.h>
#include <string.h>

enum { RGB = 3 };

tess_status tess_rows_init(tess_rows *rows, int width, int height, int orientation, tess_error *err)
{
    bool is_turned = orientation >= 5;
    ptrdiff_t n_wide = is_turned ? height : width, n_high = is_turned ? width : height;
    uint64_t bytes = RGB * (uint64_t)n_wide * (uint64_t)n_high;
    *rows = (tess_rows){.picture = {(int)n_wide, (int)n_high, NULL}, .width = width, .height = height};
    rows->picture.rgb =
        bytes < PTRDIFF_MAX - TESS_ROWS_PAD_BYTES ? malloc((size_t)bytes + TESS_ROWS_PAD_BYTES) : NULL;
    if (orientation > 1) rows->scratch = malloc(RGB * (size_t)width);
    if (!rows->picture.rgb || (orientation > 1 && !rows->scratch)) {
        tess_rows_release(rows);
        return tess_fail(err, TESS_ENOMEM, "no memory for a picture of %d x %d pixels", width, height);
    }
    /* Where the first stored pixel lies: left or right, top or bottom; and whether columns become rows. */
    bool is_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    bool is_low = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    ptrdiff_t across = is_right ? -RGB : RGB, down = is_low ? -RGB * n_wide : RGB * n_wide;
    rows->begin = (is_right ? RGB * (n_wide - 1) : 0) + (is_low ? RGB * n_wide * (n_high - 1) : 0);
    rows->step_x = is_turned ? down : across;
    rows->step_y = is_turned ? across : down;
    return TESS_OK;
}

tess_status tess_rows_init_resized(tess_rows *rows, int width, int height, tess_resizer *resizer,
                                   tess_error *err)
{
    *rows = (tess_rows){.resizer = resizer, .width = width, .height = height};
    rows->scratch = malloc(RGB * (size_t)width + TESS_ROWS_PAD_BYTES);
    return rows->scratch ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for a row of %d pixels", width);
}

void tess_rows_release(tess_rows *rows)
{
    free(rows->picture.rgb);
    free(rows->scratch);
    *rows = (tess_rows){0};
}

uint8_t *tess_rows_get(tess_rows *rows, int y)
{
    return rows->scratch ? rows->scratch : rows->picture.rgb + rows->begin + y * rows->step_y;
}

void tess_rows_put(tess_rows *rows, int y)
{
    if (rows->resizer) tess_resizer_take(rows->resizer, rows->scratch);
    if (rows->resizer || !rows->scratch) return;
    const uint8_t *from = rows->scratch;
    uint8_t *to = rows->picture.rgb + rows->begin + y * rows->step_y;
    for (int x = 0; x < rows->width; x++, from += RGB, to += rows->step_x) memcpy(to, from, RGB);
}

void tess_rows_put_all(tess_rows *rows, const uint8_t *stored)
{
    size_t stride = RGB * (size_t)rows->width;
    for (int y = 0; y < rows->height; y++, stored += stride) {
        memcpy(tess_rows_get(rows, y), stored, stride);
        tess_rows_put(rows, y);
    }
}
