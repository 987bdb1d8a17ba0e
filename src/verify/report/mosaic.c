/* Layers × experts, coloured by error on a log scale. An expert that no token was routed to is an empty
 * frame, one whose numbers are equal is green, and experts at fault are outlined. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "verify/report/decades.h"
#include "verify/report/page.h"

enum {
    WIDTH = TESS_REPORT_WIDTH,
    LEFT = TESS_REPORT_LEFT,
    RIGHT = TESS_REPORT_RIGHT,
    TOP = 22,
    LEGEND = 92, /* height below the cells */
    LEGEND_WIDTH = 470
};

/* Of one part of the model. */
typedef struct mosaic {
    const tess_layer_experts *layer;
    int n_layer, n_expert;
    bool by_truth;
    tess_decades decades;
    double tolerance;      /* NaN: none or several */
    double wide, high_px;  /* of a cell's place */
    int64_t n_used, n_own; /* cells */
} mosaic;

static double drawn_error(const mosaic *m, const tess_expert_error *e)
{
    return m->by_truth ? e->truth_distance : e->rel_l2;
}

static void set_scale(mosaic *m)
{
    tess_decades *d = &m->decades;
    *d = TESS_DECADES_NONE;
    m->tolerance = m->layer->tolerance;
    for (int l = 0; l < m->n_layer; l++) {
        const tess_layer_experts *layer = &m->layer[l];
        if (layer->tolerance != m->tolerance) m->tolerance = NAN;
        if (layer->n_expert > m->n_expert) m->n_expert = layer->n_expert;
        for (int e = 0; e < layer->n_expert; e++) {
            tess_decades_widen(d, drawn_error(m, &layer->expert[e]));
            m->n_used += layer->expert[e].n_tok > 0;
            m->n_own += layer->expert[e].n_tok > 0 && layer->expert[e].is_own;
        }
    }
    if (d->low > d->high) *d = (tess_decades){-8, -4};
    tess_decades_widen(d, m->tolerance);
    if (d->low > d->high - 3) d->low = d->high - 3;
}

static void set_places(mosaic *m)
{
    m->wide = (double)(WIDTH - LEFT - RIGHT) / m->n_expert;
    if (m->wide > 30) m->wide = 30;
    m->high_px = m->wide < 8 ? 8 : m->wide > 20 ? 20 : m->wide;
}

static const char *class_of(const mosaic *m, const tess_expert_error *e)
{
    return e->n_tok ? tess_report_error_class(&m->decades, drawn_error(m, e)) : "unused";
}

static void put_cell_title(FILE *out, const mosaic *m, int layer, int expert, const tess_expert_error *e)
{
    fprintf(out, "<title>layer %d, expert %d: ", layer, expert);
    if (!e->n_tok) {
        fputs("no tokens</title>", out);
        return;
    }
    fprintf(out, "%" PRId64 " token%s, ", e->n_tok, e->n_tok == 1 ? "" : "s");
    tess_report_put_number(out, drawn_error(m, e));
    if (m->by_truth) {
        fputs(", the reference ", out);
        tess_report_put_number(out, e->reference_truth_distance);
    }
    if (e->is_own && m->n_own < m->n_used) fputs(", its own output", out);
    if (e->is_fault) fputs(", at fault", out);
    fputs("</title>", out);
}

static void draw_cells(FILE *out, const mosaic *m)
{
    double gap = m->wide > 6 ? 1 : 0.5;
    for (int l = 0; l < m->n_layer; l++) {
        const tess_layer_experts *layer = &m->layer[l];
        for (int e = 0; e < layer->n_expert; e++) {
            /* A frame lies on the edge of its cell: it is drawn half a line inside. */
            double inset = layer->expert[e].n_tok ? 0 : 0.5;
            fprintf(out, "<rect class=\"cell %s%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">",
                    class_of(m, &layer->expert[e]), layer->expert[e].is_fault ? " fault" : "",
                    LEFT + e * m->wide + inset, TOP + l * m->high_px + inset, m->wide - gap - 2 * inset,
                    m->high_px - gap - 2 * inset);
            put_cell_title(out, m, layer->layer, e, &layer->expert[e]);
            fputs("</rect>\n", out);
        }
    }
    /* Outlines lie over the neighbours. */
    for (int l = 0; l < m->n_layer; l++)
        for (int e = 0; e < m->layer[l].n_expert; e++)
            for (int k = 0; k < 2 && m->layer[l].expert[e].is_fault; k++)
                fprintf(out,
                        "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                        "pointer-events=\"none\"/>\n",
                        k ? "outline" : "halo", LEFT + e * m->wide - 1, TOP + l * m->high_px - 1,
                        m->wide - gap + 2, m->high_px - gap + 2);
}

static void draw_axes(FILE *out, const mosaic *m)
{
    int rows = tess_report_label_step(m->high_px, 13), columns = tess_report_label_step(m->wide, 28);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">expert</text>", LEFT - 8, TOP - 8);
    for (int e = 0; e < m->n_expert; e += columns)
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>", LEFT + (e + 0.5) * m->wide,
                TOP - 8, e);
    for (int l = 0; l < m->n_layer; l += rows)
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s%d</text>", LEFT - 8,
                TOP + (l + 0.5) * m->high_px + 4, l ? "" : "layer ", m->layer[l].layer);
    fputc('\n', out);
}

static void draw_legend(FILE *out, const mosaic *m)
{
    static const char *const items[][2] = {
        {"exact", "equal"}, {"unused", "no tokens"}, {"odd", "no number"}, {"outline", "at fault"}};
    double y = TOP + m->n_layer * m->high_px + 26;
    tess_report_ramp(out, &m->decades, m->by_truth ? NAN : m->tolerance, LEFT, y);
    tess_report_keys(out, items, sizeof items / sizeof items[0], LEFT, y + 44);
    fputc('\n', out);
}

static void put_caption(FILE *out, const mosaic *m)
{
    const char *what = m->by_truth ? "distance to the float32 truth" : "relative L2 error";
    fprintf(out, "<figcaption>%s: the %s ", m->layer->part, what);
    if (m->n_own == m->n_used && m->n_used)
        fputs("of each expert's own output, before weighting.", out);
    else if (m->n_own)
        fprintf(out,
                "of the expert's own output for %" PRId64 " of %" PRId64
                " experts in use, and for the others of the layer's output for the tokens routed to them.",
                m->n_own, m->n_used);
    else
        fputs(
            "of the layer's output for the tokens that the reference routed to each expert, so that an error "
            "shows in every expert that shares a token with the one at fault.",
            out);
    fputs("</figcaption>", out);
}

static void draw_mosaic(FILE *out, const mosaic *m)
{
    int width = (int)(LEFT + m->n_expert * m->wide) + RIGHT;
    int height = (int)(TOP + m->n_layer * m->high_px) + LEGEND;
    if (width < LEGEND_WIDTH) width = LEGEND_WIDTH;
    int n_fault = 0;
    for (int l = 0; l < m->n_layer; l++)
        for (int e = 0; e < m->layer[l].n_expert; e++) n_fault += m->layer[l].expert[e].is_fault;
    fputs("<figure class=\"mosaic\">", out);
    put_caption(out, m);
    fprintf(out,
            "<div class=\"wide\"><svg " TESS_REPORT_VIEW " role=\"img\" aria-label=\"errors of %d layers "
            "by %d "
            "experts; %d experts at fault\">\n",
            TESS_REPORT_VIEW_OF(width, height), m->n_layer, m->n_expert, n_fault);
    draw_axes(out, m);
    draw_cells(out, m);
    draw_legend(out, m);
    fputs("</svg></div></figure>\n", out);
}

void tess_report_mosaic(FILE *out, const tess_compare_result *result)
{
    if (!result->n_experts) return;
    fputs("<h2>Experts</h2>\n", out);
    for (int first = 0; first < result->n_experts;) {
        mosaic m = {.layer = &result->experts[first], .by_truth = tess_report_by_truth(result)};
        while (first + m.n_layer < result->n_experts && !strcmp(m.layer[m.n_layer].part, m.layer->part))
            m.n_layer++;
        set_scale(&m);
        set_places(&m);
        draw_mosaic(out, &m);
        first += m.n_layer;
    }
}
