#include "verify/compare/comparison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/codes_heard.h"
#include "verify/compare/router.h"

static int by_order(const void *a, const void *b)
{
    const tess_tap_state *x = a, *y = b;
    if (x->place.order != y->place.order) return x->place.order < y->place.order ? -1 : 1;
    return strcmp(x->reference->name, y->reference->name);
}

static bool is_traced(const char *name)
{
    return !strncmp(name, "tap.", 4) || !strncmp(name, "in.", 3);
}

/* A reference must be readable as a trace: only then is a difference the other side's. */
static tess_status check_reference(const tess_trace_reader *reader, const tess_tensor *t,
                                   const tess_tap_place *place, tess_error *err)
{
    const char *path = tess_trace_reader_get_path(reader);
    if (t->dtype != TESS_DTYPE_F32 && t->dtype != TESS_DTYPE_I64)
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "F32 or I64", "%s",
                           tess_dtype_name(t->dtype));
    if (t->n_dim == 0) return tess_refuse(err, path, t->name, (int64_t)t->offset, "rows", "a single number");
    bool is_integer = t->dtype == TESS_DTYPE_I64, wants_integer = false, is_free = false;
    int n_dim = 2;
    switch (place->class) {
    case TESS_CLASS_ROUTER_INDICES:
    case TESS_CLASS_CODES:
        wants_integer = true;
        break;
    case TESS_CLASS_TOKENS:
        wants_integer = true;
        n_dim = 1;
        break;
    case TESS_CLASS_EXPERT:
    case TESS_CLASS_ROUTER_LOGITS:
    case TESS_CLASS_ROUTER_WEIGHTS:
    case TESS_CLASS_LOGITS:
    case TESS_CLASS_POSITIONS:
        break;
    default:
        is_free = true;
    }
    char shape[80];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    if (!is_free && (is_integer != wants_integer || t->n_dim != n_dim))
        return tess_refuse(err, path, t->name, (int64_t)t->offset,
                           wants_integer ? (n_dim == 1 ? "I64 [n]" : "I64 [rows, columns]")
                                         : "F32 [rows, columns]",
                           "%s %s", tess_dtype_name(t->dtype), shape);
    if (place->class == TESS_CLASS_ROUTER_INDICES && t->dim[1] > TESS_ROUTER_MAX_CHOSEN)
        return tess_refuse(err, path, t->name, (int64_t)t->offset, "at most 256 experts per token", "%s",
                           shape);
    return TESS_OK;
}

/* Elements of one row: of the first axis; a tensor of one axis is one row. An audio tower's chunks are many
 * rows each: a step in time is one. */
static size_t row_width(const tess_tensor *t, const tess_tap_place *place)
{
    uint64_t n = tess_tensor_count(t);
    if (t->n_dim < 2 || !n) return (size_t)n;
    if (place->part == TESS_PART_AUDIO) return (size_t)t->dim[t->n_dim - 1];
    return (size_t)(n / t->dim[0]);
}

static tess_status find_truth(tess_comparison *c, tess_tap_state *s, tess_error *err)
{
    bool is_matched = s->place.class == TESS_CLASS_ROUTER_WEIGHTS || s->place.part == TESS_PART_INPUTS;
    if (!c->has_truth || s->is_integer || is_matched) return TESS_OK;
    const tess_tensor *t = tess_safetensors_find(c->hearing.truth.st, s->reference->name);
    bool is_same = t && t->dtype == s->reference->dtype && t->n_dim == s->reference->n_dim &&
                   !memcmp(t->dim, s->reference->dim, (size_t)t->n_dim * sizeof t->dim[0]);
    if (is_same) s->truth = t;
    if (is_same || s->rule.measure != TESS_MEASURE_RATIO) return TESS_OK;
    char expected[80], found[80] = "no such tensor";
    tess_tensor_format_shape(s->reference->n_dim, s->reference->dim, expected, sizeof expected);
    if (t) tess_tensor_format_shape(t->n_dim, t->dim, found, sizeof found);
    return tess_refuse(err, tess_trace_reader_get_path(&c->hearing.truth), s->reference->name,
                       t ? (int64_t)t->offset : -1, expected, "%s", found);
}

/* The router's tensor `last` beside the output of an expert layer, if it fits: one row per row of the
 * output. */
static const tess_tensor *find_router(const tess_comparison *c, const tess_tensor *output, const char *last,
                                      tess_dtype dtype, uint64_t most)
{
    char name[256];
    if ((size_t)snprintf(name, sizeof name, "%s.gate.%s", output->name, last) >= sizeof name) return NULL;
    const tess_tensor *t = tess_safetensors_find(c->hearing.reference.st, name);
    bool fits = t && t->dtype == dtype && t->n_dim == 2 && output->n_dim > 1 && t->dim[0] == output->dim[0] &&
                t->dim[1] > 0 && t->dim[1] <= most;
    return fits ? t : NULL;
}

/* Errors of an expert layer's output are also summed by expert. */
static tess_status find_experts(const tess_comparison *c, tess_tap_state *s, tess_error *err)
{
    if (s->place.class != TESS_CLASS_HIDDEN || s->is_integer || !strstr(s->place.component, "mlp"))
        return TESS_OK;
    s->choices = find_router(c, s->reference, "indices", TESS_DTYPE_I64, TESS_ROUTER_MAX_CHOSEN);
    const tess_tensor *logits = find_router(c, s->reference, "logits", TESS_DTYPE_F32, TESS_EXPERT_SUMS_MOST);
    if (!s->choices || !logits) return TESS_OK;
    return tess_expert_sums_grow(&s->experts, (int)logits->dim[1], err);
}

static bool compares_length(const tess_tap_state *s)
{
    bool is_ids = s->is_integer && s->reference->n_dim == 1 && !strcmp(s->reference->name, "in.input_ids");
    return is_ids || s->place.class == TESS_CLASS_TOKENS || s->place.class == TESS_CLASS_EXPERT ||
           tess_tap_state_is_waveform(s);
}

static tess_status list_taps(tess_comparison *c, tess_error *err)
{
    size_t n = tess_safetensors_get_count(c->hearing.reference.st), most = 1;
    c->tap = calloc(n ? n : 1, sizeof *c->tap);
    if (!c->tap) return tess_fail(err, TESS_ENOMEM, "no memory to compare %zu taps", n);
    for (size_t i = 0; i < n; i++) {
        const tess_tensor *t = tess_safetensors_get(c->hearing.reference.st, i);
        if (!is_traced(t->name)) continue;
        tess_tap_state *s = &c->tap[c->n_tap];
        s->reference = t;
        s->place = tess_tap_place_of(t->name);
        s->codes.talker_frame = s->off[0] = s->off[1] = -1;
        s->first_different = s->first_row = s->codes.first.frame = s->codes.of_the_first.frame = -1;
        tess_status status = check_reference(&c->hearing.reference, t, &s->place, err);
        if (status != TESS_OK) return status;
        s->is_integer = t->dtype == TESS_DTYPE_I64;
        s->row_width = row_width(t, &s->place);
        s->length_is_compared = compares_length(s);
        s->rule = tess_rule_of(&s->place, s->is_integer, c->precision, c->has_truth);
        if (c->options.metrics_only) s->rule = (tess_rule){TESS_MEASURE_NONE, 0};
        c->n_tap++; /* from here on it is released with the others */
        status = find_truth(c, s, err);
        if (status == TESS_OK) status = find_experts(c, s, err);
        if (status != TESS_OK) return status;
        if (s->place.class == TESS_CLASS_ROUTER_INDICES && tess_tensor_count(t) > most)
            most = (size_t)tess_tensor_count(t);
    }
    bool has_tap = false;
    for (int i = 0; i < c->n_tap; i++) has_tap |= c->tap[i].place.part != TESS_PART_INPUTS;
    if (!has_tap)
        return tess_refuse(err, tess_trace_reader_get_path(&c->hearing.reference), "", -1,
                           "at least one tap.* tensor to compare with", "none");
    qsort(c->tap, (size_t)c->n_tap, sizeof *c->tap, by_order);
    c->hearing.chosen = calloc(most, sizeof *c->hearing.chosen);
    c->hearing.logits = malloc(TESS_COMPARE_MAX_EXPERT * sizeof *c->hearing.logits);
    c->hearing.side_window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(TESS_TRACE_PIECE_BYTES));
    c->hearing.routed = malloc(TESS_ROUTED_ROOM * sizeof *c->hearing.routed);
    if (!c->hearing.chosen || !c->hearing.routed || !c->hearing.logits || !c->hearing.side_window)
        return tess_fail(err, TESS_ENOMEM, "no memory to compare %zu taps", n);
    return TESS_OK;
}

/* The sameness of two declared digests; a difference is refused unless it is to be ignored. */
static tess_status check_identity(const tess_comparison *c, const char *key, const char *file,
                                  const char *theirs, tess_sameness *out, tess_error *err)
{
    const char *ours = tess_safetensors_get_metadata(c->hearing.reference.st, key);
    *out = !ours || !theirs ? TESS_SAME_UNKNOWN : strcmp(ours, theirs) ? TESS_SAME_NO : TESS_SAME_YES;
    if (*out != TESS_SAME_NO || c->options.ignore_identity) return TESS_OK;
    char expected[96];
    snprintf(expected, sizeof expected, "%.64s as in the reference", ours);
    return tess_refuse(err, file, key, -1, expected, "%.64s", theirs);
}

/* The truth must belong to the reference: float32, of the same checkpoint and the same prompt. */
static tess_status check_truth(tess_comparison *c, tess_error *err)
{
    const char *path = tess_trace_reader_get_path(&c->hearing.truth);
    tess_precision precision;
    bool known;
    tess_status status = tess_trace_reader_precision(&c->hearing.truth, &precision, &known, err);
    if (status != TESS_OK) return status;
    if (!known || precision != TESS_PRECISION_F32)
        return tess_refuse(err, path, "dtype", -1, "float32, to serve as the truth",
                           known ? "bfloat16" : "nothing");
    tess_sameness same;
    static const char *const keys[] = {"config_sha256", "weights_sha256"};
    for (int i = 0; i < 2 && status == TESS_OK; i++)
        status = check_identity(c, keys[i], path, tess_safetensors_get_metadata(c->hearing.truth.st, keys[i]),
                                &same, err);
    return status;
}

/* Where both files hold a tensor that tells the prompt, it is the same. */
static tess_status check_truth_tensor(tess_comparison *c, const char *name, tess_error *err)
{
    const tess_tensor *a = tess_safetensors_find(c->hearing.reference.st, name);
    const tess_tensor *b = tess_safetensors_find(c->hearing.truth.st, name);
    if (!a || !b) return TESS_OK;
    bool same = a->dtype == b->dtype && tess_tensor_count(a) == tess_tensor_count(b);
    for (uint64_t at = 0; same && at < tess_tensor_count(a);) {
        const void *x, *y;
        size_t n = tess_trace_reader_piece(a, at, 1);
        tess_status status = tess_trace_reader_read(&c->hearing.reference, a, at, n, &x, err);
        if (status == TESS_OK) status = tess_trace_reader_read(&c->hearing.truth, b, at, n, &y, err);
        if (status != TESS_OK) return status;
        same = !memcmp(x, y, n * tess_dtype_bytes(a->dtype));
        at += n;
    }
    if (same) return TESS_OK;
    return tess_refuse(err, tess_trace_reader_get_path(&c->hearing.truth), name, (int64_t)b->offset,
                       "the reference's, to serve as the truth", "other values");
}

/* Against another prompt both sides are far off alike, and everything would agree. */
static tess_status check_truth_inputs(tess_comparison *c, tess_error *err)
{
    static const char *const names[] = {"in.input_ids", "in.position_ids", "tap.thinker.position_ids"};
    tess_status status = TESS_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == TESS_OK; i++)
        status = check_truth_tensor(c, names[i], err);
    return status;
}

static tess_status open_files(tess_comparison *c, const char *reference, tess_error *err)
{
    tess_status status = tess_trace_reader_open(reference, &c->hearing.reference, err);
    if (status != TESS_OK) return status;
    status = tess_trace_reader_precision(&c->hearing.reference, &c->precision, &c->precision_known, err);
    if (status != TESS_OK || !c->options.truth) return status;
    status = tess_trace_reader_open(c->options.truth, &c->hearing.truth, err);
    if (status != TESS_OK) return status;
    c->has_truth = true;
    status = check_truth(c, err);
    return status == TESS_OK ? check_truth_inputs(c, err) : status;
}

tess_status tess_comparison_new(const char *reference, const tess_compare_options *options,
                                tess_comparison **out, tess_error *err)
{
    tess_comparison *c = calloc(1, sizeof *c);
    if (!c) return tess_fail(err, TESS_ENOMEM, "no memory to compare");
    c->options = *options;
    tess_status status = open_files(c, reference, err);
    if (status == TESS_OK) status = list_taps(c, err);
    if (status != TESS_OK) {
        tess_comparison_free(c);
        return status;
    }
    const tess_tensor *ids = tess_safetensors_find(c->hearing.reference.st, "in.input_ids");
    if (ids) c->n_prompt = (int64_t)tess_tensor_count(ids);
    *out = c;
    return TESS_OK;
}

void tess_comparison_free(tess_comparison *c)
{
    if (!c) return;
    for (int i = 0; i < c->n_tap; i++) {
        free(c->tap[i].row_failed);
        free(c->tap[i].row_error);
        free(c->tap[i].columns);
        free(c->tap[i].loudest);
        tess_logits_sums_free(c->tap[i].logits);
        tess_sound_sums_free(c->tap[i].sound);
        tess_code_sums_free(c->tap[i].code_sums);
        tess_expert_sums_release(&c->tap[i].experts);
    }
    for (int i = 0; i < c->n_extra; i++) free(c->extra[i]);
    tess_trace_reader_close(&c->hearing.reference);
    tess_trace_reader_close(&c->hearing.truth);
    free(c->tap);
    free(c->extra);
    free(c->hearing.chosen);
    free(c->hearing.routed);
    free(c->hearing.place);
    free(c->hearing.logits);
    free(c->hearing.side_window);
    tess_media_map_release(&c->media);
    free(c->other_path);
    free(c);
}

tess_status tess_comparison_meet(tess_comparison *c, const tess_comparison_other *other, tess_error *err)
{
    c->other_path = strdup(other->path);
    if (!c->other_path) return tess_fail(err, TESS_ENOMEM, "no memory to compare");
    c->other_precision = other->precision;
    c->other_precision_known = other->precision_known;
    if (c->precision_known && other->precision_known && c->precision != other->precision &&
        !c->options.metrics_only)
        return tess_refuse(err, other->path, "dtype", -1,
                           c->precision == TESS_PRECISION_F32 ? "float32 as the reference"
                                                              : "bfloat16 as the reference",
                           other->precision == TESS_PRECISION_F32 ? "float32" : "bfloat16");
    tess_status status =
        check_identity(c, "config_sha256", other->path, other->config_sha256, &c->config, err);
    if (status == TESS_OK)
        status = check_identity(c, "weights_sha256", other->path, other->weights_sha256, &c->weights, err);
    return status;
}

void tess_comparison_isolate(tess_comparison *c)
{
    int n = 0;
    for (int i = 0; i < c->n_tap; i++) {
        tess_tap_state s = c->tap[i];
        if (s.place.class == TESS_CLASS_TOKENS) continue;
        s.rule = tess_rule_isolated(&s.place, s.is_integer, c->precision);
        c->tap[n++] = s;
    }
    c->n_tap = n;
    c->is_isolated = true;
}

bool tess_comparison_has_other_inputs(const tess_comparison *c)
{
    for (int i = 0; i < c->n_tap; i++) {
        const tess_tap_state *s = &c->tap[i];
        if (s->place.part != TESS_PART_INPUTS || !s->is_present) continue;
        bool is_longer = s->length_is_compared && s->other_length != tess_tensor_count(s->reference);
        if (s->is_misshapen || is_longer || (s->is_integer && s->n_different > 0)) return true;
    }
    return false;
}

bool tess_comparison_has_other_codes(const tess_comparison *c)
{
    for (int i = 0; i < c->n_tap; i++)
        if (c->tap[i].place.class == TESS_CLASS_CODES && c->tap[i].n_different) return true;
    return false;
}

bool tess_comparison_doubts_codes(const tess_comparison *c)
{
    for (int i = 0; i < c->n_tap; i++) {
        const tess_tap_state *s = &c->tap[i];
        bool is_judged = s->place.class == TESS_CLASS_CODES && s->rule.measure == TESS_MEASURE_EXACT;
        if (is_judged && s->codes.first.frame > 0 && s->codes.first.codebook > 0) return true;
    }
    return false;
}

void tess_comparison_blame_talker(tess_comparison *c, int64_t frame)
{
    for (int i = 0; i < c->n_tap; i++)
        if (c->tap[i].place.class == TESS_CLASS_CODES) c->tap[i].codes.talker_frame = frame;
}

void tess_comparison_end(tess_comparison *c, const tess_error *err)
{
    snprintf(c->ended_at, sizeof c->ended_at, "%s", err->field);
    snprintf(c->ended_by, sizeof c->ended_by, "%s", err->found);
}

tess_tap_state *tess_comparison_find(tess_comparison *c, const char *name)
{
    uint64_t order = tess_tap_place_of(name).order;
    int low = 0, high = c->n_tap;
    while (low < high) {
        int middle = low + (high - low) / 2;
        tess_tap_state *s = &c->tap[middle];
        int side =
            s->place.order == order ? strcmp(s->reference->name, name) : (s->place.order < order ? -1 : 1);
        if (side == 0) return s;
        if (side < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool tess_comparison_wants(tess_comparison *c, const char *name, tess_dtype dtype, int n_dim,
                           const uint64_t *dim)
{
    tess_tap_state *s = tess_comparison_find(c, name);
    if (!s) return false;
    const tess_tensor *t = s->reference;
    s->is_present = true;
    bool is_same = dtype == t->dtype && n_dim == t->n_dim, is_codes = s->place.class == TESS_CLASS_CODES;
    int free_axis = is_codes ? 1 : s->length_is_compared ? 0 : -1;
    for (int i = 0; i < n_dim && is_same; i++) is_same = dim[i] == t->dim[i] || i == free_axis;
    if (is_same && is_codes) s->codes.n_frame = dim[1];
    if (is_same) return true;
    s->is_misshapen = true;
    char shape[64];
    tess_tensor_format_shape(n_dim, dim, shape, sizeof shape);
    snprintf(s->found_shape, sizeof s->found_shape, "%s%s%s", dtype == t->dtype ? "" : tess_dtype_name(dtype),
             dtype == t->dtype ? "" : " ", shape);
    return false;
}

tess_status tess_comparison_note_extra(tess_comparison *c, const char *name, tess_error *err)
{
    char **grown = realloc(c->extra, (size_t)(c->n_extra + 1) * sizeof *grown);
    if (grown) c->extra = grown;
    char *copy = grown ? strdup(name) : NULL;
    if (!copy) return tess_fail(err, TESS_ENOMEM, "no memory to list the taps");
    c->extra[c->n_extra++] = copy;
    return TESS_OK;
}

static tess_status find_wanted(tess_comparison *c, const char *name, tess_tap_state **out, tess_error *err)
{
    *out = tess_comparison_find(c, name);
    bool is_wanted = *out && (*out)->is_present && !(*out)->is_misshapen;
    return is_wanted ? TESS_OK : tess_fail(err, TESS_EUSAGE, "%s: heard but not wanted", name);
}

tess_status tess_comparison_hear_columns(tess_comparison *c, const char *name, uint64_t column,
                                         const float *values, size_t n, tess_error *err)
{
    tess_tap_state *s;
    tess_status status = find_wanted(c, name, &s, err);
    if (status != TESS_OK) return status;
    bool is_plain = (s->place.class == TESS_CLASS_HIDDEN || s->place.class == TESS_CLASS_FEATURES) &&
                    !s->is_integer && !s->choices && s->row_width > 0 && !tess_tap_state_is_tower(s);
    uint64_t n_row = is_plain ? (uint64_t)tess_tap_state_count_rows(s) : 1;
    if (!is_plain || column * n_row != s->n_heard || n > s->row_width - column)
        return tess_fail(err, TESS_EUSAGE, "%s: heard from column %llu on, expected from element %llu on",
                         name, (unsigned long long)column, (unsigned long long)s->n_heard);
    return n == 0 ? TESS_OK : tess_tap_state_hear_columns(&c->hearing, s, values, n, err);
}

tess_status tess_comparison_hear(tess_comparison *c, const char *name, uint64_t first, const void *values,
                                 size_t count, tess_error *err)
{
    tess_tap_state *s;
    tess_status status = find_wanted(c, name, &s, err);
    if (status != TESS_OK) return status;
    uint64_t n_element = tess_tap_state_count(s);
    if (first == TESS_HEAR_NEXT) first = s->other_length;
    if (s->length_is_compared) {
        s->other_length = first + count;
        if (first + count > n_element) count = first < n_element ? (size_t)(n_element - first) : 0;
    }
    if (count == 0) return TESS_OK;
    if (first != s->n_heard || count > n_element - first)
        return tess_fail(err, TESS_EUSAGE, "%s: heard from element %llu on, expected from %llu on", name,
                         (unsigned long long)first, (unsigned long long)s->n_heard);
    return s->place.class == TESS_CLASS_CODES ? tess_codes_hear(&c->hearing, s, first, values, count, err)
                                              : tess_tap_state_hear(&c->hearing, s, values, count, err);
}
