#include "media/image_size.h"

#include <math.h>

/* n / d to the nearest whole number, a half to the even one, as Python rounds. */
static int64_t divide_to_even(int64_t n, int64_t d)
{
    const int64_t down = n / d, twice = 2 * (n % d);
    return down + (twice > d || (twice == d && down % 2 == 1));
}

static int64_t round_down(double x)
{
    return (int64_t)x; /* x >= 0 */
}

static int64_t round_up(double x)
{
    const int64_t down = (int64_t)x;
    return down + ((double)down < x);
}

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static tess_status check_sides(const char *file, int64_t width, int64_t height, tess_error *err)
{
    const int64_t longer = at_least(width, height), shorter = width + height - longer;
    if (shorter < 1 || longer > TESS_IMAGE_MOST_SIDE)
        return tess_refuse(err, file, "size", -1, "sides of 1 to 67,108,864 pixels", "%lld x %lld pixels",
                           (long long)width, (long long)height);
    if (longer > TESS_IMAGE_MOST_ASPECT * shorter)
        return tess_refuse(err, file, "size", -1, "no side more than 200 times the other",
                           "%lld x %lld pixels, %.4g to 1", (long long)width, (long long)height,
                           (double)longer / (double)shorter);
    return TESS_OK;
}

tess_status tess_image_size_choose(const char *file, int width, int height, int factor, int64_t least,
                                   int64_t most, int *out_width, int *out_height, tess_error *err)
{
    TESS_ASSERT(factor >= 1 && factor <= 1 << 16 && least >= 1 && most <= INT32_MAX);
    const tess_status status = check_sides(file, width, height, err);
    if (status != TESS_OK) return status;
    int64_t high = divide_to_even(height, factor) * factor, wide = divide_to_even(width, factor) * factor;
    const double n_pixel = (double)height * (double)width, f = factor;
    if (high * wide > most) {
        const double shrink = sqrt(n_pixel / (double)most);
        high = at_least(factor, round_down(height / shrink / f) * factor);
        wide = at_least(factor, round_down(width / shrink / f) * factor);
    } else if (high * wide < least) {
        const double grow = sqrt((double)least / n_pixel);
        high = round_up(height * grow / f) * factor;
        wide = round_up(width * grow / f) * factor;
    }
    if (high > TESS_IMAGE_MOST_SIDE || wide > TESS_IMAGE_MOST_SIDE)
        return tess_refuse(err, file, "size", -1, "a size of at most 67,108,864 pixels on a side",
                           "%lld x %lld pixels once cut to multiples of %d", (long long)wide, (long long)high,
                           factor);
    *out_width = (int)wide;
    *out_height = (int)high;
    return TESS_OK;
}
