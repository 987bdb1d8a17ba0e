/* The demo checkpoint's voice, heard: token ids from samples, and from nothing else.
 *
 * The voice says each token in a frame of 80 ms. A frame has two halves, and in each sound two tones: one of
 * eight low ones and one of eight high ones, which are one of 64 pairs. The first half's pair is id / 64, the
 * second's id % 64. A frame of silence ends the answer. reference/train_voice.py trains a checkpoint to speak
 * so, with a listener of its own that does the same; docs/DESIGN.md says why it is tones.
 *
 * Of each half the middle 820 samples are heard under Hann's window, through which a tone does not reach the
 * next one, 150 Hz away. Goertzel's recurrence measures each of the sixteen frequencies. The loudest of a
 * group is heard, whatever it is; how far it leads the next, in decibel, says how sure that is. Where a group
 * has no tone its loudest frequency lies far below the other group's tone, and leads nothing.
 */
#ifndef LISTEN_VOICE_H
#define LISTEN_VOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VOICE_RATE_HZ = 24000,
    VOICE_HALF = 960, /* samples */
    VOICE_FRAME = 2 * VOICE_HALF,
    VOICE_N_TONE = 8, /* of a group */
    VOICE_LOW_HZ = 300,
    VOICE_HIGH_HZ = 1650,
    VOICE_STEP_HZ = 150,
    VOICE_N_SYMBOL = VOICE_N_TONE * VOICE_N_TONE,
    VOICE_SURE_DB = 6 /* a smaller lead is a guess */
};

typedef struct voice_token {
    int32_t id;
    double lead_db; /* the least of its four tones */
} voice_token;

/* What ends a speech: a frame of silence, and nothing behind it; silence with sound behind it; its samples,
 * in the middle of an answer; silence in the second half of a token. */
typedef enum voice_end { VOICE_ENDS, VOICE_GOES_ON, VOICE_IS_CUT, VOICE_BREAKS_OFF } voice_end;

/* Hears the tokens of n samples, +-1. tokens: room for n / VOICE_FRAME + 1. Returns how many. */
size_t voice_hear(const float *samples, size_t n, voice_token *tokens, voice_end *end);

/* The energy at one frequency, by Goertzel's recurrence. */
double voice_energy(const double *samples, size_t n, double frequency_hz);

#endif
