/* Replays the fuzzing corpus of the tokenizer. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../../fuzz/fuzz_tokenizer.c"

static void replays(void **state)
{
    (void)state;
    static const char corpus[] = "fuzz/corpus/tokenizer";
    DIR *dir = opendir(corpus);
    assert_non_null(dir);
    uint8_t *data = malloc(1 << 20);
    assert_non_null(data);
    int n_files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", corpus, entry->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(data, 1, 1 << 20, f);
        fclose(f);
        assert_int_equal(LLVMFuzzerTestOneInput(data, n), 0);
        n_files++;
    }
    closedir(dir);
    free(data);
    assert_true(n_files > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays)};
    return cmocka_run_group_tests_name("tokenizer_corpus", tests, NULL, NULL);
}
