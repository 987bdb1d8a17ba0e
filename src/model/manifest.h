/* Every tensor that a configuration implies: name, shape, component. All are BF16.
 *
 * This is the T0 half of the proof: a checkpoint holds the model if it has these tensors, each once, and no
 * other. Names and shapes are the published ones (one tensor per expert and projection).
 */
#ifndef TESS_MODEL_MANIFEST_H
#define TESS_MODEL_MANIFEST_H

#include "model/config.h"
#include "store/store.h"

typedef struct tess_manifest_entry {
    const char *name; /* lives for the call */
    tess_component component;
    int n_dim;
    uint64_t dim[TESS_MAX_DIM];
} tess_manifest_entry;

/* Called for every tensor; another status than TESS_OK ends the enumeration and is returned. */
typedef tess_status tess_manifest_visitor(void *arg, const tess_manifest_entry *entry);

/* Enumerates component by component, each in the order of the network. */
tess_status tess_manifest_visit(const tess_config *config, tess_manifest_visitor *visitor, void *arg);

/* Compares with what a store has: missing, extra, misshapen, wrong dtype. With `sink` every problem is
 * reported; without, the first is a failure, TESS_EINPUT. */
tess_status tess_manifest_check(const tess_config *config, const tess_store *store,
                                const tess_problem_sink *sink, tess_error *err);

#endif
