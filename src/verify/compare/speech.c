#include "verify/compare/speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tessera/speech.h"

int64_t tess_speech_find_first(const tess_tap_state *s, double *bar)
{
    bool is_finite = !s->total.n_nonfinite && !s->total.n_nonfinite_reference;
    tess_sound_bars bars = tess_sound_sums_bars(&s->rule, &s->total);
    double tried[] = {is_finite ? bars.loud : INFINITY, bars.mean};
    int64_t n = (int64_t)tess_tensor_count(s->reference), other = (int64_t)s->other_length;
    for (int k = 0; k < 2 && s->sound; k++) {
        int64_t first = tess_sound_sums_first(s->sound, tried[k]);
        if (first < 0) continue;
        if (bar) *bar = tried[k];
        return first;
    }
    return other == n ? -1 : other < n ? other : n;
}

static void fill_codes(tess_tap_state *s, int tap, tess_codes_report *r)
{
    int64_t ours = (int64_t)s->codes.n_frame, theirs = (int64_t)s->reference->dim[1];
    bool is_there = s->codes.first.frame >= 0 && s->codes.first.expected != TESS_NO_CODE;
    *r = (tess_codes_report){.tap = tap,
                             .n_codebook = s->code_sums->n_codebook,
                             .n_column = s->code_sums->n_column,
                             .n_frame = theirs,
                             .n_frame_trace = ours,
                             .first_frame = is_there ? s->codes.first.frame : -1,
                             .first_codebook = is_there ? (int)s->codes.first.codebook : -1,
                             .cell = s->code_sums->cell};
    if (!is_there && ours != theirs) r->first_frame = ours < theirs ? ours : theirs;
    s->code_sums->cell = NULL;
}

static void fill_sound(const tess_comparison *c, tess_tap_state *s, const tess_tap_report *tap, int index,
                       tess_sound_report *r)
{
    tess_sound_sums *sound = s->sound;
    *r = (tess_sound_report){.tap = index,
                             .rate_hz = TESS_SPEECH_RATE_HZ,
                             .n_sample = sound->n_sample,
                             .n_sample_trace = (int64_t)s->other_length,
                             .n_frame = c->speech.n_frame,
                             .first = -1,
                             .first_frame = -1,
                             .bar = tess_sound_sums_bars(&s->rule, &s->total).loud,
                             .n_column = sound->n_column,
                             .column = sound->column,
                             .n_moment = sound->spectra->n_moment,
                             .n_line = TESS_SOUND_LINES};
    if (tess_tap_has_failed(tap)) r->first = tess_speech_find_first(s, &r->bar);
    if (r->first >= 0) r->first_frame = tess_speech_map_frame(&c->speech, s, r->first);
    memcpy(r->power, sound->spectra->power, sizeof r->power);
    memcpy(r->n_kept, sound->n_kept, sizeof r->n_kept);
    memcpy(r->kept, sound->kept, sizeof r->kept);
    sound->column = NULL;
    memset(sound->spectra->power, 0, sizeof sound->spectra->power);
    memset(sound->kept, 0, sizeof sound->kept);
}

tess_status tess_speech_fill(tess_comparison *c, tess_compare_result *result, tess_error *err)
{
    size_t n_codes = 0, n_sound = 0;
    for (int i = 0; i < c->n_tap; i++) {
        n_codes += c->tap[i].code_sums != NULL;
        n_sound += c->tap[i].sound != NULL;
    }
    result->codes = calloc(n_codes + 1, sizeof *result->codes);
    result->sound = calloc(n_sound + 1, sizeof *result->sound);
    if (!result->codes || !result->sound) return tess_fail(err, TESS_ENOMEM, "no memory for the result");
    for (int i = 0; i < result->n_tap; i++) {
        const tess_tap_report *tap = &result->tap[i];
        tess_tap_state *s = tess_comparison_find(c, tap->name);
        if (!tap->is_measured) continue;
        if (s->code_sums) fill_codes(s, i, &result->codes[result->n_codes++]);
        if (s->sound) fill_sound(c, s, tap, i, &result->sound[result->n_sound++]);
    }
    return TESS_OK;
}

void tess_speech_release(tess_compare_result *result)
{
    for (int i = 0; i < result->n_codes; i++) free(result->codes[i].cell);
    for (int i = 0; i < result->n_sound; i++) {
        tess_sound_report *r = &result->sound[i];
        for (int side = 0; side < TESS_SOUND_SIDES; side++) free(r->power[side]);
        for (int side = 0; side < 2; side++) free(r->kept[side]);
        free(r->column);
    }
    free(result->codes);
    free(result->sound);
}
