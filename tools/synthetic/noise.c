#include "noise.h"

#include <math.h>

/* The share of tiny magnitudes by shape, against the share asked for: 4^(-1) … 4^1. */
static const double shape_factor[NOISE_SHAPES] = {0.25, 0.353553, 0.5, 0.707107, 1, 1.41421, 2, 2.82843, 4};

enum { TINY_EXPONENTS = 12, TINY_LEAST = -24 };

/* The magnitude below which the share u of Student's t with four degrees of freedom lies. With
 * s = x/√(4 + x²) that share is s (3 - s²) / 2, which rises with s: bisected, to the last bit of s. */
static double student_quantile(double u)
{
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        double s = (low + high) / 2;
        if (s * (3 - s * s) < 2 * u)
            low = s;
        else
            high = s;
    }
    return 2 * low / sqrt(1 - low * low);
}

/* u in [0, 1): an even spread over exponents and, within one, over mantissas. */
static double tiny_magnitude(double u)
{
    double at = u * TINY_EXPONENTS, exponent = floor(at);
    return ldexp(1 + (at - exponent), TINY_LEAST + (int)exponent);
}

static void make_shape(const double *student, double tiny_share, float *out)
{
    double sum = 0;
    for (int i = 0; i < NOISE_MAGNITUDES; i++) {
        double u = (i + 0.5) / NOISE_MAGNITUDES;
        if (u < tiny_share) {
            out[i] = (float)tiny_magnitude(u / tiny_share);
            continue;
        }
        double at = (u - tiny_share) / (1 - tiny_share) * NOISE_MAGNITUDES - 0.5;
        int below = at < 0 ? 0 : (int)at < NOISE_MAGNITUDES - 1 ? (int)at : NOISE_MAGNITUDES - 2;
        double x = student[below] + (student[below + 1] - student[below]) * (at - below);
        out[i] = (float)(x > 0 ? x : student[0] / 2);
        sum += (double)out[i] * (double)out[i];
    }
    float scale = (float)sqrt(NOISE_MAGNITUDES / sum);
    for (int i = 0; i < NOISE_MAGNITUDES; i++) out[i] *= scale;
}

void noise_init(synthetic_noise *noise, double tiny_share)
{
    static double student[NOISE_MAGNITUDES];
    for (int i = 0; i < NOISE_MAGNITUDES; i++) student[i] = student_quantile((i + 0.5) / NOISE_MAGNITUDES);
    for (int s = 0; s < NOISE_SHAPES; s++) make_shape(student, tiny_share * shape_factor[s], noise->unit[s]);
}

void noise_table_make(const synthetic_noise *noise, int shape, float deviation, noise_table *table)
{
    if (table->shape == shape && table->deviation == deviation) return;
    table->shape = shape;
    table->deviation = deviation;
    for (int i = 0; i < NOISE_MAGNITUDES; i++)
        table->magnitude[i] = noise_to_bf16(noise->unit[shape][i] * deviation);
}

static uint64_t four_weights(const uint16_t *magnitude, uint64_t hash)
{
    uint64_t a = magnitude[hash & 0x7fff], b = magnitude[hash >> 16 & 0x7fff],
             c = magnitude[hash >> 32 & 0x7fff], d = magnitude[hash >> 48 & 0x7fff];
    return (a | b << 16 | c << 32 | d << 48) | (hash & 0x8000800080008000u);
}

void noise_fill(const noise_table *table, uint64_t key, uint64_t first, uint64_t n, uint16_t *out)
{
    const uint16_t *magnitude = table->magnitude;
    uint64_t end = first + n;
    while (first < end) {
        uint64_t skipped = first % 4, weights = four_weights(magnitude, noise_hash(key, first / 4));
        if (skipped == 0 && end - first >= 4) {
            memcpy(out, &weights, sizeof weights);
            out += 4;
            first += 4;
            continue;
        }
        *out++ = (uint16_t)(weights >> 16 * skipped);
        first++;
    }
}

/* A magnitude with the sign of bit 15; no branch, which would be mispredicted every other time. */
static float signed_unit(const float *unit, uint64_t bits)
{
    uint32_t value;
    memcpy(&value, &unit[bits & 0x7fff], sizeof value);
    value |= (uint32_t)(bits & 0x8000) << 16;
    float result;
    memcpy(&result, &value, sizeof result);
    return result;
}

void noise_fill_unit(const synthetic_noise *noise, int shape, uint64_t key, uint64_t first, uint64_t n,
                     float *out)
{
    const float *unit = noise->unit[shape];
    uint64_t end = first + n;
    while (first < end) {
        uint64_t hash = noise_hash(key, first / 4);
        if (first % 4 == 0 && end - first >= 4) {
            for (int i = 0; i < 4; i++) out[i] = signed_unit(unit, hash >> 16 * i);
            out += 4;
            first += 4;
            continue;
        }
        *out++ = signed_unit(unit, hash >> 16 * (first % 4));
        first++;
    }
}

uint64_t noise_key(uint64_t seed, const char *name)
{
    uint64_t hash = noise_hash(seed, 0);
    for (; *name; name++) hash = noise_hash((hash ^ (unsigned char)*name) - TESS_RANDOM_STEP, 0);
    return hash;
}
