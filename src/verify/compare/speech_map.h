/* Which frame of codes a sample of a waveform belongs to.
 *
 * How many samples a frame becomes is said by the configuration; here it follows from the shapes of the
 * reference's own taps, so that two files can be compared without a model. */
#ifndef TESS_VERIFY_COMPARE_SPEECH_MAP_H
#define TESS_VERIFY_COMPARE_SPEECH_MAP_H

#include "verify/compare/tap_state.h"

typedef struct tess_speech_map {
    int64_t n_frame;        /* 0: not known, and then neither is the rest */
    int64_t n_frame_sample; /* 0: not known */
    int64_t n_lost;         /* F frames become F · n_frame_sample - n_lost samples in one pass */
} tess_speech_map;

tess_speech_map tess_speech_map_make(const tess_safetensors *file);

/* The last frame that a sample is made of, which is the first whose codes change it; -1: not known. */
int64_t tess_speech_map_frame(const tess_speech_map *map, const tess_tap_state *waveform, int64_t sample);

/* "from sample 123 on (0.005 s, frame 5)", without what is not known. */
void tess_speech_map_say(const tess_speech_map *map, const tess_tap_state *waveform, int64_t sample,
                         char *out, size_t size);

#endif
