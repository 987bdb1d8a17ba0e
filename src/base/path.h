/* Names of files in folders. */
#ifndef TESS_BASE_PATH_H
#define TESS_BASE_PATH_H

#include <stdbool.h>

/* "DIR/NAME", which the caller frees; NULL where there is no memory. */
char *tess_path_join(const char *dir, const char *name);

bool tess_name_ends_with(const char *name, const char *ending);

#endif
