#include "recording.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/safetensors.h"

static void *must_alloc(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    assert_non_null(memory);
    return memory;
}

static test_tensor *append(test_tensors *tensors, const char *name, bool is_integer, int n_dim,
                           const int64_t *dim)
{
    tensors->item = realloc(tensors->item, (tensors->count + 1) * sizeof *tensors->item);
    assert_non_null(tensors->item);
    test_tensor *t = &tensors->item[tensors->count++];
    *t = (test_tensor){.is_integer = is_integer, .n_dim = n_dim, .count = 1};
    snprintf(t->name, sizeof t->name, "%s", name);
    for (int i = 0; i < n_dim; i++) {
        t->dim[i] = dim[i];
        t->count *= (size_t)dim[i];
    }
    t->values = must_alloc(t->count, is_integer ? sizeof(int64_t) : sizeof(float));
    return t;
}

void test_tensors_read(const char *path, test_tensors *out)
{
    tess_error err;
    tess_safetensors *file;
    *out = (test_tensors){0};
    if (tess_safetensors_open(path, TESS_DIRECT_AUTO, &file, &err) != TESS_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < tess_safetensors_get_count(file); i++) {
        const tess_tensor *tensor = tess_safetensors_get(file, i);
        int64_t dim[3] = {0};
        assert_true(tensor->n_dim <= 3 &&
                    (tensor->dtype == TESS_DTYPE_F32 || tensor->dtype == TESS_DTYPE_I64));
        for (int d = 0; d < tensor->n_dim; d++) dim[d] = (int64_t)tensor->dim[d];
        test_tensor *t = append(out, tensor->name, tensor->dtype == TESS_DTYPE_I64, tensor->n_dim, dim);
        if (tensor->n_byte && tess_file_read(tess_safetensors_get_file(file), tensor->offset, t->values,
                                             tensor->n_byte, &err) != TESS_OK)
            fail_msg("%s", err.message);
    }
    tess_safetensors_close(file);
}

void test_tensors_release(test_tensors *tensors)
{
    for (size_t i = 0; i < tensors->count; i++) free(tensors->item[i].values);
    free(tensors->item);
    *tensors = (test_tensors){0};
}

test_tensor *test_tensors_find(const test_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (!strcmp(tensors->item[i].name, name)) return &tensors->item[i];
    return NULL;
}

test_tensor *test_tensors_get(const test_tensors *tensors, const char *name)
{
    test_tensor *t = test_tensors_find(tensors, name);
    if (!t) fail_msg("no tensor %s", name);
    return t;
}

/* Single experts' outputs have no length before the run. */
static bool wants_all(void *context, const tess_tap *tap)
{
    const test_recording *recording = context;
    return tap->dim[0] >= 0 || recording->with_experts;
}

static tess_status keep_expert(test_tensors *taps, const tess_tap_rows *rows)
{
    test_tensor *t = test_tensors_find(taps, rows->tap.name);
    const int64_t none[] = {0, rows->tap.dim[1]};
    if (!t) t = append(taps, rows->tap.name, false, 2, none);
    size_t n = (size_t)rows->n_row * rows->row_width;
    t->values = realloc(t->values, (t->count + n) * sizeof *t->values);
    assert_non_null(t->values);
    memcpy(t->values + t->count, rows->values, n * sizeof *t->values);
    t->count += n;
    t->dim[0] += rows->n_row;
    return TESS_OK;
}

/* Where a row of a piece lies in its tap, and in the piece. */
typedef struct row_run {
    size_t at, from, n_byte;
} row_run;

static row_run run_of(const test_tensor *t, const tess_tap_rows *rows, int64_t i)
{
    size_t size = t->is_integer ? sizeof(int64_t) : sizeof(float), width = t->count / (size_t)t->dim[0];
    size_t first = (size_t)(rows->row + i) * width + (size_t)rows->column;
    assert_true((size_t)rows->column + rows->row_width <= width && first + rows->row_width <= t->count);
    return (row_run){first * size, (size_t)i * rows->row_width * size, rows->row_width * size};
}

static tess_status keep(void *context, const tess_tap_rows *rows, tess_error *err)
{
    (void)err;
    test_recording *recording = context;
    if (rows->tap.dim[0] < 0) return keep_expert(&recording->taps, rows);
    test_tensor *t = test_tensors_find(&recording->taps, rows->tap.name);
    if (!t)
        t = append(&recording->taps, rows->tap.name, rows->tap.is_integer, rows->tap.n_dim, rows->tap.dim);
    const void *values = t->is_integer ? (const void *)rows->integers : (const void *)rows->values;
    for (int64_t i = 0; i < rows->n_row; i++) {
        row_run run = run_of(t, rows, i);
        memcpy((char *)t->values + run.at, (const char *)values + run.from, run.n_byte);
    }
    return TESS_OK;
}

static tess_status replace(void *context, const tess_tap_rows *rows, void *values, tess_error *err)
{
    (void)err;
    test_recording *recording = context;
    const test_tensor *t = test_tensors_find(recording->replacement, rows->tap.name);
    if (!t) return TESS_OK;
    for (int64_t i = 0; i < rows->n_row; i++) {
        row_run run = run_of(t, rows, i);
        memcpy((char *)values + run.from, (const char *)t->values + run.at, run.n_byte);
    }
    return TESS_OK;
}

void test_recording_init(test_recording *recording, const test_tensors *replacement)
{
    *recording = (test_recording){.replacement = replacement};
    recording->listener = (tess_tap_listener){
        .context = recording, .wants = wants_all, .hear = keep, .replace = replacement ? replace : NULL};
}

void test_recording_release(test_recording *recording)
{
    test_tensors_release(&recording->taps);
}

/* Joins the taps of a later feed to those so far: rows follow rows, positions follow along the second axis.
 */
static void join(test_tensors *all, const test_tensors *more)
{
    for (size_t i = 0; i < more->count; i++) {
        const test_tensor *b = &more->item[i];
        test_tensor *a = test_tensors_find(all, b->name);
        if (!a) {
            test_tensor *copy = append(all, b->name, b->is_integer, b->n_dim, b->dim);
            memcpy(copy->values, b->values, b->count * (b->is_integer ? 8 : 4));
            continue;
        }
        bool by_column = strstr(b->name, "position_ids") != NULL;
        size_t size = b->is_integer ? 8 : 4, n_row = by_column ? 3 : 1;
        size_t wide_a = a->count / n_row * size, wide_b = b->count / n_row * size;
        char *joined = must_alloc(a->count + b->count, size);
        for (size_t r = 0; r < n_row; r++) {
            memcpy(joined + r * (wide_a + wide_b), (char *)a->values + r * wide_a, wide_a);
            memcpy(joined + r * (wide_a + wide_b) + wide_a, (char *)b->values + r * wide_b, wide_b);
        }
        free(a->values);
        a->values = (float *)(void *)joined;
        a->count += b->count;
        a->dim[by_column ? 1 : 0] += b->dim[by_column ? 1 : 0];
    }
}

static void feed_piece(tess_session *session, const int32_t *ids, int n, const float *positions, int at,
                       int n_tok, test_recording *recording)
{
    float *piece = NULL;
    if (positions) {
        piece = must_alloc((size_t)n * 3, sizeof *piece);
        for (int s = 0; s < 3; s++)
            memcpy(piece + (size_t)s * (size_t)n, positions + (size_t)s * (size_t)n_tok + at,
                   (size_t)n * sizeof *piece);
    }
    tess_error err;
    tess_feed feed = {.ids = ids + at, .n_tok = n, .positions = piece, .listener = &recording->listener};
    if (tess_session_feed(session, &feed, &err) != TESS_OK) fail_msg("%s", err.message);
    free(piece);
}

void test_run(const tess_engine_options *options, const int32_t *ids, int n_tok, const float *positions,
              int step, test_recording *recording)
{
    tess_error err;
    tess_engine *engine;
    tess_session *session;
    if (tess_engine_open(options, &engine, &err) != TESS_OK) fail_msg("%s", err.message);
    if (tess_session_new(engine, &session, &err) != TESS_OK) fail_msg("%s", err.message);
    if (step <= 0) {
        feed_piece(session, ids, n_tok, positions, 0, n_tok, recording);
    } else {
        for (int at = 0; at < n_tok; at += step) {
            test_recording part;
            test_recording_init(&part, NULL);
            feed_piece(session, ids, n_tok - at < step ? n_tok - at : step, positions, at, n_tok, &part);
            join(&recording->taps, &part.taps);
            test_recording_release(&part);
        }
    }
    tess_session_free(session);
    tess_engine_close(engine);
}

void test_tensors_assert_equal(const test_tensors *a, const test_tensors *b, const char *what)
{
    assert_true(a->count > 0);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const test_tensor *x = &a->item[i], *y = test_tensors_get(b, x->name);
        if (x->count != y->count)
            fail_msg("%s: %s: %zu elements against %zu", what, x->name, x->count, y->count);
        size_t size = x->is_integer ? 8 : 4;
        if (!memcmp(x->values, y->values, x->count * size)) continue;
        size_t at = 0;
        while (!memcmp((char *)x->values + at * size, (char *)y->values + at * size, size)) at++;
        if (x->is_integer)
            fail_msg("%s: %s differs first at %zu: %lld against %lld", what, x->name, at,
                     (long long)x->integers[at], (long long)y->integers[at]);
        fail_msg("%s: %s differs first at %zu: %.9g against %.9g", what, x->name, at, (double)x->values[at],
                 (double)y->values[at]);
    }
}

double test_relative_l2(const test_tensor *a, const test_tensor *reference)
{
    assert_int_equal(a->count, reference->count);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a->count; i++) {
        double d = (double)a->values[i] - (double)reference->values[i];
        difference += d * d;
        norm += (double)reference->values[i] * (double)reference->values[i];
    }
    return difference == 0 ? 0 : sqrt(difference / norm);
}

int32_t *test_input_ids(const test_tensors *golden, int *n_tok)
{
    const test_tensor *t = test_tensors_get(golden, "in.input_ids");
    int32_t *ids = must_alloc(t->count, sizeof *ids);
    for (size_t i = 0; i < t->count; i++) ids[i] = (int32_t)t->integers[i];
    *n_tok = (int)t->count;
    return ids;
}

const char *test_shared_folder(void)
{
    struct stat info;
    if (!stat("../shared/golden", &info)) return "../shared";
    const char *required = getenv("TESS_REQUIRE_SHARED");
    if (required && *required) fail_msg("../shared/golden is absent, and TESS_REQUIRE_SHARED asks for it");
    print_message("# not tested: ../shared/golden is absent\n");
    return NULL;
}
