/* One function per box of the network, in the order of the network. A box that knows its tensors' shapes from
 * the configuration is all there is: no shape is read from the checkpoint that is to be judged by it.
 */
#include "model/manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/audio_stem.h"
#include "store/completeness.h"

/* Collects names part by part: a prefix, and what is appended to it for one tensor. */
typedef struct lister {
    tess_manifest_visitor *visitor;
    void *arg;
    tess_status status; /* of the last visit; once it is not TESS_OK, nothing more is visited */
    tess_component component;
    int layer, expert, part; /* of the decoder's or tower's tensors that are listed; -1: of none */
    char prefix[160];
} lister;

/* Ends a list of sizes: no axis of a tensor has this size. */
#define END ((uint64_t)0)

static void set_prefix(lister *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void set_prefix(lister *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->prefix, sizeof l->prefix, format, args);
    va_end(args);
}

/* Lists the tensor <prefix><name> of the given sizes, which is this weight to a decoder or a tower (-1:
 * none). */
static void list_tensor(lister *l, int weight, const char *name, const uint64_t *dim)
{
    if (l->status != TESS_OK) return;
    char full[sizeof l->prefix + 64];
    snprintf(full, sizeof full, "%s%s", l->prefix, name);
    tess_manifest_entry entry = {
        .name = full, .component = l->component, .role = {l->layer, l->expert, l->part, weight}};
    for (; dim[entry.n_dim] != END; entry.n_dim++) entry.dim[entry.n_dim] = dim[entry.n_dim];
    l->status = l->visitor(l->arg, &entry);
}
#define LIST(l, name, ...) list_tensor(l, -1, name, (const uint64_t[]){__VA_ARGS__, END})
#define LIST_AS(l, weight, name, ...) list_tensor(l, weight, name, (const uint64_t[]){__VA_ARGS__, END})

/* <name>.weight of these sizes, which is this weight to a tower (-1: none), and <name>.bias of `n_bias`,
 * which is the next. */
static void list_with_bias(lister *l, int weight, const char *name, uint64_t n_bias, const uint64_t *dim)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    list_tensor(l, weight, full, dim);
    snprintf(full, sizeof full, "%s.bias", name);
    LIST_AS(l, weight < 0 ? -1 : weight + 1, full, n_bias);
}
#define LIST_WITH_BIAS(l, name, n_bias, ...)                                                                 \
    list_with_bias(l, -1, name, n_bias, (const uint64_t[]){__VA_ARGS__, END})
#define LIST_AS_WITH_BIAS(l, weight, name, n_bias, ...)                                                      \
    list_with_bias(l, weight, name, n_bias, (const uint64_t[]){__VA_ARGS__, END})

#define U(number) ((uint64_t)(number))

/* --- decoders ------------------------------------------------------------------------------------------- */

/* Attention of a decoder layer: no biases; norms of a head's query and key where `has_norms`. */
static void list_attention(lister *l, uint64_t d_model, uint64_t n_query, uint64_t n_key, uint64_t d_head,
                           bool has_norms)
{
    LIST_AS(l, TESS_LAYER_INPUT_NORM, "input_layernorm.weight", d_model);
    LIST_AS(l, TESS_LAYER_QUERY, "self_attn.q_proj.weight", n_query, d_model);
    LIST_AS(l, TESS_LAYER_KEY, "self_attn.k_proj.weight", n_key, d_model);
    LIST_AS(l, TESS_LAYER_VALUE, "self_attn.v_proj.weight", n_key, d_model);
    LIST_AS(l, TESS_LAYER_OUTPUT, "self_attn.o_proj.weight", d_model, n_query);
    if (has_norms) {
        LIST_AS(l, TESS_LAYER_QUERY_NORM, "self_attn.q_norm.weight", d_head);
        LIST_AS(l, TESS_LAYER_KEY_NORM, "self_attn.k_norm.weight", d_head);
    }
    LIST_AS(l, TESS_LAYER_POST_NORM, "post_attention_layernorm.weight", d_model);
}

/* A gated MLP; its matrices are named <name>gate_proj.weight and so on, and are weights gate, up and down. */
static void list_mlp(lister *l, const char *name, uint64_t d_model, uint64_t d_ff, int gate, int up, int down)
{
    char full[64];
    snprintf(full, sizeof full, "%sgate_proj.weight", name);
    LIST_AS(l, gate, full, d_ff, d_model);
    snprintf(full, sizeof full, "%sup_proj.weight", name);
    LIST_AS(l, up, full, d_ff, d_model);
    snprintf(full, sizeof full, "%sdown_proj.weight", name);
    LIST_AS(l, down, full, d_model, d_ff);
}

static void list_layer_mlp(lister *l, const char *name, uint64_t d_model, uint64_t d_ff)
{
    list_mlp(l, name, d_model, d_ff, TESS_LAYER_GATE, TESS_LAYER_UP, TESS_LAYER_DOWN);
}

static void list_moe(lister *l, const tess_decoder_config *c)
{
    char name[64];
    LIST_AS(l, TESS_LAYER_ROUTER, "mlp.gate.weight", U(c->n_expert), U(c->d_model));
    for (l->expert = 0; l->expert < c->n_expert && l->status == TESS_OK; l->expert++) {
        snprintf(name, sizeof name, "mlp.experts.%d.", l->expert);
        list_mlp(l, name, U(c->d_model), U(c->d_expert), TESS_EXPERT_GATE, TESS_EXPERT_UP, TESS_EXPERT_DOWN);
    }
    l->expert = -1;
    if (!c->d_shared_expert) return;
    list_layer_mlp(l, "mlp.shared_expert.", U(c->d_model), U(c->d_shared_expert));
    LIST_AS(l, TESS_LAYER_SHARED_GATE, "mlp.shared_expert_gate.weight", U(1), U(c->d_model));
}

/* The layers of the decoder whose tensors are named <model>.layers.N… */
static void list_decoder_layers(lister *l, const char *model, const tess_decoder_config *c)
{
    for (l->layer = 0; l->layer < c->n_layer && l->status == TESS_OK; l->layer++) {
        set_prefix(l, "%s.layers.%d.", model, l->layer);
        list_attention(l, U(c->d_model), U(c->n_head) * U(c->d_head), U(c->n_kv_head) * U(c->d_head),
                       U(c->d_head), true);
        if (c->is_moe[l->layer])
            list_moe(l, c);
        else
            list_layer_mlp(l, "mlp.", U(c->d_model), U(c->d_ff));
    }
    l->layer = -1;
}

static void list_text(lister *l, const tess_decoder_config *c)
{
    l->component = TESS_COMPONENT_TEXT;
    set_prefix(l, "thinker.");
    LIST_AS(l, TESS_TOP_EMBEDDING, "model.embed_tokens.weight", U(c->n_vocab), U(c->d_model));
    list_decoder_layers(l, "thinker.model", c);
    set_prefix(l, "thinker.");
    LIST_AS(l, TESS_TOP_NORM, "model.norm.weight", U(c->d_model));
    LIST_AS(l, TESS_TOP_HEAD, "lm_head.weight", U(c->n_vocab), U(c->d_model));
}

/* --- towers --------------------------------------------------------------------------------------------- */

static void list_audio_layers(lister *l, const tess_audio_config *c)
{
    uint64_t d = U(c->d_model), ff = U(c->d_ff);
    for (l->layer = 0; l->layer < c->n_layer && l->status == TESS_OK; l->layer++) {
        set_prefix(l, "thinker.audio_tower.layers.%d.", l->layer);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_NORM, "self_attn_layer_norm", d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_QUERY, "self_attn.q_proj", d, d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_KEY, "self_attn.k_proj", d, d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_VALUE, "self_attn.v_proj", d, d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_OUTPUT, "self_attn.out_proj", d, d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_MLP_NORM, "final_layer_norm", d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_UP, "fc1", ff, ff, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_DOWN, "fc2", d, d, ff);
    }
    l->layer = -1;
}

static void list_audio(lister *l, const tess_audio_config *c)
{
    uint64_t d = U(c->d_model), down = U(c->d_downsample), n_mel = U(tess_audio_stem_steps(c->n_mel));
    l->component = TESS_COMPONENT_AUDIO;
    l->part = TESS_AUDIO_STEM;
    set_prefix(l, "thinker.audio_tower.");
    LIST_AS_WITH_BIAS(l, TESS_AUDIO_CONV1, "conv2d1", down, down, U(1), U(3), U(3));
    LIST_AS_WITH_BIAS(l, TESS_AUDIO_CONV2, "conv2d2", down, down, down, U(3), U(3));
    LIST_AS_WITH_BIAS(l, TESS_AUDIO_CONV3, "conv2d3", down, down, down, U(3), U(3));
    LIST_AS(l, TESS_AUDIO_CONV_OUT, "conv_out.weight", d, down * n_mel);
    l->part = -1;
    list_audio_layers(l, c);
    l->part = TESS_AUDIO_HEAD;
    set_prefix(l, "thinker.audio_tower.");
    LIST_AS_WITH_BIAS(l, TESS_HEAD_NORM, "ln_post", d, d);
    LIST_AS_WITH_BIAS(l, TESS_HEAD_FIRST, "proj1", d, d, d);
    LIST_AS_WITH_BIAS(l, TESS_HEAD_SECOND, "proj2", U(c->d_output), U(c->d_output), d);
    l->part = -1;
}

/* The main merger normalises patches, the DeepStack mergers the patches they have put together. */
static void list_merger(lister *l, const tess_vision_config *c, bool is_main)
{
    uint64_t d = U(c->d_model), merged = d * U(c->spatial_merge_size) * U(c->spatial_merge_size);
    uint64_t d_norm = is_main ? d : merged;
    LIST_AS_WITH_BIAS(l, TESS_HEAD_NORM, "ln_q", d_norm, d_norm);
    LIST_AS_WITH_BIAS(l, TESS_HEAD_FIRST, "mlp.0", merged, merged, merged);
    LIST_AS_WITH_BIAS(l, TESS_HEAD_SECOND, "mlp.2", U(c->d_output), U(c->d_output), merged);
}

static void list_blocks(lister *l, const tess_vision_config *c)
{
    uint64_t d = U(c->d_model), ff = U(c->d_ff);
    for (l->layer = 0; l->layer < c->n_layer && l->status == TESS_OK; l->layer++) {
        set_prefix(l, "thinker.visual.blocks.%d.", l->layer);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_NORM, "norm1", d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_QKV, "attn.qkv", 3 * d, 3 * d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_OUTPUT, "attn.proj", d, d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_MLP_NORM, "norm2", d, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_UP, "mlp.linear_fc1", ff, ff, d);
        LIST_AS_WITH_BIAS(l, TESS_ENCODER_DOWN, "mlp.linear_fc2", d, d, ff);
    }
    l->layer = -1;
}

static void list_vision(lister *l, const tess_vision_config *c)
{
    uint64_t d = U(c->d_model), patch = U(c->patch_size);
    l->component = TESS_COMPONENT_VISION;
    l->part = TESS_VISION_STEM;
    set_prefix(l, "thinker.visual.");
    LIST_AS_WITH_BIAS(l, TESS_VISION_PATCHES, "patch_embed.proj", d, d, U(c->n_channel),
                      U(c->temporal_patch_size), patch, patch);
    LIST_AS(l, TESS_VISION_POSITIONS, "pos_embed.weight", U(c->n_position), d);
    l->part = -1;
    list_blocks(l, c);
    l->part = TESS_VISION_MERGER;
    set_prefix(l, "thinker.visual.merger.");
    list_merger(l, c, true);
    for (int i = 0; i < c->n_deepstack; i++) {
        l->part = TESS_VISION_DEEPSTACK + i;
        set_prefix(l, "thinker.visual.merger_list.%d.", i);
        list_merger(l, c, false);
    }
    l->part = -1;
}

/* --- speech --------------------------------------------------------------------------------------------- */

static void list_talker(lister *l, const tess_talker_config *c)
{
    uint64_t d = U(c->text.d_model), ff = U(c->text.d_ff);
    l->component = TESS_COMPONENT_TALKER;
    set_prefix(l, "talker.");
    LIST_AS(l, TESS_TOP_EMBEDDING, "model.codec_embedding.weight", U(c->text.n_vocab), d);
    list_decoder_layers(l, "talker.model", &c->text);
    set_prefix(l, "talker.");
    LIST_AS(l, TESS_TOP_NORM, "model.norm.weight", d);
    LIST_AS(l, TESS_TOP_HEAD, "codec_head.weight", U(c->text.n_vocab), d);
    static const char *const projection[] = {
        [TESS_PROJECTION_TEXT] = "text", [TESS_PROJECTION_HIDDEN] = "hidden"};
    for (l->part = 0; l->part < TESS_PROJECTIONS; l->part++) {
        set_prefix(l, "talker.%s_projection.", projection[l->part]);
        LIST_AS_WITH_BIAS(l, TESS_PROJECTION_FIRST, "linear_fc1", ff, ff, U(c->d_thinker));
        LIST_AS_WITH_BIAS(l, TESS_PROJECTION_SECOND, "linear_fc2", d, d, ff);
    }
    l->part = -1;
}

/* The first code comes from the talker's own head: one embedding and head fewer than code groups. */
static void list_code_predictor(lister *l, const tess_code_predictor_config *c)
{
    uint64_t d = U(c->text.d_model);
    char name[64];
    l->component = TESS_COMPONENT_CODE_PREDICTOR;
    set_prefix(l, "talker.code_predictor.");
    for (l->part = 0; l->part < c->n_code_group - 1; l->part++) {
        snprintf(name, sizeof name, "model.codec_embedding.%d.weight", l->part);
        LIST_AS(l, TESS_TOP_EMBEDDING, name, U(c->text.n_vocab), d);
    }
    l->part = -1;
    list_decoder_layers(l, "talker.code_predictor.model", &c->text);
    set_prefix(l, "talker.code_predictor.");
    LIST_AS(l, TESS_TOP_NORM, "model.norm.weight", d);
    for (l->part = 0; l->part < c->n_code_group - 1; l->part++) {
        snprintf(name, sizeof name, "lm_head.%d.weight", l->part);
        LIST_AS(l, TESS_TOP_HEAD, name, U(c->text.n_vocab), d);
    }
    l->part = -1;
}

/* alpha is this weight, beta the next. */
static void list_snake(lister *l, int weight, const char *name, uint64_t n_channel)
{
    char full[64];
    snprintf(full, sizeof full, "%salpha", name);
    LIST_AS(l, weight, full, n_channel);
    snprintf(full, sizeof full, "%sbeta", name);
    LIST_AS(l, weight + 1, full, n_channel);
}

static void list_pre_transformer(lister *l, const tess_code2wav_config *c)
{
    uint64_t d = U(c->d_model), d_head = d / U(c->n_head);
    for (l->layer = 0; l->layer < c->n_layer && l->status == TESS_OK; l->layer++) {
        set_prefix(l, "code2wav.pre_transformer.layers.%d.", l->layer);
        list_attention(l, d, d, U(c->n_kv_head) * d_head, d_head, false);
        LIST_AS(l, TESS_CODE2WAV_ATTENTION_SCALE, "self_attn_layer_scale.scale", d);
        list_layer_mlp(l, "mlp.", d, U(c->d_ff));
        LIST_AS(l, TESS_CODE2WAV_MLP_SCALE, "mlp_layer_scale.scale", d);
    }
    l->layer = -1;
    l->part = TESS_CODE2WAV_NORM;
    set_prefix(l, "code2wav.pre_transformer.");
    LIST_AS(l, 0, "norm.weight", d);
}

/* Transposed convolutions are stored [in, out, kernel]. */
static void list_upsampling(lister *l, const tess_code2wav_config *c)
{
    uint64_t d = U(c->d_model);
    for (int i = 0; i < c->n_upsampling_ratio; i++) {
        l->part = TESS_CODE2WAV_UPSAMPLE + i;
        set_prefix(l, "code2wav.upsample.%d.", i);
        LIST_AS_WITH_BIAS(l, TESS_UPSAMPLE_CONV, "0.conv", d, d, d, U(c->upsampling_ratio[i]));
        LIST_AS_WITH_BIAS(l, TESS_UPSAMPLE_DEPTHWISE, "1.dwconv.conv", d, d, U(1), U(7));
        LIST_AS_WITH_BIAS(l, TESS_UPSAMPLE_NORM, "1.norm", d, d);
        LIST_AS_WITH_BIAS(l, TESS_UPSAMPLE_FIRST, "1.pwconv1", 4 * d, 4 * d, d);
        LIST_AS_WITH_BIAS(l, TESS_UPSAMPLE_SECOND, "1.pwconv2", d, d, 4 * d);
        LIST_AS(l, TESS_UPSAMPLE_GAMMA, "1.gamma", d);
    }
}

static void list_residual_unit(lister *l, uint64_t channels)
{
    list_snake(l, TESS_SNAKE_ALPHA, "act1.", channels);
    LIST_AS_WITH_BIAS(l, TESS_SNAKE_CONV, "conv1.conv", channels, channels, channels, U(7));
    list_snake(l, TESS_SNAKE_WEIGHTS + TESS_SNAKE_ALPHA, "act2.", channels);
    LIST_AS_WITH_BIAS(l, TESS_SNAKE_WEIGHTS + TESS_SNAKE_CONV, "conv2.conv", channels, channels, channels,
                      U(1));
}

/* Block i halves the channels and multiplies the length by its rate; then three residual units. */
static void list_wave_decoder(lister *l, const tess_code2wav_config *c)
{
    uint64_t channels = U(c->d_decoder);
    char name[64];
    set_prefix(l, "code2wav.decoder.");
    l->part = tess_code2wav_part_stem(c);
    LIST_AS_WITH_BIAS(l, TESS_SNAKE_CONV, "0.conv", channels, channels, U(c->d_model), U(7));
    for (int i = 0; i < c->n_upsample_rate; i++) {
        uint64_t before = U(c->d_decoder) >> i;
        channels = U(c->d_decoder) >> (i + 1);
        l->part = tess_code2wav_part_block(c, i, -1);
        set_prefix(l, "code2wav.decoder.%d.block.", i + 1);
        list_snake(l, TESS_SNAKE_ALPHA, "0.", before);
        LIST_AS_WITH_BIAS(l, TESS_SNAKE_CONV, "1.conv", channels, before, channels,
                          2 * U(c->upsample_rate[i]));
        for (int unit = 0; unit < TESS_CODE2WAV_UNITS; unit++) {
            l->part = tess_code2wav_part_block(c, i, unit);
            set_prefix(l, "code2wav.decoder.%d.block.%d.", i + 1, unit + 2);
            list_residual_unit(l, channels);
        }
    }
    l->part = tess_code2wav_part_last(c);
    set_prefix(l, "code2wav.decoder.");
    snprintf(name, sizeof name, "%d.", c->n_upsample_rate + 1);
    list_snake(l, TESS_SNAKE_ALPHA, name, channels);
    snprintf(name, sizeof name, "%d.conv", c->n_upsample_rate + 2);
    LIST_AS_WITH_BIAS(l, TESS_SNAKE_CONV, name, U(1), U(1), channels, U(7));
    l->part = -1;
}

static void list_code2wav(lister *l, const tess_code2wav_config *c)
{
    l->component = TESS_COMPONENT_CODE2WAV;
    set_prefix(l, "code2wav.");
    LIST_AS(l, TESS_TOP_EMBEDDING, "code_embedding.weight", U(c->n_quantizer) * U(c->codebook_size),
            U(c->d_model));
    list_pre_transformer(l, c);
    list_upsampling(l, c);
    list_wave_decoder(l, c);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static void list_component(lister *l, const tess_config *config, tess_component component)
{
    switch (component) {
    case TESS_COMPONENT_TEXT:
        list_text(l, &config->thinker.text);
        break;
    case TESS_COMPONENT_AUDIO:
        list_audio(l, &config->thinker.audio);
        break;
    case TESS_COMPONENT_VISION:
        list_vision(l, &config->thinker.vision);
        break;
    case TESS_COMPONENT_TALKER:
        if (config->has_talker) list_talker(l, &config->talker);
        break;
    case TESS_COMPONENT_CODE_PREDICTOR:
        if (config->has_talker) list_code_predictor(l, &config->talker.code_predictor);
        break;
    case TESS_COMPONENT_CODE2WAV:
        if (config->has_talker) list_code2wav(l, &config->code2wav);
        break;
    case TESS_COMPONENT_OTHER:
        break;
    }
}

tess_status tess_manifest_visit_component(const tess_config *config, tess_component component,
                                          tess_manifest_visitor *visitor, void *arg)
{
    lister l = {.visitor = visitor, .arg = arg, .layer = -1, .expert = -1, .part = -1};
    list_component(&l, config, component);
    return l.status;
}

tess_status tess_manifest_visit(const tess_config *config, tess_manifest_visitor *visitor, void *arg)
{
    lister l = {.visitor = visitor, .arg = arg, .layer = -1, .expert = -1, .part = -1};
    for (tess_component c = TESS_COMPONENT_TEXT; c <= TESS_COMPONENT_CODE2WAV; c++)
        list_component(&l, config, c);
    return l.status;
}

typedef struct checker {
    tess_completeness *completeness;
    tess_error *err;
} checker;

static tess_status expect(void *arg, const tess_manifest_entry *entry)
{
    checker *c = arg;
    return tess_completeness_expect(c->completeness, entry->name, TESS_DTYPE_BF16, entry->n_dim, entry->dim,
                                    c->err);
}

tess_status tess_manifest_check(const tess_config *config, const tess_store *store,
                                const tess_problem_sink *sink, tess_error *err)
{
    checker c = {.err = err};
    tess_status status = tess_completeness_begin(store, sink, &c.completeness, err);
    if (status != TESS_OK) return status;
    status = tess_manifest_visit(config, expect, &c);
    if (status == TESS_OK) status = tess_completeness_end(c.completeness, err);
    tess_completeness_free(c.completeness);
    return status;
}
