#include "model/taps.h"

#include <stdio.h>

#include "base/guard.h"

/* The decoders share their lines, whoever's they are. */
static const tess_tap_line *line_of(tess_tap_kind kind)
{
    return tess_tap_table_of(TESS_PART_THINKER) + kind;
}

static int64_t width_of(const tess_tap_sink *sink, tess_tap_kind kind)
{
    switch (line_of(kind)->width) {
    case TESS_WIDTH_MODEL:
        return sink->config->d_model;
    case TESS_WIDTH_EXPERTS:
        return sink->config->n_expert;
    case TESS_WIDTH_USED:
        return sink->config->n_expert_used;
    case TESS_WIDTH_VOCAB:
        return sink->config->n_vocab;
    case TESS_WIDTH_TOKENS:
        return sink->n_tok;
    case TESS_WIDTH_NONE:
        break;
    }
    TESS_BUG("a tap that no decoder emits");
}

/* The pattern, its numbers filled in, behind what is in `name` already, `used` characters. */
static size_t append_pattern(char name[TESS_TAP_NAME], size_t used, const char *pattern, int first,
                             int second)
{
    for (; *pattern && used + 1 < TESS_TAP_NAME; pattern++) {
        if (*pattern == '%') {
            used += (size_t)snprintf(name + used, TESS_TAP_NAME - used, "%d", first);
            first = second;
        } else {
            name[used++] = *pattern;
        }
    }
    TESS_ASSERT(used < TESS_TAP_NAME);
    name[used] = 0;
    return used;
}

/* "tap.<decoder>.<pattern>" */
static void format_name(char name[TESS_TAP_NAME], const char *decoder, const char *pattern, int first,
                        int second)
{
    size_t used = (size_t)snprintf(name, TESS_TAP_NAME, "tap.%s.", decoder);
    append_pattern(name, used, pattern, first, second);
}

/* "tap.<prefix><pattern>"; returns its length. */
static size_t format_line(tess_tap_part part, int line, int first, int second, char name[TESS_TAP_NAME])
{
    size_t used = (size_t)snprintf(name, TESS_TAP_NAME, "tap.%s", tess_tap_prefix_of(part));
    return append_pattern(name, used, tess_tap_table_of(part)[line].pattern, first, second);
}

void tess_tap_format_numbers(tess_tap_part part, int line, int first, int second, char name[TESS_TAP_NAME])
{
    format_line(part, line, first, second, name);
}

void tess_tap_format_name(tess_tap_part part, int line, int number, int run, char name[TESS_TAP_NAME])
{
    size_t used = format_line(part, line, number, number, name);
    if (run > 0) snprintf(name + used, TESS_TAP_NAME - used, "#%d", run);
}

void tess_tap_describe(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int expert,
                       char name[TESS_TAP_NAME], tess_tap *out)
{
    const tess_tap_line *line = line_of(kind);
    format_name(name, sink->decoder, line->pattern, layer, expert);
    int64_t n_row = sink->n_tok;
    if (kind == TESS_TAP_POSITION_IDS) n_row = 3;
    if (kind == TESS_TAP_EXPERT) n_row = -1;
    if (line->class == TESS_CLASS_LOGITS && sink->last_logits) n_row = 1;
    bool is_choice = line->class == TESS_CLASS_ROUTER_INDICES;
    *out = (tess_tap){.name = name,
                      .is_integer = is_choice,
                      .n_dim = 2,
                      .dim = {n_row, width_of(sink, kind)},
                      .n_value = is_choice ? sink->config->n_expert : 0};
}

static bool is_of_experts(tess_tap_kind kind)
{
    return kind >= TESS_TAP_GATE_LOGITS && kind <= TESS_TAP_GATE_WEIGHTS;
}

void tess_taps_visit(const tess_tap_sink *sink, tess_tap_kind head,
                     void (*visit)(void *context, const tess_tap *tap), void *context)
{
    const tess_tap_kind before[] = {TESS_TAP_INPUTS_EMBEDS, TESS_TAP_POSITION_IDS},
                        after[] = {TESS_TAP_NORM, head};
    char name[TESS_TAP_NAME];
    tess_tap tap;
    const int n_around = head == TESS_TAP_KINDS ? 1 : 2;
    for (int i = 0; i < n_around; i++) {
        tess_tap_describe(sink, before[i], 0, 0, name, &tap);
        visit(context, &tap);
    }
    for (int layer = 0; layer < sink->config->n_layer; layer++)
        for (tess_tap_kind kind = TESS_TAP_SELF_ATTN; kind <= TESS_TAP_LAYER; kind++) {
            if (kind == TESS_TAP_EXPERT || (is_of_experts(kind) && !sink->config->is_moe[layer])) continue;
            tess_tap_describe(sink, kind, layer, 0, name, &tap);
            visit(context, &tap);
        }
    for (int i = 0; i < n_around; i++) {
        tess_tap_describe(sink, after[i], 0, 0, name, &tap);
        visit(context, &tap);
    }
}

/* A listener is its owner's code and may allocate. */
static bool listener_wants(const tess_tap_listener *listener, const tess_tap *tap)
{
    int paused = tess_guard_pause();
    bool wants = listener->wants(listener->context, tap);
    tess_guard_resume(paused);
    return wants;
}

static tess_status hear_rows(const tess_tap_listener *listener, const tess_tap_rows *rows, tess_error *err)
{
    int paused = tess_guard_pause();
    tess_status status = listener->hear(listener->context, rows, err);
    tess_guard_resume(paused);
    return status;
}

static tess_status replace_rows(const tess_tap_listener *listener, const tess_tap_rows *rows, void *values,
                                tess_error *err)
{
    int paused = tess_guard_pause();
    tess_status status = listener->replace(listener->context, rows, values, err);
    tess_guard_resume(paused);
    return status;
}

bool tess_tap_is_wanted(const tess_tap_sink *sink, tess_tap_kind kind, int layer)
{
    if (!sink->listener) return false;
    char name[TESS_TAP_NAME];
    tess_tap tap;
    tess_tap_describe(sink, kind, layer, 0, name, &tap);
    return listener_wants(sink->listener, &tap);
}

static tess_status refuse_non_finite(const tess_tap *tap, int64_t row, int64_t column, float value,
                                     tess_error *err)
{
    tess_status status =
        tess_refuse(err, "", tap->name, -1, "finite activations", "%g at row %lld, column %lld",
                    (double)value, (long long)row, (long long)column);
    if (err) err->status = TESS_ENONFINITE;
    return status == TESS_EINPUT ? TESS_ENONFINITE : status;
}

/* `values` are those of the rows, and may be replaced. */
static tess_status emit_piece(const tess_tap_listener *listener, const tess_kernels *kernels,
                              const tess_tap_rows *rows, float *values, tess_error *err)
{
    tess_status status = TESS_OK;
    /* What is replaced is told even if it is not finite: the replacement goes on, and must be. */
    bool is_replaced = listener && listener->replace && listener_wants(listener, &rows->tap);
    if (is_replaced) status = hear_rows(listener, rows, err);
    if (is_replaced && status == TESS_OK) status = replace_rows(listener, rows, values, err);
    if (status != TESS_OK) return status;
    size_t n = (size_t)rows->n_row * rows->row_width, at = kernels->find_non_finite(values, n);
    if (at < n)
        return refuse_non_finite(&rows->tap, rows->row + (int64_t)(at / rows->row_width),
                                 rows->column + (int64_t)(at % rows->row_width), values[at], err);
    if (!listener || listener->replace || !listener_wants(listener, &rows->tap)) return TESS_OK;
    return hear_rows(listener, rows, err);
}

tess_status tess_tap_emit_rows(const tess_tap_listener *listener, const tess_kernels *kernels,
                               const tess_tap *tap, int64_t row, int64_t n_row, size_t row_width,
                               float *values, tess_error *err)
{
    const tess_tap_rows rows = {
        .tap = *tap, .row = row, .n_row = n_row, .row_width = row_width, .values = values};
    return emit_piece(listener, kernels, &rows, values, err);
}

/* to[n_col, n_row] = from[n_row, n_col] the other way round. */
static void turn(float *to, const float *from, size_t n_row, size_t n_col)
{
    for (size_t row = 0; row < n_row; row++)
        for (size_t col = 0; col < n_col; col++) to[col * n_row + row] = from[row * n_col + col];
}

tess_status tess_tap_emit_columns(const tess_tap_listener *listener, const tess_kernels *kernels,
                                  const tess_tap *tap, int64_t column, int64_t n, float *values,
                                  float *scratch, size_t n_scratch, tess_error *err)
{
    size_t n_row = (size_t)tap->dim[0], n_value = (size_t)n * n_row, most = n_scratch / n_row;
    if (!listener || !listener_wants(listener, tap)) {
        size_t at = kernels->find_non_finite(values, n_value);
        if (at == n_value) return TESS_OK;
        return refuse_non_finite(tap, (int64_t)(at % n_row), column + (int64_t)(at / n_row), values[at], err);
    }
    tess_tap_rows piece = {.tap = *tap, .n_row = tap->dim[0], .column = column, .values = scratch};
    for (size_t left = (size_t)n; left > 0; left -= piece.row_width) {
        piece.row_width = left < most ? left : most;
        turn(scratch, values, piece.row_width, n_row);
        tess_status status = emit_piece(listener, kernels, &piece, scratch, err);
        if (status != TESS_OK) return status;
        if (listener->replace) turn(values, scratch, n_row, piece.row_width);
        values += piece.row_width * n_row;
        piece.column += (int64_t)piece.row_width;
    }
    return TESS_OK;
}

tess_status tess_tap_emit(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                          int64_t n_row, float *values, tess_error *err)
{
    char name[TESS_TAP_NAME];
    tess_tap tap;
    tess_tap_describe(sink, kind, layer, 0, name, &tap);
    return tess_tap_emit_rows(sink->listener, sink->kernels, &tap, row, n_row, (size_t)tap.dim[1], values,
                              err);
}

/* A router chooses experts that exist, each once: who sorts rows by expert relies on it. */
static tess_status check_choices(const tess_tap_rows *rows, const int64_t *chosen, tess_error *err)
{
    char expected[80];
    snprintf(expected, sizeof expected, "different experts of 0 to %lld", (long long)rows->tap.n_value - 1);
    for (int64_t row = 0; row < rows->n_row; row++, chosen += rows->row_width)
        for (size_t i = 0; i < rows->row_width; i++) {
            bool is_there = chosen[i] >= 0 && chosen[i] < rows->tap.n_value, is_twice = false;
            for (size_t j = 0; j < i; j++) is_twice |= chosen[j] == chosen[i];
            if (is_there && !is_twice) continue;
            return tess_refuse(err, "", rows->tap.name, -1, expected, "%lld%s at row %lld, column %zu",
                               (long long)chosen[i], is_twice ? " twice" : "",
                               (long long)rows->row + (long long)row, i);
        }
    return TESS_OK;
}

tess_status tess_tap_emit_integers(const tess_tap_sink *sink, tess_tap_kind kind, int layer, int64_t row,
                                   int64_t n_row, int64_t *integers, tess_error *err)
{
    const tess_tap_listener *listener = sink->listener;
    if (!listener) return TESS_OK;
    char name[TESS_TAP_NAME];
    tess_tap_rows rows = {.row = row, .n_row = n_row, .integers = integers};
    tess_tap_describe(sink, kind, layer, 0, name, &rows.tap);
    rows.row_width = (size_t)rows.tap.dim[1];
    if (!listener_wants(listener, &rows.tap)) return TESS_OK;
    tess_status status = hear_rows(listener, &rows, err);
    if (status == TESS_OK && listener->replace) status = replace_rows(listener, &rows, integers, err);
    if (status == TESS_OK && listener->replace) status = check_choices(&rows, integers, err);
    return status;
}

tess_status tess_tap_emit_expert(const tess_tap_sink *sink, int layer, int expert, int64_t n_row,
                                 const float *values, tess_error *err)
{
    char name[TESS_TAP_NAME];
    tess_tap_rows rows = {.row = -1, .n_row = n_row, .values = values};
    tess_tap_describe(sink, TESS_TAP_EXPERT, layer, expert, name, &rows.tap);
    rows.row_width = (size_t)rows.tap.dim[1];
    const tess_tap_listener *listener = sink->listener;
    if (!listener_wants(listener, &rows.tap)) return TESS_OK;
    return hear_rows(listener, &rows, err);
}
