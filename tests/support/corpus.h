/* Replaying what fuzzing found, in the ordinary tests. */
#ifndef TESS_TESTS_CORPUS_H
#define TESS_TESTS_CORPUS_H

#include <stddef.h>
#include <stdint.h>

/* Runs a fuzz target on every file of a folder below the repository's root; there must be at least `least`.
 */
void test_corpus_replay(const char *folder, int (*run)(const uint8_t *data, size_t size), int least);

#endif
