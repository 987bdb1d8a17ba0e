/* For tests of what bits do not depend on: the instruction sets that this CPU has, and the tightest budget.
 */
#ifndef TESS_TESTS_CONDITIONS_H
#define TESS_TESTS_CONDITIONS_H

#include "tessera.h"

/* Whether the processor has an instruction set ("auto", …; NULL: the best). Where it lacks one, that is said,
 * once. One that TESS_REQUIRE_ISA names fails the test, but for AVX-512: tests/kernels then compares its
 * kernels emulated, and they are all that differs between runs. */
bool test_has_isa(const char *isa);

/* The tightest budget: the smallest that is told leaves room for what differs between runs, which holds a
 * whole tiny model, so this goes down until it is refused. If it `is_streamed`, layers and experts must come
 * and go in it, else the test fails. Under a sanitizer, whose own memory grows as it likes, the options' own.
 */
uint64_t test_find_tightest_budget(const tess_engine_options *base, bool is_streamed);

#endif
