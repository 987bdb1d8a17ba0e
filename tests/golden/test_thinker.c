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
    bool shared;                    /* in the folder of further goldens */
} golden_case;

static const golden_case cases[] = {
    {"../shared/golden/a", "../shared/golden/a-f32/text.safetensors",
     "../shared/golden/a-bf16/text.safetensors", true},
    {"tests/golden/b", "tests/golden/b-f32/text.safetensors", "tests/golden/b-bf16/text.safetensors", false},
    {"tests/golden/b", "tests/golden/b-f32/positions.safetensors",
     "tests/golden/b-bf16/positions.safetensors", false},
    {"tests/golden/b", "tests/golden/b-f32/one.safetensors", NULL, false},
    {"tests/golden/c", "tests/golden/c-f32/text.safetensors", "tests/golden/c-bf16/text.safetensors", false},
    {"tests/golden/c", "tests/golden/c-f32/positions.safetensors",
     "tests/golden/c-bf16/positions.safetensors", false},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static tess_engine_options options_for(const char *model, tess_precision precision)
{
    return (tess_engine_options){
        .model_dir = model, .precision = precision, .memory_bytes = 1u << 30, .n_thread = 2};
}

static void run_case(const void *what, const test_tensors *golden, tess_rounding rounding,
                     const test_tensors *replacement, test_recording *recording)
{
    const golden_case *c = what;
    tess_engine_options options =
        options_for(c->model, rounding == TESS_ROUND_BF16 ? TESS_PRECISION_BF16 : TESS_PRECISION_F32);
    int n_tok;
    int32_t *ids = test_input_ids(golden, &n_tok);
    const test_tensor *positions = test_tensors_find(golden, "in.position_ids");
    test_recording_init(recording, replacement);
    test_run(&options, ids, n_tok, positions ? positions->values : NULL, 0, recording);
    free(ids);
}

static test_subject compared(const golden_case *c)
{
    return (test_subject){
        .f32 = c->f32, .bf16 = c->bf16, .taps = "tap.", .is_strict = c->shared, .run = run_case, .what = c};
}

static void test_float32(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const test_subject checked = compared(&cases[i]);
        if (!cases[i].shared || test_shared_folder()) test_check_float32(&checked);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        const test_subject checked = compared(&cases[i]);
        if (checked.bf16 && (!cases[i].shared || test_shared_folder())) test_check_bf16(&checked);
    }
}

static void test_greedy_tokens(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].shared && !test_shared_folder()) continue;
        test_tensors golden;
        test_tensors_read(cases[i].f32, &golden);
        const test_tensor *generated = test_tensors_find(&golden, "tap.thinker.generated");
        const test_tensor *positions = test_tensors_find(&golden, "in.position_ids");
        if (generated && generated->count > 0) {
            tess_engine_options options = options_for(cases[i].model, TESS_PRECISION_F32);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_greedy_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
