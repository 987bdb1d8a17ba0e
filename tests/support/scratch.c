#include "scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void name_template(char out[SCRATCH_BYTES], scratch_place place)
{
    const char *folder = place == SCRATCH_DISK ? getenv("TESS_DISK_TMPDIR") : NULL;
    if (!folder) folder = getenv("TMPDIR");
    int n = folder && *folder ? snprintf(out, SCRATCH_BYTES, "%s/tess-XXXXXX", folder) : SCRATCH_BYTES;
    if (n >= SCRATCH_BYTES) snprintf(out, SCRATCH_BYTES, "/tmp/tess-XXXXXX");
}

int scratch_make_folder(char out[SCRATCH_BYTES], scratch_place place)
{
    name_template(out, place);
    return mkdtemp(out) ? 0 : -1;
}

int scratch_make_file(char out[SCRATCH_BYTES])
{
    name_template(out, SCRATCH_ANYWHERE);
    return mkstemp(out);
}

void scratch_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

int scratch_count_files(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}
