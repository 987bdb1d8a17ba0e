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

static int32_t choose(fixture *f, tess_sampling sampling)
{
    return tess_sampler_choose(&f->sampler, f->logits, &sampling, NULL, 0, &f->random);
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
    assert_int_equal(tess_sampler_choose(&f.sampler, f.logits, &sampling, history, 3, &f.random), 300);
    assert_true(f.sampler.scores[100] == 2.25f && f.sampler.scores[200] == 2.25f);
    int low = 0;
    while (f.logits[low] >= 0) low++;
    history[0] = low;
    tess_sampler_choose(&f.sampler, f.logits, &sampling, history, 1, &f.random);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy), cmocka_unit_test(test_penalty), cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_seed),   cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
