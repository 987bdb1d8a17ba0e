/* The words for what a comparison found. */
#include "tessera/compare.h"

const char *tess_verdict_name(tess_verdict verdict)
{
    static const char *const names[] = {"none", "equal", "agree", "different"};
    return names[verdict];
}

const char *tess_measure_name(tess_measure measure)
{
    static const char *const names[] = {"none", "rel_l2", "max_abs", "ratio", "exact", "steps", "by_element"};
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
