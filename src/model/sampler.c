#include "model/sampler.h"

#include <string.h>

#include "base/random.h"
#include "kernels/elementary.h"

void tess_sampler_init(tess_sampler *sampler, const tess_kernels *kernels, int n_vocab, tess_arena *arena)
{
    sampler->kernels = kernels;
    sampler->n_vocab = n_vocab;
    sampler->scores = TESS_TAKE(arena, float, n_vocab);
    sampler->order = TESS_TAKE(arena, int32_t, n_vocab);
}

tess_status tess_sampling_check(const tess_sampling *s, tess_error *err)
{
    if (!(s->temperature >= 0))
        return tess_refuse_option(err, "temperature", "0 or more", "%g", s->temperature);
    if (s->top_k < 0) return tess_refuse_option(err, "top_k", "0 (off) or more", "%d", s->top_k);
    if (!(s->top_p > 0 && s->top_p <= 1))
        return tess_refuse_option(err, "top_p", "more than 0, at most 1", "%g", s->top_p);
    if (!(s->repetition_penalty > 0))
        return tess_refuse_option(err, "repetition_penalty", "more than 0", "%g", s->repetition_penalty);
    return TESS_OK;
}

/* Higher score first, then lower id: a total order, so the heap's shape never shows. */
static bool comes_first(const float *scores, int32_t a, int32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

static void sink_down(const float *scores, int32_t *heap, int n, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= n) return;
        if (child + 1 < n && comes_first(scores, heap[child + 1], heap[child])) child++;
        if (!comes_first(scores, heap[child], heap[at])) return;
        int32_t swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void build_heap(tess_sampler *s)
{
    for (int i = 0; i < s->n_vocab; i++) s->order[i] = i;
    for (int i = s->n_vocab / 2 - 1; i >= 0; i--) sink_down(s->scores, s->order, s->n_vocab, i);
}

/* Takes the best of the n that are left; it comes to stand at order[n - 1]. */
static int32_t pop(tess_sampler *s, int n)
{
    int32_t best = s->order[0];
    s->order[0] = s->order[n - 1];
    s->order[n - 1] = best;
    sink_down(s->scores, s->order, n - 1, 0);
    return best;
}

static int32_t find_best(const float *scores, int n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* Once per distinct id: the score in `scores` is still the logit if the id has not been met before. */
static void penalise(tess_sampler *s, const float *logits, float penalty, const int32_t *history,
                     int n_history)
{
    for (int i = 0; i < n_history; i++) {
        float logit = logits[history[i]];
        s->scores[history[i]] = logit < 0 ? logit * penalty : logit / penalty;
    }
}

/* Draws among the candidates that top-k and top-p leave. Weights are taken relative to the best score. */
static int32_t draw_candidate(tess_sampler *s, const tess_sampling *sampling, uint64_t *random)
{
    int n = s->n_vocab, n_keep = sampling->top_k > 0 && sampling->top_k < n ? sampling->top_k : n;
    build_heap(s);
    float best = s->scores[s->order[0]];
    for (int i = 0; i < n_keep; i++) pop(s, n - i);
    /* candidates now stand at order[n-1], order[n-2], … in falling order */
    double total = 0;
    for (int i = 0; i < n_keep; i++) total += (double)tess_exp(s->scores[s->order[n - 1 - i]] - best);
    /* top-p keeps a candidate while those before it hold less than p */
    double kept = 0;
    int n_kept = 0;
    for (; n_kept < n_keep && (n_kept == 0 || kept < sampling->top_p * total); n_kept++)
        kept += (double)tess_exp(s->scores[s->order[n - 1 - n_kept]] - best);
    double point = tess_random_unit(random) * kept, passed = 0;
    for (int i = 0; i < n_kept; i++) {
        passed += (double)tess_exp(s->scores[s->order[n - 1 - i]] - best);
        if (point < passed) return s->order[n - 1 - i];
    }
    return s->order[n - n_kept];
}

int32_t tess_sampler_choose(tess_sampler *sampler, const float *logits, const tess_sampling *sampling,
                            const int32_t *history, int n_history, uint64_t *random)
{
    size_t n = (size_t)sampler->n_vocab;
    memcpy(sampler->scores, logits, n * sizeof(float));
    if (sampling->repetition_penalty != 1)
        penalise(sampler, logits, (float)sampling->repetition_penalty, history, n_history);
    if (sampling->temperature == 0) return find_best(sampler->scores, sampler->n_vocab);
    float temperature = (float)sampling->temperature;
    for (size_t i = 0; i < n; i++) sampler->scores[i] /= temperature;
    return draw_candidate(sampler, sampling, random);
}

static void take_probabilities(tess_sampler *s, const float *logits)
{
    memcpy(s->scores, logits, (size_t)s->n_vocab * sizeof(float));
    s->kernels->softmax(s->scores, (size_t)s->n_vocab);
}

/* Ranks go by the logits: different logits may share a probability of 0. */
void tess_sampler_get_top(tess_sampler *sampler, const float *logits, int n, tess_likely *out)
{
    if (n > sampler->n_vocab) n = sampler->n_vocab;
    memcpy(sampler->scores, logits, (size_t)sampler->n_vocab * sizeof(float));
    build_heap(sampler);
    for (int i = 0; i < n; i++)
        out[i] = (tess_likely){.id = pop(sampler, sampler->n_vocab - i), .rank = i + 1};
    take_probabilities(sampler, logits);
    for (int i = 0; i < n; i++) out[i].probability = sampler->scores[out[i].id];
}

void tess_sampler_get_rank(tess_sampler *sampler, const float *logits, int32_t id, tess_likely *out)
{
    int rank = 1;
    for (int32_t i = 0; i < sampler->n_vocab; i++) rank += i != id && comes_first(logits, i, id);
    take_probabilities(sampler, logits);
    *out = (tess_likely){.id = id, .rank = rank, .probability = sampler->scores[id]};
}
