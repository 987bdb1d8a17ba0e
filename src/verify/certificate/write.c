/* Writing a certificate. */
#include "verify/certificate/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "io/output.h"

/* Stands where the digest will, when it is taken. */
static const char no_digest[] = "0000000000000000000000000000000000000000000000000000000000000000";
_Static_assert(sizeof no_digest == TESS_SHA256_HEX, "as many digits as a digest");

void tess_certificate_digest(const char *bytes, size_t n_byte, char hex[TESS_SHA256_HEX])
{
    enum { BEHIND = TESS_CERTIFICATE_HEAD_BYTES + TESS_SHA256_DIGITS };
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, bytes, TESS_CERTIFICATE_HEAD_BYTES);
    tess_sha256_add(&sha, no_digest, TESS_SHA256_DIGITS);
    tess_sha256_add(&sha, bytes + BEHIND, n_byte - BEHIND);
    tess_sha256_finish(&sha, hex);
}

tess_certified_run tess_certified_run_of(const tess_engine *engine)
{
    const tess_plan *plan = tess_engine_get_plan(engine);
    return (tess_certified_run){.precision = tess_engine_get_precision(engine),
                                .isa = tess_engine_get_isa(engine),
                                .n_thread = plan->n_thread,
                                .n_context = plan->n_context,
                                .n_chunk = plan->n_chunk,
                                .budget_bytes = plan->budget_bytes};
}

/* A certificate in the making. Members that cannot be put for want of memory clear ok. */
typedef struct writing {
    const tess_certifying *what;
    json_t *root;
    bool ok;
} writing;

static tess_status check_path(const char *path, tess_error *err)
{
    json_t *text = json_string(path);
    bool is_text = text != NULL;
    json_decref(text);
    if (is_text || !path) return TESS_OK;
    return tess_fail(err, TESS_EUSAGE, "%s: a certificate cannot name this path, which is not UTF-8", path);
}

static tess_status check_paths(const tess_certifying *what, tess_error *err)
{
    tess_status status = check_path(what->model_dir, err);
    for (int i = 0; i < what->n_case && status == TESS_OK; i++) {
        status = check_path(what->cases[i].golden->path, err);
        if (status == TESS_OK) status = check_path(what->cases[i].truth, err);
    }
    return status;
}

static void put_date(writing *w)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[32] = "";
    if (gmtime_r(&now, &utc)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    tess_json_put(w->root, "made", json_string(text), &w->ok);
}

static void put_engine(writing *w)
{
#ifdef __clang__
    static const char compiler[] = __VERSION__;
#else
    static const char compiler[] = "gcc " __VERSION__;
#endif
#if defined __x86_64__
    static const char machine[] = "x86_64";
#elif defined __aarch64__
    static const char machine[] = "aarch64";
#else
    static const char machine[] = "other";
#endif
    json_t *engine = json_object();
    tess_json_put(engine, "name", json_string("tessera"), &w->ok);
    tess_json_put(engine, "version", json_string(TESS_VERSION), &w->ok);
    tess_json_put(engine, "compiler", json_string(compiler), &w->ok);
    tess_json_put(engine, "mode", json_string(TESS_MODE), &w->ok);
    tess_json_put(engine, "architecture", json_string(machine), &w->ok);
    tess_json_put(w->root, "engine", engine, &w->ok);
}

static void put_runs(writing *w)
{
    json_t *runs = json_array();
    for (int i = 0; i < w->what->n_run; i++) {
        const tess_certified_run *r = &w->what->run[i];
        json_t *run = json_object();
        tess_json_put(run, "dtype", json_string(r->precision == TESS_PRECISION_F32 ? "float32" : "bfloat16"),
                      &w->ok);
        tess_json_put(run, "isa", json_string(r->isa), &w->ok);
        tess_json_put(run, "threads", json_integer(r->n_thread), &w->ok);
        tess_json_put(run, "budget_bytes", json_integer((json_int_t)r->budget_bytes), &w->ok);
        tess_json_put(run, "context", json_integer(r->n_context), &w->ok);
        tess_json_put(run, "chunk", json_integer(r->n_chunk), &w->ok);
        tess_json_append(runs, run, &w->ok);
    }
    tess_json_put(w->root, "runs", runs, &w->ok);
}

/* cases[i] is what can come out again, references[i] what its golden says of itself. */
static tess_status put_cases(writing *w, tess_error *err)
{
    json_t *cases = json_array(), *references = json_array();
    tess_status status = TESS_OK;
    for (int i = 0; i < w->what->n_case && status == TESS_OK; i++) {
        const tess_certified_case *c = &w->what->cases[i];
        char golden[TESS_SHA256_HEX], truth[TESS_SHA256_HEX];
        status = tess_sha256_file(c->golden->path, golden, err);
        if (status == TESS_OK && c->truth) status = tess_sha256_file(c->truth, truth, err);
        json_t *reference = NULL;
        if (status == TESS_OK) status = tess_certificate_reference_json(c->golden->path, &reference, err);
        if (status == TESS_OK) tess_json_append(references, reference, &w->ok);
        if (status == TESS_OK)
            tess_json_append(cases,
                             tess_certificate_case_json(c->golden, c->result, c->golden->path, golden,
                                                        w->what->isolated, c->truth, c->truth ? truth : NULL),
                             &w->ok);
    }
    tess_json_put(w->root, "cases", cases, &w->ok);
    tess_json_put(w->root, "references", references, &w->ok);
    return status;
}

static void put_verdict(writing *w)
{
    tess_verdict verdict = TESS_VERDICT_EQUAL;
    for (int i = 0; i < w->what->n_case; i++)
        if (w->what->cases[i].result->verdict > verdict) verdict = w->what->cases[i].result->verdict;
    tess_json_put(w->root, "verdict", json_string(tess_verdict_name(verdict)), &w->ok);
}

static tess_status make_root(writing *w, tess_error *err)
{
    tess_json_put(w->root, "format", json_string(TESS_CERTIFICATE_FORMAT), &w->ok);
    tess_json_put(w->root, "version", json_integer(1), &w->ok);
    tess_json_put(w->root, "digest", json_string(no_digest), &w->ok);
    put_verdict(w);
    put_date(w);
    put_engine(w);
    put_runs(w);
    json_t *checkpoint = NULL;
    tess_status status = tess_certificate_checkpoint_json(w->what->model_dir, w->what->model_dir,
                                                          w->what->weights_sha256, &checkpoint, err);
    if (status == TESS_OK) tess_json_put(w->root, "checkpoint", checkpoint, &w->ok);
    if (status == TESS_OK) status = put_cases(w, err);
    if (status == TESS_OK && !w->ok) return tess_fail(err, TESS_ENOMEM, "no memory for a certificate");
    return status;
}

/* Puts the digest into the text and writes it. */
static tess_status store_text(char *text, const char *path, tess_error *err)
{
    size_t n_byte = strlen(text);
    if (strncmp(text, TESS_CERTIFICATE_HEAD, TESS_CERTIFICATE_HEAD_BYTES) != 0)
        TESS_BUG("a certificate does not begin as it must");
    text[n_byte++] = '\n'; /* in the place of the NUL */
    if (n_byte > TESS_CERTIFICATE_MOST_BYTES)
        return tess_fail(
            err, TESS_EUSAGE,
            "%s: not written: it would have %zu bytes, and certificates of more than %d MiB are not "
            "read; certify fewer goldens at a time",
            path, n_byte, TESS_CERTIFICATE_MOST_BYTES >> 20);
    char hex[TESS_SHA256_HEX];
    tess_certificate_digest(text, n_byte, hex);
    memcpy(text + TESS_CERTIFICATE_HEAD_BYTES, hex, TESS_SHA256_DIGITS);
    return tess_output_save(path, text, n_byte, err);
}

tess_status tess_certificate_write(const tess_certifying *what, const char *path, tess_error *err)
{
    TESS_ASSERT(what->n_case > 0);
    writing w = {.what = what, .ok = true};
    tess_status status = check_paths(what, err);
    if (status != TESS_OK) return status;
    w.root = json_object();
    status = make_root(&w, err);
    char *text = NULL;
    if (status == TESS_OK) {
        text = json_dumps(w.root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
        status =
            text ? store_text(text, path, err) : tess_fail(err, TESS_ENOMEM, "no memory for a certificate");
    }
    free(text);
    json_decref(w.root);
    return status;
}

tess_status tess_certificate_probe(const char *path, tess_error *err)
{
    tess_output *output;
    tess_status status = tess_output_create(path, 0, &output, err);
    if (status == TESS_OK) tess_output_abandon(output);
    return status;
}
