/* Text, talker and code predictor each draw from a generator of their own. A checkpoint whose heads of codes
 * are zero has the same logits for every code: each code is then what its generator's next number says, and
 * nothing else, so a number that another one has taken shows. */
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
#include "model/code_predictor.h"
#include "model/talker.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/f-f32/speak.safetensors"

/* Where in the seed's numbers each begins: a seed gives the same speech in every version. */
#define TALKER_STREAM 0x74616c6b65720000u
#define PREDICTOR_STREAM 0x6d74700000000000u

static char folder[SCRATCH_BYTES];

/* ---- a checkpoint without an opinion ---- */

static int make_checkpoint(void **state)
{
    (void)state;
    char name[64];
    hollow_folder(folder);
    hollow_copy(MODEL, folder);
    hollow_zero_rows(folder, "talker.codec_head.weight", 0, 0);
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "talker.code_predictor.lm_head.%d.weight", i);
        hollow_zero_rows(folder, name, 0, 0);
    }
    return 0;
}

static int remove_checkpoint(void **state)
{
    (void)state;
    hollow_remove(folder);
    return 0;
}

/* ---- speaking ---- */

static void speak(uint64_t seed, int n_expert_slot, bool step_by_step, test_spoken *out)
{
    test_tensors golden;
    const tess_engine_options options = {
        .memory_bytes = 1u << 30, .n_thread = 1, .n_expert_slot = n_expert_slot};
    tess_sampling sampling = TESS_SPEECH_SAMPLING;
    sampling.seed = seed;
    test_tensors_read(GOLDEN, &golden);
    test_spoken_open(folder, GOLDEN, &options, NULL, out);
    test_spoken_speak(out, &golden, &sampling, step_by_step, NULL);
    test_tensors_release(&golden);
}

/* What a generator draws where all logits are 0. */
typedef struct drawer {
    tess_kernels kernels;
    tess_arena arena;
    tess_sampler sampler;
    tess_sampling sampling;
    float *logits;
    uint64_t random;
} drawer;

static void begin_drawing(int n_vocab, const tess_sampling *sampling, uint64_t random, drawer *d)
{
    tess_error err;
    *d = (drawer){.sampling = *sampling, .random = random, .logits = calloc((size_t)n_vocab, sizeof(float))};
    assert_non_null(d->logits);
    tess_kernels_init(&d->kernels, tess_cpu_mask());
    assert_int_equal(tess_arena_reserve((uint64_t)n_vocab * 16 + 4096, &d->arena, &err), TESS_OK);
    tess_sampler_init(&d->sampler, &d->kernels, n_vocab, &d->arena);
}

static int32_t draw(drawer *d)
{
    int32_t code;
    assert_int_equal(
        tess_sampler_choose(&d->sampler, d->logits, &d->sampling, NULL, 0, &d->random, &code, NULL), TESS_OK);
    return code;
}

static void end_drawing(drawer *d)
{
    tess_arena_release(&d->arena);
    free(d->logits);
}

static void check_codes(const test_spoken *s, uint64_t seed)
{
    tess_config *config;
    tess_error err;
    drawer talker, predictor;
    assert_int_equal(tess_config_new(folder, &config, &err), TESS_OK);
    const tess_sampling of_talker = TESS_SPEECH_SAMPLING, of_predictor = tess_code_predictor_sampling(false);
    begin_drawing(config->talker.text.n_vocab, &of_talker, seed ^ TALKER_STREAM, &talker);
    begin_drawing(config->talker.code_predictor.text.n_vocab, &of_predictor, seed ^ PREDICTOR_STREAM,
                  &predictor);
    tess_talker_suppress(&config->talker, talker.logits);
    assert_true(s->n_frame >= 10 && s->n_code_group == 16);
    for (int frame = 0; frame < s->n_frame; frame++)
        for (int group = 0; group < s->n_code_group; group++) {
            int32_t expected = draw(group ? &predictor : &talker),
                    code = s->codes[frame * s->n_code_group + group];
            if (code != expected)
                fail_msg("seed %llu, frame %d, codebook %d: code %d, its own generator draws %d",
                         (unsigned long long)seed, frame, group, code, expected);
        }
    end_drawing(&talker);
    end_drawing(&predictor);
    free(config);
}

static void test_own_generators(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {0, 1, 7, UINT64_MAX};
    int first = -1;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        test_spoken s;
        speak(seeds[i], i % 2 ? 2 : 0, i < 2, &s);
        check_codes(&s, seeds[i]);
        print_message("# seed %llu: %d frames, the first code %d\n", (unsigned long long)seeds[i], s.n_frame,
                      s.codes[0]);
        assert_int_not_equal(s.codes[0], first);
        first = s.codes[0];
        test_spoken_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_generators)};
    return cmocka_run_group_tests(tests, make_checkpoint, remove_checkpoint);
}
