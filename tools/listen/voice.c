#include "voice.h"

#include <math.h>

enum {
    SKIPPED = 80, /* samples of a half's either end, in which tones rise and fall */
    HEARD = 820,
    ENOUGH = SKIPPED + HEARD /* the last frame of a speech ends 555 samples early */
};
static const double quiet = 0.005; /* root mean square under the window; of a pair of tones it is 0.15 */
static const double leak =
    1e-4; /* 40 dB below the other group's tone: no tone, but what the window lets through */
static const double two_pi = 6.283185307179586;

double voice_energy(const double *samples, size_t n, double frequency_hz)
{
    double factor = 2 * cos(two_pi * frequency_hz / VOICE_RATE_HZ), one = 0, two = 0;
    for (size_t i = 0; i < n; i++) {
        double next = samples[i] + factor * one - two;
        two = one;
        one = next;
    }
    return one * one + two * two - factor * one * two;
}

/* Energies of a group's tones, and the loudest one. */
typedef struct group {
    double energy[VOICE_N_TONE];
    int loudest;
} group;

static group measure(const double part[HEARD], double first_hz)
{
    group g = {.loudest = 0};
    for (int i = 0; i < VOICE_N_TONE; i++) {
        g.energy[i] = voice_energy(part, HEARD, first_hz + VOICE_STEP_HZ * i);
        if (g.energy[i] > g.energy[g.loudest]) g.loudest = i;
    }
    return g;
}

/* By how many decibel the loudest tone leads the others of its group, and the leak of the other group's. */
static double lead_of(const group *g, const group *other)
{
    double next = fmax(leak * other->energy[other->loudest], 1e-30);
    for (int i = 0; i < VOICE_N_TONE; i++)
        if (i != g->loudest) next = fmax(next, g->energy[i]);
    return 10 * log10(fmax(g->energy[g->loudest], 1e-30) / next);
}

/* The symbol of half a frame, VOICE_N_SYMBOL for silence. *lead_db becomes smaller where a tone leads by
 * less. */
static int hear_half(const float *samples, double *lead_db)
{
    double part[HEARD], sum = 0;
    for (int i = 0; i < HEARD; i++) {
        double window = 0.5 - 0.5 * cos(two_pi * i / (HEARD - 1));
        part[i] = window * (double)samples[SKIPPED + i];
        sum += part[i] * part[i];
    }
    if (sqrt(sum / HEARD) < quiet) return VOICE_N_SYMBOL;
    group low = measure(part, VOICE_LOW_HZ), high = measure(part, VOICE_HIGH_HZ);
    *lead_db = fmin(*lead_db, fmin(lead_of(&low, &high), lead_of(&high, &low)));
    return low.loudest * VOICE_N_TONE + high.loudest;
}

static bool is_silent(const float *samples, size_t n)
{
    double unused = 0;
    for (size_t at = 0; at + ENOUGH <= n; at += VOICE_HALF)
        if (hear_half(samples + at, &unused) != VOICE_N_SYMBOL) return false;
    return true;
}

size_t voice_hear(const float *samples, size_t n, voice_token *tokens, voice_end *end)
{
    size_t n_token = 0;
    for (size_t at = 0;; at += VOICE_FRAME) {
        voice_token token = {.lead_db = INFINITY};
        *end = VOICE_IS_CUT;
        if (at + ENOUGH > n) return n_token;
        int first = hear_half(samples + at, &token.lead_db);
        if (first == VOICE_N_SYMBOL) {
            *end = is_silent(samples + at, n - at) ? VOICE_ENDS : VOICE_GOES_ON;
            return n_token;
        }
        if (at + VOICE_HALF + ENOUGH > n) return n_token;
        int second = hear_half(samples + at + VOICE_HALF, &token.lead_db);
        *end = VOICE_BREAKS_OFF;
        if (second == VOICE_N_SYMBOL) return n_token;
        token.id = first * VOICE_N_SYMBOL + second;
        tokens[n_token++] = token;
    }
}
