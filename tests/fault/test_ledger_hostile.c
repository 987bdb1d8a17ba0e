/* Ledgers made by others: schemas that no version wrote, tables that are views or lack columns, triggers,
 * values of other types and sizes, things that are no files. Each is refused or read, in time, and what it
 * wants to be done on its own is not done. */
#include "tessera/ledger.h"

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

static const char *const path = test_ledger_path;
static tess_error err;

static void execute(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void make_sound(void)
{
    tess_ledger *ledger;
    int64_t id;
    test_ledger_start_anew(NULL);
    assert_int_equal(tess_ledger_open(path, TESS_LEDGER_WRITE, &ledger, &err), TESS_OK);
    assert_int_equal(test_ledger_write_run(ledger, &id, &err), TESS_OK);
    tess_ledger_close(ledger);
}

static bool count_row(void *context, const tess_ledger_value *value, int n_value)
{
    (void)value;
    (void)n_value;
    ++*(int *)context;
    return true;
}

/* Opens it, reads every part of every entry, and writes. The first status that is not TESS_OK. */
static tess_status use(tess_ledger_access access_wanted)
{
    tess_ledger *ledger;
    int n_row = 0;
    tess_status status = tess_ledger_open(path, access_wanted, &ledger, &err);
    if (status != TESS_OK) return status;
    for (int part = TESS_LEDGER_ENTRIES; part <= TESS_LEDGER_TAPS && status == TESS_OK; part++)
        for (int64_t id = part == TESS_LEDGER_ENTRIES ? 0 : 1; id < 4 && status == TESS_OK; id++)
            status = tess_ledger_read(ledger, (tess_ledger_part)part, id, count_row, &n_row, &err);
    int64_t id;
    tess_ledger_checkpoint checkpoint;
    if (status == TESS_OK && access_wanted == TESS_LEDGER_WRITE)
        status = tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err);
    if (status == TESS_OK && access_wanted == TESS_LEDGER_WRITE)
        status = test_ledger_write_run(ledger, &id, &err);
    tess_ledger_close(ledger);
    return status;
}

static void test_schemas(void **state)
{
    static const char *const files[] = {
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = -1",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = -2147483648",
        "PRAGMA application_id = 0x5453534c; CREATE TABLE entries (x)",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = 2",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = 1; CREATE TABLE verifications (x)",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = 2; CREATE TABLE entries (id)",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = 2; CREATE VIEW entries AS"
        " SELECT 1 AS id, 'run' AS kind, 2 AS time_ms",
        "PRAGMA application_id = 0x5453534c; PRAGMA user_version = 2; CREATE VIRTUAL TABLE entries USING"
        " fts5 (id, kind, time_ms)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        for (int kind = TESS_LEDGER_READ; kind <= TESS_LEDGER_WRITE; kind++) {
            test_ledger_start_anew(NULL);
            execute(files[i]);
            if (use((tess_ledger_access)kind) != TESS_EINPUT)
                fail_msg("%s: status %d, %s", files[i], err.status, err.message);
            assert_non_null(strstr(err.message, path));
        }
}

static void test_triggers_and_views(void **state)
{
    (void)state;
    make_sound();
    execute("CREATE TRIGGER grow AFTER INSERT ON entries BEGIN INSERT INTO entries (kind, time_ms) VALUES"
            " ('planted', 1); END; CREATE TRIGGER lose BEFORE UPDATE ON runs BEGIN DELETE FROM runs; END");
    assert_int_equal(use(TESS_LEDGER_WRITE), TESS_OK);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM entries WHERE kind = 'planted'"), 0);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM runs"), 2);
    make_sound();
    execute("ALTER TABLE runs RENAME TO mine; CREATE VIEW runs AS SELECT * FROM mine");
    assert_int_equal(use(TESS_LEDGER_READ), TESS_EINPUT);
}

/* Rows that no version writes: numbers at their ends, text where none is, an entry of no kind. */
static void test_values(void **state)
{
    (void)state;
    make_sound();
    execute("PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON;"
            " UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '');");
    execute("INSERT INTO entries VALUES (3, 'planted', 9223372036854775807);"
            " INSERT INTO routing VALUES (2, 7, 0, 0, 9223372036854775807),"
            " (2, 7, 0, 1, 9223372036854775807), (2, 0, -5, -5, -9223372036854775808);"
            " UPDATE runs SET threads = 'many', budget_bytes = -1, prefill_seconds = 9e999,"
            " prompt_text = CAST (x'ff00fe' AS TEXT), seed = x'00';");
    assert_int_equal(use(TESS_LEDGER_READ), TESS_OK);
    make_sound();
    execute("UPDATE runs SET prompt_text = CAST (zeroblob(100000000) AS TEXT)");
    assert_int_equal(use(TESS_LEDGER_READ), TESS_EIO);
    assert_non_null(strstr(err.message, "too big"));
}

static void test_no_files(void **state)
{
    (void)state;
    tess_ledger *ledger = NULL;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    for (int kind = TESS_LEDGER_READ; kind <= TESS_LEDGER_WRITE; kind++) {
        assert_int_equal(tess_ledger_open(path, (tess_ledger_access)kind, &ledger, &err), TESS_EINPUT);
        assert_non_null(strstr(err.message, "no file"));
    }
    assert_int_equal(tess_ledger_open("/dev/null", TESS_LEDGER_WRITE, &ledger, &err), TESS_EINPUT);
    alarm(0);
    assert_null(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_schemas, test_ledger_start_anew),
        cmocka_unit_test_setup(test_triggers_and_views, test_ledger_start_anew),
        cmocka_unit_test_setup(test_values, test_ledger_start_anew),
        cmocka_unit_test_setup(test_no_files, test_ledger_start_anew),
    };
    return cmocka_run_group_tests(tests, test_ledger_make_folder, test_ledger_remove_folder);
}
