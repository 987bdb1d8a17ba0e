/* A speech of 3,000 frames, greedy, against the original's: no code of 48,000 is another one, and the sound
 * at its end is the same. The checkpoint never ends by itself: the head's row of that code is zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/hollow.h"
#include "../support/scratch.h"
#include "../support/speaking.h"
#include "model/config.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/long_speech/speak.safetensors"

static char folder[SCRATCH_BYTES];

static int make_checkpoint(void **state)
{
    (void)state;
    tess_config *config;
    if (tess_config_new(MODEL, &config, NULL) != TESS_OK) return -1;
    hollow_folder(folder);
    hollow_copy(MODEL, folder);
    hollow_zero_rows(folder, "talker.codec_head.weight", config->talker.codec_eos, 1);
    free(config);
    return 0;
}

static int remove_checkpoint(void **state)
{
    (void)state;
    hollow_remove(folder);
    return 0;
}

static void test_long_speech(void **state)
{
    (void)state;
    const tess_engine_options options = {.memory_bytes = 1u << 30, .n_thread = 1};
    tess_sampling greedy = TESS_SPEECH_SAMPLING;
    greedy.temperature = 0;
    test_tensors golden;
    test_spoken s;
    test_tensors_read(GOLDEN, &golden);
    test_spoken_open(folder, GOLDEN, &options, NULL, &s);
    test_spoken_speak(&s, &golden, &greedy, false, NULL);
    assert_int_equal(s.finish, TESS_SPEECH_FINISH_LIMIT);
    test_spoken_assert_codes(&s, &golden);
    const test_tensor *end = test_tensors_get(&golden, "tap.code2wav.waveform.end");
    test_tensor ours = *end;
    assert_true(s.n_sample > end->count);
    ours.values = s.samples + s.n_sample - end->count;
    double error = test_relative_l2(&ours, end);
    print_message("# %d frames of the original's codes, the last %zu of %zu samples to %.3g\n", s.n_frame,
                  end->count, s.n_sample, error);
    assert_true(s.n_frame == 3000 && error <= 2e-5);
    test_spoken_close(&s);
    test_tensors_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_speech)};
    return cmocka_run_group_tests(tests, make_checkpoint, remove_checkpoint);
}
