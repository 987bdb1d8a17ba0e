/* Verifying through the library, by callers that ask for no error record. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"
#include "../support/synthetic.h"

static const char model[] = "tests/golden/c", original[] = "tests/golden/c-f32/positions.safetensors";
static char path[SCRATCH_BYTES];

static int make_file(void **state)
{
    (void)state;
    int file = scratch_make_file(path);
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Verifies what `path` holds; no error record anywhere. */
static tess_status verify(bool isolate, tess_compare_result **result)
{
    tess_golden golden;
    tess_engine *engine;
    const tess_engine_options options = {.model_dir = model, .memory_bytes = 1u << 30, .n_thread = 1};
    const tess_verify_options how = {.model_dir = model, .isolate = isolate};
    assert_int_equal(tess_golden_read(path, model, &golden, NULL), TESS_OK);
    assert_int_equal(tess_engine_open(&options, &engine, NULL), TESS_OK);
    tess_status status = tess_verify_run(engine, &golden, &how, result, NULL);
    tess_engine_close(engine);
    tess_golden_release(&golden);
    return status;
}

static void test_without_an_error_record(void **state)
{
    (void)state;
    test_trace golden = {.dtype = "float32"};
    tess_compare_result *result = NULL;
    test_tensors_read(original, &golden.tensors);
    test_trace_save(&golden, path);
    assert_int_equal(verify(true, &result), TESS_OK);
    assert_int_equal(result->verdict, TESS_VERDICT_AGREE);
    tess_compare_result_free(result);

    /* The run ends in what the golden feeds. */
    test_tensors_get(&golden.tensors, "tap.thinker.model.layers.1.mlp")->values[5] = NAN;
    test_trace_save(&golden, path);
    assert_int_equal(verify(true, &result), TESS_OK);
    assert_int_equal(result->verdict, TESS_VERDICT_DIFFERENT);
    assert_string_equal(result->tap[result->first].name, "tap.thinker.model.layers.1.mlp");
    assert_int_equal(result->tap[result->first].outcome, TESS_OUTCOME_NONFINITE);
    tess_compare_result_free(result);

    result = NULL;
    test_trace_remove(&golden, "tap.thinker.model.layers.1.mlp");
    test_trace_save(&golden, path);
    assert_int_equal(verify(true, &result), TESS_EINPUT);
    test_tensors_get(&golden.tensors, "in.input_ids")->integers[1] = 1 << 20;
    test_trace_save(&golden, path);
    assert_int_equal(verify(false, &result), TESS_EINPUT);
    assert_null(result);
    test_trace_release(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_an_error_record)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
