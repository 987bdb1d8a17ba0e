/* What a plan is expected to cost, against sums made by hand and against many random prompts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "tessera/engine.h"

/* 10 layers of 128 experts, 8 for a token; easy bytes. */
static const tess_plan PLAN = {.n_context = 4096,
                               .stored_share = 1,
                               .n_chunk = 16,
                               .n_together = 1,
                               .n_expert_layer = 10,
                               .n_expert = 128,
                               .n_expert_used = 8,
                               .n_expert_total = 1280,
                               .expert_bytes = 1000,
                               .layer_bytes = 50000,
                               .head_bytes = 7000,
                               .embedding_bytes = 9000,
                               .embedding_block_bytes = 100};
/* Only reading costs anything. */
static const tess_rates READING = {.disk_bytes = 1e6,
                                   .memory_bytes = INFINITY,
                                   .operations = INFINITY,
                                   .fresh_bytes = INFINITY,
                                   .pack_bytes = INFINITY};

static tess_estimate estimate(const tess_plan *plan, int n_prompt)
{
    tess_estimate e;
    tess_plan_estimate(plan, &READING, n_prompt, &e);
    return e;
}

/* Different experts that n tokens choose in one layer, counted over many layers. */
static double count_union(int n)
{
    enum { TRIES = 4000 };
    uint64_t state = 1, sum = 0;
    for (int t = 0; t < TRIES; t++) {
        unsigned char seen[128] = {0};
        for (int i = 0; i < n; i++) {
            int order[128];
            for (int e = 0; e < 128; e++) order[e] = e;
            for (int j = 0; j < 8; j++) {
                int pick = j + (int)(tess_random_next(&state) % (uint64_t)(128 - j)), e = order[pick];
                order[pick] = order[j];
                order[j] = e;
                seen[e] = 1;
            }
        }
        for (int e = 0; e < 128; e++) sum += seen[e];
    }
    return (double)sum / TRIES;
}

static void a_prompt_reads_the_union_of_its_experts(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    assert_int_equal(estimate(&plan, 1).first_token_bytes, 50000 + 7000 + 100 + 80 * 1000);
    for (int n = 2; n <= 16; n += 7) {
        double experts = (double)estimate(&plan, n).first_token_bytes - 57000 - 100 * n;
        assert_true(fabs(experts / 10000 - count_union(n)) < 0.3);
    }
    /* 40 tokens: chunks of 16, 16 and 8. Nothing stays, so every chunk reads all of its own. */
    double thrice = 2 * (128 * (1 - pow(15.0 / 16, 16))) + 128 * (1 - pow(15.0 / 16, 8));
    tess_estimate e = estimate(&plan, 40);
    assert_true(fabs((double)e.first_token_bytes - (3 * 50000 + 7000 + 4000 + thrice * 10000)) < 2);
    assert_true(fabs(e.first_token_seconds - (double)e.first_token_bytes / 1e6) < 1e-5);
}

static void what_stays_is_read_once(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    plan.layers_resident = plan.head_resident = plan.embedding_resident = true;
    plan.n_expert_slot = 1280;
    tess_estimate e = estimate(&plan, 40);
    double met = 128 * (1 - pow(15.0 / 16, 40));
    assert_int_equal(e.load_bytes, 66000);
    assert_true(fabs((double)e.first_token_bytes - (66000 + met * 10000)) < 2);
    /* The next token still misses what no token has met, until all experts are there. */
    assert_true(fabs((double)e.next_token_bytes - 80000 * (1 - met / 128)) < 2);
    assert_true(e.n_tok_to_fill > 0 && e.full_token_seconds == 0);
    assert_true(estimate(&plan, 100).n_tok_to_fill == 0);
}

static void half_of_the_experts_fit(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    plan.n_expert_slot = 640;
    tess_estimate e = estimate(&plan, 1);
    assert_true(fabs((double)e.next_token_bytes - (57100 + 80000 * 120.0 / 128)) < 2);
    assert_true(fabs(e.full_token_seconds - (57100 + 40000) / 1e6) < 1e-6);
    /* After n tokens 95 % of the 64 that may stay have been met. */
    int n = e.n_tok_to_fill + 1;
    assert_true(128 * (1 - pow(15.0 / 16, n)) >= 0.95 * 64 && 128 * (1 - pow(15.0 / 16, n - 1)) < 0.95 * 64);
}

static void computing_takes_time_too(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate e;
    const tess_rates memory = {INFINITY, 1e6, INFINITY, INFINITY, INFINITY},
                     arithmetic = {INFINITY, INFINITY, 1e6, INFINITY, INFINITY};
    tess_plan_estimate(&plan, &memory, 1, &e);
    assert_true(fabs(e.first_token_seconds - 0.137) < 1e-9);
    tess_plan_estimate(&plan, &arithmetic, 10, &e);
    assert_true(fabs(e.first_token_seconds - (10 * 0.130 + 0.007)) < 1e-9);
}

/* A token reads the keys and values of all before it, and multiplies with them. */
static void long_prompts_take_longer(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate e;
    const tess_rates memory = {INFINITY, 1e6, INFINITY, INFINITY, INFINITY},
                     arithmetic = {INFINITY, INFINITY, 1e6, INFINITY, INFINITY};
    plan.position_bytes = 1000;
    plan.position_operations = 500;
    tess_plan_estimate(&plan, &memory, 1, &e);
    assert_true(fabs(e.first_token_seconds - (0.137 + 0.001)) < 1e-9);
    assert_true(fabs(e.next_token_seconds - (0.137 + 0.002)) < 1e-9);
    /* 40 tokens, each with itself and those before it, however they are cut into chunks. */
    tess_plan_estimate(&plan, &arithmetic, 40, &e);
    assert_true(fabs(e.first_token_seconds - (40 * 0.130 + 0.007 + 40 * 41 / 2 * 0.0005)) < 1e-9);
    assert_true(fabs(e.next_token_seconds - (0.137 + 41 * 0.0005)) < 1e-9);
    assert_true(fabs(e.full_token_seconds - e.next_token_seconds) < 1e-9);
    /* Memory is read for each of them as well, behind the weights that all of a chunk share. */
    tess_estimate without, both;
    plan.position_bytes = plan.position_operations = 0;
    tess_plan_estimate(&plan, &memory, 40, &without);
    plan.position_bytes = 1000;
    tess_plan_estimate(&plan, &memory, 40, &e);
    assert_true(fabs(e.first_token_seconds - without.first_token_seconds - 40 * 41 / 2 * 0.001) < 1e-9);
    /* What several tokens read together is read once; the last of them alone. */
    plan.n_together = 4;
    tess_plan_estimate(&plan, &memory, 40, &e);
    assert_true(fabs(e.first_token_seconds - without.first_token_seconds - 40 * 41 / 2 * 0.001 / 4) < 1e-9);
    assert_true(fabs(e.next_token_seconds - (0.137 + 41 * 0.001)) < 1e-9);
    plan.n_together = 1;
    /* Where products wait for arithmetic and attention for memory, their times add. */
    const tess_rates slow = {INFINITY, 1e6, 1e5, INFINITY, INFINITY};
    plan.position_bytes = 0;
    tess_plan_estimate(&plan, &slow, 40, &without);
    plan.position_bytes = 1000;
    tess_plan_estimate(&plan, &slow, 40, &both);
    assert_true(fabs(without.first_token_seconds - (40 * 1.30 + 0.07)) < 1e-9);
    assert_true(fabs(both.first_token_seconds - without.first_token_seconds - 0.82) < 1e-9);
}

static void speech_waits_for_all_three(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate e = estimate(&plan, 40);
    assert_true(e.speech_seconds == 0);
    plan.speech_read_bytes = 3e5, plan.speech_weight_bytes = 4e6, plan.speech_operations = 5e7;
    tess_plan_estimate(&plan, &(tess_rates){1e6, 2e6, 1e8, INFINITY, INFINITY}, 40, &e);
    assert_true(fabs(e.speech_seconds - (0.3 + 2 + 0.5)) < 1e-9);
}

static void towers_come_first(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate without = estimate(&plan, 40), e;
    plan.tower_bytes = 300000;
    plan.tower_operations = 5e6;
    e = estimate(&plan, 40);
    assert_int_equal(e.first_token_bytes, without.first_token_bytes + 300000);
    assert_true(fabs(e.tower_seconds - 0.3) < 1e-9);
    assert_true(fabs(e.first_token_seconds - without.first_token_seconds - 0.3) < 1e-9);
    assert_true(e.next_token_seconds == without.next_token_seconds && e.load_bytes == without.load_bytes);
    /* Reading and computing add; computing waits for memory or for arithmetic. */
    tess_plan_estimate(&plan, &(tess_rates){1e6, 1e6, 1e6, INFINITY, INFINITY}, 1, &e);
    assert_true(fabs(e.tower_seconds - 5.3) < 1e-9);
    tess_plan_estimate(&plan, &(tess_rates){INFINITY, 1e5, 1e9, INFINITY, INFINITY}, 1, &e);
    assert_true(fabs(e.tower_seconds - 3) < 1e-9);
}

/* What is packed has fewer bytes in memory, and is packed when it comes. */
static void packed_weights_are_fewer(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate e;
    const tess_rates memory = {INFINITY, 1e6, INFINITY, INFINITY, INFINITY},
                     packing = {INFINITY, INFINITY, INFINITY, INFINITY, 1e6};
    plan.packs = plan.packs_experts = true;
    plan.packed_share = 0.75;
    plan.layers_resident = plan.head_resident = true;
    plan.n_expert_slot = 1280;
    tess_plan_estimate(&plan, &memory, 1, &e);
    assert_true(fabs(e.first_token_seconds - 0.75 * 0.137) < 1e-9);
    plan.layers_resident = plan.head_resident = false; /* what does not stay is not packed */
    tess_plan_estimate(&plan, &memory, 1, &e);
    assert_true(fabs(e.first_token_seconds - (0.057 + 0.75 * 0.080)) < 1e-9);
    plan.layers_resident = plan.head_resident = true;
    tess_plan_estimate(&plan, &packing, 1, &e);
    assert_true(fabs(e.first_token_seconds - 0.137) < 1e-9);
    plan.packs = plan.packs_experts = false;
    tess_plan_estimate(&plan, &packing, 1, &e);
    assert_true(e.first_token_seconds == 0);
}

/* Memory that is used for the first time: what is loaded, then slots until all are full, and no more. */
static void memory_comes_once(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    tess_estimate e;
    const tess_rates rates = {INFINITY, INFINITY, INFINITY, 1e6, INFINITY};
    tess_plan_estimate(&plan, &rates, 40, &e); /* nothing stays */
    assert_true(e.first_token_seconds == 0 && e.next_token_seconds == 0 && e.full_token_seconds == 0);
    plan.layers_resident = plan.head_resident = plan.embedding_resident = true;
    plan.n_expert_slot = 640;
    double one = 128 * (1 - 15.0 / 16), two = 128 * (1 - pow(15.0 / 16, 2));
    tess_plan_estimate(&plan, &rates, 1, &e);
    assert_true(fabs(e.first_token_seconds - (66000 + one * 10000) / 1e6) < 1e-9);
    assert_true(fabs(e.next_token_seconds - (two - one) * 10000 / 1e6) < 1e-9);
    assert_true(e.full_token_seconds == 0);
    tess_plan_estimate(&plan, &rates, 40, &e); /* the first chunk fills all slots */
    assert_true(fabs(e.first_token_seconds - (66000 + 640 * 1000) / 1e6) < 1e-9);
    assert_true(e.next_token_seconds == 0);
}

static void a_model_without_experts(void **state)
{
    (void)state;
    tess_plan plan = PLAN;
    plan.n_expert_layer = plan.n_expert = plan.n_expert_used = plan.n_expert_total = 0;
    plan.expert_bytes = 0;
    tess_estimate e = estimate(&plan, 16);
    assert_int_equal(e.first_token_bytes, 50000 + 7000 + 1600);
    assert_int_equal(e.next_token_bytes, 57100);
    assert_true(fabs(e.full_token_seconds - 0.0571) < 1e-9);
    assert_int_equal(e.n_tok_to_fill, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_reads_the_union_of_its_experts),
        cmocka_unit_test(what_stays_is_read_once),
        cmocka_unit_test(half_of_the_experts_fit),
        cmocka_unit_test(computing_takes_time_too),
        cmocka_unit_test(packed_weights_are_fewer),
        cmocka_unit_test(memory_comes_once),
        cmocka_unit_test(long_prompts_take_longer),
        cmocka_unit_test(speech_waits_for_all_three),
        cmocka_unit_test(towers_come_first),
        cmocka_unit_test(a_model_without_experts),
    };
    return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
