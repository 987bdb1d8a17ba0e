/* A log scale in whole decades, wide enough for the values it was shown. */
#ifndef TESS_VERIFY_REPORT_DECADES_H
#define TESS_VERIFY_REPORT_DECADES_H

#include <math.h>

typedef struct tess_decades {
    double low, high; /* exponents of ten; low > high: nothing was shown */
} tess_decades;
#define TESS_DECADES_NONE ((tess_decades){INFINITY, -INFINITY})

/* What is not above zero, infinite or no number has no place on a log scale. */
static inline void tess_decades_widen(tess_decades *d, double value)
{
    if (!(value > 0) || isinf(value)) return;
    double decade = log10(value);
    if (floor(decade) < d->low) d->low = floor(decade);
    if (ceil(decade) > d->high) d->high = ceil(decade);
}

/* Where a value stands, 0 to 1; beyond the ends at the end. */
static inline double tess_decades_share(const tess_decades *d, double value)
{
    double share = (log10(value) - d->low) / (d->high - d->low);
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

#endif
