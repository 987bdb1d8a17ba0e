/* How far two float tensors lie apart: sums in double over pairs of a value and its reference, a row at a
 * time.
 *
 * Pairs in which either side is not finite are counted and left out of the sums; whoever judges must look at
 * the counts first.
 */
#ifndef TESS_VERIFY_COMPARE_METRICS_H
#define TESS_VERIFY_COMPARE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tess_sums {
    double error2, reference2, value2, dot; /* Σ (a-b)², Σ b², Σ a², Σ ab */
    double max_abs, max_reference;          /* largest |a-b| and |b| */
    double max_share;        /* largest |a-b| ÷ bar, where elements have their own; not added here */
    uint64_t n, n_different; /* pairs, and those whose bits differ */
    uint64_t n_nonfinite, n_nonfinite_reference;
} tess_sums;

/* Adds n pairs. Returns the index of the first pair whose bits differ, or n. */
size_t tess_sums_add(tess_sums *sums, const float *value, const float *reference, size_t n);
/* Adds what another record holds. */
void tess_sums_fold(tess_sums *sums, const tess_sums *other);

/* ‖a-b‖ / ‖b‖; 0 if nothing differs, infinity for a difference from zero. */
double tess_sums_rel_l2(const tess_sums *sums);
/* 1 for two zero tensors, 0 if only one is zero. */
double tess_sums_cosine(const tess_sums *sums);

/* How far a row lies off in bfloat16 steps: its worst element in steps of its largest, or its relative L2 in
 * steps of 2^-8, whichever is more. Infinite for a difference from zero. */
double tess_sums_bf16_steps(const tess_sums *row);

/* The step between neighbouring bfloat16 numbers of this magnitude: 8 bits of precision. */
double tess_bf16_ulp(double magnitude);

#endif
