/* For tests: looking at a ledger, and writing runs whose rows say whether they are whole. */
#ifndef TESS_TESTS_LEDGER_H
#define TESS_TESTS_LEDGER_H

#include "tessera/ledger.h"

/* A ledger's place in a folder of its own; cmocka's fixtures to make it, to remove what lies there, and both.
 */
extern char test_ledger_folder[], test_ledger_path[];
int test_ledger_make_folder(void **state);
int test_ledger_start_anew(void **state);
int test_ledger_remove_folder(void **state);

/* A number from a statement on the file itself, beside the library. Fails the test on an error. */
int64_t test_ledger_ask(const char *path, const char *sql);
/* Fails the test unless SQLite finds the file sound, foreign keys included. */
void test_ledger_assert_sound(const char *path);

/* The column of a row; fails the test if there is none of that name. */
const tess_ledger_value *test_ledger_column(const tess_ledger_value *value, int n_value, const char *name);

enum { TEST_LEDGER_LAYERS = 3, TEST_LEDGER_EXPERTS = 8 };
/* A whole run: begun, and ended with counts in every layer and expert, their sum `prompt_tokens`. */
tess_status test_ledger_write_run(tess_ledger *ledger, int64_t *id, tess_error *err);
/* Runs that have an end but not all their counts, or counts but no end: 0 in a ledger whose rows are whole.
 */
int64_t test_ledger_count_torn(const char *path);

/* A whole file; the caller frees it. */
unsigned char *test_file_read(const char *file, size_t *size);
void test_file_write(const char *file, const void *bytes, size_t n);

#endif
