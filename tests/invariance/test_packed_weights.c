/* Packed weights give the bits of plain ones: a prompt with a picture, a film and sound, its logits, the
 * codes of its speech and the samples, in both precisions and on every instruction set, with all weights
 * packed that can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/conditions.h"
#include "../support/packing.h"
#include "../support/speaking.h"

#define MODEL "tests/golden/f"
#define GOLDEN "tests/golden/f-f32/speak_media.safetensors"

static void speak(tess_precision precision, const char *isa, int n_chunk, const test_tensors *golden,
                  test_spoken *out)
{
    const tess_engine_options options = {
        .precision = precision, .memory_bytes = 1u << 30, .isa = isa, .n_thread = 2, .n_chunk = n_chunk};
    const tess_sampling sampling = TESS_SPEECH_SAMPLING;
    test_spoken_open(MODEL, GOLDEN, &options, NULL, out);
    test_spoken_speak(out, golden, &sampling, false, NULL);
}

/* Rows, not bytes, would do: an answer's last logits go through all that the thinker has. */
static void assert_same(const test_spoken *a, const test_spoken *b, const char *isa)
{
    const size_t n_logit = (size_t)tess_engine_get_vocab_size(a->engine);
    if (memcmp(tess_session_get_logits(a->session), tess_session_get_logits(b->session),
               n_logit * sizeof(float)))
        fail_msg("%s: other logits", isa);
    assert_int_equal(a->n_frame, b->n_frame);
    assert_int_equal(a->n_sample, b->n_sample);
    assert_memory_equal(a->codes, b->codes, (size_t)a->n_frame * (size_t)a->n_code_group * sizeof *a->codes);
    assert_memory_equal(a->samples, b->samples, a->n_sample * sizeof *a->samples);
}

static void compare(tess_precision precision)
{
    static const char *const sets[] = {"reference", "avx2", "avx512", "neon"};
    test_tensors golden;
    test_spoken plain;
    test_tensors_read(GOLDEN, &golden);
    speak(precision, NULL, 0, &golden, &plain);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (!test_has_isa(sets[i])) continue;
        for (int n_chunk = 0; n_chunk <= 3; n_chunk += 3) {
            test_spoken packed;
            test_packing_begin();
            speak(precision, sets[i], n_chunk, &golden, &packed);
            assert_same(&plain, &packed, sets[i]);
            test_spoken_close(&packed);
            const size_t n = test_packing_end();
            print_message("# %s: %zu matrices were packed\n", sets[i], n);
            assert_true(n > 100);
        }
    }
    test_spoken_close(&plain);
    test_tensors_release(&golden);
}

static void test_f32(void **state)
{
    (void)state;
    compare(TESS_PRECISION_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    compare(TESS_PRECISION_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
