/* SplitMix64 (Steele, Lea, Flood 2014): every state is a seed, and gives the same numbers everywhere. */
#ifndef TESS_BASE_RANDOM_H
#define TESS_BASE_RANDOM_H

#include <stdint.h>

/* What a state moves on by: state + n × this is n numbers further. */
#define TESS_RANDOM_STEP 0x9e3779b97f4a7c15u

/* Moves the state on; 64 random bits. */
static inline uint64_t tess_random_next(uint64_t *state)
{
    uint64_t z = *state += TESS_RANDOM_STEP;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0, 1): the top 53 bits, all that a double holds. */
static inline double tess_random_unit(uint64_t *state)
{
    return (double)(tess_random_next(state) >> 11) * 0x1p-53;
}

#endif
