/* Replays the fuzzing corpora of safetensors files, indices and configurations. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static void replay(const char *corpus, int (*run)(const uint8_t *data, size_t size), int least)
{
    DIR *dir = opendir(corpus);
    assert_non_null(dir);
    uint8_t *data = malloc(1 << 20);
    assert_non_null(data);
    int n_file = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", corpus, entry->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(data, 1, 1 << 20, f);
        fclose(f);
        assert_int_equal(run(data, n), 0);
        n_file++;
    }
    closedir(dir);
    free(data);
    assert_true(n_file >= least);
}

static void replays_safetensors(void **state)
{
    (void)state;
    replay("fuzz/corpus/safetensors", fuzz_safetensors, 20);
}

static void replays_config(void **state)
{
    (void)state;
    replay("fuzz/corpus/config", fuzz_config, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays_safetensors),
                                       cmocka_unit_test(replays_config)};
    return cmocka_run_group_tests_name("store_corpus", tests, NULL, NULL);
}
