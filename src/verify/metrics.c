#include "verify/metrics.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

size_t tess_sums_add(tess_sums *sums, const float *value, const float *reference, size_t n)
{
    size_t first = n;
    sums->n += n;
    for (size_t i = 0; i < n; i++) {
        double a = (double)value[i], b = (double)reference[i];
        if (bits_of(value[i]) != bits_of(reference[i])) {
            sums->n_different++;
            if (first == n) first = i;
        }
        if (!isfinite(a) || !isfinite(b)) {
            sums->n_nonfinite += isfinite(a) ? 0 : 1;
            sums->n_nonfinite_reference += isfinite(b) ? 0 : 1;
            continue;
        }
        double error = a - b;
        sums->error2 += error * error;
        sums->reference2 += b * b;
        sums->value2 += a * a;
        sums->dot += a * b;
        if (fabs(error) > sums->max_abs) sums->max_abs = fabs(error);
    }
    return first;
}

void tess_sums_fold(tess_sums *sums, const tess_sums *other)
{
    sums->error2 += other->error2;
    sums->reference2 += other->reference2;
    sums->value2 += other->value2;
    sums->dot += other->dot;
    if (other->max_abs > sums->max_abs) sums->max_abs = other->max_abs;
    sums->n += other->n;
    sums->n_different += other->n_different;
    sums->n_nonfinite += other->n_nonfinite;
    sums->n_nonfinite_reference += other->n_nonfinite_reference;
}

double tess_sums_rel_l2(const tess_sums *sums)
{
    if (sums->error2 == 0) return 0;
    return sums->reference2 == 0 ? INFINITY : sqrt(sums->error2 / sums->reference2);
}

double tess_sums_cosine(const tess_sums *sums)
{
    if (sums->value2 == 0 || sums->reference2 == 0) return sums->value2 == sums->reference2;
    /* The product of the squares may overflow or vanish where the product of the roots does not. */
    return sums->dot / (sqrt(sums->value2) * sqrt(sums->reference2));
}

/* bf16 values in ascending order as integers, -0 and +0 both 0. The low half is rounded away, ties to even.
 */
static int64_t bf16_rank(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t magnitude = bits & 0x7fffffff;
    magnitude = (magnitude + 0x7fff + ((magnitude >> 16) & 1)) >> 16;
    return bits >> 31 ? -(int64_t)magnitude : (int64_t)magnitude;
}

void tess_bf16_bar_add(tess_bf16_bar *bar, const float *value, const float *reference, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t index = bar->n++;
        if (bits_of(value[i]) == bits_of(reference[i]) && isfinite(value[i])) {
            bar->n_equal++;
            continue;
        }
        int64_t ulp = INT64_MAX;
        if (isfinite(value[i]) && isfinite(reference[i])) {
            ulp = bf16_rank(value[i]) - bf16_rank(reference[i]);
            if (ulp < 0) ulp = -ulp;
        }
        if (ulp > 2) bar->n_beyond++;
        if (ulp > bar->worst_ulp) {
            bar->worst_ulp = ulp;
            bar->worst_index = index;
        }
    }
}

bool tess_bf16_bar_holds(const tess_bf16_bar *bar)
{
    return bar->n > 0 && bar->n_beyond == 0 && (double)bar->n_equal >= 0.99 * (double)bar->n;
}
