/* Damaged packed stores: each field of superblock and table refused by name though its checksum is right,
 * each flipped bit noticed where it is read, each length but the right one refused, and weights that were
 * changed together with their checksums not given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/hollow.h"
#include "../support/scratch.h"
#include "../support/tiny_store.h"
#include "base/xxh3.h"
#include "store/shard_reader.h"
#include "tessera/pack.h"

static char source[SCRATCH_BYTES], folder[SCRATCH_BYTES], packed_path[256];
static tiny_file whole, broken; /* the store as made, and as it is broken */

static int make(void **state)
{
    (void)state;
    hollow_folder(source);
    hollow_folder(folder);
    tiny_store_write(source, folder, 2);
    hollow_path(folder, TESS_PACKED_FILE, packed_path);
    tiny_file_read(&whole, packed_path);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    hollow_remove(source);
    hollow_remove(folder);
    return 0;
}

static void ignore_problem(void *arg, const tess_problem *problem)
{
    assert_non_null(strstr(problem->message, TESS_PACKED_FILE));
    ++*(size_t *)arg;
}

/* Opening refuses the file with a sentence that names it and says `word`; an inspection does so, too. */
static void must_refuse(const unsigned char *file, size_t n, tess_status wanted, const char *word)
{
    tess_store *store = NULL;
    tess_error err;
    size_t n_problem = 0;
    const tess_problem_sink sink = {ignore_problem, &n_problem};
    scratch_write(packed_path, file, n);
    const tess_status status = tess_store_open(folder, TESS_DIRECT_OFF, &store, &err);
    if (status != wanted) fail_msg("%s: %s", word, tess_status_name(status));
    assert_null(store);
    if (!strstr(err.message, packed_path) || !strstr(err.message, word))
        fail_msg("\"%s\" is not in: %s", word, err.message);
    const tess_status collecting = tess_store_open_collecting(folder, TESS_DIRECT_OFF, &sink, &store, &err);
    assert_int_equal(collecting, wanted);
    assert_int_equal(n_problem, 0);
}

static void begin(void)
{
    broken = whole;
}

/* ---- fields ---- */

typedef struct fault {
    void (*apply)(tess_packed_superblock *s, const tess_packed_table *t);
    const char *word; /* in the refusal */
} fault;

/* A function that changes one thing. */
#define CHANGE(name, statement)                                                                              \
    static void name(tess_packed_superblock *s, const tess_packed_table *t)                                  \
    {                                                                                                        \
        (void)s;                                                                                             \
        (void)t;                                                                                             \
        statement;                                                                                           \
    }

CHANGE(other_magic, s->magic[7] = ' ')
CHANGE(older, s->version = 0)
CHANGE(not_whole, s->is_whole = 0)
CHANGE(no_table, s->table_bytes = sizeof(tess_packed_counts) - 1)
CHANGE(shorter_table, s->table_bytes--)
CHANGE(longer_table, s->table_bytes++)
CHANGE(endless_table, s->table_bytes = UINT64_MAX)
CHANGE(table_of_a_gigabyte, s->table_bytes = 1 << 30)
CHANGE(earlier_data, s->data_offset -= TESS_IO_ALIGN)
CHANGE(later_data, s->data_offset += TESS_IO_ALIGN)
CHANGE(longer_file, s->file_bytes += TESS_IO_ALIGN)
CHANGE(shorter_file, s->file_bytes -= TESS_IO_ALIGN)
static const fault superblock_faults[] = {
    {other_magic, "another kind of file"},
    {older, "version"},
    {not_whole, "not finished"},
    {no_table, "table_bytes"},
    {shorter_table, "counts that make up its size"},
    {longer_table, "counts that make up its size"},
    {endless_table, "table_bytes"},
    {table_of_a_gigabyte, "table_bytes"},
    {earlier_data, "data_offset"},
    {later_data, "data_offset"},
    {longer_file, "it is cut off"},
    {shorter_file, "a file of"},
};

CHANGE(more_shards, t->counts->n_shard++)
CHANGE(more_tensors, t->counts->n_tensor++)
CHANGE(fewer_tensors, t->counts->n_tensor--)
CHANGE(more_pieces, t->counts->n_piece++)
CHANGE(all_pieces, t->counts->n_piece = UINT32_MAX)
CHANGE(more_files, t->counts->n_file++)
CHANGE(more_texts, t->counts->n_text_byte++)
CHANGE(endless_texts, t->counts->n_text_byte = UINT64_MAX)
/* 48 bytes each: the sum stays right */
CHANGE(a_shard_for_a_file, (t->counts->n_shard++, t->counts->n_file--))
CHANGE(a_tensor_for_a_shard, (t->counts->n_tensor++, t->counts->n_shard--))
static const fault count_faults[] = {
    {more_shards, "counts that make up its size"},
    {more_tensors, "counts that make up its size"},
    {fewer_tensors, "counts that make up its size"},
    {more_pieces, "counts that make up its size"},
    {all_pieces, "counts that make up its size"},
    {more_files, "counts that make up its size"},
    {more_texts, "counts that make up its size"},
    {endless_texts, "counts that make up its size"},
    {a_shard_for_a_file, "shard"},
    {a_tensor_for_a_shard, "expected"},
};

CHANGE(shard_of_no_bytes, t->shard[1].n_byte = 0)
CHANGE(longer_shard, t->shard[1].n_byte++)
CHANGE(endless_shard, t->shard[1].n_byte = UINT64_MAX)
CHANGE(name_outside, t->shard[1].name = t->counts->n_text_byte)
CHANGE(name_far_outside, t->shard[1].name = UINT64_MAX)
CHANGE(name_without_end, t->shard[1].name = t->counts->n_text_byte - 1)
CHANGE(empty_name, t->texts[t->shard[0].name] = 0)
CHANGE(name_with_folder, t->texts[t->shard[0].name + 1] = '/')
CHANGE(name_of_parent, memcpy(t->texts + t->shard[0].name, "..", 3))
CHANGE(equal_names, t->shard[1].name = t->shard[0].name)
CHANGE(head_outside, t->shard[1].head = t->counts->n_text_byte + 1)
CHANGE(head_too_long, t->shard[1].n_head_byte = t->counts->n_text_byte)
CHANGE(head_endless, t->shard[1].n_head_byte = UINT64_MAX)
CHANGE(head_cut, t->shard[0].n_head_byte--)
CHANGE(head_of_no_bytes, t->shard[0].n_head_byte = 0)
CHANGE(head_of_another, t->shard[0].head = t->shard[1].head)
CHANGE(header_length, t->texts[t->shard[0].head]++)
CHANGE(header_endless, memset(t->texts + t->shard[0].head, 0xff, 8))
CHANGE(header_text, t->texts[t->shard[0].head + 8] = '[')
CHANGE(more_in_shard, (t->shard[0].n_tensor++, t->shard[1].n_tensor--))
CHANGE(too_many_in_shard, t->shard[1].n_tensor++)
CHANGE(too_few_in_shard, t->shard[1].n_tensor--)
CHANGE(endless_in_shard, t->shard[1].n_tensor = UINT64_MAX)
static const fault shard_faults[] = {
    {shard_of_no_bytes, "header length"},
    {longer_shard, "a file of"},
    {endless_shard, "a file of"},
    {name_outside, "shard: name"},
    {name_far_outside, "shard: name"},
    {name_without_end, "name"},
    {empty_name, "shard: name"},
    {name_with_folder, "shard: name"},
    {name_of_parent, "shard: name"},
    {equal_names, "names in their order"},
    {head_outside, "shard: header"},
    {head_too_long, "shard: header"},
    {head_endless, "shard: header"},
    {head_cut, "header"},
    {head_of_no_bytes, "header"},
    {head_of_another, ""},
    {header_length, ""},
    {header_endless, ""},
    {header_text, "header"},
    {more_in_shard, "as many tensors as its header has"},
    {too_many_in_shard, "shard: tensors"},
    {too_few_in_shard, "as many as all shards have"},
    {endless_in_shard, "shard: tensors"},
};

CHANGE(rows_of_none, t->tensor[1].rows_per_piece = 0)
CHANGE(rows_of_fewer, t->tensor[1].rows_per_piece = 3)
CHANGE(rows_of_more, t->tensor[1].rows_per_piece = 5)
CHANGE(rows_without_end, t->tensor[1].rows_per_piece = UINT32_MAX)
CHANGE(other_first_piece, t->tensor[1].first_piece++)
CHANGE(tensor_without_pieces, t->tensor[1].n_piece = 0)
CHANGE(one_piece_fewer, t->tensor[1].n_piece--)
CHANGE(pieces_without_end, t->tensor[1].n_piece = UINT32_MAX)
CHANGE(piece_of_another, (t->tensor[1].n_piece++, t->tensor[2].first_piece++, t->tensor[2].n_piece--))
CHANGE(piece_of_the_next, (t->tensor[1].n_piece--, t->tensor[2].first_piece--, t->tensor[2].n_piece++))
CHANGE(last_without, t->tensor[4].n_piece = 2)
static const fault tensor_faults[] = {
    {rows_of_none, "tensor: pieces"},
    {rows_of_fewer, "b.table"},
    {rows_of_more, "b.table"},
    {rows_without_end, "b.table"},
    {other_first_piece, "tensor: pieces"},
    {tensor_without_pieces, "tensor: pieces"},
    {one_piece_fewer, "tensor: pieces"},
    {pieces_without_end, "tensor: pieces"},
    {piece_of_another, "tensor: pieces"},
    {piece_of_the_next, "b.table"},
    {last_without, "tensor: pieces"},
};

/* Piece 0 is all of a.exception, 1 to 3 are b.table's, 4 is c.norm. */
CHANGE(piece_moved, t->piece[0].offset += TESS_PIECE_ALIGN)
CHANGE(piece_before, t->piece[1].offset = 0)
CHANGE(piece_outside, t->piece[1].offset = UINT64_MAX - 63)
CHANGE(piece_twice, t->piece[1].offset = t->piece[2].offset)
CHANGE(piece_of_no_bytes, t->piece[0].n_byte = 0)
CHANGE(piece_of_odd_bytes, t->piece[0].n_byte++)
CHANGE(piece_longer, t->piece[0].n_byte += TESS_PIECE_ALIGN)
CHANGE(piece_shorter, t->piece[0].n_byte -= TESS_PIECE_ALIGN)
CHANGE(piece_without_end, t->piece[0].n_byte = UINT64_MAX - 63)
CHANGE(piece_without_rows, t->piece[0].n_row = 0)
CHANGE(piece_with_more_rows, t->piece[0].n_row++)
CHANGE(piece_with_all_rows, t->piece[0].n_row = UINT32_MAX)
CHANGE(unknown_format, t->piece[0].format = 2)
CHANGE(packed_as_plain, t->piece[0].format = TESS_FORMAT_BF16)
CHANGE(vector_as_packed, t->piece[4].format = TESS_FORMAT_PACKED)
CHANGE(kernel_as_packed, t->piece[5].format = TESS_FORMAT_PACKED)
CHANGE(narrow_as_packed, t->piece[6].format = TESS_FORMAT_PACKED)
CHANGE(sizes_exchanged, (t->piece[2].n_byte -= 128, t->piece[3].n_byte += 128, t->piece[3].offset -= 128))
static const fault piece_faults[] = {
    {piece_moved, "follow each other"},
    {piece_before, "follow each other"},
    {piece_outside, "follow each other"},
    {piece_twice, "follow each other"},
    {piece_of_no_bytes, "a multiple of 64 bytes"},
    {piece_of_odd_bytes, "a multiple of 64 bytes"},
    {piece_longer, "follow each other"},
    {piece_shorter, "follow each other"},
    {piece_without_end, "piece"},
    {piece_without_rows, "piece: bytes"},
    {piece_with_more_rows, "a.exception"},
    {piece_with_all_rows, "a.exception"},
    {unknown_format, "piece: format"},
    {packed_as_plain, "a.exception"},
    {vector_as_packed, "c.norm"},
    {kernel_as_packed, "d.kernel"},
    {narrow_as_packed, "e.narrow"},
    {sizes_exchanged, "b.table"},
};

CHANGE(file_outside, t->file[0].name = t->counts->n_text_byte)
CHANGE(file_of_a_shard, t->file[0].name = t->shard[1].name)
CHANGE(file_with_folder, t->texts[t->file[0].name] = '/')
CHANGE(file_of_this_folder, memcpy(t->texts + t->file[0].name, ".", 2))
static const fault file_faults[] = {
    {file_outside, "file: name"},
    {file_of_a_shard, "none a shard's"},
    {file_with_folder, "file: name"},
    {file_of_this_folder, "file: name"},
};

static void refuse_each(const fault *faults, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        begin();
        const tess_packed_table t = tiny_table(&broken);
        faults[i].apply(tiny_superblock(&broken), &t);
        tiny_repair(&broken);
        must_refuse(broken.bytes, whole.size, TESS_EINPUT, faults[i].word);
    }
}
#define REFUSE_EACH(faults) refuse_each(faults, sizeof(faults) / sizeof *(faults))

static void test_superblock_fields(void **state)
{
    (void)state;
    REFUSE_EACH(superblock_faults);
}

static void test_table_fields(void **state)
{
    (void)state;
    REFUSE_EACH(count_faults);
    REFUSE_EACH(shard_faults);
    REFUSE_EACH(tensor_faults);
    REFUSE_EACH(piece_faults);
    REFUSE_EACH(file_faults);
}

static void test_newer_version(void **state)
{
    (void)state;
    begin();
    tiny_superblock(&broken)->version = TESS_PACKED_VERSION + 1;
    tiny_repair(&broken);
    must_refuse(broken.bytes, whole.size, TESS_EUNSUPPORTED, "a newer Tessera reads it");
    tiny_superblock(&broken)->version++; /* not repaired: no version but damage */
    must_refuse(broken.bytes, whole.size, TESS_EINPUT, "its checksum");
}

/* ---- lengths ---- */

static void test_truncated(void **state)
{
    (void)state;
    const tess_packed_superblock *s = tiny_superblock(&whole);
    const size_t edges[] = {
        0,         sizeof *s, TESS_IO_ALIGN, (size_t)(TESS_IO_ALIGN + s->table_bytes), (size_t)s->data_offset,
        whole.size};
    const size_t n_edge = sizeof edges / sizeof *edges;
    for (size_t i = 0; i < n_edge; i++)
        for (size_t n = edges[i] < 2 ? 0 : edges[i] - 2; n <= edges[i] + 2; n++)
            if (n < whole.size) must_refuse(whole.bytes, n, TESS_EINPUT, "");
    for (size_t n = 0; n < whole.size; n += 97) must_refuse(whole.bytes, n, TESS_EINPUT, "bytes");
    memset(broken.bytes, 0, sizeof broken.bytes);
    memcpy(broken.bytes, whole.bytes, whole.size);
    must_refuse(broken.bytes, whole.size + 1, TESS_EINPUT, "a file of");
    must_refuse(broken.bytes, whole.size + TESS_IO_ALIGN, TESS_EINPUT, "a file of");
}

/* ---- bits ---- */

/* Whether exactly tensor `damaged` of the store is damaged, or none at -1, by what shards and weights say. */
static void check_damage(int damaged, int piece)
{
    static unsigned char window[2 * TINY_MOST_BYTES] __attribute__((aligned(TESS_IO_ALIGN)));
    tess_store *store;
    tess_error err;
    const void *bytes;
    if (tess_store_open(folder, TESS_DIRECT_OFF, &store, &err) != TESS_OK) fail_msg("%s", err.message);
    int place = 0;
    for (int i = 0; i < TINY_SHARDS; i++) {
        const tess_safetensors *st = tess_store_get_shard(store, i);
        tess_shard_reader *reader;
        assert_int_equal(tess_shard_reader_new(store, i, &reader, NULL), TESS_OK);
        const size_t n = (size_t)tess_shard_reader_get_size(reader);
        assert_int_equal(tess_shard_reader_read(reader, 0, n, window, &bytes, NULL), TESS_OK);
        for (size_t k = 0; k < tess_safetensors_get_count(st); k++, place++) {
            uint64_t offset = 0;
            assert_int_equal(tess_shard_reader_is_damaged(reader, k, &offset), place == damaged);
            if (place == damaged) assert_int_equal(offset, tiny_table(&whole).piece[piece].offset);
        }
        tess_shard_reader_free(reader);
    }
    if (damaged >= 0) {
        const tess_packed_table t = tiny_table(&whole);
        const tess_tensor *tensor = tess_store_get(store, (size_t)damaged);
        const uint64_t rows = t.tensor[damaged].rows_per_piece;
        tess_weight w;
        assert_int_equal(tess_store_locate(store, tensor,
                                           (uint64_t)(piece - (int)t.tensor[damaged].first_piece) * rows,
                                           t.piece[piece].n_row, &w, NULL),
                         TESS_OK);
        assert_int_equal(tess_file_read(tess_store_get_file(store, 0), w.offset, window, w.n_byte, NULL),
                         TESS_OK);
        assert_int_equal(tess_store_check_weight(store, &w, window, &err), TESS_EINPUT);
        assert_string_equal(err.file, packed_path);
        assert_string_equal(err.field, tensor->name);
        assert_int_equal(err.offset, w.offset);
    }
    tess_store_close(store);
}

static int find_piece(size_t at)
{
    const tess_packed_table t = tiny_table(&whole);
    for (int i = 0; i < TINY_PIECES; i++)
        if (at >= t.piece[i].offset && at < t.piece[i].offset + t.piece[i].n_byte) return i;
    fail_msg("byte %zu is in no piece", at);
    return -1;
}

static int find_owner(int piece)
{
    const tess_packed_table t = tiny_table(&whole);
    int owner = 0;
    while (owner + 1 < TINY_TENSORS && (int)t.tensor[owner + 1].first_piece <= piece) owner++;
    return owner;
}

/* Steps that are prime to the sizes of records and blocks, and the ends of each part. */
static void test_flipped_bits(void **state)
{
    (void)state;
    const tess_packed_superblock *s = tiny_superblock(&whole);
    scratch_write(packed_path, whole.bytes, whole.size);
    check_damage(-1, -1);
    begin();
    for (size_t at = 0; at < s->data_offset; at += at < sizeof *s ? 1 : 13) {
        broken.bytes[at] ^= (unsigned char)(1 << at % 8);
        must_refuse(broken.bytes, whole.size, TESS_EINPUT, at < 8 ? "another kind of file" : "its checksum");
        broken.bytes[at] ^= (unsigned char)(1 << at % 8);
    }
    for (size_t at = s->data_offset, n = 0; at < whole.size; at += 13, n++) {
        const int piece = find_piece(at);
        broken.bytes[at] ^= (unsigned char)(1 << n % 8);
        scratch_write(packed_path, broken.bytes, whole.size);
        check_damage(find_owner(piece), piece);
        broken.bytes[at] ^= (unsigned char)(1 << n % 8);
    }
    for (int piece = 0; piece < TINY_PIECES; piece++) { /* its first byte, and its last, which fills it up */
        const tess_packed_piece *p = &tiny_table(&whole).piece[piece];
        const size_t ends[] = {(size_t)p->offset, (size_t)(p->offset + p->n_byte - 1)};
        for (int i = 0; i < 2; i++) {
            broken.bytes[ends[i]] ^= 0x80;
            scratch_write(packed_path, broken.bytes, whole.size);
            check_damage(find_owner(piece), piece);
            broken.bytes[ends[i]] ^= 0x80;
        }
    }
}

/* A matrix that is not sound is damaged though its checksum is right. */
static void test_unsound_matrix(void **state)
{
    (void)state;
    const tess_packed_piece *p = &tiny_table(&whole).piece[0];
    const size_t first = (size_t)p->offset + 8 * (192 + 16), list = first + 9 * sizeof(uint32_t);
    static const struct {
        size_t at;
        bool in_list;
        uint32_t value;
    } changes[] = {
        {0, false, 1},          /* where the first row's exceptions begin */
        {3, false, 2},          /* more than there are */
        {8, false, UINT32_MAX}, /* they do not end in the piece */
        {8, false, 0},          /* fewer than a row has */
        {0, true, 128u << 16},  /* behind the last column */
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        begin();
        memcpy(broken.bytes + (changes[i].in_list ? list : first) + 4 * changes[i].at, &changes[i].value, 4);
        tiny_table(&broken).piece[0].hash = tess_xxh3(broken.bytes + p->offset, p->n_byte);
        tiny_repair(&broken);
        scratch_write(packed_path, broken.bytes, whole.size);
        check_damage(0, 0);
    }
}

/* ---- what is packed, and is not what was ---- */

/* Weights that were changed together with every checksum but the SHA-256. */
static void test_unpacking_other_weights(void **state)
{
    (void)state;
    char out_dir[SCRATCH_BYTES], command[128];
    hollow_folder(out_dir);
    begin();
    const tess_packed_table t = tiny_table(&broken);
    broken.bytes[t.piece[2].offset + 3] ^= 0x10;
    t.piece[2].hash = tess_xxh3(broken.bytes + t.piece[2].offset, t.piece[2].n_byte);
    tiny_repair(&broken);
    scratch_write(packed_path, broken.bytes, whole.size);
    const tess_pack_options options = {.model_dir = folder, .out_dir = out_dir, .n_thread = 1};
    tess_pack_result result;
    tess_error err;
    assert_int_equal(tess_unpack(&options, &result, &err), TESS_EINPUT);
    assert_string_equal(err.file, packed_path);
    assert_string_equal(err.field, "b.table");
    scratch_write(packed_path, whole.bytes, whole.size);
    assert_int_equal(tess_unpack(&options, &result, &err), TESS_OK);
    snprintf(command, sizeof command, "diff -rq %s %s", out_dir, source);
    assert_int_equal(system(command), 0);
    hollow_remove(out_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_superblock_fields),
        cmocka_unit_test(test_table_fields),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_unsound_matrix),
        cmocka_unit_test(test_unpacking_other_weights),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
