/* Inside the ledger: the open file, statements, transactions.
 *
 * All SQL is in prepared statements; values are bound, never printed into text. A write begins with BEGIN
 * IMMEDIATE, so that it waits for other processes before it has read anything and never fails half-way
 * because somebody else wrote.
 */
#ifndef TESS_VERIFY_LEDGER_SQL_H
#define TESS_VERIFY_LEDGER_SQL_H

#include <sqlite3.h>

#include "tessera/ledger.h"

struct tess_ledger {
    sqlite3 *db;
    char *path; /* for messages */
};

/* Bindings: parameters ?1, ?2, … in their order. */
#define TESS_BIND_INTEGER(v) ((tess_ledger_value){.kind = TESS_LEDGER_INTEGER, .integer = (int64_t)(v)})
#define TESS_BIND_REAL(v) ((tess_ledger_value){.kind = TESS_LEDGER_REAL, .real = (v)})
#define TESS_BIND_NULL ((tess_ledger_value){.kind = TESS_LEDGER_NULL})
tess_ledger_value tess_bind_text(const char *text);                 /* NULL becomes NULL */
tess_ledger_value tess_bind_bytes(const char *text, size_t n_byte); /* text of a given length */
tess_ledger_value tess_bind_id(int64_t id);                         /* 0 becomes NULL */
enum { TESS_LEDGER_MAX_COLUMN = 32 };

/* Fills `err` from a result code of SQLite. Returns the status. */
tess_status tess_ledger_fail(const tess_ledger *ledger, int rc, tess_error *err);
tess_status tess_ledger_prepare(tess_ledger *ledger, const char *sql, sqlite3_stmt **out, tess_error *err);
/* Binds, runs to the end and resets; the statement may be used again. */
tess_status tess_ledger_repeat(tess_ledger *ledger, sqlite3_stmt *statement, const tess_ledger_value *bind,
                               int n_bind, tess_error *err);
/* Prepares, binds, runs, and finalizes; rows, if any, go to `row` (may be NULL). */
tess_status tess_ledger_ask(tess_ledger *ledger, const char *sql, const tess_ledger_value *bind, int n_bind,
                            tess_ledger_row *row, void *context, tess_error *err);
/* The same without parameters and rows. */
tess_status tess_ledger_say(tess_ledger *ledger, const char *sql, tess_error *err);
/* The first column of the first row as an integer; *found false if there is no row. */
tess_status tess_ledger_ask_integer(tess_ledger *ledger, const char *sql, const tess_ledger_value *bind,
                                    int n_bind, int64_t *out, bool *found, tess_error *err);

tess_status tess_ledger_begin(tess_ledger *ledger, tess_error *err);
/* Commits if status is TESS_OK, else rolls back; returns what became of it. */
tess_status tess_ledger_end(tess_ledger *ledger, tess_status status, tess_error *err);

/* A new number of the sequence. Within a transaction. */
tess_status tess_ledger_new_entry(tess_ledger *ledger, const char *kind, int64_t *id, tess_error *err);

int64_t tess_ledger_now_ms(void);

#endif
