#include "verify/compare/metrics.h"

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
        if (fabs(b) > sums->max_reference) sums->max_reference = fabs(b);
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
    if (other->max_reference > sums->max_reference) sums->max_reference = other->max_reference;
    if (other->max_share > sums->max_share) sums->max_share = other->max_share;
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

double tess_sums_bf16_steps(const tess_sums *row)
{
    if (row->error2 == 0) return 0;
    if (row->reference2 == 0) return INFINITY;
    double worst = row->max_abs / tess_bf16_ulp(row->max_reference);
    return fmax(worst, ldexp(sqrt(row->error2 / row->reference2), 8));
}

double tess_bf16_ulp(double magnitude)
{
    int exponent;
    if (magnitude < 0x1p-126) return 0x1p-133;
    frexp(magnitude, &exponent);
    return ldexp(1, exponent - 8);
}
