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

static void zero_bytes(const char *path, long offset, size_t n)
{
    static const char zeros[1 << 14];
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    for (size_t done = 0; done < n; done += sizeof zeros) {
        size_t part = n - done < sizeof zeros ? n - done : sizeof zeros;
        assert_int_equal(fwrite(zeros, 1, part, f), part);
    }
    assert_int_equal(fclose(f), 0);
}

static long find_data(const char *path)
{
    unsigned char length[8];
    long n = 0;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(length, 1, sizeof length, f), sizeof length);
    fclose(f);
    for (int i = 7; i >= 0; i--) n = n << 8 | length[i];
    return n + (long)sizeof length;
}

static void zero_tensor(const char *name)
{
    char path[256];
    json_t *index = hollow_load(folder, "model.safetensors.index.json");
    const char *shard = json_string_value(json_object_get(json_object_get(index, "weight_map"), name));
    if (!shard) fail_msg("no tensor %s", name);
    json_t *header = hollow_load_header(folder, shard);
    const json_t *offsets = json_object_get(json_object_get(header, name), "data_offsets");
    json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
               end = json_integer_value(json_array_get(offsets, 1));
    assert_true(end > begin);
    hollow_path(folder, shard, path);
    zero_bytes(path, find_data(path) + (long)begin, (size_t)(end - begin));
    json_decref(header);
    json_decref(index);
}

static int make_checkpoint(void **state)
{
    (void)state;
    char command[128], name[64];
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(command, sizeof command, "cp " MODEL "/* %s", folder);
    if (system(command)) return -1;
    zero_tensor("talker.codec_head.weight");
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "talker.code_predictor.lm_head.%d.weight", i);
        zero_tensor(name);
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
