/* Samples as 16-bit integers: rounded to the nearest, half to even, full scale on both sides, clamped; NaN
 * and infinity are refused by their place. */
#include "media/sound_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static int16_t convert(float x)
{
    int16_t out = 77;
    tess_samples_to_int16(&x, 1, &out);
    return out;
}

static void rounds_half_to_even_and_clamps(void **state)
{
    (void)state;
    static const struct {
        float x;
        int expected;
    } cases[] = {
        {0, 0},
        {-0.0f, 0},
        {1, 32767},
        {-1, -32767},
        {0.5f, 16384}, /* of 16383.5 */
        {-0.5f, -16384},
        {0.25f, 8192}, /* of 8191.75 */
        {0x1p-16f, 0}, /* of 0.49998 */
        {1.000015f, 32767},
        {1.5f, 32767},
        {-1.0000153f, -32768}, /* of -32767.501 */
        {-1.5f, -32768},
        {3e38f, 32767},
        {-3e38f, -32768},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (convert(cases[i].x) != cases[i].expected)
            fail_msg("%g: %d, expected %d", (double)cases[i].x, convert(cases[i].x), cases[i].expected);
}

/* Every step, and the floats on both sides of where rounding turns. */
static void every_step_is_the_nearest(void **state)
{
    (void)state;
    for (int step = -32767; step < 32767; step++) {
        assert_int_equal(convert((float)step / 32767.0f), step);
        float half = (float)((step + 0.5) / 32767);
        for (int away = -2; away <= 2; away++) {
            float x = half;
            for (int i = 0; i < abs(away); i++) x = nextafterf(x, away < 0 ? -2.0f : 2.0f);
            double scaled = (double)(x * 32767.0f);
            assert_int_equal(convert(x), (int)nearbyint(scaled));
        }
    }
}

static void pieces_are_the_whole(void **state)
{
    (void)state;
    float samples[1000];
    int16_t whole[1000], piece[1000];
    for (int i = 0; i < 1000; i++) samples[i] = (float)sin(i) * 1.1f;
    tess_samples_to_int16(samples, 1000, whole);
    for (size_t n = 1; n < 40; n++) {
        for (size_t i = 0; i + n <= 1000; i += n) tess_samples_to_int16(samples + i, n, piece + i);
        assert_memory_equal(piece, whole, (1000 - 1000 % n) * sizeof *whole);
    }
}

static void refuses_what_is_not_finite(void **state)
{
    (void)state;
    float samples[70] = {0};
    tess_error err;
    assert_int_equal(tess_samples_check("a.wav", samples, 70, 0, &err), TESS_OK);
    assert_int_equal(tess_samples_check("a.wav", samples, 0, 0, &err), TESS_OK);
    samples[69] = INFINITY;
    assert_int_equal(tess_samples_check("a.wav", samples, 70, 1000, &err), TESS_ENONFINITE);
    assert_int_equal(err.status, TESS_ENONFINITE);
    assert_string_equal(err.message,
                        "a.wav: samples: found infinity in sample 1069, expected finite numbers");
    samples[3] = -NAN;
    assert_int_equal(tess_samples_check("a.wav", samples, 70, 0, &err), TESS_ENONFINITE);
    assert_string_equal(err.found, "NaN in sample 3");
    assert_int_equal(tess_samples_check("a.wav", samples, 70, 0, NULL), TESS_ENONFINITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_half_to_even_and_clamps),
        cmocka_unit_test(every_step_is_the_nearest),
        cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(refuses_what_is_not_finite),
    };
    return cmocka_run_group_tests_name("sound_samples", tests, NULL, NULL);
}
