/* Whose digests the ledger holds: taken for true while size and time stay, and for nothing once they change.
 */
#include "tessera/ledger.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/ledger.h"
#include "../support/scratch.h"

static char folder[32];
static char path[64], model[64];
static tess_error err;
static tess_ledger *ledger;
static tess_checkpoint *checkpoint;
static const char *const copied[] = {"config.json",
                                     "model.safetensors.index.json",
                                     "model-00001-of-00004.safetensors",
                                     "model-00002-of-00004.safetensors",
                                     "model-00003-of-00004.safetensors",
                                     "model-00004-of-00004.safetensors"};
enum { N_COPIED = sizeof copied / sizeof copied[0], N_SHARD = 4 };

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != TESS_OK) fail_msg("%s", err.message);                                                  \
    } while (0)

static const char *in_model(int i, char out[160])
{
    snprintf(out, 160, "%s/%s", model, copied[i]);
    return out;
}

static int make_model(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/ledger", folder);
    snprintf(model, sizeof model, "%s/model", folder);
    if (mkdir(model, 0700)) return -1;
    for (int i = 0; i < N_COPIED; i++) {
        char from[160], to[160], block[65536];
        snprintf(from, sizeof from, "demo/checkpoint/%s", copied[i]);
        FILE *in = fopen(from, "rb"), *out = fopen(in_model(i, to), "wb");
        if (!in || !out) return -1;
        for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;)
            if (fwrite(block, 1, n, out) != n) return -1;
        fclose(in);
        if (fclose(out)) return -1;
    }
    MUST(tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err));
    MUST(tess_checkpoint_open(model, TESS_DIRECT_AUTO, &checkpoint, &err));
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    char name[160];
    tess_checkpoint_close(checkpoint);
    tess_ledger_close(ledger);
    for (int i = 0; i < N_COPIED; i++) unlink(in_model(i, name));
    unlink(path);
    rmdir(model);
    return rmdir(folder);
}

/* Makes all checksums: what the ledger knows is recalled, the rest is read and recorded. */
typedef struct summing {
    tess_tensor_checksum *sum;
    bool recalled;
    int n_recalled, n_recorded, n_tensor, n_unreadable;
} summing;

static bool recall(void *context, int shard, tess_tensor_checksum *sum, char sha256[65])
{
    summing *s = context;
    int64_t hashed_ms = 0;
    s->sum = sum;
    MUST(tess_ledger_recall_shard(ledger, checkpoint, shard, sum, sha256, &hashed_ms, &s->recalled, &err));
    assert_int_equal(s->recalled, hashed_ms > 1600000000000);
    return s->recalled;
}

static void take_tensor(void *context, const tess_tensor_checksum *sum)
{
    summing *s = context;
    s->n_tensor++;
    s->n_unreadable += !sum->is_readable;
}

static void take_shard(void *context, int shard, const char *sha256)
{
    summing *s = context;
    bool recorded = false;
    s->n_recalled += s->recalled;
    if (s->recalled) return;
    MUST(tess_ledger_record_shard(ledger, checkpoint, shard, s->sum, sha256, &recorded, &err));
    s->n_recorded += recorded;
}

static summing sum_all(char weights[65])
{
    summing s = {0};
    const tess_checksum_listener listener = {
        .tensor = take_tensor, .shard = take_shard, .recall = recall, .context = &s};
    MUST(tess_checkpoint_checksum(checkpoint, &listener, weights, &err));
    return s;
}

/* Moves a file's modification time by some seconds. */
static void age(int file, int seconds)
{
    char name[160];
    struct stat st;
    assert_int_equal(stat(in_model(file, name), &st), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    times[1].tv_sec += seconds;
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void reopen(void)
{
    tess_checkpoint_close(checkpoint);
    MUST(tess_checkpoint_open(model, TESS_DIRECT_AUTO, &checkpoint, &err));
}

static tess_ledger_checkpoint noted(void)
{
    tess_ledger_checkpoint out;
    MUST(tess_ledger_note_checkpoint(ledger, model, &out, &err));
    return out;
}

static void test_recall(void **state)
{
    (void)state;
    char weights[65], again[65], plain[65];
    MUST(tess_checkpoint_checksum(checkpoint, NULL, plain, &err));
    summing first = sum_all(weights);
    assert_int_equal(first.n_recorded, N_SHARD);
    assert_int_equal(first.n_recalled, 0);
    assert_string_equal(weights, plain);
    summing second = sum_all(again);
    assert_int_equal(second.n_recalled, N_SHARD);
    assert_int_equal(second.n_tensor, first.n_tensor);
    assert_string_equal(weights, again);
    age(4, 1); /* one shard looks new: that one is read, and recorded as it is now */
    reopen();
    summing third = sum_all(again);
    assert_int_equal(third.n_recalled, N_SHARD - 1);
    assert_int_equal(third.n_recorded, 1);
    assert_string_equal(weights, again);
    assert_int_equal(sum_all(again).n_recalled, N_SHARD);
}

/* A changed byte, with the time put back: the size and time are trusted, as told; a new time shows it. */
static void test_changed_weight(void **state)
{
    (void)state;
    char name[160], weights[65], changed[65];
    sum_all(weights);
    struct stat st;
    assert_int_equal(stat(in_model(3, name), &st), 0);
    FILE *f = fopen(name, "r+b");
    assert_non_null(f);
    fseek(f, st.st_size - 1, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, st.st_size - 1, SEEK_SET);
    fputc(byte ^ 1, f);
    fclose(f);
    age(3, 2);
    reopen();
    assert_int_equal(sum_all(changed).n_recalled, N_SHARD - 1);
    assert_string_not_equal(weights, changed);
}

static void test_identity(void **state)
{
    (void)state;
    char weights[65];
    tess_ledger_checkpoint out, before = noted();
    assert_string_equal(before.weights_sha256, "");
    int64_t run;
    const tess_ledger_run unhashed = {.checkpoint = before.id, .command = "run"};
    MUST(tess_ledger_begin_run(ledger, &unhashed, &run, &err));
    sum_all(weights);
    age(3, 5);
    MUST(tess_ledger_record_weights(ledger, model, checkpoint, weights, &out, &err));
    assert_string_equal(out.weights_sha256, ""); /* a shard is no longer what was hashed */
    age(3, -5);
    MUST(tess_ledger_record_weights(ledger, model, checkpoint, weights, &out, &err));
    assert_string_equal(out.weights_sha256, weights);
    assert_int_not_equal(out.id, before.id); /* what ran before may have been other weights */
    assert_int_equal(noted().id, out.id);
    for (int file = 1; file < N_COPIED; file++) { /* the index and every shard */
        age(file, 10);
        assert_string_equal(noted().weights_sha256, "");
        assert_int_equal(noted().id, before.id);
        age(file, -10);
        assert_int_equal(noted().id, out.id);
    }
    for (int i = 0; i < 40; i++) { /* weights that a folder once held, however many, hide nothing */
        char once[65];
        snprintf(once, sizeof once, "%064d", i);
        MUST(tess_ledger_record_weights(ledger, model, checkpoint, once, &out, &err));
        assert_string_equal(out.weights_sha256, once);
    }
    age(2, 10);
    assert_string_equal(noted().weights_sha256, "");
    assert_int_equal(noted().id, before.id);
    tess_ledger_forgotten gone;
    for (int i = 0; i < 40; i++) MUST(tess_ledger_forget(ledger, out.id - i, &gone, &err));
    age(2, -10);
    out = noted();
    assert_string_equal(out.weights_sha256, weights);
    char name[160];
    FILE *f = fopen(in_model(0, name), "ab");
    assert_non_null(f);
    fputc('\n', f);
    fclose(f);
    tess_ledger_checkpoint other = noted(); /* another config.json */
    assert_string_equal(other.weights_sha256, "");
    assert_int_not_equal(other.id, before.id);
    MUST(tess_ledger_forget(ledger, out.id, &gone, &err)); /* digests stay while an entry has the folder */
    assert_int_equal(gone.n_file, 0);
    MUST(tess_ledger_forget(ledger, before.id, &gone, &err));
    assert_int_equal(gone.n_run, 1);
    MUST(tess_ledger_forget(ledger, other.id, &gone, &err));
    assert_int_equal(gone.n_file, N_SHARD + 1);
    assert_int_equal(gone.n_tensor, (int64_t)tess_checkpoint_get_tensor_count(checkpoint));
    test_ledger_assert_sound(path);
}

static void test_not_recorded(void **state)
{
    (void)state;
    char weights[65];
    bool recorded = true;
    size_t n = tess_checkpoint_get_tensor_count(checkpoint);
    tess_tensor_checksum *sum = calloc(n, sizeof *sum);
    assert_non_null(sum);
    tess_shard_info info;
    tess_checkpoint_get_shard(checkpoint, 0, &info);
    for (size_t i = 0; i < info.n_tensor; i++)
        sum[i] =
            (tess_tensor_checksum){.tensor = tess_checkpoint_get_tensor(checkpoint, i), .is_readable = true};
    for (int i = 0; i < 3; i++) { /* it changed while it was read: later, longer, gone */
        char name[160], away[176];
        in_model(2, name);
        snprintf(away, sizeof away, "%s.away", name);
        if (i == 0) age(2, 1);
        if (i == 1) assert_int_equal(truncate(name, (off_t)info.n_byte + 1), 0);
        if (i == 2) assert_int_equal(rename(name, away), 0);
        MUST(tess_ledger_record_shard(ledger, checkpoint, 0, sum, "", &recorded, &err));
        assert_false(recorded);
        if (i == 1) assert_int_equal(truncate(name, (off_t)info.n_byte), 0);
        if (i == 2) assert_int_equal(rename(away, name), 0);
    }
    reopen();
    for (size_t i = 0; i < info.n_tensor; i++) sum[i].tensor = tess_checkpoint_get_tensor(checkpoint, i);
    sum[3].is_readable = false;
    MUST(tess_ledger_record_shard(ledger, checkpoint, 0, sum, "", &recorded, &err));
    assert_false(recorded);
    sum[3].is_readable = true; /* a digest that is none: refused by the table, and nothing half-written */
    assert_int_equal(tess_ledger_record_shard(ledger, checkpoint, 0, sum, "abc", &recorded, &err), TESS_EIO);
    assert_false(recorded);
    free(sum);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM files"), 0);
    assert_int_equal(sum_all(weights).n_recorded, N_SHARD);
    /* Recorded under other names than the file has by now. */
    test_ledger_ask(path, "UPDATE tensors SET name = name || 'x' WHERE place = 2");
    assert_int_equal(sum_all(weights).n_recalled, 0);
    test_ledger_ask(path, "DELETE FROM tensors WHERE place = 2");
    assert_int_equal(sum_all(weights).n_recalled, 0);
    assert_int_equal(sum_all(weights).n_recalled, N_SHARD);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Another file of the same size at a shard's path: what was opened is hashed, and is not recorded as what is
 * there now. */
static void test_replaced_shard(void **state)
{
    (void)state;
    char weights[65], first[65], name[160], other[176];
    summing s = sum_all(first);
    assert_int_equal(s.n_recorded, N_SHARD);
    size_t size;
    unsigned char *bytes = test_file_read(in_model(3, name), &size);
    bytes[size - 1] ^= 1;
    snprintf(other, sizeof other, "%s.other", name);
    test_file_write(other, bytes, size);
    free(bytes);
    reopen();
    assert_int_equal(rename(other, name), 0);
    s = sum_all(weights);
    assert_string_equal(weights, first);
    assert_int_equal(s.n_recalled, N_SHARD - 1);
    assert_int_equal(s.n_recorded, 0);
    reopen();
    s = sum_all(weights);
    assert_int_equal(s.n_recorded, 1);
    assert_string_not_equal(weights, first);
}

/* A change within what a modification time can tell apart would go unnoticed, so hashing waits. */
static void test_await_shards(void **state)
{
    (void)state;
    char name[160];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec whole[2] = {{now.tv_sec, 0}, {now.tv_sec, 0}};
    assert_int_equal(utimensat(AT_FDCWD, in_model(4, name), whole, 0), 0);
    reopen();
    tess_ledger_await_shards(checkpoint);
    assert_true(now_ns() >= (now.tv_sec + 2) * 1000000000);
    for (int i = 0; i < N_COPIED; i++) age(i, -100);
    reopen();
    int64_t before = now_ns();
    tess_ledger_await_shards(checkpoint);
    assert_true(now_ns() - before < 500000000);
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_nsec |= 1;
    const struct timespec fine[2] = {now, now};
    assert_int_equal(utimensat(AT_FDCWD, in_model(1, name), fine, 0), 0); /* the index counts as well */
    tess_ledger_await_shards(checkpoint);
    assert_true(now_ns() >= now.tv_sec * 1000000000 + now.tv_nsec + 20000000);
}

/* What stands in the place of config.json is not waited for, and not read without end. */
static void test_no_configuration(void **state)
{
    (void)state;
    char name[160];
    in_model(0, name);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(mkfifo(name, 0600), 0);
    alarm(20);
    assert_string_equal(noted().config_sha256, "");
    assert_int_equal(unlink(name), 0);
    test_file_write(name, "{}", 2);
    assert_int_equal(truncate(name, (off_t)1 << 42), 0);
    assert_string_equal(noted().config_sha256, "");
    alarm(0);
}

static void test_published(void **state)
{
    (void)state;
    static const char vocab[] = "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910";
    assert_int_equal(tess_published_find("vocab.json", vocab), TESS_PUBLISHED_YES);
    assert_int_equal(tess_published_find("merges.txt", vocab), TESS_PUBLISHED_OTHER);
    assert_int_equal(tess_published_find("tokenizer.json", vocab), TESS_PUBLISHED_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recall, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_changed_weight, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_identity, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_not_recorded, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_replaced_shard, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_await_shards, make_model, remove_model),
        cmocka_unit_test_setup_teardown(test_no_configuration, make_model, remove_model),
        cmocka_unit_test(test_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
