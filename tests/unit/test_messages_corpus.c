/* Replays the fuzzing corpus of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fuzz/fuzz_messages.c"
#include "../support/corpus.h"

static void replays(void **state)
{
    (void)state;
    test_corpus_replay("fuzz/corpus/messages", LLVMFuzzerTestOneInput, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays)};
    return cmocka_run_group_tests_name("messages_corpus", tests, NULL, NULL);
}
