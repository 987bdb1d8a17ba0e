/* Reading the ledger's parts, and forgetting entries. */
#include <string.h>

#include "base/error.h"
#include "verify/ledger/sql.h"

/* ?1 is the entry's number. */
static const char *const parts[] = {
    [TESS_LEDGER_ENTRIES] =
        "SELECT e.id, e.kind, e.time_ms, coalesce(r.command, v.command) AS command, c.folder,"
        " r.prompt_tokens, r.new_tokens, CASE e.kind WHEN 'run' THEN ifnull(r.finish, 'not ended')"
        " WHEN 'verification' THEN v.verdict WHEN 'checkpoint' THEN"
        " CASE WHEN c.weights_sha256 IS NULL THEN 'not hashed' ELSE 'hashed' END END AS outcome,"
        " CASE e.kind WHEN 'run' THEN r.prompt_sha256 WHEN 'verification' THEN v.reference"
        " WHEN 'checkpoint' THEN ifnull(c.weights_sha256, c.config_sha256) END AS detail"
        " FROM entries e LEFT JOIN runs r ON r.id = e.id LEFT JOIN verifications v ON v.id = e.id"
        " LEFT JOIN checkpoints c ON c.id = coalesce(r.checkpoint_id, v.checkpoint_id, e.id)"
        " WHERE ?1 = 0 OR e.id = ?1 ORDER BY e.id",

    [TESS_LEDGER_CHECKPOINT] =
        "SELECT folder, config_sha256, weights_sha256,"
        " (SELECT count(*) FROM runs WHERE checkpoint_id = ?1) AS runs,"
        " (SELECT count(*) FROM verifications WHERE checkpoint_id = ?1) AS verifications"
        " FROM checkpoints WHERE id = ?1",

    /* Digests that the weights were made of, but that are no longer those of the files, come without size. */
    [TESS_LEDGER_FILES] =
        "SELECT f.name, f.n_byte AS bytes, f.sha256, f.mtime_ns, f.hashed_ms,"
        " EXISTS (SELECT 1 FROM checkpoint_files w WHERE w.checkpoint_id = c.id AND w.name = f.name AND"
        " w.sha256 = f.sha256) AS in_weights FROM checkpoints c JOIN files f ON f.folder = c.folder"
        " WHERE c.id = ?1 UNION ALL"
        " SELECT w.name, NULL, w.sha256, NULL, NULL, 1 FROM checkpoint_files w JOIN checkpoints c ON"
        " c.id = w.checkpoint_id WHERE c.id = ?1 AND NOT EXISTS (SELECT 1 FROM files f WHERE"
        " f.folder = c.folder AND f.name = w.name AND f.sha256 = w.sha256) ORDER BY 1",

    [TESS_LEDGER_TENSORS] =
        "SELECT f.name AS file, t.name, t.dtype, t.shape, t.sha256, t.n_nonfinite AS non_finite,"
        " t.first_nonfinite AS first_non_finite"
        " FROM checkpoints c JOIN files f ON f.folder = c.folder JOIN tensors t ON t.file_id = f.id"
        " WHERE c.id = ?1 ORDER BY f.name, t.place",

    [TESS_LEDGER_RUN] =
        "SELECT r.checkpoint_id AS checkpoint, c.folder, c.config_sha256, c.weights_sha256, r.command,"
        " r.version, r.dtype, r.seed, r.prompt_kind, r.prompt_sha256, r.prompt_text, r.system_sha256,"
        " r.system_text, r.isa, r.threads, r.budget_bytes, r.context, r.chunk, r.prompt_tokens,"
        " r.new_tokens, r.prefill_seconds, r.decode_seconds, r.bytes_read, r.peak_rss_bytes, r.finish,"
        " r.exit_code, r.ended_ms FROM runs r JOIN checkpoints c ON c.id = r.checkpoint_id WHERE r.id = ?1",

    [TESS_LEDGER_ROUTING] =
        "SELECT CASE component WHEN 0 THEN 'thinker' WHEN 1 THEN 'talker' END AS component, layer, expert,"
        " count FROM routing WHERE run_id = ?1 ORDER BY routing.component, layer, expert",

    [TESS_LEDGER_VERIFICATION] =
        "SELECT v.checkpoint_id AS checkpoint, c.folder, c.config_sha256, c.weights_sha256, v.run_id AS run,"
        " v.command, v.version, v.isolated, v.reference, v.truth, v.dtype, v.case_name AS \"case\","
        " v.golden_sha256, v.certificate_sha256, v.isa, v.threads, v.verdict, v.taps_compared, v.taps_equal,"
        " v.taps_failed, (SELECT tap FROM taps WHERE verification_id = v.id AND place = v.worst_place) AS"
        " worst, (SELECT tap FROM taps WHERE verification_id = v.id AND place = v.first_place) AS first,"
        " v.ratio_mean, v.seconds FROM verifications v LEFT JOIN checkpoints c ON c.id = v.checkpoint_id"
        " WHERE v.id = ?1",

    [TESS_LEDGER_TAPS] =
        "SELECT tap, component, layer, expert, experts, position, outcome, measure, error, tolerance, rel_l2,"
        " max_abs, cosine, elements, different, first_different, nonfinite, nonfinite_reference, ties, why"
        " FROM taps WHERE verification_id = ?1 ORDER BY place",
};

tess_status tess_ledger_read(tess_ledger *ledger, tess_ledger_part part, int64_t id, tess_ledger_row *row,
                             void *context, tess_error *err)
{
    return tess_ledger_ask(ledger, parts[part], (tess_ledger_value[]){TESS_BIND_INTEGER(id)}, 1, row, context,
                           err);
}

static bool take_kind(void *context, const tess_ledger_value *value, int n_value)
{
    static const char *const kinds[] = {"checkpoint", "run", "verification"};
    const char **kind = context;
    (void)n_value;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (value->text && !strcmp(value->text, kinds[i])) *kind = kinds[i];
    return false;
}

tess_status tess_ledger_get_kind(tess_ledger *ledger, int64_t id, const char **kind, tess_error *err)
{
    const char *found = "";
    tess_status status =
        tess_ledger_ask(ledger, "SELECT kind FROM entries WHERE id = ?1",
                        (tess_ledger_value[]){TESS_BIND_INTEGER(id)}, 1, take_kind, &found, err);
    if (status == TESS_OK) *kind = found;
    return status;
}

/* ---- forgetting ---------------------------------------------------------------------------------------- */

/* Files go with the last checkpoint of their folder. */
#define FILES_GOING                                                                                          \
    " FROM files WHERE folder NOT IN (SELECT folder FROM checkpoints WHERE id NOT IN (SELECT id FROM "       \
    "going))"                                                                                                \
    " AND (folder IN (SELECT folder FROM checkpoints WHERE id IN (SELECT id FROM going)) OR ?1 = 0)"

static tess_status count_going(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out, tess_error *err)
{
    const struct {
        int64_t *count;
        const char *sql;
    } counts[] = {
        {&out->n_checkpoint, "SELECT count(*) FROM checkpoints WHERE id IN (SELECT id FROM going)"},
        {&out->n_file, "SELECT count(*)" FILES_GOING},
        {&out->n_tensor, "SELECT count(*) FROM tensors WHERE file_id IN (SELECT id" FILES_GOING ")"},
        {&out->n_run, "SELECT count(*) FROM runs WHERE id IN (SELECT id FROM going)"},
        {&out->n_routing, "SELECT count(*) FROM routing WHERE run_id IN (SELECT id FROM going)"},
        {&out->n_verification, "SELECT count(*) FROM verifications WHERE id IN (SELECT id FROM going)"},
        {&out->n_tap, "SELECT count(*) FROM taps WHERE verification_id IN (SELECT id FROM going)"},
    };
    tess_status status = TESS_OK;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && status == TESS_OK; i++) {
        const tess_ledger_value bind[] = {TESS_BIND_INTEGER(id)};
        int n_bind = strstr(counts[i].sql, "?1") != NULL;
        status = tess_ledger_ask_integer(ledger, counts[i].sql, bind, n_bind, counts[i].count, NULL, err);
    }
    return status;
}

/* The table of all that goes with an entry, and how much that is. */
static tess_status list_going(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out, tess_error *err)
{
    const tess_ledger_value bind[] = {TESS_BIND_INTEGER(id)};
    tess_status status =
        tess_ledger_ask(ledger, "CREATE TEMP TABLE going (id INTEGER PRIMARY KEY)", NULL, 0, NULL, NULL, err);
    /* Numbers are one sequence, so ?1 is a checkpoint here or a run or a verification, and never two. */
    if (status == TESS_OK)
        status = tess_ledger_ask(ledger,
                                 "INSERT INTO going SELECT id FROM entries WHERE ?1 IN (0, id) UNION"
                                 " SELECT id FROM runs WHERE checkpoint_id = ?1 UNION"
                                 " SELECT id FROM verifications WHERE checkpoint_id = ?1",
                                 bind, 1, NULL, NULL, err);
    return status == TESS_OK ? count_going(ledger, id, out, err) : status;
}

static tess_status drop_going(tess_ledger *ledger, tess_error *err)
{
    return tess_ledger_ask(ledger, "DROP TABLE going", NULL, 0, NULL, NULL, err);
}

static tess_status remove_going(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out, tess_error *err)
{
    const tess_ledger_value bind[] = {TESS_BIND_INTEGER(id)};
    tess_status status = list_going(ledger, id, out, err);
    if (status == TESS_OK) status = tess_ledger_ask(ledger, "DELETE" FILES_GOING, bind, 1, NULL, NULL, err);
    if (status == TESS_OK)
        status = tess_ledger_ask(ledger, "DELETE FROM entries WHERE id IN (SELECT id FROM going)", NULL, 0,
                                 NULL, NULL, err);
    return status == TESS_OK ? drop_going(ledger, err) : status;
}

/* Whether all of the log went into the file, and what was removed with it. Not while another process still
 * reads it there: then it goes when the last of them closes the ledger. */
static bool empty_log(tess_ledger *ledger)
{
    int64_t is_busy = 1;
    tess_status status =
        tess_ledger_ask_integer(ledger, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, 0, &is_busy, NULL, NULL);
    return status == TESS_OK && !is_busy;
}

/* TESS_EUSAGE unless there is such an entry; id 0 stands for all. */
static tess_status begin_forgetting(tess_ledger *ledger, int64_t id, tess_error *err)
{
    const char *kind = "";
    tess_status status = id ? tess_ledger_get_kind(ledger, id, &kind, err) : TESS_OK;
    if (status == TESS_OK && id && !*kind)
        status = tess_fail(err, TESS_EUSAGE, "there is no entry %lld in the ledger", (long long)id);
    return status == TESS_OK ? tess_ledger_begin(ledger, err) : status;
}

tess_status tess_ledger_count_forgotten(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out,
                                        tess_error *err)
{
    tess_ledger_forgotten going = {0};
    tess_status status = begin_forgetting(ledger, id, err);
    if (status != TESS_OK) return status;
    status = list_going(ledger, id, &going, err);
    if (status == TESS_OK) status = drop_going(ledger, err);
    status = tess_ledger_end(ledger, status, err);
    if (status == TESS_OK) *out = going;
    return status;
}

tess_status tess_ledger_forget(tess_ledger *ledger, int64_t id, tess_ledger_forgotten *out, tess_error *err)
{
    tess_ledger_forgotten going = {0};
    tess_status status = begin_forgetting(ledger, id, err);
    if (status != TESS_OK) return status;
    status = remove_going(ledger, id, &going, err);
    status = tess_ledger_end(ledger, status, err);
    if (status != TESS_OK) return status;
    going.is_overwritten = empty_log(ledger);
    /* Pages are overwritten before the file gets shorter. */
    if (id == 0 && going.is_overwritten) {
        tess_ledger_ask(ledger, "VACUUM", NULL, 0, NULL, NULL, NULL);
        going.is_overwritten = empty_log(ledger);
    }
    *out = going;
    return TESS_OK;
}
