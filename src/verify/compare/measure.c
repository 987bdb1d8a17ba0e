/* Takes pieces of a tap and keeps sums of them.
 *
 * Every row is judged by itself as well, by the tap's own rule: if all rows hold a relative bar the whole
 * does, so a tap that fails has a first row that fails, and that row's number is the position of the
 * divergence.
 */
#include "verify/compare/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/expert_rows.h"
#include "verify/compare/mel_bars.h"
#include "verify/compare/router.h"
#include "verify/compare/sound_place.h"

/* How much of its bar a row uses up; infinite for a difference where there must be none. */
static double row_share(const tess_tap_state *s)
{
    const tess_sums *row = &s->row;
    double tolerance = s->rule.tolerance, unequal = row->n_different ? INFINITY : 0;
    if (row->n_nonfinite || row->n_nonfinite_reference) return INFINITY;
    switch (s->rule.measure) {
    case TESS_MEASURE_REL_L2:
        return row->reference2 == 0 ? unequal : sqrt(row->error2 / row->reference2) / tolerance;
    case TESS_MEASURE_MAX_ABS:
        return row->max_abs / tolerance;
    case TESS_MEASURE_RATIO:
        if (s->reference_truth_row.error2 == 0) return s->truth_row.error2 > 0 ? INFINITY : 0;
        if (s->truth_row.error2 == 0) return INFINITY;
        double ratio = sqrt(s->truth_row.error2 / s->reference_truth_row.error2);
        return fmax(ratio, 1 / ratio) / tolerance;
    case TESS_MEASURE_EXACT:
        return unequal;
    case TESS_MEASURE_STEPS:
        return tess_sums_bf16_steps(row) / tolerance;
    case TESS_MEASURE_BY_ELEMENT:
        return row->max_share / tolerance;
    case TESS_MEASURE_NONE:
        break;
    }
    return 0;
}

/* The output of experts and the router's choice are traced back to experts, and what a tower puts out to
 * places of a medium, so there rows are remembered. */
static bool remembers_rows(const tess_tap_state *s)
{
    return s->place.class == TESS_CLASS_ROUTER_INDICES || tess_tap_state_is_tower(s) ||
           (s->place.class == TESS_CLASS_HIDDEN && strstr(s->place.component, "mlp"));
}

static tess_status note_failed_row(tess_tap_state *s, int64_t row, tess_error *err)
{
    if (s->first_row < 0) s->first_row = row;
    s->n_row_failed++;
    if (!remembers_rows(s)) return TESS_OK;
    if (!s->row_failed) {
        s->row_failed = calloc((size_t)tess_tap_state_count_rows(s), 1);
        if (!s->row_failed) return tess_fail(err, TESS_ENOMEM, "no memory to note the rows that differ");
    }
    s->row_failed[row] = 1;
    return TESS_OK;
}

static tess_status add_to_experts(tess_hearing *h, tess_tap_state *s, int64_t row, tess_error *err)
{
    const int64_t *chosen;
    tess_status status = tess_hearing_read_choice(h, s->choices, row, &chosen, err);
    if (status != TESS_OK) return status;
    return tess_expert_sums_add(&s->experts, chosen, (int)s->choices->dim[1], &s->row, &s->truth_row,
                                &s->reference_truth_row, err);
}

static tess_status note_error(tess_tap_state *s, int64_t row, double error, tess_error *err)
{
    if (!s->row_error) s->row_error = calloc((size_t)tess_tap_state_count_rows(s), sizeof *s->row_error);
    if (!s->row_error) return tess_fail(err, TESS_ENOMEM, "no memory to note the errors of rows");
    s->row_error[row] = (float)error;
    return TESS_OK;
}

/* What a report draws of a row: as it draws the errors of experts. */
static double drawn_error(const tess_tap_state *s)
{
    if (s->row.n_nonfinite || s->row.n_nonfinite_reference) return NAN;
    if (s->rule.measure == TESS_MEASURE_STEPS) return tess_sums_bf16_steps(&s->row);
    return tess_sums_rel_l2(s->truth ? &s->truth_row : &s->row);
}

static tess_status end_row(tess_hearing *h, tess_tap_state *s, int64_t row, tess_error *err)
{
    double share = row_share(s);
    bool over = share > 1;
    if (s->logits) {
        const tess_logits_row *next = tess_logits_sums_end_row(s->logits, row);
        bool is_other = next->expected != next->found;
        s->n_argmax += is_other;
        over |= is_other && s->rule.measure == TESS_MEASURE_REL_L2;
    }
    tess_status status = s->choices ? add_to_experts(h, s, row, err) : TESS_OK;
    if (status == TESS_OK && s->choices) status = note_error(s, row, share, err);
    if (status == TESS_OK && tess_tap_state_is_tower(s)) status = note_error(s, row, drawn_error(s), err);
    if (status != TESS_OK) return status;
    s->worst_steps = fmax(s->worst_steps, tess_sums_bf16_steps(&s->row));
    tess_sums_fold(&s->total, &s->row);
    tess_sums_fold(&s->truth_total, &s->truth_row);
    tess_sums_fold(&s->reference_truth_total, &s->reference_truth_row);
    s->row = s->truth_row = s->reference_truth_row = (tess_sums){0};
    return over ? note_failed_row(s, row, err) : TESS_OK;
}

/* The windowed waveform begins as the other does: one of both is enough to listen to. */
static tess_status begin_sound(tess_tap_state *s, tess_error *err)
{
    bool is_kept = s->place.line == TESS_CODE2WAV_TAP_WAVEFORM;
    return tess_sound_sums_new((int64_t)s->row_width, is_kept, &s->sound, err);
}

static tess_status hear_floats(tess_hearing *h, tess_tap_state *s, const float *value, const float *reference,
                               const float *truth, size_t count, tess_error *err)
{
    tess_status status = TESS_OK;
    if (s->place.class == TESS_CLASS_LOGITS && !s->logits)
        status = tess_logits_sums_new((int64_t)s->reference->dim[0], s->row_width, &s->logits, err);
    if (tess_tap_state_is_waveform(s) && !s->sound) status = begin_sound(s, err);
    if (status == TESS_OK && s->sound) tess_sound_sums_add(s->sound, value, reference, count);
    while (count && status == TESS_OK) {
        size_t column = (size_t)(s->n_heard % s->row_width), n = s->row_width - column;
        if (n > count) n = count;
        size_t first = tess_sums_add(&s->row, value, reference, n);
        if (first < n && s->first_different < 0) s->first_different = (int64_t)(s->n_heard + first);
        if (tess_tap_state_is_stage(s)) tess_sound_place_note(s, value, reference, column, n);
        if (s->loudest) tess_mel_bars_note(s, &s->row, value, reference, column, n);
        if (truth) {
            tess_sums_add(&s->truth_row, value, truth, n);
            tess_sums_add(&s->reference_truth_row, reference, truth, n);
            truth += n;
        }
        if (s->logits) tess_logits_sums_add(s->logits, value, reference, column, n);
        s->n_heard += n;
        value += n;
        reference += n;
        count -= n;
        if (column + n == s->row_width) status = end_row(h, s, (int64_t)(s->n_heard / s->row_width) - 1, err);
    }
    return status;
}

static tess_status hear_integers(tess_tap_state *s, const int64_t *value, const int64_t *reference,
                                 size_t count, tess_error *err)
{
    bool exact = s->rule.measure == TESS_MEASURE_EXACT;
    for (size_t i = 0; i < count; i++) {
        uint64_t index = s->n_heard + i;
        if (value[i] == reference[i]) continue;
        s->n_different++;
        if (s->first_different < 0) s->first_different = (int64_t)index;
        if (!exact || s->first_row >= 0) continue;
        tess_status status = note_failed_row(s, (int64_t)(index / s->row_width), err);
        if (status != TESS_OK) return status;
    }
    s->n_heard += count;
    return TESS_OK;
}

/* A tensor of the reference in the same layer: `last` replaces the name's last part. */
static const tess_tensor *sibling(const tess_hearing *h, const tess_tap_state *s, const char *last)
{
    char name[256];
    const char *dot = strrchr(s->reference->name, '.');
    size_t length = (size_t)(dot - s->reference->name) + 1;
    if (length + strlen(last) >= sizeof name) return NULL;
    memcpy(name, s->reference->name, length);
    strcpy(name + length, last);
    return tess_safetensors_find(h->reference.st, name);
}

/* The reference's router logits of one token in h->logits; *n_expert 0 if the reference has none. */
static tess_status read_logits(tess_hearing *h, const tess_tap_state *s, int64_t row, int *n_expert,
                               tess_error *err)
{
    *n_expert = 0;
    const tess_tensor *t = sibling(h, s, "logits");
    if (!t || t->dtype != TESS_DTYPE_F32 || t->n_dim != 2 || (uint64_t)row >= t->dim[0] ||
        t->dim[1] > TESS_COMPARE_MAX_EXPERT)
        return TESS_OK;
    size_t n_byte = (size_t)t->dim[1] * sizeof(float);
    *n_expert = (int)t->dim[1];
    return tess_file_read(tess_safetensors_get_file(h->reference.st), t->offset + (uint64_t)row * n_byte,
                          h->logits, n_byte, err);
}

/* How one token's choice compares; logits are read only where the plain sets differ. */
static tess_status compare_choice(tess_hearing *h, const tess_tap_state *s, int64_t row, const int64_t *value,
                                  const int64_t *reference, int n_chosen, tess_routing *choice, int *partner,
                                  tess_error *err)
{
    *choice = tess_router_compare(value, reference, n_chosen, NULL, 0, partner);
    if (*choice == TESS_ROUTING_SAME) return TESS_OK;
    int n_expert;
    tess_status status = read_logits(h, s, row, &n_expert, err);
    if (status == TESS_OK && n_expert)
        *choice = tess_router_compare(value, reference, n_chosen, h->logits, n_expert, partner);
    return status;
}

static tess_status hear_choices(tess_hearing *h, tess_tap_state *s, const int64_t *value,
                                const int64_t *reference, size_t count, tess_error *err)
{
    size_t width = s->row_width;
    int64_t row = (int64_t)(s->n_heard / width), n_row = (int64_t)(count / width);
    if (h->chosen_of != s->reference || row != h->chosen_end) h->chosen_begin = row;
    h->chosen_of = s->reference;
    h->chosen_end = row + n_row;
    for (int64_t r = 0; r < n_row; r++, value += width, reference += width) {
        for (size_t i = 0; i < width; i++) {
            h->chosen[(size_t)(row + r) * width + i] = value[i];
            if (value[i] == reference[i]) continue;
            s->n_different++;
            if (s->first_different < 0) s->first_different = (row + r) * (int64_t)width + (int64_t)i;
        }
        tess_routing choice;
        tess_status status = compare_choice(h, s, row + r, value, reference, (int)width, &choice, NULL, err);
        if (status != TESS_OK) return status;
        s->n_tie += choice == TESS_ROUTING_TIE;
        if (choice != TESS_ROUTING_DIFFERENT) continue;
        status = note_failed_row(s, row + r, err);
        if (status != TESS_OK) return status;
    }
    s->n_heard += count;
    return TESS_OK;
}

/* One token's weights by expert id: each of the reference's against the value's for the same expert or its
 * tie partner, and against 0 if the value chose neither. */
static tess_status hear_weights_row(tess_hearing *h, tess_tap_state *s, int64_t row, const float *value,
                                    const float *reference, const int64_t *chosen_reference, tess_error *err)
{
    size_t width = s->row_width;
    const int64_t *chosen = h->chosen + (size_t)row * width;
    int partner[TESS_ROUTER_MAX_CHOSEN];
    float matched[TESS_ROUTER_MAX_CHOSEN];
    tess_routing choice;
    tess_status status =
        compare_choice(h, s, row, chosen, chosen_reference, (int)width, &choice, partner, err);
    if (status != TESS_OK) return status;
    for (size_t i = 0; i < width; i++) {
        matched[i] = partner[i] < 0 ? 0 : value[partner[i]];
        if (!memcmp(&value[i], &reference[i], sizeof *value)) continue;
        s->n_different++;
        if (s->first_different < 0) s->first_different = row * (int64_t)width + (int64_t)i;
    }
    /* A weight that no expert of the reference asks for must be finite all the same. */
    for (size_t i = 0; i < width; i++)
        if (!isfinite(value[i])) matched[i] = value[i];
    tess_sums_add(&s->row, matched, reference, width);
    return end_row(h, s, row, err);
}

static tess_status hear_weights(tess_hearing *h, tess_tap_state *s, const float *value,
                                const float *reference, size_t count, tess_error *err)
{
    size_t width = s->row_width;
    int64_t row = (int64_t)(s->n_heard / width), end = row + (int64_t)(count / width);
    const tess_tensor *ids = sibling(h, s, "indices");
    bool has_ids = ids && ids == h->chosen_of && ids->n_dim == 2 && ids->dim[1] == width &&
                   row >= h->chosen_begin && end <= h->chosen_end;
    if (!has_ids) return hear_floats(h, s, value, reference, NULL, count, err);
    int64_t most = TESS_TRACE_PIECE_BYTES / (int64_t)(width * sizeof(int64_t));
    while (row < end) {
        int64_t n = end - row < most ? end - row : most;
        const void *block;
        tess_status status = tess_tensor_read_part(
            tess_safetensors_get_file(h->reference.st), ids, (uint64_t)row * width * sizeof(int64_t),
            (size_t)n * width * sizeof(int64_t), h->side_window, &block, err);
        for (int64_t r = 0; r < n && status == TESS_OK; r++, row++, value += width, reference += width)
            status = hear_weights_row(h, s, row, value, reference, (const int64_t *)block + (size_t)r * width,
                                      err);
        if (status != TESS_OK) return status;
    }
    s->n_heard += count;
    return TESS_OK;
}

/* What must be known of the whole reference before any of it is heard. */
static tess_status begin(tess_hearing *h, tess_tap_state *s, tess_error *err)
{
    if (tess_tap_state_is_stage(s)) return tess_sound_place_begin(h, s, err);
    return s->rule.measure == TESS_MEASURE_BY_ELEMENT ? tess_mel_bars_begin(h, s, err) : TESS_OK;
}

tess_status tess_tap_state_hear(tess_hearing *h, tess_tap_state *s, const void *values, size_t count,
                                tess_error *err)
{
    if (s->n_heard == 0) {
        tess_status status = begin(h, s, err);
        if (status != TESS_OK) return status;
    }
    const char *value = values;
    size_t item = tess_dtype_bytes(s->reference->dtype);
    bool is_expert = s->place.class == TESS_CLASS_EXPERT && !s->is_integer;
    bool by_row = s->place.class == TESS_CLASS_ROUTER_INDICES ||
                  s->place.class == TESS_CLASS_ROUTER_WEIGHTS || is_expert;
    if (by_row && count % s->row_width)
        return tess_fail(err, TESS_EUSAGE, "%s: heard in pieces that are no whole rows", s->reference->name);
    while (count) {
        size_t n = tess_trace_reader_piece(s->reference, s->n_heard, s->row_width);
        if (n > count) n = count;
        const void *reference, *truth = NULL;
        tess_status status =
            tess_trace_reader_read(&h->reference, s->reference, s->n_heard, n, &reference, err);
        if (status == TESS_OK && s->truth)
            status = tess_trace_reader_read(&h->truth, s->truth, s->n_heard, n, &truth, err);
        if (status != TESS_OK) return status;
        const void *at = value;
        if (s->place.class == TESS_CLASS_ROUTER_INDICES)
            status = hear_choices(h, s, at, reference, n, err);
        else if (s->place.class == TESS_CLASS_ROUTER_WEIGHTS)
            status = hear_weights(h, s, at, reference, n, err);
        else if (s->is_integer)
            status = hear_integers(s, at, reference, n, err);
        else
            status = hear_floats(h, s, at, reference, truth, n, err);
        if (status == TESS_OK && is_expert)
            status = tess_expert_rows_hear(h, s, (int64_t)((s->n_heard - n) / s->row_width),
                                           (int64_t)(n / s->row_width), at, err);
        if (status != TESS_OK) return status;
        value += n * item;
        count -= n;
    }
    return TESS_OK;
}

/* ---- waveforms ---- */

tess_status tess_tap_state_end_waveform(tess_hearing *h, tess_tap_state *s, tess_error *err)
{
    if (!s->sound) return TESS_OK;
    for (uint64_t at = s->n_heard, n; at < s->row_width; at += n) {
        const void *reference;
        n = tess_trace_reader_piece(s->reference, at, 1);
        tess_status status =
            tess_trace_reader_read(&h->reference, s->reference, at, (size_t)n, &reference, err);
        if (status != TESS_OK) return status;
        tess_sound_sums_add(s->sound, NULL, reference, (size_t)n);
    }
    tess_spectra_end(s->sound->spectra);
    return s->n_heard < s->row_width ? end_row(h, s, 0, err) : TESS_OK;
}

/* ---- in columns ---- */

/* Elements [first, first + n) of the tap, in one row. */
static tess_status add_to_row(tess_hearing *h, tess_tap_state *s, tess_column_sums *sums, const float *value,
                              uint64_t first, size_t n, tess_error *err)
{
    while (n) {
        size_t count = tess_trace_reader_piece(s->reference, first, 1);
        if (count > n) count = n;
        const void *reference, *truth = NULL;
        tess_status status =
            tess_trace_reader_read(&h->reference, s->reference, first, count, &reference, err);
        if (status == TESS_OK && s->truth)
            status = tess_trace_reader_read(&h->truth, s->truth, first, count, &truth, err);
        if (status != TESS_OK) return status;
        size_t same = tess_sums_add(&sums->row, value, reference, count);
        bool is_first = s->first_different < 0 || (int64_t)(first + same) < s->first_different;
        if (same < count && is_first) s->first_different = (int64_t)(first + same);
        if (tess_tap_state_is_stage(s))
            tess_sound_place_note(s, value, reference, first % s->row_width, count);
        if (s->loudest) tess_mel_bars_note(s, &sums->row, value, reference, first % s->row_width, count);
        if (truth) {
            tess_sums_add(&sums->truth_row, value, truth, count);
            tess_sums_add(&sums->reference_truth_row, reference, truth, count);
        }
        value += count;
        first += count;
        n -= count;
    }
    return TESS_OK;
}

static tess_status end_rows(tess_hearing *h, tess_tap_state *s, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int64_t row = 0; row < tess_tap_state_count_rows(s) && status == TESS_OK; row++) {
        s->row = s->columns[row].row;
        s->truth_row = s->columns[row].truth_row;
        s->reference_truth_row = s->columns[row].reference_truth_row;
        status = end_row(h, s, row, err);
    }
    return status;
}

tess_status tess_tap_state_hear_columns(tess_hearing *h, tess_tap_state *s, const float *values, size_t n,
                                        tess_error *err)
{
    size_t n_row = (size_t)tess_tap_state_count_rows(s), column = (size_t)s->n_heard / n_row;
    if (!s->columns) s->columns = calloc(n_row, sizeof *s->columns);
    if (!s->columns) return tess_fail(err, TESS_ENOMEM, "no memory for the sums of %zu rows", n_row);
    tess_status status = column == 0 ? begin(h, s, err) : TESS_OK;
    for (size_t row = 0; row < n_row && status == TESS_OK; row++)
        status = add_to_row(h, s, &s->columns[row], values + row * n, row * s->row_width + column, n, err);
    s->n_heard += n_row * n;
    return status == TESS_OK && column + n == s->row_width ? end_rows(h, s, err) : status;
}
