#include "speaking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void test_spoken_open(const char *model, const char *golden, const tess_engine_options *wanted,
                      const tess_tap_listener *listener, test_spoken *out)
{
    tess_error err = {0};
    tess_engine_options options = *wanted;
    *out = (test_spoken){0};
    if (tess_trace_inputs_read(golden, &out->inputs, &err) != TESS_OK) fail_msg("%s", err.message);
    const tess_feed feed = {.ids = out->inputs.ids,
                            .n_tok = out->inputs.n_tok,
                            .media = out->inputs.media,
                            .n_media = out->inputs.n_media,
                            .listener = listener};
    options.model_dir = model;
    options.n_speech_step = out->inputs.speak;
    options.n_context = 256;
    options.expected = &feed;
    options.n_expected = 1;
    if (tess_engine_open(&options, &out->engine, &err) != TESS_OK ||
        tess_session_new(out->engine, &out->session, &err) != TESS_OK ||
        tess_session_feed(out->session, &feed, &err) != TESS_OK)
        fail_msg("%s: %s", golden, err.message);
}

static tess_status keep_samples(void *context, const float *samples, size_t n, tess_error *err)
{
    test_spoken *s = context;
    (void)err;
    s->samples = realloc(s->samples, (s->n_sample + n) * sizeof *samples);
    assert_non_null(s->samples);
    memcpy(s->samples + s->n_sample, samples, n * sizeof *samples);
    s->n_sample += n;
    return TESS_OK;
}

static tess_speech_state step_while_it_goes(tess_speech *speech)
{
    tess_error err = {0};
    tess_speech_state state = TESS_SPEECH_FRAME;
    while (state == TESS_SPEECH_FRAME)
        if (tess_speech_step(speech, &state, &err) != TESS_OK) fail_msg("%s", err.message);
    return state;
}

static void keep_codes(test_spoken *s, const tess_speech *speech)
{
    const int32_t *codes = tess_speech_get_codes(speech, &s->n_frame);
    s->n_code_group = tess_speech_get_code_groups(speech);
    size_t n = (size_t)s->n_frame * (size_t)s->n_code_group;
    s->codes = calloc(n + 1, sizeof *s->codes);
    assert_non_null(s->codes);
    memcpy(s->codes, codes, n * sizeof *codes);
    s->finish = tess_speech_get_finish(speech);
}

void test_spoken_speak(test_spoken *s, const test_tensors *golden, const tess_sampling *sampling,
                       bool step_by_step, const tess_tap_listener *listener)
{
    tess_error err = {0};
    tess_speech *speech;
    const tess_speech_options options = {.n_prompt = s->inputs.n_tok,
                                         .speaker = s->inputs.speaker,
                                         .sampling = *sampling,
                                         .media = s->inputs.media,
                                         .n_media = s->inputs.n_media,
                                         .on_samples = keep_samples,
                                         .context = s,
                                         .listener = listener};
    const test_tensor *generated = test_tensors_get(golden, "tap.thinker.generated");
    if (tess_speech_new(s->session, &options, &speech, &err) != TESS_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i + 1 < generated->count; i++) {
        assert_int_equal(tess_speech_add(speech, (int32_t)generated->integers[i], &err), TESS_OK);
        if (step_by_step) step_while_it_goes(speech);
    }
    tess_speech_end(speech);
    assert_int_equal(step_while_it_goes(speech), TESS_SPEECH_ENDED);
    keep_codes(s, speech);
    tess_speech_free(speech);
}

void test_spoken_assert_codes(const test_spoken *s, const test_tensors *golden)
{
    const test_tensor *theirs = test_tensors_get(golden, "tap.talker.codes");
    assert_int_equal(theirs->dim[0], s->n_code_group);
    assert_int_equal(theirs->dim[1], s->n_frame);
    for (int frame = 0; frame < s->n_frame; frame++)
        for (int group = 0; group < s->n_code_group; group++)
            if (s->codes[frame * s->n_code_group + group] != theirs->integers[group * s->n_frame + frame])
                fail_msg("frame %d, codebook %d: code %d, the original's is %d", frame, group,
                         s->codes[frame * s->n_code_group + group],
                         (int)theirs->integers[group * s->n_frame + frame]);
}

void test_spoken_close(test_spoken *s)
{
    free(s->codes);
    free(s->samples);
    tess_session_free(s->session);
    tess_engine_close(s->engine);
    tess_trace_inputs_release(&s->inputs);
}
