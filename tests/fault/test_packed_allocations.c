/* Packing and unpacking that does not come to its end: no allocation that fails brings anything down, and
 * what is left unfinished, by that or a kill, damaged since or not, is gone on with to the right bytes or
 * refused. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/hollow.h"
#include "../support/scratch.h"
#include "../support/tiny_store.h"
#include "store/shard_reader.h"
#include "tessera/pack.h"

#define DEMO "demo/checkpoint"

static char source[SCRATCH_BYTES], folder[SCRATCH_BYTES];     /* of the tiny store */
static char store_dir[SCRATCH_BYTES], out_dir[SCRATCH_BYTES]; /* the demo checkpoint's; where tests write */
static tiny_file whole, broken; /* the tiny store as made, and as it is broken */

static int make(void **state)
{
    (void)state;
    char path[256];
    tess_error err;
    tess_pack_result result;
    hollow_folder(source);
    hollow_folder(folder);
    hollow_folder(store_dir);
    hollow_folder(out_dir);
    tiny_store_write(source, folder, 2);
    hollow_path(folder, TESS_PACKED_FILE, path);
    tiny_file_read(&whole, path);
    const tess_pack_options options = {.model_dir = DEMO, .out_dir = store_dir, .n_thread = 2};
    if (tess_pack(&options, &result, &err) != TESS_OK) fail_msg("%s", err.message);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    hollow_remove(source);
    hollow_remove(folder);
    hollow_remove(store_dir);
    hollow_remove(out_dir);
    return 0;
}

static void must_equal(const char *a, const char *b)
{
    char command[256];
    snprintf(command, sizeof command, "diff -rq %s %s", a, b);
    assert_int_equal(system(command), 0);
}

/* ---- allocations: opening and reading ---- */

static tess_error alloc_error;

static void pass_over(void *arg, const tess_problem *problem)
{
    (void)arg;
    fail_msg("%s", problem->message);
}

static tess_status open_once(void)
{
    tess_store *store = NULL;
    tess_status status = tess_store_open(folder, TESS_DIRECT_OFF, &store, &alloc_error);
    assert_true((status == TESS_OK) == (store != NULL));
    if (store) assert_int_equal(tess_store_get_count(store), TINY_TENSORS);
    tess_store_close(store);
    return status;
}

static tess_status open_collecting_once(void)
{
    tess_store *store = NULL;
    const tess_problem_sink sink = {pass_over, NULL};
    tess_status status = tess_store_open_collecting(folder, TESS_DIRECT_OFF, &sink, &store, &alloc_error);
    if (store) assert_int_equal(tess_store_get_count(store), TINY_TENSORS);
    tess_store_close(store);
    return status;
}

static tess_store *open_store; /* that read_once() reads */

static tess_status read_once(void)
{
    static unsigned char window[TESS_IO_ALIGN] __attribute__((aligned(TESS_IO_ALIGN)));
    enum { PART = 1000 };
    tess_shard_reader *reader = NULL;
    tess_weight norm;
    uint16_t out[16];
    const void *bytes;
    tess_status status = tess_shard_reader_new(open_store, 0, &reader, &alloc_error);
    assert_true((status == TESS_OK) == (reader != NULL));
    const uint64_t n = reader ? tess_shard_reader_get_size(reader) : 0;
    for (uint64_t at = 0; status == TESS_OK && at < n; at += PART)
        status = tess_shard_reader_read(reader, at, n - at < PART ? (size_t)(n - at) : PART, window, &bytes,
                                        &alloc_error);
    tess_shard_reader_free(reader);
    if (status != TESS_OK) return status;
    status = tess_store_locate(open_store, tess_store_find(open_store, "c.norm"), 0, 16, &norm, &alloc_error);
    return status == TESS_OK ? tess_store_read_weight(open_store, &norm, out, &alloc_error) : status;
}

static tess_packing_order *open_order; /* that begin_once() is to pack */

/* Without a record of the failure, whose status must be the right one all the same. */
static tess_status begin_once(void)
{
    char path[256];
    tess_packing *packing = NULL;
    hollow_path(out_dir, TESS_PACKED_FILE, path);
    const tess_status status = tess_packing_open(open_order, path, NULL, &packing, NULL);
    assert_true((status == TESS_OK) == (packing != NULL));
    tess_packing_close(packing);
    return status;
}

static void test_allocations_of_beginning(void **state)
{
    (void)state;
    tiny_order tiny;
    tiny_order_open(&tiny, source, 2);
    open_order = &tiny.order;
    alloc_error = (tess_error){0};
    assert_true(fault_alloc_each(begin_once, &alloc_error) >= 4);
    tiny_order_close(&tiny);
    hollow_remove(out_dir);
}

static void test_allocations_of_opening(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(open_once, &alloc_error) >= 15);
    assert_true(fault_alloc_each(open_collecting_once, &alloc_error) >= 15);
    assert_int_equal(tess_store_open(folder, TESS_DIRECT_OFF, &open_store, NULL), TESS_OK);
    assert_true(fault_alloc_each(read_once, &alloc_error) >= 3);
    tess_store_close(open_store);
}

/* ---- allocations: packing and unpacking ---- */

static uint64_t most_found; /* of what an attempt that failed had done */

/* Packs or unpacks into a folder that is not there. Where a failure leaves one, another call goes on. */
static tess_status work_once(tess_status (*work)(const tess_pack_options *, tess_pack_result *, tess_error *),
                             const char *from, const char *wanted)
{
    const tess_pack_options options = {.model_dir = from, .out_dir = out_dir, .n_thread = 1};
    tess_pack_result result = {.n_shard = -1};
    tess_error err;
    hollow_remove(out_dir);
    const tess_status status = work(&options, &result, &alloc_error);
    assert_true((status == TESS_OK) == (result.n_shard != -1));
    if (status == TESS_ENOMEM) {
        assert_true(*alloc_error.message);
        if (access(out_dir, F_OK) != 0) return status;
        if (work(&options, &result, &err) != TESS_OK) fail_msg("not gone on with: %s", err.message);
        if (result.found_bytes > most_found) most_found = result.found_bytes;
    }
    if (status == TESS_OK || status == TESS_ENOMEM) must_equal(out_dir, wanted);
    return status;
}

static tess_status pack_once(void)
{
    return work_once(tess_pack, DEMO, store_dir);
}

static void test_allocations_of_packing(void **state)
{
    (void)state;
    most_found = 0;
    assert_true(fault_alloc_some(pack_once, &alloc_error, getenv("TESS_SANITIZED") ? 31 : 7) >= 60);
    assert_true(most_found > 0);
}

static tess_status unpack_once(void)
{
    return work_once(tess_unpack, folder, source);
}

static void test_allocations_of_unpacking(void **state)
{
    (void)state;
    most_found = 0;
    assert_true(fault_alloc_each(unpack_once, &alloc_error) >= 60);
    assert_true(most_found > 0);
}

/* The demo checkpoint, whose store was made without a fault. */
static void test_unpacking_gives_back(void **state)
{
    (void)state;
    const tess_pack_options options = {.model_dir = store_dir, .out_dir = out_dir, .n_thread = 2};
    tess_pack_result result;
    hollow_remove(out_dir);
    assert_int_equal(tess_unpack(&options, &result, NULL), TESS_OK);
    assert_int_equal(result.found_bytes, 0);
    must_equal(out_dir, DEMO);
}

/* ---- what was left ---- */

/* Packs the tiny checkpoint where out_dir holds `file` under its unfinished name. */
static tess_status go_on(const unsigned char *file, size_t n, tess_packing_facts *facts, tess_error *err)
{
    char path[256], part[256];
    tiny_order tiny;
    tess_packing *packing;
    hollow_remove(out_dir);
    assert_int_equal(mkdir(out_dir, 0700), 0);
    hollow_path(out_dir, TESS_PACKED_FILE, path);
    hollow_path(out_dir, TESS_PACKED_FILE ".part", part);
    scratch_write(part, file, n);
    tiny_order_open(&tiny, source, 2);
    tess_status status = tess_packing_open(&tiny.order, path, NULL, &packing, err);
    if (status == TESS_OK) {
        status = tess_packing_run(packing, 1, NULL, err);
        if (status == TESS_OK)
            status = tess_packing_commit(packing, facts, err);
        else
            tess_packing_close(packing);
    }
    tiny_order_close(&tiny);
    return status;
}

static void must_be_whole(void)
{
    char path[256];
    static unsigned char made[TINY_MOST_BYTES];
    hollow_path(out_dir, TESS_PACKED_FILE, path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(made, 1, sizeof made, f), whole.size);
    fclose(f);
    assert_memory_equal(made, whole.bytes, whole.size);
}

/* Takes `file` for what is there, and makes the right store of it, of which so many bytes had been done. */
static void must_go_on(const unsigned char *file, size_t n, uint64_t found_bytes)
{
    tess_packing_facts facts;
    tess_error err;
    if (go_on(file, n, &facts, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(facts.found_bytes, found_bytes);
    must_be_whole();
}

/* An unfinished table has no checksum, so any of its bytes may have changed. What comes of it is refused, or
 * the right store. */
static void test_going_on_with_damage(void **state)
{
    (void)state;
    enum { FIRST_SEGMENT = 2560 };
    tess_packing_facts facts;
    tess_error err;
    broken = whole;
    const tess_packed_table t = tiny_table(&broken);
    tiny_superblock(&broken)->is_whole = 0;
    t.piece[4] = (tess_packed_piece){.n_row = 16}; /* c.norm, the last, is still to come */
    memset(t.tensor[2].sha256, 0, TESS_SHA256_BYTES);
    t.tensor[2].check = 0;
    tiny_repair(&broken);
    must_go_on(broken.bytes, whole.size, FIRST_SEGMENT);
    t.piece[0].n_row = INT32_MAX; /* of the second segment, and so is the next */
    must_go_on(broken.bytes, whole.size, FIRST_SEGMENT);
    t.piece[6].offset += TESS_PIECE_ALIGN;
    must_go_on(broken.bytes, whole.size, FIRST_SEGMENT);
    t.tensor[1].n_piece = 2, t.tensor[2].first_piece = 3, t.tensor[2].n_piece = 2;
    assert_int_equal(go_on(broken.bytes, whole.size, &facts, &err), TESS_EINPUT);
    assert_non_null(strstr(err.message, TESS_PACKED_FILE ".part"));
    t.tensor[1].n_piece = 3, t.tensor[2].first_piece = 4, t.tensor[2].n_piece = 1;
    t.piece[1].hash++;
    must_go_on(broken.bytes, whole.size, 0);
    t.piece[1].hash--;
    t.piece[1].n_byte = UINT64_MAX - 63;
    must_go_on(broken.bytes, whole.size, 0);
}

/* Pieces more than the checkpoint has would be written behind the end of its table. */
static void test_going_on_with_more_pieces(void **state)
{
    (void)state;
    tess_packing_facts facts;
    tess_error err;
    const tess_packed_table from = tiny_table(&whole);
    broken = whole;
    tess_packed_superblock *s = tiny_superblock(&broken);
    s->is_whole = 0;
    s->table_bytes += sizeof *from.piece;
    assert_int_equal(tess_packed_data_offset(s->table_bytes), s->data_offset);
    const size_t behind = (size_t)((unsigned char *)&from.piece[TINY_PIECES] - whole.bytes);
    memcpy(broken.bytes + behind + sizeof *from.piece, whole.bytes + behind,
           TESS_IO_ALIGN + (size_t)tiny_superblock(&whole)->table_bytes - behind);
    ((tess_packed_counts *)(void *)(broken.bytes + TESS_IO_ALIGN))->n_piece++;
    const tess_packed_table t = tess_packed_table_at(broken.bytes + TESS_IO_ALIGN, s->table_bytes);
    t.tensor[4].n_piece++;
    t.piece[TINY_PIECES] = (tess_packed_piece){.n_row = 1};
    tiny_repair(&broken);
    assert_int_equal(go_on(broken.bytes, whole.size, &facts, &err), TESS_EINPUT);
    assert_non_null(strstr(err.message, "cut otherwise"));
}

/* Killed between the last write and the renaming: which may take as long as the disk takes to flush it all.
 */
static void test_going_on_with_a_whole_one(void **state)
{
    (void)state;
    must_go_on(whole.bytes, whole.size, 4718);
    memset(broken.bytes, 0xff, sizeof broken.bytes);
    memcpy(broken.bytes, whole.bytes, whole.size);
    must_go_on(broken.bytes, whole.size + 100, 4718);
}

/* A finished store's table says 0 for the times of its source, and 1970 is no proof that files are the same.
 */
static void test_time_of_nothing(void **state)
{
    (void)state;
    char path[256];
    tess_packing_facts facts;
    tess_error err;
    broken = whole;
    tiny_superblock(&broken)->is_whole = 0;
    tiny_repair(&broken);
    hollow_path(source, "model-00002-of-00002.safetensors", path);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    const int last = getc(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    putc(last ^ 1, f);
    assert_int_equal(fclose(f), 0);
    static const struct timespec never[2];
    for (int i = 1; i <= TINY_SHARDS; i++) {
        char name[64];
        hollow_shard_name(i, TINY_SHARDS, name);
        hollow_path(source, name, path);
        assert_int_equal(utimensat(AT_FDCWD, path, never, 0), 0);
    }
    assert_int_equal(go_on(broken.bytes, whole.size, &facts, &err), TESS_EINPUT);
    assert_string_equal(err.field, "e.narrow");
    tiny_source_write(source);
}

/* Touches a shard of the copy while it is packed. */
static bool touch_source(void *context, tess_activity activity, uint64_t done, uint64_t total)
{
    char path[256];
    (void)done;
    (void)total;
    hollow_path(context, "model-00002-of-00004.safetensors", path);
    if (activity == TESS_ACTIVITY_PACKING) assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    return true;
}

/* What was read may be the halves of two: it is no store, and gone on with as far as the bytes are the same.
 */
static void test_source_that_changes(void **state)
{
    (void)state;
    char copy[SCRATCH_BYTES];
    tess_error err;
    tess_pack_result result;
    const tess_progress progress = {touch_source, copy};
    hollow_folder(copy);
    hollow_copy(DEMO, copy);
    hollow_remove(out_dir);
    tess_pack_options options = {.model_dir = copy, .out_dir = out_dir, .n_thread = 2, .progress = &progress};
    assert_int_equal(tess_pack(&options, &result, &err), TESS_EINPUT);
    assert_non_null(strstr(err.message, "one that has changed"));
    char path[256];
    hollow_path(out_dir, TESS_PACKED_FILE, path);
    assert_int_not_equal(access(path, F_OK), 0);
    options.progress = NULL;
    assert_int_equal(tess_pack(&options, &result, &err), TESS_OK);
    assert_true(result.found_bytes > 0);
    must_equal(out_dir, store_dir);
    hollow_remove(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_of_opening),    cmocka_unit_test(test_allocations_of_beginning),
        cmocka_unit_test(test_allocations_of_packing),    cmocka_unit_test(test_allocations_of_unpacking),
        cmocka_unit_test(test_unpacking_gives_back),      cmocka_unit_test(test_going_on_with_damage),
        cmocka_unit_test(test_going_on_with_more_pieces), cmocka_unit_test(test_going_on_with_a_whole_one),
        cmocka_unit_test(test_time_of_nothing),           cmocka_unit_test(test_source_that_changes),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
