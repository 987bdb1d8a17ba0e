#include "verify/compare/mel_bars.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/angles.h"
#include "media/mel.h"

#define LN_10 2.30258509299404568402
/* What lies between a clip's floor, 80 dB below its loudest band, and A where that band is the widest. */
#define MOST_BELOW 2.25

double tess_mel_bar(double loudest, double value)
{
    const double u = 0x1p-24, below = loudest - value < MOST_BELOW ? loudest - value : MOST_BELOW;
    const double transform = TESS_MEL_TRANSFORM * u / (2.0 * LN_10) * tess_exp_double(2.0 * LN_10 * below);
    return transform + TESS_MEL_STEPS * u * (fabs(4.0 * value - 4.0) + 4.0);
}

/* By how much a band's value counts for more than the first one's. */
static double lift_of(const tess_tap_state *s, uint64_t row)
{
    const int64_t n_mel = tess_tap_state_count_rows(s);
    const double wider = tess_mel_get_width_hz(n_mel, (int64_t)row) / tess_mel_get_width_hz(n_mel, 0);
    return tess_log_double(wider) / (4.0 * LN_10);
}

static void add_values(tess_tap_state *s, const float *value, uint64_t first, size_t n)
{
    uint64_t row = first / s->row_width;
    double lift = lift_of(s, row);
    for (size_t i = 0; i < n; i++) {
        const uint64_t at = first + i;
        if (at / s->row_width != row) lift = lift_of(s, row = at / s->row_width);
        const float lifted = (float)((double)value[i] + lift);
        if (lifted > s->loudest[at % s->row_width]) s->loudest[at % s->row_width] = lifted;
    }
}

tess_status tess_mel_bars_begin(tess_hearing *h, tess_tap_state *s, tess_error *err)
{
    s->loudest = malloc((s->row_width + 1) * sizeof *s->loudest);
    if (!s->loudest) return tess_fail(err, TESS_ENOMEM, "no memory for the bars of mel frames");
    for (size_t i = 0; i < s->row_width; i++) s->loudest[i] = -INFINITY;
    for (uint64_t at = 0; at < tess_tensor_count(s->reference);) {
        const void *values;
        size_t n = tess_trace_reader_piece(s->reference, at, 1);
        tess_status status = tess_trace_reader_read(&h->reference, s->reference, at, n, &values, err);
        if (status != TESS_OK) return status;
        add_values(s, values, at, n);
        at += n;
    }
    return TESS_OK;
}

void tess_mel_bars_note(tess_tap_state *s, tess_sums *row, const float *value, const float *reference,
                        uint64_t column, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double a = (double)value[i], b = (double)reference[i];
        if (!isfinite(a) || !isfinite(b)) continue; /* counted elsewhere, and fails */
        const double share = fabs(a - b) / tess_mel_bar((double)s->loudest[column + i], b);
        if (share > row->max_share) row->max_share = share;
        const int64_t at = (int64_t)(column + i);
        if (share > 1 && (s->off[0] < 0 || at < s->off[0])) s->off[0] = at;
    }
}
