/* One code path for refusing and for collecting: with a sink every problem is reported and the work goes on,
 * without one the first problem is the failure.
 */
#ifndef TESS_STORE_PROBLEM_H
#define TESS_STORE_PROBLEM_H

#include "base/error.h"
#include "tessera/checkpoint.h"

typedef struct tess_problem_sink {
    tess_problem_report *report;
    void *arg;
} tess_problem_sink;

/* Reports and returns TESS_OK, or with `sink` NULL fills `err` and returns TESS_EINPUT. The parameters after
 * `kind` are those of tess_refuse(). */
tess_status tess_complain(const tess_problem_sink *sink, tess_error *err, tess_problem_kind kind,
                          const char *file, const char *tensor, int64_t offset, const char *expected,
                          const char *found_format, ...) __attribute__((format(printf, 8, 9)));

/* Reports a failure that a lower function has filled in, as a problem of this kind. */
void tess_problem_pass_on(const tess_problem_sink *sink, tess_problem_kind kind, const tess_error *err);

#endif
