/* Replays the fuzzing corpus of the tokenizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fuzz/fuzz_tokenizer.c"
#include "../support/corpus.h"

static void replays(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/tokenizer", LLVMFuzzerTestOneInput, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays)};
    return cmocka_run_group_tests_name("tokenizer_corpus", tests, NULL, NULL);
}
