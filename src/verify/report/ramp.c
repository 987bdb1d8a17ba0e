/* What explains a drawing: the scale that turns errors into colours, ten steps on a log scale, what else its
 * rectangles say, and seconds. */
#include <math.h>
#include <string.h>

#include "verify/report/page.h"

enum { STEPS = 10, RAMP = 300 /* its width */ };

int tess_report_label_step(double pitch, double room)
{
    int step = 1;
    while (step * pitch < room) step *= 2;
    return step;
}

const char *tess_report_error_class(const tess_decades *decades, double error)
{
    static const char *const steps[STEPS] = {"e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9"};
    if (isnan(error) || isinf(error)) return "odd";
    if (error == 0) return "exact";
    return steps[(int)fmin(STEPS - 1, tess_decades_share(decades, error) * STEPS)];
}

void tess_report_ramp(FILE *out, const tess_decades *scale, double bar, double x, double y)
{
    for (int k = 0; k < STEPS; k++)
        fprintf(out, "<rect class=\"e%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\"/>", k,
                x + RAMP * (double)k / STEPS, y, RAMP / (double)STEPS + 0.3);
    int decades = (int)(scale->high - scale->low), step = tess_report_label_step(RAMP / (double)decades, 36);
    for (int d = 0; d <= decades; d += step)
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">1e%d</text>",
                x + RAMP * (double)d / decades, y + 28, (int)scale->low + d);
    if (bar > 0) {
        double at = x + RAMP * tess_decades_share(scale, bar);
        fprintf(out, "<line class=\"bar\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at, y - 6,
                y + 17);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">bar</text>", at, y - 9);
    }
    fputc('\n', out);
}

void tess_report_keys(FILE *out, const char *const key[][2], size_t n, double x, double y)
{
    for (size_t i = 0; i < n; i++) {
        fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"13\" height=\"13\"/><text x=\"%.1f\" "
                "y=\"%.1f\">%s</text>",
                key[i][0], x + 0.5, y + 0.5, x + 21, y + 11.5, key[i][1]);
        x += 42 + 7 * (double)strlen(key[i][1]);
    }
}

void tess_report_times(FILE *out, double seconds, double x, double wide, double y)
{
    double step = 0.001;
    for (int k = 0; step * wide / seconds < 60; k++) step *= k % 3 == 1 ? 2.5 : 2; /* 1 2 5 10 20 50 … */
    int n_digit = step < 0.0099 ? 3 : step < 0.099 ? 2 : step < 0.99 ? 1 : 0;
    for (int k = 0; k * step <= seconds * (1 + 1e-9); k++)
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.*f s</text>",
                x + wide * k * step / seconds, y, n_digit, k * step);
    fputc('\n', out);
}
