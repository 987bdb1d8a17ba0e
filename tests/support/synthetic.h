/* For tests: small traces in memory, made up, changed at will, and written to files. */
#ifndef TESS_TESTS_SYNTHETIC_H
#define TESS_TESTS_SYNTHETIC_H

#include "recording.h"

enum { SYNTHETIC_TOKENS = 6, SYNTHETIC_WIDTH = 8, SYNTHETIC_EXPERTS = 6, SYNTHETIC_VOCAB = 10 };

typedef struct test_trace {
    test_tensors tensors;
    char dtype[16], config[65], weights[65]; /* "": not noted */
} test_trace;

/* A text trace of two layers with everything a golden holds, in float32: six tokens, experts 0 … 5, two
 * chosen per token, weights that are the softmax of the logits over the chosen. Expert 5 is chosen by token 4
 * alone. */
void test_trace_make(test_trace *out);
void test_trace_release(test_trace *trace);
void test_trace_copy(const test_trace *from, test_trace *to);

test_tensor *test_trace_add(test_trace *trace, const char *name, bool is_integer, int n_dim,
                            const int64_t *dim);
void test_trace_remove(test_trace *trace, const char *name);
/* Multiplies all elements of a float tensor by 1 + relative × a number in [-1, 1]. */
void test_trace_blur(test_trace *trace, const char *name, double relative);
/* Writes it; fails the test if that fails. */
void test_trace_save(const test_trace *trace, const char *path);

#endif
