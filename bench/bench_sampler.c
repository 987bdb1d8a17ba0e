/* How long the choice of one token takes, over the published vocabulary.
 *
 * Each figure is the median of ROUNDS choices, with the lowest and highest.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "model/sampler.h"

enum { ROUNDS = 101, VOCAB = 151936 };

static void measure(tess_sampler *sampler, const float *logits, const char *what, tess_sampling sampling)
{
    double seconds[ROUNDS];
    uint64_t random = 1;
    int32_t id;
    for (int i = 0; i < ROUNDS; i++) {
        double start = bench_now(CLOCK_MONOTONIC);
        if (tess_sampler_choose(sampler, logits, &sampling, NULL, 0, &random, &id, NULL) != TESS_OK) exit(1);
        seconds[i] = bench_now(CLOCK_MONOTONIC) - start;
    }
    bench_sort(seconds, ROUNDS);
    printf("%-34s %7.2f ms (%.2f to %.2f)\n", what, 1e3 * seconds[ROUNDS / 2], 1e3 * seconds[0],
           1e3 * seconds[ROUNDS - 1]);
}

int main(void)
{
    tess_kernels kernels;
    tess_arena arena;
    tess_sampler sampler;
    tess_kernels_init(&kernels, tess_cpu_mask());
    float *logits = malloc(VOCAB * sizeof *logits);
    if (!logits || tess_arena_reserve(8 << 20, &arena, NULL) != TESS_OK) return 1;
    tess_sampler_init(&sampler, &kernels, VOCAB, &arena);
    uint32_t state = 7;
    for (int i = 0; i < VOCAB; i++) {
        float sum = 0; /* of four equal spreads: like logits, most in the middle */
        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) / 16777216.0f;
        }
        logits[i] = 12.0f * sum - 24.0f;
    }
    const tess_sampling greedy = TESS_SAMPLING_GREEDY;
    measure(&sampler, logits, "greedy", greedy);
    tess_sampling sampling = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    measure(&sampler, logits, "temperature 1", sampling);
    sampling.top_p = 0.95;
    measure(&sampler, logits, "temperature 1, top-p 0.95", sampling);
    sampling.top_k = 50;
    measure(&sampler, logits, "temperature 1, top-p 0.95, top-k 50", sampling);
    free(logits);
    tess_arena_release(&arena);
    return 0;
}
