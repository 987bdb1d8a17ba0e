/* Opening a ledger file, and bringing its schema up to date.
 *
 * The journal is a write-ahead log: readers do not wait for a writer, and a process that dies at any moment
 * leaves the file as its last commit had it. Commits are not flushed one by one (synchronous NORMAL): a power
 * cut may take the last entries, and damages nothing. The page cache is small and nothing is mapped, because
 * a run's memory budget pays for both.
 */
#include "verify/ledger/schema.h"
#include "verify/ledger/sql.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* MAX_BYTES bounds one text or row, whatever the file says. */
enum { BUSY_MS = 5000, CACHE_KIB = 256, MAX_BYTES = 64 << 20 };

/* ---- the schema ---------------------------------------------------------------------------------------- */

typedef struct header {
    int64_t application, schema, n_object;
} header;

static bool take_header(void *context, const tess_ledger_value *value, int n_value)
{
    (void)n_value;
    *(header *)context = (header){value[0].integer, value[1].integer, value[2].integer};
    return false;
}

/* One statement, so that another process that is just making the file shows before or after, not between. */
static tess_status read_header(tess_ledger *ledger, header *out, tess_error *err)
{
    tess_status status = tess_ledger_ask(ledger,
                                         "SELECT (SELECT application_id FROM pragma_application_id),"
                                         " (SELECT user_version FROM pragma_user_version),"
                                         " (SELECT count(*) FROM sqlite_schema)",
                                         NULL, 0, take_header, out, err);
    if (status != TESS_OK) return status;
    bool is_new = out->application == 0 && out->schema == 0 && out->n_object == 0;
    if (!is_new && out->application != TESS_LEDGER_APPLICATION)
        return tess_refuse(err, ledger->path, "", -1, "a ledger", "an SQLite file of something else");
    if (out->schema < 0 || (out->schema == 0 && !is_new))
        return tess_refuse(err, ledger->path, "schema", -1, "1 or more", "%lld", (long long)out->schema);
    if (out->schema <= TESS_LEDGER_SCHEMA) return TESS_OK;
    char expected[96];
    snprintf(expected, sizeof expected, "at most %d; a newer version of tessera wrote it (this is %s)",
             TESS_LEDGER_SCHEMA, TESS_VERSION);
    tess_refuse(err, ledger->path, "schema", -1, expected, "a ledger of schema %lld", (long long)out->schema);
    if (err) err->status = TESS_EUNSUPPORTED;
    return TESS_EUNSUPPORTED;
}

static tess_status take_step(tess_ledger *ledger, int from, tess_error *err)
{
    tess_status status = TESS_OK;
    for (const char *const *sql = tess_ledger_migration(from); *sql && status == TESS_OK; sql++)
        status = tess_ledger_say(ledger, *sql, err);
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", from + 1);
    return status == TESS_OK ? tess_ledger_say(ledger, pragma, err) : status;
}

tess_status tess_ledger_migrate(tess_ledger *ledger, int to, tess_error *err)
{
    tess_status status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    header now;
    status = read_header(ledger, &now, err);
    char pragma[64];
    snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", TESS_LEDGER_APPLICATION);
    if (status == TESS_OK && now.schema == 0) status = tess_ledger_say(ledger, pragma, err);
    for (int from = (int)now.schema; from < to && status == TESS_OK; from++)
        status = take_step(ledger, from, err);
    return tess_ledger_end(ledger, status, err);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static tess_status configure(tess_ledger *ledger, tess_error *err)
{
    sqlite3 *db = ledger->db;
    char cache[64];
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_BYTES);
    sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    /* The file may come from anybody: what it says to do on its own is not done. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", CACHE_KIB);
    const char *const pragmas[] = {cache,
                                   "PRAGMA mmap_size = 0",
                                   "PRAGMA temp_store = MEMORY",
                                   "PRAGMA foreign_keys = ON",
                                   "PRAGMA synchronous = NORMAL",
                                   "PRAGMA secure_delete = ON"};
    tess_status status = TESS_OK;
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0] && status == TESS_OK; i++)
        status = tess_ledger_say(ledger, pragmas[i], err);
    return status;
}

/* *schema: what the file has. */
static tess_status open_file(tess_ledger *ledger, const char *name, int flags, int64_t *schema,
                             tess_error *err)
{
    int rc = sqlite3_open_v2(name, &ledger->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    tess_status status = rc == SQLITE_OK ? configure(ledger, err) : tess_ledger_fail(ledger, rc, err);
    header now = {0};
    if (status == TESS_OK) status = read_header(ledger, &now, err);
    *schema = now.schema;
    return status;
}

/* Turning the log on needs the file for a moment alone, and SQLite does not wait for that. */
static tess_status use_log(tess_ledger *ledger, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int waited_ms = 0;; waited_ms += 10) {
        sqlite3_stmt *statement;
        status = tess_ledger_prepare(ledger, "PRAGMA journal_mode = WAL", &statement, err);
        if (status != TESS_OK) return status;
        int rc;
        while ((rc = sqlite3_step(statement)) == SQLITE_ROW) continue;
        sqlite3_finalize(statement);
        if (rc == SQLITE_DONE) return TESS_OK;
        if ((rc & 0xff) != SQLITE_BUSY || waited_ms >= BUSY_MS) return tess_ledger_fail(ledger, rc, err);
        sqlite3_sleep(10);
    }
}

/* A pipe would be waited for. */
static tess_status check_is_file(const tess_ledger *ledger, tess_error *err)
{
    struct stat st;
    if (stat(ledger->path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return tess_fail_system(err, errno, ledger->path, -1, "open the ledger");
        return tess_refuse(err, ledger->path, "", -1, "a ledger", "no such file");
    }
    if (S_ISREG(st.st_mode)) return TESS_OK;
    return tess_refuse(err, ledger->path, "", -1, "a ledger", "something that is no file");
}

/* The file is made before SQLite opens it, because SQLite would let everybody read it. Its log and index take
 * over its permissions. */
static tess_status open_to_write(tess_ledger *ledger, tess_error *err)
{
    bool in_memory = !strcmp(ledger->path, ":memory:");
    if (!in_memory) {
        int fd = open(ledger->path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
        if (fd < 0) return tess_fail_system(err, errno, ledger->path, -1, "open the ledger");
        close(fd);
        tess_status status = check_is_file(ledger, err);
        if (status != TESS_OK) return status;
        if (access(ledger->path, W_OK) != 0)
            return tess_fail_system(err, errno, ledger->path, -1, "write the ledger");
    }
    int64_t schema;
    tess_status status = open_file(ledger, ledger->path, SQLITE_OPEN_READWRITE, &schema, err);
    if (status == TESS_OK && !in_memory) status = use_log(ledger, err);
    if (status != TESS_OK || schema == TESS_LEDGER_SCHEMA) return status;
    return tess_ledger_migrate(ledger, TESS_LEDGER_SCHEMA, err);
}

/* "file:" name of a path that says that nobody changes the file. */
static char *immutable_name(const char *path)
{
    static const char digits[] = "0123456789ABCDEF";
    char *name = malloc(3 * strlen(path) + sizeof "file:?immutable=1");
    if (!name) return NULL;
    char *to = stpcpy(name, "file:");
    for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
        if (isalnum(*c) || strchr("/._-", *c)) {
            *to++ = (char)*c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[*c >> 4];
        *to++ = digits[*c & 15];
    }
    strcpy(to, "?immutable=1");
    return name;
}

static bool has_log(const char *path)
{
    char log[4096];
    struct stat st;
    snprintf(log, sizeof log, "%s-wal", path);
    return stat(log, &st) == 0 && st.st_size > 0;
}

/* In a place where the log's index cannot be made, a ledger without a log is read as it lies there. */
static tess_status open_to_read(tess_ledger *ledger, tess_error *err)
{
    tess_error first;
    int64_t schema;
    tess_status status = check_is_file(ledger, err);
    if (status != TESS_OK) return status;
    status = open_file(ledger, ledger->path, SQLITE_OPEN_READWRITE, &schema, &first);
    if (status == TESS_EIO && !has_log(ledger->path)) {
        char *name = immutable_name(ledger->path);
        if (!name) return tess_fail(err, TESS_ENOMEM, "%s: no memory to open it", ledger->path);
        sqlite3_close_v2(ledger->db);
        ledger->db = NULL;
        status = open_file(ledger, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &schema, err);
        free(name);
    } else if (status != TESS_OK && err) {
        *err = first;
    }
    if (status == TESS_OK && schema < TESS_LEDGER_SCHEMA)
        status = tess_ledger_migrate(ledger, TESS_LEDGER_SCHEMA, err);
    if (status == TESS_OK) status = tess_ledger_say(ledger, "PRAGMA query_only = ON", err);
    return status == TESS_OK ? tess_ledger_say(ledger, "BEGIN", err) : status;
}

tess_status tess_ledger_open(const char *path, tess_ledger_access access, tess_ledger **out, tess_error *err)
{
    tess_ledger *ledger = calloc(1, sizeof *ledger);
    if (!path) path = ":memory:";
    if (ledger) ledger->path = strdup(path);
    tess_status status;
    if (!ledger || !ledger->path)
        status = tess_fail(err, TESS_ENOMEM, "%s: no memory to open the ledger", path);
    else
        status = access == TESS_LEDGER_WRITE ? open_to_write(ledger, err) : open_to_read(ledger, err);
    if (status != TESS_OK)
        tess_ledger_close(ledger);
    else
        *out = ledger;
    return status;
}

void tess_ledger_close(tess_ledger *ledger)
{
    if (!ledger) return;
    sqlite3_close_v2(ledger->db);
    free(ledger->path);
    free(ledger);
}
