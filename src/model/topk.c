/* Which of two equal experts is chosen.
 *
 * In bfloat16 router logits are often equal, and an expert chosen differently changes a token's output by as
 * much as any defect would. The original's torch.topk promises no order among equals, but it has one: it
 * selects with the C++ standard library, by nth_element where 64 k > n and by a heap otherwise, on (value,
 * id) pairs compared by value alone. QUIRK: this file takes the same steps as GNU's implementation of those
 * two algorithms, so that equals end up where the original puts them. tests/golden/topk holds the original's
 * answers.
 *
 * comes_first(a, b) is the only comparison; everything below treats equal values as neither before nor after.
 */
#include "model/topk.h"

#include <stdbool.h>

static bool comes_first(tess_candidate a, tess_candidate b)
{
    return a.value > b.value;
}

static void swap(tess_candidate *a, tess_candidate *b)
{
    tess_candidate t = *a;
    *a = *b;
    *b = t;
}

/* ---- heap: the root is the one that would leave first ---- */

/* Puts `value` into the hole: the hole sinks to a leaf along the later children, then rises to its place. */
static void fill_hole(tess_candidate *heap, int hole, int n, tess_candidate value)
{
    int top = hole, child = hole;
    while (child < (n - 1) / 2) {
        child = 2 * child + 2;
        if (comes_first(heap[child], heap[child - 1])) child--;
        heap[hole] = heap[child];
        hole = child;
    }
    if (n % 2 == 0 && child == (n - 2) / 2) {
        child = 2 * child + 1;
        heap[hole] = heap[child];
        hole = child;
    }
    for (int parent = (hole - 1) / 2; hole > top && comes_first(heap[parent], value);
         parent = (hole - 1) / 2) {
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = value;
}

/* The k first of n come to stand in [0, k), as a heap. */
static void select_by_heap(tess_candidate *c, int k, int n)
{
    for (int parent = (k - 2) / 2; k > 1 && parent >= 0; parent--) fill_hole(c, parent, k, c[parent]);
    for (int i = k; i < n; i++) {
        if (!comes_first(c[i], c[0])) continue;
        tess_candidate value = c[i];
        c[i] = c[0];
        fill_hole(c, 0, k, value);
    }
}

static void sort_heap(tess_candidate *c, int n)
{
    for (int last = n - 1; last > 0; last--) {
        tess_candidate value = c[last];
        c[last] = c[0];
        fill_hole(c, 0, last, value);
    }
}

/* ---- quickselect ---- */

static void sort_by_insertion(tess_candidate *c, int n)
{
    for (int i = 1; i < n; i++) {
        tess_candidate value = c[i];
        int at = i;
        for (; at > 0 && comes_first(value, c[at - 1]); at--) c[at] = c[at - 1];
        c[at] = value;
    }
}

/* Swaps the median of c[1], the middle and the last into c[0]. */
static void move_median_to_front(tess_candidate *c, int n)
{
    tess_candidate *a = &c[1], *b = &c[n / 2], *last = &c[n - 1], *median;
    if (comes_first(*a, *b))
        median = comes_first(*b, *last) ? b : comes_first(*a, *last) ? last : a;
    else
        median = comes_first(*a, *last) ? a : comes_first(*b, *last) ? last : b;
    swap(&c[0], median);
}

/* Splits c[1 … n) around c[0]; returns where the second part begins. */
static int partition(tess_candidate *c, int n)
{
    tess_candidate pivot = c[0];
    int low = 1, high = n;
    for (;;) {
        while (comes_first(c[low], pivot)) low++;
        high--;
        while (comes_first(pivot, c[high])) high--;
        if (low >= high) return low;
        swap(&c[low++], &c[high]);
    }
}

static int log2_of(int n)
{
    int log = 0;
    while (n >>= 1) log++;
    return log;
}

/* c[nth] becomes what it would be if all were sorted; what comes first stands before it. */
static void select_nth(tess_candidate *c, int nth, int n)
{
    int first = 0, last = n;
    for (int depth = 2 * log2_of(n); last - first > 3; depth--) {
        if (depth == 0) { /* partitions went badly: a heap bounds the time */
            select_by_heap(c + first, nth + 1 - first, last - first);
            swap(&c[first], &c[nth]);
            return;
        }
        move_median_to_front(c + first, last - first);
        int cut = first + partition(c + first, last - first);
        if (cut <= nth)
            first = cut;
        else
            last = cut;
    }
    sort_by_insertion(c + first, last - first);
}

void tess_select_top(tess_candidate *candidate, int n, int k)
{
    if (64 * k <= n) {
        select_by_heap(candidate, k, n);
        sort_heap(candidate, k);
    } else {
        select_nth(candidate, k - 1, n);
        sort_by_insertion(candidate, k - 1);
    }
}
