#include "model/taps.h"

#include <stdio.h>

typedef enum width { WIDTH_MODEL, WIDTH_EXPERTS, WIDTH_USED, WIDTH_VOCAB, WIDTH_TOKENS } width;

static const struct {
    const char *name; /* %d: the layer */
    width row_width;
    bool is_integer, per_layer, moe_only;
} taps[] = {
    [TESS_TAP_INPUTS_EMBEDS] = {"tap.thinker.inputs_embeds", WIDTH_MODEL, false, false, false},
    [TESS_TAP_POSITION_IDS] = {"tap.thinker.position_ids", WIDTH_TOKENS, false, false, false},
    [TESS_TAP_SELF_ATTN] = {"tap.thinker.model.layers.%d.self_attn", WIDTH_MODEL, false, true, false},
    [TESS_TAP_GATE_LOGITS] = {"tap.thinker.model.layers.%d.mlp.gate.logits", WIDTH_EXPERTS, false, true,
                              true},
    [TESS_TAP_GATE_INDICES] = {"tap.thinker.model.layers.%d.mlp.gate.indices", WIDTH_USED, true, true, true},
    [TESS_TAP_GATE_WEIGHTS] = {"tap.thinker.model.layers.%d.mlp.gate.weights", WIDTH_USED, false, true, true},
    [TESS_TAP_MLP] = {"tap.thinker.model.layers.%d.mlp", WIDTH_MODEL, false, true, false},
    [TESS_TAP_LAYER] = {"tap.thinker.model.layers.%d", WIDTH_MODEL, false, true, false},
    [TESS_TAP_NORM] = {"tap.thinker.model.norm", WIDTH_MODEL, false, false, false},
    [TESS_TAP_LM_HEAD] = {"tap.thinker.lm_head", WIDTH_VOCAB, false, false, false},
};

static int64_t width_of(const tess_decoder_config *config, tess_tap_kind kind, int64_t n_tok)
{
    switch (taps[kind].row_width) {
    case WIDTH_MODEL:
        return config->d_model;
    case WIDTH_EXPERTS:
        return config->n_expert;
    case WIDTH_USED:
        return config->n_expert_used;
    case WIDTH_VOCAB:
        return config->n_vocab;
    case WIDTH_TOKENS:
        return n_tok;
    }
    TESS_BUG("a tap without a width");
}

/* The formats are the table's own, each with one %d or none. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void format_name(char name[TESS_TAP_NAME], tess_tap_kind kind, int layer)
{
    snprintf(name, TESS_TAP_NAME, taps[kind].name, layer);
}
#pragma GCC diagnostic pop

void tess_tap_describe(const tess_decoder_config *config, tess_tap_kind kind, int layer, int64_t n_tok,
                       bool last_logits, char name[TESS_TAP_NAME], tess_tap *out)
{
    format_name(name, kind, layer);
    int64_t n_row = kind == TESS_TAP_POSITION_IDS ? 3 : kind == TESS_TAP_LM_HEAD && last_logits ? 1 : n_tok;
    *out = (tess_tap){.name = name,
                      .is_integer = taps[kind].is_integer,
                      .n_dim = 2,
                      .dim = {n_row, width_of(config, kind, n_tok)},
                      .n_value = kind == TESS_TAP_GATE_INDICES ? config->n_expert : 0};
}

void tess_taps_visit(const tess_decoder_config *config, int64_t n_tok, bool last_logits,
                     void (*visit)(void *context, const tess_tap *tap), void *context)
{
    char name[TESS_TAP_NAME];
    tess_tap tap;
    for (tess_tap_kind kind = TESS_TAP_INPUTS_EMBEDS; kind <= TESS_TAP_POSITION_IDS; kind++) {
        tess_tap_describe(config, kind, 0, n_tok, last_logits, name, &tap);
        visit(context, &tap);
    }
    for (int layer = 0; layer < config->n_layer; layer++)
        for (tess_tap_kind kind = TESS_TAP_SELF_ATTN; kind <= TESS_TAP_LAYER; kind++) {
            if (taps[kind].moe_only && !config->is_moe[layer]) continue;
            tess_tap_describe(config, kind, layer, n_tok, last_logits, name, &tap);
            visit(context, &tap);
        }
    for (tess_tap_kind kind = TESS_TAP_NORM; kind <= TESS_TAP_LM_HEAD; kind++) {
        tess_tap_describe(config, kind, 0, n_tok, last_logits, name, &tap);
        visit(context, &tap);
    }
}

bool tess_tap_is_wanted(const tess_tap_sink *sink, tess_tap_kind kind, int layer)
{
    if (!sink->listener) return false;
    char name[TESS_TAP_NAME];
    tess_tap tap;
    tess_tap_describe(sink->config, kind, layer, sink->n_tok, sink->last_logits, name, &tap);
    return sink->listener->wants(sink->listener->context, &tap);
}

static tess_status refuse_non_finite(const tess_tap *tap, int64_t row, size_t row_width, size_t at,
                                     float value, tess_error *err)
{
    tess_status status = tess_refuse(
        err, "", tap->name, -1, "finite activations (are the weights intact? 'inspect --checksum' tells)",
        "%g at row %lld, column %zu", (double)value, (long long)row + (long long)(at / row_width),
        at % row_width);
    if (err) err->status = TESS_ENONFINITE;
    return status == TESS_EINPUT ? TESS_ENONFINITE : status;
}

tess_status tess_tap_emit(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                          int64_t n_row, float *values, tess_error *err)
{
    char name[TESS_TAP_NAME];
    tess_tap_rows rows = {.row = row, .n_row = n_row, .values = values};
    tess_tap_describe(sink->config, kind, layer, sink->n_tok, sink->last_logits, name, &rows.tap);
    rows.row_width = (size_t)rows.tap.dim[1];
    const tess_tap_listener *listener = sink->listener;
    tess_status status = TESS_OK;
    /* What is replaced is told even if it is not finite: the replacement goes on, and must be. */
    bool is_replaced = listener && listener->replace && listener->wants(listener->context, &rows.tap);
    if (is_replaced) status = listener->hear(listener->context, &rows, err);
    if (is_replaced && status == TESS_OK) status = listener->replace(listener->context, &rows, values, err);
    if (status != TESS_OK) return status;
    size_t n = (size_t)n_row * rows.row_width, at = sink->kernels->find_non_finite(values, n);
    if (at < n) return refuse_non_finite(&rows.tap, row, rows.row_width, at, values[at], err);
    if (!listener || listener->replace || !listener->wants(listener->context, &rows.tap)) return TESS_OK;
    return listener->hear(listener->context, &rows, err);
}

tess_status tess_tap_emit_integers(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                                   int64_t n_row, int64_t *integers, tess_error *err)
{
    const tess_tap_listener *listener = sink->listener;
    if (!listener) return TESS_OK;
    char name[TESS_TAP_NAME];
    tess_tap_rows rows = {.row = row, .n_row = n_row, .integers = integers};
    tess_tap_describe(sink->config, kind, layer, sink->n_tok, sink->last_logits, name, &rows.tap);
    rows.row_width = (size_t)rows.tap.dim[1];
    if (!listener->wants(listener->context, &rows.tap)) return TESS_OK;
    tess_status status = listener->hear(listener->context, &rows, err);
    if (status == TESS_OK && listener->replace)
        status = listener->replace(listener->context, &rows, integers, err);
    return status;
}

tess_status tess_tap_emit_expert(const tess_tap_sink *sink, int layer, int expert, int64_t n_row,
                                 const float *values, tess_error *err)
{
    char name[TESS_TAP_NAME];
    snprintf(name, sizeof name, "tap.thinker.model.layers.%d.mlp.experts.%d", layer, expert);
    tess_tap_rows rows = {.tap = {.name = name, .n_dim = 2, .dim = {-1, sink->config->d_model}},
                          .row = -1,
                          .n_row = n_row,
                          .row_width = (size_t)sink->config->d_model,
                          .values = values};
    const tess_tap_listener *listener = sink->listener;
    if (!listener->wants(listener->context, &rows.tap)) return TESS_OK;
    return listener->hear(listener->context, &rows, err);
}
