/* In which order a model's tensors are stored, and in which pieces: as they are used. */
#ifndef TESS_ENGINE_SEGMENTS_H
#define TESS_ENGINE_SEGMENTS_H

#include "model/config.h"
#include "store/packing.h"

/* out[tess_store_get_count(store)]: segments are experts, the other weights of a layer, parts of towers, and
 * tables, which are cut into the blocks of rows that banks lend. The store holds what the configuration
 * implies. TESS_ENOMEM; free(*out). */
tess_status tess_segments_list(const tess_config *config, const tess_store *store, tess_packing_item **out,
                               tess_error *err);

#endif
