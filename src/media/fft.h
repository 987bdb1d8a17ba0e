/* The Fourier transform of 400 real numbers, which is all that mel frames need: their power spectrum.
 *
 * In double precision and by additions and products alone, in one order, so that neither the processor nor
 * the instruction set shows; cosines and sines are our own (kernels/angles.h).
 */
#ifndef TESS_MEDIA_FFT_H
#define TESS_MEDIA_FFT_H

enum { TESS_FFT_POINTS = 400, TESS_FFT_BINS = TESS_FFT_POINTS / 2 + 1 };

/* Cosines and sines of 2 pi k / 400. Plain memory. */
typedef struct tess_fft {
    double cosine[TESS_FFT_POINTS], sine[TESS_FFT_POINTS];
} tess_fft;

void tess_fft_init(tess_fft *fft);

/* power[k] = |sum over n of x[n] e^(-2 pi i k n / 400)|^2. */
void tess_fft_power(const tess_fft *fft, const float x[TESS_FFT_POINTS], double power[TESS_FFT_BINS]);

#endif
