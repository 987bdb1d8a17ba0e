#include "model/tower_weights.h"

#include <stdlib.h>

typedef struct finder {
    const tess_store *store;
    tess_tower_weights *out;
    tess_error *err;
} finder;

/* Puts the tensor of an entry where its role says. */
static tess_status take_entry(void *arg, const tess_manifest_entry *entry)
{
    finder *f = arg;
    const tess_weight_role *role = &entry->role;
    TESS_ASSERT(role->weight >= 0 && (role->layer >= 0) != (role->part >= 0));
    if (role->part >= 0) {
        TESS_ASSERT(role->part < f->out->n_part && role->weight < TESS_TOWER_PART_WEIGHTS);
        return tess_weight_find(f->store, entry,
                                &f->out->part[role->part * TESS_TOWER_PART_WEIGHTS + role->weight], f->err);
    }
    tess_weight *layer = f->out->layer + (size_t)role->layer * TESS_ENCODER_WEIGHTS;
    if (role->weight < TESS_ENCODER_WEIGHTS)
        return tess_weight_find(f->store, entry, &layer[role->weight], f->err);
    /* Query, key and value are thirds of one tensor. */
    tess_weight *query =
        &layer[role->weight == TESS_ENCODER_QKV ? TESS_ENCODER_QUERY : TESS_ENCODER_QUERY_BIAS];
    tess_weight *const third[] = {query, query + 2, query + 4};
    return tess_weight_find_parts(f->store, entry, 3, third, f->err);
}

/* Parts are numbered from 0: one more than the highest that an entry names. */
static tess_status count_part(void *arg, const tess_manifest_entry *entry)
{
    tess_tower_weights *weights = arg;
    if (entry->role.part >= weights->n_part) weights->n_part = entry->role.part + 1;
    if (entry->role.layer >= weights->n_layer) weights->n_layer = entry->role.layer + 1;
    return TESS_OK;
}

tess_status tess_tower_weights_find(const tess_store *store, const tess_config *config,
                                    tess_component component, tess_tower_weights *out, tess_error *err)
{
    tess_tower_weights found = {0};
    tess_manifest_visit_component(config, component, count_part, &found);
    found.layer = calloc((size_t)found.n_layer * TESS_ENCODER_WEIGHTS, sizeof *found.layer);
    found.part = calloc((size_t)found.n_part * TESS_TOWER_PART_WEIGHTS, sizeof *found.part);
    finder f = {.store = store, .out = &found, .err = err};
    tess_status status =
        found.layer && found.part
            ? tess_manifest_visit_component(config, component, take_entry, &f)
            : tess_fail(err, TESS_ENOMEM, "no memory for a table of %d layers", found.n_layer);
    if (status != TESS_OK)
        tess_tower_weights_release(&found);
    else
        *out = found;
    return status;
}

void tess_tower_weights_release(tess_tower_weights *weights)
{
    free(weights->layer);
    free(weights->part);
    *weights = (tess_tower_weights){0};
}

static tess_bank_layout bank_of(const tess_weight *weight, int n_segment, int n_weight, int n_slot)
{
    return (tess_bank_layout){.weight = weight,
                              .n_segment = n_segment,
                              .n_weight = n_weight,
                              .group_size = n_segment,
                              .n_slot = n_slot,
                              .n_lease = 1};
}

tess_bank_layout tess_tower_layer_bank(const tess_tower_weights *weights, int n_slot)
{
    return bank_of(weights->layer, weights->n_layer, TESS_ENCODER_WEIGHTS, n_slot);
}

tess_bank_layout tess_tower_part_bank(const tess_tower_weights *weights, int n_slot)
{
    return bank_of(weights->part, weights->n_part, TESS_TOWER_PART_WEIGHTS, n_slot);
}
