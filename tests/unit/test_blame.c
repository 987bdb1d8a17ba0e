/* Which experts are named for failing tokens: exactly theirs, sets of them, and by the size of the errors. */
#include "verify/compare/blame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N_TOK = 6, N_CHOSEN = 2 };
/* Expert 0: tokens 0 1 2; 1: 0 3; 2: 1 4; 3: 2 5; 4: 3 4; 5: 5. */
static const int64_t choices[N_TOK * N_CHOSEN] = {0, 1, 0, 2, 0, 3, 1, 4, 2, 4, 3, 5};

static void expect(const char *failed, const float *error, int n, const int *experts, bool is_set)
{
    unsigned char flags[N_TOK];
    int out[8], n_out;
    bool found_set;
    tess_error err;
    for (int t = 0; t < N_TOK; t++) flags[t] = failed[t] == 'x';
    assert_int_equal(
        tess_blame_experts(choices, N_TOK, N_CHOSEN, flags, error, out, 8, &n_out, &found_set, &err),
        TESS_OK);
    assert_int_equal(n_out, n);
    for (int i = 0; i < n; i++) assert_int_equal(out[i], experts[i]);
    if (n) assert_int_equal(found_set, is_set);
}

static void test_exact(void **state)
{
    (void)state;
    expect("xxx...", NULL, 1, (int[]){0}, false);
    expect(".....x", NULL, 1, (int[]){5}, false);
    expect("xx.xx.", NULL, 2, (int[]){1, 2}, true);
    expect("x.....", NULL, 0, NULL, false);
    expect("xxxxxx", NULL, 0, NULL, false);
    expect("......", NULL, 0, NULL, false);
}

static void test_by_size(void **state)
{
    (void)state;
    /* One of expert 0's tokens is within the bar, but further off than any other. */
    expect("x.x...", (float[]){3, 0.5f, 4, 0.1f, 0.05f, 0.1f}, 1, (int[]){0}, false);
    /* One is as near as the others. */
    expect("x.x...", (float[]){3, 0.1f, 4, 0.1f, 0.05f, 0.2f}, 1, (int[]){0}, false);
    /* Whoever failed alone tells one expert from another by the rest of its tokens. */
    expect("x.....", (float[]){3, 0.5f, 0.6f, 0.1f, 0.1f, 0.1f}, 1, (int[]){0}, false);
    expect("x.....", (float[]){3, 0.1f, 0.1f, 0.5f, 0.1f, 0.1f}, 1, (int[]){1}, false);
    /* Errors of all tokens alike name nobody, though one expert was chosen by both that failed. */
    expect("x.x...", (float[]){1.1f, 0.9f, 1.2f, 0.8f, 0.9f, 0.7f}, 0, NULL, false);
    /* An exact explanation needs no sizes. */
    expect("xxx...", (float[]){2, 2, 2, 0.9f, 0.9f, 0.9f}, 1, (int[]){0}, false);
}

/* Routing like the published model's: 300 tokens, each of which chooses 8 of 128 experts. */
enum { MANY_TOK = 300, MANY_CHOSEN = 8, MANY_EXPERT = 128 };

static void route_many(int64_t *ids, int n_chosen, int n_expert)
{
    uint32_t state = 1;
    for (int t = 0; t < MANY_TOK; t++)
        for (int c = 0; c < n_chosen; c++) {
            bool again = true;
            while (again) {
                state = state * 1664525u + 1013904223u;
                ids[t * n_chosen + c] = (int64_t)((state >> 8) % (uint32_t)n_expert);
                again = false;
                for (int b = 0; b < c; b++) again |= ids[t * n_chosen + b] == ids[t * n_chosen + c];
            }
        }
}

static int blame_many(const int64_t *ids, int n_tok, const int *at_fault, int n_fault, int *out, bool *is_set)
{
    unsigned char failed[MANY_TOK] = {0};
    float error[MANY_TOK];
    int n_out;
    tess_error err;
    for (int t = 0; t < n_tok; t++) {
        for (int i = 0; i < n_fault * MANY_CHOSEN; i++)
            failed[t] |= ids[t * MANY_CHOSEN + i % MANY_CHOSEN] == at_fault[i / MANY_CHOSEN];
        error[t] = failed[t] ? 100 : 0.1f;
    }
    assert_int_equal(
        tess_blame_experts(ids, n_tok, MANY_CHOSEN, failed, error, out, MANY_EXPERT, &n_out, is_set, &err),
        TESS_OK);
    return n_out;
}

static void test_published_routing(void **state)
{
    (void)state;
    static int64_t ids[MANY_TOK * MANY_CHOSEN];
    static const int faults[][3] = {{100, 0, 0}, {127, 0, 0}, {64, 127, 0}, {5, 69, 0}, {3, 67, 125}};
    static const int n_fault[] = {1, 1, 2, 2, 3};
    int out[MANY_EXPERT];
    bool is_set;
    route_many(ids, MANY_CHOSEN, MANY_EXPERT);
    for (size_t i = 0; i < sizeof n_fault / sizeof n_fault[0]; i++) {
        assert_int_equal(blame_many(ids, MANY_TOK, faults[i], n_fault[i], out, &is_set), n_fault[i]);
        for (int k = 0; k < n_fault[i]; k++) assert_int_equal(out[k], faults[i][k]);
        assert_int_equal(is_set, n_fault[i] > 1);
    }
    /* Of one token all its experts explain alike. */
    assert_int_equal(blame_many(ids, 1, (int[]){(int)ids[3]}, 1, out, &is_set), MANY_CHOSEN);
    assert_false(is_set);
    /* An expert that all tokens chose explains a failure of all. */
    for (int t = 0; t < MANY_TOK; t++) ids[t * MANY_CHOSEN] = 200;
    assert_int_equal(blame_many(ids, MANY_TOK, (int[]){200}, 1, out, &is_set), 1);
    assert_int_equal(out[0], 200);
}

/* As many experts per token as a router may choose: the search ends all the same. */
static void test_very_many_chosen(void **state)
{
    (void)state;
    enum { CHOSEN = 256 };
    static int64_t ids[MANY_TOK * CHOSEN];
    unsigned char failed[MANY_TOK];
    int out[8], n_out;
    bool is_set;
    tess_error err;
    route_many(ids, CHOSEN, 1000);
    for (int t = 0; t < MANY_TOK; t++) failed[t] = t % 2 != 0;
    for (int t = 0; t < MANY_TOK; t += 2)
        for (int c = 0; c < CHOSEN; c++) ids[t * CHOSEN + c] += 1000;
    assert_int_equal(tess_blame_experts(ids, MANY_TOK, CHOSEN, failed, NULL, out, 8, &n_out, &is_set, &err),
                     TESS_OK);
    assert_int_equal(n_out, 0);
}

static void test_hostile_ids(void **state)
{
    (void)state;
    int out[2], n_out = 1;
    bool is_set;
    tess_error err;
    const unsigned char failed[2] = {1, 0};
    const float error[2] = {2, 0};
    static const int64_t bad[][2] = {{-1, 0}, {INT64_MAX, 0}, {65536, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tess_blame_experts(bad[i], 2, 1, failed, error, out, 2, &n_out, &is_set, &err),
                         TESS_OK);
        assert_int_equal(n_out, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_by_size),
        cmocka_unit_test(test_published_routing),
        cmocka_unit_test(test_very_many_chosen),
        cmocka_unit_test(test_hostile_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
