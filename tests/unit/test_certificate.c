/* Certificates: what is written is read back and comes out again; every altered byte is noticed; what is not
 * one is refused by field; another checkpoint, golden or result is told apart.
 */
#include "tessera/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/hollow.h"
#include "verify/certificate/certificate.h"

#define MODEL "tests/golden/d"
#define GOLDEN "tests/golden/d-f32/text.safetensors"
#define WEIGHTS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[64], path[256];
static tess_error err;
static tess_golden golden;
static tess_compare_result *result;
static tess_certified_run engine_run;
static char *text; /* of the certificate */
static size_t n_byte;

static void verify(void)
{
    tess_engine *engine;
    const tess_engine_options options = {.model_dir = MODEL, .memory_bytes = 1u << 28, .n_thread = 1};
    const tess_verify_options how = {.model_dir = MODEL};
    assert_int_equal(tess_golden_read(GOLDEN, MODEL, &golden, &err), TESS_OK);
    assert_int_equal(tess_engine_open(&options, &engine, &err), TESS_OK);
    assert_int_equal(tess_verify_run(engine, &golden, &how, &result, &err), TESS_OK);
    engine_run = tess_certified_run_of(engine);
    tess_engine_close(engine);
}

static tess_certifying certifying(const tess_certified_case *cases)
{
    return (tess_certifying){.model_dir = MODEL,
                             .weights_sha256 = WEIGHTS,
                             .run = &engine_run,
                             .n_run = 1,
                             .cases = cases,
                             .n_case = 1};
}

static void load(void)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    free(text);
    text = malloc(1 << 20);
    n_byte = fread(text, 1, (1 << 20) - 1, file);
    text[n_byte] = 0;
    fclose(file);
}

static int setup(void **state)
{
    (void)state;
    hollow_folder(folder);
    hollow_path(folder, "certificate.json", path);
    verify();
    const tess_certified_case c = {.golden = &golden, .result = result};
    const tess_certifying what = certifying(&c);
    if (tess_certificate_write(&what, path, &err) != TESS_OK) fail_msg("%s", err.message);
    load();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tess_golden_release(&golden);
    tess_compare_result_free(result);
    free(text);
    hollow_remove(folder);
    return 0;
}

static void store(const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static tess_status read_status(void)
{
    tess_certificate *certificate = NULL;
    tess_status status = tess_certificate_read(path, &certificate, &err);
    if (status != TESS_OK) assert_null(certificate);
    tess_certificate_free(certificate);
    return status;
}

static void test_round_trip(void **state)
{
    (void)state;
    tess_certificate *c;
    store(text, n_byte);
    if (tess_certificate_read(path, &c, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(tess_certificate_get_case_count(c), 1);
    assert_string_equal(tess_certificate_get_golden(c, 0), GOLDEN);
    assert_string_equal(tess_certificate_get_model_dir(c), MODEL);
    assert_string_equal(tess_certificate_get_verdict(c), tess_verdict_name(result->verdict));
    assert_string_equal(tess_certificate_get_version(c), TESS_VERSION);
    assert_int_equal(strlen(tess_certificate_get_date(c)), 20);
    assert_false(tess_certificate_is_isolated(c));
    bool is_same = false;
    tess_certificate_difference difference;
    assert_int_equal(tess_certificate_compare(c, 0, &golden, result, &is_same, &difference, &err), TESS_OK);
    assert_true(is_same);
    char *found, *truth;
    assert_int_equal(tess_certificate_find_golden(c, 0, &found, &truth, &err), TESS_OK);
    assert_string_equal(found, GOLDEN);
    assert_null(truth);
    free(found);
    assert_int_equal(tess_certificate_check_model(c, MODEL, WEIGHTS, &err), TESS_OK);
    assert_int_equal(tess_certificate_check_model(c, "tests/golden/c", WEIGHTS, &err), TESS_EINPUT);
    assert_string_equal(err.field, "config_sha256");
    char other[] = WEIGHTS;
    other[63] = '0';
    assert_int_equal(tess_certificate_check_model(c, MODEL, other, &err), TESS_EINPUT);
    assert_string_equal(err.field, "weights_sha256");
    tess_certificate_free(c);
}

/* What is written can be read: too many results for that are refused. */
static void test_too_large(void **state)
{
    (void)state;
    if (getenv("TESS_SANITIZED")) skip(); /* half a gigabyte, which sanitizers triple */
    int n = (int)((65 << 20) / n_byte) + 1000;
    tess_certified_case *cases = calloc((size_t)n, sizeof *cases);
    assert_non_null(cases);
    for (int i = 0; i < n; i++) cases[i] = (tess_certified_case){.golden = &golden, .result = result};
    tess_certifying what = certifying(cases);
    what.n_case = n;
    unlink(path);
    assert_int_equal(tess_certificate_write(&what, path, &err), TESS_EUSAGE);
    assert_non_null(strstr(err.message, "64 MiB"));
    assert_int_equal(access(path, F_OK), -1);
    free(cases);
}

/* The rule that is written down: SHA-256 of the bytes with the digest's own digits as zeros. */
static void test_digest_rule(void **state)
{
    (void)state;
    json_t *root = json_loads(text, 0, NULL);
    const char *digest = json_string_value(json_object_get(root, "digest"));
    char *place = strstr(text, digest), hex[65], *copy = strdup(text);
    assert_null(strstr(place + 1, digest));
    memset(copy + (place - text), '0', 64);
    tess_sha256_bytes(copy, n_byte, hex);
    assert_string_equal(hex, digest);
    free(copy);
    json_decref(root);
}

static void test_altered(void **state)
{
    (void)state;
    static const int flip[] = {1, 2, 16, 32, 128};
    char *copy = malloc(n_byte);
    for (size_t i = 0; i < n_byte; i += i < 600 ? 1 : 7) {
        memcpy(copy, text, n_byte);
        copy[i] = (char)(copy[i] ^ flip[i % 5]);
        store(copy, n_byte);
        if (read_status() != TESS_EINPUT) fail_msg("byte %zu: %d", i, copy[i]);
        assert_true(*err.field || *err.message);
    }
    for (size_t n = 0; n < n_byte; n += 97) {
        store(text, n);
        assert_int_equal(read_status(), TESS_EINPUT);
    }
    memcpy(copy, text, n_byte - 1);
    store(copy, n_byte - 1);
    assert_int_equal(read_status(), TESS_EINPUT);
    assert_string_equal(err.field, "digest");
    free(copy);
}

/* Writes an edited certificate with a digest that is right again. */
static void forge(json_t *root)
{
    char hex[65];
    char *bytes = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    size_t n = strlen(bytes);
    if (!strncmp(bytes, TESS_CERTIFICATE_HEAD, TESS_CERTIFICATE_HEAD_BYTES)) {
        tess_certificate_digest(bytes, n, hex);
        memcpy(bytes + TESS_CERTIFICATE_HEAD_BYTES, hex, TESS_SHA256_DIGITS);
    }
    store(bytes, n);
    free(bytes);
    json_decref(root);
}

/* Sets a member of the object at `key` (NULL: the root; an array: its first) and expects a refusal of it. */
static void refused(const char *in, const char *key, json_t *value, const char *field)
{
    json_t *root = json_loads(text, 0, NULL), *object = root;
    if (in) object = json_object_get(root, in);
    if (json_is_array(object)) object = json_array_get(object, 0);
    assert_true(json_is_object(object));
    if (value)
        json_object_set_new(object, key, value);
    else
        json_object_del(object, key);
    forge(root);
    if (read_status() != TESS_EINPUT || strcmp(err.field, field))
        fail_msg("expected a refusal of %s, found %s: %s", field, err.field, err.message);
}

static void test_refused_fields(void **state)
{
    (void)state;
    json_t *root = json_loads(text, 0, NULL);
    forge(root);
    assert_int_equal(read_status(), TESS_OK); /* forging itself is not what is refused */
    refused(NULL, "format", json_string("certificate"), "format");
    refused(NULL, "version", json_integer(2), "version");
    refused(NULL, "version", json_string("1"), "version");
    refused(NULL, "digest", NULL, "digest");
    refused(NULL, "made", NULL, "made");
    refused(NULL, "verdict", json_string("perfect"), "verdict");
    refused(NULL, "verdict", json_string("different"), "verdict");
    refused(NULL, "engine", json_null(), "engine");
    refused("engine", "version", json_integer(1), "engine.version");
    refused(NULL, "checkpoint", json_array(), "checkpoint");
    refused("checkpoint", "folder", json_string(""), "checkpoint.folder");
    refused("checkpoint", "config_sha256", json_string("ABC"), "checkpoint.config_sha256");
    refused("checkpoint", "weights_sha256", NULL, "checkpoint.weights_sha256");
    refused(NULL, "cases", json_array(), "cases");
    refused(NULL, "cases", json_pack("[i]", 1), "cases[0]");
    refused("cases", "golden", NULL, "cases[0].golden");
    refused("cases", "golden_sha256", json_string("zz"), "cases[0].golden_sha256");
    refused("cases", "mode", json_string("half"), "cases[0].mode");
    refused("cases", "dtype", json_string("float16"), "cases[0].dtype");
    refused("cases", "truth", json_string("computed"), "cases[0].truth");
    refused("cases", "verdict", json_string("different"), "verdict");
    refused("cases", "verdict", json_null(), "cases[0].verdict");
    refused("cases", "taps", json_array(), "cases[0].taps");
    refused("cases", "taps", json_pack("[s]", "all"), "cases[0].taps[0]");
    refused("cases", "taps", json_pack("[{s:s}]", "tap", "tap.x"), "cases[0].taps[0].outcome");
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "", "{", "[]", "null", "{}", "{\"format\": \"tessera certificate\"}", "\xff\xfe"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        store(hostile[i], strlen(hostile[i]));
        assert_int_equal(read_status(), TESS_EINPUT);
        assert_string_equal(err.file, path);
    }
    char *deep = malloc(200000);
    memset(deep, '[', 200000);
    store(deep, 200000);
    assert_int_equal(read_status(), TESS_EINPUT);
    free(deep);
    store("{\"format\": \"tessera certificate\", \"version\": 1, \"digest\": \"" WEIGHTS "\"}", 125);
    assert_int_equal(read_status(), TESS_EINPUT);
    assert_string_equal(err.field, "digest");
    unlink(path);
    assert_int_equal(read_status(), TESS_EINPUT);
    tess_certificate *c;
    assert_int_equal(tess_certificate_read("tests", &c, &err), TESS_EINPUT);
}

/* One metric, one outcome, one tap more or less: the first is named. */
static void expect_difference(const char *field)
{
    tess_certificate *c;
    bool is_same = true;
    tess_certificate_difference d;
    assert_int_equal(tess_certificate_read(path, &c, &err), TESS_OK);
    assert_int_equal(tess_certificate_compare(c, 0, &golden, result, &is_same, &d, &err), TESS_OK);
    tess_certificate_free(c);
    assert_false(is_same);
    assert_string_equal(d.field, field);
    assert_string_not_equal(d.certified, d.found);
}

static void test_differences(void **state)
{
    (void)state;
    store(text, n_byte);
    tess_tap_report *tap = &result->tap[3];
    double kept = tap->rel_l2;
    tap->rel_l2 = kept * (1 + 3e-16);
    assert_true(tap->rel_l2 != kept);
    expect_difference("cases[0].taps[3].rel_l2");
    tap->rel_l2 = 1 / (double)0;
    expect_difference("cases[0].taps[3].rel_l2");
    tap->rel_l2 = kept;
    tess_outcome outcome = tap->outcome;
    tap->outcome = TESS_OUTCOME_DIFFERENT;
    expect_difference("cases[0].taps[3].outcome");
    tap->outcome = outcome;
    result->n_tap--;
    expect_difference("cases[0].taps[16]");
    result->n_tap++;
    golden.text_is_checked = !golden.text_is_checked;
    expect_difference("cases[0].text_checked");
    golden.text_is_checked = !golden.text_is_checked;
}

static void expect_golden(const char *moved, tess_status expected)
{
    tess_certificate *c;
    char *found = NULL, *truth = NULL;
    assert_int_equal(tess_certificate_read(path, &c, &err), TESS_OK);
    assert_int_equal(tess_certificate_find_golden(c, 0, &found, &truth, &err), expected);
    tess_certificate_free(c);
    if (expected == TESS_OK)
        assert_string_equal(found, moved);
    else
        assert_string_equal(err.field, "cases[0].golden_sha256");
    free(found);
}

/* A golden that is not where it was is looked for beside the certificate, and only its own bytes will do. */
static void test_moved_goldens(void **state)
{
    (void)state;
    char command[512], moved[256];
    json_t *root = json_loads(text, 0, NULL);
    json_object_set_new(json_array_get(json_object_get(root, "cases"), 0), "golden",
                        json_string("no/such/place/text.safetensors"));
    forge(root);
    expect_golden(NULL, TESS_EINPUT);
    assert_string_equal(err.file, "no/such/place/text.safetensors");
    hollow_path(folder, "text.safetensors", moved);
    snprintf(command, sizeof command, "cp %s %s", GOLDEN, moved);
    assert_int_equal(system(command), 0);
    expect_golden(moved, TESS_OK);
    snprintf(command, sizeof command, "printf x >> %s", moved);
    assert_int_equal(system(command), 0);
    expect_golden(NULL, TESS_EINPUT);
    assert_string_equal(err.file, moved);
    assert_int_equal(strlen(err.found), 64);
}

static void test_unwritable(void **state)
{
    (void)state;
    char bad[300];
    snprintf(bad, sizeof bad, "%s/no/such/folder.json", folder);
    const tess_certified_case c = {.golden = &golden, .result = result};
    tess_certifying what = certifying(&c);
    assert_int_equal(tess_certificate_write(&what, bad, &err), TESS_EIO);
    assert_int_equal(tess_certificate_probe(bad, &err), TESS_EIO);
    hollow_path(folder, "new.json", bad);
    assert_int_equal(tess_certificate_probe(bad, &err), TESS_OK);
    assert_int_equal(access(bad, F_OK), -1);
    what.model_dir = "tests/golden/\xff";
    assert_int_equal(tess_certificate_write(&what, bad, &err), TESS_EUSAGE);
    what.model_dir = "tests/golden/absent";
    assert_int_equal(tess_certificate_write(&what, bad, &err), TESS_EINPUT);
    assert_int_equal(access(bad, F_OK), -1);
}

static void test_without_memory(void **state)
{
    (void)state;
    char out[256];
    hollow_path(folder, "fault.json", out);
    const tess_certified_case c = {.golden = &golden, .result = result};
    const tess_certifying what = certifying(&c);
    bool reached = true;
    for (long k = 1; reached; k++) {
        fault_alloc_at(k);
        tess_status status = tess_certificate_write(&what, out, &err);
        tess_certificate *certificate = NULL;
        if (status == TESS_OK) status = tess_certificate_read(out, &certificate, &err);
        tess_certificate_free(certificate);
        reached = fault_alloc_end();
        if (status != TESS_OK && status != TESS_ENOMEM) fail_msg("allocation %ld: %s", k, err.message);
    }
    assert_int_equal(access(out, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_digest_rule),
        cmocka_unit_test(test_too_large),      cmocka_unit_test(test_altered),
        cmocka_unit_test(test_refused_fields), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_differences),    cmocka_unit_test(test_moved_goldens),
        cmocka_unit_test(test_unwritable),     cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
