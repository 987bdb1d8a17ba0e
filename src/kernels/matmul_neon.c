/* Matrix product with bf16 weights, AArch64: eight planes of four lanes, tiles of 6 rows x 4 tokens. */
#include "kernels/vec_neon.h"

enum {
    PLANES = 8,
    PLANE_LANES = 4,
    TILE_ROWS = 6,
    TILE_TOKENS = 4,
    COLUMN_BLOCK = 1024,
    TOKEN_BLOCK_FLOATS = 128 * 1024, /* packed rows that stay in the L2 cache while rows of weights pass */
    ASK_LEVEL = 3,
    PACKED_AHEAD = 8192
};

typedef float32x4_t reg;
typedef uint16x8_t bits;
#define bits_keep(b) __asm__("" : "+w"(b))

VEC_INLINE reg reg_zero(void)
{
    return vdupq_n_f32(0.0f);
}

VEC_INLINE reg reg_load(const float *p)
{
    return vld1q_f32(p);
}

VEC_INLINE reg reg_fma(reg a, reg b, reg c)
{
    return vfmaq_f32(c, a, b);
}

VEC_INLINE reg reg_fma_n(reg a, reg b, reg c, size_t n)
{
    static const uint32_t window[8] = {~0u, ~0u, ~0u, ~0u};
    return vbslq_f32(vld1q_u32(window + 4 - n), vfmaq_f32(c, a, b), c);
}

VEC_INLINE bits bits_load(const uint16_t *w)
{
    return vld1q_u16(w);
}

VEC_INLINE reg reg_plane(bits b, size_t odd)
{
    const uint32x4_t pairs = vreinterpretq_u32_u16(b);
    if (odd) return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000u)));
    return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
}

typedef uint8x16_t codes_table;

VEC_INLINE codes_table table_load(const uint8_t table[16])
{
    return vld1q_u8(table);
}

VEC_INLINE codes_table table_enter(codes_table table, const uint8_t own[4])
{
    uint32_t last;
    memcpy(&last, own, sizeof last);
    return vreinterpretq_u8_u32(vsetq_lane_u32(last, vreinterpretq_u32_u8(table), 3));
}

VEC_INLINE void bits_unpack(bits out[2], const uint8_t *low, const uint8_t *codes, size_t half,
                            codes_table table)
{
    const uint8x16_t both = vld1q_u8(codes);
    const uint8x16_t code = half ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15));
    const uint8x16_t high = vqtbl1q_u8(table, code), lows = vld1q_u8(low);
    out[0] = vreinterpretq_u16_u8(vzip1q_u8(lows, high));
    out[1] = vreinterpretq_u16_u8(vzip2q_u8(lows, high));
}

VEC_INLINE bits bits_put(bits b, size_t pair, size_t k, uint16_t v)
{
    static const uint16_t lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint16x8_t here = vceqq_u16(vld1q_u16(lanes), vdupq_n_u16((uint16_t)(k - 8 * pair)));
    return vbslq_u16(here, vdupq_n_u16(v), b);
}

VEC_INLINE void bits_store(uint16_t *w, bits b)
{
    vst1q_u16(w, b);
}

/* Lane l of plane p is lane 8*(p/2) + 2*l + p%2 of the dot: step 16 adds plane p+4 to plane p, step 8 plane
 * p+2, steps 4 and 2 stay within a plane, step 1 adds the odd plane to the even. */
VEC_INLINE void reg_add_lanes4(float *out, reg acc[8][4])
{
    for (size_t j = 0; j < 4; j++) {
        const reg even = vaddq_f32(vaddq_f32(acc[0][j], acc[4][j]), vaddq_f32(acc[2][j], acc[6][j]));
        const reg odd = vaddq_f32(vaddq_f32(acc[1][j], acc[5][j]), vaddq_f32(acc[3][j], acc[7][j]));
        out[j] = vec_sum_quarter(even) + vec_sum_quarter(odd);
    }
}

#include "kernels/matmul_body.h"
