#include "verify/compare/expert_sums.h"

#include <stdlib.h>
#include <string.h>

tess_status tess_expert_sums_grow(tess_expert_sums *sums, int n_expert, tess_error *err)
{
    if (n_expert <= sums->n_expert) return TESS_OK;
    tess_expert_sum *grown = realloc(sums->expert, (size_t)n_expert * sizeof *grown);
    if (!grown) return tess_fail(err, TESS_ENOMEM, "no memory to compare %d experts", n_expert);
    memset(grown + sums->n_expert, 0, (size_t)(n_expert - sums->n_expert) * sizeof *grown);
    *sums = (tess_expert_sums){grown, n_expert};
    return TESS_OK;
}

void tess_expert_sums_release(tess_expert_sums *sums)
{
    free(sums->expert);
    *sums = (tess_expert_sums){0};
}

tess_status tess_expert_sums_add(tess_expert_sums *sums, const int64_t *chosen, int n_chosen,
                                 const tess_sums *row, const tess_sums *truth,
                                 const tess_sums *reference_truth, tess_error *err)
{
    for (int c = 0; c < n_chosen; c++) {
        bool again = chosen[c] < 0 || chosen[c] >= TESS_EXPERT_SUMS_MOST;
        for (int b = 0; b < c; b++) again |= chosen[b] == chosen[c];
        if (again) continue;
        tess_status status = tess_expert_sums_grow(sums, (int)chosen[c] + 1, err);
        if (status != TESS_OK) return status;
        tess_expert_sum *sum = &sums->expert[chosen[c]];
        sum->n_tok++;
        sum->error2 += row->error2;
        sum->reference2 += row->reference2;
        sum->truth_error2 += truth->error2;
        sum->truth2 += truth->reference2;
        sum->reference_truth_error2 += reference_truth->error2;
        sum->n_nonfinite += row->n_nonfinite + row->n_nonfinite_reference;
    }
    return TESS_OK;
}
