/* What the talker and its code predictor draw from, against what the original makes of the same logits: its
 * penalty, suppressed codes, temperature, top-k and top-p leave the same codes with the same probabilities.
 * How an answer is drawn that nobody has asked to be drawn otherwise, against how the original draws it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/recording.h"
#include "model/code_predictor.h"
#include "model/talker.h"
#include "store/safetensors.h"

typedef struct golden_case {
    const char *path;
    tess_sampling talker;
} golden_case;

static const golden_case cases[] = {
    {"tests/golden/scores/published.safetensors",
     {.temperature = 0.9, .top_k = 50, .top_p = 1, .repetition_penalty = 1.05}},
    {"tests/golden/scores/narrow.safetensors",
     {.temperature = 0.6, .top_k = 20, .top_p = 0.9, .repetition_penalty = 1.2}},
    {"tests/golden/scores/flat.safetensors",
     {.temperature = 1, .top_k = 50, .top_p = 0.9, .repetition_penalty = 1.05}},
};

/* Candidates of one step and their weights against the original's scores, of which the others are -infinity.
 */
static void compare_step(const tess_sampler *sampler, int n_kept, double sum, const float *scores)
{
    double best = -INFINITY, total = 0;
    int n_finite = 0;
    for (int i = 0; i < sampler->n_vocab; i++) {
        if (scores[i] == -INFINITY) continue;
        n_finite++;
        if ((double)scores[i] > best) best = (double)scores[i];
    }
    assert_int_equal(n_kept, n_finite);
    for (int i = 0; i < sampler->n_vocab; i++) total += exp((double)scores[i] - best);
    for (int i = 0; i < n_kept; i++) {
        int32_t id = sampler->order[i];
        double ours = (double)sampler->scores[id] / sum, theirs = exp((double)scores[id] - best) / total;
        assert_true(isfinite(scores[id]));
        if (!(fabs(ours - theirs) <= 1e-6 * theirs + 1e-9))
            fail_msg("code %d: probability %.9g, the original's is %.9g", (int)id, ours, theirs);
    }
}

static void compare_steps(const test_tensors *golden, const char *part, const tess_sampling *sampling,
                          const tess_talker_config *suppressed)
{
    char name[64];
    tess_kernels kernels;
    tess_arena arena;
    tess_error err;
    tess_sampler sampler;
    snprintf(name, sizeof name, "in.%s.logits", part);
    const test_tensor *logits = test_tensors_get(golden, name);
    snprintf(name, sizeof name, "in.%s.drawn", part);
    const test_tensor *drawn = test_tensors_get(golden, name);
    snprintf(name, sizeof name, "tap.%s.scores", part);
    const test_tensor *scores = test_tensors_get(golden, name);
    int n_vocab = (int)logits->dim[1], n_step = (int)logits->dim[0];
    int32_t *history = calloc((size_t)n_step, sizeof *history);
    assert_non_null(history);
    tess_kernels_init(&kernels, tess_cpu_mask());
    assert_int_equal(tess_arena_reserve((uint64_t)n_vocab * 16 + 4096, &arena, &err), TESS_OK);
    tess_sampler_init(&sampler, &kernels, n_vocab, &arena);
    for (int i = 0; i < n_step; i++) {
        float *row = logits->values + (size_t)i * (size_t)n_vocab;
        int n_kept;
        double sum;
        if (suppressed) tess_talker_suppress(suppressed, row);
        assert_int_equal(tess_sampler_weigh(&sampler, row, sampling, history, i, &n_kept, &sum, &err),
                         TESS_OK);
        compare_step(&sampler, n_kept, sum, scores->values + (size_t)i * (size_t)n_vocab);
        history[i] = (int32_t)drawn->integers[i];
    }
    tess_arena_release(&arena);
    free(history);
}

static void test_candidates(void **state)
{
    (void)state;
    tess_config *config;
    tess_error err;
    assert_int_equal(tess_config_new("tests/golden/f", &config, &err), TESS_OK);
    const tess_sampling predictor = tess_code_predictor_sampling(false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_tensors golden;
        test_tensors_read(cases[i].path, &golden);
        compare_steps(&golden, "talker", &cases[i].talker, &config->talker);
        compare_steps(&golden, "code_predictor", &predictor, NULL);
        test_tensors_release(&golden);
    }
    free(config);
}

static double told(const tess_safetensors *golden, const char *part, const char *key)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%s", part, key);
    const char *text = tess_safetensors_get_metadata(golden, name);
    if (!text) fail_msg("the golden does not tell %s", name);
    return strtod(text, NULL);
}

static void compare_settings(const tess_sampling *ours, const tess_safetensors *golden, const char *part)
{
    const tess_sampling theirs = {.temperature = told(golden, part, "temperature"),
                                  .top_k = (int)told(golden, part, "top_k"),
                                  .top_p = told(golden, part, "top_p"),
                                  .repetition_penalty = told(golden, part, "repetition_penalty")};
    if (ours->temperature != theirs.temperature || ours->top_k != theirs.top_k ||
        ours->top_p != theirs.top_p || ours->repetition_penalty != theirs.repetition_penalty)
        fail_msg("%s: temperature %g, top-k %d, top-p %g, penalty %g; the original has %g, %d, %g, %g", part,
                 ours->temperature, ours->top_k, ours->top_p, ours->repetition_penalty, theirs.temperature,
                 theirs.top_k, theirs.top_p, theirs.repetition_penalty);
}

static void test_published(void **state)
{
    (void)state;
    tess_safetensors *golden;
    tess_error err;
    if (tess_safetensors_open(cases[0].path, TESS_DIRECT_AUTO, &golden, &err) != TESS_OK)
        fail_msg("%s", err.message);
    const tess_sampling talker = TESS_SPEECH_SAMPLING, predictor = tess_code_predictor_sampling(false);
    compare_settings(&talker, golden, "talker");
    compare_settings(&predictor, golden, "predictor");
    assert_int_equal(TESS_SPEECH_STEPS, (int)told(golden, "talker", "max_new_tokens"));
    tess_safetensors_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_candidates), cmocka_unit_test(test_published)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
