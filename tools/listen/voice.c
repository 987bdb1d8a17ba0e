#include "voice.h"

#include <math.h>

enum {
    SKIPPED = 80, /* samples of a half's either end, in which tones rise and fall */
    HEARD = 820,
    ENOUGH = SKIPPED + HEARD /* the last frame of a speech ends 555 samples early */
};
static const double quiet = 0.005; /* root mean square under the window; of a pair of tones it is 0.15 */
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

/* The loudest tone of a group; *lead_db becomes smaller where it leads by less. */
static int hear_tone(const double part[HEARD], double first_hz, double *lead_db)
{
    double energy[VOICE_N_TONE];
    int loudest = 0;
    for (int i = 0; i < VOICE_N_TONE; i++) {
        energy[i] = voice_energy(part, HEARD, first_hz + VOICE_STEP_HZ * i);
        if (energy[i] > energy[loudest]) loudest = i;
    }
    double next = 1e-30;
    for (int i = 0; i < VOICE_N_TONE; i++)
        if (i != loudest) next = fmax(next, energy[i]);
    *lead_db = fmin(*lead_db, 10 * log10(fmax(energy[loudest], 1e-30) / next));
    return loudest;
}

/* The symbol of half a frame, VOICE_N_SYMBOL for silence. */
static int hear_half(const float *samples, double *lead_db)
{
    double part[HEARD], sum = 0;
    for (int i = 0; i < HEARD; i++) {
        double window = 0.5 - 0.5 * cos(two_pi * i / (HEARD - 1));
        part[i] = window * (double)samples[SKIPPED + i];
        sum += part[i] * part[i];
    }
    if (sqrt(sum / HEARD) < quiet) return VOICE_N_SYMBOL;
    int low = hear_tone(part, VOICE_LOW_HZ, lead_db), high = hear_tone(part, VOICE_HIGH_HZ, lead_db);
    return low * VOICE_N_TONE + high;
}

size_t voice_hear(const float *samples, size_t n, voice_token *tokens, voice_end *end)
{
    size_t n_token = 0;
    for (size_t at = 0;; at += VOICE_FRAME) {
        voice_token token = {.lead_db = INFINITY};
        *end = VOICE_IS_CUT;
        if (at + ENOUGH > n) return n_token;
        int first = hear_half(samples + at, &token.lead_db);
        *end = VOICE_ENDS;
        if (first == VOICE_N_SYMBOL) return n_token;
        *end = VOICE_IS_CUT;
        if (at + VOICE_HALF + ENOUGH > n) return n_token;
        int second = hear_half(samples + at + VOICE_HALF, &token.lead_db);
        *end = VOICE_BREAKS_OFF;
        if (second == VOICE_N_SYMBOL) return n_token;
        token.id = first * VOICE_N_SYMBOL + second;
        tokens[n_token++] = token;
    }
}
