/* Where a weight lies in a checkpoint, and in what form. */
#ifndef TESS_STORE_WEIGHT_H
#define TESS_STORE_WEIGHT_H

#include <stdint.h>

#include "kernels/matrix.h"

/* Bytes [offset, offset + n_byte) of a file of the store hold n_row x n_col weights (a vector is one row).
 * n_byte 0: a weight that is not there. */
typedef struct tess_weight {
    uint64_t offset, n_byte; /* in a packed store with what fills the last 64 bytes */
    int file, n_row, n_col;
    tess_weight_format format;
    int piece; /* of a packed store, else -1 */
} tess_weight;

/* The bytes of a weight as published. */
static inline uint64_t tess_weight_plain_bytes(const tess_weight *weight)
{
    return weight->n_byte ? (uint64_t)weight->n_row * (uint64_t)weight->n_col * sizeof(uint16_t) : 0;
}

#endif
