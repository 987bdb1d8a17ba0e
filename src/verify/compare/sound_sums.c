#include "verify/compare/sound_sums.h"

#include <math.h>
#include <stdlib.h>

#include "media/sound_samples.h"
#include "tessera/speech.h"

enum {
    LEAST_POWER = -72, /* of the first of `first`; smaller errors count as that */
    NOT_FINITE = TESS_SOUND_POWERS - 1,
    MOST_KEPT = TESS_SOUND_KEPT_SECONDS * TESS_SPEECH_RATE_HZ
};

static int count_columns(uint64_t n_sample)
{
    return n_sample < TESS_SOUND_COLUMNS ? (int)n_sample : TESS_SOUND_COLUMNS;
}

static uint64_t count_kept(uint64_t n_sample)
{
    return n_sample < MOST_KEPT ? n_sample : MOST_KEPT;
}

static bool make_room(tess_sound_sums *s)
{
    s->n_column = count_columns((uint64_t)s->n_sample);
    s->column = malloc((size_t)s->n_column * sizeof *s->column);
    for (int side = 0; side < 2 && s->is_kept; side++) {
        s->kept[side] = malloc((size_t)count_kept((uint64_t)s->n_sample) * sizeof **s->kept);
        if (!s->kept[side]) return false;
    }
    return s->column != NULL;
}

tess_status tess_sound_sums_new(int64_t n_sample, bool is_kept, tess_sound_sums **out, tess_error *err)
{
    tess_sound_sums *s = calloc(1, sizeof *s);
    if (!s) return tess_fail(err, TESS_ENOMEM, "no memory to compare %lld samples", (long long)n_sample);
    s->n_sample = n_sample;
    s->is_kept = is_kept;
    tess_status status =
        make_room(s) ? tess_spectra_new(n_sample, &s->spectra, err)
                     : tess_fail(err, TESS_ENOMEM, "no memory to compare %lld samples", (long long)n_sample);
    if (status != TESS_OK) {
        tess_sound_sums_free(s);
        return status;
    }
    for (int i = 0; i < s->n_column; i++) {
        s->column[i].n_odd = 0;
        for (int side = 0; side < TESS_SOUND_SIDES; side++) {
            s->column[i].low[side] = INFINITY;
            s->column[i].high[side] = -INFINITY;
        }
    }
    for (int k = 0; k < TESS_SOUND_POWERS; k++) s->first[k] = -1;
    *out = s;
    return TESS_OK;
}

void tess_sound_sums_free(tess_sound_sums *sound)
{
    if (!sound) return;
    tess_spectra_free(sound->spectra);
    for (int side = 0; side < 2; side++) free(sound->kept[side]);
    free(sound->column);
    free(sound);
}

static void keep(tess_sound_sums *s, int side, float sample)
{
    if (!s->is_kept || s->n_kept[side] == MOST_KEPT) return;
    if (!isfinite(sample)) sample = 0;
    tess_samples_to_int16(&sample, 1, &s->kept[side][s->n_kept[side]++]);
}

/* Of `first`: the power of two that an error reaches. */
static int bucket_of(double error)
{
    if (!isfinite(error)) return NOT_FINITE;
    int power = error > 0 ? ilogb(error) - LEAST_POWER : 0;
    return power < 0 ? 0 : power >= NOT_FINITE ? NOT_FINITE - 1 : power;
}

static void note_error(tess_sound_sums *s, double error)
{
    int64_t *first = &s->first[bucket_of(error)];
    if (error != 0 && *first < 0) *first = s->n_done;
}

static void widen(tess_sound_column *c, int side, float sample)
{
    c->low[side] = fminf(c->low[side], sample);
    c->high[side] = fmaxf(c->high[side], sample);
}

/* A sample of the reference and, where there is one, the trace's. */
static void draw(tess_sound_sums *s, const float *value, float reference)
{
    tess_sound_column *c = &s->column[s->n_done * s->n_column / s->n_sample];
    float sample[TESS_SOUND_SIDES] = {reference, value ? *value : 0, value ? *value - reference : 0};
    if (value) note_error(s, fabs((double)*value - (double)reference));
    if (isfinite(sample[TESS_SOUND_DIFFERENCE]) && isfinite(reference)) {
        for (int side = 0; side < (value ? TESS_SOUND_SIDES : 1); side++) widen(c, side, sample[side]);
    } else {
        c->n_odd++;
        for (int side = 0; side < TESS_SOUND_SIDES; side++) sample[side] = 0;
    }
    tess_spectra_add(s->spectra, sample);
    s->n_done++;
}

void tess_sound_sums_add(tess_sound_sums *s, const float *value, const float *reference, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        keep(s, TESS_SOUND_REFERENCE, reference[i]);
        if (value) keep(s, TESS_SOUND_TRACE, value[i]);
        draw(s, value ? value + i : NULL, reference[i]);
    }
}

static double round_down(double bar)
{
    return bar > 0 ? ldexp(1, ilogb(bar)) : bar;
}

tess_sound_bars tess_sound_sums_bars(const tess_rule *rule, const tess_sums *total)
{
    tess_sound_bars bars = {NAN, NAN};
    double root = total->n ? sqrt(total->reference2 / (double)total->n) : 0;
    if (rule->measure == TESS_MEASURE_REL_L2)
        bars = (tess_sound_bars){rule->tolerance * total->max_reference, rule->tolerance * root};
    if (rule->measure == TESS_MEASURE_STEPS)
        bars = (tess_sound_bars){rule->tolerance * tess_bf16_ulp(total->max_reference),
                                 rule->tolerance * ldexp(root, -8)};
    return (tess_sound_bars){round_down(bars.loud), round_down(bars.mean)};
}

int64_t tess_sound_sums_first(const tess_sound_sums *s, double bar)
{
    int64_t first = -1;
    int power = bar > 0 ? bucket_of(bar) : 0;
    for (int k = power; k < TESS_SOUND_POWERS; k++)
        if (s->first[k] >= 0 && (first < 0 || s->first[k] < first)) first = s->first[k];
    return first;
}

uint64_t tess_sound_sums_bytes(uint64_t n_sample, bool is_kept)
{
    return sizeof(tess_sound_sums) + (uint64_t)count_columns(n_sample) * sizeof(tess_sound_column) +
           tess_spectra_bytes(n_sample) + (is_kept ? 2 * count_kept(n_sample) * sizeof(int16_t) : 0);
}
