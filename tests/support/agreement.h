/* For tests: the bars of the arithmetic contract, held by recorded taps against a golden of the original.
 * Inputs, generated tokens, codes and single experts of a golden are left out, unless said. */
#ifndef TESS_TESTS_AGREEMENT_H
#define TESS_TESTS_AGREEMENT_H

#include "kernels/kernels.h"
#include "recording.h"

/* Something that gives taps, and goldens of them. */
typedef struct test_subject {
    const char *f32, *bf16; /* files; bf16 NULL: there is none */
    const char *taps;       /* what the names of its taps begin with; a golden's others are not its */
    int n_beside;           /* taps it gives that are named otherwise */
    bool with_experts;      /* single experts are compared, too, of the whole run in float32 */
    bool is_strict;         /* isolated in bfloat16 */
    bool only_isolated;     /* in bfloat16: its inputs are those of a run whose roundings are its own */
    bool has_other_input;   /* in bfloat16 than in float32: distances are not the rounding's alone */
    /* Runs it on a golden's inputs, recorded with `replacement`. */
    void (*run)(const void *what, const test_tensors *golden, tess_rounding rounding,
                const test_tensors *replacement, test_recording *recording);
    const void *what;
} test_subject;

/* float32: a whole run and an isolated one have the golden's taps, as many and of their shapes, and keep the
 * bars; returns the worst relative L2 of the whole run. */
double test_check_float32(const test_subject *subject);
/* bfloat16, unless only_isolated: both keep the bars, and a run in float32 arithmetic, which is not the
 * original's, does not. */
void test_check_bf16(const test_subject *subject);

#endif
