/* The end of a result. */
#include <stdint.h>
#include <stdlib.h>

#include "tessera/compare.h"
#include "verify/compare/details.h"

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
