#include "weights.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Every sixteenth column of the stream is local. */
enum { LOCAL_STEP = 16 };
#define IS_LOCAL(i) ((i) % LOCAL_STEP == LOCAL_STEP - 1)

/* Standard deviation of embeddings; what follows is relative to it. */
static const double EMBED = 0.05;
/* Of embeddings: the common component in every column that is not local, and the size of the local ones. */
static const double COMMON = 0.35, LOCAL_EMBED = 0.125;
/* Mean squares that attention adds per layer, to local columns and to the others, and experts or an MLP to
 * all. */
static const double LOCAL_ATTENTION = 0.15, ATTENTION = 0.005, EXPERTS = 0.05;

/* What attention's mean leaves of the values' mean square, and experts (or a dense MLP) of theirs when every
 * matrix keeps size: measured. */
static const double MEAN_LEAVES = 0.06, EXPERTS_LEAVE = 0.18, MLP_LEAVES = 0.8;

/* Of a query's or key's mean square, that along s. */
static const double LOCALITY = 0.9;
/* Standard deviation of router logits. */
static const double LOGIT = 1.5;

struct weights_side {
    const tess_decoder_config *config;
    float *sign;     /* s: [d_model], 0 in local columns */
    float *place;    /* preferences within a head: [d_head] */
    int n_place;     /* of them not 0 */
    uint64_t n_sign; /* columns that are not local */
};

struct synthetic_weights {
    const tess_config *config;
    weights_options options;
    synthetic_noise noise;
    weights_side thinker, talker;
};

/* --- decoders with experts ------------------------------------------------------------------------------ */

/* Rotary pairs that turn by a radian in 16 to 128 positions make a neighbourhood; if the head has none of
 * these, the pair nearest to 32. */
static void choose_places(const synthetic_weights *w, weights_side *side)
{
    int half = side->config->d_head / 2, nearest = 0;
    double best = INFINITY;
    uint64_t key = noise_key(w->options.seed, "places");
    for (int i = 0; i < half; i++) {
        double span = pow(side->config->rope_theta, (double)i / half), away = fabs(log(span / 32));
        if (away < best) nearest = i;
        best = fmin(best, away);
        if (span < 16 || span > 128) continue;
        side->place[i] = noise_hash(key, (uint64_t)i) & 1 ? -1 : 1;
        side->n_place++;
    }
    if (side->n_place) return;
    side->place[nearest] = 1;
    side->n_place = 1;
}

static bool init_side(const synthetic_weights *w, const tess_decoder_config *config, weights_side *side)
{
    side->config = config;
    side->sign = calloc((size_t)config->d_model, sizeof *side->sign);
    side->place = calloc((size_t)config->d_head, sizeof *side->place);
    if (!side->sign || !side->place) return false;
    uint64_t key = noise_key(w->options.seed, "common");
    for (int i = 0; i < config->d_model; i++) {
        if (IS_LOCAL(i)) continue;
        side->sign[i] = noise_hash(key, (uint64_t)i) & 1 ? -1 : 1;
        side->n_sign++;
    }
    choose_places(w, side);
    return true;
}

/* Mean squares of the stream relative to EMBED² after so many attentions and experts. */
typedef struct stream {
    double own, local, all; /* own: columns that are not local, without the common component */
} stream;

static stream stream_at(const weights_side *side, int n_attention, int n_experts)
{
    stream s = {.own = 1 + n_attention * ATTENTION + n_experts * EXPERTS,
                .local = LOCAL_EMBED * LOCAL_EMBED + n_attention * LOCAL_ATTENTION + n_experts * EXPERTS};
    double share = (double)side->n_sign / side->config->d_model;
    s.all = share * (s.own + COMMON * COMMON) + (1 - share) * s.local;
    return s;
}

/* The component along s whose product with the normalised stream is 1. */
static double unit_component(const weights_side *side, const stream *s)
{
    return sqrt(s->all) / (COMMON * (double)side->n_sign);
}

/* A router's three parts; a part that nothing is left for keeps a thousandth of the variance. */
static void plan_router(const synthetic_weights *w, const weights_side *side, int layer,
                        weights_recipe *recipe)
{
    stream s = stream_at(side, layer + 1, layer);
    double skew = w->options.router_skew, repeat = fmin(fmax(w->options.router_repeat, 1e-3), 1 - 1e-3),
           n_local = fmax(side->config->d_model - (double)side->n_sign, 1);
    recipe->kind = WEIGHTS_ROWS;
    recipe->component = (float)(LOGIT * sqrt(skew) * unit_component(side, &s));
    recipe->deviation =
        (float)(LOGIT * sqrt((1 - skew) * (1 - repeat) * s.all / s.own / (double)side->n_sign));
    recipe->local_deviation = (float)(LOGIT * sqrt((1 - skew) * repeat * s.all / s.local / n_local));
}

/* Queries, keys and values. */
static void plan_projection(const weights_side *side, int layer, bool is_value, weights_recipe *recipe)
{
    const tess_decoder_config *c = side->config;
    stream s = stream_at(side, layer, layer);
    recipe->kind = WEIGHTS_ROWS;
    recipe->deviation = (float)(1 / sqrt(c->d_model));
    recipe->local_deviation = (float)(LOCAL_EMBED / sqrt(c->d_model));
    if (is_value) return;
    recipe->component =
        (float)(sqrt(LOCALITY / (1 - LOCALITY) * c->d_head / side->n_place) * unit_component(side, &s));
    recipe->prefers_places = true;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && !strcmp(text + n - n_end, end);
}

/* A tensor of layer `layer`; false: of no special rule. */
static bool plan_layer(const synthetic_weights *w, const weights_side *side, const char *name, int layer,
                       weights_recipe *recipe)
{
    double fan = 1 / sqrt((double)recipe->n_column);
    recipe->side = side;
    if (ends_with(name, ".mlp.gate.weight")) {
        plan_router(w, side, layer, recipe);
    } else if (ends_with(name, ".q_proj.weight") || ends_with(name, ".k_proj.weight")) {
        plan_projection(side, layer, false, recipe);
    } else if (ends_with(name, ".v_proj.weight")) {
        plan_projection(side, layer, true, recipe);
    } else if (ends_with(name, ".o_proj.weight")) {
        recipe->kind = WEIGHTS_OUTPUT;
        recipe->deviation = (float)(EMBED * sqrt(ATTENTION / MEAN_LEAVES) * fan);
        recipe->local_deviation = (float)(EMBED * sqrt(LOCAL_ATTENTION / MEAN_LEAVES) * fan);
    } else if (ends_with(name, ".down_proj.weight")) {
        double leaves = side->config->is_moe[layer] ? EXPERTS_LEAVE : MLP_LEAVES;
        recipe->deviation = (float)(EMBED * sqrt(EXPERTS / leaves) * fan);
    } else {
        return false;
    }
    return true;
}

static bool plan_decoder(const synthetic_weights *w, const char *name, weights_recipe *recipe)
{
    const weights_side *side = !strncmp(name, "thinker.model.", 14)  ? &w->thinker
                               : !strncmp(name, "talker.model.", 13) ? &w->talker
                                                                     : NULL;
    int layer;
    if (!side) return false;
    const char *tail = name + (side == &w->thinker ? 14 : 13);
    if (sscanf(tail, "layers.%d.", &layer) == 1) return plan_layer(w, side, name, layer, recipe);
    if (strcmp(tail, "embed_tokens.weight") && strcmp(tail, "codec_embedding.weight")) return false;
    recipe->kind = WEIGHTS_EMBEDDING;
    recipe->side = side;
    recipe->deviation = (float)EMBED;
    recipe->local_deviation = (float)(EMBED * LOCAL_EMBED);
    return true;
}

/* --- everything else ------------------------------------------------------------------------------------ */

/* The first rule that fits counts. */
typedef struct rule {
    const char *pattern;
    double mean, deviation;
    bool by_fan; /* deviation × 1/√(inputs of an output) */
} rule;

static const rule rules[] = {
    {"code2wav.code_embedding.weight", 0, 2, false},
    {"code2wav.*layer_scale.scale", 0.5, 0.1, false},
    {"code2wav.*.gamma", 0.5, 0.1, false},
    {"code2wav.decoder.*.alpha", 0, 0.2, false},
    {"code2wav.decoder.*.beta", 0, 0.2, false},
    {"code2wav.decoder.*.block.1.conv.weight", 0, 0.45, true},
    {"code2wav.decoder.*.conv1.conv.weight", 0, 0.7, true},
    {"code2wav.decoder.*.conv2.conv.weight", 0, 0.3, true},
    {"code2wav.decoder.*.bias", 0, 0.02, false},
    {"*norm.weight", 1, 0.2, false},
    {"*norm[12].weight", 1, 0.2, false},
    {"*.ln_q.weight", 1, 0.2, false},
    {"*.ln_post.weight", 1, 0.2, false},
    {"*.bias", 0, 0.05, false},
    {"*.pos_embed.weight", 0, 0.3, false},
    {"talker.code_predictor.*codec_embedding.*", 0, 0.05, false},
    {"talker.code_predictor.*.o_proj.weight", 0, 0.03, true},
    {"talker.code_predictor.*.down_proj.weight", 0, 0.03, true},
    /* Whatever enters a decoder beside embeddings has their size. */
    {"talker.*_projection.linear_fc2.weight", 0, 0.05, true},
    {"thinker.audio_tower.proj2.weight", 0, 0.05, true},
    {"thinker.visual.merger*.mlp.2.weight", 0, 0.05, true},
    {"*lm_head.*", 0, 3, true},
    {"*codec_head.*", 0, 3, true},
    {"*.shared_expert_gate.weight", 0, 2, true},
    {"*.down_proj.weight", 0, 0.6, true},
    {"*fc2.weight", 0, 0.6, true},
    {"*.o_proj.weight", 0, 0.6, true},
    {"*.out_proj.weight", 0, 0.6, true},
    {"*.attn.proj.weight", 0, 0.6, true},
    {"*conv*.weight", 0, 1.5, true},
    {"*", 0, 1.2, true},
};

/* Transposed convolutions are stored [in, out, kernel]; one product per input meets in an output where the
 * stride is the kernel (upsample), two where it is half of it. */
static double inputs_of(const tess_manifest_entry *entry)
{
    if (!fnmatch("code2wav.upsample.*.0.conv.weight", entry->name, 0)) return (double)entry->dim[0];
    if (!fnmatch("code2wav.decoder.*.block.1.conv.weight", entry->name, 0)) return 2 * (double)entry->dim[0];
    double n = 1;
    for (int i = 1; i < entry->n_dim; i++) n *= (double)entry->dim[i];
    return n;
}

static void plan_by_rule(const tess_manifest_entry *entry, weights_recipe *recipe)
{
    /* Sizes differ a little from tensor to tensor: 2^(-1/4) … 2^(1/4). */
    static const double spread[] = {0.840896, 0.917004, 1, 1.09051, 1.18921};
    const rule *r = rules;
    while (fnmatch(r->pattern, entry->name, 0)) r++;
    double deviation = r->by_fan ? r->deviation / sqrt(inputs_of(entry)) : r->deviation;
    /* The last convolution makes the waveform: loud, but seldom at the limit. */
    if (!strncmp(entry->name, "code2wav.decoder.", 17) && entry->n_dim == 3 && entry->dim[0] == 1)
        deviation = 0.08 / sqrt(inputs_of(entry));
    recipe->kind = r->mean != 0 ? WEIGHTS_AROUND : WEIGHTS_NOISE;
    recipe->mean = (float)r->mean;
    recipe->deviation = (float)(deviation * spread[noise_hash(recipe->key, 1u << 20) % 5]);
}

weights_recipe weights_plan(const synthetic_weights *w, const tess_manifest_entry *entry)
{
    weights_recipe recipe = {.kind = WEIGHTS_NOISE, .key = noise_key(w->options.seed, entry->name)};
    recipe.shape = (int)(noise_hash(recipe.key, 0) % NOISE_SHAPES);
    recipe.n_row = entry->dim[0];
    recipe.n_column = 1;
    for (int i = 1; i < entry->n_dim; i++) recipe.n_column *= entry->dim[i];
    if (!plan_decoder(w, entry->name, &recipe)) plan_by_rule(entry, &recipe);
    return recipe;
}

/* --- values --------------------------------------------------------------------------------------------- */

/* Preferences of a router's experts: evenly spaced with mean square 1, in an order of the layer's own. */
static float router_preference(const weights_recipe *recipe, uint64_t row)
{
    uint64_t key = recipe->key ^ 0x5851f42d4c957f2du, own = noise_hash(key, row), rank = 0;
    for (uint64_t i = 0; i < recipe->n_row; i++) rank += noise_hash(key, i) < own;
    return (float)(sqrt(3) * (2 * ((double)rank + 0.5) / (double)recipe->n_row - 1));
}

static float preference(const weights_recipe *recipe, uint64_t row)
{
    if (recipe->component == 0) return 0;
    if (!recipe->prefers_places) return router_preference(recipe, row);
    return recipe->side->place[row % (uint64_t)recipe->side->config->d_head];
}

/* Noise of two sizes whose component along s is replaced. */
static void make_row(const weights_recipe *recipe, uint64_t row, float *values)
{
    const float *sign = recipe->side->sign;
    double along = 0;
    for (uint64_t i = 0; i < recipe->n_column; i++) {
        values[i] *= IS_LOCAL(i) ? recipe->local_deviation : recipe->deviation;
        along += (double)(sign[i] * values[i]);
    }
    float wanted = recipe->component * preference(recipe, row);
    float change = wanted - (float)(along / (double)recipe->side->n_sign);
    for (uint64_t i = 0; i < recipe->n_column; i++) values[i] += sign[i] * change;
}

static void make_embedding(const weights_recipe *recipe, float *values)
{
    const float *sign = recipe->side->sign;
    float common = (float)(EMBED * COMMON);
    for (uint64_t i = 0; i < recipe->n_column; i++)
        values[i] =
            values[i] * (IS_LOCAL(i) ? recipe->local_deviation : recipe->deviation) + sign[i] * common;
}

/* Rows are made whole, also where a range holds only a part. */
static void fill_rows(const synthetic_weights *w, const weights_recipe *recipe, uint64_t first, uint64_t n,
                      uint16_t *out, float *values)
{
    uint64_t width = recipe->n_column, end = first + n;
    while (first < end) {
        uint64_t row = first / width, row_end = (row + 1) * width;
        noise_fill_unit(&w->noise, recipe->shape, recipe->key, row * width, width, values);
        if (recipe->kind == WEIGHTS_EMBEDDING)
            make_embedding(recipe, values);
        else
            make_row(recipe, row, values);
        for (; first < end && first < row_end; first++) *out++ = noise_to_bf16(values[first - row * width]);
    }
}

static void fill_output(const synthetic_weights *w, const weights_recipe *recipe, uint64_t first, uint64_t n,
                        uint16_t *out, noise_table *table)
{
    uint64_t width = recipe->n_column, end = first + n;
    noise_table_make(&w->noise, recipe->shape, recipe->deviation, &table[0]);
    noise_table_make(&w->noise, recipe->shape, recipe->local_deviation, &table[1]);
    while (first < end) {
        uint64_t row = first / width, stop = (row + 1) * width;
        if (stop > end) stop = end;
        noise_fill(&table[IS_LOCAL(row)], recipe->key, first, stop - first, out);
        out += stop - first;
        first = stop;
    }
}

static void fill_around(const synthetic_weights *w, const weights_recipe *recipe, uint64_t first, uint64_t n,
                        uint16_t *out)
{
    for (uint64_t i = 0; i < n; i++) {
        float unit;
        noise_fill_unit(&w->noise, recipe->shape, recipe->key, first + i, 1, &unit);
        out[i] = noise_to_bf16(recipe->mean + recipe->deviation * unit);
    }
}

void weights_fill(const synthetic_weights *w, const weights_recipe *recipe, uint64_t first, uint64_t n,
                  uint16_t *out, weights_scratch *scratch)
{
    switch (recipe->kind) {
    case WEIGHTS_NOISE:
        noise_table_make(&w->noise, recipe->shape, recipe->deviation, &scratch->table[0]);
        noise_fill(&scratch->table[0], recipe->key, first, n, out);
        break;
    case WEIGHTS_AROUND:
        fill_around(w, recipe, first, n, out);
        break;
    case WEIGHTS_EMBEDDING:
    case WEIGHTS_ROWS:
        fill_rows(w, recipe, first, n, out, scratch->row);
        break;
    case WEIGHTS_OUTPUT:
        fill_output(w, recipe, first, n, out, scratch->table);
        break;
    }
}

synthetic_weights *weights_new(const tess_config *config, const weights_options *options)
{
    synthetic_weights *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->config = config;
    w->options = *options;
    noise_init(&w->noise, options->tiny_share);
    if (init_side(w, &config->thinker.text, &w->thinker) &&
        (!config->has_talker || init_side(w, &config->talker.text, &w->talker)))
        return w;
    weights_free(w);
    return NULL;
}

void weights_free(synthetic_weights *w)
{
    if (!w) return;
    free(w->thinker.sign);
    free(w->thinker.place);
    free(w->talker.sign);
    free(w->talker.place);
    free(w);
}

uint64_t weights_row_floats(const synthetic_weights *w)
{
    int thinker = w->thinker.config->d_model, talker = w->talker.config ? w->talker.config->d_model : 0;
    return (uint64_t)(thinker > talker ? thinker : talker);
}
