/* A layout: regions that are always in use add up, those of phases share one room as large as the largest
 * phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/layout.h"

typedef struct piece {
    const char *component, *name;
    tess_phase phase;
    uint64_t n_byte;
} piece;

/* Lays the pieces out; at[i] is where each begins. */
static tess_layout lay_out(const piece *pieces, int n, tess_arena *arena, unsigned char *at[])
{
    tess_layout layout = tess_layout_begin(arena);
    for (int i = 0; i < n; i++) {
        const piece *p = &pieces[i];
        tess_arena *from = tess_layout_open(&layout, p->component, p->name, "bytes", p->phase);
        at[i] = tess_arena_take(from, p->n_byte, 1, 1);
    }
    tess_layout_end(&layout);
    return layout;
}

static const piece pieces[] = {
    {"thinker", "experts", TESS_PHASE_ALWAYS, 1000},  {"talker", "experts", TESS_PHASE_ALWAYS, 300},
    {"towers", "weights", TESS_PHASE_AUDIO, 5000},    {"towers", "workspace", TESS_PHASE_AUDIO, 700},
    {"thinker", "workspace", TESS_PHASE_TEXT, 2000},  {"talker", "workspace", TESS_PHASE_SPEECH, 40},
    {"vocoder", "workspace", TESS_PHASE_SPEECH, 600},
};
enum { N = sizeof pieces / sizeof pieces[0], ALWAYS = 1300, LARGEST_PHASE = 5700 };

static void test_phases_share_a_room(void **state)
{
    (void)state;
    tess_error err;
    unsigned char *at[N];
    tess_arena measuring = tess_arena_measure(), arena;
    tess_layout layout = lay_out(pieces, N, &measuring, at);
    assert_true(measuring.used == ALWAYS + LARGEST_PHASE);
    assert_int_equal(tess_arena_reserve(measuring.used, &arena, &err), TESS_OK);
    layout = lay_out(pieces, N, &arena, at);
    assert_true(arena.used == ALWAYS + LARGEST_PHASE);
    assert_int_equal(layout.n_region, N);
    for (int i = 0; i < N; i++) {
        assert_string_equal(layout.region[i].name, pieces[i].name);
        assert_string_equal(layout.region[i].component, pieces[i].component);
        assert_int_equal(layout.region[i].phase, pieces[i].phase);
        assert_true(layout.region[i].n_byte == pieces[i].n_byte);
        for (int k = 0; k < i; k++) {
            bool apart = at[k] + pieces[k].n_byte <= at[i] || at[i] + pieces[i].n_byte <= at[k];
            bool may_share = pieces[k].phase != TESS_PHASE_ALWAYS && pieces[k].phase != pieces[i].phase;
            assert_true(apart || may_share);
        }
    }
    assert_ptr_equal(at[4], at[2]); /* a phase begins where the one before began */
    assert_ptr_equal(at[5], at[2]);
    tess_arena_release(&arena);
}

/* A layout without phases, and one that is nothing else. */
static void test_one_kind_only(void **state)
{
    (void)state;
    unsigned char *at[N];
    tess_arena measuring = tess_arena_measure();
    lay_out(pieces, 2, &measuring, at);
    assert_true(measuring.used == ALWAYS);
    measuring = tess_arena_measure();
    lay_out(pieces + 2, 2, &measuring, at);
    assert_true(measuring.used == LARGEST_PHASE);
}

/* What the plan tells is what was laid out: the sum counts shared room once, and no region is lost. */
static void test_plan_tells_regions(void **state)
{
    (void)state;
    tess_error err;
    tess_plan plan;
    const tess_engine_options options = {.model_dir = "tests/golden/c",
                                         .memory_bytes = 1u << 30,
                                         .n_thread = 1,
                                         .n_context = 64,
                                         .n_session = 3};
    assert_int_equal(tess_plan_make(&options, &plan, &err), TESS_OK);
    assert_string_equal(plan.region[0].name, "process");
    assert_null(plan.region[0].component);
    uint64_t always = 0, phase[TESS_PHASE_SPEECH + 1] = {0}, largest = 0;
    for (int i = 0; i < plan.n_region; i++) phase[plan.region[i].phase] += plan.region[i].n_byte;
    always = phase[TESS_PHASE_ALWAYS];
    for (int p = TESS_PHASE_AUDIO; p <= TESS_PHASE_SPEECH; p++)
        if (phase[p] > largest) largest = phase[p];
    assert_true(largest > 0 && plan.sum_bytes == always + largest && plan.sum_bytes <= plan.budget_bytes);
    assert_int_equal(plan.n_session, 3);
}

/* A refusal says whether somebody named the budget. */
static void test_default_budget_is_told(void **state)
{
    (void)state;
    tess_error err;
    tess_plan plan;
    tess_engine_options options = {
        .model_dir = "tests/golden/c", .n_thread = 1, .n_context = 64, .other_bytes = 1ull << 50};
    assert_int_equal(tess_plan_make(&options, &plan, &err), TESS_EBUDGET);
    assert_non_null(strstr(err.message, "(the default"));
    assert_non_null(strstr(err.message, plan.budget_origin));
    options.memory_bytes = 1u << 20;
    assert_int_equal(tess_plan_make(&options, &plan, &err), TESS_EBUDGET);
    assert_null(strstr(err.message, "default"));
    assert_string_equal(plan.budget_origin, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases_share_a_room),
        cmocka_unit_test(test_one_kind_only),
        cmocka_unit_test(test_plan_tells_regions),
        cmocka_unit_test(test_default_budget_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
