/* The bits do not depend on threads, instruction set, chunking, budget or the way a prompt is fed: every tap
 * of the same prompt, under each of them, compared with memcmp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/recording.h"

typedef struct prompt {
    const char *model, *golden;
    bool shared;
} prompt;

static const prompt prompts[] = {
    {"tests/golden/b", "tests/golden/b-f32/text.safetensors", false},
    {"tests/golden/c", "tests/golden/c-f32/positions.safetensors", false},
    {"../shared/golden/a", "../shared/golden/a-f32/text.safetensors", true},
};

typedef struct variation {
    const char *name, *isa;
    int n_thread, n_chunk, step;
    bool smallest_budget;
    int n_expert_slot; /* 0: as many as the budget allows */
} variation;

static const variation variations[] = {
    {"1 thread", "auto", 1, 0, 0, false, 0},
    {"2 threads", "auto", 2, 0, 0, false, 0},
    {"3 threads", "auto", 3, 0, 0, false, 0},
    {"avx2", "avx2", 2, 0, 0, false, 0},
    {"avx512", "avx512", 2, 0, 0, false, 0},
    {"neon", "neon", 2, 0, 0, false, 0},
    {"chunks of 1", "auto", 2, 1, 0, false, 0},
    {"chunks of 7", "auto", 3, 7, 0, false, 0},
    {"smallest budget", "auto", 2, 0, 0, true, 0},
    {"smallest budget, 1 thread, reference", "reference", 1, 0, 0, true, 0},
    {"fed token by token", "auto", 2, 0, 1, false, 0},
    {"fed in fives, chunks of 2, smallest budget", "auto", 3, 2, 5, true, 0},
    {"one expert at a time", "auto", 2, 0, 0, false, 1},
    {"two experts stay, fed in fives", "auto", 3, 0, 5, false, 2},
    {"seven experts stay, chunks of 7", "auto", 2, 7, 0, false, 7},
    {"fed token by token, reference", "reference", 3, 0, 1, false, 0},
};
enum {
    N_PROMPTS = sizeof prompts / sizeof prompts[0],
    N_VARIATIONS = sizeof variations / sizeof variations[0]
};

static void run_variation(const prompt *p, const variation *v, tess_precision precision,
                          const test_tensors *golden, test_recording *recording)
{
    tess_engine_options options = {.model_dir = p->model,
                                   .precision = precision,
                                   .memory_bytes = 1u << 30,
                                   .n_context = 64,
                                   .n_thread = v->n_thread,
                                   .n_chunk = v->n_chunk,
                                   .isa = v->isa,
                                   .n_expert_slot = v->n_expert_slot};
    if (v->smallest_budget) options.memory_bytes = test_find_tightest_budget(&options, true);
    int n_tok;
    int32_t *ids = test_input_ids(golden, &n_tok);
    const test_tensor *positions = test_tensors_find(golden, "in.position_ids");
    test_recording_init(recording, NULL);
    test_run(&options, ids, n_tok, positions ? positions->values : NULL, v->step, recording);
    free(ids);
}

static void compare_all(tess_precision precision)
{
    static const variation base = {"base", "reference", 1, 0, 0, false, 0};
    int n_compared = 0;
    for (int i = 0; i < N_PROMPTS; i++) {
        if (prompts[i].shared && !test_shared_folder()) continue;
        test_tensors golden;
        test_recording expected;
        test_tensors_read(prompts[i].golden, &golden);
        run_variation(&prompts[i], &base, precision, &golden, &expected);
        for (int v = 0; v < N_VARIATIONS; v++) {
            if (!test_has_isa(variations[v].isa)) continue;
            test_recording recording;
            run_variation(&prompts[i], &variations[v], precision, &golden, &recording);
            test_tensors_assert_equal(&expected.taps, &recording.taps, variations[v].name);
            test_recording_release(&recording);
            n_compared++;
        }
        test_recording_release(&expected);
        test_tensors_release(&golden);
    }
    print_message("# %d runs equal bit for bit\n", n_compared);
    assert_true(n_compared > 10);
}

static void test_f32(void **state)
{
    (void)state;
    compare_all(TESS_PRECISION_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    compare_all(TESS_PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
