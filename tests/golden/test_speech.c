/* The talker and its code predictor against the original's goldens of spoken answers: every tap of the
 * talker's prompt in both precisions, and all codes of a greedy answer. */
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
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* ---- speaking a golden's answer ---- */

typedef struct spoken {
    tess_engine *engine;
    tess_session *session;
    tess_trace_inputs inputs;
    tess_speech *speech;
} spoken;

/* Opens a session that has been fed the golden's prompt. */
static void open_session(const golden_case *c, const char *golden, const tess_engine_options *wanted,
                         const tess_tap_listener *listener, spoken *out)
{
    tess_error err = {0};
    tess_engine_options options = *wanted;
    if (tess_trace_inputs_read(golden, &out->inputs, &err) != TESS_OK) fail_msg("%s", err.message);
    const tess_feed feed = {.ids = out->inputs.ids,
                            .n_tok = out->inputs.n_tok,
                            .media = out->inputs.media,
                            .n_media = out->inputs.n_media,
                            .listener = listener};
    options.model_dir = c->model;
    options.n_speech_step = out->inputs.speak;
    options.n_context = 256;
    options.expected = &feed;
    options.n_expected = 1;
    if (tess_engine_open(&options, &out->engine, &err) != TESS_OK ||
        tess_session_new(out->engine, &out->session, &err) != TESS_OK ||
        tess_session_feed(out->session, &feed, &err) != TESS_OK)
        fail_msg("%s: %s", golden, err.message);
}

/* The last token that the original generated was not fed, and is not spoken. */
static void add_answer(spoken *s, const test_tensors *golden)
{
    tess_error err;
    const test_tensor *generated = test_tensors_get(golden, "tap.thinker.generated");
    for (size_t i = 0; i + 1 < generated->count; i++)
        assert_int_equal(tess_speech_add(s->speech, (int32_t)generated->integers[i], &err), TESS_OK);
    tess_speech_end(s->speech);
}

static void speak(spoken *s, const test_tensors *golden, const tess_tap_listener *listener)
{
    tess_error err = {0};
    tess_speech_state state = TESS_SPEECH_FRAME;
    tess_speech_options options = {.n_prompt = s->inputs.n_tok,
                                   .speaker = s->inputs.speaker,
                                   .sampling = TESS_SPEECH_SAMPLING,
                                   .media = s->inputs.media,
                                   .n_media = s->inputs.n_media,
                                   .listener = listener};
    options.sampling.temperature = 0;
    if (tess_speech_new(s->session, &options, &s->speech, &err) != TESS_OK) fail_msg("%s", err.message);
    add_answer(s, golden);
    while (state != TESS_SPEECH_ENDED)
        if (tess_speech_step(s->speech, &state, &err) != TESS_OK) fail_msg("%s", err.message);
}

static void close_spoken(spoken *s)
{
    tess_speech_free(s->speech);
    tess_session_free(s->session);
    tess_engine_close(s->engine);
    tess_trace_inputs_release(&s->inputs);
}

/* ---- agreement with the original ---- */

static void run_case(const void *what, const test_tensors *golden, tess_rounding rounding,
                     const test_tensors *replacement, test_recording *recording)
{
    const golden_case *c = what;
    spoken s;
    const bool is_bf16 = rounding == TESS_ROUND_BF16;
    const tess_engine_options options = {.precision = is_bf16 ? TESS_PRECISION_BF16 : TESS_PRECISION_F32,
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 2};
    /* Isolated, the thinker's modules are fed the golden's as well: the talker's rows are made of them. */
    test_recording thinker;
    test_recording_init(&thinker, golden);
    open_session(c, is_bf16 ? c->bf16 : c->f32, &options, replacement ? &thinker.listener : NULL, &s);
    test_recording_init(recording, replacement);
    speak(&s, golden, &recording->listener);
    test_recording_release(&thinker);
    close_spoken(&s);
}

static test_subject compared(const golden_case *c)
{
    return (test_subject){.f32 = c->f32,
                          .bf16 = c->bf16,
                          .taps = "tap.talker.",
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

static void assert_codes(const test_tensors *golden, const tess_speech *speech)
{
    const test_tensor *theirs = test_tensors_get(golden, "tap.talker.codes");
    int n_frame, n_group = tess_speech_get_code_groups(speech);
    const int32_t *ours = tess_speech_get_codes(speech, &n_frame);
    assert_int_equal(theirs->dim[0], n_group);
    assert_int_equal(theirs->dim[1], n_frame);
    for (int frame = 0; frame < n_frame; frame++)
        for (int group = 0; group < n_group; group++)
            if (ours[frame * n_group + group] != theirs->integers[group * n_frame + frame])
                fail_msg("frame %d, codebook %d: code %d, the original's is %d", frame, group,
                         ours[frame * n_group + group], (int)theirs->integers[group * n_frame + frame]);
}

static void check_codes(const golden_case *c, int n_expert_slot, bool stays)
{
    const tess_engine_options options = {
        .memory_bytes = 1u << 30, .n_thread = 2, .n_expert_slot = n_expert_slot};
    test_tensors golden;
    spoken s;
    test_tensors_read(c->f32, &golden);
    open_session(c, c->f32, &options, NULL, &s);
    assert_int_equal(tess_engine_get_plan(s.engine)->speech_stays, stays);
    speak(&s, &golden, NULL);
    assert_codes(&golden, s.speech);
    close_spoken(&s);
    test_tensors_release(&golden);
}

/* Speech has a room of its own where every expert of the thinker's stays, else that of these. */
static void test_codes(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        if (cases[i].shared && !test_shared_folder()) continue;
        check_codes(&cases[i], 0, true);
        check_codes(&cases[i], 4, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
