#include "verify/compare/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/blame.h"

/* Takes the list over; the expert is named where it is the only one. */
static void name_experts(tess_tap_report *r, int *experts, int n)
{
    r->n_experts = n;
    r->expert = n == 1 ? experts[0] : -1;
    int *fitted = n ? realloc(experts, (size_t)n * sizeof *experts) : NULL;
    if (!n) free(experts);
    r->experts = fitted ? fitted : n ? experts : NULL;
}

static const tess_tap_report *find_expert(const tess_compare_result *so_far, const char *layer, int expert)
{
    size_t length = strlen(layer);
    for (int i = so_far->n_tap - 1; i >= 0; i--) {
        const tess_tap_report *r = &so_far->tap[i];
        if (!strncmp(r->name, layer, length) && !strncmp(r->name + length, ".experts.", 9) &&
            (expert < 0 || r->expert == expert))
            return r;
    }
    return NULL;
}

/* Experts whose own outputs the reference holds, and which failed. Returns how many. */
static int list_failed(const tess_compare_result *so_far, const char *layer, int *out)
{
    int n = 0;
    size_t length = strlen(layer);
    for (int i = 0; i < so_far->n_tap && n < TESS_COMPARE_MAX_EXPERT; i++) {
        const tess_tap_report *r = &so_far->tap[i];
        if (!strncmp(r->name, layer, length) && !strncmp(r->name + length, ".experts.", 9) &&
            tess_tap_has_failed(r))
            out[n++] = r->expert;
    }
    return n;
}

static int by_falling_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Of a tap that failed by its average, no row did. Then the rows are taken that lie TESS_BLAME_APART times
 * further off than the next, if there are such; they are marked in `out`. room: [n_row] */
static void mark_apart(const float *error, int64_t n_row, float *room, unsigned char *out)
{
    memcpy(room, error, (size_t)n_row * sizeof *room);
    qsort(room, (size_t)n_row, sizeof *room, by_falling_size);
    int64_t i = 0;
    while (i + 1 < n_row && !(room[i] > TESS_BLAME_APART * room[i + 1])) i++;
    bool is_apart = i + 1 < n_row;
    for (int64_t k = 0; k < n_row; k++) out[k] = is_apart && error[k] >= room[i];
}

static tess_status mark_rows(const tess_tap_state *s, unsigned char *out, tess_error *err)
{
    int64_t n_row = (int64_t)s->reference->dim[0];
    if (s->row_failed) {
        memcpy(out, s->row_failed, (size_t)n_row);
        return TESS_OK;
    }
    float *room = malloc((size_t)(n_row + 1) * sizeof *room);
    if (!room) return tess_fail(err, TESS_ENOMEM, "no memory to look for the experts at fault");
    mark_apart(s->row_error, n_row, room, out);
    free(room);
    return TESS_OK;
}

/* Fits the failing rows by experts; those whose own outputs agree are none. */
static tess_status fit(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                       const tess_tensor *t, int *experts, int *n, bool *is_set, tess_error *err)
{
    int64_t *indices = malloc((size_t)t->n_byte);
    unsigned char *failed = malloc((size_t)t->dim[0] + 1);
    tess_status status = TESS_OK;
    if (!indices || !failed)
        status = tess_fail(err, TESS_ENOMEM, "no memory to look for the experts at fault");
    if (status == TESS_OK) status = mark_rows(s, failed, err);
    if (status == TESS_OK)
        status = tess_file_read(tess_safetensors_get_file(c->hearing.reference.st), t->offset, indices,
                                (size_t)t->n_byte, err);
    if (status == TESS_OK)
        status = tess_blame_experts(indices, (int64_t)t->dim[0], (int)t->dim[1], failed, s->row_error,
                                    experts, TESS_COMPARE_MAX_EXPERT, n, is_set, err);
    free(indices);
    free(failed);
    int kept = 0;
    for (int i = 0; i < *n && status == TESS_OK; i++) {
        const tess_tap_report *own = find_expert(so_far, s->reference->name, experts[i]);
        if (!own || own->outcome == TESS_OUTCOME_NOT_JUDGED) experts[kept++] = experts[i];
    }
    *n = kept;
    return status;
}

/* Several experts are one explanation or as many. */
static void say_how_many(tess_tap_report *r, bool is_set)
{
    size_t used = strlen(r->why);
    if (r->n_experts > 1)
        snprintf(r->why + used, sizeof r->why - used, "; %s",
                 is_set ? "no expert explains it alone, but these or some of them together"
                        : "each of these experts explains it alone");
}

tess_status tess_find_fault(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                            tess_tap_report *r, tess_error *err)
{
    char name[256];
    bool is_expert = s->place.class == TESS_CLASS_EXPERT;
    if (!is_expert && !s->row_failed && !s->row_error) return TESS_OK;
    if (tess_tap_state_is_tower(s)) return TESS_OK; /* its rows tell a place, and no expert */
    int *experts = malloc(TESS_COMPARE_MAX_EXPERT * sizeof *experts), n = 0;
    if (!experts) return tess_fail(err, TESS_ENOMEM, "no memory to look for the experts at fault");
    if (is_expert) {
        experts[n++] = s->place.expert;
        name_experts(r, experts, n);
        return TESS_OK;
    }
    n = list_failed(so_far, s->reference->name, experts);
    bool is_set = false;
    tess_status status = TESS_OK;
    bool is_choice = s->place.class == TESS_CLASS_ROUTER_INDICES;
    snprintf(name, sizeof name, is_choice ? "%s" : "%s.gate.indices", s->reference->name);
    const tess_tensor *t = tess_safetensors_find(c->hearing.reference.st, name);
    bool is_usable = t && t->dtype == TESS_DTYPE_I64 && t->n_dim == 2 && t->dim[0] == s->reference->dim[0];
    bool is_fitted = !n && is_usable;
    if (is_fitted) status = fit(c, s, so_far, t, experts, &n, &is_set, err);
    name_experts(r, experts, status == TESS_OK ? n : 0);
    if (is_fitted) say_how_many(r, is_set);
    if (is_set) r->expert = -1;
    return status;
}
