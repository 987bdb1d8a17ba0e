#include "model/rope.h"

#include "kernels/angles.h"

/* "Interleaved" is the pattern of streams over the pairs, T H W T H W …, until a stream's section is used up;
 * the rest is temporal. The pairing of elements stays i with i + d_head/2. */
static int stream_of(const tess_decoder_config *config, int pair)
{
    int stream = pair % 3;
    return stream > 0 && pair < 3 * config->mrope_section[stream] ? stream : 0;
}

void tess_rope_init(tess_rope *rope, const tess_decoder_config *config, tess_arena *arena)
{
    rope->n_pair = config->d_head / 2;
    rope->inv_freq = TESS_TAKE(arena, float, rope->n_pair);
    rope->stream = TESS_TAKE(arena, unsigned char, rope->n_pair);
    if (!arena->base) return;
    tess_inverse_frequencies(rope->inv_freq, (size_t)config->d_head, config->rope_theta);
    for (int i = 0; i < rope->n_pair; i++) rope->stream[i] = (unsigned char)stream_of(config, i);
}

void tess_rope_angles(const tess_rope *rope, const tess_kernels *kernels, const float position[3],
                      tess_rounding rounding, float *cosines, float *sines)
{
    size_t n = (size_t)rope->n_pair;
    if (position[0] == position[1] && position[0] == position[2]) {
        tess_rotary_table(cosines, sines, rope->inv_freq, n, position[0]);
    } else {
        for (size_t i = 0; i < n; i++)
            tess_rotary_table(&cosines[i], &sines[i], &rope->inv_freq[i], 1, position[rope->stream[i]]);
    }
    if (rounding == TESS_ROUND_NONE) return;
    kernels->round_bf16(cosines, n);
    kernels->round_bf16(sines, n);
}
