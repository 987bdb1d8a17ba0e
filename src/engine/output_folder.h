/* A folder that is made over more than one run, by one process at a time. */
#ifndef TESS_ENGINE_OUTPUT_FOLDER_H
#define TESS_ENGINE_OUTPUT_FOLDER_H

#include <stddef.h>

#include "base/error.h"

/* The folder that is written into, and the names of all files that will be there. */
typedef struct tess_output_folder {
    const char *dir;
    const char **name; /* [n] */
    size_t n;
    int lock;
} tess_output_folder;

/* Makes the folder, unless it is there, and locks it. Refuses (TESS_EINPUT) one that lies in `source`, or
 * that holds anything but files of these names, finished or not. The names are taken over, also in a failure.
 */
tess_status tess_output_folder_open(const char *dir, const char *source, const char **name, size_t n,
                                    tess_output_folder *out, tess_error *err);
/* Removes what is left of unfinished files that are whole by now. */
void tess_output_folder_tidy(const tess_output_folder *folder);
void tess_output_folder_close(tess_output_folder *folder);

#endif
