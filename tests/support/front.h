/* For tests of the front end: the inputs of tests/golden/front, made by the formulas of
 * reference/front_formulas.py.
 */
#ifndef TESS_TESTS_FRONT_H
#define TESS_TESTS_FRONT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* n samples of a kind ("noise", "swell", …); the caller frees. An unknown kind fails the test. */
float *front_samples(const char *kind, size_t n);

/* [height, width, 3]; the caller frees. */
uint8_t *front_picture(int width, int height, int seed);

/* tests/golden/front/pictures.json, which the caller releases. */
json_t *front_pictures(void);
/* A whole number of an entry; fails the test if it is absent. */
int front_int(const json_t *entry, const char *key);
/* Fails the test unless the bytes have the SHA-256 that an entry tells. */
void front_assert_digest(const json_t *entry, const char *key, const void *bytes, size_t n_byte);

#endif
