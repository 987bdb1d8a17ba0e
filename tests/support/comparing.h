/* For tests of comparing: a reference, a trace and a truth that begin equal and are changed at will, and what
 * comparing them said. One such fixture per test program. */
#ifndef TESS_TESTS_COMPARING_H
#define TESS_TESTS_COMPARING_H

#include "scratch.h"
#include "synthetic.h"
#include "tessera/compare.h"

#define LAYER(n, part) "tap.thinker.model.layers." #n part

typedef struct comparing {
    char folder[SCRATCH_BYTES], reference_path[64], trace_path[64], truth_path[64];
    test_trace reference, trace, truth;
    tess_compare_options options;
    tess_compare_result *result;
    tess_error err;
} comparing;
extern comparing fx;

/* For cmocka: a folder for the group; three equal traces and no options for each test. */
int comparing_make_folder(void **state);
int comparing_remove_folder(void **state);
int comparing_setup(void **state);
int comparing_teardown(void **state);
#define COMPARING(f) cmocka_unit_test_setup_teardown(f, comparing_setup, comparing_teardown)

/* Saves the traces and compares; the result is fx.result. */
tess_status compare(void);
/* Compares; fails the test unless it ends so. */
void expect(tess_verdict verdict, int n_failed);
/* The first that failed: its name, component, layer and position. */
void expect_first(const char *name, const char *component, int layer, int64_t position);
/* Compares; fails the test unless it is refused so, naming the file and the field. */
void must_refuse(tess_status status, const char *file, const char *field);

test_tensor *of(test_trace *t, const char *name);
const tess_tap_report *report(const char *name);

/* Spoils the output of layer 1's experts for the tokens in `rows`. */
void spoil_mlp(const int *rows, int n);
/* Exchanges the two experts that a token chose in layer 0, and their weights if asked. */
void swap_ranks(int row, bool weights_too);
/* Token 2 chose 3 and 0 in layer 1; expert 4 gets the logit of expert 0, `steps` ulp of its probability away,
 * and the trace chooses it instead. */
void make_near_tie(int steps);

#endif
