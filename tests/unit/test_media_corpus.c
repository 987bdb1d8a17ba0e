/* Replays the fuzzing corpus of media files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fuzz/fuzz_media.c"
#include "../support/corpus.h"

static void replays(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/media", LLVMFuzzerTestOneInput, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays)};
    return cmocka_run_group_tests_name("media_corpus", tests, NULL, NULL);
}
