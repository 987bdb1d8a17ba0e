/* A waveform of both sides: their envelopes, the difference, and the spectra of all three over one axis of
 * time; below them the sound itself. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verify/report/page.h"

enum {
    LEFT = TESS_REPORT_LEFT,
    RIGHT = 24,
    WIDE = TESS_REPORT_WIDTH - LEFT - RIGHT,
    TOP = 22,
    ROW = 84, /* of a waveform */
    GAP = 12,
    SPECTRUM = 100,
    SPANS = 128, /* that tell their numbers */
    DECIBELS = 80
};

static const char *const side_names[] = {"reference", "trace", "difference"};

typedef struct drawing {
    const tess_sound_report *r;
    double scale[TESS_SOUND_SIDES];   /* the sample at a row's edge */
    double loudest[TESS_SOUND_SIDES]; /* power */
    int n_side;                       /* of them drawn: without a difference the first two */
    int64_t n_odd;
} drawing;

static bool has_samples(const tess_sound_column *c, int side)
{
    return c->low[side] <= c->high[side];
}

static drawing make_drawing(const tess_sound_report *r)
{
    drawing d = {.r = r};
    for (int side = 0; side < TESS_SOUND_SIDES; side++) {
        for (int i = 0; i < r->n_column; i++)
            if (has_samples(&r->column[i], side))
                d.scale[side] = fmax(d.scale[side],
                                     fmax(-(double)r->column[i].low[side], (double)r->column[i].high[side]));
        for (size_t i = 0; i < (size_t)r->n_moment * (size_t)r->n_line; i++)
            d.loudest[side] = fmax(d.loudest[side], (double)r->power[side][i]);
    }
    for (int i = 0; i < r->n_column; i++) d.n_odd += r->column[i].n_odd;
    d.n_side = d.scale[TESS_SOUND_DIFFERENCE] > 0 ? TESS_SOUND_SIDES : 2;
    double both = fmax(d.scale[TESS_SOUND_REFERENCE], d.scale[TESS_SOUND_TRACE]);
    d.scale[TESS_SOUND_REFERENCE] = d.scale[TESS_SOUND_TRACE] = both;
    if (r->bar > 0 && d.n_side == TESS_SOUND_SIDES)
        d.scale[TESS_SOUND_DIFFERENCE] = fmax(d.scale[TESS_SOUND_DIFFERENCE], r->bar);
    double loudest = fmax(d.loudest[TESS_SOUND_REFERENCE], d.loudest[TESS_SOUND_TRACE]);
    d.loudest[TESS_SOUND_REFERENCE] = d.loudest[TESS_SOUND_TRACE] = loudest;
    return d;
}

static double x_of_column(const drawing *d, double column)
{
    return LEFT + WIDE * column / d->r->n_column;
}

static int row_of(int side)
{
    return TOP + side * (ROW + GAP);
}

static double y_of(const drawing *d, int side, double sample)
{
    double middle = row_of(side) + ROW / 2.0;
    return d->scale[side] > 0 ? middle - sample / d->scale[side] * (ROW / 2.0) : middle;
}

/* ---- waveforms ---- */

/* Columns [first, end) have samples: along their tops and back below. */
static void put_piece(FILE *out, const drawing *d, int side, int first, int end)
{
    const tess_sound_column *c = d->r->column;
    for (int i = first; i < end; i++)
        fprintf(out, "%c%.1f %.1f", i == first ? 'M' : 'L', x_of_column(d, i + 0.5),
                y_of(d, side, (double)c[i].high[side]));
    for (int i = end - 1; i >= first; i--)
        fprintf(out, "L%.1f %.1f", x_of_column(d, i + 0.5), y_of(d, side, (double)c[i].low[side]));
    fputc('z', out);
}

static void put_envelope(FILE *out, const drawing *d, int side)
{
    const tess_sound_report *r = d->r;
    fprintf(out, "<path class=\"%s\" d=\"", side == TESS_SOUND_DIFFERENCE ? "wave error" : "wave");
    for (int first = 0, end; first < r->n_column; first = end + 1) {
        while (first < r->n_column && !has_samples(&r->column[first], side)) first++;
        for (end = first; end < r->n_column && has_samples(&r->column[end], side);) end++;
        if (end > first) put_piece(out, d, side, first, end);
    }
    fputs("\"/>\n", out);
}

static void put_scale(FILE *out, const drawing *d, int side)
{
    for (int k = -1; k <= 1; k++) {
        double y = row_of(side) + ROW / 2.0 * (1 - k);
        fprintf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, LEFT + WIDE,
                y, y);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, y + 4 + 5 * k);
        if (k)
            tess_report_put_number(out, k * d->scale[side]);
        else
            fputs(side_names[side], out);
        fputs("</text>\n", out);
    }
}

static void put_bar(FILE *out, const drawing *d)
{
    for (int k = -1; k <= 1; k += 2) {
        double y = y_of(d, TESS_SOUND_DIFFERENCE, k * d->r->bar);
        fprintf(out, "<line class=\"bar\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", LEFT, LEFT + WIDE,
                y, y);
    }
}

/* Samples that are not finite are in no waveform. */
static void put_odd(FILE *out, const drawing *d)
{
    for (int i = 0; i < d->r->n_column; i++)
        if (d->r->column[i].n_odd)
            fprintf(out, "<rect class=\"odd\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
                    x_of_column(d, i), row_of(TESS_SOUND_TRACE), fmax(1, (double)WIDE / d->r->n_column), ROW);
}

static double seconds_of(const tess_sound_report *r, int64_t sample)
{
    return (double)sample / r->rate_hz;
}

/* Where the trace leaves its bar, over all rows. */
static void put_first(FILE *out, const drawing *d, double bottom)
{
    const tess_sound_report *r = d->r;
    if (r->first < 0 || r->first >= r->n_sample) return;
    double x = LEFT + WIDE * ((double)r->first + 0.5) / (double)r->n_sample;
    bool is_right = x > LEFT + WIDE / 2.0;
    fprintf(out, "<line class=\"first\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>", x, x, TOP - 18,
            bottom);
    fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">from here on: %.3f s, sample %" PRId64,
            is_right ? x - 6 : x + 6, TOP - 8, is_right ? "end" : "start", seconds_of(r, r->first), r->first);
    if (r->first_frame >= 0) fprintf(out, ", frame %" PRId64, r->first_frame);
    fputs("</text>\n", out);
}

static void put_range(FILE *out, const char *name, const tess_sound_column *c, int side)
{
    fprintf(out, "%s ", name);
    if (!has_samples(c, side)) {
        fputs("–", out);
        return;
    }
    tess_report_put_number(out, (double)c->low[side]);
    fputs(" to ", out);
    tess_report_put_number(out, (double)c->high[side]);
}

/* What a span of columns holds is told where the pointer rests. */
static void put_spans(FILE *out, const drawing *d)
{
    const tess_sound_report *r = d->r;
    int n_span = r->n_column < SPANS ? r->n_column : SPANS;
    for (int k = 0; k < n_span; k++) {
        int first = k * r->n_column / n_span, end = (k + 1) * r->n_column / n_span;
        tess_sound_column all = r->column[first];
        for (int i = first + 1; i < end; i++)
            for (int side = 0; side < TESS_SOUND_SIDES; side++) {
                all.low[side] = fminf(all.low[side], r->column[i].low[side]);
                all.high[side] = fmaxf(all.high[side], r->column[i].high[side]);
            }
        fprintf(out, "<rect class=\"span\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"><title>",
                x_of_column(d, first), TOP, x_of_column(d, end) - x_of_column(d, first),
                row_of(d->n_side) - GAP - TOP);
        fprintf(out, "%.3f s to %.3f s: ", seconds_of(r, first * r->n_sample / r->n_column),
                seconds_of(r, end * r->n_sample / r->n_column));
        put_range(out, "reference", &all, TESS_SOUND_REFERENCE);
        put_range(out, ", trace", &all, TESS_SOUND_TRACE);
        if (d->n_side == TESS_SOUND_SIDES) put_range(out, ", difference", &all, TESS_SOUND_DIFFERENCE);
        fputs("</title></rect>\n", out);
    }
}

/* ---- spectra ---- */

static double decibels(double power, double loudest)
{
    return power > 0 && loudest > 0 ? 10 * log10(power / loudest) : -INFINITY;
}

/* High tones first. */
static void put_spectrum(FILE *out, const drawing *d, int side, double y)
{
    const tess_sound_report *r = d->r;
    size_t n_moment = (size_t)r->n_moment, n_line = (size_t)r->n_line;
    unsigned char *pixels = malloc(n_moment * n_line + 1);
    for (size_t i = 0; pixels && i < n_moment * n_line; i++) {
        double share = 1 + decibels((double)r->power[side][i], d->loudest[side]) / DECIBELS;
        pixels[(n_line - 1 - i / n_moment) * n_moment + i % n_moment] =
            (unsigned char)rint(255 * fmin(fmax(share, 0), 1));
    }
    if (pixels) {
        fprintf(out,
                "<image x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\" href=\"",
                LEFT, y, WIDE, SPECTRUM);
        tess_report_put_bitmap(out, pixels, r->n_moment, r->n_line, 1);
        fputs("\"/>\n", out);
    } else {
        fprintf(out, "<rect class=\"unused\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n", LEFT, y,
                WIDE, SPECTRUM);
    }
    free(pixels);
    fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d kHz</text>", LEFT - 8, y + 10,
            r->rate_hz / 2000);
    fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 8, y + SPECTRUM / 2.0 + 4,
            side_names[side]);
    fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">0</text>\n", LEFT - 8, y + SPECTRUM);
}

/* ---- all ---- */

static void put_drawing(FILE *out, const drawing *d)
{
    const tess_sound_report *r = d->r;
    int spectra = row_of(d->n_side) + 4, bottom = spectra + d->n_side * (SPECTRUM + GAP) - GAP;
    fprintf(out,
            "<div class=\"wide\"><svg class=\"sound\" " TESS_REPORT_VIEW
            " role=\"img\" aria-label=\"waveforms and "
            "spectra of %.3f s\">\n",
            TESS_REPORT_VIEW_OF(LEFT + WIDE + RIGHT, bottom + 24), seconds_of(r, r->n_sample));
    for (int side = 0; side < d->n_side; side++) put_scale(out, d, side);
    if (r->bar > 0 && d->n_side == TESS_SOUND_SIDES) put_bar(out, d);
    for (int side = 0; side < d->n_side; side++) put_envelope(out, d, side);
    put_odd(out, d);
    for (int side = 0; side < d->n_side; side++)
        put_spectrum(out, d, side, spectra + side * (SPECTRUM + GAP));
    put_first(out, d, bottom);
    put_spans(out, d);
    tess_report_times(out, seconds_of(r, r->n_sample), LEFT, WIDE, bottom + 18);
    fputs("</svg></div>\n", out);
}

static void put_outcome(FILE *out, const tess_tap_report *tap)
{
    if (tess_tap_has_failed(tap)) {
        fputs(": <span class=\"failed\">", out);
        tess_report_put_string(out, tap->why);
        fputs("</span>", out);
    } else if (tap->outcome == TESS_OUTCOME_EQUAL) {
        fputs(". Equal, bit for bit", out);
    } else {
        fputs(". Relative L2 ", out);
        tess_report_put_number(out, tap->rel_l2);
        if (tap->measure == TESS_MEASURE_REL_L2) fputs(", bar ", out);
        if (tap->measure == TESS_MEASURE_REL_L2) tess_report_put_number(out, tap->tolerance);
    }
}

static void put_caption(FILE *out, const tess_compare_result *result, const drawing *d)
{
    const tess_sound_report *r = d->r;
    const tess_tap_report *tap = &result->tap[r->tap];
    fputs("<figcaption>", out);
    tess_report_put_string(out, tess_tap_short_name(tap->name));
    fprintf(out, ": %.3f s, %" PRId64 " samples", seconds_of(r, r->n_sample), r->n_sample);
    if (r->n_frame) fprintf(out, " of %" PRId64 " frame%s", r->n_frame, r->n_frame == 1 ? "" : "s");
    if (r->n_sample_trace > r->n_sample)
        fprintf(out, "; the trace goes on for %" PRId64 " more, which are not shown",
                r->n_sample_trace - r->n_sample);
    if (r->n_sample_trace < r->n_sample) fprintf(out, "; the trace ends after %" PRId64, r->n_sample_trace);
    put_outcome(out, tap);
    double level = decibels(d->loudest[TESS_SOUND_DIFFERENCE], d->loudest[TESS_SOUND_REFERENCE]);
    if (d->n_side == TESS_SOUND_SIDES && isfinite(level))
        fprintf(out, ". The difference's loudest spectrum lies %.0f dB %s that of both sides", fabs(level),
                level > 0 ? "above" : "below");
    if (d->n_odd) fprintf(out, ". %" PRId64 " samples are not finite on either side and left out", d->n_odd);
    fputs(".</figcaption>\n", out);
}

static void put_player(FILE *out, const tess_sound_report *r, int side, const char *name)
{
    int64_t n = r->n_kept[side], n_all = side ? r->n_sample_trace : r->n_sample;
    char part[80] = "";
    if (!n) return;
    if (n < n_all)
        snprintf(part, sizeof part, ", the first %.1f s of %.1f", seconds_of(r, n), seconds_of(r, n_all));
    fprintf(out, "<span>%s%s</span><audio controls preload=\"metadata\" aria-label=\"%s%s\" src=\"", name,
            part, name, part);
    tess_report_put_wav(out, r->kept[side], n, r->rate_hz);
    fputs("\"></audio>\n", out);
}

static void put_players(FILE *out, const tess_sound_report *r)
{
    if (!r->kept[0] || !r->kept[1]) return;
    bool is_same = r->n_kept[0] == r->n_kept[1] &&
                   !memcmp(r->kept[0], r->kept[1], (size_t)r->n_kept[0] * sizeof **r->kept);
    fputs("<div class=\"listen\">", out);
    put_player(out, r, TESS_SOUND_REFERENCE, is_same ? "both sides, the same in 16 bits" : "reference");
    if (!is_same) put_player(out, r, TESS_SOUND_TRACE, "trace");
    fputs("</div>\n", out);
}

void tess_report_sound(FILE *out, const tess_compare_result *result, const tess_sound_report *r)
{
    drawing d = make_drawing(r);
    fputs("<figure>", out);
    put_caption(out, result, &d);
    put_drawing(out, &d);
    put_players(out, r);
    fputs("</figure>\n", out);
}
