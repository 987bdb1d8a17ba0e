/* One case of a certificate. The object is made from what a run found, both when a certificate is written and
 * when it is checked, and then compared member by member: nothing can be certified and not be checked. */
#include "verify/certificate/certificate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* The value, or NULL if something in it failed for want of memory. */
static json_t *finish_json(json_t *value, bool ok)
{
    if (ok) return value;
    json_decref(value);
    return NULL;
}

static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *shape_json(const tess_tap_report *tap)
{
    bool ok = true;
    json_t *shape = json_array();
    for (int i = 0; i < tap->n_dim; i++) tess_json_append(shape, json_integer(tap->dim[i]), &ok);
    return finish_json(shape, ok);
}

/* Where a tap that failed begins to, and which experts explain it. */
static void put_place(json_t *object, const tess_tap_report *tap, bool *ok)
{
    json_t *experts = json_array();
    for (int i = 0; i < tap->n_experts; i++) tess_json_append(experts, json_integer(tap->experts[i]), ok);
    tess_json_put(object, "position", json_integer(tap->position), ok);
    tess_json_put(object, "expert", json_integer(tap->expert), ok);
    tess_json_put(object, "experts", experts, ok);
}

static json_t *tap_json(const tess_tap_report *tap)
{
    bool ok = true;
    json_t *object = json_object();
    tess_json_put(object, "tap", json_string(tap->name), &ok);
    tess_json_put(object, "shape", shape_json(tap), &ok);
    tess_json_put(object, "outcome", json_string(tess_outcome_name(tap->outcome)), &ok);
    tess_json_put(object, "measure", json_string(tess_measure_name(tap->measure)), &ok);
    tess_json_put(object, "error", number_json(tap->error), &ok);
    tess_json_put(object, "tolerance",
                  tap->measure == TESS_MEASURE_NONE ? json_null() : number_json(tap->tolerance), &ok);
    tess_json_put(object, "rel_l2", number_json(tap->rel_l2), &ok);
    tess_json_put(object, "max_abs", number_json(tap->max_abs), &ok);
    tess_json_put(object, "cosine", number_json(tap->cosine), &ok);
    tess_json_put(object, "different", json_integer(tap->n_different), &ok);
    tess_json_put(object, "first_different", json_integer(tap->first_different), &ok);
    tess_json_put(object, "nonfinite", json_integer(tap->n_nonfinite), &ok);
    tess_json_put(object, "nonfinite_reference", json_integer(tap->n_nonfinite_reference), &ok);
    tess_json_put(object, "ties", json_integer(tap->n_tie), &ok);
    if (!isnan(tap->truth_distance)) {
        tess_json_put(object, "truth_distance", number_json(tap->truth_distance), &ok);
        tess_json_put(object, "reference_truth_distance", number_json(tap->reference_truth_distance), &ok);
    }
    if (tess_tap_has_failed(tap)) put_place(object, tap, &ok);
    return finish_json(object, ok);
}

static json_t *worst_json(const tess_compare_result *result)
{
    if (result->worst < 0) return json_null();
    bool ok = true;
    const tess_tap_report *tap = &result->tap[result->worst];
    json_t *object = json_object();
    tess_json_put(object, "tap", json_string(tap->name), &ok);
    tess_json_put(object, "measure", json_string(tess_measure_name(tap->measure)), &ok);
    tess_json_put(object, "error", number_json(tap->error), &ok);
    tess_json_put(object, "tolerance", number_json(tap->tolerance), &ok);
    return finish_json(object, ok);
}

static json_t *ratio_json(const tess_compare_result *result)
{
    if (!result->n_ratio) return json_null();
    bool ok = true;
    json_t *object = json_object();
    tess_json_put(object, "mean", number_json(result->ratio_mean), &ok);
    tess_json_put(object, "taps", json_integer(result->n_ratio), &ok);
    tess_json_put(object, "low", number_json(result->ratio_low), &ok);
    tess_json_put(object, "high", number_json(result->ratio_high), &ok);
    return finish_json(object, ok);
}

static json_t *taps_json(const tess_compare_result *result)
{
    bool ok = true;
    json_t *taps = json_array();
    for (int i = 0; i < result->n_tap; i++) tess_json_append(taps, tap_json(&result->tap[i]), &ok);
    return finish_json(taps, ok);
}

static void put_verdict(json_t *object, const tess_compare_result *result, bool *ok)
{
    static const char *const same[] = {"unknown", "same", "different"};
    tess_json_put(object, "declared_config", json_string(same[result->config]), ok);
    tess_json_put(object, "declared_weights", json_string(same[result->weights]), ok);
    tess_json_put(object, "verdict", json_string(tess_verdict_name(result->verdict)), ok);
    tess_json_put(object, "taps_compared", json_integer(result->n_compared), ok);
    tess_json_put(object, "taps_equal", json_integer(result->n_equal), ok);
    tess_json_put(object, "taps_failed", json_integer(result->n_failed), ok);
    tess_json_put(object, "taps_beyond_golden", json_integer(result->n_extra), ok);
    tess_json_put(object, "first",
                  result->first < 0 ? json_null() : json_string(result->tap[result->first].name), ok);
    tess_json_put(object, "worst", worst_json(result), ok);
    tess_json_put(object, "ratio", ratio_json(result), ok);
    tess_json_put(object, "taps", taps_json(result), ok);
}

/* Of a golden with media: how many of each kind stand in it – golden_sha256 is theirs too – and whether they
 * were prepared again from what its messages name, and compared. */
static void put_media(json_t *object, const tess_golden *golden, bool *ok)
{
    static const char *const kinds[] = {
        [TESS_MEDIA_AUDIO] = "clips", [TESS_MEDIA_IMAGE] = "images", [TESS_MEDIA_VIDEO] = "videos"};
    const tess_trace_inputs *in = &golden->inputs;
    int n[3] = {0, 0, 0};
    if (in->n_media == 0) return;
    json_t *media = json_object();
    for (int i = 0; i < in->n_media; i++) n[in->media[i]->kind]++;
    for (int i = 0; i < 3; i++) tess_json_put(media, kinds[i], json_integer(n[i]), ok);
    tess_json_put(media, "prepared_again", json_boolean(golden->said.n_media > 0), ok);
    tess_json_put(object, "media", media, ok);
}

json_t *tess_certificate_case_json(const tess_golden *golden, const tess_compare_result *result,
                                   const char *path, const char *golden_sha256, bool isolated,
                                   const char *truth_path, const char *truth_sha256)
{
    const tess_trace_inputs *in = &golden->inputs;
    bool is_bf16 = in->has_precision && in->precision == TESS_PRECISION_BF16, ok = true;
    json_t *object = json_object();
    tess_json_put(object, "golden", json_string(path), &ok);
    tess_json_put(object, "golden_sha256", json_string(golden_sha256), &ok);
    tess_json_put(object, "case", text_or_null(in->case_name), &ok);
    tess_json_put(object, "dtype", json_string(is_bf16 ? "bfloat16" : "float32"), &ok);
    tess_json_put(object, "mode", json_string(isolated ? "isolated" : "whole"), &ok);
    tess_json_put(object, "prompt_tokens", json_integer(in->n_tok), &ok);
    tess_json_put(object, "generated_tokens", json_integer(isolated ? 0 : in->generate), &ok);
    tess_json_put(object, "text_checked", json_boolean(golden->text_is_checked), &ok);
    put_media(object, golden, &ok);
    tess_json_put(object, "truth",
                  truth_sha256           ? json_string(truth_sha256)
                  : is_bf16 && !isolated ? json_string("computed")
                                         : json_null(),
                  &ok);
    tess_json_put(object, "truth_file", text_or_null(truth_sha256 ? truth_path : NULL), &ok);
    put_verdict(object, result, &ok);
    return finish_json(object, ok);
}

/* ---- comparing ---- */

typedef struct search {
    char path[160];
    tess_certificate_difference *out;
} search;

static bool is_mean(const search *s)
{
    size_t n = strlen(s->path), n_end = sizeof ".ratio.mean" - 1;
    return n >= n_end && !strcmp(s->path + n - n_end, ".ratio.mean");
}

static bool is_equal(const search *s, const json_t *a, const json_t *b)
{
    if (!a || !b || json_typeof(a) != json_typeof(b)) return false;
    if (!json_is_real(a) || !is_mean(s)) return json_equal(a, b);
    return fabs(json_real_value(a) - json_real_value(b)) <= 1e-12 * fabs(json_real_value(a));
}

static bool find_difference(search *s, const json_t *certified, const json_t *found);

static bool find_in_objects(search *s, const json_t *certified, const json_t *found)
{
    size_t length = strlen(s->path);
    const json_t *const side[] = {certified, found};
    bool differs = false;
    for (int pass = 0; pass < 2 && !differs; pass++)
        for (void *i = json_object_iter((json_t *)side[pass]); i && !differs;
             i = json_object_iter_next((json_t *)side[pass], i)) {
            const char *key = json_object_iter_key(i);
            snprintf(s->path + length, sizeof s->path - length, ".%s", key);
            const json_t *a = json_object_get(certified, key), *b = json_object_get(found, key);
            if (pass == 0 || !a) differs = find_difference(s, a, b);
        }
    s->path[length] = 0;
    return differs;
}

static bool find_in_arrays(search *s, const json_t *certified, const json_t *found)
{
    size_t length = strlen(s->path), n = json_array_size(certified), n_found = json_array_size(found);
    bool differs = false;
    for (size_t i = 0; i < (n > n_found ? n : n_found) && !differs; i++) {
        snprintf(s->path + length, sizeof s->path - length, "[%zu]", i);
        differs = find_difference(s, json_array_get(certified, i), json_array_get(found, i));
    }
    s->path[length] = 0;
    return differs;
}

static bool find_difference(search *s, const json_t *certified, const json_t *found)
{
    if (json_is_object(certified) && json_is_object(found)) return find_in_objects(s, certified, found);
    if (json_is_array(certified) && json_is_array(found)) return find_in_arrays(s, certified, found);
    if (is_equal(s, certified, found)) return false;
    snprintf(s->out->field, sizeof s->out->field, "%s", s->path);
    tess_json_spell(certified, s->out->certified, sizeof s->out->certified);
    tess_json_spell(found, s->out->found, sizeof s->out->found);
    return true;
}

bool tess_certificate_find_difference(const json_t *certified, const json_t *found, const char *name,
                                      tess_certificate_difference *out)
{
    search s = {.out = out};
    snprintf(s.path, sizeof s.path, "%s", name);
    return find_difference(&s, certified, found);
}
