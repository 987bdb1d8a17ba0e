/* Replays the fuzzing corpus of packed stores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/corpus.h"

#include "../../fuzz/fuzz_packed.c"

static void replays_packed(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/packed", LLVMFuzzerTestOneInput, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays_packed)};
    return cmocka_run_group_tests_name("packed_corpus", tests, NULL, NULL);
}
