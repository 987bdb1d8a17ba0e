#include "verify/ledger/routing.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The layer of "tap.thinker.model.layers.12.mlp.gate.`what`", or -1. */
static int layer_of(const char *name, const char *what)
{
    static const char head[] = "tap.thinker.model.layers.";
    if (strncmp(name, head, sizeof head - 1) != 0) return -1;
    char *end;
    long layer = strtol(name + sizeof head - 1, &end, 10);
    return strcmp(end, what) == 0 && layer >= 0 && layer < 100000 ? (int)layer : -1;
}

static bool wants_tap(void *context, const tess_tap *tap)
{
    (void)context;
    return tap->is_integer && layer_of(tap->name, ".mlp.gate.indices") >= 0;
}

static tess_status hear_rows(void *context, const tess_tap_rows *rows, tess_error *err)
{
    tess_routing *r = context;
    (void)err;
    int layer = layer_of(rows->tap.name, ".mlp.gate.indices");
    if (layer < 0 || layer >= r->n_layer) return TESS_OK;
    int64_t *count = r->count + (size_t)layer * (size_t)r->n_expert;
    size_t n = (size_t)rows->n_row * rows->row_width;
    for (size_t i = 0; i < n; i++) count[rows->integers[i]]++;
    return TESS_OK;
}

static void measure_tap(void *context, const tess_tap *tap)
{
    tess_routing *size = context;
    int layer = layer_of(tap->name, ".mlp.gate.logits");
    if (layer < 0) return;
    if (layer >= size->n_layer) size->n_layer = layer + 1;
    if (tap->dim[1] > size->n_expert) size->n_expert = (int)tap->dim[1];
}

tess_status tess_routing_new(const char *model_dir, tess_routing **out, tess_error *err)
{
    tess_routing size = {0};
    const tess_feed feed = {.n_tok = 1, .last_logits = true};
    tess_status status = tess_model_list_taps(model_dir, &feed, measure_tap, &size, err);
    if (status != TESS_OK) return status;
    size_t n = (size_t)size.n_layer * (size_t)size.n_expert;
    tess_routing *r = calloc(1, sizeof *r + n * sizeof r->count[0]);
    if (!r) return tess_fail(err, TESS_ENOMEM, "no memory to count %zu experts", n);
    r->n_layer = size.n_layer;
    r->n_expert = size.n_expert;
    r->listener = (tess_tap_listener){.context = r, .wants = wants_tap, .hear = hear_rows};
    *out = r;
    return TESS_OK;
}

void tess_routing_free(tess_routing *routing)
{
    free(routing);
}

const tess_tap_listener *tess_routing_get_listener(const tess_routing *routing)
{
    return &routing->listener;
}

void tess_routing_clear(tess_routing *routing)
{
    memset(routing->count, 0,
           (size_t)routing->n_layer * (size_t)routing->n_expert * sizeof routing->count[0]);
}

int64_t tess_routing_get_count(const tess_routing *routing, int layer, int expert)
{
    if (layer < 0 || layer >= routing->n_layer || expert < 0 || expert >= routing->n_expert) return 0;
    return routing->count[(size_t)layer * (size_t)routing->n_expert + (size_t)expert];
}
