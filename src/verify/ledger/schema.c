/* The tables, by the migrations that make them. A migration is never changed once a version with it has gone
 * out: a new one is added.
 *
 * Entries give checkpoints, runs and verifications one sequence of numbers. Digests belong to files and not
 * to checkpoints, because files are what is hashed: a checkpoint names the digests its weights were made of,
 * and its weights are known for as long as the files still are what they were.
 */
#include <stddef.h>

#include "verify/ledger/schema.h"

static const char *const to_1[] = {
    "CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
    " time_ms INTEGER NOT NULL) STRICT",

    "CREATE TABLE checkpoints (id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,"
    " folder TEXT NOT NULL, config_sha256 TEXT, weights_sha256 TEXT) STRICT",
    "CREATE UNIQUE INDEX checkpoint_identity ON checkpoints"
    " (folder, ifnull(config_sha256, ''), ifnull(weights_sha256, ''))",

    "CREATE TABLE files (id INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL,"
    " n_byte INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, hashed_ms INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL CHECK (length(sha256) = 64), UNIQUE (folder, name)) STRICT",

    "CREATE TABLE tensors (file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE,"
    " place INTEGER NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL, shape TEXT NOT NULL,"
    " sha256 TEXT NOT NULL CHECK (length(sha256) = 64), n_nonfinite INTEGER NOT NULL,"
    " first_nonfinite INTEGER NOT NULL, PRIMARY KEY (file_id, place)) STRICT, WITHOUT ROWID",

    "CREATE TABLE checkpoint_files"
    " (checkpoint_id INTEGER NOT NULL REFERENCES checkpoints (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (checkpoint_id, name)) STRICT, WITHOUT ROWID",

    "CREATE TABLE runs (id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,"
    " checkpoint_id INTEGER NOT NULL REFERENCES checkpoints (id), command TEXT NOT NULL,"
    " version TEXT NOT NULL, dtype TEXT NOT NULL, seed TEXT NOT NULL, prompt_kind TEXT, prompt_sha256 TEXT,"
    " prompt_text TEXT, system_sha256 TEXT, system_text TEXT, isa TEXT, threads INTEGER,"
    " budget_bytes INTEGER, context INTEGER, chunk INTEGER, prompt_tokens INTEGER, new_tokens INTEGER,"
    " prefill_seconds REAL, decode_seconds REAL, bytes_read INTEGER, peak_rss_bytes INTEGER,"
    " finish TEXT, exit_code INTEGER, ended_ms INTEGER) STRICT",
    "CREATE INDEX run_checkpoint ON runs (checkpoint_id)",

    "CREATE TABLE routing (run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,"
    " component INTEGER NOT NULL, layer INTEGER NOT NULL, expert INTEGER NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (run_id, component, layer, expert)) STRICT, WITHOUT ROWID",
    NULL};

static const char *const to_2[] = {
    "CREATE TABLE verifications (id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,"
    " checkpoint_id INTEGER REFERENCES checkpoints (id),"
    " run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL, command TEXT NOT NULL, version TEXT NOT NULL,"
    " isolated INTEGER NOT NULL, reference TEXT NOT NULL, truth TEXT, dtype TEXT, case_name TEXT,"
    " golden_sha256 TEXT, certificate_sha256 TEXT, isa TEXT, threads INTEGER, verdict TEXT NOT NULL,"
    " taps_compared INTEGER NOT NULL, taps_equal INTEGER NOT NULL, taps_failed INTEGER NOT NULL,"
    " worst_place INTEGER, first_place INTEGER, ratio_mean REAL, seconds REAL) STRICT",
    "CREATE INDEX verification_checkpoint ON verifications (checkpoint_id)",
    "CREATE INDEX verification_run ON verifications (run_id)",

    "CREATE TABLE taps (verification_id INTEGER NOT NULL REFERENCES verifications (id) ON DELETE CASCADE,"
    " place INTEGER NOT NULL, tap TEXT NOT NULL, component TEXT NOT NULL, layer INTEGER, expert INTEGER,"
    " experts TEXT NOT NULL, position INTEGER, outcome TEXT NOT NULL, measure TEXT NOT NULL, error REAL,"
    " tolerance REAL, rel_l2 REAL, max_abs REAL, cosine REAL, elements INTEGER NOT NULL,"
    " different INTEGER NOT NULL, first_different INTEGER, nonfinite INTEGER NOT NULL,"
    " nonfinite_reference INTEGER NOT NULL, ties INTEGER NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY (verification_id, place)) STRICT, WITHOUT ROWID",
    NULL};

const char *const *tess_ledger_migration(int from)
{
    static const char *const *const steps[TESS_LEDGER_SCHEMA] = {to_1, to_2};
    return steps[from];
}
