/* Reading a certificate and asking whether it holds here: its digest, its fields, the checkpoint, the
 * goldens.
 */
#include "verify/certificate/certificate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/whole_file.h"

enum { MAX_CASES = 100000 };

struct tess_certificate {
    char *path;
    json_t *root;
    const char *digest, *made, *engine, *verdict, *folder, *config_sha256, *weights_sha256;
    const json_t *checkpoint;
    const json_t *cases;      /* each with the members that check_case() asks for */
    const json_t *references; /* as many */
    bool is_isolated;
};

static bool is_sha256(const char *text)
{
    return strlen(text) == TESS_SHA256_DIGITS && strspn(text, "0123456789abcdef") == TESS_SHA256_DIGITS;
}

static tess_status read_sha256(const tess_json_section *s, const char *key, const char **out, tess_error *err)
{
    tess_status status = tess_json_text(s, key, out, err);
    if (status == TESS_OK && !is_sha256(*out))
        return tess_json_refuse(s, key, "64 hexadecimal digits", *out, err);
    return status;
}

/* The place of a verdict in the order from equal to different; -1 for another word. */
static int verdict_rank(const char *word)
{
    static const tess_verdict order[] = {TESS_VERDICT_EQUAL, TESS_VERDICT_AGREE, TESS_VERDICT_DIFFERENT};
    for (int i = 0; i < 3; i++)
        if (!strcmp(word, tess_verdict_name(order[i]))) return i;
    return -1;
}

static tess_status read_verdict(const tess_json_section *s, const char **out, int *rank, tess_error *err)
{
    tess_status status = tess_json_filled_text(s, "verdict", out, err);
    if (status != TESS_OK) return status;
    *rank = verdict_rank(*out);
    return *rank < 0 ? tess_json_refuse(s, "verdict", "equal, agree or different", *out, err) : TESS_OK;
}

static tess_status check_truth(const tess_json_section *s, bool is_isolated, tess_error *err)
{
    const char *truth = NULL, *file, *dtype;
    tess_status status = tess_json_filled_text(s, "dtype", &dtype, err);
    if (status != TESS_OK) return status;
    bool is_bf16 = !strcmp(dtype, "bfloat16");
    if (!is_bf16 && strcmp(dtype, "float32"))
        return tess_json_refuse(s, "dtype", "float32 or bfloat16", dtype, err);
    if (!is_bf16 || is_isolated) {
        if (!json_is_null(json_object_get(s->object, "truth")))
            return tess_json_refuse(s, "truth", "null, as none is needed", "something else", err);
        return TESS_OK;
    }
    status = tess_json_filled_text(s, "truth", &truth, err);
    if (status != TESS_OK || !strcmp(truth, "computed")) return status;
    if (!is_sha256(truth))
        return tess_json_refuse(s, "truth", "computed, or 64 hexadecimal digits", truth, err);
    return tess_json_filled_text(s, "truth_file", &file, err);
}

static tess_status check_taps(const tess_json_section *s, tess_error *err)
{
    const json_t *taps;
    tess_status status = tess_json_array(s, "taps", SIZE_MAX, &taps, err);
    if (status != TESS_OK) return status;
    if (json_array_size(taps) == 0) return tess_json_refuse(s, "taps", "at least one tap", "none", err);
    for (size_t i = 0; i < json_array_size(taps); i++) {
        tess_json_section tap;
        const char *text;
        status = tess_json_enter_item(s, "taps", taps, i, &tap, err);
        if (status == TESS_OK) status = tess_json_filled_text(&tap, "tap", &text, err);
        if (status == TESS_OK) status = tess_json_filled_text(&tap, "outcome", &text, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status check_case(const tess_json_section *s, bool *is_isolated, int *rank, tess_error *err)
{
    const char *text, *mode;
    tess_status status = tess_json_filled_text(s, "golden", &text, err);
    if (status == TESS_OK) status = read_sha256(s, "golden_sha256", &text, err);
    if (status == TESS_OK) status = tess_json_filled_text(s, "mode", &mode, err);
    if (status != TESS_OK) return status;
    *is_isolated = !strcmp(mode, "isolated");
    if (!*is_isolated && strcmp(mode, "whole"))
        return tess_json_refuse(s, "mode", "whole or isolated", mode, err);
    status = check_truth(s, *is_isolated, err);
    if (status == TESS_OK) status = read_verdict(s, &text, rank, err);
    return status == TESS_OK ? check_taps(s, err) : status;
}

static tess_status read_cases(const tess_json_section *root, tess_certificate *c, tess_error *err)
{
    tess_status status = tess_json_array(root, "cases", MAX_CASES, &c->cases, err);
    if (status != TESS_OK) return status;
    if (json_array_size(c->cases) == 0)
        return tess_json_refuse(root, "cases", "at least one case", "none", err);
    int worst = 0, rank;
    for (size_t i = 0; i < json_array_size(c->cases); i++) {
        tess_json_section s;
        bool is_isolated;
        status = tess_json_enter_item(root, "cases", c->cases, i, &s, err);
        if (status == TESS_OK) status = check_case(&s, &is_isolated, &rank, err);
        if (status != TESS_OK) return status;
        if (i > 0 && is_isolated != c->is_isolated)
            return tess_json_refuse(&s, "mode", "the mode of all cases", "another one", err);
        c->is_isolated = is_isolated;
        if (rank > worst) worst = rank;
    }
    status = read_verdict(root, &c->verdict, &rank, err);
    if (status == TESS_OK && rank != worst)
        return tess_json_refuse(root, "verdict", "the worst of the cases'", c->verdict, err);
    return status;
}

/* A member that nothing compares could say anything. */
static tess_status check_members(const tess_json_section *root, tess_error *err)
{
    static const char *const known[] = {"format", "version", "digest",     "verdict", "made",
                                        "engine", "runs",    "checkpoint", "cases",   "references"};
    enum { N_KNOWN = sizeof known / sizeof known[0] };
    for (void *i = json_object_iter((json_t *)root->object); i;
         i = json_object_iter_next((json_t *)root->object, i)) {
        const char *key = json_object_iter_key(i);
        int k = 0;
        while (k < N_KNOWN && strcmp(key, known[k])) k++;
        if (k == N_KNOWN)
            return tess_json_refuse(root, key, "no such member", "one that nothing checks", err);
    }
    return TESS_OK;
}

static tess_status read_references(const tess_json_section *root, tess_certificate *c, tess_error *err)
{
    tess_status status = tess_json_array(root, "references", MAX_CASES, &c->references, err);
    if (status == TESS_OK && json_array_size(c->references) != json_array_size(c->cases))
        return tess_json_refuse(root, "references", "as many as cases", "another number", err);
    return status;
}

static tess_status read_fields(tess_certificate *c, tess_error *err)
{
    tess_json_section root = {.object = c->root, .file = c->path}, engine, checkpoint;
    tess_status status = check_members(&root, err);
    if (status == TESS_OK) status = tess_json_filled_text(&root, "made", &c->made, err);
    if (status == TESS_OK) status = tess_json_enter(&root, "engine", &engine, err);
    if (status == TESS_OK) status = tess_json_filled_text(&engine, "version", &c->engine, err);
    if (status == TESS_OK) status = tess_json_enter(&root, "checkpoint", &checkpoint, err);
    if (status == TESS_OK) status = tess_json_filled_text(&checkpoint, "folder", &c->folder, err);
    if (status == TESS_OK) status = read_sha256(&checkpoint, "config_sha256", &c->config_sha256, err);
    if (status == TESS_OK) status = read_sha256(&checkpoint, "weights_sha256", &c->weights_sha256, err);
    if (status == TESS_OK) status = read_cases(&root, c, err);
    if (status != TESS_OK) return status;
    c->checkpoint = checkpoint.object;
    return read_references(&root, c, err);
}

/* Format, version, and that nothing was altered: the digits stand where every certificate has them. */
static tess_status check_digest(tess_certificate *c, const char *bytes, size_t n_byte, tess_error *err)
{
    tess_json_section root = {.object = c->root, .file = c->path};
    const char *format;
    int64_t version;
    tess_status status = tess_json_filled_text(&root, "format", &format, err);
    if (status == TESS_OK && strcmp(format, TESS_CERTIFICATE_FORMAT))
        status = tess_json_refuse(&root, "format", TESS_CERTIFICATE_FORMAT, format, err);
    if (status == TESS_OK) status = tess_json_int(&root, "version", 1, 1, &version, err);
    if (status == TESS_OK) status = read_sha256(&root, "digest", &c->digest, err);
    if (status != TESS_OK) return status;
    if (n_byte < TESS_CERTIFICATE_HEAD_BYTES + TESS_SHA256_DIGITS ||
        memcmp(bytes, TESS_CERTIFICATE_HEAD, TESS_CERTIFICATE_HEAD_BYTES))
        return tess_json_refuse(&root, "digest", "it as the third member, spelled as certificates are",
                                "another spelling", err);
    char hex[TESS_SHA256_HEX];
    tess_certificate_digest(bytes, n_byte, hex);
    if (!strcmp(hex, c->digest)) return TESS_OK;
    char expected[128];
    snprintf(expected, sizeof expected, "%s, the SHA-256 of what the file holds", hex);
    return tess_json_refuse(&root, "digest", expected, c->digest, err);
}

static tess_status read_certificate(tess_certificate *c, tess_error *err)
{
    char *bytes = NULL;
    size_t n_byte = 0;
    tess_status status =
        tess_whole_file_read(c->path, "a certificate", TESS_CERTIFICATE_MOST_BYTES, &bytes, &n_byte, err);
    if (status == TESS_OK) status = tess_json_parse(c->path, 0, bytes, n_byte, &c->root, err);
    if (status == TESS_OK) status = check_digest(c, bytes, n_byte, err);
    free(bytes);
    return status == TESS_OK ? read_fields(c, err) : status;
}

tess_status tess_certificate_read(const char *path, tess_certificate **out, tess_error *err)
{
    tess_certificate *c = calloc(1, sizeof *c);
    if (!c) return tess_fail(err, TESS_ENOMEM, "%s: no memory for it", path);
    c->path = strdup(path);
    tess_status status =
        c->path ? read_certificate(c, err) : tess_fail(err, TESS_ENOMEM, "%s: no memory for it", path);
    if (status != TESS_OK) {
        tess_certificate_free(c);
        return status;
    }
    *out = c;
    return TESS_OK;
}

void tess_certificate_free(tess_certificate *c)
{
    if (!c) return;
    json_decref(c->root);
    free(c->path);
    free(c);
}

const char *tess_certificate_get_digest(const tess_certificate *c)
{
    return c->digest;
}

const char *tess_certificate_get_date(const tess_certificate *c)
{
    return c->made;
}

const char *tess_certificate_get_version(const tess_certificate *c)
{
    return c->engine;
}

const char *tess_certificate_get_verdict(const tess_certificate *c)
{
    return c->verdict;
}

const char *tess_certificate_get_model_dir(const tess_certificate *c)
{
    return c->folder;
}

bool tess_certificate_is_isolated(const tess_certificate *c)
{
    return c->is_isolated;
}

int tess_certificate_get_case_count(const tess_certificate *c)
{
    return (int)json_array_size(c->cases);
}

/* A text of case i; NULL where it has none. */
static const char *case_text(const tess_certificate *c, int i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(c->cases, (size_t)i), key));
}

const char *tess_certificate_get_golden(const tess_certificate *c, int i)
{
    return case_text(c, i, "golden");
}

/* ---- does it hold here? ---- */

/* The sizes and totals follow from configuration and weights, unless somebody wrote others. */
static tess_status check_totals(const tess_certificate *c, const char *model_dir, tess_error *err)
{
    json_t *found;
    tess_certificate_difference d;
    tess_status status =
        tess_certificate_checkpoint_json(model_dir, c->folder, c->weights_sha256, &found, err);
    if (status != TESS_OK) return status;
    if (tess_certificate_find_difference(c->checkpoint, found, "checkpoint", &d)) {
        char expected[128];
        snprintf(expected, sizeof expected, "%s, as certified", d.certified);
        status = tess_refuse(err, model_dir, d.field, -1, expected, "%s", d.found);
    }
    json_decref(found);
    return status;
}

tess_status tess_certificate_check_model(const tess_certificate *c, const char *model_dir,
                                         const char *weights_sha256, tess_error *err)
{
    char path[PATH_MAX], sha256[TESS_SHA256_HEX], expected[160];
    snprintf(path, sizeof path, "%s/config.json", model_dir);
    tess_status status = tess_sha256_file(path, sha256, err);
    if (status != TESS_OK) return status;
    snprintf(expected, sizeof expected, "%s, as certified", c->config_sha256);
    if (strcmp(sha256, c->config_sha256))
        return tess_refuse(err, path, "config_sha256", -1, expected, "%s", sha256);
    if (!weights_sha256) return TESS_OK;
    snprintf(expected, sizeof expected, "%s, as certified", c->weights_sha256);
    if (strcmp(weights_sha256, c->weights_sha256))
        return tess_refuse(err, model_dir, "weights_sha256", -1, expected, "%s",
                           *weights_sha256 ? weights_sha256 : "weights without a digest");
    return check_totals(c, model_dir, err);
}

/* The places a certified file may lie at; caller frees. NULL: no memory. k 0, 1, 2. */
static char *candidate(const tess_certificate *c, const char *given, int k)
{
    const char *slash = strrchr(c->path, '/'), *last = strrchr(given, '/');
    int n_folder = slash ? (int)(slash - c->path) + 1 : 0;
    char *path = NULL;
    if (k == 0) return strdup(given);
    if (k == 1 && *given != '/') return asprintf(&path, "%.*s%s", n_folder, c->path, given) < 0 ? NULL : path;
    return asprintf(&path, "%.*s%s", n_folder, c->path, last ? last + 1 : given) < 0 ? NULL : path;
}

/* The first of the places with the certified bytes; else the first file there is tells what it found. */
static tess_status find_file(const tess_certificate *c, int i, const char *key, const char *given,
                             const char *sha256, char **out, tess_error *err)
{
    char field[64], expected[160], first[PATH_MAX] = "", found[TESS_SHA256_HEX], first_found[TESS_SHA256_HEX];
    for (int k = 0; k < 3; k++) {
        struct stat st;
        char *path = candidate(c, given, k);
        if (!path) return tess_fail(err, TESS_ENOMEM, "no memory for a path");
        bool is_file =
            !stat(path, &st) && S_ISREG(st.st_mode) && st.st_size > 0; /* no endless one of /proc */
        tess_status status = is_file ? tess_sha256_file(path, found, err) : TESS_OK;
        if (status == TESS_OK && is_file && !strcmp(found, sha256)) {
            *out = path;
            return TESS_OK;
        }
        if (status == TESS_OK && is_file && !*first) {
            snprintf(first, sizeof first, "%s", path);
            strcpy(first_found, found);
        }
        free(path);
        if (status != TESS_OK) return status;
    }
    snprintf(field, sizeof field, "cases[%d].%s", i, key);
    snprintf(expected, sizeof expected, "%s, as certified", sha256);
    if (*first) return tess_refuse(err, first, field, -1, expected, "%s", first_found);
    return tess_refuse(err, given, field, -1, expected, "no such file, here or beside the certificate");
}

tess_status tess_certificate_find_golden(const tess_certificate *c, int i, char **golden, char **truth,
                                         tess_error *err)
{
    char *found = NULL;
    *truth = NULL;
    tess_status status = find_file(c, i, "golden_sha256", case_text(c, i, "golden"),
                                   case_text(c, i, "golden_sha256"), &found, err);
    if (status != TESS_OK) return status;
    const char *sha256 = case_text(c, i, "truth");
    if (sha256 && is_sha256(sha256))
        status = find_file(c, i, "truth", case_text(c, i, "truth_file"), sha256, truth, err);
    if (status == TESS_OK)
        *golden = found;
    else
        free(found);
    return status;
}

static bool differs(const json_t *certified, const json_t *found, const char *name, int i,
                    tess_certificate_difference *difference)
{
    char place[32];
    snprintf(place, sizeof place, "%s[%d]", name, i);
    return tess_certificate_find_difference(json_array_get(certified, (size_t)i), found, place, difference);
}

tess_status tess_certificate_compare(const tess_certificate *c, int i, const tess_golden *golden,
                                     const tess_compare_result *result, bool *is_same,
                                     tess_certificate_difference *difference, tess_error *err)
{
    const char *truth = case_text(c, i, "truth");
    bool has_truth = truth && is_sha256(truth);
    json_t *reference;
    tess_status status = tess_certificate_reference_json(golden->path, &reference, err);
    if (status != TESS_OK) return status;
    json_t *found = tess_certificate_case_json(golden, result, case_text(c, i, "golden"),
                                               case_text(c, i, "golden_sha256"), c->is_isolated,
                                               case_text(c, i, "truth_file"), has_truth ? truth : NULL);
    if (found)
        *is_same = !differs(c->cases, found, "cases", i, difference) &&
                   !differs(c->references, reference, "references", i, difference);
    else
        status = tess_fail(err, TESS_ENOMEM, "no memory to compare with a certificate");
    json_decref(found);
    json_decref(reference);
    return status;
}
