/* Every allocation of writing, reading and comparing traces fails once: reported as such, nothing leaked, no
 * file left, and never a verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/scratch.h"
#include "../support/synthetic.h"
#include "tessera/compare.h"
#include "verify/trace/writer.h"

static char folder[SCRATCH_BYTES];
static char reference_path[64], trace_path[64], page_path[64];
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(reference_path, sizeof reference_path, "%s/reference", folder);
    snprintf(trace_path, sizeof trace_path, "%s/trace", folder);
    snprintf(page_path, sizeof page_path, "%s/page", folder);
    test_trace trace;
    test_trace_make(&trace);
    test_trace_add(&trace, "tap.thinker.model.layers.1.mlp.experts.1", false, 2, (int64_t[]){3, 8});
    test_trace_add(&trace, "tap.talker.codes", true, 2, (int64_t[]){16, 5});
    test_trace_add(&trace, "tap.code2wav.waveform", false, 1, (int64_t[]){900})->values[7] = 1;
    test_trace_save(&trace, reference_path);
    /* Tokens 0, 1 and 5, which expert 1 explains; the expert itself; a tap of its own; a tap less. */
    float *mlp = test_tensors_get(&trace.tensors, "tap.thinker.model.layers.1.mlp")->values;
    mlp[0] += 1, mlp[8] += 1, mlp[40] += 1;
    test_tensors_get(&trace.tensors, "tap.thinker.model.layers.1.mlp.experts.1")->values[0] = 1;
    test_trace_add(&trace, "tap.novelty", false, 1, (int64_t[]){3});
    test_trace_remove(&trace, "tap.thinker.model.norm");
    test_trace_save(&trace, trace_path);
    test_trace_release(&trace);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(reference_path);
    unlink(trace_path);
    unlink(page_path);
    return rmdir(folder);
}

static tess_status compare(void)
{
    tess_compare_options options = {.truth = reference_path};
    tess_compare_result *result = NULL;
    tess_status status = tess_compare_files(reference_path, trace_path, &options, &result, &err);
    if (status != TESS_OK) {
        assert_null(result);
        return status;
    }
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_int_equal(result->n_failed, 3);
    assert_int_equal(result->n_extra, 1);
    tess_compare_result_free(result);
    return TESS_OK;
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(compare, &err) > 30);
}

static tess_compare_result *shown;

static tess_status write_page(void)
{
    unlink(page_path);
    tess_status status = tess_compare_write_html(&shown, 1, NULL, page_path, &err);
    assert_true((status == TESS_OK) == (access(page_path, F_OK) == 0));
    return status;
}

static void test_page(void **state)
{
    (void)state;
    tess_compare_options options = {.truth = reference_path};
    assert_int_equal(tess_compare_files(reference_path, trace_path, &options, &shown, &err), TESS_OK);
    assert_true(shown->n_codes == 1 && shown->n_sound == 1);
    assert_true(fault_alloc_each(write_page, &err) >= 1);
    tess_compare_result_free(shown);
}

static tess_status read_inputs(void)
{
    tess_trace_inputs in = {0};
    tess_status status = tess_trace_inputs_read(reference_path, &in, &err);
    assert_true((status == TESS_OK) == (in.ids != NULL));
    tess_trace_inputs_release(&in);
    return status;
}

static void test_read_inputs(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(read_inputs, &err) > 5);
}

static tess_status write_trace(void)
{
    unlink(page_path);
    tess_trace_writer *w = NULL;
    tess_status status = tess_trace_writer_new(&w, &err);
    if (status == TESS_OK) status = tess_trace_writer_declare(w, "tap.a", false, 1, (int64_t[]){2}, &err);
    if (status == TESS_OK) status = tess_trace_writer_declare_growing(w, "tap.g", 1, (int64_t[]){4}, &err);
    if (status == TESS_OK) status = tess_trace_writer_open(w, page_path, &err);
    if (status == TESS_OK) status = tess_trace_writer_put(w, "tap.a", 0, (float[]){1, 2}, 2, &err);
    if (status == TESS_OK) status = tess_trace_writer_grow(w, "tap.g", (int64_t[]){1}, (int64_t[]){5}, &err);
    if (status == TESS_OK)
        status = tess_trace_writer_commit(w, &err);
    else
        tess_trace_writer_abandon(w);
    assert_true((status == TESS_OK) == (access(page_path, F_OK) == 0));
    return status;
}

static void test_write(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(write_trace, &err) >= 5);
}

/* What is allocated once the file is open: nothing. */
static void test_no_allocation_while_writing(void **state)
{
    (void)state;
    tess_trace_writer *w;
    assert_int_equal(tess_trace_writer_new(&w, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_declare(w, "tap.a", false, 2, (int64_t[]){100, 2}, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_declare_growing(w, "tap.g", 1, (int64_t[]){4}, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_open(w, page_path, &err), TESS_OK);
    fault_alloc_at(1);
    for (int row = 0; row < 100; row++)
        assert_int_equal(tess_trace_writer_put(w, "tap.a", 2 * row, (float[]){1, 2}, 2, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_grow(w, "tap.g", (int64_t[]){1}, (int64_t[]){5}, &err), TESS_OK);
    assert_int_equal(tess_trace_writer_commit(w, &err), TESS_OK);
    assert_false(fault_alloc_end());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_read_inputs),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_no_allocation_while_writing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
