/* The elementary functions against libm in higher precision, over strided bit patterns and random angles. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/angles.h"
#include "kernels/elementary.h"

/* The distance in units of the last place that the float nearest `want` has. */
static double ulps(float got, double want)
{
    return fabs((double)got - want) / ldexp(1.0, ilogb(want) - 23);
}

static void test_exp(void **unused)
{
    (void)unused;
    double worst = 0;
    size_t n = 0;
    for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 1021) {
        const float x = tess_float_of_bits((uint32_t)bits);
        if (isnan(x)) continue;
        const float y = tess_exp(x);
        n++;
        assert_true(isfinite(y) && (y == 0.0f || isnormal(y)) && !signbit(y));
        if (x < TESS_EXP_MIN)
            assert_true(y == 0.0f);
        else if (x > TESS_EXP_MAX)
            assert_true(y == tess_exp(TESS_EXP_MAX));
        else
            worst = fmax(worst, ulps(y, exp((double)x)));
    }
    printf("# exp: %zu arguments, at most %.4f ulp\n", n, worst);
    assert_true(worst < 1.1);
    /* the clamps are the last floats inside */
    assert_true(exp((double)TESS_EXP_MIN) >= 0x1p-126 &&
                exp((double)nextafterf(TESS_EXP_MIN, -INFINITY)) < 0x1p-126);
    assert_true(exp((double)TESS_EXP_MAX) < 0x1p128 &&
                exp((double)nextafterf(TESS_EXP_MAX, INFINITY)) > 0x1p128);
    assert_true(tess_exp(0.0f) == 1.0f && tess_exp(-0.0f) == 1.0f);
    assert_true(tess_exp(-INFINITY) == 0.0f && isfinite(tess_exp(INFINITY)));
}

static void test_log(void **unused)
{
    (void)unused;
    double worst = 0;
    for (uint32_t bits = 1; bits < 0x7f800000u; bits += 509) {
        const float x = tess_float_of_bits(bits);
        const double want = log((double)x);
        if (want != 0) worst = fmax(worst, ulps(tess_log(x), want));
    }
    printf("# log: at most %.4f ulp\n", worst);
    assert_true(worst < 1.0);
    assert_true(tess_log(1.0f) == 0.0f);
}

static void test_sigmoid(void **unused)
{
    (void)unused;
    double worst = 0;
    for (float x = -80.0f; x < 100.0f; x += 0.00371f) {
        const double want = 1 / (1 + exp(-(double)x));
        worst = fmax(worst, fabs((double)tess_sigmoid(x) - want) / want);
        worst =
            fmax(worst, x == 0 ? 0 : fabs((double)tess_silu(x) - want * (double)x) / fabs(want * (double)x));
    }
    printf("# sigmoid, silu: relative error at most %.3g\n", worst);
    assert_true(worst < 3e-7);
    assert_true(tess_silu(-1e30f) <= 0.0f && fabsf(tess_silu(-1e30f)) < 1e-7f);
}

/* The distance of an odd function from the truth, in ulps, over the floats from low to high. */
static double worst_of(float function(float), double truth(double), float low, float high)
{
    double worst = 0;
    const uint32_t last = tess_bits_of_float(high);
    for (uint32_t bits = tess_bits_of_float(low); bits <= last; bits += 61) {
        const float x = tess_float_of_bits(bits), y = function(x);
        assert_true(function(-x) == -y && y >= 0.0f && y <= 1.0f);
        worst = fmax(worst, ulps(y, truth((double)x)));
    }
    return worst;
}

/* Dense sweeps of both roads, of what is nearly linear, and of what is 1 to the last bit. */
static void test_erf_tanh(void **unused)
{
    (void)unused;
    const double linear =
        fmax(worst_of(tess_erf, erf, 0x1p-120f, 0x1p-10f), worst_of(tess_tanh, tanh, 0x1p-120f, 0x1p-10f));
    const double erf_near = worst_of(tess_erf, erf, 0x1p-10f, nextafterf(TESS_ERF_NEAR, 0.0f));
    const double erf_far = worst_of(tess_erf, erf, TESS_ERF_NEAR, 8.0f);
    const double tanh_near = worst_of(tess_tanh, tanh, 0x1p-10f, nextafterf(TESS_TANH_NEAR, 0.0f));
    const double tanh_far = worst_of(tess_tanh, tanh, TESS_TANH_NEAR, 200.0f);
    printf("# erf: at most %.4f and %.4f ulp; tanh: %.4f and %.4f; next to zero %.4f\n", erf_near, erf_far,
           tanh_near, tanh_far, linear);
    assert_true(linear < 0.7);
    assert_true(erf_near < 0.9 && erf_far < 1.1);
    assert_true(tanh_near < 0.8 && tanh_far < 1.4);
    assert_true(tess_erf(TESS_ERF_MAX) == 1.0f && tess_erf(INFINITY) == 1.0f && tess_erf(-INFINITY) == -1.0f);
    assert_true(tess_tanh(INFINITY) == 1.0f && tess_tanh(-INFINITY) == -1.0f);
    assert_true(signbit(tess_erf(-0.0f)) && signbit(tess_tanh(-0.0f)) && !signbit(tess_erf(0.0f)));
}

/* Every kind of argument: small ones densely, all exponents, and floats next to multiples of pi. */
static void test_sin(void **unused)
{
    (void)unused;
    double worst_near = 0, worst_far = 0;
    for (uint32_t bits = tess_bits_of_float(0x1p-60f); bits <= tess_bits_of_float(100.0f); bits += 61) {
        const float x = tess_float_of_bits(bits), y = tess_sin(x);
        assert_true(tess_sin(-x) == -y && fabsf(y) <= 1.0f);
        worst_near = fmax(worst_near, ulps(y, sin((double)x)));
    }
    for (uint32_t bits = tess_bits_of_float(100.0f); bits < 0x7f800000u; bits += 211) {
        const float x = tess_float_of_bits(bits), y = tess_sin(x);
        assert_true(tess_sin(-x) == -y && fabsf(y) <= 1.0f);
        double *worst = x > TESS_SIN_NEAR ? &worst_far : &worst_near;
        *worst = fmax(*worst, ulps(y, sin((double)x)));
    }
    for (int n = 1; n < 400000; n++) /* next to zeros, to both sides of where the roads meet */
        for (int step = -1; step <= 1; step++) {
            float x = (float)(n * 3.14159265358979311600);
            if (step) x = nextafterf(x, step > 0 ? INFINITY : 0.0f);
            double *worst = x > TESS_SIN_NEAR ? &worst_far : &worst_near;
            *worst = fmax(*worst, ulps(tess_sin(x), (double)sinl((long double)x)));
        }
    /* 0x1.2d97c8p+103 is the float nearest to a multiple of pi/2 relative to its step */
    worst_far = fmax(worst_far, ulps(tess_sin(0x1.2d97c8p+103f), sin(0x1.2d97c8p+103)));
    printf("# sin: at most %.4f ulp by floats, %.4f ulp by integers\n", worst_near, worst_far);
    assert_true(worst_near < 2 && worst_far < 2);
    assert_true(tess_sin(0.0f) == 0.0f && isnan(tess_sin(INFINITY)) && isnan(tess_sin(NAN)));
}

static uint64_t state = 88172645463325252u;

static double draw(double low, double high)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

static void test_sincos(void **unused)
{
    (void)unused;
    static const double ranges[] = {1e-3, 1, 10, 1000, 40000, 1e6};
    double worst = 0;
    size_t n_off = 0, n = 0;
    for (int i = 0; i < 600000; i++) {
        double angle = draw(-1, 1) * ranges[i % 6];
        if (i % 4 == 0) angle = nearbyint(angle) * (double)1.57079632679489661923L; /* next to its zeros */
        if (i % 4 != 1) angle = (double)(float)angle;
        if (fabs(angle) > 1e6) continue;
        double s, c;
        tess_sincos(angle, &s, &c);
        const long double want_s = sinl((long double)angle), want_c = cosl((long double)angle);
        if (want_s != 0) worst = fmax(worst, (double)fabsl((s - want_s) / want_s));
        if (want_c != 0) worst = fmax(worst, (double)fabsl((c - want_c) / want_c));
        n_off += (float)s != (float)want_s;
        n_off += (float)c != (float)want_c;
        n += 2;
    }
    printf("# sincos: relative error at most %.3g, %zu of %zu floats not the nearest\n", worst, n_off, n);
    assert_true(worst < 4e-16);
    assert_true(n_off == 0);
}

static void test_double_functions(void **unused)
{
    (void)unused;
    double worst_exp = 0, worst_log = 0;
    for (int i = 0; i < 300000; i++) {
        const double x = draw(-700, 700);
        const long double e = expl((long double)x);
        worst_exp = fmax(worst_exp, (double)fabsl((tess_exp_double(x) - e) / e));
        const double y = i % 2 ? (double)e : draw(0.5, 2);
        const long double l = logl((long double)y);
        worst_log = fmax(worst_log, (double)(fabsl(tess_log_double(y) - l) / fmaxl(1, fabsl(l))));
    }
    printf("# double exp: %.3g, log: %.3g\n", worst_exp, worst_log);
    assert_true(worst_exp < 4e-16 && worst_log < 4e-16);
    assert_true(tess_log_double(1.0) == 0.0 && tess_exp_double(0.0) == 1.0);
}

/* p rounded to float, then its reciprocal: every head width and base in use, and odd ones. */
static void test_inverse_frequencies(void **unused)
{
    (void)unused;
    static const double bases[] = {10000, 1000000, 500000, 5000000, 12345.678, 2};
    static const size_t widths[] = {8, 16, 24, 36, 64, 72, 80, 96, 128, 256};
    float inv_freq[128];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        for (size_t j = 0; j < sizeof widths / sizeof widths[0]; j++) {
            const size_t d = widths[j];
            tess_inverse_frequencies(inv_freq, d, bases[i]);
            for (size_t e = 0; e < d / 2; e++, n++) {
                const float exponent = (float)(2 * e) / (float)d;
                const float p = (float)powl((long double)(float)bases[i], (long double)exponent);
                assert_true(inv_freq[e] == 1.0f / p);
            }
        }
    printf("# inverse frequencies: %zu equal to the rounded power's reciprocal\n", n);
}

static void test_rotary_table(void **unused)
{
    (void)unused;
    float inv_freq[64], cosines[64], sines[64];
    tess_inverse_frequencies(inv_freq, 128, 1e6);
    for (int position = 0; position < 40000; position += 13) {
        tess_rotary_table(cosines, sines, inv_freq, 64, (float)position);
        for (size_t i = 0; i < 64; i++) {
            const float angle = (float)position * inv_freq[i];
            assert_true(cosines[i] == (float)cosl((long double)angle));
            assert_true(sines[i] == (float)sinl((long double)angle));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_sigmoid),
        cmocka_unit_test(test_erf_tanh),
        cmocka_unit_test(test_sin),
        cmocka_unit_test(test_sincos),
        cmocka_unit_test(test_double_functions),
        cmocka_unit_test(test_inverse_frequencies),
        cmocka_unit_test(test_rotary_table),
    };
    return cmocka_run_group_tests_name("elementary", tests, NULL, NULL);
}
