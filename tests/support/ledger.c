#include "ledger.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "verify/ledger/routing.h"

char test_ledger_folder[SCRATCH_BYTES], test_ledger_path[64];

int test_ledger_make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(test_ledger_folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(test_ledger_path, sizeof test_ledger_path, "%s/ledger", test_ledger_folder);
    return 0;
}

int test_ledger_start_anew(void **state)
{
    (void)state;
    const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 4; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", test_ledger_path, ends[i]);
        unlink(name);
    }
    return 0;
}

int test_ledger_remove_folder(void **state)
{
    test_ledger_start_anew(state);
    return rmdir(test_ledger_folder);
}

static sqlite3 *open_beside(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

int64_t test_ledger_ask(const char *path, const char *sql)
{
    sqlite3 *db = open_beside(path);
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

void test_ledger_assert_sound(const char *path)
{
    sqlite3 *db = open_beside(path);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    assert_int_equal(test_ledger_ask(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

const tess_ledger_value *test_ledger_column(const tess_ledger_value *value, int n_value, const char *name)
{
    for (int i = 0; i < n_value; i++)
        if (!strcmp(value[i].name, name)) return &value[i];
    fail_msg("no column %s", name);
    return NULL;
}

tess_status test_ledger_write_run(tess_ledger *ledger, int64_t *id, tess_error *err)
{
    enum { N = TEST_LEDGER_LAYERS * TEST_LEDGER_EXPERTS };
    tess_routing *routing = calloc(1, sizeof *routing + N * sizeof routing->count[0]);
    tess_ledger_checkpoint checkpoint;
    assert_non_null(routing);
    routing->n_layer = TEST_LEDGER_LAYERS;
    routing->n_expert = TEST_LEDGER_EXPERTS;
    int64_t sum = 0;
    for (int i = 0; i < N; i++) sum += routing->count[i] = i + 1;
    tess_status status = tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, err);
    const tess_ledger_run run = {.checkpoint = checkpoint.id, .command = "run", .prompt_kind = "raw"};
    const tess_ledger_run_end end = {.finish = "stop", .isa = "reference", .n_prompt = sum};
    if (status == TESS_OK) status = tess_ledger_begin_run(ledger, &run, id, err);
    if (status == TESS_OK) status = tess_ledger_end_run(ledger, *id, &end, routing, err);
    free(routing);
    return status;
}

int64_t test_ledger_count_torn(const char *path)
{
    return test_ledger_ask(path,
                           "SELECT count(*) FROM runs r WHERE CASE WHEN finish IS NULL THEN 0 ELSE "
                           "ifnull(prompt_tokens, -1) END <> (SELECT ifnull(sum(count), 0) FROM routing "
                           "WHERE run_id = r.id)") +
           test_ledger_ask(path, "SELECT count(*) FROM entries WHERE kind = 'run' AND id NOT IN (SELECT id "
                                 "FROM runs)");
}

unsigned char *test_file_read(const char *file, size_t *size)
{
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

void test_file_write(const char *file, const void *bytes, size_t n)
{
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}
