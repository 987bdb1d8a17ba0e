/* The sampler against a slow, obvious reading of the rules, and the generator against its published numbers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/elementary.h"
#include "model/sampler.h"

enum { N = 500, DRAWS = 20000 };

typedef struct fixture {
    tess_kernels kernels;
    tess_arena arena;
    tess_sampler sampler;
    float logits[N];
    uint64_t random; /* state of the generator */
} fixture;

static uint32_t lcg(uint32_t *state)
{
    return *state = *state * 1664525u + 1013904223u;
}

static void open_sampler(fixture *f)
{
    tess_error err;
    tess_kernels_init(&f->kernels, 0);
    assert_int_equal(tess_arena_reserve(1 << 20, &f->arena, &err), TESS_OK);
    tess_sampler_init(&f->sampler, &f->kernels, N, &f->arena);
    uint32_t state = 7;
    for (int i = 0; i < N; i++) f->logits[i] = (float)(lcg(&state) >> 8) / 16777216.0f * 8.0f - 4.0f;
    f->logits[100] = f->logits[200] = f->logits[300] = 4.5f; /* three equals lead */
}

static int32_t choose_after(fixture *f, tess_sampling sampling, const int32_t *history, int n_history)
{
    int32_t id;
    tess_error err;
    if (tess_sampler_choose(&f->sampler, f->logits, &sampling, history, n_history, &f->random, &id, &err) !=
        TESS_OK)
        fail_msg("%s", err.message);
    return id;
}

static int32_t choose(fixture *f, tess_sampling sampling)
{
    return choose_after(f, sampling, NULL, 0);
}

static void test_greedy(void **state)
{
    (void)state;
    fixture f;
    open_sampler(&f);
    assert_int_equal(choose(&f, TESS_SAMPLING_GREEDY), 100);
    tess_arena_release(&f.arena);
}

static void test_penalty(void **state)
{
    (void)state;
    fixture f;
    open_sampler(&f);
    tess_sampling sampling = {.top_p = 1, .repetition_penalty = 2};
    int32_t history[] = {100, 100, 200}; /* twice the same counts once */
    assert_int_equal(choose_after(&f, sampling, history, 3), 300);
    assert_true(f.sampler.scores[100] == 2.25f && f.sampler.scores[200] == 2.25f);
    int low = 0;
    while (f.logits[low] >= 0) low++;
    history[0] = low;
    choose_after(&f, sampling, history, 1);
    assert_true(f.sampler.scores[low] == 2 * f.logits[low]);
    tess_arena_release(&f.arena);
}

/* The tokens that top-k and then top-p leave, and their probabilities, from the definition: sort ascending,
 * drop while the cumulative probability is at most 1 - p, keep the best in any case. */
static void define_candidates(const fixture *f, tess_sampling s, double probability[N])
{
    int order[N];
    double weight[N], total = 0;
    for (int i = 0; i < N; i++) order[i] = i;
    for (int i = 1; i < N; i++)
        for (int k = i; k > 0 && (f->logits[order[k]] > f->logits[order[k - 1]]); k--) {
            int swap = order[k];
            order[k] = order[k - 1];
            order[k - 1] = swap;
        }
    int n = s.top_k ? s.top_k : N;
    for (int i = 0; i < n; i++) total += weight[i] = exp((double)f->logits[order[i]] / s.temperature);
    double below = 0;
    int first_dropped = n;
    for (int i = n - 1; i > 0; i--) {
        below += weight[i] / total;
        if (below <= 1 - s.top_p) first_dropped = i;
    }
    double kept = 0;
    for (int i = 0; i < first_dropped; i++) kept += weight[i];
    memset(probability, 0, N * sizeof *probability);
    for (int i = 0; i < first_dropped; i++) probability[order[i]] = weight[i] / kept;
}

static void check_distribution(tess_sampling s)
{
    fixture f;
    open_sampler(&f);
    double probability[N], chi = 0;
    int count[N] = {0}, n_cell = 0;
    define_candidates(&f, s, probability);
    f.random = 42;
    for (int i = 0; i < DRAWS; i++) count[choose(&f, s)]++;
    double rest_expected = 0, rest = 0;
    for (int i = 0; i < N; i++) {
        if (probability[i] == 0) assert_int_equal(count[i], 0);
        double expected = probability[i] * DRAWS;
        if (expected < 10) {
            rest_expected += expected;
            rest += count[i];
            continue;
        }
        chi += (count[i] - expected) * (count[i] - expected) / expected;
        n_cell++;
    }
    if (rest_expected > 10) {
        chi += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
        n_cell++;
    }
    print_message("# %d cells, chi-square %.1f\n", n_cell, chi);
    /* mean n-1, variance 2(n-1): five standard deviations */
    assert_true(n_cell > 2 && chi < n_cell - 1 + 5 * sqrt(2.0 * n_cell));
    tess_arena_release(&f.arena);
}

static void test_distributions(void **state)
{
    (void)state;
    check_distribution((tess_sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1});
    check_distribution(
        (tess_sampling){.temperature = 0.6, .top_p = 0.95, .top_k = 20, .repetition_penalty = 1});
    check_distribution((tess_sampling){.temperature = 1.5, .top_p = 0.3, .repetition_penalty = 1});
    check_distribution((tess_sampling){.temperature = 2, .top_p = 1, .top_k = 7, .repetition_penalty = 1});
}

static void test_seed(void **state)
{
    (void)state;
    fixture f;
    open_sampler(&f);
    tess_sampling s = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    int32_t first[50];
    f.random = 3;
    for (int i = 0; i < 50; i++) first[i] = choose(&f, s);
    f.random = 3;
    for (int i = 0; i < 50; i++) assert_int_equal(choose(&f, s), first[i]);
    f.random = 4;
    int n_same = 0;
    for (int i = 0; i < 50; i++) n_same += choose(&f, s) == first[i];
    assert_true(n_same < 25);
    /* SplitMix64 from state 1234567, as published with the generator: the state after one step of all-equal
     * logits decides the token, floor(u * N) for N equal candidates in id order. */
    for (int i = 0; i < N; i++) f.logits[i] = 0;
    static const uint64_t published[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                         4593380528125082431u, 16408922859458223821u};
    f.random = 1234567;
    for (int i = 0; i < 5; i++)
        assert_int_equal(choose(&f, s), (int32_t)((double)(published[i] >> 11) * 0x1p-53 * N));
    tess_arena_release(&f.arena);
}

static void test_ranks(void **state)
{
    (void)state;
    fixture f;
    open_sampler(&f);
    tess_likely top[5], one;
    tess_sampler_get_top(&f.sampler, f.logits, 5, top);
    assert_int_equal(top[0].id, 100);
    assert_int_equal(top[1].id, 200);
    assert_int_equal(top[2].id, 300);
    double total = 0;
    for (int i = 0; i < N; i++) total += exp((double)f.logits[i]);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(top[i].rank, i + 1);
        assert_true(fabs((double)top[i].probability - exp((double)f.logits[top[i].id]) / total) < 1e-6);
        tess_sampler_get_rank(&f.sampler, f.logits, top[i].id, &one);
        assert_int_equal(one.rank, top[i].rank);
        assert_true(one.probability == top[i].probability);
    }
    tess_arena_release(&f.arena);
}

/* What the sampler is by definition: candidates one by one from a heap, best first, their weights summed in
 * that order. */
typedef struct heap {
    const float *scores;
    int32_t *id; /* [n] */
    int n;
} heap;

static bool is_better(const heap *h, int a, int b)
{
    float x = h->scores[h->id[a]], y = h->scores[h->id[b]];
    return x > y || (x == y && h->id[a] < h->id[b]);
}

static void sink_down(heap *h, int at)
{
    for (int child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && is_better(h, child + 1, child)) child++;
        if (!is_better(h, child, at)) return;
        int32_t swap = h->id[at];
        h->id[at] = h->id[child];
        h->id[child] = swap;
    }
}

static int32_t define_choice(const float *scores, int n, const tess_sampling *s, uint64_t *random)
{
    heap h = {scores, calloc((size_t)n, sizeof(int32_t)), n};
    int32_t *sorted = calloc((size_t)n, sizeof(int32_t)), choice = -1;
    double *weight = calloc((size_t)n, sizeof(double)), total = 0, kept = 0, passed = 0;
    assert_true(h.id && sorted && weight);
    for (int i = 0; i < n; i++) h.id[i] = i;
    for (int i = n / 2 - 1; i >= 0; i--) sink_down(&h, i);
    int n_keep = s->top_k > 0 && s->top_k < n ? s->top_k : n, n_kept = 0;
    for (int i = 0; i < n_keep; i++) {
        sorted[i] = h.id[0];
        h.id[0] = h.id[--h.n];
        sink_down(&h, 0);
        weight[i] = (double)tess_exp(scores[sorted[i]] - scores[sorted[0]]);
        total += weight[i];
    }
    for (; n_kept < n_keep && (n_kept == 0 || kept < s->top_p * total); n_kept++) kept += weight[n_kept];
    double point = tess_random_unit(random) * kept;
    for (int i = 0; i < n_kept && choice < 0; i++)
        if (point < (passed += weight[i])) choice = sorted[i];
    if (choice < 0) choice = sorted[n_kept - 1];
    free(h.id);
    free(sorted);
    free(weight);
    return choice;
}

/* The same tokens as by definition, seed by seed, over a whole vocabulary with equals and both zeros in it.
 */
static void test_definition(void **state)
{
    (void)state;
    enum { VOCAB = 151936, ROUNDS = 12 };
    fixture f;
    tess_error err;
    tess_kernels_init(&f.kernels, tess_cpu_mask());
    assert_int_equal(tess_arena_reserve(8 << 20, &f.arena, &err), TESS_OK);
    tess_sampler_init(&f.sampler, &f.kernels, VOCAB, &f.arena);
    float *logits = calloc(VOCAB, sizeof *logits), *scores = calloc(VOCAB, sizeof *scores);
    assert_true(logits && scores);
    static const tess_sampling options[] = {
        {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
        {.temperature = 0.6, .top_p = 0.95, .repetition_penalty = 1},
        {.temperature = 3, .top_p = 0.5, .top_k = 5000, .repetition_penalty = 1},
        {.temperature = 0.01, .top_p = 1, .top_k = 50, .repetition_penalty = 1},
    };
    uint32_t noise = 99;
    for (int round = 0; round < ROUNDS; round++) {
        const tess_sampling *s = &options[round % 4];
        /* a coarse grid below the leaders gives many equals */
        for (int i = 0; i < VOCAB; i++)
            logits[i] =
                (float)(lcg(&noise) >> 20) / (round < 6 ? 256.0f : 4096.0f) - (round % 3 ? 8.0f : 0.5f);
        for (int i = 0; i < VOCAB; i += 97) logits[i] = i % 2 ? 0.0f : -0.0f;
        for (int i = 0; i < VOCAB; i++) scores[i] = logits[i] / (float)s->temperature;
        uint64_t random = (uint64_t)round, defined = random;
        for (int draw = 0; draw < 2; draw++) {
            int32_t id;
            assert_int_equal(tess_sampler_choose(&f.sampler, logits, s, NULL, 0, &random, &id, &err),
                             TESS_OK);
            assert_int_equal(id, define_choice(scores, VOCAB, s, &defined));
        }
        assert_true(random == defined);
    }
    free(logits);
    free(scores);
    tess_arena_release(&f.arena);
}

/* Options that leave no finite probabilities are refused by name, and the generator stays where it is. */
static void test_no_probabilities(void **state)
{
    (void)state;
    fixture f;
    open_sampler(&f);
    tess_error err;
    tess_sampling s = {.temperature = 1e-30, .top_p = 1, .repetition_penalty = 1};
    const int32_t history[] = {100};
    int32_t id = -1;
    id = choose(&f, s);
    assert_true(id == 100 || id == 200 || id == 300);
    f.logits[100] = 1e9f; /* no model's */
    f.random = 5;
    assert_int_equal(tess_sampling_check(&s, &err), TESS_OK);
    assert_int_equal(tess_sampler_choose(&f.sampler, f.logits, &s, history, 1, &f.random, &id, &err),
                     TESS_EUSAGE); /* 1e9 / 1e-30 is more than a float holds */
    assert_string_equal(err.field, "temperature");
    s = (tess_sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1e-30};
    assert_int_equal(tess_sampling_check(&s, &err), TESS_OK);
    assert_int_equal(tess_sampler_choose(&f.sampler, f.logits, &s, history, 1, &f.random, &id, &err),
                     TESS_EUSAGE);
    assert_string_equal(err.field, "repetition_penalty");
    s.temperature = 0;
    assert_int_equal(tess_sampler_choose(&f.sampler, f.logits, &s, history, 1, &f.random, &id, &err),
                     TESS_EUSAGE);
    assert_string_equal(err.field, "repetition_penalty");
    assert_true(f.random == 5);
    static const double bad[] = {9.9e-31, 3e-38, 1.1e-38, 1e-39, 1e-300, 1e39, -1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s = (tess_sampling){.temperature = bad[i], .top_p = 1, .repetition_penalty = 1};
        assert_int_equal(tess_sampling_check(&s, &err), TESS_EUSAGE);
        assert_string_equal(err.field, "temperature");
        s = (tess_sampling){.temperature = 1, .top_p = 1, .repetition_penalty = bad[i]};
        assert_int_equal(tess_sampling_check(&s, &err), TESS_EUSAGE);
        assert_string_equal(err.field, "repetition_penalty");
    }
    s = (tess_sampling){.top_p = 1, .repetition_penalty = 1.2e-38}; /* greedy */
    assert_int_equal(tess_sampling_check(&s, &err), TESS_EUSAGE);
    tess_arena_release(&f.arena);
}

/* Whatever is accepted chooses from the scores of any model: no step fails after others have answered. */
static void test_accepted_is_finite(void **state)
{
    (void)state;
    static const double temperatures[] = {0, 1e-30, 1e-20, 1e-10, 1, 1e30, 3.4e38},
                        penalties[] = {1e-30, 1e-20, 1e-10, 0.5, 1, 2, 1e10, 1e20, 1e30};
    fixture f;
    open_sampler(&f);
    static const int32_t history[] = {100, 200, 300, 5};
    for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++)
        for (size_t k = 0; k < sizeof penalties / sizeof *penalties; k++) {
            const double least = 1e-30 * fmax(penalties[k], 1 / penalties[k]);
            const tess_sampling s = {
                .temperature = temperatures[i], .top_p = 1, .repetition_penalty = penalties[k]};
            int32_t id;
            tess_error err;
            bool is_taken = s.temperature == 0 || s.temperature >= least * (1 - 1e-9);
            assert_int_equal(tess_sampling_check(&s, &err), is_taken ? TESS_OK : TESS_EUSAGE);
            if (!is_taken) assert_string_equal(err.field, "temperature");
            for (int sign = -1; is_taken && sign <= 1; sign += 2) {
                for (int v = 0; v < f.sampler.n_vocab; v++)
                    f.logits[v] = (float)sign * (1 + (float)(v % 1000));
                assert_int_equal(
                    tess_sampler_choose(&f.sampler, f.logits, &s, history, 4, &f.random, &id, &err), TESS_OK);
            }
        }
    tess_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_distributions), cmocka_unit_test(test_seed),
        cmocka_unit_test(test_definition),    cmocka_unit_test(test_no_probabilities),
        cmocka_unit_test(test_ranks),         cmocka_unit_test(test_accepted_is_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
