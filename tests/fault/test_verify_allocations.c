/* Every allocation of verifying a golden fails once: reported as such, nothing leaked, and never a verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "tessera.h"

static const char model[] = "demo/checkpoint", path[] = "tests/golden/demo/bf16/france.safetensors",
                  truth[] = "tests/golden/demo/f32/france.safetensors";
static tess_engine *engine;
static tess_golden golden;
static tess_error err;

static int open_all(void **state)
{
    (void)state;
    const tess_engine_options options = {
        .model_dir = model, .memory_bytes = 1u << 30, .n_thread = 1, .precision = TESS_PRECISION_BF16};
    if (tess_engine_open(&options, &engine, &err) != TESS_OK) return -1;
    return tess_golden_read(path, model, &golden, &err) == TESS_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    tess_golden_release(&golden);
    tess_engine_close(engine);
    return 0;
}

static tess_status read_golden(void)
{
    tess_golden read;
    tess_status status = tess_golden_read(path, model, &read, &err);
    if (status != TESS_OK) return status;
    assert_true(read.text_is_checked && read.said.ids.count == (size_t)read.inputs.n_tok);
    tess_golden_release(&read);
    return TESS_OK;
}

static tess_status verify(const tess_verify_options *options)
{
    tess_compare_result *result = NULL;
    tess_status status = tess_verify_run(engine, &golden, options, &result, &err);
    if (status != TESS_OK) {
        assert_null(result);
        return status;
    }
    assert_int_equal(result->n_failed, 0);
    assert_true(result->verdict == TESS_VERDICT_AGREE || result->verdict == TESS_VERDICT_EQUAL);
    tess_compare_result_free(result);
    return TESS_OK;
}

static tess_status verify_both_sides(void)
{
    return verify(&(tess_verify_options){.model_dir = model, .truth = truth, .truth_name = "the original's"});
}

static tess_status verify_isolated(void)
{
    return verify(&(tess_verify_options){.model_dir = model, .isolate = true});
}

static void test_read(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(read_golden, &err) > 20);
}

static void test_both_sides(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(verify_both_sides, &err) > 100);
}

static void test_isolated(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(verify_isolated, &err) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_isolated),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
