/* The page of a comparison as large as the released model: 48 layers of 128 experts, a long prompt. TESS_PAGE
 * in the environment names a file to leave it in. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

#include "tessera/compare.h"

enum { LAYERS = 48, EXPERTS = 128, TAPS_PER_LAYER = 6, TAPS = LAYERS * TAPS_PER_LAYER + 4, TOKENS = 1000 };

static char folder[SCRATCH_BYTES], path[64];
static char names[TAPS][96];
static tess_tap_report taps[TAPS];
static tess_layer_routing routing[LAYERS];
static tess_layer_experts experts[LAYERS];
static tess_expert_error cells[LAYERS][EXPERTS];
static tess_next_token tokens[TESS_COMPARE_MAX_TOKENS];
static tess_compare_result result;

/* In [0, 1), the same in every run. */
static double noise(void)
{
    static uint64_t state = 7;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / (double)(1ull << 53);
}

static void set_tap(int i, const char *name, const char *component, int layer, double error)
{
    snprintf(names[i], sizeof names[i], "tap.thinker.%s", name);
    taps[i] = (tess_tap_report){.name = names[i],
                                .component = component,
                                .layer = layer,
                                .expert = -1,
                                .position = -1,
                                .n_dim = 2,
                                .dim = {TOKENS, 2048},
                                .is_measured = true,
                                .outcome = error > 1e-5 ? TESS_OUTCOME_DIFFERENT : TESS_OUTCOME_AGREES,
                                .measure = TESS_MEASURE_REL_L2,
                                .error = error,
                                .tolerance = 1e-5,
                                .rel_l2 = error,
                                .max_abs = 3 * error,
                                .cosine = 1 - error * error,
                                .truth_distance = NAN,
                                .reference_truth_distance = NAN};
    if (error > 1e-5) snprintf(taps[i].why, sizeof taps[i].why, "relative L2 %.2e is over 1e-05", error);
}

/* Expert 77 of layer 31 is wrong; everything behind it is off. */
static void set_layer(int layer)
{
    static const char *const parts[TAPS_PER_LAYER] = {
        ".self_attn", ".mlp.gate.logits", ".mlp.gate.indices", ".mlp.gate.weights", ".mlp", ""};
    static const char *const components[TAPS_PER_LAYER] = {"self_attn", "mlp.gate", "mlp.gate",
                                                           "mlp.gate",  "mlp",      "layer"};
    for (int k = 0; k < TAPS_PER_LAYER; k++) {
        bool is_off = layer > 31 || (layer == 31 && k >= 4);
        char name[64];
        snprintf(name, sizeof name, "model.layers.%d%s", layer, parts[k]);
        set_tap(2 + layer * TAPS_PER_LAYER + k, name, components[k], layer,
                (is_off ? 2e-3 : 3e-7 * (1 + layer / 8.0)) * (0.7 + 0.6 * noise()));
        taps[2 + layer * TAPS_PER_LAYER + k].is_integer = k == 2;
    }
    int64_t n_other = layer > 31 ? (int64_t)(30 * noise()) : 0, n_tie = layer % 11 == 5;
    routing[layer] =
        (tess_layer_routing){"thinker", layer, 8, TOKENS, TOKENS - n_other - n_tie, n_tie, n_other};
    experts[layer] = (tess_layer_experts){"thinker", layer, EXPERTS, 1e-5, cells[layer]};
    for (int e = 0; e < EXPERTS; e++) {
        double error = layer < 31 ? 4e-7 : layer == 31 ? 1e-5 : 1e-3;
        cells[layer][e] = (tess_expert_error){.n_tok = (int64_t)(60 * noise() * noise()),
                                              .rel_l2 = error * pow(10, noise() - 0.5),
                                              .truth_distance = NAN,
                                              .reference_truth_distance = NAN};
        if (!cells[layer][e].n_tok) cells[layer][e].rel_l2 = NAN;
        if (layer < 2 && e % 3 == 0) cells[layer][e].rel_l2 = 0;
    }
}

static void set_tokens(void)
{
    enum { HALF = TESS_COMPARE_MAX_TOKENS / 2 };
    for (int i = 0; i < TESS_COMPARE_MAX_TOKENS; i++) {
        bool is_other = i % 7 == 3;
        float p = (float)(0.2 + 0.7 * noise()), q = p * (is_other ? 0.2f : 0.9f);
        tokens[i] = (tess_next_token){.position = i < HALF ? 17 + 29 * i : TOKENS - 2 * HALF + i,
                                      .token = 1000 + i,
                                      .expected = i % 40,
                                      .found = is_other ? 151000 + i : i % 40,
                                      .expected_reference = p,
                                      .expected_trace = q,
                                      .found_reference = is_other ? 1e-7f * p : p,
                                      .found_trace = is_other ? 1 - q : q,
                                      .rank = is_other ? 18 : 1};
    }
}

static int make(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    snprintf(path, sizeof path, "%s/page.html", folder);
    set_tap(0, "inputs_embeds", "embed", -1, 0);
    taps[0].outcome = TESS_OUTCOME_EQUAL;
    set_tap(1, "position_ids", "position_ids", -1, 0);
    taps[1].outcome = TESS_OUTCOME_EQUAL;
    for (int layer = 0; layer < LAYERS; layer++) set_layer(layer);
    cells[31][77] = (tess_expert_error){.n_tok = 2, .rel_l2 = 0.66, .is_fault = true};
    cells[40][3] = (tess_expert_error){.n_tok = 5, .rel_l2 = NAN};
    set_tap(TAPS - 2, "model.norm", "norm", -1, 1.9e-3);
    set_tap(TAPS - 1, "lm_head", "lm_head", -1, 2.5e-3);
    set_tokens();
    result = (tess_compare_result){.reference = "gold<en>&\"'.safetensors",
                                   .trace = "a \xff run\x1b[31m",
                                   .verdict = TESS_VERDICT_DIFFERENT,
                                   .reference_precision_known = true,
                                   .n_tap = TAPS,
                                   .n_compared = TAPS,
                                   .tap = taps,
                                   .first = 2 + 31 * TAPS_PER_LAYER + 4,
                                   .worst = TAPS - 1,
                                   .n_tie = 4,
                                   .n_routing = LAYERS,
                                   .routing = routing,
                                   .n_experts = LAYERS,
                                   .experts = experts,
                                   .n_position = TOKENS,
                                   .n_position_other = 9,
                                   .n_token = TESS_COMPARE_MAX_TOKENS,
                                   .n_token_worst = TESS_COMPARE_MAX_TOKENS / 2,
                                   .token = tokens};
    for (int i = 0; i < TAPS; i++) result.n_failed += taps[i].outcome == TESS_OUTCOME_DIFFERENT;
    taps[result.first].expert = 77;
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* Every kind of trouble a token may be. */
static const char *bytes_of(void *context, int64_t id, size_t *n_bytes)
{
    static const struct {
        const char *bytes;
        size_t n;
    } words[] = {{" the", 4}, {"<script>", 8}, {"\xe4\xbd", 2}, {"\n\n", 2},
                 {"\0", 1},   {"&\"'", 3},     {"\u202e", 3},   {"日本語", 9}};
    assert_ptr_equal(context, &result);
    if (id >= 1060) return NULL;
    *n_bytes = words[id % 8].n;
    return words[id % 8].bytes;
}

static char *read_page(void)
{
    FILE *f = fopen(path, "rb");
    static char text[1 << 22];
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    assert_int_equal(strlen(text), n);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) n++;
    return n;
}

static void test_page(void **state)
{
    (void)state;
    const tess_page_fact facts[] = {
        {"prompt", "<b>\x1b[31mWho?", 0}, {"made", "today", -1}, {"of", "another", 1}};
    tess_page_options options = {
        .title = "Golden <whole> run", .get_bytes = bytes_of, .context = &result, .fact = facts, .n_fact = 3};
    tess_error err;
    if (tess_compare_write_html((tess_compare_result *[]){&result}, 1, &options, path, &err) != TESS_OK)
        fail_msg("%s", err.message);
    const char *text = read_page();
    assert_int_equal(count(text, "<rect class=\"cell "), LAYERS * EXPERTS);
    assert_int_equal(count(text, " fault\" x="), 1);
    assert_int_equal(count(text, "class=\"outline\""), 1 + 1); /* and the legend's */
    assert_int_equal(count(text, "<circle class=\"tap "), TAPS);
    assert_int_equal(count(text, "<g class=\"routing\""), LAYERS);
    assert_int_equal(count(text, "<tr class=\"other\""), 9);
    assert_non_null(strstr(text, "layer 31, expert 77: 2 tokens, 6.6e-1, at fault"));
    assert_non_null(strstr(text, "the worst 32"));
    assert_non_null(strstr(text, "expert 77"));
    assert_true(strlen(text) < 1500000);
}

static void test_page_escapes(void **state)
{
    (void)state;
    const char *text = read_page();
    assert_non_null(strstr(text, "Golden &#60;whole&#62; run: different"));
    assert_non_null(strstr(text, "gold&#60;en&#62;&#38;&#34;&#39;.safetensors"));
    assert_non_null(strstr(text, "a \xef\xbf\xbd run\\x1b[31m"));
    assert_non_null(strstr(text, "<code><i>␣</i>the</code>"));
    assert_non_null(strstr(text, "<code>&#60;script&#62;</code>"));
    assert_non_null(strstr(text, "<code>\\x00</code>"));
    assert_non_null(strstr(text, "<code>\\u202e</code>"));
    assert_non_null(
        strstr(text, "<dt>prompt</dt><dd>&#60;b&#62;\\x1b[31mWho?</dd>\n<dt>made</dt><dd>today</dd>"));
    assert_null(strstr(text, "another</dd>"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "\x1b"));
    assert_null(strstr(text, "\xff"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
}

/* Where somebody wants to look at it. */
static void test_page_is_left(void **state)
{
    (void)state;
    const char *page = getenv("TESS_PAGE");
    tess_page_options options = {.title = "Golden, whole run", .get_bytes = bytes_of, .context = &result};
    if (page)
        assert_int_equal(tess_compare_write_html((tess_compare_result *[]){&result}, 1, &options, page, NULL),
                         TESS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_page_escapes),
        cmocka_unit_test(test_page_is_left),
    };
    return cmocka_run_group_tests(tests, make, remove_folder);
}
