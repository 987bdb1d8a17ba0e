/* The ledger: schema and migrations, what is refused, runs, verifications, reading, forgetting, waiting. */
#include "tessera/ledger.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/ledger.h"
#include "../support/recording.h"
#include "../support/scratch.h"
#include "verify/ledger/schema.h"
#include "verify/ledger/sql.h"

static char folder[SCRATCH_BYTES];
static char path[64], other[64];
static tess_error err;

static void remove_files(void)
{
    const char *const ends[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    unlink(other);
}

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/ledger", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_files();
    return rmdir(folder);
}

static int start_anew(void **state)
{
    (void)state;
    remove_files();
    return 0;
}

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != TESS_OK) fail_msg("%s", err.message);                                                  \
    } while (0)

static tess_ledger *open_ledger(void)
{
    tess_ledger *ledger;
    MUST(tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err));
    return ledger;
}

static void execute(const char *file, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void test_new_file(void **state)
{
    (void)state;
    tess_ledger_close(open_ledger());
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(test_ledger_ask(path, "PRAGMA user_version"), TESS_LEDGER_SCHEMA);
    assert_int_equal(test_ledger_ask(path, "PRAGMA application_id"), TESS_LEDGER_APPLICATION);
    assert_int_equal(
        test_ledger_ask(path, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND "
                                           "name NOT LIKE 'sqlite_%' AND NOT strict"),
                     0);
    tess_ledger *again = open_ledger();
    assert_int_equal(test_ledger_ask(path, "PRAGMA user_version"), TESS_LEDGER_SCHEMA);
    tess_ledger_close(again);
    tess_ledger *absent = NULL;
    assert_int_equal(tess_ledger_open(other, TESS_LEDGER_READ, &absent, &err), TESS_EINPUT);
    assert_string_equal(err.found, "no such file");
    assert_int_equal(access(other, F_OK), -1);
}

/* A ledger as the first schema left it, with a run in it. */
static void test_migration(void **state)
{
    (void)state;
    char sql[128];
    for (const char *const *step = tess_ledger_migration(0); *step; step++) execute(path, *step);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = 1", TESS_LEDGER_APPLICATION);
    execute(path, sql);
    execute(path, "INSERT INTO entries VALUES (1, 'checkpoint', 5), (2, 'run', 6);"
                  "INSERT INTO checkpoints VALUES (1, '/m', NULL, NULL);"
                  "INSERT INTO runs (id, checkpoint_id, command, version, dtype, seed) VALUES (2, 1, 'run', "
                  "'0', 'f32', '7')");
    tess_ledger *ledger;
    MUST(tess_ledger_open(path, TESS_LEDGER_READ, &ledger, &err)); /* for reading as well */
    tess_ledger_close(ledger);
    ledger = open_ledger();
    assert_int_equal(test_ledger_ask(path, "PRAGMA user_version"), TESS_LEDGER_SCHEMA);
    assert_int_equal(test_ledger_ask(path, "SELECT seed FROM runs WHERE id = 2"), 7);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM taps"), 0);
    int64_t id;
    MUST(test_ledger_write_run(ledger, &id, &err));
    assert_int_equal(id, 4); /* 3 is the demo's checkpoint */
    tess_ledger_close(ledger);
    test_ledger_assert_sound(path);
}

static void test_refusals(void **state)
{
    (void)state;
    tess_ledger *ledger = NULL;
    size_t size, size_after;
    tess_ledger_close(open_ledger());
    execute(path, "PRAGMA user_version = 97");
    for (int access_kind = 0; access_kind < 2; access_kind++) {
        unsigned char *before = test_file_read(path, &size);
        assert_int_equal(tess_ledger_open(path, (tess_ledger_access)access_kind, &ledger, &err),
                         TESS_EUNSUPPORTED);
        assert_non_null(strstr(err.message, "schema 97"));
        assert_non_null(strstr(err.message, "newer version"));
        assert_string_equal(err.file, path);
        unsigned char *after = test_file_read(path, &size_after);
        assert_int_equal(size, size_after);
        assert_memory_equal(before, after, size);
        free(before);
        free(after);
    }
    execute(other, "CREATE TABLE recipes (name TEXT)");
    assert_int_equal(tess_ledger_open(other, TESS_LEDGER_WRITE, &ledger, &err), TESS_EINPUT);
    assert_string_equal(err.found, "an SQLite file of something else");
    test_file_write(
        other,
        "This is no database, but it is long enough to be looked at as one.............................", 90);
    assert_int_equal(tess_ledger_open(other, TESS_LEDGER_WRITE, &ledger, &err), TESS_EINPUT);
    assert_string_equal(err.expected, "a ledger");
    assert_int_equal(tess_ledger_open(folder, TESS_LEDGER_WRITE, &ledger, &err), TESS_EIO);
    assert_int_equal(tess_ledger_open("/nonexistent/ledger", TESS_LEDGER_WRITE, &ledger, &err), TESS_EIO);
    assert_null(ledger);
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

static const char question[] = "What\0is \xc3\xbc?";

static bool check_run(void *context, const tess_ledger_value *v, int n)
{
    bool kept = *(bool *)context;
    assert_string_equal(test_ledger_column(v, n, "command")->text, "chat");
    assert_string_equal(test_ledger_column(v, n, "version")->text, TESS_VERSION);
    assert_string_equal(test_ledger_column(v, n, "dtype")->text, "bf16");
    assert_string_equal(test_ledger_column(v, n, "seed")->text, "18446744073709551615");
    assert_string_equal(test_ledger_column(v, n, "prompt_sha256")->text, "abc");
    const tess_ledger_value *text = test_ledger_column(v, n, "prompt_text");
    assert_int_equal(text->kind, kept ? TESS_LEDGER_TEXT : TESS_LEDGER_NULL);
    if (kept) assert_int_equal(text->n_text, sizeof question - 1);
    if (kept) assert_memory_equal(text->text, question, sizeof question);
    assert_int_equal(test_ledger_column(v, n, "budget_bytes")->integer, 1ll << 40);
    assert_int_equal(test_ledger_column(v, n, "new_tokens")->kind, TESS_LEDGER_NULL);
    assert_true(test_ledger_column(v, n, "decode_seconds")->real == 0.25);
    assert_int_equal(test_ledger_column(v, n, "exit_code")->integer, 130);
    assert_string_equal(test_ledger_column(v, n, "finish")->text, "interrupted");
    return true;
}

static void test_runs(void **state)
{
    (void)state;
    tess_ledger *ledger = open_ledger();
    tess_ledger_checkpoint checkpoint;
    MUST(tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err));
    assert_int_equal(strlen(checkpoint.config_sha256), 64);
    assert_string_equal(checkpoint.weights_sha256, "");
    for (int kept = 0; kept < 2; kept++) {
        tess_ledger_run run = {.checkpoint = checkpoint.id,
                               .command = "chat",
                               .precision = TESS_PRECISION_BF16,
                               .seed = UINT64_MAX,
                               .prompt_kind = "chat",
                               .prompt_sha256 = "abc",
                               .prompt_text = kept ? question : NULL,
                               .n_prompt_text = sizeof question - 1};
        const tess_ledger_run_end end = {.finish = "interrupted",
                                         .exit_code = 130,
                                         .isa = "avx2",
                                         .budget_bytes = 1ull << 40,
                                         .n_prompt = 5,
                                         .n_new = -1,
                                         .decode_seconds = 0.25};
        int64_t id;
        MUST(tess_ledger_begin_run(ledger, &run, &id, &err));
        assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM runs WHERE finish IS NULL"), 1);
        MUST(tess_ledger_end_run(ledger, id, &end, NULL, &err));
        bool wanted = kept;
        MUST(tess_ledger_read(ledger, TESS_LEDGER_RUN, id, check_run, &wanted, &err));
    }
    const tess_ledger_run of_nothing = {.checkpoint = 4711, .command = "run"};
    int64_t id = -1;
    assert_int_equal(tess_ledger_begin_run(ledger, &of_nothing, &id, &err), TESS_EIO); /* a foreign key */
    assert_int_equal(id, -1);
    MUST(test_ledger_write_run(ledger, &id, &err)); /* the ledger stays usable */
    const char *kind;
    MUST(tess_ledger_get_kind(ledger, id, &kind, &err));
    assert_string_equal(kind, "run");
    MUST(tess_ledger_get_kind(ledger, id + 1, &kind, &err));
    assert_string_equal(kind, "");
    tess_ledger_close(ledger);
    test_ledger_assert_sound(path);
}

/* The counts are those of the trace's own indices, of prompt and of generated tokens. */
static void test_routing(void **state)
{
    (void)state;
    const tess_engine_options options = {.model_dir = "demo/checkpoint", .memory_bytes = 1 << 30};
    const int32_t ids[] = {5, 9, 100, 7, 7, 40, 3};
    test_recording recording;
    test_recording_init(&recording, NULL);
    test_run(&options, ids, 7, NULL, 0, &recording);
    tess_engine *engine;
    tess_session *session;
    tess_routing *routing;
    MUST(tess_routing_new("demo/checkpoint", &routing, &err));
    MUST(tess_engine_open(&options, &engine, &err));
    MUST(tess_session_new(engine, &session, &err));
    const tess_tap_listener *listener = tess_routing_get_listener(routing);
    MUST(tess_session_feed(session, &(tess_feed){.ids = ids, .n_tok = 7, .listener = listener}, &err));
    int64_t sum = 0, first_layer = 0;
    int n_layer = 0;
    for (;; n_layer++) {
        char name[96];
        snprintf(name, sizeof name, "tap.thinker.model.layers.%d.mlp.gate.indices", n_layer);
        const test_tensor *indices = test_tensors_find(&recording.taps, name);
        if (!indices) break;
        for (int e = 0; e < (int)tess_routing_get_count(routing, 0, 0) + 64; e++) {
            int64_t count = 0;
            for (size_t i = 0; i < indices->count; i++) count += indices->integers[i] == e;
            assert_int_equal(tess_routing_get_count(routing, n_layer, e), count);
            sum += count;
        }
        assert_int_equal(sum, (int64_t)indices->count * (n_layer + 1));
        if (n_layer == 0) first_layer = sum;
    }
    assert_true(n_layer > 1);
    int32_t answer[5];
    int n_new;
    tess_finish finish;
    const tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = 5, .listener = listener};
    MUST(tess_session_generate(session, &generation, answer, &n_new, &finish, &err));
    int64_t after = 0;
    for (int e = 0; e < 64; e++) after += tess_routing_get_count(routing, 0, e);
    assert_int_equal(n_new, 5);
    assert_int_equal(after, first_layer / 7 * (7 + 4)); /* the last token is not fed */
    tess_routing_clear(routing);
    assert_int_equal(tess_routing_get_count(routing, 0, 1), 0);
    tess_session_free(session);
    tess_engine_close(engine);
    tess_routing_free(routing);
    test_recording_release(&recording);
}

/* ---- verifications ------------------------------------------------------------------------------------- */

static bool count_row(void *context, const tess_ledger_value *value, int n_value)
{
    (void)value;
    (void)n_value;
    ++*(int *)context;
    return true;
}

static bool check_tap(void *context, const tess_ledger_value *v, int n)
{
    int *row = context;
    if (++*row == 1) {
        assert_string_equal(test_ledger_column(v, n, "tap")->text, "tap.thinker.model.layers.3.mlp");
        assert_string_equal(test_ledger_column(v, n, "experts")->text, "[4,17]");
        assert_int_equal(test_ledger_column(v, n, "expert")->kind, TESS_LEDGER_NULL);
        assert_string_equal(test_ledger_column(v, n, "outcome")->text, "different");
        assert_true(isinf(test_ledger_column(v, n, "error")->real));
        assert_true(test_ledger_column(v, n, "tolerance")->real == 1e-5);
    } else {
        assert_int_equal(test_ledger_column(v, n, "rel_l2")->kind, TESS_LEDGER_NULL);
        assert_int_equal(test_ledger_column(v, n, "tolerance")->kind, TESS_LEDGER_NULL);
    }
    return true;
}

static void test_verifications(void **state)
{
    (void)state;
    tess_ledger *ledger = open_ledger();
    tess_tap_report taps[2] = {{.name = "tap.thinker.model.layers.3.mlp",
                                .component = "mlp",
                                .layer = 3,
                                .expert = -1,
                                .experts = (int[]){4, 17},
                                .n_experts = 2,
                                .position = 9,
                                .outcome = TESS_OUTCOME_DIFFERENT,
                                .measure = TESS_MEASURE_REL_L2,
                                .error = INFINITY,
                                .tolerance = 1e-5},
                               {.name = "tap.thinker.generated",
                                .component = "generated",
                                .layer = -1,
                                .expert = -1,
                                .position = -1,
                                .rel_l2 = NAN,
                                .first_different = -1}};
    const tess_compare_result result = {.reference = (char *)"golden.safetensors",
                                        .verdict = TESS_VERDICT_DIFFERENT,
                                        .n_tap = 2,
                                        .n_compared = 2,
                                        .n_failed = 1,
                                        .tap = taps,
                                        .worst = 0,
                                        .first = 0};
    int64_t run, id;
    MUST(test_ledger_write_run(ledger, &run, &err));
    const tess_ledger_verification v = {
        .run = run, .checkpoint = run - 1, .command = "verify", .isolated = true, .result = &result};
    MUST(tess_ledger_record_verification(ledger, &v, &id, &err));
    int n_tap = 0;
    MUST(tess_ledger_read(ledger, TESS_LEDGER_TAPS, id, check_tap, &n_tap, &err));
    assert_int_equal(n_tap, 2);
    assert_int_equal(test_ledger_ask(path,
                                     "SELECT taps_failed FROM verifications WHERE verdict = 'different' "
                                     "AND dtype IS NULL AND isolated AND run_id IS NOT NULL"),
                     1);
    tess_ledger_forgotten gone;
    MUST(tess_ledger_forget(ledger, run, &gone, &err)); /* the verification outlives its run */
    assert_int_equal(gone.n_run, 1);
    assert_int_equal(gone.n_routing, TEST_LEDGER_LAYERS * TEST_LEDGER_EXPERTS);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM verifications WHERE run_id IS NULL"), 1);
    MUST(tess_ledger_forget(ledger, id, &gone, &err));
    assert_int_equal(gone.n_tap, 2);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM taps"), 0);
    tess_ledger_close(ledger);
    test_ledger_assert_sound(path);
}

/* What comparing really says: a golden with itself, of bfloat16 with its truth. */
static void test_comparison(void **state)
{
    (void)state;
    static const char golden[] = "tests/golden/c-bf16/text.safetensors";
    const tess_compare_options options = {.truth = "tests/golden/c-f32/text.safetensors"};
    tess_compare_result *result;
    tess_ledger *ledger = open_ledger();
    int64_t id;
    int n_tap = 0;
    MUST(tess_compare_files(golden, golden, &options, &result, &err));
    const tess_ledger_verification v = {.command = "compare", .golden_sha256 = "abc", .result = result};
    MUST(tess_ledger_record_verification(ledger, &v, &id, &err));
    MUST(tess_ledger_read(ledger, TESS_LEDGER_TAPS, id, count_row, &n_tap, &err));
    assert_true(n_tap > 20);
    assert_int_equal(n_tap, result->n_tap);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM verifications WHERE verdict = 'equal' AND"
                                           " dtype = 'bf16' AND taps_failed = 0 AND first_place IS NULL AND"
                                           " reference LIKE '%c-bf16/text%' AND truth LIKE '%c-f32/text%' AND"
                                           " golden_sha256 = 'abc' AND checkpoint_id IS NULL"),
                     1);
    assert_int_equal(test_ledger_ask(path, "SELECT taps_compared FROM verifications"), result->n_compared);
    tess_compare_result_free(result);
    tess_ledger_close(ledger);
    test_ledger_assert_sound(path);
}

/* ---- forgetting and waiting ---------------------------------------------------------------------------- */

static bool file_holds(const char *text)
{
    const char *const ends[] = {"", "-wal"};
    bool found = false;
    for (int i = 0; i < 2; i++) {
        char name[96];
        size_t size;
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        if (access(name, F_OK)) continue;
        unsigned char *bytes = test_file_read(name, &size);
        found = found || memmem(bytes, size, text, strlen(text));
        free(bytes);
    }
    return found;
}

static void test_forgetting(void **state)
{
    (void)state;
    static const char secret[] = "nobody shall read this again";
    tess_ledger *ledger = open_ledger();
    tess_ledger_checkpoint checkpoint;
    tess_ledger_forgotten gone;
    int64_t id, kept;
    MUST(test_ledger_write_run(ledger, &kept, &err));
    MUST(tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err));
    const tess_ledger_run run = {.checkpoint = checkpoint.id,
                                 .command = "run",
                                 .prompt_text = secret,
                                 .n_prompt_text = sizeof secret - 1};
    MUST(tess_ledger_begin_run(ledger, &run, &id, &err));
    assert_true(file_holds(secret));
    MUST(tess_ledger_forget(ledger, id, &gone, &err));
    assert_true(gone.is_overwritten);
    assert_false(file_holds(secret));
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM runs"), 1);
    assert_int_equal(tess_ledger_forget(ledger, id, &gone, &err), TESS_EUSAGE);
    int64_t next;
    MUST(tess_ledger_begin_run(ledger, &run, &next, &err));
    assert_true(next > id); /* a number is never used again */
    MUST(tess_ledger_forget(ledger, checkpoint.id, &gone, &err));
    assert_int_equal(gone.n_checkpoint, 1);
    assert_int_equal(gone.n_run, 2);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM entries"), 0);
    assert_false(file_holds(secret));
    for (int i = 0; i < 3; i++) MUST(test_ledger_write_run(ledger, &id, &err));
    MUST(tess_ledger_forget(ledger, 0, &gone, &err));
    assert_int_equal(gone.n_run, 3);
    MUST(tess_ledger_forget(ledger, 0, &gone, &err));
    assert_int_equal(gone.n_run + gone.n_checkpoint, 0);
    tess_ledger_close(ledger);
    MUST(tess_ledger_open(path, TESS_LEDGER_READ, &ledger, &err));
    assert_int_equal(tess_ledger_forget(ledger, 0, &gone, &err), TESS_EIO); /* opened to read */
    tess_ledger_close(ledger);
    test_ledger_assert_sound(path);
}

static int count_entries(tess_ledger *ledger)
{
    int n = 0;
    MUST(tess_ledger_read(ledger, TESS_LEDGER_ENTRIES, 0, count_row, &n, &err));
    return n;
}

/* A reader sees one moment, and keeps what it reads from being overwritten, which is told. */
static void test_reader(void **state)
{
    (void)state;
    tess_ledger *ledger = open_ledger(), *reader;
    tess_ledger_checkpoint checkpoint;
    tess_ledger_forgotten gone;
    int64_t id;
    MUST(tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err));
    const tess_ledger_run run = {
        .checkpoint = checkpoint.id, .command = "run", .prompt_text = "secret", .n_prompt_text = 6};
    MUST(tess_ledger_begin_run(ledger, &run, &id, &err));
    MUST(tess_ledger_open(path, TESS_LEDGER_READ, &reader, &err));
    assert_int_equal(count_entries(reader), 2);
    MUST(tess_ledger_forget(ledger, id, &gone, &err));
    assert_false(gone.is_overwritten);
    assert_int_equal(count_entries(reader), 2);
    assert_int_equal(count_entries(ledger), 1);
    tess_ledger_close(reader);
    tess_ledger_close(ledger);
    assert_false(file_holds("secret"));
}

static void test_waiting(void **state)
{
    (void)state;
    tess_ledger *ledger = open_ledger();
    int64_t id;
    sqlite3 *holder;
    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(test_ledger_write_run(ledger, &id, &err), TESS_EIO);
    assert_non_null(strstr(err.message, "another process keeps it locked"));
    int n_row = 0;
    MUST(tess_ledger_read(ledger, TESS_LEDGER_ENTRIES, 0, count_row, &n_row, &err)); /* readers do not wait */
    assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    MUST(test_ledger_write_run(ledger, &id, &err));
    sqlite3_close(holder);
    tess_ledger_close(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_new_file, start_anew),
        cmocka_unit_test_setup(test_migration, start_anew),
        cmocka_unit_test_setup(test_refusals, start_anew),
        cmocka_unit_test_setup(test_runs, start_anew),
        cmocka_unit_test_setup(test_routing, start_anew),
        cmocka_unit_test_setup(test_verifications, start_anew),
        cmocka_unit_test_setup(test_comparison, start_anew),
        cmocka_unit_test_setup(test_forgetting, start_anew),
        cmocka_unit_test_setup(test_reader, start_anew),
        cmocka_unit_test_setup(test_waiting, start_anew),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
