/* Packing the weights of a segment: those that can be packed, each by itself; vectors and narrow matrices are
 * copied as they are. What comes out gives products the bits of what went in. */
#ifndef TESS_STORE_SEGMENT_PACKING_H
#define TESS_STORE_SEGMENT_PACKING_H

#include "base/pool.h"
#include "kernels/matrix.h"

enum { TESS_SEGMENT_ALIGN = 64 };

/* The bytes a packed segment takes, of whose n matrices only the shapes matter. */
uint64_t tess_segment_packed_bytes(const tess_matrix *matrix, int n);

/* Packs plain[n] into room[tess_segment_packed_bytes()], which starts at a multiple of TESS_SEGMENT_ALIGN, by
 * the threads of the pool; packed[n] are views of it. False: a matrix has so many exceptions that packing it
 * does not pay; then packed and the room hold nothing of use. */
bool tess_segment_pack(tess_pool *pool, const tess_matrix *plain, int n, unsigned char *room,
                       tess_matrix *packed);

#endif
