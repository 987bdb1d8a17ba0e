/* Router agreement: per layer a bar of the tokens that chose the same experts, with ties and other choices on
 * top of it, and their numbers above where there are any. */
#include <inttypes.h>
#include <string.h>

#include "verify/report/page.h"

enum {
    WIDTH = TESS_REPORT_WIDTH,
    LEFT = TESS_REPORT_LEFT,
    RIGHT = TESS_REPORT_RIGHT,
    TOP = 52,
    BARS = 120,
    HEIGHT = TOP + BARS + 32,
    WIDEST = 48 /* of a layer's place */
};

/* Of one chart: the layers of one part of the model. */
typedef struct chart {
    const tess_layer_routing *layer;
    int n;
    double pitch;
} chart;

static void draw_frame(FILE *out, const chart *c)
{
    double right = LEFT + c->pitch * c->n;
    for (int percent = 0; percent <= 100; percent += 50) {
        double y = TOP + BARS * (1 - percent / 100.0);
        fprintf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, right, y,
                y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d %%</text>\n", LEFT - 8, y + 4,
                percent);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">ties</text>", LEFT - 8, TOP - 32);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">other</text>", LEFT - 8, TOP - 16);
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">layer</text>\n", LEFT - 8, TOP + BARS + 22);
}

/* A number in the middle of a layer's place, if it has room there. */
static void put_count(FILE *out, const chart *c, double x, int y, const char *class, int64_t count)
{
    int digits = 1;
    for (int64_t rest = count; rest >= 10; rest /= 10) digits++;
    if (!count || digits * 7.5 > c->pitch + 2) return;
    fprintf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%" PRId64 "</text>", class, x,
            y, count);
}

static void draw_layer(FILE *out, const chart *c, int i)
{
    const tess_layer_routing *r = &c->layer[i];
    double gap = c->pitch > 8 ? c->pitch * 0.18 : 0.5, x = LEFT + c->pitch * i + gap / 2;
    double n = r->n_tok ? (double)r->n_tok : 1;
    const struct {
        const char *class;
        int64_t count;
    } share[] = {{"same", r->n_same}, {"tie", r->n_tie}, {"otherset", r->n_other}};
    fprintf(out,
            "<g class=\"routing\"><title>layer %d: %" PRId64 " of %" PRId64 " tokens chose the same experts, "
            "%" PRId64 " the other of two tied ones, %" PRId64 " others</title>",
            r->layer, r->n_same, r->n_tok, r->n_tie, r->n_other);
    double floor_y = TOP + BARS;
    for (int k = 0; k < 3; k++) {
        if (!share[k].count) continue;
        double height = BARS * (double)share[k].count / n;
        /* What is rare must be seen all the same; it is drawn over the bar below it. */
        if (k && height < 2.5) {
            floor_y += 2.5 - height;
            height = 2.5;
        }
        fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
                share[k].class, x, floor_y - height, c->pitch - gap, height);
        floor_y -= height;
    }
    double middle = x + (c->pitch - gap) / 2;
    put_count(out, c, middle, TOP - 32, "tie", r->n_tie);
    put_count(out, c, middle, TOP - 16, "otherset", r->n_other);
    fputs("</g>", out);
    int step = c->pitch < 11 ? 4 : c->pitch < 22 ? 2 : 1;
    if (i % step == 0)
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>", middle, TOP + BARS + 22,
                r->layer);
    fputc('\n', out);
}

static void draw_chart(FILE *out, const chart *c)
{
    int64_t n_tok = 0, n_same = 0, n_tie = 0;
    for (int i = 0; i < c->n; i++) {
        n_tok += c->layer[i].n_tok;
        n_same += c->layer[i].n_same;
        n_tie += c->layer[i].n_tie;
    }
    fprintf(out,
            "<figure class=\"routing\"><figcaption>%s: %" PRId64 " of %" PRId64
            " choices of %d experts are the same set, %" PRId64 " are ties, %" PRId64
            " are others.</figcaption><div class=\"wide\">",
            c->layer->part, n_same, n_tok, c->layer->n_chosen, n_tie, n_tok - n_same - n_tie);
    fprintf(out,
            "<svg " TESS_REPORT_VIEW " role=\"img\" aria-label=\"router agreement of %d layers: %" PRId64
            " of %" PRId64 " choices are the same\">\n",
            TESS_REPORT_VIEW_OF((int)(LEFT + c->pitch * c->n) + RIGHT, HEIGHT), c->n, n_same, n_tok);
    draw_frame(out, c);
    for (int i = 0; i < c->n; i++) draw_layer(out, c, i);
    fputs("</svg></div></figure>\n", out);
}

void tess_report_routing(FILE *out, const tess_compare_result *result)
{
    if (!result->n_routing) return;
    fputs("<h2>Router agreement</h2>\n", out);
    for (int first = 0; first < result->n_routing;) {
        chart c = {.layer = &result->routing[first]};
        while (first + c.n < result->n_routing && !strcmp(c.layer[c.n].part, c.layer->part)) c.n++;
        c.pitch = (double)(WIDTH - LEFT - RIGHT) / c.n;
        if (c.pitch > WIDEST) c.pitch = WIDEST;
        draw_chart(out, &c);
        first += c.n;
    }
}
