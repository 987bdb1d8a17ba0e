#include "store/completeness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tess_completeness {
    const tess_store *store;
    const tess_problem_sink *sink;
    bool *is_expected; /* by the place a tensor has in the order of names */
};

tess_status tess_completeness_begin(const tess_store *store, const tess_problem_sink *sink,
                                    tess_completeness **out, tess_error *err)
{
    tess_completeness *c = calloc(1, sizeof *c);
    bool *is_expected = calloc(tess_store_get_count(store) + 1, sizeof *is_expected);
    if (!c || !is_expected) {
        free(c);
        free(is_expected);
        return tess_fail(err, TESS_ENOMEM, "no memory to check that a checkpoint is complete");
    }
    *c = (tess_completeness){.store = store, .sink = sink, .is_expected = is_expected};
    *out = c;
    return TESS_OK;
}

void tess_completeness_free(tess_completeness *c)
{
    if (!c) return;
    free(c->is_expected);
    free(c);
}

static bool has_shape(const tess_tensor *t, int n_dim, const uint64_t *dim)
{
    if (t->n_dim != n_dim) return false;
    for (int i = 0; i < n_dim; i++)
        if (t->dim[i] != dim[i]) return false;
    return true;
}

/* All tensors of this name; there is more than one only where problems are collected. */
static size_t mark(tess_completeness *c, const char *name)
{
    size_t first = tess_store_find_place(c->store, name), n = 0;
    while (first + n < tess_store_get_count(c->store) &&
           !strcmp(tess_store_get_by_name(c->store, first + n)->name, name))
        c->is_expected[first + n++] = true;
    return n;
}

tess_status tess_completeness_expect(tess_completeness *c, const char *name, tess_dtype dtype, int n_dim,
                                     const uint64_t *dim, tess_error *err)
{
    char expected[128], found[128];
    size_t used = (size_t)snprintf(expected, sizeof expected, "%s ", tess_dtype_name(dtype));
    tess_tensor_format_shape(n_dim, dim, expected + used, sizeof expected - used);
    if (mark(c, name) == 0) {
        if (tess_store_is_known_absent(c->store, name)) return TESS_OK;
        /* Where problems are collected, the other name is among them. */
        const tess_tensor *renamed = c->sink ? NULL : tess_store_find_renamed(c->store, name);
        return tess_complain(c->sink, err, TESS_PROBLEM_MISSING, "", name, -1, expected, "no such tensor%s%s",
                             renamed ? ", but one named " : "", renamed ? renamed->name : "");
    }
    const tess_tensor *t = tess_store_find(c->store, name);
    if (t->dtype == TESS_DTYPE_NONE) return TESS_OK; /* its entry has been reported */
    bool dtype_fits = t->dtype == dtype, shape_fits = has_shape(t, n_dim, dim);
    if (dtype_fits && shape_fits) return TESS_OK;
    used = (size_t)snprintf(found, sizeof found, "%s ", tess_dtype_name(t->dtype));
    tess_tensor_format_shape(t->n_dim, t->dim, found + used, sizeof found - used);
    return tess_complain(c->sink, err, shape_fits ? TESS_PROBLEM_DTYPE : TESS_PROBLEM_SHAPE,
                         tess_store_get_shard_path(c->store, t->shard), name, (int64_t)t->offset, expected,
                         "%s", found);
}

tess_status tess_completeness_end(tess_completeness *c, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < tess_store_get_count(c->store) && status == TESS_OK; i++) {
        if (c->is_expected[i]) continue;
        const tess_tensor *t = tess_store_get_by_name(c->store, i);
        char shape[96];
        tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
        status =
            tess_complain(c->sink, err, TESS_PROBLEM_EXTRA, tess_store_get_shard_path(c->store, t->shard),
                          t->name, (int64_t)t->offset, "no tensor of this name by config.json", "%s %s",
                          tess_dtype_name(t->dtype), shape);
    }
    return status;
}
