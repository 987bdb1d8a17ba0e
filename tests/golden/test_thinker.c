/* The thinker against the original's goldens: every tap of every text case, whole runs in float32 with the
 * bars of the arithmetic contract, and both sides of the bfloat16 bar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"

typedef struct golden_case {
    const char *model, *f32, *bf16; /* bf16 may be NULL */
    bool shared;                    /* below the folder of further goldens */
} golden_case;

static const golden_case cases[] = {
    {"golden/a", "golden/a-f32/text.safetensors", "golden/a-bf16/text.safetensors", true},
    {"tests/golden/b", "tests/golden/b-f32/text.safetensors", "tests/golden/b-bf16/text.safetensors", false},
    {"tests/golden/b", "tests/golden/b-f32/positions.safetensors",
     "tests/golden/b-bf16/positions.safetensors", false},
    {"tests/golden/b", "tests/golden/b-f32/one.safetensors", NULL, false},
    {"tests/golden/c", "tests/golden/c-f32/text.safetensors", "tests/golden/c-bf16/text.safetensors", false},
    {"tests/golden/c", "tests/golden/c-f32/positions.safetensors",
     "tests/golden/c-bf16/positions.safetensors", false},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void place(char *out, size_t size, const golden_case *c, const char *path)
{
    snprintf(out, size, "%s%s", c->shared ? "../shared/" : "", path);
}

static tess_engine_options options_for(const char *model, tess_precision precision)
{
    return (tess_engine_options){
        .model_dir = model, .precision = precision, .memory_bytes = 1u << 30, .n_thread = 2};
}

static void run_golden(const char *model, tess_precision precision, const test_tensors *golden,
                       const test_tensors *replacement, test_recording *recording)
{
    tess_engine_options options = options_for(model, precision);
    int n_tok;
    int32_t *ids = test_input_ids(golden, &n_tok);
    const test_tensor *positions = test_tensors_find(golden, "in.position_ids");
    test_recording_init(recording, replacement);
    test_run(&options, ids, n_tok, positions ? positions->values : NULL, 0, recording);
    free(ids);
}

static void test_float32(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].shared && !test_shared_folder()) continue;
        char model[256], path[256];
        place(model, sizeof model, &cases[i], cases[i].model);
        place(path, sizeof path, &cases[i], cases[i].f32);
        test_tensors golden;
        test_tensors_read(path, &golden);
        for (int isolated = 0; isolated < 2; isolated++) {
            test_recording recording;
            run_golden(model, TESS_PRECISION_F32, &golden, isolated ? &golden : NULL, &recording);
            double worst = test_assert_agrees(&recording.taps, &golden, isolated);
            print_message("# %s: worst relative L2 %.3g %s\n", path, worst,
                          isolated ? "isolated" : "whole run");
            test_recording_release(&recording);
        }
        test_tensors_release(&golden);
    }
}

static void test_greedy_tokens(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].shared && !test_shared_folder()) continue;
        char model[256], path[256];
        place(model, sizeof model, &cases[i], cases[i].model);
        place(path, sizeof path, &cases[i], cases[i].f32);
        test_tensors golden;
        test_tensors_read(path, &golden);
        const test_tensor *generated = test_tensors_find(&golden, "tap.thinker.generated");
        const test_tensor *positions = test_tensors_find(&golden, "in.position_ids");
        if (generated && generated->count > 0) {
            tess_engine_options options = options_for(model, TESS_PRECISION_F32);
            tess_engine *engine;
            tess_session *session;
            tess_error err;
            int n_tok, n_new;
            int32_t *ids = test_input_ids(&golden, &n_tok), answer[64];
            tess_finish finish;
            assert_true(generated->count <= 64);
            assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_OK);
            assert_int_equal(tess_session_new(engine, &session, &err), TESS_OK);
            tess_feed feed = {.ids = ids, .n_tok = n_tok, .positions = positions ? positions->values : NULL};
            assert_int_equal(tess_session_feed(session, &feed, &err), TESS_OK);
            int32_t stop = tess_engine_get_end_token(engine);
            tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY,
                                          .max_new = (int)generated->count,
                                          .stop = &stop,
                                          .n_stop = 1};
            assert_int_equal(tess_session_generate(session, &generation, answer, &n_new, &finish, &err),
                             TESS_OK);
            assert_int_equal(n_new, generated->count);
            for (int t = 0; t < n_new; t++) assert_int_equal(answer[t], generated->integers[t]);
            tess_session_free(session);
            tess_engine_close(engine);
            free(ids);
        }
        test_tensors_release(&golden);
    }
}

/* ---- bfloat16 ---- */

static void test_bf16_isolated(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (!cases[i].bf16 || (cases[i].shared && !test_shared_folder())) continue;
        char model[256], path[256];
        place(model, sizeof model, &cases[i], cases[i].model);
        place(path, sizeof path, &cases[i], cases[i].bf16);
        test_tensors golden;
        test_recording recording;
        test_tensors_read(path, &golden);
        run_golden(model, TESS_PRECISION_BF16, &golden, &golden, &recording);
        test_assert_isolated_bf16(&recording.taps, &golden, path, cases[i].shared);
        test_recording_release(&recording);
        test_tensors_release(&golden);
    }
}

static void test_bf16_whole_run(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (!cases[i].bf16 || (cases[i].shared && !test_shared_folder())) continue;
        char model[256], path[256], truth_path[256];
        place(model, sizeof model, &cases[i], cases[i].model);
        place(path, sizeof path, &cases[i], cases[i].bf16);
        place(truth_path, sizeof truth_path, &cases[i], cases[i].f32);
        test_tensors golden, truth;
        test_tensors_read(path, &golden);
        test_tensors_read(truth_path, &truth);
        double mean, most;
        test_recording recording;
        run_golden(model, TESS_PRECISION_BF16, &golden, NULL, &recording);
        bool holds = test_holds_whole_run_bar(&recording.taps, &golden, &truth, &mean, &most);
        print_message("# %s: distance to float32 over the original's: mean %.3f, most %.3f\n", path, mean,
                      most);
        if (!holds) fail_msg("%s: mean ratio %.3f (0.87 to 1.15), most %.3f (2.5)", path, mean, most);
        test_recording_release(&recording);
        /* A run in float32 arithmetic is not the original's bfloat16 run, and the bar must say so. */
        run_golden(model, TESS_PRECISION_F32, &golden, NULL, &recording);
        assert_false(test_holds_whole_run_bar(&recording.taps, &golden, &truth, &mean, &most));
        test_recording_release(&recording);
        test_tensors_release(&golden);
        test_tensors_release(&truth);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_greedy_tokens),
        cmocka_unit_test(test_bf16_isolated),
        cmocka_unit_test(test_bf16_whole_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
