/* For tests: the bars of the arithmetic contract, held by recorded taps against a golden of the original.
 * Inputs, generated tokens and single experts of a golden are left out, unless said. */
#ifndef TESS_TESTS_AGREEMENT_H
#define TESS_TESTS_AGREEMENT_H

#include "recording.h"

/* float32: every tap of the golden is there with its shape and agrees, of an isolated or a whole run; returns
 * the worst relative L2. */
double test_assert_agrees(const test_tensors *ours, const test_tensors *golden, bool isolated);

/* float32, whole run: every single expert of the golden agrees, and there is no other; returns how many there
 * are. The golden's rows go by rank among a token's choices, then by position; ours by position. */
int test_assert_experts_agree(const test_tensors *ours, const test_tensors *golden);

/* bfloat16, isolated; `path` is for messages. */
void test_assert_isolated_bf16(const test_tensors *ours, const test_tensors *golden, const char *path,
                               bool strict);

/* bfloat16, whole run: how far we are from the float32 truth, against how far the original is. */
bool test_holds_whole_run_bar(const test_tensors *ours, const test_tensors *golden, const test_tensors *truth,
                              double *mean, double *most);

#endif
