#include "agreement.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Inputs, generated tokens, codes and the outputs of single experts are not taps of a feed. */
static bool is_compared(const char *name)
{
    return !strncmp(name, "tap.", 4) && !ends_with(name, "generated") && !ends_with(name, ".codes") &&
           !strstr(name, ".experts.");
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Equal logits are a tie, which the original breaks in no promised way: then the experts that differ must all
 * have the logit of the tie. */
static bool is_tie(const int64_t *a, const int64_t *b, size_t k, const float *logits)
{
    float lowest = logits[b[0]];
    for (size_t i = 0; i < k; i++) lowest = logits[b[i]] < lowest ? logits[b[i]] : lowest;
    for (size_t i = 0; i < k; i++) {
        bool shared = false;
        for (size_t j = 0; j < k; j++) shared |= a[i] == b[j];
        if (!shared && logits[a[i]] != lowest) return false;
    }
    return true;
}

/* Chosen experts are compared as sets; returns the number of ties broken the other way. */
static int assert_same_sets(const test_tensor *ours, const test_tensor *theirs, const test_tensors *golden)
{
    char name[96];
    snprintf(name, sizeof name, "%.*slogits", (int)(strlen(theirs->name) - strlen("indices")), theirs->name);
    const test_tensor *logits = test_tensors_get(golden, name);
    size_t k = (size_t)theirs->dim[1];
    int64_t a[64], b[64];
    int n_tie = 0;
    assert_true(k <= 64);
    for (size_t row = 0; row < (size_t)theirs->dim[0]; row++) {
        memcpy(a, ours->integers + row * k, k * sizeof *a);
        memcpy(b, theirs->integers + row * k, k * sizeof *b);
        qsort(a, k, sizeof *a, compare_ids);
        qsort(b, k, sizeof *b, compare_ids);
        if (!memcmp(a, b, k * sizeof *a)) continue;
        if (!is_tie(a, b, k, logits->values + row * (size_t)logits->dim[1]))
            fail_msg("%s: row %zu chooses other experts", theirs->name, row);
        n_tie++;
    }
    return n_tie;
}

static double tolerance_of(const char *name, bool isolated)
{
    if (isolated) return 2e-6;
    return ends_with(name, "lm_head") ? 2e-5 : 1e-5;
}

/* float32: every tap of the golden is there with its shape and agrees; returns the worst relative L2. */
static double assert_agrees(const test_tensors *ours, const test_tensors *golden, bool isolated)
{
    double worst = 0;
    int n = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const test_tensor *theirs = &golden->item[i];
        if (!is_compared(theirs->name)) continue;
        const test_tensor *mine = test_tensors_get(ours, theirs->name);
        assert_int_equal(mine->n_dim, theirs->n_dim);
        assert_memory_equal(mine->dim, theirs->dim, (size_t)theirs->n_dim * sizeof *theirs->dim);
        n++;
        if (theirs->is_integer) {
            assert_same_sets(mine, theirs, golden);
            continue;
        }
        double error = test_relative_l2(mine, theirs);
        if (!(error <= tolerance_of(theirs->name, isolated)))
            fail_msg("%s: relative L2 %.3g, at most %.3g", theirs->name, error,
                     tolerance_of(theirs->name, isolated));
        worst = error > worst ? error : worst;
    }
    assert_true(n >= 5);
    return worst;
}

/* ---- single experts ---- */

/* Our row of the token at `position`: how many tokens before it chose the expert. */
static size_t count_choices(const test_tensor *indices, int64_t expert, size_t position)
{
    size_t k = (size_t)indices->dim[1], n = 0;
    for (size_t i = 0; i < position * k; i++) n += indices->integers[i] == expert;
    return n;
}

/* Brings our rows of an expert into the order of the golden's. */
static void order_by_rank(const test_tensor *ours, const test_tensor *indices, int64_t expert, float *out)
{
    size_t n_tok = (size_t)indices->dim[0], k = (size_t)indices->dim[1], width = (size_t)ours->dim[1], n = 0;
    for (size_t rank = 0; rank < k; rank++)
        for (size_t i = 0; i < n_tok; i++) {
            if (indices->integers[i * k + rank] != expert) continue;
            assert_true((n + 1) * width <= ours->count);
            memcpy(out + n++ * width, ours->values + count_choices(indices, expert, i) * width,
                   width * sizeof *out);
        }
    assert_int_equal(n * width, ours->count);
}

static void assert_expert_agrees(const test_tensor *ours, const test_tensor *theirs,
                                 const test_tensors *golden)
{
    char name[96];
    const char *experts = strstr(theirs->name, ".experts.");
    snprintf(name, sizeof name, "%.*s.gate.indices", (int)(experts - theirs->name), theirs->name);
    test_tensor ordered = *ours;
    ordered.values = malloc(ours->count * sizeof *ordered.values);
    assert_non_null(ordered.values);
    order_by_rank(ours, test_tensors_get(golden, name), strtol(experts + strlen(".experts."), NULL, 10),
                  ordered.values);
    double error = test_relative_l2(&ordered, theirs);
    free(ordered.values);
    if (!(error <= 1e-5)) fail_msg("%s: relative L2 %.3g, at most 1e-5", theirs->name, error);
}

/* float32, whole run: every single expert of the golden agrees, and there is no other; returns how many there
 * are. The golden's rows go by rank among a token's choices, then by position; ours by position. */
static int assert_experts_agree(const test_tensors *ours, const test_tensors *golden)
{
    int n = 0, n_ours = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const test_tensor *theirs = &golden->item[i];
        if (!strstr(theirs->name, ".experts.")) continue;
        assert_expert_agrees(test_tensors_get(ours, theirs->name), theirs, golden);
        n++;
    }
    for (size_t i = 0; i < ours->count; i++) n_ours += strstr(ours->item[i].name, ".experts.") != NULL;
    assert_int_equal(n, n_ours);
    return n;
}

/* ---- bfloat16 ---- */

/* The step between bf16 numbers of this magnitude: 8 bits of precision. */
static float bf16_ulp(float magnitude)
{
    int exponent;
    frexpf(magnitude, &exponent);
    return ldexpf(1.0f, exponent - 8);
}

/* Steps of bf16 between two bf16 values. */
static int64_t bf16_steps(float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    int64_t i = x >> 16, j = y >> 16;
    if (i < 0) i = -(i & 0x7fff);
    if (j < 0) j = -(j & 0x7fff);
    return i > j ? i - j : j - i;
}

/* The largest magnitude of the row an element stands in. */
static float row_scale(const test_tensor *t, size_t element)
{
    size_t width = (size_t)t->dim[t->n_dim - 1], first = element / width * width;
    float most = 0;
    for (size_t i = first; i < first + width; i++)
        most = fabsf(t->values[i]) > most ? fabsf(t->values[i]) : most;
    return most;
}

/* Every module on the golden's own input. The bar, tap by tap: at least 99 % of elements bit-equal, none
 * beyond 2 ulp.
 *
 * A module rounds inside as well (its norm, its keys, its products), and where such a value lies within half
 * a float32 ulp of the middle between two bf16 numbers, the order of a float32 sum decides, which differs
 * between correct implementations. One such key changes every later row. This was measured in case b: a value
 * of layer 2's norm and one of layer 5's keys lie exactly so, and all differences of those modules stem from
 * them. So only where no such value occurs (`strict`) is the bar held tap by tap; else 99 % are asked of all
 * taps together, and an ulp is that of the largest element of its row, the scale at which the inner rounding
 * happened. */
static void assert_isolated_bf16(const test_tensors *ours, const test_tensors *golden, const char *path,
                                 bool strict)
{
    size_t n_all = 0, n_equal = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const test_tensor *theirs = &golden->item[i];
        if (!is_compared(theirs->name)) continue;
        const test_tensor *mine = test_tensors_get(ours, theirs->name);
        if (theirs->is_integer) {
            assert_int_equal(assert_same_sets(mine, theirs, golden), 0);
            continue;
        }
        size_t equal = 0;
        for (size_t k = 0; k < theirs->count; k++) {
            float a = mine->values[k], b = theirs->values[k];
            equal += a == b;
            bool within = strict ? bf16_steps(a, b) <= 2 : fabsf(a - b) <= 2 * bf16_ulp(row_scale(theirs, k));
            if (!within)
                fail_msg("%s: %s: element %zu is %.9g, expected %.9g", path, theirs->name, k, (double)a,
                         (double)b);
        }
        if (strict && (double)equal < 0.99 * (double)theirs->count)
            fail_msg("%s: %s: only %zu of %zu elements are bit-equal", path, theirs->name, equal,
                     theirs->count);
        n_all += theirs->count;
        n_equal += equal;
    }
    assert_true(n_all > 0 && (double)n_equal >= 0.99 * (double)n_all);
    print_message("# %s: %.4f %% of %zu elements bit-equal, isolated\n", path,
                  100.0 * (double)n_equal / (double)n_all, n_all);
}

/* How far we are from the float32 truth, against how far the original is. */
static bool holds_whole_run_bar(const test_tensors *ours, const test_tensors *golden,
                                const test_tensors *truth, double *mean, double *most)
{
    double sum = 0;
    int n = 0;
    *most = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const test_tensor *theirs = &golden->item[i];
        if (!is_compared(theirs->name) || theirs->is_integer || ends_with(theirs->name, ".weights")) continue;
        const test_tensor *mine = test_tensors_get(ours, theirs->name),
                          *exact = test_tensors_get(truth, theirs->name);
        double distance = test_relative_l2(theirs, exact), our_distance = test_relative_l2(mine, exact);
        if (distance == 0) {
            if (memcmp(mine->values, theirs->values, theirs->count * sizeof(float))) return false;
            continue;
        }
        double ratio = our_distance / distance;
        sum += log(ratio > 0 ? ratio : 1e-30);
        *most = ratio > *most ? ratio : *most;
        n++;
    }
    assert_true(n >= 5);
    *mean = exp(sum / n);
    return *mean >= 0.87 && *mean <= 1.15 && *most <= 2.5;
}

/* ---- a subject ---- */

/* Its taps in a golden, in place. */
static test_tensors select_taps(const test_subject *s, const test_tensors *golden)
{
    test_tensors taps = {calloc(golden->count, sizeof *taps.item), 0};
    assert_non_null(taps.item);
    for (size_t i = 0; i < golden->count; i++)
        if (!strncmp(golden->item[i].name, s->taps, strlen(s->taps)))
            taps.item[taps.count++] = golden->item[i];
    return taps;
}

static int count_compared(const test_tensors *taps)
{
    int n = 0;
    for (size_t i = 0; i < taps->count; i++) n += is_compared(taps->item[i].name);
    return n;
}

double test_check_float32(const test_subject *s)
{
    test_tensors golden;
    test_recording whole, isolated;
    test_tensors_read(s->f32, &golden);
    test_tensors taps = select_taps(s, &golden);
    s->run(s->what, &golden, TESS_ROUND_NONE, NULL, &whole);
    assert_int_equal(count_compared(&whole.taps), count_compared(&taps) + s->n_beside);
    double worst = assert_agrees(&whole.taps, &taps, false);
    if (s->with_experts) assert_true(assert_experts_agree(&whole.taps, &taps) > 0);
    s->run(s->what, &golden, TESS_ROUND_NONE, &taps, &isolated);
    print_message("# %s: %d taps, worst relative L2 %.3g, isolated %.3g\n", s->f32, count_compared(&taps),
                  worst, assert_agrees(&isolated.taps, &taps, true));
    test_recording_release(&whole);
    test_recording_release(&isolated);
    free(taps.item);
    test_tensors_release(&golden);
    return worst;
}

/* The whole run keeps its bar, and one in float32 arithmetic does not. */
static void check_whole_bf16(const test_subject *s, const test_tensors *golden, const test_tensors *taps)
{
    test_tensors truth;
    test_recording whole, as_f32;
    double mean, most;
    test_tensors_read(s->f32, &truth);
    s->run(s->what, golden, TESS_ROUND_BF16, NULL, &whole);
    bool holds = holds_whole_run_bar(&whole.taps, taps, &truth, &mean, &most);
    print_message("# %s: distance to float32 over the original's: mean %.3f, most %.3f\n", s->bf16, mean,
                  most);
    if (!holds) fail_msg("%s: mean ratio %.3f (0.87 to 1.15), most %.3f (2.5)", s->bf16, mean, most);
    if (!s->has_other_input) {
        s->run(s->what, golden, TESS_ROUND_NONE, NULL, &as_f32);
        assert_false(holds_whole_run_bar(&as_f32.taps, taps, &truth, &mean, &most));
        test_recording_release(&as_f32);
    }
    test_recording_release(&whole);
    test_tensors_release(&truth);
}

void test_check_bf16(const test_subject *s)
{
    test_tensors golden;
    test_recording isolated;
    test_tensors_read(s->bf16, &golden);
    test_tensors taps = select_taps(s, &golden);
    if (!s->only_isolated) check_whole_bf16(s, &golden, &taps);
    s->run(s->what, &golden, TESS_ROUND_BF16, &taps, &isolated);
    assert_isolated_bf16(&isolated.taps, &taps, s->bf16, s->is_strict);
    test_recording_release(&isolated);
    free(taps.item);
    test_tensors_release(&golden);
}
