/* What a plan tells that a second of speech reads of files, beside what speech then reads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/speaking.h"
#include "engine/engine.h"
#include "tessera/speech.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/f-f32/speak.safetensors"

enum { FRAME = 24 /* samples */ };

typedef struct reading {
    double bytes, seconds;
} reading;

/* One answer by one seed. */
static reading speak(test_spoken *s, const test_tensors *golden, uint64_t seed)
{
    tess_sampling sampling = TESS_SPEECH_SAMPLING;
    sampling.seed = seed;
    const uint64_t before = tess_engine_get_bytes_read(s->engine);
    test_spoken_speak(s, golden, &sampling, false, NULL);
    const reading r = {.bytes = (double)(tess_engine_get_bytes_read(s->engine) - before),
                       .seconds = (double)s->n_sample / TESS_SPEECH_RATE_HZ};
    free(s->codes);
    free(s->samples);
    s->codes = NULL;
    s->samples = NULL;
    s->n_sample = 0;
    return r;
}

/* Read of files for a second, by the difference of a long and a short answer: what the prompt reads is in
 * both. */
static double measure_reads(test_spoken *s, const test_tensors *golden)
{
    enum { N_SEED = 12 };
    reading least = {.seconds = 1e9}, most = {0};
    speak(s, golden, 0); /* the room is the text's until then */
    for (uint64_t seed = 0; seed < N_SEED; seed++) {
        const reading r = speak(s, golden, seed);
        if (r.seconds < least.seconds) least = r;
        if (r.seconds > most.seconds) most = r;
    }
    assert_true(most.seconds > 2 * least.seconds);
    return (most.bytes - least.bytes) / (most.seconds - least.seconds);
}

/* What a second reads of the talker's experts where none stays. */
static double count_routed(const tess_engine *engine)
{
    const tess_decoder_config *c = &engine->model.config.talker.text;
    const uint64_t frame = tess_decoder_weights_count_expert(&engine->model.talker.model, c) *
                           (uint64_t)(tess_decoder_count_expert_layers(c) * c->n_expert_used);
    return (double)frame * TESS_SPEECH_RATE_HZ / FRAME;
}

/* The plan takes all experts to be as likely; in two short answers they are not, whatever share of them
 * stays: by up to 0.18 of what all would read, over some hundred budgets. Where all stay nothing is read.
 * Returns whether anything is. */
static bool check_budget(uint64_t budget, const test_tensors *golden)
{
    test_spoken s;
    const tess_engine_options options = {.memory_bytes = budget,
                                         .n_thread = 1,
                                         .direct = TESS_DIRECT_OFF}; /* no rounding to blocks of a disk */
    test_spoken_open(MODEL, GOLDEN, &options, NULL, &s);
    const double told = tess_engine_get_plan(s.engine)->speech_read_bytes;
    const double found = measure_reads(&s, golden);
    print_message("# %llu bytes: told %.0f a second, read %.0f\n", (unsigned long long)budget, told, found);
    assert_true(fabs(found - told) <= (told > 0 ? 0.25 * count_routed(s.engine) : 0));
    test_spoken_close(&s);
    return told > 0;
}

static void tells_what_is_read(void **state)
{
    (void)state;
    test_tensors golden;
    tess_engine_options options = {
        .model_dir = MODEL, .n_context = 256, .n_speech_step = 64, .n_thread = 1, .memory_bytes = 1 << 30};
    test_tensors_read(GOLDEN, &golden);
    int n_reading = 0, n_budget = 0;
    /* Each from what this process needs now, which grows; so many that all kinds of budgets are among them.
     */
    for (uint64_t more = 0; more <= 1000000; more += 50000, n_budget++)
        n_reading += check_budget(test_find_tightest_budget(&options, false) + more, &golden);
    assert_true(n_reading < n_budget);
    if (!getenv("TESS_SANITIZED")) assert_true(n_reading >= 5);
    test_tensors_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_what_is_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
