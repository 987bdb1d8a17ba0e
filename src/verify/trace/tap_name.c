/* The grammar is a list of tables, one per part of the model, one line per kind of tap, in model order. In a
 * pattern "%" stands for a decimal number; the decoders of thinker and talker share a table. */
#include "verify/trace/tap_name.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

#include "tessera/trace.h"

/* What the numbers of a pattern mean. */
typedef enum meaning { NOTHING, LAYER, LAYER_EXPERT, COUNTER } meaning;

/* Taps of one stage are ordered by their first number (the layer), then by line, then by their second. */
typedef struct pattern {
    const char *text;
    const char *component, *talker_component;
    tess_tap_class class;
    meaning numbers;
    int stage;
    bool rows_are_positions;
} pattern;

static const pattern decoder[] = {
    {"inputs_embeds", "embed", "talker.embed", TESS_CLASS_HIDDEN, NOTHING, 0, true},
    {"position_ids", "position_ids", "talker.position_ids", TESS_CLASS_POSITIONS, NOTHING, 1, false},
    {"model.layers.%.self_attn", "self_attn", "talker.self_attn", TESS_CLASS_HIDDEN, LAYER, 2, true},
    {"model.layers.%.mlp.gate.logits", "mlp.gate", "talker.mlp.gate", TESS_CLASS_ROUTER_LOGITS, LAYER, 2,
     true},
    {"model.layers.%.mlp.gate.indices", "mlp.gate", "talker.mlp.gate", TESS_CLASS_ROUTER_INDICES, LAYER, 2,
     true},
    {"model.layers.%.mlp.gate.weights", "mlp.gate", "talker.mlp.gate", TESS_CLASS_ROUTER_WEIGHTS, LAYER, 2,
     true},
    {"model.layers.%.mlp.experts.%", "mlp", "talker.mlp", TESS_CLASS_EXPERT, LAYER_EXPERT, 2, false},
    {"model.layers.%.mlp", "mlp", "talker.mlp", TESS_CLASS_HIDDEN, LAYER, 2, true},
    {"model.layers.%", "layer", "talker.layer", TESS_CLASS_HIDDEN, LAYER, 2, true},
    {"model.norm", "norm", "talker.norm", TESS_CLASS_HIDDEN, NOTHING, 3, true},
    {"lm_head", "lm_head", "talker.lm_head", TESS_CLASS_LOGITS, NOTHING, 4, true},
    {"codec_head", "codec_head", "talker.codec_head", TESS_CLASS_LOGITS, NOTHING, 5, true},
    {"generated", "lm_head", "talker.lm_head", TESS_CLASS_TOKENS, NOTHING, 6, false},
    {"codes", "code_predictor", "code_predictor", TESS_CLASS_CODES, NOTHING, 7, false},
    {.text = NULL},
};

static const pattern audio[] = {
    {".conv_out", "audio_tower", NULL, TESS_CLASS_HIDDEN, NOTHING, 0, false},
    {".layers.%", "audio_tower", NULL, TESS_CLASS_HIDDEN, LAYER, 1, false},
    {".ln_post", "audio_tower", NULL, TESS_CLASS_HIDDEN, NOTHING, 2, false},
    {"", "audio_tower", NULL, TESS_CLASS_HIDDEN, NOTHING, 3, false},
    {.text = NULL},
};

/* The DeepStack mergers read the blocks and feed none of them, so they may stand behind all blocks. */
static const pattern vision[] = {
    {".patch_embed", "visual", NULL, TESS_CLASS_HIDDEN, NOTHING, 0, false},
    {".blocks.%", "visual", NULL, TESS_CLASS_HIDDEN, LAYER, 1, false},
    {".merger_list.%", "visual", NULL, TESS_CLASS_HIDDEN, COUNTER, 2, false},
    {".merger", "visual", NULL, TESS_CLASS_HIDDEN, NOTHING, 3, false},
    {.text = NULL},
};

static const pattern code2wav[] = {
    {"pre_transformer", "code2wav", NULL, TESS_CLASS_HIDDEN, NOTHING, 0, false},
    {"upsample.%.%", "code2wav", NULL, TESS_CLASS_HIDDEN, COUNTER, 1, false},
    {"decoder.%", "code2wav", NULL, TESS_CLASS_HIDDEN, COUNTER, 2, false},
    {"waveform", "code2wav", NULL, TESS_CLASS_WAVEFORM, NOTHING, 3, false},
    {"waveform_chunked", "code2wav", NULL, TESS_CLASS_WAVEFORM, NOTHING, 4, false},
    {.text = NULL},
};

/* Longer prefixes before those they begin with. */
static const struct {
    const char *prefix;
    tess_tap_part part;
    const pattern *table;
} parts[] = {
    {"thinker.audio_tower", TESS_PART_AUDIO, audio}, {"thinker.visual", TESS_PART_VISION, vision},
    {"thinker.", TESS_PART_THINKER, decoder},        {"talker.", TESS_PART_TALKER, decoder},
    {"code2wav.", TESS_PART_CODE2WAV, code2wav},
};

static const struct {
    const char *name, *component;
} inputs[] = {
    {"input_ids", "tokenizer"},
    {"position_ids", "position_ids"},
    {"use_audio_in_video", "position_ids"},
    {"video_second_per_grid", "position_ids"},
    {"input_features", "audio_tower"},
    {"audio_feature_lengths", "audio_tower"},
    {"pixel_values", "visual"},
    {"image_grid_thw", "visual"},
    {"pixel_values_videos", "visual"},
    {"video_grid_thw", "visual"},
    {"codes", "code2wav"},
};

enum { MAX_NUMBER = 0xffff };

/* Reads a decimal number without leading zeros; NULL if there is none or it is too large. */
static const char *read_number(const char *at, int *out)
{
    if (*at < '0' || *at > '9' || (*at == '0' && at[1] >= '0' && at[1] <= '9')) return NULL;
    int value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
        if (value > MAX_NUMBER) return NULL;
    }
    *out = value;
    return at;
}

/* Whether the whole of `name`, up to a run suffix, fits the pattern. number: two; -1 where there is none. */
static bool matches(const char *text, const char *name, int number[2], int *run)
{
    int n = 0;
    number[0] = number[1] = -1;
    *run = 0;
    for (; *text; text++) {
        if (*text != '%') {
            if (*name++ != *text) return false;
        } else {
            name = read_number(name, &number[n++]);
            if (!name) return false;
        }
    }
    if (*name == '#') {
        name = read_number(name + 1, run);
        if (!name || *run > 0xff) return false;
    }
    return *name == 0;
}

static tess_tap_place place_input(const char *name)
{
    tess_tap_place place = {TESS_CLASS_INPUT, TESS_PART_INPUTS, "other", -1, -1, false, 0xff};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        if (!strcmp(name, inputs[i].name)) {
            place.component = inputs[i].component;
            place.order = i;
        }
    return place;
}

static tess_tap_place place_in(tess_tap_part part, size_t line, const pattern *p, const int number[2],
                               int run)
{
    tess_tap_place place = {p->class,
                            part,
                            part == TESS_PART_TALKER ? p->talker_component : p->component,
                            p->numbers == LAYER || p->numbers == LAYER_EXPERT ? number[0] : -1,
                            p->numbers == LAYER_EXPERT ? number[1] : -1,
                            p->rows_are_positions,
                            0};
    uint64_t first = number[0] < 0 ? 0 : (uint64_t)number[0],
             second = number[1] < 0 ? 0 : (uint64_t)number[1];
    place.order = (uint64_t)part << 56 | (uint64_t)run << 48 | (uint64_t)p->stage << 40 | first << 24 |
                  (uint64_t)line << 16 | second;
    return place;
}

tess_tap_place tess_tap_place_of(const char *name)
{
    if (!strncmp(name, "in.", 3)) return place_input(name + 3);
    const char *module = strncmp(name, "tap.", 4) ? name : name + 4;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t length = strlen(parts[i].prefix);
        if (strncmp(module, parts[i].prefix, length)) continue;
        for (const pattern *p = parts[i].table; p->text; p++) {
            int number[2], run;
            if (matches(p->text, module + length, number, &run))
                return place_in(parts[i].part, (size_t)(p - parts[i].table), p, number, run);
        }
    }
    return (tess_tap_place){TESS_CLASS_HIDDEN, TESS_PART_OTHER, "other", -1, -1, false, UINT64_MAX};
}

const char *tess_tap_short_name(const char *name)
{
    return strncmp(name, "tap.", 4) ? name : name + 4;
}

bool tess_tap_matches(const char *name, const char *const *globs, int n_glob)
{
    const char *module = tess_tap_short_name(name);
    for (int i = 0; i < n_glob; i++)
        if (!fnmatch(globs[i], module, 0) || !fnmatch(globs[i], name, 0)) return true;
    return n_glob == 0;
}
