/* A checkpoint of 5 KB and its packed store, for tests that damage every part of one: matrices that are
 * packed, one of them with an exception and one in three pieces; a vector, a narrow matrix and a kernel of
 * three axes, which stay plain. The shards' headers have odd lengths. */
#ifndef TESS_TESTS_TINY_STORE_H
#define TESS_TESTS_TINY_STORE_H

#include "store/packing.h"

enum { TINY_SHARDS = 2, TINY_TENSORS = 5, TINY_PIECES = 7, TINY_MOST_BYTES = 1 << 15 };

/* Writes shards and index into a folder that is there. */
void tiny_source_write(const char *folder);

/* Its tensors in the order in which they are stored, in one segment or in two; one file is carried along. */
typedef struct tiny_order {
    tess_store *source;
    tess_packing_item item[TINY_TENSORS];
    tess_packing_file file;
    tess_packing_order order;
} tiny_order;

void tiny_order_open(tiny_order *tiny, const char *folder, int n_segment);
void tiny_order_close(tiny_order *tiny);

/* Writes source and packed store into two folders that are there; the index is beside the store. */
void tiny_store_write(const char *source, const char *folder, int n_segment);

/* The packed file, to be damaged. What it said of its table's size when it was read is kept. */
typedef struct tiny_file {
    _Alignas(8) unsigned char bytes[TINY_MOST_BYTES];
    size_t size;
    uint64_t table_bytes, data_offset;
} tiny_file;

void tiny_file_read(tiny_file *file, const char *path);
tess_packed_superblock *tiny_superblock(tiny_file *file);
tess_packed_table tiny_table(tiny_file *file);
/* Makes the checksums of table and superblock right again. */
void tiny_repair(tiny_file *file);

#endif
