/* Names of files in folders. */
#ifndef TESS_BASE_PATH_H
#define TESS_BASE_PATH_H

/* "DIR/NAME", which the caller frees; NULL where there is no memory. */
char *tess_path_join(const char *dir, const char *name);

#endif
