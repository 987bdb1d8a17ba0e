#include "verify/compare/speech_map.h"

#include <stdio.h>
#include <string.h>

#include "model/code2wav.h"
#include "tessera/speech.h"

/* The published decoder, for references that hold codes and waveform alone. */
enum { PUBLISHED_SAMPLES = 1920, PUBLISHED_LOST = 555, MOST_BLOCKS = 64 };

static const tess_tensor *find(const tess_safetensors *file, const char *name, int n_dim)
{
    const tess_tensor *t = tess_safetensors_find(file, name);
    return t && t->n_dim == n_dim ? t : NULL;
}

static int64_t count_frames(const tess_safetensors *file)
{
    const tess_tensor *t = find(file, "tap.talker.codes", 2);
    if (!t) t = find(file, "in.codes", 2);
    if (t) return (int64_t)t->dim[1];
    t = find(file, "tap.code2wav.pre_transformer", 2);
    return t ? (int64_t)t->dim[0] : 0;
}

/* The length of decoder block `block`, 0 if it is not there. */
static int64_t block_length(const tess_safetensors *file, int block)
{
    char name[64];
    snprintf(name, sizeof name, "tap.code2wav.decoder.%d", block);
    const tess_tensor *t = find(file, name, 2);
    return t ? (int64_t)t->dim[1] : 0;
}

/* Whether the waveforms that are there are as long as such frames make them; a file without the last blocks
 * does not tell how many samples a frame becomes. */
static bool fits_waveforms(const tess_safetensors *file, int64_t n_frame, int64_t n_sample, int64_t lost)
{
    const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
    const tess_tensor *whole = find(file, "tap.code2wav.waveform", 1);
    const tess_tensor *chunked = find(file, "tap.code2wav.waveform_chunked", 1);
    int64_t n_window = (n_frame + windows.n_new - 1) / windows.n_new;
    return (!whole || (int64_t)whole->dim[0] == n_frame * n_sample - lost) &&
           (!chunked || (int64_t)chunked->dim[0] == n_frame * n_sample - n_window * lost);
}

/* A transposed convolution by rate r makes r (L - 1) of L, everything else keeps the length. */
static void follow_blocks(const tess_safetensors *file, tess_speech_map *map)
{
    int64_t length = block_length(file, 0);
    if (!length || length % map->n_frame) return;
    int64_t n_sample = length / map->n_frame;
    for (int block = 1; block < MOST_BLOCKS; block++) {
        int64_t next = block_length(file, block);
        if (!next) break;
        if (next == length) continue;
        if (length < 2 || next % (length - 1)) return;
        int64_t rate = next / (length - 1);
        if (rate > INT32_MAX || n_sample > INT32_MAX) return;
        n_sample *= rate;
        length = next;
    }
    int64_t lost = n_sample * map->n_frame - length;
    if (lost < 0 || lost >= n_sample || !fits_waveforms(file, map->n_frame, n_sample, lost)) return;
    map->n_frame_sample = n_sample;
    map->n_lost = lost;
}

tess_speech_map tess_speech_map_make(const tess_safetensors *file)
{
    tess_speech_map map = {.n_frame = count_frames(file)};
    if (map.n_frame <= 0 || map.n_frame > INT32_MAX) return (tess_speech_map){0};
    follow_blocks(file, &map);
    const tess_tensor *t = find(file, "tap.code2wav.waveform", 1);
    if (!map.n_frame_sample && t && (int64_t)t->dim[0] == map.n_frame * PUBLISHED_SAMPLES - PUBLISHED_LOST) {
        map.n_frame_sample = PUBLISHED_SAMPLES;
        map.n_lost = PUBLISHED_LOST;
    }
    return map;
}

/* Windows of the original each lose what one pass loses once. */
int64_t tess_speech_map_frame(const tess_speech_map *map, const tess_tap_state *waveform, int64_t sample)
{
    if (!map->n_frame_sample) return -1;
    int64_t first = 0;
    if (waveform->place.line == TESS_CODE2WAV_TAP_CHUNKED) {
        const tess_code2wav_windows windows = TESS_CODE2WAV_WINDOWS;
        int64_t n = windows.n_new * map->n_frame_sample - map->n_lost;
        first = sample / n * windows.n_new;
        sample %= n;
    }
    int64_t frame = first + (sample + map->n_lost) / map->n_frame_sample;
    return frame < map->n_frame ? frame : map->n_frame - 1;
}

void tess_speech_map_say(const tess_speech_map *map, const tess_tap_state *waveform, int64_t sample,
                         char *out, size_t size)
{
    int64_t frame = tess_speech_map_frame(map, waveform, sample);
    int n = snprintf(out, size, "from sample %lld on (%.3f s", (long long)sample,
                     (double)sample / TESS_SPEECH_RATE_HZ);
    if (frame >= 0) n += snprintf(out + n, size - (size_t)n, ", frame %lld", (long long)frame);
    snprintf(out + n, size - (size_t)n, ")");
}
