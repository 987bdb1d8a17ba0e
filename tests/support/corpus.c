#include "corpus.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_BYTES = 1 << 20 };

void test_corpus_replay(const char *folder, int (*run)(const uint8_t *data, size_t size), int least)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    uint8_t *data = malloc(MOST_BYTES);
    assert_non_null(data);
    int n_file = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(data, 1, MOST_BYTES, f);
        fclose(f);
        assert_int_equal(run(data, n), 0);
        n_file++;
    }
    closedir(dir);
    free(data);
    assert_true(n_file >= least);
}
