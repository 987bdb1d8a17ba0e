/* A word starts as its bytes; the neighbours whose merge has the lowest rank, the leftmost of equals, become
 * one; and so on until no neighbours merge.
 *
 * Two ways lead there. Words are short as a rule: for them the ranks of all neighbours stand in an array that
 * is searched anew for each merge. From LONG_WORD bytes on (a run of one letter, a text in a script without
 * spaces) the neighbours stand in a heap and the symbols in a linked list, so that a megabyte without a break
 * takes n log n.
 */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_WORD = 48 };
static const uint32_t NONE = UINT32_MAX;

tess_status tess_bpe_init(tess_bpe *bpe, uint32_t n_merges, tess_error *err)
{
    unsigned bits = 4;
    while ((uint64_t)n_merges * 4 / 3 >= (uint64_t)1 << bits) bits++;
    size_t size = sizeof *bpe->slot << bits;
    bpe->slot = malloc(size);
    if (!bpe->slot) return tess_fail(err, TESS_ENOMEM, "no memory for %u merges", (unsigned)n_merges);
    memset(bpe->slot, 0xff, size);
    bpe->shift = 64 - bits;
    bpe->n_merges = 0;
    return TESS_OK;
}

void tess_bpe_release(tess_bpe *bpe)
{
    free(bpe->slot);
    *bpe = (tess_bpe){0};
}

/* The slot that holds the merge of two ids, or the empty one where it would stand. */
static tess_merge *find_slot(const tess_bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t mask = ((size_t)1 << (64 - bpe->shift)) - 1;
    for (size_t i = (size_t)((hash ^ hash << 32) >> bpe->shift);; i = (i + 1) & mask) {
        tess_merge *slot = &bpe->slot[i];
        if (slot->rank == NONE || (slot->left == left && slot->right == right)) return slot;
    }
}

uint32_t tess_bpe_add(tess_bpe *bpe, uint32_t left, uint32_t right, uint32_t joined)
{
    tess_merge *slot = find_slot(bpe, left, right);
    if (slot->rank != NONE) return slot->rank + 1;
    *slot = (tess_merge){left, right, bpe->n_merges++, joined};
    return 0;
}

static tess_status encode_short(const tess_bpe *bpe, const uint8_t *word, size_t n, tess_ids *ids)
{
    uint32_t symbol[LONG_WORD];
    const tess_merge *merge[LONG_WORD]; /* of symbol i and i + 1 */
    for (size_t i = 0; i < n; i++) symbol[i] = bpe->byte_id[word[i]];
    for (size_t i = 0; i + 1 < n; i++) merge[i] = find_slot(bpe, symbol[i], symbol[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (merge[i]->rank < merge[best]->rank) best = i;
        if (merge[best]->rank == NONE) break;
        symbol[best] = merge[best]->joined;
        n--;
        memmove(symbol + best + 1, symbol + best + 2, (n - best - 1) * sizeof *symbol);
        if (best + 1 < n) {
            memmove(merge + best + 1, merge + best + 2, (n - best - 2) * sizeof *merge);
            merge[best] = find_slot(bpe, symbol[best], symbol[best + 1]);
        }
        if (best > 0) merge[best - 1] = find_slot(bpe, symbol[best - 1], symbol[best]);
    }
    for (size_t i = 0; i < n; i++) ids->data[ids->count++] = (int32_t)symbol[i];
    return TESS_OK;
}

/* A long word: symbols linked to their neighbours, and a heap of candidates, rank << 32 | place of the left
 * symbol, so that the smallest number is the lowest rank and of equals the leftmost. A candidate is stale
 * when its symbols are no longer what they were; that shows when it is taken out. */
typedef struct symbol {
    uint32_t id, next, before; /* id NONE: joined into the one before */
} symbol;

typedef struct long_word {
    const tess_bpe *bpe;
    symbol *symbol;
    uint64_t *heap;
    size_t n_heap;
} long_word;

static void heap_push(long_word *w, uint64_t candidate)
{
    size_t at = w->n_heap++;
    for (; at > 0 && w->heap[(at - 1) / 2] > candidate; at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = candidate;
}

static uint64_t heap_pop(long_word *w)
{
    uint64_t top = w->heap[0], last = w->heap[--w->n_heap];
    size_t at = 0;
    for (size_t child = 1; child < w->n_heap; child = 2 * at + 1) {
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

static const tess_merge *merge_at(const long_word *w, uint32_t place)
{
    const symbol *left = &w->symbol[place];
    return find_slot(w->bpe, left->id, w->symbol[left->next].id);
}

/* Enters the neighbours `place` and its next, if there is a next and they merge. */
static void push_at(long_word *w, uint32_t place)
{
    if (w->symbol[place].next == NONE) return;
    uint32_t rank = merge_at(w, place)->rank;
    if (rank != NONE) heap_push(w, (uint64_t)rank << 32 | place);
}

static void join_all(long_word *w)
{
    while (w->n_heap) {
        uint64_t candidate = heap_pop(w);
        uint32_t place = (uint32_t)candidate;
        symbol *left = &w->symbol[place];
        if (left->id == NONE || left->next == NONE) continue;
        const tess_merge *merge = merge_at(w, place);
        if (merge->rank != candidate >> 32) continue;
        symbol *right = &w->symbol[left->next];
        left->id = merge->joined;
        left->next = right->next;
        right->id = NONE;
        if (left->next != NONE) w->symbol[left->next].before = place;
        push_at(w, place);
        if (left->before != NONE) push_at(w, left->before);
    }
}

static tess_status encode_long(const tess_bpe *bpe, const uint8_t *word, size_t n, tess_ids *ids,
                               tess_error *err)
{
    /* Fewer than n merges add at most two candidates each and take one: never more than 2n at a time. */
    long_word w = {bpe, malloc(n * sizeof *w.symbol), malloc(2 * n * sizeof *w.heap), 0};
    tess_status status = TESS_OK;
    if (w.symbol && w.heap) {
        for (uint32_t i = 0; i < n; i++)
            w.symbol[i] = (symbol){bpe->byte_id[word[i]], i + 1 < n ? i + 1 : NONE, i ? i - 1 : NONE};
        for (uint32_t i = 0; i < n; i++) push_at(&w, i);
        join_all(&w);
        for (uint32_t i = 0; i != NONE; i = w.symbol[i].next)
            ids->data[ids->count++] = (int32_t)w.symbol[i].id;
    } else {
        status = tess_fail(err, TESS_ENOMEM, "no memory for a word of %zu bytes", n);
    }
    free(w.symbol);
    free(w.heap);
    return status;
}

tess_status tess_bpe_encode(const tess_bpe *bpe, const uint8_t *word, size_t n, tess_ids *ids,
                            tess_error *err)
{
    if (ids->capacity - ids->count < n) {
        tess_status status = tess_ids_reserve(ids, n, err);
        if (status != TESS_OK) return status;
    }
    if (n < LONG_WORD) return encode_short(bpe, word, n, ids);
    return encode_long(bpe, word, n, ids, err);
}
