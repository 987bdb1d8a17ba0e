#include "model/sampler.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "kernels/elementary.h"

void tess_sampler_init(tess_sampler *sampler, const tess_kernels *kernels, int n_vocab, tess_arena *arena)
{
    sampler->kernels = kernels;
    sampler->n_vocab = n_vocab;
    sampler->scores = TESS_TAKE(arena, float, n_vocab);
    sampler->order = TESS_TAKE(arena, int32_t, n_vocab);
    sampler->spare = TESS_TAKE(arena, int32_t, n_vocab);
}

/* Scores of a model, which are at most some hundreds, stay finite and apart when a penalty within these
 * multiplies or divides them, or a temperature divides them; and both, where their product keeps to it. */
static const double LEAST_PENALTY = 1e-30, MOST_PENALTY = 1e30, LEAST_TEMPERATURE = 1e-30;

/* A penalty moves scores either way: what has one sign is divided, the rest multiplied. */
static tess_status check_both(const tess_sampling *s, const char *temperature, const char *penalty,
                              tess_error *err)
{
    const double p = s->repetition_penalty, least = LEAST_TEMPERATURE * (p < 1 ? 1 / p : p);
    char expected[96];
    if (s->temperature == 0 || s->temperature >= least * (1 - 1e-9)) return TESS_OK; /* what is told does */
    snprintf(expected, sizeof expected, "0 (greedy), or at least %.2g with a repetition penalty of %s", least,
             penalty);
    return tess_refuse_option(err, "temperature", expected, "%s", temperature);
}

tess_status tess_sampling_check(const tess_sampling *s, tess_error *err)
{
    char temperature[32], top_p[32], penalty[32];
    tess_spell_number(s->temperature, temperature);
    tess_spell_number(s->top_p, top_p);
    tess_spell_number(s->repetition_penalty, penalty);
    if (!(s->temperature >= 0))
        return tess_refuse_option(err, "temperature", "0 (greedy) or more", "%s", temperature);
    if (s->temperature != 0 && (s->temperature < LEAST_TEMPERATURE || s->temperature > (double)FLT_MAX))
        return tess_refuse_option(err, "temperature", "0 (greedy), or 1e-30 to 3.4e38", "%s", temperature);
    if (s->top_k < 0) return tess_refuse_option(err, "top_k", "0 (off) or more", "%d", s->top_k);
    if (!(s->top_p > 0 && s->top_p <= 1))
        return tess_refuse_option(err, "top_p", "more than 0, at most 1", "%s", top_p);
    if (!(s->repetition_penalty > 0))
        return tess_refuse_option(err, "repetition_penalty", "more than 0; 1 changes nothing", "%s", penalty);
    if (s->repetition_penalty < LEAST_PENALTY || s->repetition_penalty > MOST_PENALTY)
        return tess_refuse_option(err, "repetition_penalty", "1e-30 to 1e30; 1 changes nothing", "%s",
                                  penalty);
    return check_both(s, temperature, penalty, err);
}

/* Higher score first, then lower id. */
static bool comes_first(const float *scores, int32_t a, int32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

/* Falls as the score rises; the zeros of both signs are one. */
static uint32_t sort_key(float score)
{
    uint32_t bits = tess_bits_of_float(score + 0.0f);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

enum { DIGIT_BITS = 11, DIGITS = 3, BUCKETS = 1 << DIGIT_BITS };

static uint32_t digit_of(uint32_t key, int digit)
{
    return key >> (digit * DIGIT_BITS) & (BUCKETS - 1);
}

/* All ids into `order`, the best score first. A radix sort, lowest digit first: each pass keeps the order of
 * equals, so ids of one score stay ascending. A vocabulary takes it a tenth of a heap's time. */
static void sort_scores(tess_sampler *s)
{
    uint32_t place[DIGITS][BUCKETS] = {{0}};
    for (int i = 0; i < s->n_vocab; i++)
        for (int d = 0; d < DIGITS; d++) place[d][digit_of(sort_key(s->scores[i]), d)]++;
    for (int d = 0; d < DIGITS; d++)
        for (uint32_t b = 0, before = 0; b < BUCKETS; b++) {
            uint32_t n = place[d][b];
            place[d][b] = before;
            before += n;
        }
    for (int i = 0; i < s->n_vocab; i++) s->order[place[0][digit_of(sort_key(s->scores[i]), 0)]++] = i;
    int32_t *from = s->order, *to = s->spare;
    for (int d = 1; d < DIGITS; d++) {
        for (int i = 0; i < s->n_vocab; i++)
            to[place[d][digit_of(sort_key(s->scores[from[i]]), d)]++] = from[i];
        int32_t *swap = from;
        from = to;
        to = swap;
    }
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

/* Leaves of the sorted candidates those that top-k and top-p leave; returns how many. Scores become weights,
 * relative to the best, and *sum is theirs. */
static int weigh_candidates(tess_sampler *s, const tess_sampling *sampling, double *sum)
{
    int n = s->n_vocab, n_keep = sampling->top_k > 0 && sampling->top_k < n ? sampling->top_k : n;
    float best = s->scores[s->order[0]];
    while (s->scores[s->order[n_keep - 1]] == -INFINITY) n_keep--;
    double total = 0;
    for (int i = 0; i < n_keep; i++) {
        float *score = &s->scores[s->order[i]];
        *score = tess_exp(*score - best);
        total += (double)*score;
    }
    /* top-p keeps a candidate while those before it hold less than p */
    int n_kept = 0;
    for (*sum = 0; n_kept < n_keep && (n_kept == 0 || *sum < sampling->top_p * total); n_kept++)
        *sum += (double)s->scores[s->order[n_kept]];
    return n_kept;
}

static int32_t draw_candidate(const tess_sampler *s, int n, double sum, uint64_t *random)
{
    double point = tess_random_unit(random) * sum, passed = 0;
    for (int i = 0; i < n; i++) {
        passed += (double)s->scores[s->order[i]];
        if (point < passed) return s->order[i];
    }
    return s->order[n - 1];
}

/* The original ends with an error as well where a probability is infinite or not a number. The option to
 * blame is the one that made the best score infinite. */
static tess_status refuse_score(float logit, const tess_sampling *sampling, tess_error *err)
{
    float penalty = (float)sampling->repetition_penalty;
    bool is_penalty = !isfinite(logit / penalty) || !isfinite(logit * penalty);
    return tess_refuse_option(err, is_penalty ? "repetition_penalty" : "temperature",
                              "a value that leaves probabilities finite", "%g",
                              is_penalty ? sampling->repetition_penalty : sampling->temperature);
}

tess_status tess_sampler_weigh(tess_sampler *sampler, const float *logits, const tess_sampling *sampling,
                               const int32_t *history, int n_history, int *n_kept, double *sum,
                               tess_error *err)
{
    size_t n = (size_t)sampler->n_vocab;
    memcpy(sampler->scores, logits, n * sizeof(float));
    if (sampling->repetition_penalty != 1)
        penalise(sampler, logits, (float)sampling->repetition_penalty, history, n_history);
    if (sampling->temperature == 0) {
        int32_t best = find_best(sampler->scores, sampler->n_vocab);
        /* Scores that a penalty made infinite are equals, of which none is the likeliest. */
        if (isfinite(logits[best]) && !isfinite(sampler->scores[best]))
            return refuse_score(logits[best], sampling, err);
        sampler->order[0] = best;
        sampler->scores[best] = 1;
        *n_kept = 1;
        *sum = 1;
        return TESS_OK;
    }
    float temperature = (float)sampling->temperature;
    for (size_t i = 0; i < n; i++) sampler->scores[i] /= temperature;
    sort_scores(sampler);
    int32_t best = sampler->order[0];
    if (!isfinite(sampler->scores[best])) return refuse_score(logits[best], sampling, err);
    *n_kept = weigh_candidates(sampler, sampling, sum);
    return TESS_OK;
}

tess_status tess_sampler_choose(tess_sampler *sampler, const float *logits, const tess_sampling *sampling,
                                const int32_t *history, int n_history, uint64_t *random, int32_t *id,
                                tess_error *err)
{
    int n_kept;
    double sum;
    tess_status status =
        tess_sampler_weigh(sampler, logits, sampling, history, n_history, &n_kept, &sum, err);
    if (status != TESS_OK) return status;
    *id = sampling->temperature == 0 ? sampler->order[0] : draw_candidate(sampler, n_kept, sum, random);
    return TESS_OK;
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
    sort_scores(sampler);
    for (int i = 0; i < n; i++) out[i] = (tess_likely){.id = sampler->order[i], .rank = i + 1};
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
