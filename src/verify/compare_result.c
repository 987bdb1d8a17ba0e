/* The result of a comparison as a value: the words for what it holds, and its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tessera/compare.h"
#include "verify/details.h"

const char *tess_verdict_name(tess_verdict verdict)
{
    static const char *const names[] = {"none", "equal", "agree", "different"};
    return names[verdict];
}

const char *tess_measure_name(tess_measure measure)
{
    static const char *const names[] = {"none", "rel_l2", "max_abs", "ratio", "exact", "steps"};
    return names[measure];
}

const char *tess_outcome_name(tess_outcome outcome)
{
    static const char *const names[] = {"equal",   "agrees", "not judged", "different",
                                        "missing", "shape",  "not finite"};
    return names[outcome];
}

bool tess_tap_has_failed(const tess_tap_report *tap)
{
    return tap->outcome >= TESS_OUTCOME_DIFFERENT;
}

const char *tess_tap_short_name(const char *name)
{
    return strncmp(name, "tap.", 4) ? name : name + 4;
}

void tess_compare_result_free(tess_compare_result *result)
{
    if (!result) return;
    for (int i = 0; i < result->n_tap; i++) {
        free((char *)(uintptr_t)result->tap[i].name);
        free((int *)(uintptr_t)result->tap[i].experts);
    }
    for (int i = 0; i < result->n_extra; i++) free((char *)(uintptr_t)result->extra[i]);
    free((char **)(uintptr_t)result->extra);
    tess_details_release(result);
    free(result->tap);
    free(result->reference);
    free(result->trace);
    free(result->truth);
    free(result);
}
