/* The published configuration implies exactly the published tensors: counts, parameters, bytes per component.
 * The numbers are those of the published inventory. */
#include "model/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

typedef struct totals {
    uint64_t n_tensor, n_parameter;
} totals;

typedef struct tally {
    totals component[TESS_N_COMPONENT], expert[TESS_N_COMPONENT], all;
    int n_wrong_component;
    const char *wanted;
    tess_manifest_entry found;
    char found_name[160];
} tally;

static tess_status count(void *arg, const tess_manifest_entry *entry)
{
    tally *t = arg;
    uint64_t n = 1;
    for (int i = 0; i < entry->n_dim; i++) n *= entry->dim[i];
    t->component[entry->component].n_tensor++;
    t->component[entry->component].n_parameter += n;
    t->all.n_tensor++;
    t->all.n_parameter += n;
    if (strstr(entry->name, ".mlp.experts.")) {
        t->expert[entry->component].n_tensor++;
        t->expert[entry->component].n_parameter += n;
    }
    t->n_wrong_component += tess_component_of(entry->name) != entry->component;
    if (t->wanted && !strcmp(t->wanted, entry->name)) {
        t->found = *entry;
        snprintf(t->found_name, sizeof t->found_name, "%s", entry->name);
    }
    return TESS_OK;
}

static tally count_config(const char *file, const char *path, const char *value, const char *wanted)
{
    json_t *root = NULL;
    tess_error err;
    if (tess_json_load(file, 1 << 20, &root, &err) != TESS_OK) fail_msg("%s", err.message);
    if (path) {
        json_t *object = root;
        char copy[128];
        snprintf(copy, sizeof copy, "%s", path);
        char *key = copy;
        for (char *dot; (dot = strchr(key, '.')); key = dot + 1) {
            *dot = 0;
            object = json_object_get(object, key);
        }
        assert_int_equal(json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    }
    tess_config *config = calloc(1, sizeof *config);
    assert_non_null(config);
    if (tess_config_parse(file, root, config, &err) != TESS_OK) fail_msg("%s", err.message);
    tally t = {.wanted = wanted};
    assert_int_equal(tess_manifest_visit(config, count, &t), TESS_OK);
    assert_int_equal(t.n_wrong_component, 0);
    free(config);
    json_decref(root);
    return t;
}

static void has(totals t, uint64_t n_tensor, uint64_t n_parameter)
{
    assert_int_equal(t.n_tensor, n_tensor);
    assert_int_equal(t.n_parameter, n_parameter);
}

static void test_published(void **state)
{
    (void)state;
    tally t = count_config("tests/data/published_config.json", NULL, NULL, NULL);
    has(t.component[TESS_COMPONENT_TEXT], 18867, 30532646912);
    has(t.expert[TESS_COMPONENT_TEXT], 18432, 28991029248);
    has(t.component[TESS_COMPONENT_AUDIO], 525, 647927168);
    has(t.component[TESS_COMPONENT_VISION], 351, 538631408);
    has(t.component[TESS_COMPONENT_TALKER], 7951, 3183026176);
    has(t.expert[TESS_COMPONENT_TALKER], 7680, 3019898880);
    has(t.component[TESS_COMPONENT_CODE_PREDICTOR], 86, 141570304);
    has(t.component[TESS_COMPONENT_CODE2WAV], 230, 216016577);
    has(t.component[TESS_COMPONENT_OTHER], 0, 0);
    has(t.all, 28010, 35259818545);
    assert_int_equal(2 * t.all.n_parameter, 70519637090);
}

static void test_thinker_only(void **state)
{
    (void)state;
    tally t = count_config("tests/data/published_config.json", "enable_audio_output", "false", NULL);
    has(t.all, 19743, 31719205488);
    assert_int_equal(2 * t.all.n_parameter, 63438410976);
}

static void test_published_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n_dim;
        uint64_t dim[5];
    } tensor[] = {
        {"thinker.model.embed_tokens.weight", 2, {152064, 2048}},
        {"thinker.model.layers.47.self_attn.o_proj.weight", 2, {2048, 4096}},
        {"thinker.model.layers.0.self_attn.k_norm.weight", 1, {128}},
        {"thinker.model.layers.12.mlp.experts.127.down_proj.weight", 2, {2048, 768}},
        {"thinker.audio_tower.conv2d1.weight", 4, {480, 1, 3, 3}},
        {"thinker.audio_tower.conv_out.weight", 2, {1280, 7680}},
        {"thinker.audio_tower.layers.31.self_attn.k_proj.bias", 1, {1280}},
        {"thinker.visual.patch_embed.proj.weight", 5, {1152, 3, 2, 16, 16}},
        {"thinker.visual.merger.ln_q.bias", 1, {1152}},
        {"thinker.visual.merger_list.2.ln_q.bias", 1, {4608}},
        {"thinker.visual.merger_list.2.mlp.2.weight", 2, {2048, 4608}},
        {"talker.model.layers.19.mlp.shared_expert_gate.weight", 2, {1, 1024}},
        {"talker.hidden_projection.linear_fc2.weight", 2, {1024, 2048}},
        {"talker.code_predictor.lm_head.14.weight", 2, {2048, 1024}},
        {"code2wav.code_embedding.weight", 2, {32768, 1024}},
        {"code2wav.pre_transformer.layers.7.mlp_layer_scale.scale", 1, {1024}},
        {"code2wav.upsample.1.0.conv.weight", 3, {1024, 1024, 2}},
        {"code2wav.decoder.2.block.1.conv.weight", 3, {768, 384, 10}},
        {"code2wav.decoder.4.block.4.conv2.conv.weight", 3, {96, 96, 1}},
        {"code2wav.decoder.5.beta", 1, {96}},
        {"code2wav.decoder.6.conv.weight", 3, {1, 96, 7}},
    };
    for (size_t i = 0; i < sizeof tensor / sizeof *tensor; i++) {
        tally t = count_config("tests/data/published_config.json", NULL, NULL, tensor[i].name);
        assert_string_equal(t.found_name, tensor[i].name);
        assert_int_equal(t.found.n_dim, tensor[i].n_dim);
        assert_memory_equal(t.found.dim, tensor[i].dim, (size_t)tensor[i].n_dim * sizeof(uint64_t));
    }
}

static void test_dense_layers(void **state)
{
    (void)state;
    const char *name = "thinker.model.layers.3.mlp.down_proj.weight";
    tally t =
        count_config("tests/data/config_a.json", "thinker_config.text_config.mlp_only_layers", "[3]", name);
    assert_string_equal(t.found_name, name);
    assert_int_equal(t.found.dim[0], 32);
    assert_int_equal(t.found.dim[1], 24);
    /* One router and 24 expert matrices fewer, three dense matrices more. */
    assert_int_equal(t.all.n_tensor, 593 - 25 + 3);
    t = count_config("tests/data/config_a.json", "thinker_config.text_config.num_experts", "0", NULL);
    assert_int_equal(t.all.n_tensor, 593 - 6 * 22);
    has(t.expert[TESS_COMPONENT_TEXT], 0, 0);
}

static tess_status stop_at_ten(void *arg, const tess_manifest_entry *entry)
{
    (void)entry;
    return ++*(int *)arg == 10 ? TESS_EINTERRUPTED : TESS_OK;
}

static void test_stopping(void **state)
{
    (void)state;
    json_t *root = NULL;
    assert_int_equal(tess_json_load("tests/data/config_a.json", 1 << 20, &root, NULL), TESS_OK);
    tess_config *config = calloc(1, sizeof *config);
    assert_int_equal(tess_config_parse("a", root, config, NULL), TESS_OK);
    int n = 0;
    assert_int_equal(tess_manifest_visit(config, stop_at_ten, &n), TESS_EINTERRUPTED);
    assert_int_equal(n, 10);
    free(config);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),        cmocka_unit_test(test_thinker_only),
        cmocka_unit_test(test_published_shapes), cmocka_unit_test(test_dense_layers),
        cmocka_unit_test(test_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
