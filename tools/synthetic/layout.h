/* Where every byte of a checkpoint's shards comes from: headers, tensors, and holes.
 *
 * Tensors follow one another in the order of the network; the tensor whose first byte is byte b of all B
 * bytes goes to shard floor(N * b / B). The cut asks nothing about experts, so that cuts fall within them, as
 * the published ones do.
 */
#ifndef TESS_TOOLS_SYNTHETIC_LAYOUT_H
#define TESS_TOOLS_SYNTHETIC_LAYOUT_H

#include "weights.h"

typedef struct layout_tensor {
    weights_recipe recipe;
    uint64_t begin, end; /* in the shard's file */
    bool is_filled;
} layout_tensor;

typedef struct layout_shard {
    char name[64];
    char *header; /* its length in front and padding behind */
    uint64_t header_bytes, file_bytes;
    size_t first_tensor, n_tensor;
} layout_shard;

typedef struct synthetic_layout {
    int n_shard;
    layout_shard *shard;
    size_t n_tensor;
    layout_tensor *tensor; /* shard after shard, by place */
    uint64_t total_bytes, filled_bytes;
    char *index; /* text of model.safetensors.index.json */
    size_t index_bytes;
} synthetic_layout;

/* Bytes of all tensors that the configuration implies. */
uint64_t layout_total_bytes(const tess_config *config);

/* is_filled: by component. Release also after a failure. */
tess_status layout_make(const tess_config *config, const synthetic_weights *weights, const bool *is_filled,
                        int n_shard, synthetic_layout *out, tess_error *err);
void layout_release(synthetic_layout *layout);

/* The smallest range within [offset, offset + n) of a shard that holds all of it that is no hole; false:
 * there is nothing but hole. */
bool layout_find_used(const synthetic_layout *layout, int shard, uint64_t offset, uint64_t n, uint64_t *begin,
                      uint64_t *end);

/* Bytes offset … offset + n - 1 of a shard, both even; holes and what lies behind the end are zeros.
 * Threads: any number, a scratch each. */
void layout_read(const synthetic_layout *layout, const synthetic_weights *weights, int shard, uint64_t offset,
                 uint64_t n, unsigned char *out, weights_scratch *scratch);

#endif
