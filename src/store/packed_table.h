/* The table of a packed store: what it holds, and where.
 *
 * A packed store is a folder: TESS_PACKED_FILE with all weights, beside it the small files of the checkpoint
 * as they are (config.json, the tokenizer's, the index). TESS_PACKED_FILE, all numbers little-endian:
 *
 *   0        superblock, one block of TESS_IO_ALIGN bytes: tess_packed_superblock, zeros, and in the last 8
 * bytes the XXH3 of what is before them 4096     the table: tess_packed_counts, then the arrays of
 * tess_packed_table, one behind the other, then texts: names with a NUL each, and the beginnings of the
 * shards, header included, as they are then     from a multiple of TESS_IO_ALIGN on the pieces, one behind
 * the other, up to the end of the file
 *
 * A piece is some rows of a tensor, all of them but for tables of which single blocks of rows are used. It is
 * plain (bf16, as published) or packed (kernels/packed_weights.h), followed by zeros up to a multiple of 64.
 * Pieces that one computation needs together, a segment, lie next to each other; the first begins at a
 * multiple of TESS_IO_ALIGN, and the last is filled up to one. Every byte of the file is under an XXH3.
 *
 * While a store is being made, as TESS_PACKED_FILE with ".part" behind it, its superblock says so, pieces
 * without bytes are still to come, and instead of the table each tensor that is done carries a check.
 *
 * A table that was read has been checked: numbers and offsets against each other and the file's size, and, of
 * a whole file, pieces that follow each other without a gap. Whether tensors have the shapes that pieces say
 * is checked where shards' headers are known (store.c).
 */
#ifndef TESS_STORE_PACKED_TABLE_H
#define TESS_STORE_PACKED_TABLE_H

#include "base/digest.h"
#include "io/file.h"

#define TESS_PACKED_FILE "model.tessera"
enum { TESS_PACKED_VERSION = 1, TESS_PIECE_ALIGN = 64 };

typedef struct tess_packed_superblock {
    char magic[8]; /* "TESSERA\n" */
    uint32_t version, is_whole;
    uint64_t table_bytes, table_hash; /* XXH3 of the table, and of the zeros behind it */
    uint64_t data_offset, file_bytes;
} tess_packed_superblock;

typedef struct tess_packed_counts {
    uint32_t n_shard, n_tensor, n_piece, n_file;
    uint64_t n_text_byte;
} tess_packed_counts;

/* A file of the published layout; `name` and `head` are offsets into the texts. */
typedef struct tess_packed_shard {
    uint64_t n_byte;
    int64_t ctime_ns; /* of the source while a store is being made; then 0: it tells weights, not files */
    uint64_t name, head, n_head_byte;
    uint64_t n_tensor;
} tess_packed_shard;

/* A tensor, in the order of shards and of offsets in them. */
typedef struct tess_packed_tensor {
    unsigned char sha256[TESS_SHA256_BYTES]; /* of its published bytes; zeros: not known yet */
    uint32_t check; /* the lower half of the XXH3 of sha256 and of its pieces, as they stand in the table */
    uint32_t rows_per_piece, first_piece, n_piece;
} tess_packed_tensor;

/* Rows of a tensor, in the order of tensors and rows. */
typedef struct tess_packed_piece {
    uint64_t offset, n_byte; /* n_byte 0: still to come */
    uint64_t hash;           /* XXH3 of the n_byte bytes */
    uint32_t format;         /* a tess_weight_format */
    uint32_t n_row;
} tess_packed_piece;

/* A file that was carried along. */
typedef struct tess_packed_file {
    uint64_t n_byte, name;
    unsigned char sha256[TESS_SHA256_BYTES];
} tess_packed_file;

/* All in one block, `counts`, which the caller frees. */
typedef struct tess_packed_table {
    tess_packed_counts *counts;
    uint64_t n_byte; /* of the block */
    tess_packed_shard *shard;
    tess_packed_tensor *tensor;
    tess_packed_piece *piece;
    tess_packed_file *file;
    char *texts;
} tess_packed_table;

/* Bytes of a table with these counts; false if they cannot be counted. */
bool tess_packed_table_count_bytes(const tess_packed_counts *counts, uint64_t *n_byte);
/* Points into a block that holds so many. */
tess_packed_table tess_packed_table_at(void *block, uint64_t n_byte);

/* Reads and checks the table of a file. whole: refuse one that is not finished; else it is taken as well, and
 * where its pieces lie is not checked. Errors: TESS_EINPUT, TESS_EUNSUPPORTED  a newer version, TESS_EIO,
 * TESS_ENOMEM. free(out->counts) after success. */
tess_status tess_packed_table_read(tess_file *file, bool whole, tess_packed_table *out, tess_error *err);

/* Pieces in either form. */
void tess_packed_table_count_forms(const tess_packed_table *table, uint64_t *n_packed, uint64_t *n_plain);

/* What `check` of a tensor must be; its pieces lie in the table. */
uint32_t tess_packed_tensor_check(const tess_packed_table *table, const tess_packed_tensor *tensor);

/* The superblock as a block of the file. */
void tess_packed_superblock_write(const tess_packed_superblock *superblock,
                                  unsigned char block[TESS_IO_ALIGN]);
/* Where pieces begin behind a table of so many bytes. */
static inline uint64_t tess_packed_data_offset(uint64_t table_bytes)
{
    return TESS_IO_ALIGN + (table_bytes + TESS_IO_ALIGN - 1) / TESS_IO_ALIGN * TESS_IO_ALIGN;
}
#define TESS_PACKED_MAGIC "TESSERA\n"

#endif
