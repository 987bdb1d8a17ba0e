/* Attention, written once over sixteen lanes; each instruction set's file includes its vec_*.h and then this.
 *
 * The queries read the keys once for all of them. Sixteen queries lie in the lanes of a vector each: the
 * canonical lanes of their dots are vectors of their own, so that the final trees are additions without a
 * shuffle, and maximum, exponential and sum go key by key; the scores of a key lie next to each other. What
 * is left of the queries goes one by one through dots of 32 lanes (two vectors), four keys at a time, so that
 * their final trees share their shuffles.
 *
 * Narrow keys and values are widened a block at a time, near the core, and walked as wide ones are.
 *
 * The sum over values has one accumulator per output element: a tile of queries x vectors holds them in
 * registers, a block of keys at a time, and puts them back in `out` between blocks, which changes no bit.
 */
#include "kernels/kernel_list.h"

enum {
    KEY_GROUP = 4,  /* keys whose trees are added together */
    KEY_BLOCK = 64, /* keys whose values stay in the L1 cache while all tiles visit them */
    TILE_HEADS = 4,
    TILE_VECS = VEC_REGISTERS >= 32 ? 4 : 1,
    LONE_VECS = VEC_REGISTERS >= 32 ? 8 : 4, /* of a head that has no company */
    GROUP_KEYS = VEC_REGISTERS / 4,          /* three subtrees of each lie in registers */
    GROUP_MAX_HEAD = 512,
    NEAR_KEYS = 16 /* of narrow ones: more fill the L1 cache, and cost a tenth */
};

/* Keys or values of a head, wide or narrow. */
typedef struct attended {
    const float *wide; /* NULL: */
    const uint16_t *narrow;
    size_t stride;
} attended;

/* How many keys are walked at a time; of narrow ones, however wide, at least one. */
VEC_INLINE size_t near_rows(const attended *rows, size_t d_head)
{
    if (rows->wide) return KEY_BLOCK;
    const size_t most = TESS_NARROW_MAX_HEAD / d_head;
    return most < NEAR_KEYS ? most : NEAR_KEYS;
}

/* Rows j .. j+n-1 of keys or values, at most near_rows(); *stride is their distance. */
static const float *bring_near(float near[TESS_NARROW_MAX_HEAD], const attended *rows, size_t j, size_t n,
                               size_t d_head, size_t *stride)
{
    *stride = rows->wide ? rows->stride : d_head;
    if (rows->wide) return rows->wide + j * rows->stride;
    const uint16_t *from = rows->narrow + j * rows->stride;
    if (rows->stride == d_head)
        KERNEL(widen, bf16)(near, from, n * d_head);
    else
        for (size_t i = 0; i < n; i++)
            KERNEL(widen, bf16)(near + i * d_head, from + i * rows->stride, d_head);
    return near;
}

VEC_INLINE vec rounded_vec(vec a, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? vec_round_bf16(a) : a;
}

/* out[j] = dot(q, key_j) for four keys. */
VEC_INLINE void dot4(float *out, const float *q, const float *keys, size_t kv_stride, size_t d_head)
{
    vec low[KEY_GROUP], high[KEY_GROUP]; /* lanes 0-15 and 16-31 */
    for (size_t j = 0; j < KEY_GROUP; j++) low[j] = high[j] = vec_set(0.0f);
    size_t k = 0;
    for (; k + 32 <= d_head; k += 32) {
        const vec a = vec_load(q + k), b = vec_load(q + k + 16);
        for (size_t j = 0; j < KEY_GROUP; j++) {
            low[j] = vec_fma(a, vec_load(keys + j * kv_stride + k), low[j]);
            high[j] = vec_fma(b, vec_load(keys + j * kv_stride + k + 16), high[j]);
        }
    }
    for (size_t j = 0; j < KEY_GROUP; j++) {
        const float *key = keys + j * kv_stride;
        const size_t n = d_head - k;
        if (n > 0) low[j] = vec_fma_n(vec_load_n(q + k, n), vec_load_n(key + k, n), low[j], n);
        if (n > 16)
            high[j] =
                vec_fma_n(vec_load_n(q + k + 16, n - 16), vec_load_n(key + k + 16, n - 16), high[j], n - 16);
    }
    vec_sum4(out, vec_add(low[0], high[0]), vec_add(low[1], high[1]), vec_add(low[2], high[2]),
             vec_add(low[3], high[3]));
}

/* The scores of n keys that are near; those of a query lie `stride` behind the query's before. */
static void near_scores(float *scores, size_t stride, const float *q, size_t n_query, const float *keys,
                        size_t kv_stride, size_t n, size_t d_head)
{
    size_t j = 0;
    for (; j + KEY_GROUP <= n; j += KEY_GROUP)
        for (size_t h = 0; h < n_query; h++)
            dot4(scores + h * stride + j, q + h * d_head, keys + j * kv_stride, kv_stride, d_head);
    for (; j < n; j++)
        for (size_t h = 0; h < n_query; h++)
            scores[h * stride + j] = KERNEL(dot, f32)(q + h * d_head, keys + j * kv_stride, d_head);
}

static void scores_of(float *scores, const float *q, size_t n_query, const attended *keys, size_t n_key,
                      size_t d_head, float near[TESS_NARROW_MAX_HEAD])
{
    const size_t n_near = near_rows(keys, d_head);
    for (size_t j = 0, n; j < n_key; j += n) {
        size_t stride;
        n = n_key - j < n_near ? n_key - j : n_near;
        const float *block = bring_near(near, keys, j, n, d_head, &stride);
        near_scores(scores + j, n_key, q, n_query, block, stride, n, d_head);
    }
}

static void weights_of(float *scores, size_t n_key, float scale, tess_rounding rounding)
{
    const vec s = vec_set(scale);
    for (size_t j = 0; j < n_key; j += 16) {
        const vec dots = rounded_vec(vec_load_n(scores + j, n_key - j), rounding);
        vec_store_n(scores + j, rounded_vec(vec_mul(dots, s), rounding), n_key - j);
    }
    KERNEL(softmax, f32)(scores, n_key);
    if (rounding == TESS_ROUND_BF16) KERNEL(round_bf16, f32)(scores, n_key);
}

/* Adds n_key values to `heads` x `vecs` accumulators in out. The weight of head h and key j is
 * p[h*p_stride + j*p_step]. */
VEC_INLINE void add_values(float *out, const float *p, size_t p_stride, size_t p_step, const float *values,
                           size_t kv_stride, size_t n_key, size_t d_head, size_t heads, size_t vecs)
{
    vec acc[TILE_HEADS][LONE_VECS];
    for (size_t h = 0; h < heads; h++)
        for (size_t v = 0; v < vecs; v++) acc[h][v] = vec_load(out + h * d_head + 16 * v);
    for (size_t j = 0; j < n_key; j++) {
        vec value[LONE_VECS];
        for (size_t v = 0; v < vecs; v++) value[v] = vec_load(values + j * kv_stride + 16 * v);
        for (size_t h = 0; h < heads; h++) {
            const vec weight = vec_set(p[h * p_stride + j * p_step]);
            for (size_t v = 0; v < vecs; v++) acc[h][v] = vec_fma(weight, value[v], acc[h][v]);
        }
    }
    for (size_t h = 0; h < heads; h++)
        for (size_t v = 0; v < vecs; v++) vec_store(out + h * d_head + 16 * v, acc[h][v]);
}

/* The same for the last n < 16 elements of one head. */
static void add_values_tail(float *out, const float *p, const float *values, size_t kv_stride, size_t n_key,
                            size_t n)
{
    vec acc = vec_load_n(out, n);
    for (size_t j = 0; j < n_key; j++)
        acc = vec_fma(vec_set(p[j]), vec_load_n(values + j * kv_stride, n), acc);
    vec_store_n(out, acc, n);
}

/* One block of keys for `heads` heads, whole vectors only. Returns how many elements those are. */
VEC_INLINE size_t add_whole(float *out, const float *p, size_t p_stride, size_t p_step, const float *values,
                            size_t kv_stride, size_t n_key, size_t d_head, size_t heads)
{
    size_t e = 0;
    for (; heads == 1 && e + 16 * LONE_VECS <= d_head; e += 16 * LONE_VECS)
        add_values(out + e, p, p_stride, p_step, values + e, kv_stride, n_key, d_head, heads, LONE_VECS);
    for (; e + 16 * TILE_VECS <= d_head; e += 16 * TILE_VECS)
        add_values(out + e, p, p_stride, p_step, values + e, kv_stride, n_key, d_head, heads, TILE_VECS);
    for (; e + 16 <= d_head; e += 16)
        add_values(out + e, p, p_stride, p_step, values + e, kv_stride, n_key, d_head, heads, 1);
    return e;
}

/* One block of keys for `heads` heads. */
VEC_INLINE void add_block(float *out, const float *p, size_t p_stride, const float *values, size_t kv_stride,
                          size_t n_key, size_t d_head, size_t heads)
{
    const size_t e = add_whole(out, p, p_stride, 1, values, kv_stride, n_key, d_head, heads);
    for (size_t h = 0; h < heads && e < d_head; h++)
        add_values_tail(out + h * d_head + e, p + h * p_stride, values + e, kv_stride, n_key, d_head - e);
}

static void attend_heads(float *out, const float *q, size_t n_query, const attended *keys,
                         const attended *values, size_t n_key, size_t d_head, float scale, float *scores,
                         tess_rounding rounding)
{
    const size_t n_near = near_rows(values, d_head);
    float near[TESS_NARROW_MAX_HEAD] __attribute__((aligned(64)));
    scores_of(scores, q, n_query, keys, n_key, d_head, near);
    for (size_t h = 0; h < n_query; h++) weights_of(scores + h * n_key, n_key, scale, rounding);
    for (size_t i = 0; i < n_query * d_head; i++) out[i] = 0.0f;
    for (size_t j = 0, n; j < n_key; j += n) {
        size_t h = 0, kv_stride;
        n = n_key - j < n_near ? n_key - j : n_near;
        const float *block = bring_near(near, values, j, n, d_head, &kv_stride);
        for (; h + TILE_HEADS <= n_query; h += TILE_HEADS)
            add_block(out + h * d_head, scores + h * n_key + j, n_key, block, kv_stride, n, d_head,
                      TILE_HEADS);
        for (; h < n_query; h++)
            add_block(out + h * d_head, scores + h * n_key + j, n_key, block, kv_stride, n, d_head, 1);
    }
}

/* -- sixteen queries -- */

/* turned[k] = element k of every query. */
static void turn_queries(float turned[][TESS_QUERY_GRAIN], const float *q, size_t d_head)
{
    for (size_t k = 0; k < d_head; k++)
        for (size_t i = 0; i < TESS_QUERY_GRAIN; i++) turned[k][i] = q[i * d_head + k];
}

/* Lane i of the dots of all queries with `n` keys: their elements i, i+32, ... */
VEC_INLINE void lane_of(vec lane[GROUP_KEYS], float turned[][TESS_QUERY_GRAIN], const float *keys,
                        size_t kv_stride, size_t d_head, size_t i, size_t n)
{
    for (size_t j = 0; j < n; j++) lane[j] = vec_set(0.0f);
    for (size_t k = i; k < d_head; k += 32) {
        const vec element = vec_load(turned[k]);
        for (size_t j = 0; j < n; j++) lane[j] = vec_fma(element, vec_set(keys[j * kv_stride + k]), lane[j]);
    }
}

/* Lane i after the steps of the tree that add lanes 16 and 8 on. */
VEC_INLINE void lanes_from(vec sum[GROUP_KEYS], float turned[][TESS_QUERY_GRAIN], const float *keys,
                           size_t kv_stride, size_t d_head, size_t i, size_t n)
{
    vec a[GROUP_KEYS], b[GROUP_KEYS];
    lane_of(sum, turned, keys, kv_stride, d_head, i, n);
    lane_of(a, turned, keys, kv_stride, d_head, i + 16, n);
    for (size_t j = 0; j < n; j++) sum[j] = vec_add(sum[j], a[j]);
    lane_of(a, turned, keys, kv_stride, d_head, i + 8, n);
    lane_of(b, turned, keys, kv_stride, d_head, i + 24, n);
    for (size_t j = 0; j < n; j++) sum[j] = vec_add(sum[j], vec_add(a[j], b[j]));
}

/* dots[j] = the dots of all queries with key j, `n` keys: a lane of the canonical order at a time, a query in
 * each lane of a vector, so that the tree needs no shuffle. */
VEC_INLINE void dots_of(vec dots[GROUP_KEYS], float turned[][TESS_QUERY_GRAIN], const float *keys,
                        size_t kv_stride, size_t d_head, size_t n)
{
    static const size_t order[8] = {0, 4, 2, 6, 1, 5, 3, 7}; /* partners in the tree next to each other */
    vec level[3][GROUP_KEYS];                                /* finished subtrees that wait for a partner */
    for (size_t t = 0; t < 8; t++) {
        vec sum[GROUP_KEYS];
        lanes_from(sum, turned, keys, kv_stride, d_head, order[t], n);
        size_t depth = 0;
        for (; t >> depth & 1; depth++)
            for (size_t j = 0; j < n; j++) sum[j] = vec_add(level[depth][j], sum[j]);
        for (size_t j = 0; j < n; j++) (depth < 3 ? level[depth] : dots)[j] = sum[j];
    }
}

/* The scores of key j, which only queries with n_seen > j see. */
static vec hide_scores(vec score, const size_t *n_seen, size_t j)
{
    float lane[TESS_QUERY_GRAIN];
    vec_store(lane, score);
    for (size_t h = 0; h < TESS_QUERY_GRAIN; h++)
        if (n_seen[h] <= j) lane[h] = -INFINITY;
    return vec_load(lane);
}

/* scores[j] = the scaled dots of keys first .. first+n_key-1, which are near. Returns the greater of `max`
 * and their maxima. */
VEC_INLINE vec near_group_scores(float *scores, float turned[][TESS_QUERY_GRAIN], const float *keys,
                                 size_t kv_stride, size_t first, size_t n_key, const size_t *n_seen,
                                 size_t d_head, float scale, tess_rounding rounding, vec max)
{
    const vec s = vec_set(scale);
    vec dots[GROUP_KEYS];
    for (size_t j = 0, n; j < n_key; j += n) {
        if (n_key - j >= GROUP_KEYS)
            dots_of(dots, turned, keys + j * kv_stride, kv_stride, d_head, n = GROUP_KEYS);
        else
            dots_of(dots, turned, keys + j * kv_stride, kv_stride, d_head, n = 1);
        for (size_t i = 0; i < n; i++) {
            const size_t key = first + j + i;
            vec score = rounded_vec(vec_mul(rounded_vec(dots[i], rounding), s), rounding);
            if (key >= n_seen[0]) score = hide_scores(score, n_seen, key);
            vec_store(scores + key * TESS_QUERY_GRAIN, score);
            max = vec_max_n(max, score, 16);
        }
    }
    return max;
}

/* The scores of all keys. Returns their maxima. */
static vec group_scores(float *scores, float turned[][TESS_QUERY_GRAIN], const attended *keys,
                        const size_t *n_seen, size_t d_head, float scale, tess_rounding rounding,
                        float near[TESS_NARROW_MAX_HEAD])
{
    const size_t n_key = n_seen[TESS_QUERY_GRAIN - 1], n_near = near_rows(keys, d_head);
    vec max = vec_set(-INFINITY);
    for (size_t j = 0, n; j < n_key; j += n) {
        size_t stride;
        n = n_key - j < n_near ? n_key - j : n_near;
        const float *block = bring_near(near, keys, j, n, d_head, &stride);
        max = near_group_scores(scores, turned, block, stride, j, n, n_seen, d_head, scale, rounding, max);
    }
    return max;
}

/* scores = exp(scores - max). Returns their sums: sixteen lanes by the position of the key. */
static vec group_exponentials(float *scores, size_t n_key, vec max)
{
    vec lane[TESS_SUM_LANES];
    for (size_t i = 0; i < TESS_SUM_LANES; i++) lane[i] = vec_set(0.0f);
    for (size_t j = 0; j < n_key; j++) {
        const vec e = vec_exp(vec_sub(vec_load(scores + j * TESS_QUERY_GRAIN), max));
        vec_store(scores + j * TESS_QUERY_GRAIN, e);
        lane[j % TESS_SUM_LANES] = vec_add(lane[j % TESS_SUM_LANES], e);
    }
    for (size_t half = TESS_SUM_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) lane[i] = vec_add(lane[i], lane[i + half]);
    return lane[0];
}

/* Adds n_key values to the last `n` <= 8 elements of eight queries. */
VEC_INLINE void add_values8(float *out, const float *p, const float *values, size_t kv_stride, size_t n_key,
                            size_t d_head, size_t n)
{
    vec8 acc[8];
    for (size_t h = 0; h < 8; h++) acc[h] = vec8_load_n(out + h * d_head, n);
    for (size_t j = 0; j < n_key; j++) {
        const vec8 value = vec8_load_n(values + j * kv_stride, n);
        for (size_t h = 0; h < 8; h++)
            acc[h] = vec8_fma(vec8_set(p[j * TESS_QUERY_GRAIN + h]), value, acc[h]);
    }
    for (size_t h = 0; h < 8; h++) vec8_store_n(out + h * d_head, acc[h], n);
}

/* One block of keys that all of the queries see. */
static void add_group_block(float *out, const float *p, const float *values, size_t kv_stride, size_t n_key,
                            size_t d_head)
{
    size_t e = 0;
    for (size_t h = 0; h < TESS_QUERY_GRAIN; h += TILE_HEADS)
        e = add_whole(out + h * d_head, p + h, 1, TESS_QUERY_GRAIN, values, kv_stride, n_key, d_head,
                      TILE_HEADS);
    for (; e + 8 <= d_head; e += 8)
        for (size_t h = 0; h < TESS_QUERY_GRAIN; h += 8)
            add_values8(out + h * d_head + e, p + h, values + e, kv_stride, n_key, d_head, 8);
    for (size_t h = 0; h < TESS_QUERY_GRAIN && e < d_head; h += 8)
        add_values8(out + h * d_head + e, p + h, values + e, kv_stride, n_key, d_head, d_head - e);
}

/* n_seen[h] ascends: the keys that query h sees. */
static void attend_group(float *out, const float *q, const attended *keys, const attended *values,
                         const size_t *n_seen, size_t d_head, float scale, float *scores,
                         tess_rounding rounding)
{
    const size_t n_key = n_seen[TESS_QUERY_GRAIN - 1], n_near = near_rows(values, d_head);
    float turned[GROUP_MAX_HEAD][TESS_QUERY_GRAIN], near[TESS_NARROW_MAX_HEAD] __attribute__((aligned(64)));
    turn_queries(turned, q, d_head);
    const vec max = group_scores(scores, turned, keys, n_seen, d_head, scale, rounding, near);
    const vec sum = group_exponentials(scores, n_key, max);
    for (size_t i = 0; i < TESS_QUERY_GRAIN * d_head; i++) out[i] = 0.0f;
    for (size_t j = 0, n; j < n_key; j += n) {
        float *p = scores + j * TESS_QUERY_GRAIN;
        const size_t n_common = j < n_seen[0] ? n_seen[0] - j : 0;
        size_t stride;
        n = n_common == 0 ? 1 : n_common < n_near ? n_common : n_near;
        for (size_t i = 0; i < n * TESS_QUERY_GRAIN; i += TESS_QUERY_GRAIN)
            vec_store(p + i, rounded_vec(vec_div(vec_load(p + i), sum), rounding));
        const float *block = bring_near(near, values, j, n, d_head, &stride);
        if (n_common) add_group_block(out, p, block, stride, n, d_head);
        for (size_t h = 0; h < TESS_QUERY_GRAIN && n_common == 0; h++)
            if (n_seen[h] > j) add_block(out + h * d_head, p + h, 1, block, stride, 1, d_head, 1);
    }
}

static void attend(float *out, const float *q, size_t n_query, size_t n_together, const attended *keys,
                   const attended *values, size_t n_key, size_t d_head, float scale, float *scores,
                   tess_rounding rounding)
{
    size_t h = 0;
    for (; n_query - h >= TESS_QUERY_GRAIN && d_head <= GROUP_MAX_HEAD; h += TESS_QUERY_GRAIN) {
        size_t n_seen[TESS_QUERY_GRAIN];
        for (size_t i = 0; i < TESS_QUERY_GRAIN; i++) n_seen[i] = n_key + (h + i) / n_together;
        attend_group(out + h * d_head, q + h * d_head, keys, values, n_seen, d_head, scale, scores, rounding);
    }
    for (size_t n; h < n_query; h += n) {
        n = n_together - h % n_together;
        if (n > n_query - h) n = n_query - h;
        attend_heads(out + h * d_head, q + h * d_head, n, keys, values, n_key + h / n_together, d_head, scale,
                     scores, rounding);
    }
    if (rounding == TESS_ROUND_BF16) KERNEL(round_bf16, f32)(out, n_query * d_head);
}

void KERNEL(attend, f32)(float *out, const float *q, size_t n_query, size_t n_together, const float *keys,
                         const float *values, size_t kv_stride, size_t n_key, size_t d_head, float scale,
                         float *scores, tess_rounding rounding)
{
    attend(out, q, n_query, n_together, &(attended){.wide = keys, .stride = kv_stride},
           &(attended){.wide = values, .stride = kv_stride}, n_key, d_head, scale, scores, rounding);
}

void KERNEL(attend_narrow, bf16)(float *out, const float *q, size_t n_query, size_t n_together,
                                 const uint16_t *keys, const uint16_t *values, size_t kv_stride, size_t n_key,
                                 size_t d_head, float scale, float *scores, tess_rounding rounding)
{
    attend(out, q, n_query, n_together, &(attended){.narrow = keys, .stride = kv_stride},
           &(attended){.narrow = values, .stride = kv_stride}, n_key, d_head, scale, scores, rounding);
}
