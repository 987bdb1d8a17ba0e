/* Folders and files of a test's own, where TMPDIR says: tests/support/environment.sh sets it to a place in
 * memory. */
#ifndef TESS_TESTS_SCRATCH_H
#define TESS_TESTS_SCRATCH_H

#include <stddef.h>

/* The name of a folder or file made here fits in as many bytes, its end included: where TMPDIR is longer, it
 * lies in /tmp. */
enum { SCRATCH_BYTES = 32 };

typedef enum scratch_place {
    SCRATCH_ANYWHERE,
    SCRATCH_DISK, /* for tests of direct reads and of syncing */
} scratch_place;

/* Makes an empty folder, which the caller removes. 0, or -1 if that is impossible, as cmocka's fixtures
 * return. */
int scratch_make_folder(char out[SCRATCH_BYTES], scratch_place place);
/* Makes and opens an empty file for writing, which the caller closes and removes. Its descriptor or -1. */
int scratch_make_file(char out[SCRATCH_BYTES]);
/* Writes a file, over one that is there; fails the test if that is impossible. */
void scratch_write(const char *path, const void *bytes, size_t n);
/* Files in a folder, but for hidden ones. */
int scratch_count_files(const char *folder);

#endif
