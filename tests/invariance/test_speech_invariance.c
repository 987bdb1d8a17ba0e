/* The bits of speech depend on neither threads, instruction set, budget, the room speech has, nor on when the
 * text comes: codes and samples of drawn and of greedy answers, with media, in both precisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/speaking.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/f-f32/speak_media.safetensors"

typedef struct variation {
    const char *title, *isa;
    int n_thread, n_chunk, n_expert_slot;
    bool step_by_step, is_tight;
} variation;

static const variation variations[] = {
    {"three threads", NULL, 3, 0, 0, false, false},
    {"a token at a time", NULL, 1, 0, 0, true, false},
    {"reference", "reference", 1, 0, 0, true, false},
    {"avx2", "avx2", 2, 0, 0, false, false},
    {"avx512", "avx512", 1, 0, 0, false, false},
    {"neon", "neon", 2, 0, 0, false, false},
    {"chunks of 3", NULL, 2, 3, 0, false, false},
    {"few experts", NULL, 2, 0, 2, false, false},
    {"the tightest budget", NULL, 1, 0, 0, false, true},
    {"the tightest budget, a token at a time", NULL, 2, 0, 0, true, true},
};
enum { N_VARIATIONS = sizeof variations / sizeof variations[0] };

static uint64_t find_tightest(const tess_engine_options *base)
{
    tess_trace_inputs inputs;
    tess_error err;
    tess_engine_options options = *base;
    assert_int_equal(tess_trace_inputs_read(GOLDEN, &inputs, &err), TESS_OK);
    const tess_feed feed = {.media = inputs.media, .n_media = inputs.n_media};
    options.model_dir = MODEL;
    options.n_context = 256;
    options.n_speech_step = inputs.speak;
    options.expected = &feed;
    options.n_expected = 1;
    uint64_t budget = test_find_tightest_budget(&options, false);
    tess_trace_inputs_release(&inputs);
    return budget;
}

static void speak(const variation *v, tess_precision precision, const test_tensors *golden,
                  const tess_sampling *sampling, test_spoken *out)
{
    tess_engine_options options = {.precision = precision,
                                   .memory_bytes = 1u << 30,
                                   .isa = v->isa,
                                   .n_thread = v->n_thread,
                                   .n_chunk = v->n_chunk,
                                   .n_expert_slot = v->n_expert_slot};
    if (v->is_tight) options.memory_bytes = find_tightest(&options);
    test_spoken_open(MODEL, GOLDEN, &options, NULL, out);
    bool stays = tess_engine_get_plan(out->engine)->speech_stays;
    if (!getenv("TESS_SANITIZED")) assert_int_equal(stays, !v->is_tight && !v->n_expert_slot);
    test_spoken_speak(out, golden, sampling, v->step_by_step, NULL);
}

static void compare_all(tess_precision precision, const tess_sampling *sampling)
{
    const variation base = {.title = "base", .n_thread = 1};
    test_tensors golden;
    test_spoken expected;
    int n = 0;
    test_tensors_read(GOLDEN, &golden);
    speak(&base, precision, &golden, sampling, &expected);
    assert_true(expected.n_frame >= 3 && expected.n_sample > 0);
    for (int v = 0; v < N_VARIATIONS; v++) {
        if (!test_has_isa(variations[v].isa)) continue;
        test_spoken other;
        speak(&variations[v], precision, &golden, sampling, &other);
        bool same = other.n_frame == expected.n_frame && other.n_sample == expected.n_sample &&
                    !memcmp(other.codes, expected.codes,
                            (size_t)other.n_frame * (size_t)other.n_code_group * sizeof *other.codes) &&
                    !memcmp(other.samples, expected.samples, other.n_sample * sizeof *other.samples);
        if (!same) fail_msg("%s: other codes or samples", variations[v].title);
        test_spoken_close(&other);
        n++;
    }
    print_message("# %d runs equal bit for bit, %d frames, %zu samples\n", n, expected.n_frame,
                  expected.n_sample);
    test_spoken_close(&expected);
    test_tensors_release(&golden);
}

static void test_drawn(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        tess_sampling sampling = TESS_SPEECH_SAMPLING;
        sampling.seed = seed;
        compare_all(TESS_PRECISION_F32, &sampling);
    }
}

static void test_greedy(void **state)
{
    (void)state;
    tess_sampling sampling = TESS_SPEECH_SAMPLING;
    sampling.temperature = 0;
    compare_all(TESS_PRECISION_F32, &sampling);
}

static void test_bf16(void **state)
{
    (void)state;
    const tess_sampling sampling = TESS_SPEECH_SAMPLING;
    compare_all(TESS_PRECISION_BF16, &sampling);
}

/* Two voices in turn, and the same request again: nothing of what was said before stays. */
static void test_in_turn(void **state)
{
    (void)state;
    const tess_engine_options options = {.memory_bytes = 1u << 30, .n_thread = 2};
    const tess_sampling sampling = TESS_SPEECH_SAMPLING;
    const char *const voices[] = {"ethan", "chelsie", "ETHAN", "Chelsie"};
    test_tensors golden;
    test_spoken s, kept[2] = {0};
    test_tensors_read(GOLDEN, &golden);
    test_spoken_open(MODEL, GOLDEN, &options, NULL, &s);
    char *own = s.inputs.speaker;
    for (int i = 0; i < 4; i++) {
        s.inputs.speaker = (char *)(uintptr_t)voices[i];
        s.codes = NULL;
        s.samples = NULL;
        s.n_sample = 0;
        test_spoken_speak(&s, &golden, &sampling, i % 2, NULL);
        if (i < 2) {
            kept[i] = s;
            continue;
        }
        assert_int_equal(s.n_sample, kept[i - 2].n_sample);
        assert_memory_equal(s.samples, kept[i - 2].samples, s.n_sample * sizeof *s.samples);
        free(s.codes);
        free(s.samples);
    }
    assert_memory_not_equal(kept[0].samples, kept[1].samples, 1000 * sizeof(float));
    for (int i = 0; i < 2; i++) {
        free(kept[i].codes);
        free(kept[i].samples);
    }
    s.inputs.speaker = own;
    s.codes = NULL;
    s.samples = NULL;
    test_spoken_close(&s);
    test_tensors_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
