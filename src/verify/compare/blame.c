/* A set explains the failing tokens if it covers them and touches no other token. Only experts all of whose
 * tokens failed can belong to one; among those a smallest cover is searched by branching on the first token
 * that is not covered yet, with at most n_chosen branches and TESS_BLAME_MAX_SET levels. Where tokens choose
 * very many experts, sets are kept smaller, so that the search stays short. */
#include "verify/compare/blame.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_EXPERT = 65536, MAX_BRANCHES = 4096 };

typedef struct search {
    const int64_t *indices;
    int64_t n_tok;
    int n_chosen;
    const unsigned char *failed;
    const unsigned char *candidate; /* [n_expert] */
    unsigned char *named;           /* [n_expert] member of a set that explains */
    unsigned char *covered;         /* [n_tok] how many members of the present set cover it */
    int set[TESS_BLAME_MAX_SET];
} search;

static bool has_chosen(const search *s, int64_t t, int expert)
{
    for (int c = 0; c < s->n_chosen; c++)
        if (s->indices[t * s->n_chosen + c] == expert) return true;
    return false;
}

static void cover(search *s, int expert, int by)
{
    for (int64_t t = 0; t < s->n_tok; t++)
        if (has_chosen(s, t, expert)) s->covered[t] = (unsigned char)(s->covered[t] + by);
}

static bool covers_rest(const search *s, int expert)
{
    for (int64_t t = 0; t < s->n_tok; t++)
        if (s->failed[t] && !s->covered[t] && !has_chosen(s, t, expert)) return false;
    return true;
}

/* Names the present set of `depth` experts with each of those that alone cover what it leaves, of which `t`
 * is the first token. */
static bool complete_by_one(search *s, int64_t t, int depth)
{
    bool found = false;
    for (int c = 0; c < s->n_chosen; c++) {
        int64_t expert = s->indices[t * s->n_chosen + c];
        if (!s->candidate[expert] || !covers_rest(s, (int)expert)) continue;
        s->named[expert] = found = true;
    }
    for (int i = 0; i < depth && found; i++) s->named[s->set[i]] = 1;
    return found;
}

/* Completes the present set of `depth` experts to `size`; returns whether any completion explains. */
static bool complete(search *s, int depth, int size)
{
    int64_t t = 0;
    while (t < s->n_tok && (!s->failed[t] || s->covered[t])) t++;
    /* A smaller set explains; it was named before. */
    if (t == s->n_tok) return false;
    if (depth + 1 == size) return complete_by_one(s, t, depth);
    bool found = false;
    for (int c = 0; c < s->n_chosen; c++) {
        int64_t expert = s->indices[t * s->n_chosen + c];
        if (!s->candidate[expert]) continue;
        s->set[depth] = (int)expert;
        cover(s, (int)expert, 1);
        found |= complete(s, depth + 1, size);
        cover(s, (int)expert, -1);
    }
    return found;
}

/* Sets candidate[e] for experts whose tokens all failed; returns the number of failing tokens. */
static int64_t find_candidates(const search *s, int n_expert, int64_t *n_of, unsigned char *candidate)
{
    int64_t n_failed = 0;
    memset(candidate, 1, (size_t)n_expert);
    for (int64_t t = 0; t < s->n_tok; t++) {
        n_failed += s->failed[t] != 0;
        for (int c = 0; c < s->n_chosen; c++) {
            int64_t expert = s->indices[t * s->n_chosen + c];
            bool again = false;
            for (int b = 0; b < c; b++) again |= s->indices[t * s->n_chosen + b] == expert;
            if (!again) n_of[expert]++;
            if (!s->failed[t]) candidate[expert] = 0;
        }
    }
    for (int e = 0; e < n_expert; e++)
        if (!n_of[e]) candidate[e] = 0;
    return n_failed;
}

/* One more than the largest id, or 0 if an id is none. */
static int count_experts(const int64_t *indices, int64_t n)
{
    int64_t most = -1;
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] < 0 || indices[i] >= MAX_EXPERT) return 0;
        if (indices[i] > most) most = indices[i];
    }
    return (int)most + 1;
}

static void explain(search *s, int n_expert, int64_t *n_of, unsigned char *candidate, bool *is_set)
{
    int64_t n_failed = find_candidates(s, n_expert, n_of, candidate);
    bool found = false;
    for (int e = 0; e < n_expert && n_failed; e++)
        if (candidate[e] && n_of[e] == n_failed) s->named[e] = found = true;
    /* When every token failed, sets that cover them all exist by chance and say nothing. */
    *is_set = !found;
    if (found || !n_failed || n_failed == s->n_tok) return;
    int n_branch = s->n_chosen;
    for (int size = 2; size <= TESS_BLAME_MAX_SET && !found && n_branch <= MAX_BRANCHES; size++) {
        found = complete(s, 0, size);
        n_branch *= s->n_chosen;
    }
}

/* ---- by the size of errors ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* How the errors of an expert's tokens compare with those of the others: 0 if one of the others failed or
 * they do not stand out, 2 if all of them are larger, else 1. room: [n_tok] */
static int stands_out(const search *s, int expert, const float *error, float *room)
{
    int64_t n_own = 0, n_other = 0;
    for (int64_t t = 0; t < s->n_tok; t++) {
        if (has_chosen(s, t, expert))
            room[n_own++] = error[t];
        else if (s->failed[t])
            return 0;
        else
            room[s->n_tok - ++n_other] = error[t];
    }
    if (!n_own || !n_other) return 0;
    float *other = room + n_own;
    qsort(room, (size_t)n_own, sizeof *room, by_size);
    qsort(other, (size_t)n_other, sizeof *other, by_size);
    if (!(room[(n_own - 1) / 2] > TESS_BLAME_APART * other[n_other / 2])) return 0;
    return room[0] > other[n_other - 1] ? 2 : 1;
}

static tess_status explain_by_size(const search *s, int n_expert, const float *error, tess_error *err)
{
    bool has_failed = false;
    for (int64_t t = 0; t < s->n_tok; t++) has_failed |= s->failed[t] != 0;
    if (!has_failed) return TESS_OK;
    float *room = malloc((size_t)s->n_tok * sizeof *room);
    if (!room) return tess_fail(err, TESS_ENOMEM, "no memory to look for the experts at fault");
    int most = 1;
    for (int e = 0; e < n_expert; e++) {
        int grade = stands_out(s, e, error, room);
        if (grade > most) {
            memset(s->named, 0, (size_t)n_expert);
            most = grade;
        }
        s->named[e] = grade == most;
    }
    free(room);
    return TESS_OK;
}

tess_status tess_blame_experts(const int64_t *indices, int64_t n_tok, int n_chosen,
                               const unsigned char *failed, const float *error, int *out, int room,
                               int *n_out, bool *is_set, tess_error *err)
{
    *n_out = 0;
    *is_set = false;
    int n_expert = count_experts(indices, n_tok * n_chosen);
    if (!n_expert) return TESS_OK;
    search s = {indices, n_tok, n_chosen, failed, NULL, NULL, NULL, {0}};
    int64_t *n_of = calloc((size_t)n_expert, sizeof *n_of);
    unsigned char *flags = calloc(2 * (size_t)n_expert + (size_t)n_tok, 1);
    if (!n_of || !flags) {
        free(n_of);
        free(flags);
        return tess_fail(err, TESS_ENOMEM, "no memory to look for the experts at fault");
    }
    s.candidate = flags;
    s.named = flags + n_expert;
    s.covered = flags + 2 * (size_t)n_expert;
    explain(&s, n_expert, n_of, flags, is_set);
    tess_status status = TESS_OK;
    if (error && !memchr(s.named, 1, (size_t)n_expert)) {
        *is_set = false;
        status = explain_by_size(&s, n_expert, error, err);
    }
    for (int e = 0; e < n_expert && *n_out < room; e++)
        if (s.named[e]) out[(*n_out)++] = e;
    free(n_of);
    free(flags);
    return status;
}
