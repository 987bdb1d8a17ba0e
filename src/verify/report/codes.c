/* Codebooks × frames: where the trace chose another code than the reference. Neighbours that are alike are
 * one rectangle; the first frame that differs is outlined. */
#include <inttypes.h>

#include "verify/report/page.h"

enum {
    LEFT = TESS_REPORT_LEFT,
    RIGHT = 24,
    MOST = TESS_REPORT_WIDTH - LEFT - RIGHT,
    LEAST = 340, /* the legend's */
    MOST_PITCH = 24,
    TOP = 20,
    LEGEND = 64 /* height below the cells */
};

typedef struct drawing {
    const tess_codes_report *r;
    double pitch; /* of a column */
    int wide, line, high;
} drawing;

static drawing make_drawing(const tess_codes_report *r)
{
    drawing d = {.r = r, .pitch = (double)MOST / r->n_column, .line = r->n_codebook > 24 ? 7 : 14};
    if (d.pitch > MOST_PITCH) d.pitch = MOST_PITCH;
    d.wide = (int)(d.pitch * r->n_column + 0.5);
    d.high = d.line * r->n_codebook;
    return d;
}

/* The first frame of a column; of the one behind the last the number of frames. */
static int64_t begin_of(const tess_codes_report *r, int64_t column)
{
    return (column * r->n_frame + r->n_column - 1) / r->n_column;
}

/* The first column of which the trace has no frame. */
static int end_of_trace(const tess_codes_report *r)
{
    if (r->n_frame_trace >= r->n_frame) return r->n_column;
    int column = (int)(r->n_frame_trace * r->n_column / r->n_frame);
    return column + (begin_of(r, column) < r->n_frame_trace);
}

static const tess_code_cell *cell_of(const tess_codes_report *r, int codebook, int column)
{
    return &r->cell[codebook * r->n_column + column];
}

/* ---- cells ---- */

static void put_frames(FILE *out, int64_t first, int64_t end)
{
    fprintf(out, end - first == 1 ? "frame %" PRId64 : "frames %" PRId64 " to %" PRId64, first, end - 1);
}

/* Columns [first, end) of a codebook, which all differ or all are the same. */
static void put_run(FILE *out, const drawing *d, int codebook, int first, int end)
{
    const tess_code_cell *cell = cell_of(d->r, codebook, first);
    int64_t n_different = 0, from = begin_of(d->r, first), to = begin_of(d->r, end);
    if (to > d->r->n_frame_trace) to = d->r->n_frame_trace;
    for (int i = first; i < end; i++) n_different += cell_of(d->r, codebook, i)->n_different;
    fprintf(out,
            "<rect class=\"code %s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>codebook %d, ",
            n_different ? "e7" : "exact", LEFT + d->pitch * first, TOP + codebook * d->line,
            d->pitch * (end - first) - (d->pitch > 4 ? 0.75 : 0), d->line - 1, codebook);
    put_frames(out, from, to);
    if (!n_different) {
        fputs(": the same</title></rect>\n", out);
        return;
    }
    if (to - from > 1)
        fprintf(out, ": %" PRId64 " of %" PRId64 " differ, the first in frame %" PRId64, n_different,
                to - from, cell->frame);
    fprintf(out, ": expected %" PRId64 ", found %" PRId64 "</title></rect>\n", cell->expected, cell->found);
}

static void put_cells(FILE *out, const drawing *d)
{
    const tess_codes_report *r = d->r;
    int n_column = end_of_trace(r);
    for (int codebook = 0; codebook < r->n_codebook; codebook++)
        for (int first = 0, end; first < n_column; first = end) {
            bool differs = cell_of(r, codebook, first)->n_different > 0;
            for (end = first + 1; end < n_column; end++)
                if ((cell_of(r, codebook, end)->n_different > 0) != differs) break;
            put_run(out, d, codebook, first, end);
        }
    if (n_column < r->n_column)
        fprintf(
            out,
            "<rect class=\"unused\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>the trace has "
            "no frame from %" PRId64 " on</title></rect>\n",
            LEFT + d->pitch * n_column, TOP, d->pitch * (r->n_column - n_column), d->high - 1,
            r->n_frame_trace);
}

/* The first code that differs; of a speech that ends, all of its next frame. */
static void put_outline(FILE *out, const drawing *d)
{
    const tess_codes_report *r = d->r;
    if (r->first_frame < 0 || r->first_frame >= r->n_frame) return;
    int64_t column = r->first_frame * r->n_column / r->n_frame;
    bool is_end = r->first_codebook < 0;
    for (int k = 0; k < 2; k++)
        fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
                "pointer-events=\"none\"/>\n",
                k ? "outline" : "halo", LEFT + d->pitch * (double)column - 1,
                TOP + (is_end ? 0 : r->first_codebook * d->line) - 1, d->pitch + 2,
                (is_end ? d->high : d->line) + 1);
}

static void put_numbers(FILE *out, const drawing *d)
{
    int step = tess_report_label_step(d->line, 14);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">codebook</text>", LEFT - 8, TOP - 7);
    double frame_px = d->pitch * d->r->n_column / (double)d->r->n_frame;
    for (int i = 0; i < d->r->n_codebook; i += step)
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>", LEFT - 8,
                TOP + d->line * (i + 0.5) + 4, i);
    step = tess_report_label_step(frame_px, 44);
    for (int64_t frame = 0; frame < d->r->n_frame; frame += step)
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%" PRId64 "</text>",
                LEFT + frame_px * ((double)frame + 0.5), TOP + d->high + 16, frame);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">frame</text>\n", LEFT - 8, TOP + d->high + 16);
}

static void put_drawing(FILE *out, const drawing *d, const char *words)
{
    static const char *const items[][2] = {
        {"exact", "the same code"}, {"e7", "another"}, {"unused", "no frame"}, {"outline", "the first"}};
    int wide = LEFT + (d->wide < LEAST ? LEAST : d->wide) + RIGHT, high = TOP + d->high + LEGEND;
    fprintf(out,
            "<div class=\"wide\"><svg class=\"codes\" " TESS_REPORT_VIEW
            " role=\"img\" aria-label=\"%d codebooks "
            "by %" PRId64 " frames: %s\">\n",
            TESS_REPORT_VIEW_OF(wide, high), d->r->n_codebook, d->r->n_frame, words);
    put_cells(out, d);
    put_outline(out, d);
    put_numbers(out, d);
    tess_report_keys(out, items, sizeof items / sizeof items[0], LEFT, TOP + d->high + 36);
    fputs("</svg></div>\n", out);
}

/* ---- words ---- */

static int64_t count_different(const tess_codes_report *r, int codebook, const tess_code_cell **first)
{
    int64_t n = 0;
    for (int i = r->n_column - 1; i >= 0; i--) {
        const tess_code_cell *cell = cell_of(r, codebook, i);
        n += cell->n_different;
        if (cell->n_different) *first = cell;
    }
    return n;
}

static void put_caption(FILE *out, const tess_compare_result *result, const tess_codes_report *r,
                        int64_t n_different)
{
    int64_t n_common = r->n_frame < r->n_frame_trace ? r->n_frame : r->n_frame_trace;
    fputs("<figcaption>", out);
    tess_report_put_string(out, tess_tap_short_name(result->tap[r->tap].name));
    fprintf(out, ": %d codebooks × %" PRId64 " frames", r->n_codebook, r->n_frame);
    if (r->n_frame_trace != r->n_frame) fprintf(out, ", of which the trace has %" PRId64, r->n_frame_trace);
    if (n_different)
        fprintf(out,
                "; %" PRId64 " of %" PRId64 " codes differ, the first in frame %" PRId64 ", codebook %d.",
                n_different, n_common * r->n_codebook, r->first_frame, r->first_codebook);
    else
        fprintf(out, "; the %" PRId64 " codes that both sides have are the same.", n_common * r->n_codebook);
    if (r->n_column < r->n_frame)
        fprintf(out, " A cell is %" PRId64 " to %" PRId64 " frames, and differs where one of them does.",
                r->n_frame / r->n_column, (r->n_frame + r->n_column - 1) / r->n_column);
    fputs("</figcaption>\n", out);
}

/* Every codebook that differs: how often, and the first code. */
static void put_table(FILE *out, const tess_codes_report *r)
{
    fputs(
        "<div class=\"wide\"><table class=\"first-codes\"><thead><tr><th class=\"l\" "
        "scope=\"col\">codebook</th>"
        "<th scope=\"col\">codes that differ</th><th scope=\"col\">the first in frame</th><th scope=\"col\">"
        "reference</th><th scope=\"col\">trace</th></tr></thead><tbody>\n",
        out);
    for (int i = 0; i < r->n_codebook; i++) {
        const tess_code_cell *first = NULL;
        int64_t n = count_different(r, i, &first);
        if (n)
            fprintf(out,
                    "<tr%s><td class=\"l\">%d</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64
                    "</td><td>%" PRId64 "</td></tr>\n",
                    i == r->first_codebook ? " class=\"failed\"" : "", i, n, first->frame, first->expected,
                    first->found);
    }
    fputs("</tbody></table></div>\n", out);
}

void tess_report_codes(FILE *out, const tess_compare_result *result, const tess_codes_report *r)
{
    if (!r->n_column || !r->n_codebook) return;
    int64_t n_different = 0;
    for (int i = 0; i < r->n_codebook; i++) {
        const tess_code_cell *first;
        n_different += count_different(r, i, &first);
    }
    drawing d = make_drawing(r);
    fputs("<figure>", out);
    put_caption(out, result, r, n_different);
    put_drawing(out, &d, n_different ? "some differ" : "no code differs");
    if (n_different) put_table(out, r);
    fputs("</figure>\n", out);
}
