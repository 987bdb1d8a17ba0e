#include "spectrogram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "io/output.h"

enum {
    LEFT = 64,
    TOP = 56,
    RIGHT = 24,
    BELOW = 52,
    FRAME_WIDE = 72, /* pixels, and room for the text of a token */
    COLUMN_WIDE = 3,
    MOST_FRAMES = 60, /* what a browser still draws as a whole */
    LEAST_WIDE = 320,
    MOST_HZ = 3000,
    LINE_HZ = 25,
    N_LINE = MOST_HZ / LINE_HZ,
    LINE_HIGH = 3, /* pixels */
    HIGH = N_LINE * LINE_HIGH,
    WINDOW = 480 /* 20 ms */
};
static const double floor_db = -48;    /* below the loudest; the colour of silence from there on */
static const double least_loud_db = 0; /* silence is no sound at its own loudest */
/* From silence to the loudest, of even steps of lightness. */
static const char *const colours[] = {"#140e36", "#2a115c", "#4a1079", "#6b1d81", "#8c2981", "#b0347b",
                                      "#d3436e", "#ee5d5e", "#f9835f", "#fea873", "#fecd90", "#fcf0b2"};
enum { N_COLOUR = sizeof colours / sizeof *colours };
static const double two_pi = 6.283185307179586;

typedef struct plot {
    size_t n_sample, n_column;
    double wide;           /* pixels of all samples */
    double *db;            /* [n_column, N_LINE] */
    unsigned char *colour; /* the same */
} plot;

static double x_of(const plot *p, double sample)
{
    return LEFT + p->wide * sample / fmax((double)p->n_sample, 1);
}

/* A column is the spectrum of 20 ms around its middle. */
static void fill_column(plot *p, const float *samples, size_t column)
{
    double part[WINDOW];
    double middle = ((double)column + 0.5) * (double)p->n_sample / (double)p->n_column;
    for (int i = 0; i < WINDOW; i++) {
        double at = middle - WINDOW / 2.0 + i;
        double sample = at >= 0 && at < (double)p->n_sample ? (double)samples[(size_t)at] : 0;
        part[i] = sample * (0.5 - 0.5 * cos(two_pi * i / (WINDOW - 1)));
    }
    for (int line = 0; line < N_LINE; line++)
        p->db[column * N_LINE + (size_t)line] =
            10 * log10(voice_energy(part, WINDOW, LINE_HZ * (line + 0.5)) + 1e-12);
}

static bool make_plot(plot *p, const float *samples, size_t n_sample)
{
    size_t n_frame = (n_sample + VOICE_FRAME - 1) / VOICE_FRAME;
    double wide = FRAME_WIDE * (double)n_frame;
    *p = (plot){.n_sample = n_sample, .n_column = (size_t)wide / COLUMN_WIDE, .wide = fmax(wide, LEAST_WIDE)};
    size_t n = p->n_column * N_LINE;
    p->db = malloc((n + 1) * sizeof *p->db);
    p->colour = malloc(n + 1);
    if (!p->db || !p->colour) return false;
    for (size_t column = 0; column < p->n_column; column++) fill_column(p, samples, column);
    double loudest = least_loud_db;
    for (size_t i = 0; i < n; i++) loudest = fmax(loudest, p->db[i]);
    for (size_t i = 0; i < n; i++) {
        double share = 1 - (p->db[i] - loudest) / floor_db;
        p->colour[i] = (unsigned char)fmax(0, fmin(share * N_COLOUR, N_COLOUR - 1));
    }
    return true;
}

/* One path for each colour, of runs of equal cells. */
static void put_cells(FILE *out, const plot *p)
{
    fprintf(out, "<rect fill=\"%s\" x=\"%d\" y=\"%d\" width=\"%.6g\" height=\"%d\"/>\n", colours[0], LEFT,
            TOP, p->wide, HIGH);
    double column = p->wide / fmax((double)p->n_column, 1);
    for (int colour = 1; colour < N_COLOUR; colour++) {
        fprintf(out, "<path shape-rendering=\"crispEdges\" fill=\"%s\" d=\"", colours[colour]);
        for (int line = 0; line < N_LINE; line++)
            for (size_t begin = 0, end; begin < p->n_column; begin = end) {
                int cell = p->colour[begin * N_LINE + (size_t)line];
                for (end = begin + 1; end < p->n_column && p->colour[end * N_LINE + (size_t)line] == cell;)
                    end++;
                if (cell != colour) continue;
                double wide = column * (double)(end - begin);
                fprintf(out, "M%.6g %dh%.6gv%dh-%.6gz", LEFT + column * (double)begin,
                        TOP + HIGH - (line + 1) * LINE_HIGH, wide, LINE_HIGH, wide);
            }
        fputs("\"/>\n", out);
    }
}

static void put_axes(FILE *out, const plot *p)
{
    static const double steps[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600};
    double seconds = (double)p->n_sample / VOICE_RATE_HZ, step = steps[0];
    for (size_t i = 1; i < sizeof steps / sizeof *steps && step * p->wide / fmax(seconds, 1e-9) < 48; i++)
        step = steps[i];
    fprintf(out, "<rect fill=\"none\" stroke=\"#444\" x=\"%d\" y=\"%d\" width=\"%.6g\" height=\"%d\"/>\n",
            LEFT, TOP, p->wide, HIGH);
    for (int i = 0; i * step <= seconds; i++)
        fprintf(out,
                "<path stroke=\"#444\" d=\"M%.6g %dv5\"/><text x=\"%.6g\" y=\"%d\" "
                "text-anchor=\"middle\">%.6g</text>\n",
                x_of(p, i * step * VOICE_RATE_HZ), TOP + HIGH, x_of(p, i * step * VOICE_RATE_HZ),
                TOP + HIGH + 20, i * step);
    fprintf(out, "<text x=\"%.6g\" y=\"%d\" text-anchor=\"middle\">seconds</text>\n", LEFT + p->wide / 2,
            TOP + HIGH + 42);
    for (int hz = 0; hz <= MOST_HZ; hz += 500)
        fprintf(out,
                "<path stroke=\"#444\" d=\"M%d %dh-5\"/><text x=\"%d\" y=\"%d\" "
                "text-anchor=\"end\">%d</text>\n",
                LEFT, TOP + HIGH - hz / LINE_HZ * LINE_HIGH, LEFT - 9,
                TOP + HIGH - hz / LINE_HZ * LINE_HIGH + 4, hz);
    fprintf(out, "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">hertz</text>\n",
            TOP + HIGH / 2);
}

/* Text that may hold anything; blanks are shown. */
static void put_text(FILE *out, const char *text, size_t n_byte)
{
    char escaped[64];
    size_t taken = tess_utf8_escape(text, n_byte, "", escaped, sizeof escaped - 4);
    for (const char *at = escaped; *at; at++) switch (*at) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case ' ':
            fputs("\u2423", out);
            break;
        default:
            putc(*at, out);
        }
    if (taken < n_byte) fputs("…", out);
}

/* A line between frames, and above each its token and the two symbols of its halves. */
static void put_tokens(FILE *out, const plot *p, const voice_token *tokens, size_t n_token,
                       const tess_tokenizer *tokenizer)
{
    for (size_t i = 0; i < n_token && (i + 1) * VOICE_FRAME <= p->n_sample; i++) {
        double begin = x_of(p, (double)(i * VOICE_FRAME)), end = x_of(p, (double)((i + 1) * VOICE_FRAME));
        size_t n_byte = 0;
        int id = (int)tokens[i].id;
        const char *text = tokenizer ? tess_tokenizer_get_bytes(tokenizer, id, &n_byte) : NULL;
        fprintf(out,
                "<path stroke=\"#aaa\" stroke-dasharray=\"3 3\" d=\"M%.6g %dV%d\"/>"
                "<text x=\"%.6g\" y=\"%d\" text-anchor=\"middle\" font-weight=\"bold\">",
                end, TOP - 40, TOP + HIGH, (begin + end) / 2, TOP - 26);
        if (text)
            put_text(out, text, n_byte);
        else
            fprintf(out, "%d", id);
        fprintf(out, "<title>id %d, lead %.1f dB</title></text>", id, tokens[i].lead_db);
        fprintf(out, "<text x=\"%.6g\" y=\"%d\" text-anchor=\"middle\" font-size=\"11\">%d, %d</text>\n",
                (begin + end) / 2, TOP - 9, id / VOICE_N_SYMBOL, id % VOICE_N_SYMBOL);
    }
}

tess_status spectrogram_write(const char *path, const float *samples, size_t n_sample,
                              const voice_token *tokens, size_t n_token, const tess_tokenizer *tokenizer,
                              tess_error *err)
{
    plot p;
    if (n_sample > MOST_FRAMES * VOICE_FRAME) n_sample = MOST_FRAMES * VOICE_FRAME;
    char *text = NULL;
    size_t n_byte = 0;
    FILE *out = NULL;
    bool ok = make_plot(&p, samples, n_sample) && (out = open_memstream(&text, &n_byte)) != NULL;
    if (ok) {
        double wide = LEFT + p.wide + RIGHT;
        int high = TOP + HIGH + BELOW;
        fprintf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.6g %d\" width=\"%.6g\" "
                "height=\"%d\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
                "<title>Spectrogram and what was heard</title>\n"
                "<rect fill=\"white\" width=\"100%%\" height=\"100%%\"/>\n",
                wide, high, wide, high);
        put_cells(out, &p);
        put_axes(out, &p);
        put_tokens(out, &p, tokens, n_token, tokenizer);
        fputs("</svg>\n", out);
        ok = !ferror(out);
    }
    if (out && fclose(out)) ok = false;
    tess_status status = ok ? tess_output_save(path, text, n_byte, err)
                            : tess_fail(err, TESS_ENOMEM, "no memory for the spectrogram");
    free(text);
    free(p.db);
    free(p.colour);
    return status;
}
