#include "verify/compare/router.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { TIE_ULP = 4 };

/* The float32 probability of one expert by softmax over all; the sums are exact enough in double that the
 * rounding at the end decides. `scale` is the maximum of the logits. */
static float probability(const float *logits, int expert, float maximum, double sum)
{
    return (float)(exp((double)logits[expert] - (double)maximum) / sum);
}

static int32_t bits_of(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static int is_near(float p, float q)
{
    /* Positive floats are ordered as their bits are. */
    return isfinite(p) && isfinite(q) && labs((long)bits_of(p) - (long)bits_of(q)) < TIE_ULP;
}

/* Ranks in `a` whose expert is not in `b`; -1 instead of a count if an expert stands twice in `a`. */
static int only_in(const int64_t *a, const int64_t *b, int n, int *rank)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        int found = 0;
        for (int j = 0; j < n; j++) {
            found |= a[i] == b[j];
            if (j < i && a[i] == a[j]) return -1;
        }
        if (!found) rank[count++] = i;
    }
    return count;
}

/* Pairs the experts only one side chose, likeliest with likeliest. Returns whether all pairs are ties. */
static int pair(const int64_t *value, int *value_rank, const int64_t *reference, const int *reference_rank,
                int count, const float *logits, int n_expert, int *partner)
{
    float maximum = -INFINITY;
    double sum = 0;
    for (int i = 0; i < n_expert; i++) maximum = fmaxf(maximum, logits[i]);
    for (int i = 0; i < n_expert; i++) sum += exp((double)logits[i] - (double)maximum);
    for (int i = 0; i < count; i++)
        if (value[value_rank[i]] < 0 || value[value_rank[i]] >= n_expert) return 0;
    /* Ranks of the reference are in descending probability; the value's are sorted by the same measure. */
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && logits[value[value_rank[j]]] > logits[value[value_rank[j - 1]]]; j--) {
            int swap = value_rank[j];
            value_rank[j] = value_rank[j - 1];
            value_rank[j - 1] = swap;
        }
    for (int i = 0; i < count; i++) {
        int64_t theirs = reference[reference_rank[i]];
        if (theirs < 0 || theirs >= n_expert) return 0;
        float p = probability(logits, (int)theirs, maximum, sum);
        float q = probability(logits, (int)value[value_rank[i]], maximum, sum);
        if (!is_near(p, q)) return 0;
        if (partner) partner[reference_rank[i]] = value_rank[i];
    }
    return 1;
}

tess_routing tess_router_compare(const int64_t *value, const int64_t *reference, int n_chosen,
                                 const float *logits, int n_expert, int *partner)
{
    int value_rank[TESS_ROUTER_MAX_CHOSEN], reference_rank[TESS_ROUTER_MAX_CHOSEN];
    /* Whatever a file holds is the same as itself, an expert chosen twice included. */
    bool is_equal = !memcmp(value, reference, (size_t)n_chosen * sizeof *value);
    for (int i = 0; partner && i < n_chosen; i++) {
        partner[i] = is_equal ? i : -1;
        for (int j = 0; j < n_chosen && !is_equal; j++)
            if (value[j] == reference[i]) partner[i] = j;
    }
    if (is_equal) return TESS_ROUTING_SAME;
    int n_value = only_in(value, reference, n_chosen, value_rank);
    int n_reference = only_in(reference, value, n_chosen, reference_rank);
    if (n_value == 0 && n_reference == 0) return TESS_ROUTING_SAME;
    if (n_value != n_reference || n_value < 0 || !logits) return TESS_ROUTING_DIFFERENT;
    return pair(value, value_rank, reference, reference_rank, n_value, logits, n_expert, partner)
               ? TESS_ROUTING_TIE
               : TESS_ROUTING_DIFFERENT;
}
