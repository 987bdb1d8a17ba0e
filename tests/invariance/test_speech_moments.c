/* When speech sounds: its first frame as soon as the answer's first token is there, further ones while the
 * text goes on, none ahead of the text that it says; where speech has no room of its own, all of it after the
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/speaking.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/f-f32/speak.safetensors"

enum { FRAME = 24, LACK = 15 /* samples that only what follows makes exact */ };

typedef struct moments {
    test_tensors golden;
    size_t n_token; /* of its answer that are spoken */
    test_spoken spoken;
    tess_speech *speech;
    size_t n_heard;
} moments;

static tess_status count_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)samples;
    (void)err;
    ((moments *)context)->n_heard += n;
    return TESS_OK;
}

static void begin(int n_expert_slot, moments *m)
{
    tess_error err = {0};
    const tess_engine_options options = {
        .memory_bytes = 1u << 30, .n_thread = 1, .n_expert_slot = n_expert_slot};
    *m = (moments){0};
    test_tensors_read(GOLDEN, &m->golden);
    m->n_token = test_tensors_get(&m->golden, "tap.thinker.generated")->count - 1;
    test_spoken_open(MODEL, GOLDEN, &options, NULL, &m->spoken);
    assert_int_equal(tess_engine_get_plan(m->spoken.engine)->speech_stays, n_expert_slot == 0);
    tess_sampling greedy = TESS_SPEECH_SAMPLING;
    greedy.temperature = 0;
    const tess_speech_options speech = {
        .n_prompt = m->spoken.inputs.n_tok, .sampling = greedy, .on_samples = count_samples, .context = m};
    if (tess_speech_new(m->spoken.session, &speech, &m->speech, &err) != TESS_OK) fail_msg("%s", err.message);
}

static void end(moments *m)
{
    tess_speech_free(m->speech);
    test_spoken_close(&m->spoken);
    test_tensors_release(&m->golden);
}

/* Steps as often as the state is that of a frame; how many frames that gave. */
static int step(moments *m, tess_speech_state last)
{
    tess_error err = {0};
    int n = 0;
    tess_speech_state state = TESS_SPEECH_FRAME;
    for (; state == TESS_SPEECH_FRAME; n += state == TESS_SPEECH_FRAME)
        if (tess_speech_step(m->speech, &state, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(state, last);
    return n;
}

static void add(moments *m, size_t i)
{
    const test_tensor *generated = test_tensors_get(&m->golden, "tap.thinker.generated");
    assert_true(i < m->n_token);
    assert_int_equal(tess_speech_add(m->speech, (int32_t)generated->integers[i], NULL), TESS_OK);
}

static size_t samples_of(int n_frame)
{
    return n_frame ? (size_t)n_frame * FRAME - LACK : 0;
}

static void test_while_text_goes_on(void **state)
{
    (void)state;
    moments m;
    begin(0, &m);
    assert_true(m.n_token >= 5);
    assert_int_equal(step(&m, TESS_SPEECH_WAITS), 0);
    assert_int_equal(m.n_heard, 0);
    for (size_t i = 0; i < m.n_token; i++) {
        add(&m, i);
        assert_int_equal(step(&m, TESS_SPEECH_WAITS), 1);
        assert_int_equal(m.n_heard, samples_of((int)i + 1));
    }
    tess_speech_end(m.speech);
    /* Without text to wait for, frames become sound some at a time. */
    int n_frame = (int)m.n_token;
    tess_speech_state at = TESS_SPEECH_FRAME;
    while (at == TESS_SPEECH_FRAME) {
        assert_int_equal(tess_speech_step(m.speech, &at, NULL), TESS_OK);
        n_frame += at == TESS_SPEECH_FRAME;
        assert_in_range(samples_of(n_frame) - m.n_heard, 0, at == TESS_SPEECH_FRAME ? 3 * FRAME : 0);
    }
    assert_int_equal(n_frame, test_tensors_get(&m.golden, "tap.talker.codes")->dim[1]);
    assert_true(n_frame > (int)m.n_token + 4);
    end(&m);
}

/* The whole answer at once: the first frame waits for no other one. */
static void test_first_frame(void **state)
{
    (void)state;
    moments m;
    tess_speech_state at;
    begin(0, &m);
    for (size_t i = 0; i < 5; i++) add(&m, i);
    assert_int_equal(m.n_heard, 0);
    assert_int_equal(tess_speech_step(m.speech, &at, NULL), TESS_OK);
    assert_int_equal(at, TESS_SPEECH_FRAME);
    assert_int_equal(m.n_heard, samples_of(1));
    end(&m);
}

static void test_behind_the_text(void **state)
{
    (void)state;
    moments m;
    begin(2, &m);
    for (size_t i = 0; i < m.n_token; i++) {
        add(&m, i);
        assert_int_equal(step(&m, TESS_SPEECH_WAITS), 0);
        assert_int_equal(m.n_heard, 0);
    }
    tess_speech_end(m.speech);
    int n_frame = step(&m, TESS_SPEECH_ENDED);
    assert_int_equal(n_frame, test_tensors_get(&m.golden, "tap.talker.codes")->dim[1]);
    assert_int_equal(m.n_heard, samples_of(n_frame));
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_text_goes_on),
        cmocka_unit_test(test_first_frame),
        cmocka_unit_test(test_behind_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
