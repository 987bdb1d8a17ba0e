/* Every required key removed and mistyped, every value that is not implemented, every limit: each refused by
 * its name. tests/data/config_a.json is the list of required keys; config_a_5x.json is the same model as
 * transformers 5.23.0 writes it. */
#include "model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/scratch.h"

#include "base/json.h"

static json_t *load(const char *file)
{
    json_t *root = NULL;
    tess_error err;
    if (tess_json_load(file, 1 << 20, &root, &err) != TESS_OK) fail_msg("%s", err.message);
    return root;
}

static tess_config *parse(json_t *root, tess_status *status, tess_error *err)
{
    tess_config *config = calloc(1, sizeof *config);
    assert_non_null(config);
    *status = tess_config_parse("config.json", root, config, err);
    return config;
}

static void must_accept(json_t *root, const char *what)
{
    tess_error err;
    tess_status status;
    free(parse(root, &status, &err));
    if (status != TESS_OK) fail_msg("%s: %s", what, err.message);
}

/* The refusal must name the key at the end of `path`. */
static void must_refuse(json_t *root, const char *path, const char *what)
{
    tess_error err;
    tess_status status;
    free(parse(root, &status, &err));
    if (status == TESS_OK) fail_msg("%s, %s: accepted", path, what);
    assert_int_equal(status, TESS_EINPUT);
    if (!strstr(err.field, path)) fail_msg("%s, %s: refused as %s", path, what, err.message);
    assert_string_equal(err.file, "config.json");
    assert_true(*err.found && *err.expected);
}

/* The object that holds the last key of a dotted path; sets *key. */
static json_t *holder(json_t *root, const char *path, const char **key)
{
    const char *dot;
    while ((dot = strchr(path, '.'))) {
        char part[64];
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        root = json_object_get(root, part);
        assert_non_null(root);
        path = dot + 1;
    }
    *key = path;
    return root;
}

static void put(json_t *root, const char *path, const char *value)
{
    const char *key;
    json_t *object = holder(root, path, &key);
    json_t *parsed = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(parsed);
    assert_int_equal(json_object_set_new(object, key, parsed), 0);
}

static void drop(json_t *root, const char *path)
{
    const char *key;
    json_t *object = holder(root, path, &key);
    json_object_del(object, key);
}

typedef void visitor(json_t *root, json_t *object, const char *path, const char *key);

static int for_each_key(json_t *root, json_t *object, const char *path, visitor *visit)
{
    int n = 0;
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value)
    {
        char full[256];
        snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", key);
        if (json_is_object(value)) n += for_each_key(root, value, full, visit);
        visit(root, object, full, key);
        n++;
    }
    return n;
}

static bool is_exempt(const char *path)
{
    return strstr(path, "layer_scale_initial_scale") || strstr(path, "max_source_positions") ||
           !strcmp(path, "thinker_config.audio_config.num_hidden_layers") || strstr(path, "speaker_id.");
}

static void remove_one(json_t *root, json_t *object, const char *path, const char *key)
{
    json_t *copy = json_deep_copy(root);
    drop(copy, path);
    if (is_exempt(path))
        must_accept(copy, path);
    else
        must_refuse(copy, path, "removed");
    json_decref(copy);
    (void)object;
    (void)key;
}

/* Another type, or a text or integer that is out of place: all texts and integers of the file are judged. */
static bool is_wrong_for(const json_t *wrong, const json_t *right, const char *path)
{
    if (strstr(path, "seconds_per_chunk") && json_is_number(wrong)) return json_number_value(wrong) < 0;
    if (json_is_boolean(wrong) && json_is_boolean(right)) return false;
    if (json_is_real(right) && json_is_number(wrong)) return json_number_value(wrong) < 0;
    return json_typeof(wrong) != json_typeof(right) || json_is_string(wrong) || json_is_integer(wrong) ||
           json_is_object(wrong);
}

static void mistype_one(json_t *root, json_t *object, const char *path, const char *key)
{
    static const char *const values[] = {"\"text\"", "-7", "0.5", "1e300", "true",
                                         "null",     "[]", "{}",  "[[1]]"};
    const json_t *right = json_object_get(object, key);
    if (is_exempt(path) && !strstr(path, "speaker_id.")) return;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_t *wrong = json_loads(values[i], JSON_DECODE_ANY, NULL);
        assert_non_null(wrong);
        if (is_wrong_for(wrong, right, path)) {
            json_t *copy = json_deep_copy(root);
            put(copy, path, values[i]);
            must_refuse(copy, path, values[i]);
            json_decref(copy);
        }
        json_decref(wrong);
    }
}

static void test_each_required_key_removed(void **state)
{
    (void)state;
    json_t *root = load("tests/data/config_a.json");
    int n = for_each_key(root, root, "", remove_one);
    assert_true(n > 140);
    json_decref(root);
}

static void test_each_required_key_mistyped(void **state)
{
    (void)state;
    json_t *root = load("tests/data/config_a.json");
    int n = for_each_key(root, root, "", mistype_one);
    assert_true(n > 140);
    json_decref(root);
}

static void test_both_spellings(void **state)
{
    (void)state;
    static const char *const file[] = {"tests/data/config_a.json", "tests/data/config_a_5x.json"};
    tess_config *config[2];
    for (int i = 0; i < 2; i++) {
        json_t *root = load(file[i]);
        tess_status status;
        tess_error err;
        config[i] = parse(root, &status, &err);
        if (status != TESS_OK) fail_msg("%s: %s", file[i], err.message);
        json_decref(root);
    }
    const tess_config *c = config[0];
    assert_memory_equal(config[0], config[1], sizeof *c);
    assert_true(c->has_talker);
    assert_int_equal(c->im_start, 967);
    assert_int_equal(c->tts_eos, 971);
    assert_int_equal(c->assistant_token, 974);
    assert_int_equal(c->thinker.text.n_vocab, 1024);
    assert_int_equal(c->thinker.text.d_model, 32);
    assert_int_equal(c->thinker.text.d_ff, 24);
    assert_int_equal(c->thinker.text.n_layer, 6);
    assert_int_equal(c->thinker.text.n_head, 4);
    assert_int_equal(c->thinker.text.n_kv_head, 2);
    assert_int_equal(c->thinker.text.d_head, 8);
    assert_int_equal(c->thinker.text.n_expert, 8);
    assert_int_equal(c->thinker.text.n_expert_used, 2);
    assert_int_equal(c->thinker.text.d_shared_expert, 0);
    assert_true(c->thinker.text.norm_topk_prob && c->thinker.text.is_moe[0] && c->thinker.text.is_moe[5]);
    assert_false(c->thinker.text.is_moe[6]);
    assert_true(c->thinker.text.rope_theta == 1e6 && c->thinker.text.rms_norm_eps == 1e-6);
    assert_int_equal(c->thinker.text.mrope_section[0], 2);
    assert_int_equal(c->thinker.audio.d_downsample, 16);
    assert_int_equal(c->thinker.audio.n_window_infer, 800);
    assert_int_equal(c->thinker.vision.n_deepstack, 2);
    assert_int_equal(c->thinker.vision.deepstack_layer[1], 1);
    assert_int_equal(c->talker.text.d_shared_expert, 24);
    assert_int_equal(c->talker.n_speaker, 3);
    assert_string_equal(c->talker.speaker[2].name, "ethan");
    assert_int_equal(c->talker.speaker[2].token, 2302);
    assert_int_equal(c->talker.code_predictor.n_code_group, 16);
    assert_true(c->code2wav.rope_theta == 1e4 && c->code2wav.rms_norm_eps == 1e-5);
    assert_int_equal(c->code2wav.upsample_rate[3], 3);
    assert_int_equal(c->code2wav.n_upsampling_ratio, 2);
    free(config[0]);
    free(config[1]);
}

static void test_thinker_only(void **state)
{
    (void)state;
    json_t *root = load("tests/data/config_a.json");
    put(root, "enable_audio_output", "false");
    must_accept(root, "speech present but off");
    drop(root, "talker_config");
    drop(root, "code2wav_config");
    drop(root, "tts_pad_token_id");
    must_accept(root, "no speech");
    put(root, "enable_audio_output", "true");
    must_refuse(root, "tts_pad_token_id", "speech on and absent");
    json_decref(root);
}

typedef struct change {
    const char *path, *value;
} change;

static void test_values_not_implemented(void **state)
{
    (void)state;
    static const change changes[] = {
        {"architectures", "[\"Qwen2ForCausalLM\"]"},
        {"model_type", "\"qwen2\""},
        {"dtype", "\"float32\""},
        {"thinker_config.model_type", "\"qwen3_vl\""},
        {"tie_word_embeddings", "true"},
        {"thinker_config.tie_word_embeddings", "true"},
        {"thinker_config.text_config.model_type", "\"llama\""},
        {"talker_config.text_config.model_type", "\"llama\""},
        {"talker_config.text_config.max_position_embeddings", "9"}, /* no room for a frame */
        {"thinker_config.text_config.hidden_act", "\"gelu\""},
        {"thinker_config.text_config.attention_bias", "true"},
        {"thinker_config.text_config.tie_word_embeddings", "true"},
        {"thinker_config.text_config.use_qk_norm", "false"},
        {"thinker_config.text_config.sliding_window", "4096"},
        {"thinker_config.text_config.use_sliding_window", "true"},
        {"thinker_config.text_config.shared_expert_intermediate_size", "16"},
        {"thinker_config.text_config.rope_scaling.rope_type", "\"yarn\""},
        {"thinker_config.text_config.rope_scaling.interleaved", "false"},
        {"thinker_config.text_config.rope_scaling.mrope_interleaved", "false"},
        {"thinker_config.text_config.rope_scaling.partial_rotary_factor", "0.5"},
        {"thinker_config.text_config.rope_scaling.rope_theta", "5000"},
        {"thinker_config.audio_config.activation_function", "\"relu\""},
        {"thinker_config.audio_config.scale_embedding", "true"},
        {"thinker_config.audio_config.num_hidden_layers", "3"},
        {"thinker_config.vision_config.hidden_act", "\"quick_gelu\""},
        {"thinker_config.vision_config.apply_vit_abs_pos_embed", "false"},
        {"talker_config.text_config.tie_word_embeddings", "true"},
        {"talker_config.text_config.use_qk_norm", "false"},
        {"talker_config.code_predictor_config.sliding_window", "64"},
        {"talker_config.code_predictor_config.attention_bias", "true"},
        {"talker_config.code_predictor_config.rope_scaling", "{\"rope_type\": \"linear\"}"},
        {"thinker_config.text_config.partial_rotary_factor", "0.5"},
        {"quantization_config", "{\"quant_method\": \"fp8\"}"},
        {"thinker_config.quantization_config", "{}"},
        {"talker_config.tie_word_embeddings", "true"},
        {"talker_config.code_predictor_config.layer_types", "[\"full_attention\", \"sliding_attention\"]"},
        {"torch_dtype", "\"float16\""},
        {"thinker_config.text_config.num_local_experts", "4"},
        {"talker_config.text_config.num_local_experts", "5"},
        {"thinker_config.audio_config.hidden_size", "16"},
        {"thinker_config.audio_config.num_attention_heads", "2"},
        {"thinker_config.audio_config.intermediate_size", "16"},
        {"thinker_config.vision_config.num_attention_heads", "2"},
        {"thinker_config.vision_config.num_hidden_layers", "1"},
        {"thinker_config.vision_config.head_dim", "4"},
        {"thinker_config.vision_config.in_channels", "99"},
        {"thinker_config.vision_config.is_causal", "false"},
        {"thinker_config.vision_config.rope_theta", "500.0"},
        {"thinker_config.vision_config.rope_scaling", "{\"rope_theta\": 500.0, \"rope_type\": \"axial\"}"},
        {"thinker_config.vision_config.rope_parameters", "[]"},
        {"code2wav_config.is_causal", "false"},
        {"code2wav_config.layer_types", "[\"full_attention\", \"full_attention\"]"},
        {"code2wav_config.hidden_act", "\"gelu\""},
        {"code2wav_config.attention_bias", "true"},
        {"code2wav_config.head_dim", "16"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        json_t *root = load("tests/data/config_a.json");
        put(root, changes[i].path, changes[i].value);
        const char *named = changes[i].path;
        if (strstr(named, "rope_scaling.rope_theta")) named = "rope_theta";
        if (strstr(named, "code_predictor_config.rope_scaling")) named = "rope_scaling.rope_type";
        must_refuse(root, named, changes[i].value);
        json_decref(root);
    }
}

/* What the original looks at in every section, and what it looks at in those with layers of one kind. The
 * values are those with which transformers 5.23.0 computes something else, or nothing. */
static void test_every_section(void **state)
{
    (void)state;
    static const char *const sections[] = {"thinker_config.text_config.",
                                           "talker_config.text_config.",
                                           "talker_config.code_predictor_config.",
                                           "thinker_config.audio_config.",
                                           "thinker_config.vision_config.",
                                           "code2wav_config.",
                                           "thinker_config.",
                                           "talker_config.",
                                           ""};
    static const change everywhere[] = {
        {"quantization_config", "{\"quant_method\": \"fp8\"}"},
        {"quantization_config", "{}"},
        {"per_layer_config", "{\"1\": {\"num_experts_per_tok\": 1}}"},
        {"attention_chunk_size", "8"},
        {"kv_sharing_modes", "[\"reuse\"]"},
        {"fusion_config", "{\"a\": 1}"},
        {"transformers_weights", "\"other.safetensors\""},
        {"tie_last_hidden_states", "false"},
        {"is_encoder_decoder", "true"},
    };
    static const change decoders[] = {
        {"is_causal", "false"},
        {"layer_types", "[]"},
        {"layer_types", "\"full_attention\""},
        {"layer_types", "[\"full_attention\"]"},
        {"layer_types", "[\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\", "
                        "\"full_attention\", \"full_attention\", \"full_attention\"]"},
        {"layer_types", "[\"full_attention\", \"sliding_attention\"]"},
        {"layer_types", "[\"chunked_attention\", \"full_attention\", \"full_attention\", "
                        "\"full_attention\", \"full_attention\", \"full_attention\"]"},
        {"layer_types", "[null, null]"},
    };
    enum { N_EVERYWHERE = sizeof everywhere / sizeof *everywhere, N_ALL = N_EVERYWHERE + 8 };
    assert_int_equal(sizeof decoders / sizeof *decoders, N_ALL - N_EVERYWHERE);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        for (int k = 0; k < (i < 3 ? N_ALL : N_EVERYWHERE); k++) {
            const change *c = k < N_EVERYWHERE ? &everywhere[k] : &decoders[k - N_EVERYWHERE];
            char path[128];
            snprintf(path, sizeof path, "%s%s", sections[i], c->path);
            json_t *root = load("tests/data/config_a.json");
            put(root, path, "null");
            must_accept(root, path);
            put(root, path, c->value);
            must_refuse(root, path, c->value);
            json_decref(root);
        }
    }
}

/* Keys whose value changes nothing in the original as it answers: accepted, whatever they say. */
static void test_every_section_ignores(void **state)
{
    (void)state;
    static const char *const sections[] = {
        "thinker_config.text_config",  "talker_config.text_config",    "talker_config.code_predictor_config",
        "thinker_config.audio_config", "thinker_config.vision_config", "code2wav_config"};
    static const change changes[] = {
        {"attention_dropout", "0.9"}, {"dropout", "0.9"},         {"activation_dropout", "0.9"},
        {"encoder_layerdrop", "1.0"}, {"use_cache", "false"},     {"output_router_logits", "true"},
        {"pad_token_id", "5"},        {"eos_token_id", "[1, 2]"}, {"do_sample", "true"},
        {"temperature", "50.0"},      {"dtype", "\"float16\""},   {"initializer_range", "3.0"},
    };
    json_t *root = load("tests/data/config_a.json");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
            char path[128];
            snprintf(path, sizeof path, "%s.%s", sections[i], changes[k].path);
            put(root, path, changes[k].value);
            must_accept(root, path);
        }
    }
    json_decref(root);
}

/* A folder that transformers 5 saved and whose owner then followed an instruction written for version 4 has
 * both spellings; the original takes rope_scaling. */
static void test_two_ropes(void **state)
{
    (void)state;
    static const struct {
        const char *scaling, *theta, *field, *found, *expected; /* field NULL: accepted */
    } cases[] = {
        {"{\"rope_type\":\"yarn\",\"factor\":4.0,\"mrope_section\":[2,1,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true}",
         NULL, "rope_scaling.rope_type", "\"yarn\"", "\"default\""},
        {"{\"type\":\"linear\"}", NULL, "rope_scaling.type", "\"linear\"", "\"default\""},
        {"{\"rope_type\":\"default\",\"mrope_section\":[1,2,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true,\"rope_theta\":1e6}",
         NULL, "rope_scaling.mrope_section", "[1,2,1]", "[2,1,1], as in rope_parameters"},
        {"{\"type\":\"default\",\"mrope_section\":[2,1,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true,\"rope_theta\":5000}",
         NULL, "rope_scaling.rope_theta", "5000", "1000000, as in rope_parameters"},
        {"{\"rope_type\":\"default\",\"mrope_section\":[2,1,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true}",
         "5000", "rope_theta", "5000", "1000000, as in rope_parameters"},
        {"{\"rope_type\":\"default\",\"mrope_section\":[2,1,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true}",
         NULL, "rope_theta", "nothing", "a number"},
        {"{\"type\":\"default\",\"mrope_section\":[2,1,1],\"interleaved\":true,"
         "\"mrope_interleaved\":true}",
         "1e6", NULL, NULL, NULL},
        {"{}", NULL, NULL, NULL, NULL},
        {"null", NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = load("tests/data/config_a_5x.json");
        put(root, "thinker_config.text_config.rope_parameters.rope_theta", "1000000");
        put(root, "thinker_config.text_config.rope_scaling", cases[i].scaling);
        if (cases[i].theta) put(root, "thinker_config.text_config.rope_theta", cases[i].theta);
        tess_error err;
        tess_status status;
        free(parse(root, &status, &err));
        json_decref(root);
        if (!cases[i].field) {
            if (status != TESS_OK) fail_msg("%s: %s", cases[i].scaling, err.message);
            continue;
        }
        assert_int_equal(status, TESS_EINPUT);
        assert_non_null(strstr(err.field, cases[i].field));
        assert_string_equal(err.found, cases[i].found);
        assert_string_equal(err.expected, cases[i].expected);
    }
    tess_error err;
    tess_status status;
    json_t *root = load("tests/data/config_a.json");
    put(root, "thinker_config.text_config.rope_scaling.rope_theta", "5000");
    free(parse(root, &status, &err));
    json_decref(root);
    assert_string_equal(err.found, "1000000.0");
    assert_string_equal(err.expected, "5000, as in rope_scaling");
}

static void test_limits(void **state)
{
    (void)state;
    static const change changes[] = {
        {"thinker_config.text_config.head_dim", "7"},
        {"thinker_config.text_config.num_key_value_heads", "3"},
        {"thinker_config.text_config.num_experts_per_tok", "9"},
        {"thinker_config.text_config.num_experts_per_tok", "0"},
        {"thinker_config.text_config.vocab_size", "0"},
        {"thinker_config.text_config.vocab_size", "9223372036854775807"},
        {"thinker_config.text_config.hidden_size", "1073741824"},
        {"thinker_config.text_config.num_hidden_layers", "1025"},
        {"thinker_config.text_config.decoder_sparse_step", "0"},
        {"thinker_config.text_config.rms_norm_eps", "0"},
        {"thinker_config.text_config.rope_theta", "0.5"},
        {"thinker_config.text_config.rope_scaling.mrope_section", "[2, 2]"},
        {"thinker_config.text_config.rope_scaling.mrope_section", "[2, 1, -1]"},
        {"thinker_config.text_config.mlp_only_layers", "[\"0\"]"},
        {"thinker_config.audio_token_id", "1024"},
        {"thinker_config.audio_config.encoder_attention_heads", "5"},
        {"thinker_config.audio_config.n_window_infer", "99"},
        {"thinker_config.audio_config.output_dim", "33"},
        {"thinker_config.vision_config.num_heads", "5"},
        {"thinker_config.vision_config.hidden_size", "24"},
        {"thinker_config.vision_config.out_hidden_size", "64"},
        {"thinker_config.vision_config.num_position_embeddings", "2305"},
        {"thinker_config.vision_config.deepstack_visual_indexes", "[0, 3]"},
        {"thinker_config.vision_config.deepstack_visual_indexes", "[1, 0]"},
        {"im_start_token_id", "-1"},
        {"tts_pad_token_id", "1024"},
        {"talker_config.accept_hidden_layer", "7"},
        {"talker_config.thinker_hidden_size", "64"},
        {"talker_config.spatial_merge_size", "3"},
        {"talker_config.codec_eos_token_id", "3072"},
        {"talker_config.speaker_id", "{}"},
        {"talker_config.speaker_id.ethan", "3072"},
        {"talker_config.code_predictor_config.hidden_size", "64"},
        {"talker_config.code_predictor_config.num_code_groups", "8"},
        {"code2wav_config.num_quantizers", "8"},
        {"code2wav_config.num_attention_heads", "3"},
        {"code2wav_config.decoder_dim", "15"},
        {"code2wav_config.upsample_rates", "[8, 0]"},
        {"code2wav_config.upsample_rates", "[1,1,1,1,1,1,1,1,1]"},
        {"code2wav_config.sliding_window", "0"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        json_t *root = load("tests/data/config_a.json");
        put(root, changes[i].path, changes[i].value);
        must_refuse(root, changes[i].path, changes[i].value);
        json_decref(root);
    }
}

static void test_legal_variants(void **state)
{
    (void)state;
    static const change changes[] = {
        {"unknown_key", "[1, {\"deep\": null}]"},
        {"thinker_config.text_config.head_dim", "10"}, /* heads × width ≠ hidden size */
        {"thinker_config.text_config.intermediate_size", "37"},
        {"thinker_config.text_config.rope_theta", "1000000"},
        {"thinker_config.text_config.use_qk_norm", "true"},
        {"thinker_config.text_config.sliding_window", "null"},
        {"thinker_config.text_config.shared_expert_intermediate_size", "0"},
        {"thinker_config.text_config.mlp_only_layers", "[0, 3, 99]"},
        {"thinker_config.text_config.decoder_sparse_step", "2"},
        {"thinker_config.text_config.num_experts", "0"},
        {"thinker_config.text_config.rope_scaling.mrope_section", "[24, 20, 20]"},
        {"thinker_config.vision_config.deepstack_visual_indexes", "[]"},
        {"talker_config.code_predictor_config.rope_scaling", "null"},
        {"talker_config.text_config.num_local_experts", "6"},
        {"thinker_config.text_config.layer_types",
         "[\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\", "
         "\"full_attention\", \"full_attention\"]"},
        {"thinker_config.vision_config.rope_theta", "10000"},
        {"thinker_config.vision_config.rope_parameters",
         "{\"rope_type\": \"default\", \"rope_theta\": 10000}"},
        {"thinker_config.vision_config.rope_parameters", "null"},
        {"torch_dtype", "\"bfloat16\""}, /* beside dtype */
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        json_t *root = load("tests/data/config_a.json");
        put(root, changes[i].path, changes[i].value);
        must_accept(root, changes[i].path);
        json_decref(root);
    }
    json_t *root = load("tests/data/config_a.json");
    put(root, "thinker_config.text_config.mlp_only_layers", "[1, 99]");
    put(root, "thinker_config.text_config.decoder_sparse_step", "2");
    tess_status status;
    tess_error err;
    tess_config *config = parse(root, &status, &err);
    assert_int_equal(status, TESS_OK);
    static const bool is_moe[6] = {false, false, false, true, false, true};
    assert_memory_equal(config->thinker.text.is_moe, is_moe, sizeof is_moe);
    free(config);
    json_decref(root);
    root =
        load("tests/data/config_a.json"); /* the original's talker has experts in every layer all the same */
    put(root, "talker_config.text_config.mlp_only_layers", "[0, 1]");
    put(root, "talker_config.text_config.decoder_sparse_step", "2");
    config = parse(root, &status, &err);
    assert_int_equal(status, TESS_OK);
    for (int i = 0; i < config->talker.text.n_layer; i++) assert_true(config->talker.text.is_moe[i]);
    free(config);
    json_decref(root);
    root = load("tests/data/config_a.json");
    put(root, "torch_dtype", "\"bfloat16\"");
    drop(root, "dtype");
    must_accept(root, "torch_dtype");
    json_decref(root);
}

static void test_files(void **state)
{
    (void)state;
    tess_config *config = calloc(1, sizeof *config);
    tess_error err;
    assert_int_equal(tess_config_load("/nonexistent", config, &err), TESS_EINPUT);
    assert_string_equal(err.file, "/nonexistent");
    char folder[SCRATCH_BYTES], path[64];
    assert_int_equal(scratch_make_folder(folder, SCRATCH_ANYWHERE), 0);
    snprintf(path, sizeof path, "%s/config.json", folder);
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"a\": 1, \"a\": 2}",
                                      "{\"a\": 99999999999999999999}",
                                      "{\"a\": 1e999}",
                                      "{\"a\": \"\\ud800\"}",
                                      "\xff\xfe{}",
                                      "{} x"};
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        if (i < sizeof bad / sizeof *bad)
            fputs(bad[i], f);
        else
            for (int k = 0; k < 100000; k++) fputs("{\"a\":", f); /* deeper than any stack */
        fclose(f);
        assert_int_equal(tess_config_load(folder, config, &err), TESS_EINPUT);
        assert_string_equal(err.file, path);
    }
    assert_non_null(strstr(err.expected, "64 levels"));
    FILE *f = fopen(path, "w");
    fputs("{\"a_name_longer_than_twenty_bytes\": 1, \"b\": 2, \"a_name_longer_than_twenty_bytes\": 3}", f);
    fclose(f);
    assert_int_equal(tess_config_load(folder, config, &err), TESS_EINPUT);
    assert_string_equal(err.field, "a_name_longer_than_twenty_bytes");
    remove(path);
    remove(folder);
    assert_int_equal(config->thinker.text.n_layer, 0); /* untouched by failures */
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_required_key_removed),
        cmocka_unit_test(test_each_required_key_mistyped),
        cmocka_unit_test(test_both_spellings),
        cmocka_unit_test(test_thinker_only),
        cmocka_unit_test(test_values_not_implemented),
        cmocka_unit_test(test_every_section),
        cmocka_unit_test(test_every_section_ignores),
        cmocka_unit_test(test_two_ropes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_legal_variants),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
