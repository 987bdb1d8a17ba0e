#include "verify/golden/both_sides.h"

#include <string.h>

#include "verify/compare/comparison.h"

static tess_tap_report *find_tap(const tess_compare_result *result, const char *name)
{
    for (int i = 0; i < result->n_tap; i++)
        if (!strcmp(result->tap[i].name, name)) return &result->tap[i];
    return NULL;
}

/* The isolated side's judgement and place. Experts are exchanged, so that either list is freed once. */
static void adopt_judgement(tess_tap_report *to, tess_tap_report *from)
{
    const int *experts = to->experts;
    int n_experts = to->n_experts;
    to->experts = from->experts;
    to->n_experts = from->n_experts;
    from->experts = experts;
    from->n_experts = n_experts;
    to->expert = from->expert;
    to->position = from->position;
    to->row = from->row;
    to->outcome = from->outcome;
    to->measure = from->measure;
    to->error = from->error;
    to->tolerance = from->tolerance;
    memcpy(to->why, from->why, sizeof to->why);
    memcpy(to->where, from->where, sizeof to->where);
}

static void adopt_faults(tess_compare_result *whole, const tess_compare_result *isolated)
{
    for (int i = 0; i < whole->n_experts && i < isolated->n_experts; i++) {
        tess_layer_experts *to = &whole->experts[i];
        const tess_layer_experts *from = &isolated->experts[i];
        for (int e = 0; e < to->n_expert && e < from->n_expert; e++)
            to->expert[e].is_fault |= from->expert[e].is_fault;
    }
}

static bool has_failed(const tess_compare_result *result, const tess_medium_report *medium)
{
    return medium->tap >= 0 && tess_tap_has_failed(&result->tap[medium->tap]);
}

/* A tower that fails module by module only, or earlier, is shown as it fails there. The lists are exchanged,
 * so that either is freed once. Asked before judgements are adopted. */
static void adopt_media(tess_compare_result *whole, tess_compare_result *isolated)
{
    for (int i = 0; i < whole->n_medium && i < isolated->n_medium; i++) {
        tess_medium_report *to = &whole->medium[i], *from = &isolated->medium[i];
        if (!has_failed(isolated, from)) continue;
        tess_tap_report *tap = find_tap(whole, isolated->tap[from->tap].name);
        if (!tap || (has_failed(whole, to) && to->tap < tap - whole->tap)) continue;
        tess_medium_report own = *to;
        *to = *from;
        *from = own;
        to->tap = (int)(tap - whole->tap);
    }
}

/* The same of waveforms; of codes both sides say what the run chose. */
static void adopt_sound(tess_compare_result *whole, tess_compare_result *isolated)
{
    for (int i = 0; i < isolated->n_sound; i++) {
        tess_sound_report *from = &isolated->sound[i];
        const char *name = isolated->tap[from->tap].name;
        if (!tess_tap_has_failed(&isolated->tap[from->tap])) continue;
        for (int k = 0; k < whole->n_sound; k++) {
            tess_sound_report *to = &whole->sound[k];
            int tap = to->tap;
            if (strcmp(whole->tap[tap].name, name) != 0 || tess_tap_has_failed(&whole->tap[tap])) continue;
            tess_sound_report own = *to;
            *to = *from;
            *from = own;
            from->tap = to->tap;
            to->tap = tap;
        }
    }
}

void tess_both_sides_merge(tess_compare_result *whole, tess_compare_result *isolated)
{
    adopt_media(whole, isolated);
    adopt_sound(whole, isolated);
    for (int i = 0; i < isolated->n_tap; i++) {
        tess_tap_report *from = &isolated->tap[i], *to = find_tap(whole, from->name);
        if (to && tess_tap_has_failed(from)) adopt_judgement(to, from);
    }
    adopt_faults(whole, isolated);
    tess_comparison_count(whole);
    whole->both_sides = true;
    if (whole->n_failed) whole->verdict = TESS_VERDICT_DIFFERENT;
}
