/* Matrix product with bf16 weights, AVX2 and FMA: four planes of eight lanes, tiles of 4 rows x 3 tokens. */
#include "kernels/vec_avx2.h"

enum {
    PLANES = 4,
    PLANE_LANES = 8,
    TILE_ROWS = 4,
    TILE_TOKENS = 3,
    COLUMN_BLOCK = 2048,
    TOKEN_BLOCK_FLOATS = 128 * 1024, /* packed rows that stay in the L2 cache while rows of weights pass */
    ASK_LEVEL = 3,
    PACKED_AHEAD = 8192
};

typedef __m256 reg;

VEC_INLINE reg reg_zero(void)
{
    return _mm256_setzero_ps();
}

VEC_INLINE reg reg_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

VEC_INLINE reg reg_fma(reg a, reg b, reg c)
{
    return _mm256_fmadd_ps(a, b, c);
}

VEC_INLINE reg reg_fma_n(reg a, reg b, reg c, size_t n)
{
    return _mm256_blendv_ps(c, _mm256_fmadd_ps(a, b, c), _mm256_castsi256_ps(vec_mask_lo(n)));
}

#define bits_keep(b) __asm__("" : "+x"(b))
typedef __m256i bits;

VEC_INLINE bits bits_load(const uint16_t *w)
{
    return _mm256_loadu_si256((const __m256i *)w);
}

VEC_INLINE reg reg_plane(bits b, size_t odd)
{
    if (odd) return _mm256_castsi256_ps(_mm256_and_si256(b, _mm256_set1_epi32((int)0xffff0000u)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(b, 16));
}

typedef __m256i codes_table;

VEC_INLINE codes_table table_load(const uint8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

VEC_INLINE codes_table table_enter(codes_table table, const uint8_t own[4])
{
    return _mm256_blend_epi32(table, _mm256_broadcastd_epi32(_mm_loadu_si32(own)), 0x88);
}

VEC_INLINE void bits_unpack(bits out[2], const uint8_t *low, const uint8_t *codes, size_t half,
                            codes_table table)
{
    __m256i code = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    if (half) code = _mm256_srli_epi16(code, 4);
    const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(code, _mm256_set1_epi8(15)));
    const __m256i lows = _mm256_loadu_si256((const __m256i *)(const void *)low);
    out[0] = _mm256_unpacklo_epi8(lows, high);
    out[1] = _mm256_unpackhi_epi8(lows, high);
}

VEC_INLINE bits bits_put(bits b, size_t pair, size_t k, uint16_t v)
{
    const __m256i lanes = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i here = _mm256_cmpeq_epi16(lanes, _mm256_set1_epi16((short)(k - 16 * pair)));
    return _mm256_blendv_epi8(b, _mm256_set1_epi16((short)v), here);
}

VEC_INLINE void bits_store(uint16_t *w, bits b)
{
    _mm256_storeu_si256((__m256i *)w, b);
}

/* Lane l of planes 0 to 3 is lane 2l, 2l+1, 2l+16, 2l+17 of the dot: step 16 adds the upper planes to the
 * lower, steps 8, 4, 2 stay within a plane, step 1 adds the odd plane to the even. */
VEC_INLINE float add_lanes(reg p0, reg p1, reg p2, reg p3)
{
    const __m256 even = _mm256_add_ps(p0, p2), odd = _mm256_add_ps(p1, p3);
    const __m128 e4 = _mm_add_ps(_mm256_castps256_ps128(even), _mm256_extractf128_ps(even, 1));
    const __m128 o4 = _mm_add_ps(_mm256_castps256_ps128(odd), _mm256_extractf128_ps(odd, 1));
    const __m128 eo = _mm_add_ps(_mm_movelh_ps(e4, o4), _mm_movehl_ps(o4, e4)); /* e e o o */
    const __m128 sums = _mm_add_ps(eo, _mm_movehdup_ps(eo));                    /* e . o . */
    return _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehl_ps(sums, sums)));
}

VEC_INLINE void reg_add_lanes4(float *out, reg acc[4][4])
{
    for (size_t j = 0; j < 4; j++) out[j] = add_lanes(acc[0][j], acc[1][j], acc[2][j], acc[3][j]);
}

#include "kernels/matmul_body.h"
