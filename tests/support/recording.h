/* For tests: goldens in memory, and a listener that keeps every tap it hears. */
#ifndef TESS_TESTS_RECORDING_H
#define TESS_TESTS_RECORDING_H

#include "tessera.h"

typedef struct test_tensor {
    char name[96];
    bool is_integer;
    int n_dim;
    int64_t dim[3];
    size_t count;
    union {
        float *values;
        int64_t *integers;
    };
} test_tensor;

typedef struct test_tensors {
    test_tensor *item;
    size_t count;
} test_tensors;

/* All tensors of a safetensors file (F32 and I64); fails the test if it cannot be read. */
void test_tensors_read(const char *path, test_tensors *out);
void test_tensors_release(test_tensors *tensors);
/* Fails the test if there is none of that name. */
test_tensor *test_tensors_get(const test_tensors *tensors, const char *name);
test_tensor *test_tensors_find(const test_tensors *tensors, const char *name); /* or NULL */

/* Keeps what is heard; `replacement`, if set, is written over every tap it has: the isolated run. Single
 * experts are heard with_experts only: their rows follow each other as they come. */
typedef struct test_recording {
    test_tensors taps;
    bool with_experts;
    const test_tensors *replacement;
    tess_tap_listener listener;
} test_recording;
void test_recording_init(test_recording *recording, const test_tensors *replacement);
void test_recording_release(test_recording *recording);

/* Runs ids (and positions or NULL) through a fresh session of an engine opened with `options`. step > 0: fed
 * in calls of `step` tokens, taps joined as if fed at once. */
void test_run(const tess_engine_options *options, const int32_t *ids, int n_tok, const float *positions,
              int step, test_recording *recording);

/* Both hold the same taps with the same bits; prints the first difference and fails the test otherwise. */
void test_tensors_assert_equal(const test_tensors *a, const test_tensors *b, const char *what);

double test_relative_l2(const test_tensor *a, const test_tensor *reference);

/* The input ids of a golden as int32; caller frees. */
int32_t *test_input_ids(const test_tensors *golden, int *n_tok);

/* The folder of further goldens beside the project, or NULL where it is absent; absent fails the test if the
 * environment sets TESS_REQUIRE_SHARED. */
const char *test_shared_folder(void);

#endif
