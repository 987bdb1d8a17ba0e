/* 400 real numbers are 200 complex ones, even places and odd places: one complex transform of 200 points,
 * then the two spectra are told apart by their symmetry. The 200 points go through passes of 5, 5, 4 and 2
 * points in the order of Stockham, which needs no reordering.
 */
#include "media/fft.h"

#include "kernels/angles.h"

enum { HALF = TESS_FFT_POINTS / 2, MOST_RADIX = 5 };

typedef struct complex_number {
    double re, im;
} complex_number;

void tess_fft_init(tess_fft *fft)
{
    const double pi = 3.14159265358979323846;
    for (int k = 0; k < TESS_FFT_POINTS; k++)
        tess_sincos(2.0 * pi * k / TESS_FFT_POINTS, &fft->sine[k], &fft->cosine[k]);
}

static complex_number add(complex_number a, complex_number b)
{
    return (complex_number){a.re + b.re, a.im + b.im};
}

static complex_number subtract(complex_number a, complex_number b)
{
    return (complex_number){a.re - b.re, a.im - b.im};
}

/* a times e^(-i angle) */
static complex_number turn(complex_number a, double cosine, double sine)
{
    return (complex_number){a.re * cosine + a.im * sine, a.im * cosine - a.re * sine};
}

/* a times -i */
static complex_number quarter_turn(complex_number a)
{
    return (complex_number){a.im, -a.re};
}

static void transform_4(complex_number *a)
{
    const complex_number even = add(a[0], a[2]), even_less = subtract(a[0], a[2]);
    const complex_number odd = add(a[1], a[3]), odd_less = quarter_turn(subtract(a[1], a[3]));
    a[0] = add(even, odd);
    a[1] = add(even_less, odd_less);
    a[2] = subtract(even, odd);
    a[3] = subtract(even_less, odd_less);
}

static void transform_5(const tess_fft *fft, complex_number *a)
{
    const double c1 = fft->cosine[TESS_FFT_POINTS / 5], s1 = fft->sine[TESS_FFT_POINTS / 5];
    const double c2 = fft->cosine[2 * TESS_FFT_POINTS / 5], s2 = fft->sine[2 * TESS_FFT_POINTS / 5];
    const complex_number outer = add(a[1], a[4]), outer_less = subtract(a[1], a[4]);
    const complex_number inner = add(a[2], a[3]), inner_less = subtract(a[2], a[3]);
    const complex_number near = {a[0].re + c1 * outer.re + c2 * inner.re,
                                 a[0].im + c1 * outer.im + c2 * inner.im};
    const complex_number far = {a[0].re + c2 * outer.re + c1 * inner.re,
                                a[0].im + c2 * outer.im + c1 * inner.im};
    const complex_number near_less = quarter_turn(
        (complex_number){s1 * outer_less.re + s2 * inner_less.re, s1 * outer_less.im + s2 * inner_less.im});
    const complex_number far_less = quarter_turn(
        (complex_number){s2 * outer_less.re - s1 * inner_less.re, s2 * outer_less.im - s1 * inner_less.im});
    a[0] = add(add(a[0], outer), inner);
    a[1] = add(near, near_less);
    a[2] = add(far, far_less);
    a[3] = subtract(far, far_less);
    a[4] = subtract(near, near_less);
}

static void transform_few(const tess_fft *fft, int radix, complex_number *a)
{
    if (radix == 5) {
        transform_5(fft, a);
    } else if (radix == 4) {
        transform_4(a);
    } else {
        const complex_number sum = add(a[0], a[1]);
        a[1] = subtract(a[0], a[1]);
        a[0] = sum;
    }
}

/* One pass: `length` points are left to transform in each of `stride` interleaved series. */
static void pass(const tess_fft *fft, int radix, int length, int stride, const complex_number *in,
                 complex_number *out)
{
    const int part = length / radix, step = TESS_FFT_POINTS / length;
    for (int p = 0; p < part; p++)
        for (int q = 0; q < stride; q++) {
            complex_number a[MOST_RADIX];
            for (int j = 0; j < radix; j++) a[j] = in[q + stride * (p + part * j)];
            transform_few(fft, radix, a);
            for (int k = 0; k < radix; k++)
                out[q + stride * (radix * p + k)] =
                    turn(a[k], fft->cosine[step * p * k], fft->sine[step * p * k]);
        }
}

void tess_fft_power(const tess_fft *fft, const float x[TESS_FFT_POINTS], double power[TESS_FFT_BINS])
{
    static const int radix[] = {5, 5, 4, 2};
    complex_number room[2][HALF];
    for (int n = 0; n < HALF; n++) room[0][n] = (complex_number){(double)x[2 * n], (double)x[2 * n + 1]};
    for (int i = 0, length = HALF, stride = 1; i < 4; i++) {
        pass(fft, radix[i], length, stride, room[i % 2], room[(i + 1) % 2]);
        length /= radix[i];
        stride *= radix[i];
    }
    const complex_number *z = room[0];
    for (int k = 0; k < TESS_FFT_BINS; k++) {
        const complex_number a = z[k % HALF], b = {z[(HALF - k) % HALF].re, -z[(HALF - k) % HALF].im};
        const complex_number even = add(a, b), odd = quarter_turn(subtract(a, b));
        const complex_number twice = add(even, turn(odd, fft->cosine[k], fft->sine[k]));
        power[k] = 0.25 * (twice.re * twice.re + twice.im * twice.im);
    }
}
