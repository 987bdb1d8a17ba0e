#include "verify/compare/sound_place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- hearing ---- */

tess_status tess_sound_place_begin(tess_hearing *h, tess_tap_state *s, tess_error *err)
{
    double bar = s->rule.measure == TESS_MEASURE_REL_L2  ? s->rule.tolerance
                 : s->rule.measure == TESS_MEASURE_STEPS ? ldexp(s->rule.tolerance, -8)
                                                         : INFINITY;
    tess_sums sums = {0};
    for (uint64_t at = 0; at < tess_tensor_count(s->reference);) {
        const void *values;
        size_t n = tess_trace_reader_piece(s->reference, at, 1);
        tess_status status = tess_trace_reader_read(&h->reference, s->reference, at, n, &values, err);
        if (status != TESS_OK) return status;
        tess_sums_add(&sums, values, values, n);
        at += n;
    }
    s->most_off = sums.n ? bar * sqrt(sums.reference2 / (double)sums.n) : bar;
    return TESS_OK;
}

void tess_sound_place_note(tess_tap_state *s, const float *value, const float *reference, uint64_t column,
                           size_t n)
{
    for (int k = 0; k < 2; k++) {
        double most = k ? TESS_SOUND_CLEARLY * s->most_off : s->most_off;
        uint64_t end = s->off[k] >= 0 && (uint64_t)s->off[k] < column + n ? (uint64_t)s->off[k] : column + n;
        for (uint64_t at = column; at < end; at++) {
            if (fabs((double)value[at - column] - (double)reference[at - column]) <= most) continue;
            s->off[k] = (int64_t)at;
            break;
        }
    }
}

/* ---- from columns to frames ---- */

/* Length of a tap of code2wav, its last axis; 0 if there is none. */
static int64_t length_of(const tess_safetensors *st, const char *name)
{
    const tess_tensor *t = tess_safetensors_find(st, name);
    return t && t->n_dim ? (int64_t)t->dim[t->n_dim - 1] : 0;
}

/* Columns that a frame makes of a tap, 0 if it is not known. A transposed convolution of the decoder makes
 * its rate of every column but one. */
static int64_t columns_per_frame(const tess_safetensors *st, const tess_tap_state *s, int64_t n_frame)
{
    int64_t length = (int64_t)s->row_width, last = 0, made = 0;
    if (!n_frame) return 0;
    if (s->place.line == TESS_CODE2WAV_TAP_UPSAMPLE) return length % n_frame ? 0 : length / n_frame;
    for (int module = 0;; module++) {
        char name[48];
        snprintf(name, sizeof name, "tap.code2wav.decoder.%d", module);
        int64_t n = length_of(st, name);
        if (!n) return 0;
        bool is_even = module == 0 ? n % n_frame == 0 : n == last || (last > 1 && n % (last - 1) == 0);
        if (!is_even) return 0;
        if (module == 0)
            made = n / n_frame;
        else if (n != last)
            made *= n / (last - 1);
        last = n;
        if (!strcmp(name, s->reference->name)) return made;
    }
}

void tess_sound_place_say(const tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    const tess_safetensors *st = c->hearing.reference.st;
    if (s->place.line == TESS_CODE2WAV_TAP_PRE_TRANSFORMER) {
        r->frame = s->first_row;
        if (r->frame >= 0) snprintf(r->where, sizeof r->where, "from frame %lld on", (long long)r->frame);
        return;
    }
    r->column = s->off[1] >= 0 ? s->off[1] : s->off[0];
    if (r->column < 0) return;
    snprintf(r->where, sizeof r->where, "from column %lld of %zu on", (long long)r->column, s->row_width);
    int64_t n_column = columns_per_frame(st, s, c->speech.n_frame);
    if (!n_column) return;
    r->frame = r->column / n_column;
    size_t used = strlen(r->where);
    snprintf(r->where + used, sizeof r->where - used, ", in frame %lld", (long long)r->frame);
}
