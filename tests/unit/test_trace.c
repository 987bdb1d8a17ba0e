/* Writing traces and reading inputs back: places, padding, alignment, what is refused, and files that lie. */
#include "tessera/trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"
#include "../support/synthetic.h"
#include "base/digest.h"
#include "tessera/compare.h"
#include "verify/trace/reader.h"
#include "verify/trace/writer.h"

static char folder[SCRATCH_BYTES];
static char path[64], other[64];
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/trace", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder); /* fails if a temporary file was left */
}

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != TESS_OK) fail_msg("%s", err.message);                                                  \
    } while (0)

static tess_trace_writer *new_writer(void)
{
    tess_trace_writer *w;
    MUST(tess_trace_writer_new(&w, &err));
    return w;
}

static void declare(tess_trace_writer *w, const char *name, bool is_integer, int64_t rows, int64_t columns)
{
    MUST(tess_trace_writer_declare(w, name, is_integer, 2, (int64_t[]){rows, columns}, &err));
}

static bool exists(const char *file)
{
    return access(file, F_OK) == 0;
}

/* Pieces in any order, an odd number of floats, and growing tensors of every length up to their most. */
static void test_places(void **state)
{
    (void)state;
    enum { MOST = 9 };
    for (int grown = 0; grown <= MOST; grown++) {
        tess_trace_writer *w = new_writer();
        MUST(tess_trace_writer_note(w, "note", "a \"quoted\" line\nand ü", &err));
        declare(w, "tap.b", false, 3, 5);
        declare(w, "tap.a", true, 2, 2);
        declare(w, "tap.c", false, 1, 1);
        MUST(tess_trace_writer_declare(w, "tap.empty", false, 1, (int64_t[]){0}, &err));
        MUST(tess_trace_writer_declare_growing(w, "tap.thinker.generated", 1, (int64_t[]){MOST}, &err));
        MUST(tess_trace_writer_declare_growing(w, "tap.talker.codes", 2, (int64_t[]){2, MOST}, &err));
        MUST(tess_trace_writer_open(w, path, &err));
        assert_true(tess_trace_writer_has(w, "tap.a"));
        assert_false(tess_trace_writer_has(w, "tap.x"));
        float b[15];
        for (int i = 0; i < 15; i++) b[i] = (float)i + 0.5f;
        int64_t a[4] = {1, -2, 3, INT64_MAX}, ids[MOST];
        for (int i = 0; i < MOST; i++) ids[i] = 100 + i;
        MUST(tess_trace_writer_put(w, "tap.b", 10, b + 10, 5, &err));
        MUST(tess_trace_writer_put(w, "tap.a", 0, a, 4, &err));
        MUST(tess_trace_writer_put(w, "tap.b", 0, b, 10, &err));
        if (grown) MUST(tess_trace_writer_grow(w, "tap.thinker.generated", (int64_t[]){grown}, ids, &err));
        MUST(tess_trace_writer_put(w, "tap.c", 0, b, 1, &err));
        const int64_t n_frame = MOST / 2 - grown / 2, codes[] = {7, 8, 9, 10, 11, 12, 13, 14};
        if (n_frame)
            MUST(tess_trace_writer_grow(w, "tap.talker.codes", (int64_t[]){2, n_frame}, codes, &err));
        MUST(tess_trace_writer_commit(w, &err));

        tess_trace_reader r;
        MUST(tess_trace_reader_open(path, &r, &err));
        assert_string_equal(tess_safetensors_get_metadata(r.st, "note"), "a \"quoted\" line\nand ü");
        assert_int_equal(tess_safetensors_get_count(r.st), 4 + (grown > 0) + (n_frame > 0));
        const void *values;
        const tess_tensor *t = tess_safetensors_find(r.st, "tap.b");
        assert_int_equal(t->offset % 4, 0);
        MUST(tess_trace_reader_read(&r, t, 0, 15, &values, &err));
        assert_memory_equal(values, b, sizeof b);
        t = tess_safetensors_find(r.st, "tap.a");
        assert_int_equal(t->offset % 8, 0);
        MUST(tess_trace_reader_read(&r, t, 0, 4, &values, &err));
        assert_memory_equal(values, a, sizeof a);
        t = tess_safetensors_find(r.st, "tap.thinker.generated");
        if (grown) {
            assert_int_equal(t->offset % 8, 0);
            assert_int_equal(t->dim[0], grown);
            MUST(tess_trace_reader_read(&r, t, 0, (size_t)grown, &values, &err));
            assert_memory_equal(values, ids, (size_t)grown * 8);
        } else {
            assert_null(t);
        }
        t = tess_safetensors_find(r.st, "tap.talker.codes");
        assert_int_equal(t != NULL, n_frame > 0);
        if (t) {
            assert_int_equal(t->dim[1], n_frame);
            MUST(tess_trace_reader_read(&r, t, 0, (size_t)n_frame * 2, &values, &err));
            assert_memory_equal(values, codes, (size_t)n_frame * 2 * sizeof *codes);
        }
        tess_trace_reader_close(&r);
    }
}

static void test_refusals_of_the_writer(void **state)
{
    (void)state;
    tess_trace_writer *w = new_writer();
    assert_int_equal(tess_trace_writer_note(w, "k", "\xff\xfe", &err), TESS_EUSAGE);
    declare(w, "tap.a", false, 2, 2);
    assert_int_equal(tess_trace_writer_declare(w, "tap.a", false, 1, (int64_t[]){1}, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_declare(w, "tap.\"", false, 1, (int64_t[]){1}, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_declare(w, "", false, 1, (int64_t[]){1}, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_declare(w, "tap.n", false, 1, (int64_t[]){-1}, &err), TESS_EUSAGE);
    assert_int_equal(
        tess_trace_writer_declare(w, "tap.h", false, 3, (int64_t[]){1 << 30, 1 << 30, 1 << 30}, &err),
        TESS_EUSAGE);
    MUST(tess_trace_writer_declare_growing(w, "tap.g", 1, (int64_t[]){2}, &err));
    unlink(path);
    MUST(tess_trace_writer_open(w, path, &err));
    float x[4] = {0};
    assert_int_equal(tess_trace_writer_put(w, "tap.b", 0, x, 1, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_put(w, "tap.a", 1, x, 4, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_put(w, "tap.a", -1, x, 1, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_put(w, "tap.a", 5, x, 0, &err), TESS_EUSAGE);
    assert_int_equal(tess_trace_writer_grow(w, "tap.g", (int64_t[]){3}, (int64_t[3]){0}, &err), TESS_EUSAGE);
    MUST(tess_trace_writer_put(w, "tap.a", 0, x, 3, &err));
    /* One element was never heard: no file. */
    assert_int_equal(tess_trace_writer_commit(w, &err), TESS_EUSAGE);
    assert_non_null(strstr(err.message, "tap.a: 3 of its 4"));
    assert_false(exists(path));
}

static void test_the_old_file_stays(void **state)
{
    (void)state;
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    tess_trace_writer *w = new_writer();
    declare(w, "tap.a", false, 2, 2);
    MUST(tess_trace_writer_open(w, path, &err));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    tess_trace_writer_abandon(w);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    w = new_writer();
    assert_int_equal(tess_trace_writer_open(w, "/nonexistent/trace", &err), TESS_EIO);
    assert_string_equal(err.file, "/nonexistent/trace");
    tess_trace_writer_abandon(w);
    w = new_writer();
    assert_int_equal(tess_trace_writer_open(w, folder, &err), TESS_EUSAGE); /* a folder of that name */
    tess_trace_writer_abandon(w);
    tess_trace_writer_abandon(NULL);
}

/* ---- inputs ---- */

static test_trace inputs_trace(void)
{
    test_trace trace;
    test_trace_make(&trace);
    return trace;
}

static void refuse_inputs(test_trace *trace, tess_status status, const char *field)
{
    test_trace_save(trace, path);
    tess_trace_inputs in = {0};
    tess_status got = tess_trace_inputs_read(path, &in, &err);
    if (got == TESS_OK) fail_msg("%s was accepted", field);
    if (got != status) fail_msg("%s: %s", tess_status_name(got), err.message);
    assert_string_equal(err.field, field);
    assert_string_equal(err.file, path);
    assert_null(in.ids);
}

static void test_inputs(void **state)
{
    (void)state;
    test_trace trace = inputs_trace();
    test_tensor *t = test_trace_add(&trace, "in.position_ids", false, 2, (int64_t[]){3, SYNTHETIC_TOKENS});
    for (size_t i = 0; i < t->count; i++) t->values[i] = (float)i / 2;
    strcpy(trace.dtype, "bfloat16");
    test_trace_save(&trace, path);
    tess_trace_inputs in;
    MUST(tess_trace_inputs_read(path, &in, &err));
    assert_int_equal(in.n_tok, SYNTHETIC_TOKENS);
    assert_int_equal(in.ids[5], 8);
    assert_memory_equal(in.positions, t->values, t->count * sizeof(float));
    assert_true(in.has_precision && in.precision == TESS_PRECISION_BF16);
    assert_int_equal(in.generate, 0);
    assert_null(in.raw);
    tess_trace_inputs_release(&in);
    t->values[7] = INFINITY;
    refuse_inputs(&trace, TESS_EINPUT, "in.position_ids");
    test_trace_remove(&trace, "in.position_ids");
    test_trace_add(&trace, "in.position_ids", false, 2, (int64_t[]){3, SYNTHETIC_TOKENS + 1});
    refuse_inputs(&trace, TESS_EINPUT, "in.position_ids");
    test_trace_release(&trace);
}

/* Codes stand alone and whole; that they are in the codebook is known with a model. */
static void test_codes(void **state)
{
    (void)state;
    tess_trace_inputs in;
    test_trace trace = inputs_trace();
    test_tensor *t = test_trace_add(&trace, "in.codes", true, 2, (int64_t[]){2, 3});
    for (size_t i = 0; i < t->count; i++) t->integers[i] = (int64_t)(10 * i);
    refuse_inputs(&trace, TESS_EINPUT, "in.codes");
    test_trace_remove(&trace, "in.input_ids");
    test_trace_save(&trace, path);
    MUST(tess_trace_inputs_read(path, &in, &err));
    assert_int_equal(in.n_tok, 0);
    assert_null(in.ids);
    assert_int_equal(in.n_code_group, 2);
    assert_int_equal(in.n_frame, 3);
    for (int i = 0; i < 6; i++) assert_int_equal(in.codes[i], 10 * i);
    tess_trace_inputs_release(&in);
    for (int i = 0; i < 2; i++) {
        test_tensors_get(&trace.tensors, "in.codes")->integers[4] = i ? INT32_MAX + 1LL : INT32_MIN - 1LL;
        refuse_inputs(&trace, TESS_EINPUT, "in.codes");
    }
    test_trace_remove(&trace, "in.codes");
    test_trace_add(&trace, "in.codes", true, 1, (int64_t[]){6});
    refuse_inputs(&trace, TESS_EINPUT, "in.codes");
    test_trace_release(&trace);
}

static void test_wrong_inputs(void **state)
{
    (void)state;
    static const char *const later[] = {"in.surprise"};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        test_trace trace = inputs_trace();
        test_trace_add(&trace, later[i], false, 1, (int64_t[]){2});
        refuse_inputs(&trace, TESS_EUNSUPPORTED, later[i]);
        test_trace_release(&trace);
    }
    static const int64_t ids[] = {-1, INT64_MIN, (int64_t)INT32_MAX + 1};
    for (size_t i = 0; i < 3; i++) {
        test_trace trace = inputs_trace();
        test_tensors_get(&trace.tensors, "in.input_ids")->integers[3] = ids[i];
        refuse_inputs(&trace, TESS_EINPUT, "in.input_ids");
        test_trace_release(&trace);
    }
    test_trace trace = inputs_trace();
    test_trace_remove(&trace, "in.input_ids");
    refuse_inputs(&trace, TESS_EINPUT, "in.input_ids");
    test_trace_add(&trace, "in.input_ids", true, 2, (int64_t[]){1, 6});
    refuse_inputs(&trace, TESS_EINPUT, "in.input_ids");
    test_trace_remove(&trace, "in.input_ids");
    test_trace_add(&trace, "in.input_ids", false, 1, (int64_t[]){6});
    refuse_inputs(&trace, TESS_EINPUT, "in.input_ids");
    test_trace_remove(&trace, "in.input_ids");
    test_trace_add(&trace, "in.input_ids", true, 1, (int64_t[]){0});
    refuse_inputs(&trace, TESS_EINPUT, "in.input_ids");
    strcpy(trace.dtype, "int8");
    test_trace_remove(&trace, "in.input_ids");
    test_trace_add(&trace, "in.input_ids", true, 1, (int64_t[]){2});
    refuse_inputs(&trace, TESS_EINPUT, "dtype");
    test_trace_release(&trace);
}

static void write_noted(const char *key, const char *value)
{
    tess_trace_writer *w = new_writer();
    MUST(tess_trace_writer_note(w, key, value, &err));
    MUST(tess_trace_writer_declare(w, "in.input_ids", true, 1, (int64_t[]){1}, &err));
    MUST(tess_trace_writer_open(w, path, &err));
    MUST(tess_trace_writer_put(w, "in.input_ids", 0, (int64_t[]){7}, 1, &err));
    MUST(tess_trace_writer_commit(w, &err));
}

static void test_notes_of_inputs(void **state)
{
    (void)state;
    tess_trace_inputs in;
    write_noted("generate", "12");
    MUST(tess_trace_inputs_read(path, &in, &err));
    assert_int_equal(in.generate, 12);
    tess_trace_inputs_release(&in);
    write_noted("speak", "3");
    MUST(tess_trace_inputs_read(path, &in, &err));
    assert_int_equal(in.speak, 3);
    tess_trace_inputs_release(&in);
    write_noted("raw", "The capital");
    MUST(tess_trace_inputs_read(path, &in, &err));
    assert_string_equal(in.raw, "The capital");
    tess_trace_inputs_release(&in);
    static const char *const bad[] = {"-1", "1x", " 1", "99999999999999999999", "1.5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_noted("generate", bad[i]);
        assert_int_equal(tess_trace_inputs_read(path, &in, &err), TESS_EINPUT);
        assert_string_equal(err.field, "generate");
    }
}

static void test_globs(void **state)
{
    (void)state;
    const char *const globs[] = {"thinker.lm_head", "tap.thinker.model.layers.?.mlp"};
    assert_true(tess_tap_matches("tap.thinker.lm_head", globs, 2));
    assert_true(tess_tap_matches("tap.thinker.model.layers.3.mlp", globs, 2));
    assert_false(tess_tap_matches("tap.thinker.model.layers.13.mlp", globs, 2));
    assert_false(tess_tap_matches("tap.thinker.model.layers.3.mlp.gate.logits", globs, 2));
    assert_true(tess_tap_matches("anything", NULL, 0));
}

/* ---- files that lie ---- */

static char *read_file(const char *file, size_t *size)
{
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

/* Reads the file in every role; none may crash, and the number of refusals is returned. */
static int try_all_roles(void)
{
    tess_compare_options options = {.metrics_only = true};
    tess_compare_result *result = NULL;
    tess_trace_inputs in;
    int n = 0;
    tess_status status = tess_trace_inputs_read(path, &in, &err);
    if (status == TESS_OK)
        tess_trace_inputs_release(&in);
    else
        n += status == TESS_EINPUT || status == TESS_EUNSUPPORTED;
    const char *const roles[][2] = {{path, other}, {other, path}};
    for (int i = 0; i < 2; i++) {
        status = tess_compare_files(roles[i][0], roles[i][1], &options, &result, &err);
        if (status == TESS_OK)
            tess_compare_result_free(result);
        else
            n += status == TESS_EINPUT;
    }
    return n;
}

static void test_truncated(void **state)
{
    (void)state;
    test_trace trace = inputs_trace();
    test_trace_save(&trace, other);
    test_trace_release(&trace);
    size_t size;
    char *bytes = read_file(other, &size);
    for (size_t n = 0; n < size; n += n < 16 ? 1 : 37) {
        scratch_write(path, bytes, n);
        if (try_all_roles() != 3) fail_msg("a file cut to %zu of %zu bytes was accepted", n, size);
    }
    bytes[size] = 0;
    scratch_write(path, bytes, size + 1);
    assert_int_equal(try_all_roles(), 3); /* a byte too many */
    memset(bytes, 0xff, 8);
    scratch_write(path, bytes, size);
    assert_int_equal(try_all_roles(), 3); /* a header longer than the file */
    free(bytes);
}

/* Every digit and bracket of the header changed once: refused or read, never a crash or a read outside. */
static void test_garbled_headers(void **state)
{
    (void)state;
    test_trace trace = inputs_trace();
    test_trace_save(&trace, other);
    test_trace_release(&trace);
    size_t size;
    char *bytes = read_file(other, &size);
    uint64_t header;
    memcpy(&header, bytes, 8);
    int refused = 0, tried = 0;
    for (size_t at = 0; at < 8 + header; at += at < 8 ? 1 : 3) {
        static const char to[] = "9[}\"";
        char old = bytes[at], new = to[at % 4];
        if (old == new || old == ' ') continue;
        bytes[at] = new;
        scratch_write(path, bytes, size);
        refused += try_all_roles() > 0;
        tried++;
        bytes[at] = old;
    }
    assert_true(tried > 300);
    assert_true(refused > tried / 2);
    free(bytes);
}

static void write_header(const char *json, size_t data)
{
    char file[4096] = {0};
    uint64_t length = strlen(json);
    memcpy(file, &length, 8);
    memcpy(file + 8, json, length);
    scratch_write(path, file, 8 + length + data);
}

static void test_lying_offsets(void **state)
{
    (void)state;
    test_trace trace = inputs_trace();
    test_trace_save(&trace, other);
    test_trace_release(&trace);
    static const char *const lies[] = {
        /* overlapping */
        ("{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
         "\"tap.thinker.lm_head\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]}}"),
        /* a gap */
        "{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
        /* behind the end */
        "{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[3],\"data_offsets\":[0,24]}}",
        /* shape and bytes disagree */
        "{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[3],\"data_offsets\":[0,16]}}",
        /* a shape that overflows */
        "{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}",
        /* backwards */
        "{\"in.input_ids\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[16,0]}}",
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        write_header(lies[i], 16);
        if (try_all_roles() != 3) fail_msg("accepted: %s", lies[i]);
    }
    unlink(path);
    assert_int_equal(try_all_roles(), 3); /* no file at all */
}

static void test_digest(void **state)
{
    (void)state;
    char hex[TESS_SHA256_HEX];
    tess_sha256 sha;
    tess_sha256_init(&sha);
    tess_sha256_add(&sha, "ab", 2);
    tess_sha256_add(&sha, "c", 1);
    tess_sha256_finish(&sha, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    scratch_write(path, "abc", 3);
    MUST(tess_sha256_file(path, hex, &err));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(tess_sha256_file("/nonexistent", hex, &err), TESS_EINPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refusals_of_the_writer),
        cmocka_unit_test(test_the_old_file_stays),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_wrong_inputs),
        cmocka_unit_test(test_notes_of_inputs),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_garbled_headers),
        cmocka_unit_test(test_lying_offsets),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
