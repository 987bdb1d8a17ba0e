/* The one way statements are run, and what becomes of SQLite's errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "verify/ledger/sql.h"

int64_t tess_ledger_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- errors -------------------------------------------------------------------------------------------- */

tess_status tess_ledger_fail(const tess_ledger *ledger, int rc, tess_error *err)
{
    static const char full[] = "the disk is full";
    const char *reason = ledger->db ? sqlite3_errmsg(ledger->db) : sqlite3_errstr(rc);
    int code = ledger->db ? sqlite3_system_errno(ledger->db) : 0;
    tess_status status = TESS_EIO;
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* tables or columns that are others, or none */
    case SQLITE_AUTH:
    case SQLITE_MISMATCH:
        return tess_refuse(err, ledger->path, "", -1, "a ledger", "a damaged file (%s)", reason);
    case SQLITE_CONSTRAINT:
        reason = rc == SQLITE_CONSTRAINT_FOREIGNKEY ? "the entry it belongs to has been forgotten meanwhile"
                                                    : reason;
        break;
    case SQLITE_NOMEM:
        status = TESS_ENOMEM;
        reason = "no memory";
        break;
    case SQLITE_FULL:
        code = ENOSPC;
        reason = full;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        reason = "another process keeps it locked";
        break;
    case SQLITE_READONLY:
        reason = "the file or its folder cannot be written";
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: /* the file, or the log and its index beside it */
        if (code) reason = code == ENOSPC ? full : strerror(code);
        break;
    default:
        break;
    }
    tess_fail(err, status, "%s: cannot use it: %s", ledger->path, reason);
    if (err) {
        err->os_errno = code;
        snprintf(err->file, sizeof err->file, "%.250s", ledger->path);
    }
    return status;
}

/* ---- statements ---------------------------------------------------------------------------------------- */

tess_ledger_value tess_bind_bytes(const char *text, size_t n_byte)
{
    if (!text) return TESS_BIND_NULL;
    return (tess_ledger_value){.kind = TESS_LEDGER_TEXT, .text = text, .n_text = n_byte};
}

tess_ledger_value tess_bind_text(const char *text)
{
    return tess_bind_bytes(text, text ? strlen(text) : 0);
}

tess_ledger_value tess_bind_id(int64_t id)
{
    return id ? TESS_BIND_INTEGER(id) : TESS_BIND_NULL;
}

static int bind_value(sqlite3_stmt *statement, int i, const tess_ledger_value *v)
{
    switch (v->kind) {
    case TESS_LEDGER_NULL:
        return sqlite3_bind_null(statement, i);
    case TESS_LEDGER_INTEGER:
        return sqlite3_bind_int64(statement, i, v->integer);
    case TESS_LEDGER_REAL:
        return sqlite3_bind_double(statement, i, v->real);
    case TESS_LEDGER_TEXT:
        return sqlite3_bind_text64(statement, i, v->text, v->n_text, SQLITE_STATIC, SQLITE_UTF8);
    }
    return SQLITE_MISUSE;
}

static tess_ledger_value column_value(sqlite3_stmt *statement, int i)
{
    tess_ledger_value v = {.name = sqlite3_column_name(statement, i)};
    switch (sqlite3_column_type(statement, i)) {
    case SQLITE_INTEGER:
        v.kind = TESS_LEDGER_INTEGER;
        v.integer = sqlite3_column_int64(statement, i);
        break;
    case SQLITE_FLOAT:
        v.kind = TESS_LEDGER_REAL;
        v.real = sqlite3_column_double(statement, i);
        break;
    case SQLITE_TEXT:
        v.text = (const char *)sqlite3_column_text(statement, i);
        v.n_text = (size_t)sqlite3_column_bytes(statement, i);
        v.kind = v.text ? TESS_LEDGER_TEXT : TESS_LEDGER_NULL; /* NULL: no memory to hand it out */
        break;
    default:
        break;
    }
    return v;
}

tess_status tess_ledger_prepare(tess_ledger *ledger, const char *sql, sqlite3_stmt **out, tess_error *err)
{
    int rc = sqlite3_prepare_v2(ledger->db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? TESS_OK : tess_ledger_fail(ledger, rc, err);
}

static int run_rows(sqlite3_stmt *statement, const tess_ledger_value *bind, int n_bind, tess_ledger_row *row,
                    void *context)
{
    tess_ledger_value value[TESS_LEDGER_MAX_COLUMN];
    int rc = SQLITE_OK, n = sqlite3_column_count(statement);
    TESS_ASSERT(n <= TESS_LEDGER_MAX_COLUMN);
    for (int i = 0; i < n_bind && rc == SQLITE_OK; i++) rc = bind_value(statement, i + 1, &bind[i]);
    if (rc != SQLITE_OK) return rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!row) continue;
        for (int i = 0; i < n; i++) value[i] = column_value(statement, i);
        if (!row(context, value, n)) return SQLITE_DONE;
    }
    return rc;
}

tess_status tess_ledger_repeat(tess_ledger *ledger, sqlite3_stmt *statement, const tess_ledger_value *bind,
                               int n_bind, tess_error *err)
{
    int rc = run_rows(statement, bind, n_bind, NULL, NULL);
    tess_status status = rc == SQLITE_DONE ? TESS_OK : tess_ledger_fail(ledger, rc, err);
    sqlite3_reset(statement);
    return status;
}

tess_status tess_ledger_ask(tess_ledger *ledger, const char *sql, const tess_ledger_value *bind, int n_bind,
                            tess_ledger_row *row, void *context, tess_error *err)
{
    sqlite3_stmt *statement;
    tess_status status = tess_ledger_prepare(ledger, sql, &statement, err);
    if (status != TESS_OK) return status;
    int rc = run_rows(statement, bind, n_bind, row, context);
    if (rc != SQLITE_DONE) status = tess_ledger_fail(ledger, rc, err);
    sqlite3_finalize(statement);
    return status;
}

typedef struct first_integer {
    int64_t value;
    bool found;
} first_integer;

static bool take_integer(void *context, const tess_ledger_value *value, int n_value)
{
    first_integer *first = context;
    (void)n_value;
    first->value = value->integer;
    first->found = true;
    return false;
}

tess_status tess_ledger_ask_integer(tess_ledger *ledger, const char *sql, const tess_ledger_value *bind,
                                    int n_bind, int64_t *out, bool *found, tess_error *err)
{
    first_integer first = {0};
    tess_status status = tess_ledger_ask(ledger, sql, bind, n_bind, take_integer, &first, err);
    if (status != TESS_OK) return status;
    *out = first.value;
    if (found) *found = first.found;
    return TESS_OK;
}

tess_status tess_ledger_say(tess_ledger *ledger, const char *sql, tess_error *err)
{
    return tess_ledger_ask(ledger, sql, NULL, 0, NULL, NULL, err);
}

tess_status tess_ledger_begin(tess_ledger *ledger, tess_error *err)
{
    return tess_ledger_say(ledger, "BEGIN IMMEDIATE", err);
}

tess_status tess_ledger_end(tess_ledger *ledger, tess_status status, tess_error *err)
{
    if (status == TESS_OK) status = tess_ledger_say(ledger, "COMMIT", err);
    /* Some failures have rolled back already; then there is nothing to undo. */
    if (status != TESS_OK && !sqlite3_get_autocommit(ledger->db)) tess_ledger_say(ledger, "ROLLBACK", NULL);
    return status;
}

tess_status tess_ledger_new_entry(tess_ledger *ledger, const char *kind, int64_t *id, tess_error *err)
{
    const tess_ledger_value bind[] = {tess_bind_text(kind), TESS_BIND_INTEGER(tess_ledger_now_ms())};
    tess_status status = tess_ledger_ask(ledger, "INSERT INTO entries (kind, time_ms) VALUES (?1, ?2)", bind,
                                         2, NULL, NULL, err);
    if (status == TESS_OK) *id = sqlite3_last_insert_rowid(ledger->db);
    return status;
}
