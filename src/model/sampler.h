/* Choosing the next token from logits. The steps and their order are the original's (spec section 6):
 * repetition penalty, temperature, top-k, top-p, softmax, draw. Arithmetic and generator are our own, so a
 * seed gives the same text on every machine. */
#ifndef TESS_MODEL_SAMPLER_H
#define TESS_MODEL_SAMPLER_H

#include "base/arena.h"
#include "base/error.h"
#include "kernels/kernels.h"
#include "tessera/engine.h"

typedef struct tess_sampler {
    const tess_kernels *kernels;
    int n_vocab;
    float *scores;  /* [n_vocab] */
    int32_t *order; /* [n_vocab] ids, best first once sorted */
    int32_t *spare; /* [n_vocab] the other side of a sorting pass */
} tess_sampler;

/* Lays the scratch out in the arena. Whose tokens are chosen does not matter: nothing is kept between calls.
 */
void tess_sampler_init(tess_sampler *sampler, const tess_kernels *kernels, int n_vocab, tess_arena *arena);

/* The next token; one whose logit is -infinity is never chosen. history [n]: prompt and answer so far, for
 * the repetition penalty. random: the state of the generator, at first the seed. TESS_EUSAGE names the option
 * that made a probability infinite or not a number; the generator is then where it was. */
tess_status tess_sampler_choose(tess_sampler *sampler, const float *logits, const tess_sampling *sampling,
                                const int32_t *history, int n_history, uint64_t *random, int32_t *id,
                                tess_error *err);

/* What a token is chosen from: *n_kept candidates, the best first in sampler->order, with weights in
 * sampler->scores by id whose sum is *sum. Greedily it is one. Errors as above. */
tess_status tess_sampler_weigh(tess_sampler *sampler, const float *logits, const tess_sampling *sampling,
                               const int32_t *history, int n_history, int *n_kept, double *sum,
                               tess_error *err);

/* The n likeliest tokens, and one token's rank and probability; softmax of the plain logits. */
void tess_sampler_get_top(tess_sampler *sampler, const float *logits, int n, tess_likely *out);
void tess_sampler_get_rank(tess_sampler *sampler, const float *logits, int32_t id, tess_likely *out);

#endif
