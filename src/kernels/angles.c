/* Angles in double precision. Only fma comes from libm, and fma has one right answer.
 *
 * Sine and cosine: the angle is reduced by n * pi/2 with pi/2 as a sum of two doubles; a fused
 * multiply-subtract rounds each step once, relative to what is left, so for |angle| <= 1e6 (n < 2^20) the
 * remainder carries about 2^-52 of relative error however close the angle is to a multiple of pi/2.
 * The kernels on [-pi/4, pi/4] are fdlibm's polynomials.
 */
#include "kernels/angles.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double round_magic = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer */

static int64_t low_bits(double shifted)
{
    int64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &round_magic, sizeof zero);
    return bits - zero;
}

static double sine_kernel(double r)
{
    const double z = r * r;
    double p = 1.58969099521155010221e-10;
    p = fma(p, z, -2.50507602534068634195e-08);
    p = fma(p, z, 2.75573137070700676789e-06);
    p = fma(p, z, -1.98412698298579493134e-04);
    p = fma(p, z, 8.33333333332248946124e-03);
    p = fma(p, z, -1.66666666666666324348e-01);
    return fma(r * z, p, r);
}

static double cosine_kernel(double r)
{
    const double z = r * r;
    double p = -1.13596475577881948265e-11;
    p = fma(p, z, 2.08757232129817482790e-09);
    p = fma(p, z, -2.75573143513906633035e-07);
    p = fma(p, z, 2.48015872894767294178e-05);
    p = fma(p, z, -1.38888888888741095749e-03);
    p = fma(p, z, 4.16666666666666019037e-02);
    return fma(z * z, p, fma(-0.5, z, 1.0));
}

void tess_sincos(double angle, double *sine, double *cosine)
{
    const double two_over_pi = 6.36619772367581382433e-01;
    const double half_pi_hi = 1.57079632679489655800e+00;
    const double half_pi_lo = 6.12323399573676603587e-17;
    const double shifted = fma(angle, two_over_pi, round_magic);
    const double n = shifted - round_magic;
    double r = fma(-n, half_pi_hi, angle);
    r = fma(-n, half_pi_lo, r);
    const double s = sine_kernel(r), c = cosine_kernel(r);
    switch ((unsigned)low_bits(shifted) & 3u) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
        break;
    }
}

double tess_exp_double(double x)
{
    const double log2e = 1.44269504088896338700e+00;
    const double ln2_hi = 6.93147180369123816490e-01;
    const double ln2_lo = 1.90821492927058770002e-10;
    const double shifted = fma(x, log2e, round_magic);
    const double n = shifted - round_magic;
    const double r = fma(-n, ln2_lo, fma(-n, ln2_hi, x));
    /* Taylor: r^k / k! up to k = 14, |r| <= ln2/2, the next term is below 2^-60 */
    double p = 1.0;
    for (int k = 14; k > 0; k--) p = fma(p, r / k, 1.0);
    const uint64_t exponent = (uint64_t)(low_bits(shifted) + 1023) << 52;
    double scale;
    memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

double tess_log_double(double x)
{
    const double ln2_hi = 6.93147180369123816490e-01;
    const double ln2_lo = 1.90821492927058770002e-10;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* x = 2^e * m, sqrt(1/2) <= m < sqrt(2) */
    bits -= 0x3fe6a09e667f3bcdu;
    const double e = (double)((int64_t)bits >> 52);
    bits = (bits & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu;
    double m;
    memcpy(&m, &bits, sizeof m);
    /* log m = 2 atanh(s) = 2 (s + s^3/3 + s^5/5 ...), |s| < 0.1716, the term after s^23 is below 2^-65 */
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 0.0;
    for (int k = 23; k >= 3; k -= 2) p = fma(p, z, 1.0 / k);
    const double tail = fma(2.0 * s * z, p, e * ln2_lo);
    return fma(e, ln2_hi, 2.0 * s + tail);
}

void tess_inverse_frequencies(float *inv_freq, size_t d_head, double theta)
{
    const double log_theta = tess_log_double((double)(float)theta);
    for (size_t i = 0; i < d_head / 2; i++) {
        const float exponent = (float)(2 * i) / (float)d_head;
        const float p = (float)tess_exp_double((double)exponent * log_theta);
        inv_freq[i] = 1.0f / p;
    }
}

void tess_rotary_table(float *cosines, float *sines, const float *inv_freq, size_t n, float position)
{
    for (size_t i = 0; i < n; i++) {
        const float angle = position * inv_freq[i];
        double s, c;
        tess_sincos((double)angle, &s, &c);
        cosines[i] = (float)c;
        sines[i] = (float)s;
    }
}
