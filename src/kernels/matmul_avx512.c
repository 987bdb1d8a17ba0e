/* Matrix product with bf16 weights, AVX-512: two planes of sixteen lanes, tiles of 6 rows x 4 tokens. */
#include "kernels/vec_avx512.h"

enum {
    PLANES = 2,
    PLANE_LANES = 16,
    TILE_ROWS = 6,
    TILE_TOKENS = 4,
    COLUMN_BLOCK = 2048,
    TOKEN_BLOCK_FLOATS = 384 * 1024, /* packed rows that stay near while rows of weights pass */
    ASK_LEVEL = 2,
    PACKED_AHEAD = 1024
};

typedef __m512 reg;

VEC_INLINE reg reg_zero(void)
{
    return _mm512_setzero_ps();
}

VEC_INLINE reg reg_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

VEC_INLINE reg reg_fma(reg a, reg b, reg c)
{
    return _mm512_fmadd_ps(a, b, c);
}

VEC_INLINE reg reg_fma_n(reg a, reg b, reg c, size_t n)
{
    return vec_fma_n(a, b, c, n);
}

#define bits_keep(b) __asm__("" : "+v"(b))
typedef __m512i bits;

VEC_INLINE bits bits_load(const uint16_t *w)
{
    return _mm512_loadu_si512(w);
}

VEC_INLINE reg reg_plane(bits b, size_t odd)
{
    if (odd) return _mm512_castsi512_ps(_mm512_and_si512(b, _mm512_set1_epi32((int)0xffff0000u)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(b, 16));
}

typedef __m512i codes_table;

VEC_INLINE codes_table table_load(const uint8_t table[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table));
}

VEC_INLINE codes_table table_enter(codes_table table, const uint8_t own[4])
{
    return _mm512_mask_broadcastd_epi32(table, 0x8888, _mm_loadu_si32(own));
}

VEC_INLINE void bits_unpack(bits out[2], const uint8_t *low, const uint8_t *codes, size_t half,
                            codes_table table)
{
    __m512i code = _mm512_loadu_si512(codes);
    if (half) code = _mm512_srli_epi16(code, 4);
    const __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(code, _mm512_set1_epi8(15)));
    const __m512i lows = _mm512_loadu_si512(low);
    out[0] = _mm512_unpacklo_epi8(lows, high);
    out[1] = _mm512_unpackhi_epi8(lows, high);
}

VEC_INLINE bits bits_put(bits b, size_t pair, size_t k, uint16_t v)
{
    (void)pair;
    return _mm512_mask_set1_epi16(b, (__mmask32)1 << k, (short)v);
}

VEC_INLINE void bits_store(uint16_t *w, bits b)
{
    _mm512_storeu_si512(w, b);
}

/* Lane l of the even plane is lane 2l of the dot, lane l of the odd plane lane 2l+1: steps 16, 8, 4, 2 stay
 * within a plane, step 1 adds odd to even. */
VEC_INLINE void reg_add_lanes4(float *out, reg acc[2][4])
{
    const __m128 even = vec_sums4(acc[0][0], acc[0][1], acc[0][2], acc[0][3]);
    _mm_storeu_ps(out, _mm_add_ps(even, vec_sums4(acc[1][0], acc[1][1], acc[1][2], acc[1][3])));
}

#include "kernels/matmul_body.h"
