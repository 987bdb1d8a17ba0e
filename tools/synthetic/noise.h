/* Random weights by counter: element i of a tensor is a function of the tensor's key and i, so that any range
 * of it can be made by any thread, in any order.
 *
 * A 64-bit hash gives four weights: of each 16 bits one is the sign and 15 choose a magnitude from a table of
 * equally likely ones, small to large. A magnitude is Student's t with four degrees of freedom, scaled to
 * variance 1, but for a share of tiny ones, spread evenly over twelve exponents from 2^-24 up: trained
 * weights have both tails. Only additions, multiplications, divisions and square roots make the table, so
 * that it is the same everywhere.
 */
#ifndef TESS_TOOLS_SYNTHETIC_NOISE_H
#define TESS_TOOLS_SYNTHETIC_NOISE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/random.h"

enum { NOISE_MAGNITUDES = 1 << 15, NOISE_SHAPES = 9 };

typedef struct synthetic_noise {
    /* Magnitudes at standard deviation 1. Shapes differ in the share of tiny ones: 4^-1 to 4^1 times the
     * share asked for, so that tensors differ as trained ones do. */
    float unit[NOISE_SHAPES][NOISE_MAGNITUDES];
} synthetic_noise;

/* Magnitudes in bf16 of one shape and size. */
typedef struct noise_table {
    int shape;
    float deviation; /* 0: not made yet */
    uint16_t magnitude[NOISE_MAGNITUDES];
} noise_table;

/* tiny_share: of all weights, 0 … 0.05. */
void noise_init(synthetic_noise *noise, double tiny_share);

/* Makes the table unless it is that one already. */
void noise_table_make(const synthetic_noise *noise, int shape, float deviation, noise_table *table);

/* Elements first … first + n - 1. */
void noise_fill(const noise_table *table, uint64_t key, uint64_t first, uint64_t n, uint16_t *out);
/* The same elements at standard deviation 1, in float32. */
void noise_fill_unit(const synthetic_noise *noise, int shape, uint64_t key, uint64_t first, uint64_t n,
                     float *out);

/* The key of a name. */
uint64_t noise_key(uint64_t seed, const char *name);

/* Number `counter` of the sequence `key`. */
static inline uint64_t noise_hash(uint64_t key, uint64_t counter)
{
    uint64_t state = key + counter * TESS_RANDOM_STEP;
    return tess_random_next(&state);
}

/* The nearest bf16, ties to even. */
static inline uint16_t noise_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

#endif
