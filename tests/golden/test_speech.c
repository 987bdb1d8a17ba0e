/* The talker and its code predictor against the original's goldens of spoken answers: every tap of the
 * talker's prompt in both precisions, all codes of a greedy answer, and its waveform. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/agreement.h"
#include "../support/speaking.h"

typedef struct golden_case {
    const char *model, *f32, *bf16; /* bf16 may be NULL */
    bool shared;                    /* in the folder of further goldens */
} golden_case;

#define OF(model, title, is_both)                                                                            \
    {                                                                                                        \
        "tests/golden/" model, "tests/golden/" model "-f32/" title ".safetensors",                           \
            is_both ? "tests/golden/" model "-bf16/" title ".safetensors" : NULL, false                      \
    }
static const golden_case cases[] = {
    {"../shared/golden/a", "../shared/golden/a-f32/speak.safetensors", NULL, true},
    {"../shared/golden/a", "../shared/golden/a-f32/omni.safetensors",
     "../shared/golden/a-bf16/omni.safetensors", true},
    OF("c", "speak", true),
    OF("c", "speak_image", true), /* states before DeepStack's features */
    OF("f", "speak", true),
    OF("f", "speak_media", true),
    OF("f", "speak_shifted", false), /* a picture of the system's turn shifts the user's */
    OF("f", "speak_av", false),
    OF("f", "speak_av_image", false),
    OF("f", "speak_cut", false),
    OF("f", "speak_least", false),
    OF("f", "speak_short", true),
    OF("f", "speak_stop", false),
    OF("f", "speak_voice", false),
};
enum {
    N_CASES = sizeof cases / sizeof cases[0],
    PREDICTOR_TAPS = 8 /* of two layers, which the further goldens do not have */
};

static tess_sampling greedy(void)
{
    tess_sampling sampling = TESS_SPEECH_SAMPLING;
    sampling.temperature = 0;
    return sampling;
}

/* ---- agreement with the original ---- */

static void run_case(const void *what, const test_tensors *golden, tess_rounding rounding,
                     const test_tensors *replacement, test_recording *recording)
{
    const golden_case *c = what;
    test_spoken s;
    const bool is_bf16 = rounding == TESS_ROUND_BF16;
    const tess_engine_options options = {.precision = is_bf16 ? TESS_PRECISION_BF16 : TESS_PRECISION_F32,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 2};
    const tess_sampling sampling = greedy();
    /* Isolated, the thinker's modules are fed the golden's as well: the talker's rows are made of them. */
    test_recording thinker;
    test_recording_init(&thinker, golden);
    test_spoken_open(c->model, is_bf16 ? c->bf16 : c->f32, &options, replacement ? &thinker.listener : NULL,
                     &s);
    test_recording_init(recording, replacement);
    test_spoken_speak(&s, golden, &sampling, false, &recording->listener);
    test_recording_release(&thinker);
    test_spoken_close(&s);
}

static test_subject compared(const golden_case *c)
{
    return (test_subject){.f32 = c->f32,
                          .bf16 = c->bf16,
                          .taps = "tap.talker.",
                          .n_beside = c->shared ? PREDICTOR_TAPS : 0,
                          .only_isolated = true,
                          .run = run_case,
                          .what = c};
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

static void assert_waveform(const test_tensors *golden, const test_spoken *s)
{
    const test_tensor *theirs = test_tensors_get(golden, "tap.code2wav.waveform");
    assert_int_equal(theirs->count, s->n_sample);
    test_tensor ours = *theirs;
    ours.values = s->samples;
    double error = test_relative_l2(&ours, theirs);
    if (!(error <= 2e-5)) fail_msg("the waveform: relative L2 %.3g, at most 2e-5", error);
}

static void test_codes_and_waveform(void **state)
{
    (void)state;
    const tess_engine_options options = {.memory_bytes = 1u << 30, .n_thread = 2};
    const tess_sampling sampling = greedy();
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].shared && !test_shared_folder()) continue;
        test_tensors golden;
        test_spoken s;
        test_tensors_read(cases[i].f32, &golden);
        test_spoken_open(cases[i].model, cases[i].f32, &options, NULL, &s);
        test_spoken_speak(&s, &golden, &sampling, false, NULL);
        test_spoken_assert_codes(&s, &golden);
        assert_waveform(&golden, &s);
        test_spoken_close(&s);
        test_tensors_release(&golden);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_codes_and_waveform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
