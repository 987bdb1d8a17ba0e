/* A clip: its mel frames as they went into the network, grey by their size, low tones below; under them a
 * cell for every token where it stands in time, coloured by its error. */
#include <math.h>
#include <stdlib.h>

#include "verify/compare/media_map.h"
#include "verify/report/medium.h"

enum {
    LEFT = TESS_REPORT_LEFT,
    RIGHT = 24,
    MOST = TESS_REPORT_WIDTH - LEFT - RIGHT,
    LEAST = 240,
    TOP = 6,
    HIGH = 128, /* of the spectrogram */
    STRIP = TOP + HIGH + 8,
    STRIP_HIGH = 18,
    HEIGHT = STRIP + STRIP_HIGH + 26,
    MOST_COLUMNS = 512,
    MOST_LINES = 64,
    MOST_MEL = 4096,
    FRAMES = 64 /* read at once */
};

/* A clip's frames averaged to fewer columns and lines. */
typedef struct grid {
    int n_column, n_line, n_mel;
    double *sum;           /* [n_line, n_column] */
    int *count;            /* the same */
    unsigned char *pixels; /* the same, the highest tones first */
} grid;

static void add_frame(grid *g, int column, const float *mel)
{
    for (int i = 0; i < g->n_mel; i++) {
        size_t at = (size_t)((int64_t)i * g->n_line / g->n_mel) * (size_t)g->n_column + (size_t)column;
        g->sum[at] += (double)mel[i];
        g->count[at]++;
    }
}

static bool read_frames(const tess_features *f, grid *g)
{
    float *rows = malloc((size_t)FRAMES * (size_t)f->width * sizeof *rows);
    bool ok = rows != NULL;
    for (int64_t at = 0, n; at < f->n_frame && ok; at += n) {
        n = f->n_frame - at < FRAMES ? f->n_frame - at : FRAMES;
        ok = f->read(f->context, at, n, rows, NULL) == TESS_OK;
        for (int64_t i = 0; i < n && ok; i++)
            add_frame(g, (int)((at + i) * g->n_column / f->n_frame), rows + i * f->width);
    }
    free(rows);
    return ok;
}

/* From the clip's least to its largest. */
static void set_pixels(grid *g)
{
    size_t n = (size_t)g->n_line * (size_t)g->n_column;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        g->sum[i] /= g->count[i];
        low = fmin(low, g->sum[i]);
        high = fmax(high, g->sum[i]);
    }
    for (size_t i = 0; i < n; i++) {
        size_t line = (size_t)g->n_line - 1 - i / (size_t)g->n_column;
        double share = high > low ? (g->sum[i] - low) / (high - low) : 0;
        g->pixels[line * (size_t)g->n_column + i % (size_t)g->n_column] = (unsigned char)rint(255 * share);
    }
}

static bool make_grid(const tess_features *f, grid *g)
{
    *g = (grid){.n_column = f->n_frame < MOST_COLUMNS ? (int)f->n_frame : MOST_COLUMNS,
                .n_line = f->width < MOST_LINES ? f->width : MOST_LINES,
                .n_mel = f->width};
    size_t n = (size_t)g->n_line * (size_t)g->n_column;
    g->sum = calloc(n, sizeof *g->sum);
    g->count = calloc(n, sizeof *g->count);
    g->pixels = malloc(n);
    bool ok = g->sum && g->count && g->pixels && read_frames(f, g);
    if (ok) set_pixels(g);
    return ok;
}

static void put_frames(FILE *out, const tess_features *f, int wide)
{
    grid g = {0};
    if (f && f->width >= 1 && f->width <= MOST_MEL && make_grid(f, &g)) {
        fprintf(out,
                "<image x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\" href=\"",
                LEFT, TOP, wide, HIGH);
        tess_report_put_bitmap(out, g.pixels, g.n_column, g.n_line, 1);
        fputs("\"/>\n", out);
    } else {
        fprintf(out, "<rect class=\"unused\" x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\"/>\n", LEFT, TOP,
                wide - 1, HIGH - 1);
    }
    free(g.sum);
    free(g.count);
    free(g.pixels);
}

/* ---- tokens ---- */

/* The frame with which a token begins, or the clip's end. */
static int64_t begin_of(const tess_medium_report *m, int64_t token)
{
    int64_t begin = tess_media_map_begin(m->n_chunk_frame, token);
    return token < m->n_token && begin < m->n_frame ? begin : m->n_frame;
}

static void put_tokens(FILE *out, const tess_medium_drawing *d, int wide)
{
    const tess_medium_report *m = d->medium;
    int64_t side = (m->n_token + MOST_COLUMNS - 1) / MOST_COLUMNS;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t first = 0; first < m->n_token; first += side) {
            int64_t end = first + side < m->n_token ? first + side : m->n_token;
            double error = 0, x = LEFT + (double)wide * (double)begin_of(m, first) / (double)m->n_frame;
            double w = LEFT + (double)wide * (double)begin_of(m, end) / (double)m->n_frame - x;
            bool has_failed = false;
            for (int64_t t = first; t < end; t++) {
                error = tess_report_worst_of(error, (double)m->error[t]);
                has_failed |= m->failed[t] != 0;
            }
            for (int k = 0; pass && has_failed && k < 2; k++) /* around it: it may be narrow */
                fprintf(out,
                        "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
                        "pointer-events=\"none\"/>\n",
                        k ? "outline" : "halo", x - 2, STRIP - 2, w + 4, STRIP_HIGH + 4);
            if (pass) continue;
            fprintf(out,
                    "<rect class=\"moment %s%s\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" "
                    "height=\"%d\"><title>%.2f s to "
                    "%.2f s: ",
                    tess_report_error_class(d->decades, error), has_failed ? " beyond" : "", x, STRIP,
                    w > 3 ? w - 0.75 : w, STRIP_HIGH, (double)begin_of(m, first) / 100,
                    (double)begin_of(m, end) / 100);
            tess_report_put_number(out, error);
            fputs(has_failed ? ", beyond the bar</title></rect>\n" : "</title></rect>\n", out);
        }
}

void tess_report_spectrogram(FILE *out, const tess_medium_drawing *d)
{
    const tess_medium_report *m = d->medium;
    int64_t doubled = 2 * m->n_frame;
    int wide = doubled < LEAST ? LEAST : doubled > MOST ? MOST : (int)doubled;
    fprintf(out,
            "<svg class=\"clip\" " TESS_REPORT_VIEW
            " role=\"img\" aria-label=\"clip %d: mel frames over %.2f "
            "seconds%s\">\n",
            TESS_REPORT_VIEW_OF(LEFT + wide + RIGHT, HEIGHT), m->number, (double)m->n_frame / 100,
            m->error ? ", and the error of each token" : "");
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">high</text>", LEFT - 8, TOP + 12);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">low</text>", LEFT - 8, TOP + HIGH - 2);
    put_frames(out, d->features, wide);
    if (m->error) {
        fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">error</text>\n", LEFT - 8,
                STRIP + STRIP_HIGH - 4);
        put_tokens(out, d, wide);
    }
    tess_report_times(out, (double)m->n_frame / 100, LEFT, wide, HEIGHT - 6);
    fputs("</svg>\n", out);
}
