/* Matrix product with bf16 weights, AVX-512: two planes of sixteen lanes, tiles of 6 rows x 4 tokens. */
#include "kernels/vec_avx512.h"

enum {
    PLANES = 2,
    PLANE_LANES = 16,
    TILE_ROWS = 6,
    TILE_TOKENS = 4,
    COLUMN_BLOCK = 2048,
    TOKEN_BLOCK_FLOATS = 384 * 1024, /* packed rows that stay near while rows of weights pass */
    ASK_LEVEL = 2
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

/* Lane l of the even plane is lane 2l of the dot, lane l of the odd plane lane 2l+1: steps 16, 8, 4, 2 stay
 * within a plane, step 1 adds odd to even. */
VEC_INLINE void reg_add_lanes4(float *out, reg acc[2][4])
{
    const __m128 even = vec_sums4(acc[0][0], acc[0][1], acc[0][2], acc[0][3]);
    _mm_storeu_ps(out, _mm_add_ps(even, vec_sums4(acc[1][0], acc[1][1], acc[1][2], acc[1][3])));
}

#include "kernels/matmul_body.h"
