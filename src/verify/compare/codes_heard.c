#include "verify/compare/codes_heard.h"

#include "verify/compare/code_sums.h"

static bool is_earlier(const tess_code_difference *a, const tess_code_difference *b)
{
    if (b->frame < 0 || a->frame != b->frame) return b->frame < 0 || a->frame < b->frame;
    return a->codebook < b->codebook;
}

static void note(tess_codes_heard *codes, tess_code_difference difference)
{
    if (is_earlier(&difference, &codes->first)) codes->first = difference;
    if (difference.codebook == 0 && is_earlier(&difference, &codes->of_the_first))
        codes->of_the_first = difference;
}

/* Frames [frame, frame + n) of one codebook, which both sides have. */
static tess_status hear_row(tess_hearing *h, tess_tap_state *s, uint64_t codebook, uint64_t frame,
                            const int64_t *values, size_t n, tess_error *err)
{
    uint64_t at = codebook * s->reference->dim[1] + frame;
    while (n) {
        size_t count = tess_trace_reader_piece(s->reference, at, 1);
        if (count > n) count = n;
        const void *piece;
        tess_status status = tess_trace_reader_read(&h->reference, s->reference, at, count, &piece, err);
        if (status != TESS_OK) return status;
        const int64_t *expected = piece;
        for (size_t i = 0; i < count; i++) {
            if (values[i] == expected[i]) continue;
            if (s->first_different < 0) s->first_different = (int64_t)(at + i);
            s->n_different++;
            if (s->code_sums)
                tess_code_sums_add(s->code_sums, (int64_t)codebook, (int64_t)(frame + i), expected[i],
                                   values[i]);
            note(&s->codes,
                 (tess_code_difference){(int64_t)(frame + i), (int64_t)codebook, expected[i], values[i]});
        }
        values += count;
        frame += count;
        at += count;
        n -= count;
    }
    return TESS_OK;
}

tess_status tess_codes_hear(tess_hearing *h, tess_tap_state *s, uint64_t first, const int64_t *values,
                            size_t count, tess_error *err)
{
    uint64_t n_frame = s->codes.n_frame, n_expected = s->reference->dim[1];
    if (s->n_heard == 0) {
        tess_status status =
            tess_code_sums_new((int64_t)s->reference->dim[0], (int64_t)n_expected, &s->code_sums, err);
        if (status != TESS_OK) return status;
    }
    s->n_heard += count;
    while (count) {
        uint64_t codebook = first / n_frame, frame = first % n_frame;
        size_t n = (size_t)(n_frame - frame) < count ? (size_t)(n_frame - frame) : count;
        size_t n_both = n_expected <= frame ? 0 : n_expected - frame < n ? (size_t)(n_expected - frame) : n;
        tess_status status = hear_row(h, s, codebook, frame, values, n_both, err);
        if (status != TESS_OK) return status;
        /* The reference chose the end in place of a code of the first codebook. */
        if (n_both < n && codebook == 0 && frame + n_both == n_expected)
            note(&s->codes, (tess_code_difference){(int64_t)n_expected, 0, TESS_NO_CODE, values[n_both]});
        values += n;
        first += n;
        count -= n;
    }
    return TESS_OK;
}
