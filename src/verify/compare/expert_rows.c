#include "verify/compare/expert_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/compare/router.h"

static const tess_tensor *find_choices(const tess_hearing *h, const tess_tensor *output)
{
    char name[256];
    const char *end = strstr(output->name, ".experts.");
    if (!end || (size_t)(end - output->name) + sizeof ".gate.indices" > sizeof name) return NULL;
    snprintf(name, sizeof name, "%.*s.gate.indices", (int)(end - output->name), output->name);
    const tess_tensor *t = tess_safetensors_find(h->reference.st, name);
    bool fits = t && t->dtype == TESS_DTYPE_I64 && t->n_dim == 2 && t->dim[1] > 0 &&
                t->dim[1] <= TESS_ROUTER_MAX_CHOSEN && t->dim[0] <= INT32_MAX;
    return fits ? t : NULL;
}

/* The rank at which a token chose the expert, -1 if it did not. */
static int rank_of(const int64_t *chosen, int n_chosen, int expert)
{
    for (int i = 0; i < n_chosen; i++)
        if (chosen[i] == expert) return i;
    return -1;
}

/* The ranks, by position, of the tokens that chose the expert; false in *fits if they are not as many as the
 * reference has rows. */
static tess_status list_ranks(tess_hearing *h, const tess_tap_state *s, const tess_tensor *choices,
                              bool *fits, tess_error *err)
{
    size_t n = 0, n_row = (size_t)s->reference->dim[0];
    for (uint64_t t = 0; t < choices->dim[0]; t++) {
        const int64_t *chosen;
        tess_status status = tess_hearing_read_choice(h, choices, (int64_t)t, &chosen, err);
        if (status != TESS_OK) return status;
        int rank = rank_of(chosen, (int)choices->dim[1], s->place.expert);
        if (rank >= 0 && n < n_row) h->place[n] = rank;
        n += rank >= 0;
    }
    *fits = n == n_row;
    return TESS_OK;
}

/* Ranks become places: those of a lower rank stand before, and of the same rank those of earlier positions.
 */
static void rank_to_place(int32_t *place, size_t n)
{
    int32_t next[TESS_ROUTER_MAX_CHOSEN + 1] = {0};
    for (size_t i = 0; i < n; i++) next[place[i] + 1]++;
    for (int r = 0; r < TESS_ROUTER_MAX_CHOSEN; r++) next[r + 1] += next[r];
    for (size_t i = 0; i < n; i++) place[i] = next[place[i]]++;
}

static tess_status find_places(tess_hearing *h, const tess_tap_state *s, bool *fits, tess_error *err)
{
    *fits = h->place_of == s->reference;
    if (*fits) return TESS_OK;
    size_t n_row = (size_t)s->reference->dim[0];
    const tess_tensor *choices = find_choices(h, s->reference);
    if (!choices || n_row > choices->dim[0]) return TESS_OK;
    h->place_of = NULL;
    if (n_row > h->room_place) {
        int32_t *grown = realloc(h->place, n_row * sizeof *grown);
        if (!grown) return tess_fail(err, TESS_ENOMEM, "no memory to match experts' rows");
        h->place = grown;
        h->room_place = n_row;
    }
    tess_status status = list_ranks(h, s, choices, fits, err);
    if (status != TESS_OK || !*fits) return status;
    rank_to_place(h->place, n_row);
    h->place_of = s->reference;
    return TESS_OK;
}

tess_status tess_expert_rows_hear(tess_hearing *h, tess_tap_state *s, int64_t row, int64_t n_row,
                                  const float *values, tess_error *err)
{
    bool fits;
    size_t width = s->row_width;
    tess_status status = find_places(h, s, &fits, err);
    for (int64_t i = 0; fits && i < n_row && status == TESS_OK; i++) {
        const void *reference;
        uint64_t first = (uint64_t)h->place[row + i] * width;
        status = tess_trace_reader_read(&h->reference, s->reference, first, width, &reference, err);
        if (status != TESS_OK) break;
        tess_sums sums = {0};
        tess_sums_add(&sums, values + (size_t)i * width, reference, width);
        s->ranked_steps = fmax(s->ranked_steps, tess_sums_bf16_steps(&sums));
        tess_sums_fold(&s->ranked, &sums);
    }
    return status;
}

void tess_expert_rows_settle(tess_tap_state *s)
{
    bool is_whole = s->ranked.n == s->total.n && s->ranked.n_nonfinite <= s->total.n_nonfinite;
    if (!is_whole || s->ranked.error2 >= s->total.error2) return;
    s->total = s->ranked;
    s->worst_steps = s->ranked_steps;
    s->first_different = s->first_row = -1;
}
