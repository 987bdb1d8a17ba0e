/* Rows are the unit: they are taken one by one, and those that the vertical pass may still ask for stay in a
 * ring, as wide as the picture where that pass is the first and as the result where it is the second. So no
 * picture stands between the passes, and none need stand before them.
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

/* Bytes may be anything: without `restrict` each that is written would make the axis be read again. */
static void resize_row(const axis *restrict a, const uint8_t *in, uint8_t *restrict out)
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
static void resize_column(const axis *a, int y, const uint8_t *ring, int n_ring, size_t n_byte,
                          int32_t *restrict sum, uint8_t *restrict out)
{
    const span s = a->place[y];
    for (size_t i = 0; i < n_byte; i++) sum[i] = 1 << (FRACTION_BITS - 1);
    for (int j = 0; j < s.n; j++) {
        const int32_t weight = a->weight[(size_t)y * (size_t)a->n_most + (size_t)j];
        const uint8_t *restrict from = ring + (size_t)((s.first + j) % n_ring) * n_byte;
        for (size_t i = 0; i < n_byte; i++) sum[i] += from[i] * weight;
    }
    for (size_t i = 0; i < n_byte; i++) out[i] = to_byte(sum[i]);
}

/* ---- pictures ---- */

struct tess_resizer {
    tess_picture out;
    axis across, down;
    bool is_down_first;
    int n_taken, n_made; /* rows of the picture, and of the result */
    int n_ring;
    size_t ring_bytes; /* of a row in it */
    uint8_t *ring;     /* [n_ring, ring_bytes] */
    uint8_t *between;  /* a row of the vertical pass before the horizontal one; [in width, 3] */
    int32_t *sum;      /* [ring_bytes] */
};

static size_t row_bytes(int width)
{
    return (size_t)width * N_COLOUR;
}

/* Where only one axis changes nothing comes first. */
static bool is_vertical_first(int width, int height, int out_width, int out_height)
{
    return width != out_width && out_height < height &&
           (int64_t)height - out_height > 2 * ((int64_t)width - out_width);
}

/* Sets how much room there must be, without axes. */
static void measure(tess_resizer *r, int width, int height)
{
    const int n_most = most_weights(height, r->out.height);
    r->is_down_first = is_vertical_first(width, height, r->out.width, r->out.height);
    if (height == r->out.height) return;
    r->n_ring = n_most < height ? n_most : height;
    r->ring_bytes = row_bytes(r->is_down_first ? width : r->out.width);
}

static uint64_t axis_bytes(int in, int out)
{
    if (in == out) return 0;
    const uint64_t n = (uint64_t)most_weights(in, out);
    return (uint64_t)out * (sizeof(span) + n * sizeof(int32_t)) + n * sizeof(double);
}

uint64_t tess_picture_resize_bytes(int width, int height, int out_width, int out_height)
{
    tess_resizer r = {.out = {out_width, out_height, NULL}};
    measure(&r, width, height);
    return sizeof r + axis_bytes(width, out_width) + axis_bytes(height, out_height) +
           ((uint64_t)r.n_ring + sizeof *r.sum + r.is_down_first) * r.ring_bytes;
}

/* A malloc of nothing may give NULL. */
static void *allocate(size_t n, size_t size)
{
    return malloc(n > 0 && size > 0 ? n * size : 1);
}

tess_status tess_resizer_new(int width, int height, const tess_picture *out, const char *file,
                             tess_resizer **resizer, tess_error *err)
{
    TESS_ASSERT(width >= 1 && height >= 1 && out->width >= 1 && out->height >= 1);
    const tess_fpenv saved = tess_fpenv_enter();
    tess_resizer *r = calloc(1, sizeof *r);
    bool has_memory = r != NULL;
    if (r) {
        r->out = *out;
        measure(r, width, height);
        const bool has_axes =
            axis_init(&r->across, width, out->width) && axis_init(&r->down, height, out->height);
        r->ring = allocate((size_t)r->n_ring, r->ring_bytes);
        r->between = allocate(r->is_down_first, r->ring_bytes);
        r->sum = allocate(r->ring_bytes, sizeof *r->sum);
        has_memory = has_axes && r->ring && r->between && r->sum;
    }
    tess_fpenv_leave(saved);
    if (has_memory) {
        *resizer = r;
        return TESS_OK;
    }
    tess_resizer_free(r);
    return tess_fail(err, TESS_ENOMEM, "%s: no memory to resize it", file);
}

void tess_resizer_free(tess_resizer *r)
{
    if (!r) return;
    axis_release(&r->across);
    axis_release(&r->down);
    free(r->ring);
    free(r->between);
    free(r->sum);
    free(r);
}

static void put_across(const tess_resizer *r, const uint8_t *row, uint8_t *out)
{
    if (r->across.place)
        resize_row(&r->across, row, out);
    else
        memcpy(out, row, row_bytes(r->out.width));
}

static uint8_t *out_row(const tess_resizer *r, int y)
{
    return r->out.rgb + (size_t)y * row_bytes(r->out.width);
}

static void make_row(const tess_resizer *r, int y)
{
    uint8_t *out = r->is_down_first ? r->between : out_row(r, y);
    resize_column(&r->down, y, r->ring, r->n_ring, r->ring_bytes, r->sum, out);
    if (r->is_down_first) resize_row(&r->across, out, out_row(r, y));
}

/* Whether all rows that a row of the result is made of have been taken. */
static bool is_ready(const tess_resizer *r, int y)
{
    return y < r->out.height && r->down.place[y].first + r->down.place[y].n <= r->n_taken;
}

void tess_resizer_take(tess_resizer *r, const uint8_t *row)
{
    const int at = r->n_taken++;
    if (!r->down.place) {
        TESS_ASSERT(at < r->out.height);
        put_across(r, row, out_row(r, at));
        return;
    }
    TESS_ASSERT(at < r->down.in);
    uint8_t *kept = r->ring + (size_t)(at % r->n_ring) * r->ring_bytes;
    if (r->is_down_first)
        memcpy(kept, row, r->ring_bytes);
    else
        put_across(r, row, kept);
    while (is_ready(r, r->n_made)) make_row(r, r->n_made++);
}

tess_status tess_picture_resize(const tess_picture *in, const tess_picture *out, const char *file,
                                tess_error *err)
{
    tess_resizer *r;
    const tess_status status = tess_resizer_new(in->width, in->height, out, file, &r, err);
    if (status != TESS_OK) return status;
    for (int y = 0; y < in->height; y++) tess_resizer_take(r, in->rgb + (size_t)y * row_bytes(in->width));
    tess_resizer_free(r);
    return TESS_OK;
}
