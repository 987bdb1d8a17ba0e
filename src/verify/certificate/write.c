/* Writing a certificate. */
#include "verify/certificate/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/output.h"

void tess_certificate_digest(const char *bytes, size_t n_byte, char hex[TESS_SHA256_HEX])
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    enum { BEHIND = TESS_CERTIFICATE_HEAD_BYTES + TESS_SHA256_DIGITS };
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, bytes, TESS_CERTIFICATE_HEAD_BYTES);
    tess_sha256_add(&sha, zeros, TESS_SHA256_DIGITS);
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

/* A certificate in the making. Members that cannot be put for want of memory set no_memory. */
typedef struct writing {
    const tess_certifying *what;
    json_t *root;
    bool no_memory;
} writing;

static void put(writing *w, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value)) w->no_memory = true;
}

static void append(writing *w, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value)) w->no_memory = true;
}

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
    put(w, w->root, "made", json_string(text));
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
    put(w, engine, "name", json_string("tessera"));
    put(w, engine, "version", json_string(TESS_VERSION));
    put(w, engine, "compiler", json_string(compiler));
    put(w, engine, "mode", json_string(TESS_MODE));
    put(w, engine, "architecture", json_string(machine));
    put(w, w->root, "engine", engine);
}

static void put_runs(writing *w)
{
    json_t *runs = json_array();
    for (int i = 0; i < w->what->n_run; i++) {
        const tess_certified_run *r = &w->what->run[i];
        json_t *run = json_object();
        put(w, run, "dtype", json_string(r->precision == TESS_PRECISION_F32 ? "float32" : "bfloat16"));
        put(w, run, "isa", json_string(r->isa));
        put(w, run, "threads", json_integer(r->n_thread));
        put(w, run, "budget_bytes", json_integer((json_int_t)r->budget_bytes));
        put(w, run, "context", json_integer(r->n_context));
        put(w, run, "chunk", json_integer(r->n_chunk));
        append(w, runs, run);
    }
    put(w, w->root, "runs", runs);
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
        if (status == TESS_OK) append(w, references, reference);
        if (status == TESS_OK)
            append(w, cases,
                   tess_certificate_case_json(c->golden, c->result, c->golden->path, golden,
                                              w->what->isolated, c->truth, c->truth ? truth : NULL));
    }
    put(w, w->root, "cases", cases);
    put(w, w->root, "references", references);
    return status;
}

static void put_verdict(writing *w)
{
    tess_verdict verdict = TESS_VERDICT_EQUAL;
    for (int i = 0; i < w->what->n_case; i++)
        if (w->what->cases[i].result->verdict > verdict) verdict = w->what->cases[i].result->verdict;
    put(w, w->root, "verdict", json_string(tess_verdict_name(verdict)));
}

static tess_status make(writing *w, tess_error *err)
{
    put(w, w->root, "format", json_string(TESS_CERTIFICATE_FORMAT));
    put(w, w->root, "version", json_integer(1));
    put(w, w->root, "digest",
        json_string("0000000000000000000000000000000000000000000000000000000000000000"));
    put_verdict(w);
    put_date(w);
    put_engine(w);
    put_runs(w);
    json_t *checkpoint = NULL;
    tess_status status = tess_certificate_checkpoint_json(w->what->model_dir, w->what->model_dir,
                                                          w->what->weights_sha256, &checkpoint, err);
    if (status == TESS_OK) put(w, w->root, "checkpoint", checkpoint);
    if (status == TESS_OK) status = put_cases(w, err);
    if (status == TESS_OK && w->no_memory) return tess_fail(err, TESS_ENOMEM, "no memory for a certificate");
    return status;
}

/* Puts the digest into the text and writes it. */
static tess_status store(char *text, const char *path, tess_error *err)
{
    size_t n_byte = strlen(text);
    if (strncmp(text, TESS_CERTIFICATE_HEAD, TESS_CERTIFICATE_HEAD_BYTES) != 0)
        TESS_BUG("a certificate does not begin as it must");
    text[n_byte++] = '\n'; /* in the place of the NUL */
    if (n_byte > TESS_CERTIFICATE_MOST_BYTES)
        return tess_fail(
            err, TESS_EUSAGE,
            "%s: not written: it would have %zu bytes, and certificates of more than 64 MiB are not "
            "read; certify fewer goldens at a time",
            path, n_byte);
    char hex[TESS_SHA256_HEX];
    tess_certificate_digest(text, n_byte, hex);
    memcpy(text + TESS_CERTIFICATE_HEAD_BYTES, hex, TESS_SHA256_DIGITS);
    tess_output *output;
    tess_status status = tess_output_create(path, n_byte, &output, err);
    if (status != TESS_OK) return status;
    status = tess_output_write(output, 0, text, n_byte, err);
    if (status == TESS_OK) return tess_output_commit(output, n_byte, err);
    tess_output_abandon(output);
    return status;
}

tess_status tess_certificate_write(const tess_certifying *what, const char *path, tess_error *err)
{
    TESS_ASSERT(what->n_case > 0);
    writing w = {.what = what};
    tess_status status = check_paths(what, err);
    if (status != TESS_OK) return status;
    w.root = json_object();
    status = make(&w, err);
    char *text = NULL;
    if (status == TESS_OK) {
        text = json_dumps(w.root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
        status = text ? store(text, path, err) : tess_fail(err, TESS_ENOMEM, "no memory for a certificate");
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
