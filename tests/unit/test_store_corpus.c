/* Replays the fuzzing corpora of safetensors files, indices and configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/corpus.h"

#define LLVMFuzzerTestOneInput fuzz_safetensors
#define require require_safetensors
#include "../../fuzz/fuzz_safetensors.c"
#undef LLVMFuzzerTestOneInput
#undef require
#define LLVMFuzzerTestOneInput fuzz_config
#define require require_config
#include "../../fuzz/fuzz_config.c"
#undef LLVMFuzzerTestOneInput
#undef require

static void replays_safetensors(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/safetensors", fuzz_safetensors, 20);
}

static void replays_config(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/config", fuzz_config, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays_safetensors),
                                       cmocka_unit_test(replays_config)};
    return cmocka_run_group_tests_name("store_corpus", tests, NULL, NULL);
}
