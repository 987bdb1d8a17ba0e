/* Rows are the unit: whichever pass is first is made for those rows that the other one asks for next, so that
 * no picture stands between the two.
 */
#include "media/resize.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"

enum { FRACTION_BITS = 22, N_COLOUR = 3 };

/* What one output place takes of the input: n values from `first` on, times its weights. */
typedef struct span {
    int first, n;
} span;

/* One axis. Empty where nothing changes. */
typedef struct axis {
    int in, out, n_most; /* the most weights of a place */
    span *place;         /* [out] */
    int32_t *weight;     /* [out, n_most] */
} axis;

/* ---- weights ---- */

static double bicubic(double x)
{
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double widening(int in, int out)
{
    return in > out ? (double)in / out : 1.0;
}

static int most_weights(int in, int out)
{
    const double half = 2.0 * widening(in, out);
    const int whole = (int)half;
    return 2 * (whole + (whole < half)) + 1;
}

static int32_t to_fixed(double weight)
{
    const double scaled = weight * (1 << FRACTION_BITS);
    return (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

/* real: room for the weights of one place */
static void fill_place(axis *a, int i, double *real)
{
    const double scale = (double)a->in / a->out, wide = widening(a->in, a->out), half = 2.0 * wide;
    const double centre = (i + 0.5) * scale, per_step = 1.0 / wide;
    int first = (int)(centre - half + 0.5), end = (int)(centre + half + 0.5);
    if (first < 0) first = 0;
    if (end > a->in) end = a->in;
    TESS_ASSERT(end - first <= a->n_most);
    double sum = 0.0;
    for (int j = 0; j < end - first; j++) {
        real[j] = bicubic((j + first - centre + 0.5) * per_step);
        sum += real[j];
    }
    int32_t *weight = a->weight + (size_t)i * (size_t)a->n_most;
    for (int j = 0; j < end - first; j++) weight[j] = to_fixed(sum != 0.0 ? real[j] / sum : real[j]);
    a->place[i] = (span){first, end - first};
}

static bool axis_init(axis *a, int in, int out)
{
    *a = (axis){.in = in, .out = out};
    if (in == out) return true;
    a->n_most = most_weights(in, out);
    double *real = malloc((size_t)a->n_most * sizeof *real);
    a->place = malloc((size_t)out * sizeof *a->place);
    a->weight = malloc((size_t)out * (size_t)a->n_most * sizeof *a->weight);
    const bool has_memory = real && a->place && a->weight;
    for (int i = 0; i < out && has_memory; i++) fill_place(a, i, real);
    free(real);
    return has_memory;
}

static void axis_release(axis *a)
{
    free(a->place);
    free(a->weight);
}

/* ---- passes ---- */

static uint8_t to_byte(int32_t sum)
{
    const int32_t value = sum >> FRACTION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resize_row(const axis *a, const uint8_t *in, uint8_t *out)
{
    for (int x = 0; x < a->out; x++) {
        const span s = a->place[x];
        const int32_t *weight = a->weight + (size_t)x * (size_t)a->n_most;
        const uint8_t *from = in + (size_t)s.first * N_COLOUR;
        int32_t red = 1 << (FRACTION_BITS - 1), green = red, blue = red;
        for (int j = 0; j < s.n; j++, from += N_COLOUR) {
            red += from[0] * weight[j];
            green += from[1] * weight[j];
            blue += from[2] * weight[j];
        }
        *out++ = to_byte(red);
        *out++ = to_byte(green);
        *out++ = to_byte(blue);
    }
}

/* Row y of the vertical pass, of rows that lie in a ring of n_ring; sum: [n_byte]. */
static void resize_column(const axis *a, int y, const uint8_t *ring, int n_ring, size_t n_byte, int32_t *sum,
                          uint8_t *out)
{
    const span s = a->place[y];
    for (size_t i = 0; i < n_byte; i++) sum[i] = 1 << (FRACTION_BITS - 1);
    for (int j = 0; j < s.n; j++) {
        const int32_t weight = a->weight[(size_t)y * (size_t)a->n_most + (size_t)j];
        const uint8_t *from = ring + (size_t)((s.first + j) % n_ring) * n_byte;
        for (size_t i = 0; i < n_byte; i++) sum[i] += from[i] * weight;
    }
    for (size_t i = 0; i < n_byte; i++) out[i] = to_byte(sum[i]);
}

/* ---- pictures ---- */

static bool is_vertical_first(int width, int height, int out_width, int out_height)
{
    return out_height < height && (int64_t)height - out_height > 2 * ((int64_t)width - out_width);
}

typedef struct resizing {
    const tess_picture *in, *out;
    axis across, down;
    uint8_t *rows; /* between the passes */
    int32_t *sum;
} resizing;

static size_t row_bytes(int width)
{
    return (size_t)width * N_COLOUR;
}

static const uint8_t *in_row(const resizing *r, int y)
{
    return r->in->rgb + (size_t)y * row_bytes(r->in->width);
}

static uint8_t *out_row(const resizing *r, int y)
{
    return r->out->rgb + (size_t)y * row_bytes(r->out->width);
}

static void resize_across_only(const resizing *r)
{
    for (int y = 0; y < r->out->height; y++)
        if (r->across.place)
            resize_row(&r->across, in_row(r, y), out_row(r, y));
        else
            memcpy(out_row(r, y), in_row(r, y), row_bytes(r->out->width));
}

static void resize_down_first(const resizing *r)
{
    const size_t n_byte = row_bytes(r->in->width);
    for (int y = 0; y < r->out->height; y++) {
        uint8_t *between = r->across.place ? r->rows : out_row(r, y);
        resize_column(&r->down, y, r->in->rgb, r->in->height, n_byte, r->sum, between);
        if (r->across.place) resize_row(&r->across, between, out_row(r, y));
    }
}

/* Rows of the horizontal pass stay in a ring as long as the vertical one may ask for them. */
static void resize_across_first(const resizing *r)
{
    const size_t n_byte = row_bytes(r->out->width);
    int made = 0;
    for (int y = 0; y < r->out->height; y++) {
        const span s = r->down.place[y];
        if (made < s.first) made = s.first;
        for (; made < s.first + s.n; made++)
            resize_row(&r->across, in_row(r, made), r->rows + (size_t)(made % r->down.n_most) * n_byte);
        resize_column(&r->down, y, r->rows, r->down.n_most, n_byte, r->sum, out_row(r, y));
    }
}

/* How many bytes lie between the passes, and how many sums a row has. */
static void measure_rows(int width, int height, int out_width, int out_height, size_t *n_between,
                         size_t *n_sum)
{
    const bool down_first = is_vertical_first(width, height, out_width, out_height);
    *n_between = *n_sum = 0;
    if (height == out_height) return;
    *n_sum = row_bytes(down_first || width == out_width ? width : out_width);
    if (width == out_width) return;
    *n_between = down_first ? *n_sum : *n_sum * (size_t)most_weights(height, out_height);
}

static uint64_t axis_bytes(int in, int out)
{
    if (in == out) return 0;
    const uint64_t n = (uint64_t)most_weights(in, out);
    return (uint64_t)out * (sizeof(span) + n * sizeof(int32_t)) + n * sizeof(double);
}

uint64_t tess_picture_resize_bytes(int width, int height, int out_width, int out_height)
{
    size_t n_between, n_sum;
    measure_rows(width, height, out_width, out_height, &n_between, &n_sum);
    return axis_bytes(width, out_width) + axis_bytes(height, out_height) + n_between +
           n_sum * sizeof(int32_t);
}

tess_status tess_picture_resize(const tess_picture *in, const tess_picture *out, const char *file,
                                tess_error *err)
{
    TESS_ASSERT(in->width >= 1 && in->height >= 1 && out->width >= 1 && out->height >= 1);
    const tess_fpenv saved = tess_fpenv_enter();
    resizing r = {.in = in, .out = out};
    size_t n_between, n_sum;
    measure_rows(in->width, in->height, out->width, out->height, &n_between, &n_sum);
    const bool has_axes =
        axis_init(&r.across, in->width, out->width) && axis_init(&r.down, in->height, out->height);
    r.rows = malloc(n_between ? n_between : 1);
    r.sum = malloc(n_sum ? n_sum * sizeof *r.sum : 1);
    const bool has_memory = has_axes && r.rows && r.sum;
    if (has_memory) {
        if (!r.down.place)
            resize_across_only(&r);
        else if (!r.across.place || is_vertical_first(in->width, in->height, out->width, out->height))
            resize_down_first(&r);
        else
            resize_across_first(&r);
    }
    axis_release(&r.across);
    axis_release(&r.down);
    free(r.rows);
    free(r.sum);
    tess_fpenv_leave(saved);
    return has_memory ? TESS_OK : tess_fail(err, TESS_ENOMEM, "%s: no memory to resize it", file);
}
