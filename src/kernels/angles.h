/* Frequencies and angles of rotary and sinusoidal positions, by our own double-precision routines: libm's
 * differ between processors, and these reach every attention score. */
#ifndef TESS_KERNELS_ANGLES_H
#define TESS_KERNELS_ANGLES_H

#include <stddef.h>

/* inv_freq[i] = 1 / p, p = theta^((float)(2i) / (float)d_head) rounded once to float, 0 <= i < d_head/2.
 * theta > 0 is rounded to float first, as the original's tensor power does. */
void tess_inverse_frequencies(float *inv_freq, size_t d_head, double theta);

/* Cosine and sine of the n angles position * inv_freq[i], the product rounded to float, both results
 * rounded to float (off by one in the last place only where the double is within 1e-15 of a tie).
 * |angle| <= 1e6. */
void tess_rotary_table(float *cosines, float *sines, const float *inv_freq, size_t n, float position);

/* Sine and cosine, relative error < 4e-16, |angle| <= 1e6. */
void tess_sincos(double angle, double *sine, double *cosine);

/* exp for |x| <= 700, relative error < 4e-16. */
double tess_exp_double(double x);

/* log for normal positive x, error < 4e-16 of the larger of 1 and the result. */
double tess_log_double(double x);

#endif
