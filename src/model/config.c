/* Tables say which keys there are, where they go and what is allowed; checks across keys follow them.
 *
 * Required is what the published configuration has for the components that have weights. Limits keep every
 * later product of sizes below 2^63: widths 2^18, vocabularies 2^24, 1,024 layers, 8,192 experts.
 */
#include "model/config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/whole_file.h"
#include "model/config_keys.h"
#include "model/talker_prompt.h"
#include "model/vision_grid.h"

enum {
    MAX_WIDTH = 1 << 18,
    MAX_VOCAB = 1 << 24,
    MAX_HEADS = 1 << 12,
    MAX_EXPERTS = 1 << 13,
    MAX_POSITIONS = 1 << 24, /* positions are exact in float32 up to here */
    MAX_CONFIG_BYTES = 4 << 20,
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static tess_status read_rms_eps(const tess_json_section *s, double *out, tess_error *err)
{
    return tess_config_read_real(s, "rms_norm_eps", 1e-30, 1, out, err);
}

/* --- decoders ------------------------------------------------------------------------------------------- */

#define AT(type, member) offsetof(type, member)

static tess_status check_heads(const tess_json_section *s, int n_head, int n_kv_head, int d_head,
                               tess_error *err)
{
    if (n_head % n_kv_head)
        return tess_config_refuse_int(s, "num_key_value_heads", "a divisor of num_attention_heads", n_kv_head,
                                      err);
    if (d_head % 2) return tess_config_refuse_int(s, "head_dim", "an even number", d_head, err);
    return TESS_OK;
}

/* num_experts, which newer files call num_local_experts in the talker. */
static tess_status read_experts(const tess_json_section *s, tess_decoder_config *out, tess_error *err)
{
    bool renamed =
        !json_object_get(s->object, "num_experts") && json_object_get(s->object, "num_local_experts");
    const tess_int_key keys[] = {
        {renamed ? "num_local_experts" : "num_experts", AT(tess_decoder_config, n_expert), 0, MAX_EXPERTS},
        {"num_experts_per_tok", AT(tess_decoder_config, n_expert_used), 0, MAX_EXPERTS},
    };
    tess_status status = tess_config_read_ints(s, keys, COUNT(keys), out, err);
    const tess_repeated_key other = {"num_local_experts", out->n_expert};
    if (status == TESS_OK) status = tess_config_check_repeated(s, &other, 1, err);
    if (status != TESS_OK || out->n_expert == 0) return status;
    if (out->n_expert_used < 1 || out->n_expert_used > out->n_expert)
        return tess_config_refuse_int(s, "num_experts_per_tok", "1 … num_experts", out->n_expert_used, err);
    return TESS_OK;
}

/* Layer L has experts if it is not listed as dense and (L + 1) is a multiple of the sparse step. */
/* QUIRK: every layer of the talker has experts, whatever its configuration says of dense ones. */
static tess_status read_dense_layers(const tess_json_section *s, bool is_talker, tess_decoder_config *out,
                                     tess_error *err)
{
    int dense[TESS_MAX_LAYERS], n_dense;
    int64_t step;
    tess_status status = tess_config_read_int_array(s, "mlp_only_layers", 0, TESS_MAX_LAYERS, 0,
                                                    TESS_MAX_LAYERS, dense, &n_dense, err);
    if (status == TESS_OK) status = tess_json_int(s, "decoder_sparse_step", 1, 1 << 20, &step, err);
    if (status != TESS_OK) return status;
    for (int i = 0; i < out->n_layer; i++)
        out->is_moe[i] = out->n_expert > 0 && (is_talker || (i + 1) % step == 0);
    for (int i = 0; i < n_dense && !is_talker; i++)
        if (dense[i] < out->n_layer) out->is_moe[dense[i]] = false;
    return TESS_OK;
}

/* What all decoders must say of attention. */
static tess_status check_attention(const tess_json_section *s, int n_layer, tess_error *err)
{
    static const tess_fixed_key fixed[] = {
        {"hidden_act", "\"silu\"", true},       {"attention_bias", "false", true},
        {"use_qk_norm", "true", false},         {"sliding_window", "null", false},
        {"use_sliding_window", "false", false},
    };
    static const tess_fixed_key causal = {"is_causal", "true", false};
    tess_status status = tess_config_check_section(s, err);
    if (status == TESS_OK) status = tess_config_check_fixed(s, fixed, COUNT(fixed), err);
    if (status == TESS_OK) status = tess_config_check_optional(s, &causal, 1, err);
    return status == TESS_OK ? tess_config_check_layer_types(s, n_layer, err) : status;
}

static tess_status read_decoder(const tess_json_section *s, bool is_talker, tess_decoder_config *out,
                                tess_error *err)
{
    const int least_positions = is_talker ? TESS_TALKER_START_ROWS + 1 : 1; /* the start, and a frame */
    const tess_int_key keys[] = {
        {"vocab_size", AT(tess_decoder_config, n_vocab), 1, MAX_VOCAB},
        {"hidden_size", AT(tess_decoder_config, d_model), 1, MAX_WIDTH},
        {"intermediate_size", AT(tess_decoder_config, d_ff), 1, MAX_WIDTH},
        {"num_hidden_layers", AT(tess_decoder_config, n_layer), 1, TESS_MAX_LAYERS},
        {"num_attention_heads", AT(tess_decoder_config, n_head), 1, MAX_HEADS},
        {"num_key_value_heads", AT(tess_decoder_config, n_kv_head), 1, MAX_HEADS},
        {"head_dim", AT(tess_decoder_config, d_head), 2, TESS_MAX_HEAD_WIDTH},
        {"moe_intermediate_size", AT(tess_decoder_config, d_expert), 1, MAX_WIDTH},
        {"max_position_embeddings", AT(tess_decoder_config, max_positions), least_positions, MAX_POSITIONS},
    };
    static const tess_int_key shared = {"shared_expert_intermediate_size",
                                        AT(tess_decoder_config, d_shared_expert), 1, MAX_WIDTH};
    const tess_fixed_key own[] = {
        {"model_type", is_talker ? "\"qwen3_omni_moe_talker_text\"" : "\"qwen3_omni_moe_text\"", false},
        {"tie_word_embeddings", "false", !is_talker},
        {"shared_expert_intermediate_size", "0", false}, /* the thinker has no shared expert */
    };
    tess_status status = tess_config_read_ints(s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = check_attention(s, out->n_layer, err);
    if (status == TESS_OK) status = tess_config_check_fixed(s, own, is_talker ? 2 : 3, err);
    if (status == TESS_OK && is_talker) status = tess_config_read_ints(s, &shared, 1, out, err);
    if (status == TESS_OK) status = check_heads(s, out->n_head, out->n_kv_head, out->d_head, err);
    if (status == TESS_OK) status = read_experts(s, out, err);
    if (status == TESS_OK) status = read_dense_layers(s, is_talker, out, err);
    if (status == TESS_OK) status = tess_json_bool(s, "norm_topk_prob", &out->norm_topk_prob, err);
    if (status == TESS_OK) status = read_rms_eps(s, &out->rms_norm_eps, err);
    return status == TESS_OK ? tess_config_read_rope(s, &out->rope_theta, out->mrope_section, err) : status;
}

/* --- towers --------------------------------------------------------------------------------------------- */

static tess_status read_audio(const tess_json_section *s, tess_audio_config *out, tess_error *err)
{
    static const tess_int_key keys[] = {
        {"num_mel_bins", AT(tess_audio_config, n_mel), 1, 1 << 12},
        {"d_model", AT(tess_audio_config, d_model), 4, MAX_WIDTH},
        {"encoder_layers", AT(tess_audio_config, n_layer), 1, TESS_MAX_LAYERS},
        {"encoder_attention_heads", AT(tess_audio_config, n_head), 1, MAX_HEADS},
        {"encoder_ffn_dim", AT(tess_audio_config, d_ff), 1, MAX_WIDTH},
        {"downsample_hidden_size", AT(tess_audio_config, d_downsample), 1, 1 << 14},
        {"n_window", AT(tess_audio_config, n_window), 1, 1 << 16},
        {"n_window_infer", AT(tess_audio_config, n_window_infer), 1, 1 << 24},
        {"output_dim", AT(tess_audio_config, d_output), 1, MAX_WIDTH},
        {"conv_chunksize", AT(tess_audio_config, conv_chunk), 1, 1 << 24},
    };
    static const tess_fixed_key fixed[] = {{"activation_function", "\"gelu\"", true},
                                           {"scale_embedding", "false", true}};
    tess_status status = tess_config_read_ints(s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = tess_config_check_fixed(s, fixed, COUNT(fixed), err);
    if (status == TESS_OK) status = tess_config_check_section(s, err);
    if (status != TESS_OK) return status;
    const tess_repeated_key repeated[] = {{"num_hidden_layers", out->n_layer},
                                          {"hidden_size", out->d_model},
                                          {"num_attention_heads", out->n_head},
                                          {"intermediate_size", out->d_ff}};
    if (out->d_model % out->n_head)
        return tess_config_refuse_int(s, "encoder_attention_heads", "a divisor of d_model", out->n_head, err);
    if (out->d_model % 2) return tess_config_refuse_int(s, "d_model", "an even number", out->d_model, err);
    if (out->n_window_infer < 2 * out->n_window)
        return tess_config_refuse_int(s, "n_window_infer", "at least 2 × n_window", out->n_window_infer, err);
    return tess_config_check_repeated(s, repeated, COUNT(repeated), err);
}

static tess_status check_vision(const tess_json_section *s, const tess_vision_config *v, tess_error *err)
{
    int side = tess_vision_table_side(v->n_position);
    const tess_repeated_key repeated[] = {{"num_hidden_layers", v->n_layer},
                                          {"num_attention_heads", v->n_head},
                                          {"head_dim", v->d_model / v->n_head}};
    if (v->d_model % v->n_head)
        return tess_config_refuse_int(s, "num_heads", "a divisor of hidden_size", v->n_head, err);
    if (v->d_model / v->n_head % 4)
        return tess_config_refuse_int(s, "hidden_size", "a multiple of 4 × num_heads", v->d_model, err);
    if (side * side != v->n_position)
        return tess_config_refuse_int(s, "num_position_embeddings", "a square number", v->n_position, err);
    for (int i = 0; i < v->n_deepstack; i++)
        if (v->deepstack_layer[i] >= v->n_layer || (i && v->deepstack_layer[i] <= v->deepstack_layer[i - 1]))
            return tess_config_refuse_int(s, "deepstack_visual_indexes", "rising numbers below depth",
                                          v->deepstack_layer[i], err);
    return tess_config_check_repeated(s, repeated, COUNT(repeated), err);
}

/* The rotation is by rows and columns whatever it is called. */
static tess_status check_vision_rope(const tess_json_section *s, tess_error *err)
{
    static const tess_fixed_key outside[] = {{"rope_theta", "10000.0", false},
                                             {"rope_scaling", "null", false}};
    tess_json_section inner;
    const json_t *parameters = json_object_get(s->object, "rope_parameters");
    tess_status status = tess_config_check_fixed(s, outside, COUNT(outside), err);
    if (status != TESS_OK || !parameters || json_is_null(parameters)) return status;
    status = tess_json_enter(s, "rope_parameters", &inner, err);
    if (status != TESS_OK) return status;
    const char *type = json_string_value(json_object_get(inner.object, "rope_type"));
    bool is_default = type && !strcmp(type, "default");
    const tess_fixed_key rope[] = {{"rope_theta", "10000.0", true},
                                   {"rope_type", is_default ? "\"default\"" : "\"axial\"", true}};
    return tess_config_check_fixed(&inner, rope, COUNT(rope), err);
}

static tess_status read_vision(const tess_json_section *s, tess_vision_config *out, tess_error *err)
{
    static const tess_int_key keys[] = {
        {"depth", AT(tess_vision_config, n_layer), 1, TESS_MAX_LAYERS},
        {"hidden_size", AT(tess_vision_config, d_model), 1, MAX_WIDTH},
        {"num_heads", AT(tess_vision_config, n_head), 1, MAX_HEADS},
        {"intermediate_size", AT(tess_vision_config, d_ff), 1, MAX_WIDTH},
        {"patch_size", AT(tess_vision_config, patch_size), 1, 1 << 10},
        {"temporal_patch_size", AT(tess_vision_config, temporal_patch_size), 1, 1 << 6},
        {"spatial_merge_size", AT(tess_vision_config, spatial_merge_size), 1, 1 << 4},
        {"out_hidden_size", AT(tess_vision_config, d_output), 1, MAX_WIDTH},
        {"in_channels", AT(tess_vision_config, n_channel), 1, 16}, /* pictures from files have three */
        {"num_position_embeddings", AT(tess_vision_config, n_position), 1, 1 << 24},
    };
    static const tess_fixed_key fixed[] = {{"hidden_act", "\"gelu_pytorch_tanh\"", true},
                                           {"apply_vit_abs_pos_embed", "true", false},
                                           {"is_causal", "null", false}}; /* the original takes none */
    tess_status status = tess_config_read_ints(s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = tess_config_check_fixed(s, fixed, COUNT(fixed), err);
    if (status == TESS_OK)
        status =
            tess_config_read_int_array(s, "deepstack_visual_indexes", 0, TESS_MAX_DEEPSTACK, 0,
                                       TESS_MAX_LAYERS - 1, out->deepstack_layer, &out->n_deepstack, err);
    if (status == TESS_OK) status = tess_config_check_section(s, err);
    if (status == TESS_OK) status = check_vision_rope(s, err);
    return status == TESS_OK ? check_vision(s, out, err) : status;
}

static tess_status read_thinker(const tess_json_section *root, tess_thinker_config *out, tess_error *err)
{
    static const tess_fixed_key fixed[] = {{"model_type", "\"qwen3_omni_moe_thinker\"", true},
                                           {"tie_word_embeddings", "false", false}};
    tess_json_section s, inner;
    double unused;
    tess_status status = tess_json_enter(root, "thinker_config", &s, err);
    if (status == TESS_OK) status = tess_config_check_fixed(&s, fixed, COUNT(fixed), err);
    if (status == TESS_OK) status = tess_config_check_section(&s, err);
    if (status == TESS_OK) status = tess_json_enter(&s, "text_config", &inner, err);
    if (status == TESS_OK) status = read_decoder(&inner, false, &out->text, err);
    if (status != TESS_OK) return status;
    const int most = out->text.n_vocab - 1; /* these are looked up in the embedding */
    const tess_int_key keys[] = {
        {"audio_token_id", AT(tess_thinker_config, audio_token), 0, most},
        {"image_token_id", AT(tess_thinker_config, image_token), 0, most},
        {"video_token_id", AT(tess_thinker_config, video_token), 0, most},
        {"audio_start_token_id", AT(tess_thinker_config, audio_start), 0, most},
        {"audio_end_token_id", AT(tess_thinker_config, audio_end), 0, most},
        {"vision_start_token_id", AT(tess_thinker_config, vision_start), 0, most},
        {"vision_end_token_id", AT(tess_thinker_config, vision_end), 0, most},
        {"user_token_id", AT(tess_thinker_config, user_token), 0, most},
        {"position_id_per_seconds", AT(tess_thinker_config, position_id_per_seconds), 1, 1 << 20},
    };
    status = tess_config_read_ints(&s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = tess_config_read_real(&s, "seconds_per_chunk", 0, 1e6, &unused, err);
    if (status == TESS_OK) status = tess_json_enter(&s, "audio_config", &inner, err);
    if (status == TESS_OK) status = read_audio(&inner, &out->audio, err);
    if (status == TESS_OK && out->audio.d_output != out->text.d_model)
        status = tess_config_refuse_int(&inner, "output_dim", "the text model's hidden_size",
                                        out->audio.d_output, err);
    if (status == TESS_OK) status = tess_json_enter(&s, "vision_config", &inner, err);
    if (status == TESS_OK) status = read_vision(&inner, &out->vision, err);
    if (status == TESS_OK && out->vision.d_output != out->text.d_model)
        status = tess_config_refuse_int(&inner, "out_hidden_size", "the text model's hidden_size",
                                        out->vision.d_output, err);
    return status;
}

/* --- speech --------------------------------------------------------------------------------------------- */

static tess_status read_code_predictor(const tess_json_section *talker, const tess_talker_config *outer,
                                       tess_code_predictor_config *out, tess_error *err)
{
    const tess_int_key keys[] = {
        {"vocab_size", AT(tess_code_predictor_config, text.n_vocab), 1, MAX_VOCAB},
        {"hidden_size", AT(tess_code_predictor_config, text.d_model), outer->text.d_model,
         outer->text.d_model},
        {"intermediate_size", AT(tess_code_predictor_config, text.d_ff), 1, MAX_WIDTH},
        {"num_hidden_layers", AT(tess_code_predictor_config, text.n_layer), 1, TESS_MAX_LAYERS},
        {"num_attention_heads", AT(tess_code_predictor_config, text.n_head), 1, MAX_HEADS},
        {"num_key_value_heads", AT(tess_code_predictor_config, text.n_kv_head), 1, MAX_HEADS},
        {"head_dim", AT(tess_code_predictor_config, text.d_head), 2, TESS_MAX_HEAD_WIDTH},
        {"num_code_groups", AT(tess_code_predictor_config, n_code_group), outer->n_code_group,
         outer->n_code_group},
        {"max_position_embeddings", AT(tess_code_predictor_config, text.max_positions), outer->n_code_group,
         MAX_POSITIONS},
    };
    static const tess_fixed_key tied = {"tie_word_embeddings", "false", false};
    tess_json_section s;
    tess_status status = tess_json_enter(talker, "code_predictor_config", &s, err);
    if (status == TESS_OK) status = tess_config_read_ints(&s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = check_attention(&s, out->text.n_layer, err);
    if (status == TESS_OK) status = tess_config_check_fixed(&s, &tied, 1, err);
    if (status == TESS_OK)
        status = check_heads(&s, out->text.n_head, out->text.n_kv_head, out->text.d_head, err);
    if (status == TESS_OK) status = read_rms_eps(&s, &out->text.rms_norm_eps, err);
    return status == TESS_OK ? tess_config_read_rope(&s, &out->text.rope_theta, NULL, err) : status;
}

static int compare_speakers(const void *a, const void *b)
{
    return strcmp(((const tess_speaker *)a)->name, ((const tess_speaker *)b)->name);
}

static tess_status read_speakers(const tess_json_section *talker, tess_talker_config *out, tess_error *err)
{
    tess_json_section s;
    tess_status status = tess_json_enter(talker, "speaker_id", &s, err);
    if (status != TESS_OK) return status;
    size_t n = json_object_size(s.object);
    if (n < 1 || n > TESS_MAX_SPEAKERS)
        return tess_config_refuse_int(talker, "speaker_id", "1 to 64 speakers", (int64_t)n, err);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)s.object, name, value)
    {
        tess_speaker *speaker = &out->speaker[out->n_speaker];
        int64_t token;
        if (strlen(name) >= sizeof speaker->name)
            return tess_json_refuse(talker, "speaker_id", "names shorter than 32 bytes", name, err);
        status = tess_json_int(&s, name, 0, out->text.n_vocab - 1, &token, err);
        if (status != TESS_OK) return status;
        snprintf(speaker->name, sizeof speaker->name, "%s", name);
        speaker->token = (int)token;
        out->n_speaker++;
    }
    qsort(out->speaker, (size_t)out->n_speaker, sizeof *out->speaker, compare_speakers);
    return TESS_OK;
}

static tess_status read_talker_keys(const tess_json_section *s, const tess_thinker_config *thinker,
                                    tess_talker_config *out, tess_error *err)
{
    const int code = out->text.n_vocab - 1, width = thinker->text.d_model,
              merge = thinker->vision.spatial_merge_size;
    const tess_int_key keys[] = {
        {"accept_hidden_layer", AT(tess_talker_config, accept_hidden_layer), 0, thinker->text.n_layer},
        {"num_code_groups", AT(tess_talker_config, n_code_group), 2, 1 << 10},
        {"thinker_hidden_size", AT(tess_talker_config, d_thinker), width, width},
        {"position_id_per_seconds", AT(tess_talker_config, position_id_per_seconds), 1, 1 << 20},
        {"spatial_merge_size", AT(tess_talker_config, spatial_merge_size), merge, merge},
        {"codec_pad_id", AT(tess_talker_config, codec_pad), 0, code},
        {"codec_bos_id", AT(tess_talker_config, codec_bos), 0, code},
        {"codec_eos_token_id", AT(tess_talker_config, codec_eos), 0, code},
        {"codec_nothink_id", AT(tess_talker_config, codec_nothink), 0, code},
        {"codec_think_bos_id", AT(tess_talker_config, codec_think_bos), 0, code},
        {"codec_think_eos_id", AT(tess_talker_config, codec_think_eos), 0, code},
        {"audio_token_id", AT(tess_talker_config, audio_token), 0, MAX_VOCAB},
        {"image_token_id", AT(tess_talker_config, image_token), 0, MAX_VOCAB},
        {"video_token_id", AT(tess_talker_config, video_token), 0, MAX_VOCAB},
        {"audio_start_token_id", AT(tess_talker_config, audio_start), 0, MAX_VOCAB},
        {"audio_end_token_id", AT(tess_talker_config, audio_end), 0, MAX_VOCAB},
        {"vision_start_token_id", AT(tess_talker_config, vision_start), 0, MAX_VOCAB},
        {"vision_end_token_id", AT(tess_talker_config, vision_end), 0, MAX_VOCAB},
    };
    double unused;
    tess_status status = tess_config_read_ints(s, keys, COUNT(keys), out, err);
    return status == TESS_OK ? tess_config_read_real(s, "seconds_per_chunk", 0, 1e6, &unused, err) : status;
}

static tess_status read_talker(const tess_json_section *root, const tess_thinker_config *thinker,
                               tess_talker_config *out, tess_error *err)
{
    static const tess_fixed_key tied = {"tie_word_embeddings", "false", false};
    tess_json_section s, text;
    tess_status status = tess_json_enter(root, "talker_config", &s, err);
    if (status == TESS_OK) status = tess_config_check_fixed(&s, &tied, 1, err);
    if (status == TESS_OK) status = tess_config_check_section(&s, err);
    if (status == TESS_OK) status = tess_json_enter(&s, "text_config", &text, err);
    if (status == TESS_OK) status = read_decoder(&text, true, &out->text, err);
    if (status == TESS_OK) status = read_talker_keys(&s, thinker, out, err);
    if (status == TESS_OK) status = read_speakers(&s, out, err);
    return status == TESS_OK ? read_code_predictor(&s, out, &out->code_predictor, err) : status;
}

static tess_status check_code2wav(const tess_json_section *s, const tess_code2wav_config *c, tess_error *err)
{
    if (c->d_model % c->n_head)
        return tess_config_refuse_int(s, "num_attention_heads", "a divisor of hidden_size", c->n_head, err);
    const tess_repeated_key width = {"head_dim", c->d_model / c->n_head};
    tess_status status = check_heads(s, c->n_head, c->n_kv_head, c->d_model / c->n_head, err);
    if (status == TESS_OK) status = tess_config_check_repeated(s, &width, 1, err);
    if (status == TESS_OK && c->d_decoder >> c->n_upsample_rate == 0)
        status = tess_config_refuse_int(s, "decoder_dim", "at least 2 to the number of upsample_rates",
                                        c->d_decoder, err);
    return status;
}

static tess_status read_code2wav(const tess_json_section *root, int n_code_group, tess_code2wav_config *out,
                                 tess_error *err)
{
    const tess_int_key keys[] = {
        {"codebook_size", AT(tess_code2wav_config, codebook_size), 1, MAX_VOCAB},
        {"num_quantizers", AT(tess_code2wav_config, n_quantizer), n_code_group, n_code_group},
        {"hidden_size", AT(tess_code2wav_config, d_model), 1,
         MAX_WIDTH / 4}, /* one layer is 4 times as wide */
        {"num_hidden_layers", AT(tess_code2wav_config, n_layer), 1, TESS_MAX_LAYERS},
        {"num_attention_heads", AT(tess_code2wav_config, n_head), 1, MAX_HEADS},
        {"num_key_value_heads", AT(tess_code2wav_config, n_kv_head), 1, MAX_HEADS},
        {"intermediate_size", AT(tess_code2wav_config, d_ff), 1, MAX_WIDTH},
        {"sliding_window", AT(tess_code2wav_config, sliding_window), 1, MAX_POSITIONS},
        {"max_position_embeddings", AT(tess_code2wav_config, max_positions), 1, MAX_POSITIONS},
        {"decoder_dim", AT(tess_code2wav_config, d_decoder), 1, MAX_WIDTH},
    };
    static const tess_fixed_key fixed[] = {{"hidden_act", "\"silu\"", true},
                                           {"attention_bias", "false", true}};
    /* To the original every layer has the sliding window, and a list of layers is an error. */
    static const tess_fixed_key optional[] = {{"is_causal", "true", false}, {"layer_types", "null", false}};
    tess_json_section s;
    tess_status status = tess_json_enter(root, "code2wav_config", &s, err);
    if (status == TESS_OK) status = tess_config_read_ints(&s, keys, COUNT(keys), out, err);
    if (status == TESS_OK) status = tess_config_check_fixed(&s, fixed, COUNT(fixed), err);
    if (status == TESS_OK) status = tess_config_check_optional(&s, optional, COUNT(optional), err);
    if (status == TESS_OK) status = tess_config_check_section(&s, err);
    if (status == TESS_OK)
        status = tess_config_read_int_array(&s, "upsample_rates", 1, TESS_MAX_UPSAMPLE, 1, 1 << 8,
                                            out->upsample_rate, &out->n_upsample_rate, err);
    if (status == TESS_OK)
        status = tess_config_read_int_array(&s, "upsampling_ratios", 0, TESS_MAX_UPSAMPLE, 1, 1 << 8,
                                            out->upsampling_ratio, &out->n_upsampling_ratio, err);
    if (status == TESS_OK) status = read_rms_eps(&s, &out->rms_norm_eps, err);
    if (status == TESS_OK) status = tess_config_read_rope(&s, &out->rope_theta, NULL, err);
    return status == TESS_OK ? check_code2wav(&s, out, err) : status;
}

/* --- the whole --------------------------------------------------------------------------------------------
 */

static tess_status read_root(const tess_json_section *s, tess_config *out, tess_error *err)
{
    /* The name of the dtype's key has changed over the years. */
    bool old_name = !json_object_get(s->object, "dtype") && json_object_get(s->object, "torch_dtype");
    const tess_fixed_key fixed[] = {
        {"architectures", "[\"Qwen3OmniMoeForConditionalGeneration\"]", true},
        {"model_type", "\"qwen3_omni_moe\"", true},
        {"tie_word_embeddings", "false", false},
        {old_name ? "torch_dtype" : "dtype", "\"bfloat16\"", true},
    };
    static const tess_fixed_key other_dtype = {"torch_dtype", "\"bfloat16\"", false};
    tess_status status = tess_config_check_fixed(s, fixed, COUNT(fixed), err);
    if (status == TESS_OK) status = tess_config_check_optional(s, &other_dtype, 1, err);
    if (status == TESS_OK) status = tess_config_check_section(s, err);
    if (status == TESS_OK) status = tess_json_bool(s, "enable_audio_output", &out->has_talker, err);
    if (status == TESS_OK) status = read_thinker(s, &out->thinker, err);
    if (status != TESS_OK) return status;
    const int most = out->thinker.text.n_vocab - 1;
    const tess_int_key keys[] = {
        {"im_start_token_id", AT(tess_config, im_start), 0, most},
        {"im_end_token_id", AT(tess_config, im_end), 0, most},
        {"system_token_id", AT(tess_config, system_token), 0, most},
        {"user_token_id", AT(tess_config, user_token), 0, most},
        {"assistant_token_id", AT(tess_config, assistant_token), 0, most},
        /* Only with speech: */
        {"tts_pad_token_id", AT(tess_config, tts_pad), 0, most},
        {"tts_bos_token_id", AT(tess_config, tts_bos), 0, most},
        {"tts_eos_token_id", AT(tess_config, tts_eos), 0, most},
    };
    status = tess_config_read_ints(s, keys, out->has_talker ? 8 : 5, out, err);
    if (status != TESS_OK || !out->has_talker) return status;
    status = read_talker(s, &out->thinker, &out->talker, err);
    return status == TESS_OK ? read_code2wav(s, out->talker.n_code_group, &out->code2wav, err) : status;
}

tess_status tess_config_parse(const char *file, const json_t *root, tess_config *out, tess_error *err)
{
    tess_json_section s = {.object = root, .file = file};
    tess_config *config = calloc(1, sizeof *config);
    if (!config) return tess_fail(err, TESS_ENOMEM, "%s: no memory for the configuration", file);
    tess_status status = read_root(&s, config, err);
    if (status == TESS_OK) *out = *config;
    free(config);
    return status;
}

tess_status tess_config_load(const char *dir, tess_config *out, tess_error *err)
{
    size_t n = strlen(dir) + sizeof "/config.json";
    char *path = malloc(n);
    if (!path) return tess_fail(err, TESS_ENOMEM, "%s: no memory to read its configuration", dir);
    snprintf(path, n, "%s/config.json", dir);
    json_t *root = NULL;
    tess_status status = tess_folder_check(dir, "the folder of a model", err);
    if (status == TESS_OK) status = tess_json_load(path, MAX_CONFIG_BYTES, &root, err);
    if (status == TESS_OK) status = tess_config_parse(path, root, out, err);
    json_decref(root);
    free(path);
    return status;
}

tess_status tess_config_new(const char *dir, tess_config **out, tess_error *err)
{
    tess_config *config = malloc(sizeof *config);
    if (!config) return tess_fail(err, TESS_ENOMEM, "no memory for a configuration");
    tess_status status = tess_config_load(dir, config, err);
    if (status == TESS_OK)
        *out = config;
    else
        free(config);
    return status;
}

int tess_decoder_count_expert_layers(const tess_decoder_config *config)
{
    int n = 0;
    for (int layer = 0; layer < config->n_layer; layer++) n += config->is_moe[layer];
    return n;
}

tess_status tess_config_refuse_speech(tess_error *err)
{
    return tess_refuse(err, "config.json", "enable_audio_output", -1,
                       "true, of a checkpoint with a talker, a code predictor and code2wav", "false");
}
