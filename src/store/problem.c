#include "store/problem.h"

#include <stdarg.h>
#include <stdio.h>

const char *tess_problem_kind_name(tess_problem_kind kind)
{
    static const char *const name[] = {
        [TESS_PROBLEM_SHARD] = "shard",         [TESS_PROBLEM_HEADER] = "header",
        [TESS_PROBLEM_OFFSETS] = "offsets",     [TESS_PROBLEM_TRUNCATED] = "truncated",
        [TESS_PROBLEM_DUPLICATE] = "duplicate", [TESS_PROBLEM_INDEX] = "index",
        [TESS_PROBLEM_PATH] = "path",           [TESS_PROBLEM_MISPLACED] = "misplaced",
        [TESS_PROBLEM_UNLISTED] = "unlisted",   [TESS_PROBLEM_MISSING] = "missing",
        [TESS_PROBLEM_EXTRA] = "extra",         [TESS_PROBLEM_SHAPE] = "shape",
        [TESS_PROBLEM_DTYPE] = "dtype",         [TESS_PROBLEM_NONFINITE] = "non_finite",
        [TESS_PROBLEM_DAMAGED] = "damaged",
    };
    return (size_t)kind < sizeof name / sizeof *name ? name[kind] : "unknown";
}

void tess_problem_pass_on(const tess_problem_sink *sink, tess_problem_kind kind, const tess_error *err)
{
    tess_problem problem = {.kind = kind,
                            .offset = err->offset,
                            .file = err->file,
                            .tensor = err->field,
                            .found = err->found,
                            .expected = err->expected,
                            .message = err->message};
    sink->report(sink->arg, &problem);
}

tess_status tess_complain(const tess_problem_sink *sink, tess_error *err, tess_problem_kind kind,
                          const char *file, const char *tensor, int64_t offset, const char *expected,
                          const char *found_format, ...)
{
    tess_error local;
    char found[sizeof local.found];
    va_list args;
    va_start(args, found_format);
    vsnprintf(found, sizeof found, found_format, args);
    va_end(args);
    if (!sink) return tess_refuse(err, file, tensor, offset, expected, "%s", found);
    tess_refuse(&local, file, tensor, offset, expected, "%s", found);
    tess_problem_pass_on(sink, kind, &local);
    return TESS_OK;
}
