/* A step of an image or video: its frames as they went into the network, made small, and over the second the
 * error of every token. What is drawn comes from the patches of the reference, with 127.5 · (x + 1) rounded
 * and clipped, so that it needs no file. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "verify/report/medium.h"

enum {
    PAD = 4,      /* room for outlines */
    TOP = 20,     /* and for a label */
    LEAST = 160,  /* a small picture's pixels are drawn larger until it is that large */
    LABEL = 146,  /* width of the longest label */
    PATCHES = 32, /* read at once */
    MOST_FRAMES = 2,
    MOST_PATCH = 128
};

/* A picture being made small: sums over boxes of `box` times `box` pixels. */
typedef struct canvas {
    int patch, n_frame; /* pixels along an edge of a patch, frames in one */
    int box, wide, high, full_wide, full_high;
    float *sum;            /* [n_frame, high, wide, 3] */
    unsigned char *pixels; /* the same */
} canvas;

/* A row is 3 channels, frames, and a square of pixels: of one frame or two only one is a square. */
static bool find_patch(const tess_features *f, canvas *c)
{
    for (c->n_frame = MOST_FRAMES; c->n_frame >= 1; c->n_frame--)
        for (c->patch = 1; 3 * c->n_frame * c->patch * c->patch <= f->width; c->patch++)
            if (3 * c->n_frame * c->patch * c->patch == f->width && c->patch <= MOST_PATCH) return true;
    return false;
}

static size_t count_numbers(const canvas *c)
{
    return 3 * (size_t)c->n_frame * (size_t)c->wide * (size_t)c->high;
}

static void add_patch(canvas *c, const float *values, int left, int top)
{
    int side = c->patch;
    for (int k = 0; k < 3; k++)
        for (int frame = 0; frame < c->n_frame; frame++)
            for (int y = top; y < top + side; y++)
                for (int x = left; x < left + side; x++) {
                    int at = (frame * c->high + y / c->box) * c->wide + x / c->box;
                    c->sum[3 * (size_t)at + (size_t)k] += *values++;
                }
}

static void finish(canvas *c)
{
    size_t at = 0;
    for (int frame = 0; frame < c->n_frame; frame++)
        for (int y = 0; y < c->high; y++)
            for (int x = 0; x < c->wide; x++)
                for (int k = 0; k < 3; k++, at++) {
                    int wide = c->full_wide - x * c->box, high = c->full_high - y * c->box;
                    if (wide > c->box) wide = c->box;
                    if (high > c->box) high = c->box;
                    double value = rint(127.5 * ((double)c->sum[at] / (wide * high) + 1));
                    c->pixels[at] = (unsigned char)fmin(fmax(value, 0), 255);
                }
}

static bool read_patches(const tess_medium_drawing *d, int step, canvas *c)
{
    const tess_features *f = d->features;
    int merge = d->medium->merge, n_wide = f->n_wide / merge;
    int64_t n = (int64_t)f->n_high * f->n_wide, first = step * n;
    float *rows = malloc((size_t)PATCHES * (size_t)f->width * sizeof *rows);
    bool ok = rows != NULL;
    for (int64_t at = 0; at < n && ok; at++) {
        int64_t left = n - at, token = at / (merge * merge);
        int part = (int)(at % (merge * merge)), column = (int)(token % n_wide) * merge + part % merge;
        int row = (int)(token / n_wide) * merge + part / merge;
        if (at % PATCHES == 0)
            ok = f->read(f->context, first + at, left < PATCHES ? left : PATCHES, rows, NULL) == TESS_OK;
        if (ok)
            add_patch(c, rows + (size_t)(at % PATCHES) * (size_t)f->width, column * c->patch, row * c->patch);
    }
    free(rows);
    return ok;
}

static void set_size(const tess_medium_drawing *d, int full_wide, int full_high, canvas *c)
{
    int longest = full_wide > full_high ? full_wide : full_high;
    c->full_wide = full_wide;
    c->full_high = full_high;
    c->box = (longest + d->most_px - 1) / d->most_px;
    c->wide = (full_wide + c->box - 1) / c->box;
    c->high = (full_high + c->box - 1) / c->box;
}

/* Without patches that can be read the errors lie on empty ground. */
static void make_canvas(const tess_medium_drawing *d, int step, canvas *c)
{
    const tess_features *f = d->features;
    *c = (canvas){0};
    if (!f || !find_patch(f, c) || f->n_wide > INT32_MAX / MOST_PATCH || f->n_high > INT32_MAX / MOST_PATCH) {
        c->n_frame = 1;
        set_size(d, d->medium->n_wide, d->medium->n_high, c);
        return;
    }
    set_size(d, f->n_wide * c->patch, f->n_high * c->patch, c);
    c->sum = calloc(count_numbers(c), sizeof *c->sum);
    c->pixels = malloc(count_numbers(c));
    if (c->sum && c->pixels && read_patches(d, step, c)) {
        finish(c);
        return;
    }
    free(c->pixels);
    c->pixels = NULL;
}

/* ---- drawing ---- */

/* Size of the drawing, and of a pixel in it. */
typedef struct frame_view {
    const tess_medium_drawing *d;
    const canvas *c;
    int step, scale, wide, high;
} frame_view;

static frame_view make_view(const tess_medium_drawing *d, const canvas *c, int step)
{
    int longest = c->wide > c->high ? c->wide : c->high;
    frame_view v = {.d = d, .c = c, .step = step, .scale = (LEAST + longest - 1) / longest};
    v.wide = c->wide * v.scale + 2 * PAD;
    v.high = c->high * v.scale + TOP + PAD;
    if (v.wide < LABEL) v.wide = LABEL;
    return v;
}

static const char *word_of(const tess_medium_report *m)
{
    return m->kind == TESS_MEDIA_VIDEO ? "video" : "image";
}

static void begin_view(FILE *out, const frame_view *v, int frame, bool has_errors)
{
    const tess_medium_report *m = v->d->medium;
    bool is_video = m->kind == TESS_MEDIA_VIDEO;
    fprintf(out, "<svg class=\"%s\" " TESS_REPORT_VIEW " role=\"img\" aria-label=\"%s %d",
            has_errors ? "errors" : "frame", TESS_REPORT_VIEW_OF(v->wide, v->high), word_of(m), m->number);
    if (is_video)
        fprintf(out, ", step %d of %d, from %.2f s on, frame %d", v->step + 1, m->n_step,
                v->step * m->seconds_per_step, frame + 1);
    fprintf(out, "%s\">\n<text x=\"%d\" y=\"13\">", has_errors ? ", and the error of each token" : "", PAD);
    if (is_video) fprintf(out, "step %d, frame %d%s", v->step + 1, frame + 1, has_errors ? ": error" : "");
    if (!is_video) fputs(has_errors ? "error by token" : "as taken", out);
    fputs("</text>", out);
}

/* The frame's pixels; a second time by their id. */
static void put_pixels(FILE *out, const frame_view *v, int frame, bool is_repeated)
{
    const canvas *c = v->c;
    const tess_medium_report *m = v->d->medium;
    char id[64];
    snprintf(id, sizeof id, "r%d-%s-%d-%d-%d", v->d->result_place + 1, word_of(m), m->number, v->step + 1,
             frame + 1);
    if (!c->pixels) {
        fprintf(out, "<rect class=\"unused\" x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\"/>\n", PAD, TOP,
                c->wide * v->scale - 1, c->high * v->scale - 1);
    } else if (is_repeated) {
        fprintf(out, "<use href=\"#%s\"/>\n", id);
    } else {
        fprintf(out, "<image id=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" href=\"", id, PAD, TOP,
                c->wide * v->scale, c->high * v->scale);
        tess_report_put_bitmap(out, c->pixels + (size_t)frame * count_numbers(c) / (size_t)c->n_frame,
                               c->wide, c->high, 3);
        fputs("\"/>\n", out);
    }
}

double tess_report_worst_of(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}

/* The tokens of one cell: a square of them, cut at the picture's edges. */
typedef struct cell {
    int top, left, bottom, right; /* tokens; ends beyond the last */
    double error;
    bool has_failed;
} cell;

static cell make_cell(const frame_view *v, int side, int top, int left)
{
    const tess_medium_report *m = v->d->medium;
    cell e = {.top = top, .left = left, .bottom = top + side, .right = left + side};
    if (e.bottom > m->n_high) e.bottom = m->n_high;
    if (e.right > m->n_wide) e.right = m->n_wide;
    for (int y = e.top; y < e.bottom; y++)
        for (int x = e.left; x < e.right; x++) {
            int64_t token = ((int64_t)v->step * m->n_high + y) * m->n_wide + x;
            e.error = tess_report_worst_of(e.error, (double)m->error[token]);
            e.has_failed |= m->failed[token] != 0;
        }
    return e;
}

static void put_range(FILE *out, const char *word, int first, int end)
{
    if (end - first == 1)
        fprintf(out, "%s %d", word, first + 1);
    else
        fprintf(out, "%ss %d to %d", word, first + 1, end);
}

static void put_cell(FILE *out, const frame_view *v, const cell *e, bool is_outline)
{
    const tess_medium_report *m = v->d->medium;
    double wide = (double)v->c->wide * v->scale / m->n_wide, high = (double)v->c->high * v->scale / m->n_high;
    double x = PAD + e->left * wide, y = TOP + e->top * high, w = (e->right - e->left) * wide,
           h = (e->bottom - e->top) * high;
    for (int k = 0; is_outline && k < 2; k++)
        fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                "pointer-events=\"none\"/>\n",
                k ? "outline" : "halo", x, y, w, h);
    if (is_outline) return;
    double gap = w > 6 && h > 6 ? 0.75 : 0;
    fprintf(out, "<rect class=\"token %s%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
            tess_report_error_class(v->d->decades, e->error), e->has_failed ? " beyond" : "", x, y, w - gap,
            h - gap);
    put_range(out, "row", e->top, e->bottom);
    put_range(out, ", column", e->left, e->right);
    fputs(": ", out);
    tess_report_put_number(out, e->error);
    fputs(e->has_failed ? ", beyond the bar</title></rect>\n" : "</title></rect>\n", out);
}

/* Outlines lie over the neighbours. */
static void put_cells(FILE *out, const frame_view *v)
{
    const tess_medium_report *m = v->d->medium;
    int side = 1;
    while ((int64_t)((m->n_high + side - 1) / side) * ((m->n_wide + side - 1) / side) > v->d->most_cells)
        side++;
    for (int pass = 0; pass < 2; pass++)
        for (int top = 0; top < m->n_high; top += side)
            for (int left = 0; left < m->n_wide; left += side) {
                cell e = make_cell(v, side, top, left);
                if (!pass || e.has_failed) put_cell(out, v, &e, pass > 0);
            }
}

void tess_report_picture(FILE *out, const tess_medium_drawing *d, int step)
{
    canvas c;
    make_canvas(d, step, &c);
    frame_view v = make_view(d, &c, step);
    bool is_video = d->medium->kind == TESS_MEDIA_VIDEO, has_errors = d->medium->error != NULL;
    int second = is_video && c.n_frame > 1;
    begin_view(out, &v, 0, false);
    put_pixels(out, &v, 0, false);
    fputs("</svg>\n", out);
    if (second || has_errors) {
        begin_view(out, &v, second, has_errors);
        put_pixels(out, &v, second, !second);
        if (has_errors) put_cells(out, &v);
        fputs("</svg>\n", out);
    }
    free(c.sum);
    free(c.pixels);
}
