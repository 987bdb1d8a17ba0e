/* For tests: a golden's answer, spoken by an engine. */
#ifndef TESS_TESTS_SPEAKING_H
#define TESS_TESTS_SPEAKING_H

#include "recording.h"

typedef struct test_spoken {
    tess_engine *engine;
    tess_session *session;
    tess_trace_inputs inputs;
    int32_t *codes; /* [n_frame, n_code_group] */
    int n_frame, n_code_group;
    float *samples; /* [n_sample] */
    size_t n_sample;
    tess_speech_finish finish;
} test_spoken;

/* Opens an engine with `options`, and a session that was fed the golden's prompt; fails the test otherwise.
 * Its model, context and what it expects need not be set. */
void test_spoken_open(const char *model, const char *golden, const tess_engine_options *options,
                      const tess_tap_listener *listener, test_spoken *out);

/* Speaks the golden's answer but its last token. step_by_step: a token at a time, and frames as soon as they
 * may be; else frames when all tokens are there. */
void test_spoken_speak(test_spoken *s, const test_tensors *golden, const tess_sampling *sampling,
                       bool step_by_step, const tess_tap_listener *listener);
/* Fails the test where a code is not the golden's. */
void test_spoken_assert_codes(const test_spoken *s, const test_tensors *golden);
void test_spoken_close(test_spoken *s);

#endif
