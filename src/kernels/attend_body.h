/* Attention, written once over sixteen lanes; each instruction set's file includes its vec_*.h and then this.
 *
 * Query heads that share a key-value head go together: a key is read once for all of them. Scores are dots of
 * 32 lanes (two vectors), four keys at a time, so that their final trees share their shuffles. The sum over
 * values has one accumulator per output element: a tile of heads x vectors holds them in registers, a block
 * of keys at a time, and puts them back in `out` between blocks, which changes no bit.
 */
#include "kernels/kernel_list.h"

enum {
    KEY_GROUP = 4,  /* keys whose trees are added together */
    KEY_BLOCK = 64, /* keys whose values stay in the L1 cache while all tiles visit them */
    TILE_HEADS = 4,
    TILE_VECS = VEC_REGISTERS >= 32 ? 4 : 1,
    LONE_VECS = VEC_REGISTERS >= 32 ? 8 : 4 /* of a head that has no company */
};

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

static void scores_of(float *scores, const float *q, size_t n_query, const float *keys, size_t kv_stride,
                      size_t n_key, size_t d_head)
{
    size_t j = 0;
    for (; j + KEY_GROUP <= n_key; j += KEY_GROUP)
        for (size_t h = 0; h < n_query; h++)
            dot4(scores + h * n_key + j, q + h * d_head, keys + j * kv_stride, kv_stride, d_head);
    for (; j < n_key; j++)
        for (size_t h = 0; h < n_query; h++)
            scores[h * n_key + j] = KERNEL(dot, f32)(q + h * d_head, keys + j * kv_stride, d_head);
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

/* Adds n_key values to `heads` x `vecs` accumulators in out. */
VEC_INLINE void add_values(float *out, const float *p, size_t p_stride, const float *values, size_t kv_stride,
                           size_t n_key, size_t d_head, size_t heads, size_t vecs)
{
    vec acc[TILE_HEADS][LONE_VECS];
    for (size_t h = 0; h < heads; h++)
        for (size_t v = 0; v < vecs; v++) acc[h][v] = vec_load(out + h * d_head + 16 * v);
    for (size_t j = 0; j < n_key; j++) {
        vec value[LONE_VECS];
        for (size_t v = 0; v < vecs; v++) value[v] = vec_load(values + j * kv_stride + 16 * v);
        for (size_t h = 0; h < heads; h++) {
            const vec weight = vec_set(p[h * p_stride + j]);
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

/* One block of keys for `heads` heads. */
VEC_INLINE void add_block(float *out, const float *p, size_t p_stride, const float *values, size_t kv_stride,
                          size_t n_key, size_t d_head, size_t heads)
{
    size_t e = 0;
    for (; heads == 1 && e + 16 * LONE_VECS <= d_head; e += 16 * LONE_VECS)
        add_values(out + e, p, p_stride, values + e, kv_stride, n_key, d_head, heads, LONE_VECS);
    for (; e + 16 * TILE_VECS <= d_head; e += 16 * TILE_VECS)
        add_values(out + e, p, p_stride, values + e, kv_stride, n_key, d_head, heads, TILE_VECS);
    for (; e + 16 <= d_head; e += 16)
        add_values(out + e, p, p_stride, values + e, kv_stride, n_key, d_head, heads, 1);
    for (size_t h = 0; h < heads && e < d_head; h++)
        add_values_tail(out + h * d_head + e, p + h * p_stride, values + e, kv_stride, n_key, d_head - e);
}

void KERNEL(attend, f32)(float *out, const float *q, size_t n_query, const float *keys, const float *values,
                         size_t kv_stride, size_t n_key, size_t d_head, float scale, float *scores,
                         tess_rounding rounding)
{
    scores_of(scores, q, n_query, keys, kv_stride, n_key, d_head);
    for (size_t h = 0; h < n_query; h++) weights_of(scores + h * n_key, n_key, scale, rounding);
    for (size_t i = 0; i < n_query * d_head; i++) out[i] = 0.0f;
    for (size_t j = 0; j < n_key; j += KEY_BLOCK) {
        const size_t n = n_key - j < KEY_BLOCK ? n_key - j : KEY_BLOCK;
        const float *block = values + j * kv_stride;
        size_t h = 0;
        for (; h + TILE_HEADS <= n_query; h += TILE_HEADS)
            add_block(out + h * d_head, scores + h * n_key + j, n_key, block, kv_stride, n, d_head,
                      TILE_HEADS);
        for (; h < n_query; h++)
            add_block(out + h * d_head, scores + h * n_key + j, n_key, block, kv_stride, n, d_head, 1);
    }
    if (rounding == TESS_ROUND_BF16) KERNEL(round_bf16, f32)(out, n_query * d_head);
}
