#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *tess_path_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir) + strlen(name) + 2;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s/%s", dir, name);
    return path;
}

bool tess_name_ends_with(const char *name, const char *ending)
{
    const size_t n = strlen(name), n_end = strlen(ending);
    return n >= n_end && !strcmp(name + n - n_end, ending);
}
