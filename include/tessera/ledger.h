/* The ledger: an SQLite file that remembers what was run, verified and learned about checkpoints.
 *
 *     tess_ledger *ledger;
 *     tess_ledger_checkpoint checkpoint;
 *     int64_t id;
 *     tess_ledger_open("ledger.sqlite", TESS_LEDGER_WRITE, &ledger, &err);
 *     tess_ledger_note_checkpoint(ledger, "demo/checkpoint", &checkpoint, &err);
 *     tess_ledger_begin_run(ledger, &(tess_ledger_run){.checkpoint = checkpoint.id, …}, &id, &err);
 *     …
 *     tess_ledger_end_run(ledger, id, &(tess_ledger_run_end){.finish = "stop", …}, routing, &err);
 *     tess_ledger_close(ledger);
 *
 * Every call is one transaction: after it, all of what it records is in the file, or, if it failed or the
 * process was killed, nothing. Checkpoints, runs and verifications are entries, numbered in one sequence; a
 * number is never used again.
 *
 * Errors of every function that takes a ledger: TESS_EIO the disk is full, the place cannot be written, or
 * another process kept the ledger locked for five seconds; TESS_EINPUT the file is damaged; TESS_ENOMEM. The
 * ledger stays usable.
 *
 * Threads: a ledger belongs to one thread at a time. Any number of processes may have the same file open.
 */
#ifndef TESSERA_LEDGER_H
#define TESSERA_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/checkpoint.h"
#include "tessera/compare.h"
#include "tessera/engine.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_ledger tess_ledger;

typedef enum tess_ledger_access {
    TESS_LEDGER_READ,  /* the file must exist; a read-only place will do. Shows what it held at the first
                          reading, whatever others write meanwhile */
    TESS_LEDGER_WRITE, /* created where it is absent, readable by its owner only; its folder must exist */
} tess_ledger_access;

/* Opens the ledger at `path`; NULL: one in memory that nobody sees again, for measuring. A file of an older
 * schema is brought up to date.
 * Errors: TESS_EUNSUPPORTED  the file has a newer schema than this version knows;
 *         TESS_EINPUT  no such file (to read), no SQLite file, somebody else's, or a damaged one. */
tess_status tess_ledger_open(const char *path, tess_ledger_access access, tess_ledger **out, tess_error *err);
void tess_ledger_close(tess_ledger *ledger); /* NULL is fine */

/* ---- checkpoints and their digests --------------------------------------------------------------------- */

/* A folder with a certain config.json and, if they were ever hashed, certain weights. */
typedef struct tess_ledger_checkpoint {
    int64_t id;              /* of its entry */
    char config_sha256[65];  /* of config.json now, "" if it cannot be read */
    char weights_sha256[65]; /* as tess_checkpoint_checksum defines it; "" unless every shard and the index
                                have the size and the modification time they had when they were hashed */
} tess_ledger_checkpoint;

/* The entry of the checkpoint in this folder as it is now; made if there is none. */
tess_status tess_ledger_note_checkpoint(tess_ledger *ledger, const char *model_dir,
                                        tess_ledger_checkpoint *out, tess_error *err);

/* The recorded digests of one shard: `sum` [tensors of the shard], by offset. *found is false, and `sum` of
 * no meaning, if there are none, or size, modification time, names, types or shapes are others by now.
 *   hashed_ms  when they were made, milliseconds since 1970 */
tess_status tess_ledger_recall_shard(tess_ledger *ledger, const tess_checkpoint *checkpoint, int shard,
                                     tess_tensor_checksum *sum, char sha256[65], int64_t *hashed_ms,
                                     bool *found, tess_error *err);
/* Call before shards are hashed that will be recorded: waits, two seconds at most, until a later change would
 * show in the modification time of every shard and of the index. A time that has a fraction of a second is
 * taken to be exact to 20 ms, one that has none to 2 s. */
void tess_ledger_await_shards(const tess_checkpoint *checkpoint);
/* Records the digests of one shard. Where a tensor could not be read, or the file at its path is no longer
 * the one that was opened, nothing is recorded and *recorded is false. */
tess_status tess_ledger_record_shard(tess_ledger *ledger, const tess_checkpoint *checkpoint, int shard,
                                     const tess_tensor_checksum *sum, const char *sha256, bool *recorded,
                                     tess_error *err);
/* What a file looked like before it was read: for a record that does not claim more than it knows. */
typedef struct tess_ledger_stamp {
    int64_t n_byte, mtime_ns; /* n_byte -1: there was no such file */
} tess_ledger_stamp;
tess_ledger_stamp tess_ledger_stamp_file(const char *path);
/* Records the digest of another file of the folder, as config.json. */
tess_status tess_ledger_record_file(tess_ledger *ledger, const char *model_dir, const char *name,
                                    tess_ledger_stamp before, const char *sha256, tess_error *err);
/* Records that the shards recorded of this checkpoint, all of them, have this digest together. If one of them
 * is not recorded, or no longer what it was, nothing is recorded. */
tess_status tess_ledger_record_weights(tess_ledger *ledger, const char *model_dir,
                                       const tess_checkpoint *checkpoint, const char *weights_sha256,
                                       tess_ledger_checkpoint *out, tess_error *err);

/* ---- runs ---------------------------------------------------------------------------------------------- */

/* What is known when a run begins. Texts may be NULL where they are not known or not to be kept. */
typedef struct tess_ledger_run {
    int64_t checkpoint;  /* its entry */
    const char *command; /* "run", "chat", "trace" */
    tess_precision precision;
    uint64_t seed;
    const char *prompt_kind; /* "chat", "raw", "messages" (as JSON), "ids", "say" (read aloud); the same and "
                                with media" */
    const char *prompt_sha256, *prompt_text; /* the text, only if it is to be kept */
    const char *system_sha256, *system_text; /* likewise, of the system message */
    size_t n_prompt_text, n_system_text;     /* bytes */
} tess_ledger_run;

/* What is known at its end. */
typedef struct tess_ledger_run_end {
    const char *finish; /* "stop", "length", "interrupted", "done", "failed" */
    int exit_code;
    const char *isa; /* NULL if no engine was opened; then the next four are not recorded either */
    int n_thread, n_context, n_chunk;
    uint64_t budget_bytes;
    int64_t n_prompt, n_new;                /* tokens; below 0: not known */
    double prefill_seconds, decode_seconds; /* likewise */
    uint64_t bytes_read, peak_rss_bytes;
} tess_ledger_run_end;

/* Counts which experts were chosen, from the taps of a run. One int64 per layer and expert. */
typedef struct tess_routing tess_routing;
tess_status tess_routing_new(const char *model_dir, tess_routing **out, tess_error *err);
void tess_routing_free(tess_routing *routing); /* NULL is fine */
/* A listener for tess_session_feed and tess_session_generate that wants the routers' choices only; lives as
 * long as the record. */
const tess_tap_listener *tess_routing_get_listener(const tess_routing *routing);
void tess_routing_clear(tess_routing *routing);
/* Positions that chose this expert in this layer so far; 0 for a layer or expert there is not. */
int64_t tess_routing_get_count(const tess_routing *routing, int layer, int expert);

/* An entry for a run that has begun; until its end is recorded it counts as one that was cut off. */
tess_status tess_ledger_begin_run(tess_ledger *ledger, const tess_ledger_run *run, int64_t *id,
                                  tess_error *err);
/* Completes it. routing may be NULL. */
tess_status tess_ledger_end_run(tess_ledger *ledger, int64_t id, const tess_ledger_run_end *end,
                                const tess_routing *routing, tess_error *err);

/* ---- verifications ------------------------------------------------------------------------------------- */

typedef struct tess_ledger_verification {
    int64_t checkpoint;        /* its entry; 0: not known */
    int64_t run;               /* the run that was compared; 0: none is recorded */
    const char *command;       /* "verify", "compare" */
    const char *case_name;     /* of the golden; NULL: it does not say */
    const char *golden_sha256; /* of the file; NULL: not known */
    bool isolated;             /* every module was fed the golden's own input */
    const char *isa;           /* NULL: not known */
    int n_thread;              /* 0: not known */
    double seconds;
    const tess_compare_result *result; /* verdict, paths and all taps */
} tess_ledger_verification;

/* Records a comparison: one entry, and a row for each of its taps. */
tess_status tess_ledger_record_verification(tess_ledger *ledger, const tess_ledger_verification *verification,
                                            int64_t *id, tess_error *err);

/* Records that verifications, by their entries, are in a certificate whose file has this SHA-256. */
tess_status tess_ledger_record_certificate(tess_ledger *ledger, const int64_t *verification, int n,
                                           const char *sha256, tess_error *err);

/* ---- reading and forgetting ---------------------------------------------------------------------------- */

/* Parts of the ledger, each a list of rows with named columns. */
typedef enum tess_ledger_part {
    TESS_LEDGER_ENTRIES, /* id, kind, time_ms, and the columns that tell entries apart: command, folder,
                            prompt_tokens, new_tokens, outcome, detail */
    TESS_LEDGER_CHECKPOINT,
    TESS_LEDGER_FILES,   /* of a checkpoint's folder, if they are those its weights were hashed from */
    TESS_LEDGER_TENSORS, /* of those */
    TESS_LEDGER_RUN,
    TESS_LEDGER_ROUTING, /* component, layer, expert, count */
    TESS_LEDGER_VERIFICATION,
    TESS_LEDGER_TAPS,
} tess_ledger_part;

typedef enum tess_ledger_kind {
    TESS_LEDGER_NULL,
    TESS_LEDGER_INTEGER,
    TESS_LEDGER_REAL,
    TESS_LEDGER_TEXT
} tess_ledger_kind;
typedef struct tess_ledger_value {
    const char *name; /* of the column */
    tess_ledger_kind kind;
    int64_t integer;
    double real;
    const char *text; /* UTF-8 with a NUL at its end, n_text bytes; lives for the call */
    size_t n_text;
} tess_ledger_value;
/* Called for every row; false ends the reading. */
typedef bool tess_ledger_row(void *context, const tess_ledger_value *value, int n_value);

/* Reads a part of one entry; id 0: of all (TESS_LEDGER_ENTRIES only). Rows come in their natural order. An
 * entry without such a part has no rows. */
tess_status tess_ledger_read(tess_ledger *ledger, tess_ledger_part part, int64_t id, tess_ledger_row *row,
                             void *context, tess_error *err);

/* "checkpoint", "run", "verification" or "" if there is no such entry; a static string. */
tess_status tess_ledger_get_kind(tess_ledger *ledger, int64_t id, const char **kind, tess_error *err);

typedef struct tess_ledger_forgotten {
    int64_t n_checkpoint, n_file, n_tensor, n_run, n_routing, n_verification, n_tap;
    bool is_overwritten; /* in the file as well; else another process reads it, and it will be when that ends
                          */
} tess_ledger_forgotten;

/* Removes an entry; with a checkpoint go its runs, verifications and digests, with a run its counts, with a
 * verification its taps. id 0: everything. What is removed is overwritten in the file, for which other
 * processes that read it are waited for, five seconds at most. Errors: TESS_EUSAGE  there is no such entry.
 */
tess_status tess_ledger_forget(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out, tess_error *err);
/* What that would remove. */
tess_status tess_ledger_count_forgotten(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out,
                                        tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
