/* Runs and verifications as rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "verify/ledger/routing.h"
#include "verify/ledger/sql.h"

/* ---- runs ---------------------------------------------------------------------------------------------- */

static tess_status insert_run(tess_ledger *ledger, const tess_ledger_run *run, int64_t id, tess_error *err)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->seed);
    const tess_ledger_value bind[] = {
        TESS_BIND_INTEGER(id),
        TESS_BIND_INTEGER(run->checkpoint),
        tess_bind_text(run->command),
        tess_bind_text(TESS_VERSION),
        tess_bind_text(run->precision == TESS_PRECISION_F32 ? "f32" : "bf16"),
        tess_bind_text(seed),
        tess_bind_text(run->prompt_kind),
        tess_bind_text(run->prompt_sha256),
        tess_bind_bytes(run->prompt_text, run->n_prompt_text),
        tess_bind_text(run->system_sha256),
        tess_bind_bytes(run->system_text, run->n_system_text),
    };
    return tess_ledger_ask(ledger,
                           "INSERT INTO runs (id, checkpoint_id, command, version, dtype, seed, prompt_kind,"
                           " prompt_sha256, prompt_text, system_sha256, system_text)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                           bind, sizeof bind / sizeof bind[0], NULL, NULL, err);
}

tess_status tess_ledger_begin_run(tess_ledger *ledger, const tess_ledger_run *run, int64_t *id,
                                  tess_error *err)
{
    int64_t new_id = 0;
    tess_status status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    status = tess_ledger_new_entry(ledger, "run", &new_id, err);
    if (status == TESS_OK) status = insert_run(ledger, run, new_id, err);
    status = tess_ledger_end(ledger, status, err);
    if (status == TESS_OK) *id = new_id;
    return status;
}

static tess_ledger_value bind_or_null(int64_t value)
{
    return value < 0 ? TESS_BIND_NULL : TESS_BIND_INTEGER(value);
}

static tess_ledger_value bind_seconds(double seconds)
{
    return seconds < 0 ? TESS_BIND_NULL : TESS_BIND_REAL(seconds);
}

static tess_status update_run(tess_ledger *ledger, int64_t id, const tess_ledger_run_end *end,
                              tess_error *err)
{
    bool ran = end->isa != NULL;
    const tess_ledger_value bind[] = {
        TESS_BIND_INTEGER(id),
        tess_bind_text(end->finish),
        TESS_BIND_INTEGER(end->exit_code),
        TESS_BIND_INTEGER(tess_ledger_now_ms()),
        tess_bind_text(end->isa),
        ran ? TESS_BIND_INTEGER(end->n_thread) : TESS_BIND_NULL,
        ran ? TESS_BIND_INTEGER(end->budget_bytes) : TESS_BIND_NULL,
        ran ? TESS_BIND_INTEGER(end->n_context) : TESS_BIND_NULL,
        ran ? TESS_BIND_INTEGER(end->n_chunk) : TESS_BIND_NULL,
        bind_or_null(end->n_prompt),
        bind_or_null(end->n_new),
        bind_seconds(end->prefill_seconds),
        bind_seconds(end->decode_seconds),
        TESS_BIND_INTEGER(end->bytes_read),
        TESS_BIND_INTEGER(end->peak_rss_bytes),
    };
    return tess_ledger_ask(ledger,
                           "UPDATE runs SET finish = ?2, exit_code = ?3, ended_ms = ?4, isa = ?5,"
                           " threads = ?6, budget_bytes = ?7, context = ?8, chunk = ?9, prompt_tokens = ?10,"
                           " new_tokens = ?11, prefill_seconds = ?12, decode_seconds = ?13,"
                           " bytes_read = ?14, peak_rss_bytes = ?15 WHERE id = ?1",
                           bind, sizeof bind / sizeof bind[0], NULL, NULL, err);
}

static tess_status insert_routing(tess_ledger *ledger, int64_t id, const tess_routing *routing,
                                  tess_error *err)
{
    enum { THINKER = 0 };
    sqlite3_stmt *statement;
    tess_status status = tess_ledger_prepare(
        ledger, "INSERT INTO routing (run_id, component, layer, expert, count) VALUES (?1, ?2, ?3, ?4, ?5)",
        &statement, err);
    if (status != TESS_OK) return status;
    for (int layer = 0; layer < routing->n_layer; layer++)
        for (int expert = 0; expert < routing->n_expert && status == TESS_OK; expert++) {
            int64_t count = tess_routing_get_count(routing, layer, expert);
            if (!count) continue;
            const tess_ledger_value bind[] = {TESS_BIND_INTEGER(id), TESS_BIND_INTEGER(THINKER),
                                              TESS_BIND_INTEGER(layer), TESS_BIND_INTEGER(expert),
                                              TESS_BIND_INTEGER(count)};
            status = tess_ledger_repeat(ledger, statement, bind, 5, err);
        }
    sqlite3_finalize(statement);
    return status;
}

tess_status tess_ledger_end_run(tess_ledger *ledger, int64_t id, const tess_ledger_run_end *end,
                                const tess_routing *routing, tess_error *err)
{
    tess_status status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    status = update_run(ledger, id, end, err);
    bool forgotten = sqlite3_changes(ledger->db) == 0; /* by another process, meanwhile */
    if (status == TESS_OK && routing && !forgotten) status = insert_routing(ledger, id, routing, err);
    return tess_ledger_end(ledger, status, err);
}

/* ---- verifications ------------------------------------------------------------------------------------- */

static tess_status insert_verification(tess_ledger *ledger, const tess_ledger_verification *v, int64_t id,
                                       tess_error *err)
{
    const tess_compare_result *r = v->result;
    const char *dtype = !r->reference_precision_known                  ? NULL
                        : r->reference_precision == TESS_PRECISION_F32 ? "f32"
                                                                       : "bf16";
    const tess_ledger_value bind[] = {
        TESS_BIND_INTEGER(id),
        tess_bind_id(v->checkpoint),
        tess_bind_id(v->run),
        tess_bind_text(v->command),
        tess_bind_text(TESS_VERSION),
        TESS_BIND_INTEGER(v->isolated),
        tess_bind_text(r->reference),
        tess_bind_text(r->truth),
        tess_bind_text(dtype),
        tess_bind_text(v->case_name),
        tess_bind_text(v->golden_sha256),
        tess_bind_text(v->isa),
        tess_bind_id(v->n_thread),
        tess_bind_text(tess_verdict_name(r->verdict)),
        TESS_BIND_INTEGER(r->n_compared),
        TESS_BIND_INTEGER(r->n_equal),
        TESS_BIND_INTEGER(r->n_failed),
        bind_or_null(r->worst),
        bind_or_null(r->first),
        r->n_ratio ? TESS_BIND_REAL(r->ratio_mean) : TESS_BIND_NULL,
        TESS_BIND_REAL(v->seconds),
    };
    return tess_ledger_ask(
        ledger,
        "INSERT INTO verifications (id, checkpoint_id, run_id, command, version, isolated, reference, truth,"
        " dtype, case_name, golden_sha256, isa, threads, verdict, taps_compared,"
        " taps_equal, taps_failed, worst_place, first_place, ratio_mean, seconds) VALUES (?1, ?2, ?3, ?4,"
        " ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        bind, sizeof bind / sizeof bind[0], NULL, NULL, err);
}

/* "[4,17]": the experts that explain a failure, as JSON. Those that do not fit are left out. */
static void format_experts(const tess_tap_report *tap, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < tap->n_experts && used + 16 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%d", i ? "," : "", tap->experts[i]);
    snprintf(out + used, size - used, "]");
}

static tess_status insert_tap(tess_ledger *ledger, sqlite3_stmt *statement, int64_t id, int place,
                              const tess_tap_report *tap, tess_error *err)
{
    char experts[1024];
    format_experts(tap, experts, sizeof experts);
    const tess_ledger_value bind[] = {
        TESS_BIND_INTEGER(id),
        TESS_BIND_INTEGER(place),
        tess_bind_text(tap->name),
        tess_bind_text(tap->component),
        bind_or_null(tap->layer),
        bind_or_null(tap->expert),
        tess_bind_text(experts),
        bind_or_null(tap->position),
        tess_bind_text(tess_outcome_name(tap->outcome)),
        tess_bind_text(tess_measure_name(tap->measure)),
        TESS_BIND_REAL(tap->error),
        tap->measure == TESS_MEASURE_NONE ? TESS_BIND_NULL : TESS_BIND_REAL(tap->tolerance),
        TESS_BIND_REAL(tap->rel_l2), /* SQLite keeps a NaN as NULL */
        TESS_BIND_REAL(tap->max_abs),
        TESS_BIND_REAL(tap->cosine),
        TESS_BIND_INTEGER(tap->n_element),
        TESS_BIND_INTEGER(tap->n_different),
        bind_or_null(tap->first_different),
        TESS_BIND_INTEGER(tap->n_nonfinite),
        TESS_BIND_INTEGER(tap->n_nonfinite_reference),
        TESS_BIND_INTEGER(tap->n_tie),
        tess_bind_text(tap->why),
    };
    return tess_ledger_repeat(ledger, statement, bind, sizeof bind / sizeof bind[0], err);
}

static tess_status insert_taps(tess_ledger *ledger, int64_t id, const tess_compare_result *result,
                               tess_error *err)
{
    sqlite3_stmt *statement;
    tess_status status = tess_ledger_prepare(
        ledger,
        "INSERT INTO taps (verification_id, place, tap, component, layer, expert, experts, position, outcome,"
        " measure, error, tolerance, rel_l2, max_abs, cosine, elements, different, first_different,"
        " nonfinite, nonfinite_reference, ties, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
        " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
        &statement, err);
    if (status != TESS_OK) return status;
    for (int i = 0; i < result->n_tap && status == TESS_OK; i++)
        status = insert_tap(ledger, statement, id, i, &result->tap[i], err);
    sqlite3_finalize(statement);
    return status;
}

tess_status tess_ledger_record_verification(tess_ledger *ledger, const tess_ledger_verification *v,
                                            int64_t *id, tess_error *err)
{
    int64_t new_id = 0;
    tess_status status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    status = tess_ledger_new_entry(ledger, "verification", &new_id, err);
    if (status == TESS_OK) status = insert_verification(ledger, v, new_id, err);
    if (status == TESS_OK) status = insert_taps(ledger, new_id, v->result, err);
    status = tess_ledger_end(ledger, status, err);
    if (status == TESS_OK && id) *id = new_id;
    return status;
}

tess_status tess_ledger_record_certificate(tess_ledger *ledger, const int64_t *verification, int n,
                                           const char *sha256, tess_error *err)
{
    tess_status status = tess_ledger_begin(ledger, err);
    if (status != TESS_OK) return status;
    for (int i = 0; i < n && status == TESS_OK; i++)
        status =
            tess_ledger_ask(ledger, "UPDATE verifications SET certificate_sha256 = ?2 WHERE id = ?1",
                            (tess_ledger_value[]){TESS_BIND_INTEGER(verification[i]), tess_bind_text(sha256)},
                            2, NULL, NULL, err);
    return tess_ledger_end(ledger, status, err);
}
