/* The sections of the HTML page that a comparison is written to. One file draws one section; html.c puts
 * them together. Everything that comes from a file goes through the two functions that escape. */
#ifndef TESS_VERIFY_REPORT_PAGE_H
#define TESS_VERIFY_REPORT_PAGE_H

#include <stdio.h>

#include "tessera/compare.h"
#include "tessera/trace.h"
#include "verify/report/decades.h"

/* Width of every drawing in its own units, which are pixels on a wide window. */
enum { TESS_REPORT_WIDTH = 1120, TESS_REPORT_LEFT = 76, TESS_REPORT_RIGHT = 16 };

/* Size and place of a drawing of these dimensions: no larger than it is, and on a narrow window not so small
 * that its numbers cannot be read; then it is scrolled. */
#define TESS_REPORT_VIEW "viewBox=\"0 0 %d %d\" style=\"max-width:%dpx;min-width:%dpx\""
#define TESS_REPORT_VIEW_OF(width, height) (width), (height), (width), (width)*17 / 20

extern const char tess_report_style[]; /* the page's style sheet */

/* Bytes as HTML text: markup is escaped, what is no UTF-8 becomes U+FFFD, control characters \xNN. */
void tess_report_put_text(FILE *out, const char *text, size_t n_byte);
void tess_report_put_string(FILE *out, const char *text); /* the same, to its end */
/* The same with blanks and line ends made visible: a token. */
void tess_report_put_token(FILE *out, const char *bytes, size_t n_byte);
/* "2.3e-7", "0", "∞", or "–" for NaN. */
void tess_report_put_number(FILE *out, double value);

/* The smallest power of two whose multiples stand `room` apart. */
int tess_report_label_step(double pitch, double room);
/* The class of a rectangle that stands for an error: "exact", "e0" … "e9", "odd" for what is no number. */
const char *tess_report_error_class(const tess_decades *decades, double error);
/* The scale of those colours, 300 wide, with its numbers below; bar: NaN for none. */
void tess_report_ramp(FILE *out, const tess_decades *decades, double bar, double x, double y);
/* What else there is, side by side: n pairs of a rectangle's class and a word. */
void tess_report_keys(FILE *out, const char *const key[][2], size_t n, double x, double y);

/* Seconds below a drawing that is `wide` for all of them, as many numbers as have room. */
void tess_report_times(FILE *out, double seconds, double x, double wide, double y);
/* A picture as a data URL, top row first; n_channel 3: red, green, blue, 1: grey. */
void tess_report_put_bitmap(FILE *out, const unsigned char *pixels, int wide, int high, int n_channel);
/* The samples of a WAV file of 16 bits, one channel, as a data URL. */
void tess_report_put_wav(FILE *out, const int16_t *samples, int64_t n, int rate_hz);

/* Whether a tap is a single expert's own output: those are drawn as cells of a mosaic. */
bool tess_report_is_expert(const tess_tap_report *tap);

/* Whether errors in bfloat16 steps are shown, or else distances to the truth. */
bool tess_report_by_steps(const tess_compare_result *result);
bool tess_report_by_truth(const tess_compare_result *result);

void tess_report_depth(FILE *out, const tess_compare_result *result);   /* the error of every tap */
void tess_report_routing(FILE *out, const tess_compare_result *result); /* bars per layer */
void tess_report_mosaic(FILE *out, const tess_compare_result *result);  /* layers × experts */
/* Pictures and sounds; `place` of the result on the page. */
void tess_report_media(FILE *out, const tess_compare_result *result, int place);
void tess_report_speech(FILE *out, const tess_compare_result *result); /* codes and waveforms */
void tess_report_codes(FILE *out, const tess_compare_result *result, const tess_codes_report *codes);
void tess_report_sound(FILE *out, const tess_compare_result *result, const tess_sound_report *sound);
void tess_report_tokens(FILE *out, const tess_compare_result *result, const tess_page_options *options);
void tess_report_taps(FILE *out, const tess_compare_result *result); /* the table of all */

#endif
