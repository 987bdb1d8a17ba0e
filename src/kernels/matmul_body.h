/* Matrix product with bf16 weights, written once; each instruction set's file says what a register is.
 *
 * Thirty-two bf16 are PLANES/2 registers, and each splits into its even and its odd elements by a shift and
 * a mask, no shuffle. So the 32 canonical lanes are PLANES registers of PLANE_LANES lanes: lane j of plane p
 * is element 2*j + p%2 of the (p/2)-th register. A packed row holds one plane after another.
 *
 * The lanes are independent until the final tree, and an accumulator may rest in memory, so a product with
 * many tokens is walked plane by plane and block of columns by block of columns: each (row, token) pair costs
 * one register at a time, and TILE_ROWS x TILE_TOKENS of them fill the register file. A block of weights is
 * gathered once in a small buffer, in the order of use: rows whose distance is a power of two compete for the
 * same lines of the L1 cache otherwise.
 *
 * The file provides: PLANES, PLANE_LANES, TILE_ROWS, TILE_TOKENS (2 .. 4), COLUMN_BLOCK, TOKEN_BLOCK_FLOATS,
 *   ASK_LEVEL                     how near weights come that are asked for: 3 the L1 cache, 2 the L2
 *   PACKED_AHEAD                  bytes: where packed weights are asked for; 0: left to the hardware
 *   reg                           PLANE_LANES floats
 *   reg_zero, reg_load
 *   reg_fma(a, b, c)              a * b + c
 *   reg_fma_n(a, b, c, n)         the same in the first n lanes; the others keep c
 *   bits, bits_load, bits_store   2*PLANE_LANES bf16
 *   bits_keep(b)                  tells the compiler to hold b in a register, not to read it again
 *   reg_plane(b, odd)             its even or odd elements, widened
 *   reg_add_lanes4(out, acc)      the canonical tree of acc[0 .. PLANES-1][j] for j = 0 .. 3
 * and for packed weights:
 *   codes_table, table_load(table) sixteen high bytes: those of a row and of its first chunk
 *   table_enter(table, own)       with the last four of another chunk
 *   bits_unpack(out, low, codes, half, table)  bits of elements 0 .. 31 of a half, and of 32 .. 63
 *   bits_put(b, pair, k, v)       v for element k < 32 of the group whose pair-th register b is, if b has it
 */
#include <stdbool.h>
#include <string.h>

#include "kernels/elementary.h"
#include "kernels/kernel_list.h"

enum {
    MAX_TOKENS = 160,  /* in one pass over the weights */
    MAX_SAVED = 80,    /* the same where accumulators rest between blocks of columns */
    SHORT_COLS = 16,   /* a row of so few has one element in a lane at most, and none in the upper half */
    SHORT_TOKENS = 16, /* fewer do not pay for turning the weights */
    SHORT_ROWS = 512,  /* turned at once; their results are written as one stream */
    ASK_AHEAD = 2048   /* bytes: where a matrix-vector product asks for weights; 8,192 costs up to a third */
};

void KERNEL(pack, f32)(float *packed, const float *x, size_t n_col)
{
    const size_t plane = tess_packed_floats(n_col) / PLANES;
    for (size_t g = 0; g < n_col / 32; g++)
        for (size_t p = 0; p < PLANES; p++)
            for (size_t j = 0; j < PLANE_LANES; j++)
                packed[p * plane + g * PLANE_LANES + j] = x[32 * g + p / 2 * 2 * PLANE_LANES + p % 2 + 2 * j];
    for (size_t k = n_col / 32 * 32; k < plane * PLANES; k++) {
        const size_t p = k % 32 / (2 * PLANE_LANES) * 2 + k % 2, j = k % (2 * PLANE_LANES) / 2;
        packed[p * plane + k / 32 * PLANE_LANES + j] = k < n_col ? x[k] : 0.0f;
    }
}

/* Prefetches what lies `bytes` after p, perhaps beyond the matrix: a prefetch never faults. */
VEC_INLINE void ask_for(const void *p, size_t bytes)
{
    __builtin_prefetch((const void *)((uintptr_t)p + bytes));
}

VEC_INLINE float rounded_sum(float x, tess_rounding rounding)
{
    return rounding == TESS_ROUND_BF16 ? tess_round_bf16(x) : x;
}

/* How many lanes of plane p exist in a tail of n < 32 elements. */
VEC_INLINE size_t lanes_in_tail(size_t n, size_t p)
{
    const size_t first = p / 2 * 2 * PLANE_LANES + p % 2;
    const size_t lanes = n > first ? (n - first + 1) / 2 : 0;
    return lanes < PLANE_LANES ? lanes : PLANE_LANES;
}

/* The last n < 32 weights of a row, padded so that whole registers can be read. */
VEC_INLINE void copy_tail(uint16_t *copy, const uint16_t *w, size_t n)
{
    for (size_t k = 0; k < 32; k++) copy[k] = k < n ? w[k] : 0;
}

/* A block of columns, begin <= k < end; only the last of a row may end off a multiple of 32. */
typedef struct columns {
    size_t begin, end;
} columns;

/* Rows of weights, plain or packed. Always inlined, so that which of them costs nothing. */
typedef struct source {
    const uint16_t *plain;             /* the first row, or NULL: */
    const tess_packed_weights *packed; /* a packed matrix, */
    size_t row;                        /* the first row in it */
} source;

VEC_INLINE source source_skip(source w, size_t n_row, size_t n_col)
{
    if (w.plain)
        w.plain += n_row * n_col;
    else
        w.row += n_row;
    return w;
}

VEC_INLINE const uint8_t *chunks_of(const tess_packed_weights *w, size_t row, size_t chunk)
{
    return w->rows + row * w->row_bytes + chunk * TESS_PACKED_CHUNK_BYTES;
}

/* The table of a row, by whose chunks table_in() then goes. */
VEC_INLINE codes_table table_of(const tess_packed_weights *w, size_t row)
{
    return table_load(w->tables + row * w->table_bytes);
}

VEC_INLINE codes_table table_in(codes_table table, const tess_packed_weights *w, size_t row, size_t chunk)
{
    return table_enter(table, w->tables + row * w->table_bytes + TESS_PACKED_ROW_CODES +
                                  TESS_PACKED_OWN_CODES * chunk);
}

/* Half a chunk of packed weights, as two groups of 32 columns. */
VEC_INLINE void unpack_half(bits b[2][PLANES / 2], const uint8_t *chunk, size_t half, codes_table table)
{
    for (size_t pair = 0; pair < PLANES / 2; pair++) {
        const size_t at = pair * 4 * PLANE_LANES;
        bits both[2];
        bits_unpack(both, chunk + 64 * half + at, chunk + 128 + at, half, table);
        b[0][pair] = both[0];
        b[1][pair] = both[1];
    }
}

/* The 32 * 4 elements of a chunk, each 32 of them `stride` behind those before. */
VEC_INLINE void unpack_chunk(uint16_t *near, size_t stride, const uint8_t *chunk, codes_table table)
{
    for (size_t half = 0; half < 2; half++) {
        bits b[2][PLANES / 2];
        unpack_half(b, chunk, half, table);
        for (size_t g = 0; g < 2; g++)
            for (size_t pair = 0; pair < PLANES / 2; pair++)
                bits_store(near + (2 * half + g) * stride + pair * 2 * PLANE_LANES, b[g][pair]);
    }
}

/* gather_rows() of packed weights, whole chunks. */
VEC_INLINE void unpack_rows(uint16_t *near, source w, columns block, size_t rows)
{
    codes_table table[TILE_ROWS];
    for (size_t i = 0; i < rows; i++) table[i] = table_of(w.packed, w.row + i);
    for (size_t k = block.begin; k < block.end; k += TESS_PACKED_CHUNK)
        for (size_t i = 0; i < rows; i++) {
            const size_t c = k / TESS_PACKED_CHUNK;
            const uint8_t *chunk = chunks_of(w.packed, w.row + i, c);
            for (size_t n = 0; n < TESS_PACKED_CHUNK_BYTES; n += 64)
                ask_for(chunk, rows * w.packed->row_bytes + n);
            unpack_chunk(near + ((k - block.begin) * rows + 32 * i), 32 * rows, chunk,
                         table_in(table[i], w.packed, w.row + i, c));
        }
    for (size_t i = 0; i < rows; i++)
        for (uint32_t e = w.packed->first[w.row + i]; e < w.packed->first[w.row + i + 1]; e++) {
            const uint32_t exception = w.packed->exceptions[e];
            const size_t k = exception >> 16;
            if (k >= block.begin && k < block.end)
                near[(k - block.begin) / 32 * 32 * rows + 32 * i + k % 32] = (uint16_t)exception;
        }
}

/* The block of `rows` rows of weights, in the order of use: [group of 32 columns][row][32], the last group
 * padded. Asks for the next rows on the way, in the order of their addresses. */
VEC_INLINE void gather_rows(uint16_t *near, source all, size_t n_col, columns block, size_t rows)
{
    const uint16_t *w = all.plain;
    if (!w) {
        unpack_rows(near, all, block, rows);
        return;
    }
    for (size_t k = block.begin; k < block.end; k += 32)
        for (size_t i = 0; i < rows; i++) {
            const uint16_t *from = w + i * n_col + k;
            ask_for(w, (rows * (n_col + k) + 32 * i) * sizeof *w);
            if (block.end - k < 32)
                copy_tail(near, from, block.end - k);
            else
                memcpy(near, from, 32 * sizeof *near);
            near += 32;
        }
}

/* One plane of one group of 32 columns, n < 32 of them if it is the tail. */
VEC_INLINE void step(reg acc[TILE_ROWS][TILE_TOKENS], const uint16_t *near, const float *x, size_t x_stride,
                     size_t pair, bool odd, size_t rows, size_t tokens, size_t n)
{
    reg u[TILE_TOKENS];
    for (size_t t = 0; t < tokens; t++) u[t] = reg_load(x + t * x_stride);
    for (size_t i = 0; i < rows; i++) {
        const reg v = reg_plane(bits_load(near + 32 * i), odd);
        for (size_t t = 0; t < tokens; t++)
            acc[i][t] = n == 32 ? reg_fma(v, u[t], acc[i][t])
                                : reg_fma_n(v, u[t], acc[i][t], lanes_in_tail(n, 2 * pair + odd));
    }
}

/* Walks one plane of a block of columns with `rows` x `tokens` accumulators, which rest in `saved` between
 * blocks. */
VEC_INLINE void walk(reg *saved, const uint16_t *near, const float *x, size_t x_stride, columns block,
                     size_t pair, bool odd, size_t rows, size_t tokens)
{
    const size_t whole = (block.end - block.begin) / 32, tail = block.end % 32;
    reg acc[TILE_ROWS][TILE_TOKENS];
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++) acc[i][t] = block.begin == 0 ? reg_zero() : saved[i * tokens + t];
    near += pair * 2 * PLANE_LANES;
    x += (2 * pair + odd) * (x_stride / PLANES) + block.begin / 32 * PLANE_LANES;
    for (size_t g = 0; g < whole; g++) {
        step(acc, near, x, x_stride, pair, odd, rows, tokens, 32);
        x += PLANE_LANES;
        near += rows * 32;
    }
    if (tail > 0) step(acc, near, x, x_stride, pair, odd, rows, tokens, tail);
    for (size_t i = 0; i < rows; i++)
        for (size_t t = 0; t < tokens; t++) saved[i * tokens + t] = acc[i][t];
}

/* walk() with the number of tokens a constant, so that the accumulators are registers. */
VEC_INLINE void walk_tokens(reg *saved, const uint16_t *near, const float *x, size_t x_stride, columns block,
                            size_t pair, bool odd, size_t rows, size_t tokens)
{
    switch (tokens) {
    case 1:
        walk(saved, near, x, x_stride, block, pair, odd, rows, 1);
        break;
    case 2:
        walk(saved, near, x, x_stride, block, pair, odd, rows, 2);
        break;
    case TILE_TOKENS:
        walk(saved, near, x, x_stride, block, pair, odd, rows, TILE_TOKENS);
        break;
    default:
        walk(saved, near, x, x_stride, block, pair, odd, rows, 3);
        break;
    }
}

/* Adds the lanes of a finished tile and stores its elements of y. */
VEC_INLINE void finish(float *y, size_t y_stride, reg saved[PLANES][TILE_ROWS * TILE_TOKENS], size_t rows,
                       size_t tokens, tess_rounding rounding)
{
    for (size_t i = 0; i < rows; i++) {
        reg acc[PLANES][4];
        float sums[4];
        for (size_t p = 0; p < PLANES; p++)
            for (size_t t = 0; t < 4; t++) acc[p][t] = saved[p][i * tokens + (t < tokens ? t : 0)];
        reg_add_lanes4(sums, acc);
        for (size_t t = 0; t < tokens; t++) y[t * y_stride + i] = rounded_sum(sums[t], rounding);
    }
}

/* Sums of a tile in all planes, which rest here between blocks of columns. */
typedef reg tile_sums[PLANES][TILE_ROWS * TILE_TOKENS];

/* All tokens against a block of gathered weights, and into y behind the last block. */
VEC_INLINE void pass_tokens(float *y, size_t y_stride, tile_sums *saved, const uint16_t *near, columns block,
                            size_t n_col, const float *x, size_t n_tok, size_t rows, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col);
    for (size_t t = 0; t < n_tok; t += TILE_TOKENS) {
        const size_t tokens = n_tok - t < TILE_TOKENS ? n_tok - t : TILE_TOKENS;
        reg(*tile)[TILE_ROWS * TILE_TOKENS] = saved[n_col <= COLUMN_BLOCK ? 0 : t / TILE_TOKENS];
        for (size_t pair = 0; pair < PLANES / 2; pair++) {
            walk_tokens(tile[2 * pair], near, x + t * x_stride, x_stride, block, pair, false, rows, tokens);
            walk_tokens(tile[2 * pair + 1], near, x + t * x_stride, x_stride, block, pair, true, rows,
                        tokens);
        }
        if (block.end == n_col) finish(y + t * y_stride, y_stride, tile, rows, tokens, rounding);
    }
}

/* The same for a tile of rows and for one row, whatever form the weights had. */
static __attribute__((noinline)) void pass_tile(float *y, size_t y_stride, tile_sums *saved,
                                                const uint16_t *near, columns block, size_t n_col,
                                                const float *x, size_t n_tok, tess_rounding rounding)
{
    pass_tokens(y, y_stride, saved, near, block, n_col, x, n_tok, TILE_ROWS, rounding);
}

static __attribute__((noinline)) void pass_row(float *y, size_t y_stride, tile_sums *saved,
                                               const uint16_t *near, columns block, size_t n_col,
                                               const float *x, size_t n_tok, tess_rounding rounding)
{
    pass_tokens(y, y_stride, saved, near, block, n_col, x, n_tok, 1, rounding);
}

/* `rows` rows, TILE_ROWS or one, against up to MAX_TOKENS or MAX_SAVED tokens: a block of weights stays in
 * the L1 cache while every tile of tokens passes; the tokens stay in the L2, or pass from the L3 as one
 * stream. */
VEC_INLINE void multiply_rows(float *y, size_t y_stride, source w, size_t n_col, const float *x, size_t n_tok,
                              size_t rows, tess_rounding rounding)
{
    uint16_t near[COLUMN_BLOCK * TILE_ROWS] __attribute__((aligned(64)));
    tile_sums saved[MAX_SAVED / TILE_TOKENS + 1];
    size_t k = 0;
    do { /* once for n_col = 0 too: the sums start somewhere */
        const columns block = {k, k + COLUMN_BLOCK < n_col ? k + COLUMN_BLOCK : n_col};
        gather_rows(near, w, n_col, block, rows);
        if (rows == TILE_ROWS)
            pass_tile(y, y_stride, saved, near, block, n_col, x, n_tok, rounding);
        else
            pass_row(y, y_stride, saved, near, block, n_col, x, n_tok, rounding);
        k += COLUMN_BLOCK;
    } while (k < n_col);
}

static void multiply_tile(float *y, size_t y_stride, const uint16_t *w, size_t n_col, const float *x,
                          size_t n_tok, tess_rounding rounding)
{
    multiply_rows(y, y_stride, (source){.plain = w}, n_col, x, n_tok, TILE_ROWS, rounding);
}

static void multiply_row(float *y, size_t y_stride, const uint16_t *w, size_t n_col, const float *x,
                         size_t n_tok, tess_rounding rounding)
{
    multiply_rows(y, y_stride, (source){.plain = w}, n_col, x, n_tok, 1, rounding);
}

static void multiply_packed_tile(float *y, size_t y_stride, const tess_packed_weights *w, size_t row,
                                 size_t n_col, const float *x, size_t n_tok, tess_rounding rounding)
{
    multiply_rows(y, y_stride, (source){.packed = w, .row = row}, n_col, x, n_tok, TILE_ROWS, rounding);
}

static void multiply_packed_row(float *y, size_t y_stride, const tess_packed_weights *w, size_t row,
                                size_t n_col, const float *x, size_t n_tok, tess_rounding rounding)
{
    multiply_rows(y, y_stride, (source){.packed = w, .row = row}, n_col, x, n_tok, 1, rounding);
}

/* Two planes of one group of 32 columns of a row, n < 32 of them if it is the tail, against a few tokens. */
VEC_INLINE void stream_pair(reg sum[PLANES][TILE_TOKENS], bits b, size_t pair, const float *x,
                            size_t x_stride, size_t tokens, size_t n)
{
    for (size_t p = 2 * pair; p < 2 * pair + 2; p++)
        for (size_t t = 0; t < tokens; t++) {
            const reg u = reg_load(x + t * x_stride + p * (x_stride / PLANES)), v = reg_plane(b, p % 2);
            sum[p][t] = n == 32 ? reg_fma(v, u, sum[p][t]) : reg_fma_n(v, u, sum[p][t], lanes_in_tail(n, p));
        }
}

/* All planes. Reading weights twice, for their even and their odd elements, costs a third of the rate from
 * memory. */
VEC_INLINE void stream_step(reg sum[PLANES][TILE_TOKENS], const uint16_t *w, const float *x, size_t x_stride,
                            size_t tokens, size_t n)
{
    for (size_t pair = 0; pair < PLANES / 2; pair++) {
        bits b = bits_load(w + pair * 2 * PLANE_LANES);
        bits_keep(b);
        stream_pair(sum, b, pair, x, x_stride, tokens, n);
    }
}

VEC_INLINE void stream_plain(reg sum[PLANES][TILE_TOKENS], const uint16_t *w, size_t n_col, const float *x,
                             size_t tokens)
{
    const size_t x_stride = tess_packed_floats(n_col);
    for (size_t g = 0; g < n_col / 32; g++) {
        __builtin_prefetch((const void *)((uintptr_t)w + ASK_AHEAD), 0, ASK_LEVEL);
        stream_step(sum, w, x, x_stride, tokens, 32);
        w += 32;
        x += PLANE_LANES;
    }
    if (n_col % 32 > 0) {
        uint16_t copy[32];
        copy_tail(copy, w, n_col % 32);
        stream_step(sum, copy, x, x_stride, tokens, n_col % 32);
    }
}

VEC_INLINE void stream_half(reg sum[PLANES][TILE_TOKENS], bits b[2][PLANES / 2], const float *x,
                            size_t x_stride, size_t tokens)
{
    for (size_t pair = 0; pair < PLANES / 2; pair++) {
        stream_pair(sum, b[0][pair], pair, x, x_stride, tokens, 32);
        stream_pair(sum, b[1][pair], pair, x + PLANE_LANES, x_stride, tokens, 32);
    }
}

/* What is left of a row's exceptions. */
typedef struct exceptions {
    const uint32_t *next;
    size_t left;
} exceptions;

VEC_INLINE bool is_before(const exceptions *e, size_t column)
{
    return e->left > 0 && *e->next >> 16 < column;
}

/* Puts the exceptions of 32 columns where they belong, in registers: through memory they would wait for their
 * stores. */
VEC_INLINE void put_exceptions(bits b[PLANES / 2], exceptions *e, size_t column)
{
    for (; is_before(e, column + 32); e->next++, e->left--)
        for (size_t pair = 0; pair < PLANES / 2; pair++)
            b[pair] = bits_put(b[pair], pair, (*e->next >> 16) % 32, (uint16_t)*e->next);
}

VEC_INLINE void stream_odd_half(reg sum[PLANES][TILE_TOKENS], const uint8_t *chunk, size_t half,
                                codes_table table, exceptions *e, size_t column, const float *x,
                                size_t x_stride, size_t tokens)
{
    bits b[2][PLANES / 2];
    unpack_half(b, chunk, half, table);
    put_exceptions(b[0], e, column);
    put_exceptions(b[1], e, column + 32);
    stream_half(sum, b, x, x_stride, tokens);
}

/* The last chunk of a row, of n < 128 elements. */
VEC_INLINE void stream_last_chunk(reg sum[PLANES][TILE_TOKENS], const uint8_t *chunk, codes_table table,
                                  exceptions e, const float *x, size_t x_stride, size_t tokens, size_t n)
{
    uint16_t near[TESS_PACKED_CHUNK] __attribute__((aligned(64)));
    unpack_chunk(near, 32, chunk, table);
    for (; e.left > 0; e.next++, e.left--) near[(*e.next >> 16) % TESS_PACKED_CHUNK] = (uint16_t)*e.next;
    for (size_t k = 0; k < n; k += 32, x += PLANE_LANES)
        stream_step(sum, near + k, x, x_stride, tokens, n - k < 32 ? n - k : 32);
}

VEC_INLINE void stream_chunks(reg out[PLANES][TILE_TOKENS], const tess_packed_weights *w, size_t row,
                              size_t n_col, const float *x, size_t tokens)
{
    reg sum[PLANES][TILE_TOKENS]; /* registers */
    for (size_t p = 0; p < PLANES; p++)
        for (size_t t = 0; t < tokens; t++) sum[p][t] = reg_zero();
    const size_t x_stride = tess_packed_floats(n_col);
    const codes_table of_row = table_of(w, row);
    ask_for(w->tables + row * w->table_bytes, 8 * w->table_bytes);
    ask_for(w->tables + row * w->table_bytes + 64, 8 * w->table_bytes);
    const uint8_t *chunk = chunks_of(w, row, 0);
    exceptions e = {w->exceptions + w->first[row], w->first[row + 1] - w->first[row]};
    for (size_t k = 0; k + TESS_PACKED_CHUNK <= n_col; k += TESS_PACKED_CHUNK) {
        for (size_t b = 0; PACKED_AHEAD > 0 && b < TESS_PACKED_CHUNK_BYTES; b += 64)
            __builtin_prefetch((const void *)((uintptr_t)chunk + PACKED_AHEAD + b), 0, 2);
        const codes_table table = table_in(of_row, w, row, k / TESS_PACKED_CHUNK);
        if (is_before(&e, k + TESS_PACKED_CHUNK)) {
            stream_odd_half(sum, chunk, 0, table, &e, k, x, x_stride, tokens);
            stream_odd_half(sum, chunk, 1, table, &e, k + 64, x + 2 * PLANE_LANES, x_stride, tokens);
        } else {
            bits b[2][PLANES / 2];
            unpack_half(b, chunk, 0, table);
            stream_half(sum, b, x, x_stride, tokens);
            unpack_half(b, chunk, 1, table);
            stream_half(sum, b, x + 2 * PLANE_LANES, x_stride, tokens);
        }
        chunk += TESS_PACKED_CHUNK_BYTES;
        x += 4 * PLANE_LANES;
    }
    const size_t n = n_col % TESS_PACKED_CHUNK;
    if (n > 0)
        stream_last_chunk(sum, chunk, table_in(of_row, w, row, n_col / TESS_PACKED_CHUNK), e, x, x_stride,
                          tokens, n);
    for (size_t p = 0; p < PLANES; p++)
        for (size_t t = 0; t < tokens; t++) out[p][t] = sum[p][t];
}

/* Not inlined, or there would be one for each of the rows whose trees are made together. */
static __attribute__((noinline)) void stream_one_token(reg out[PLANES][TILE_TOKENS],
                                                       const tess_packed_weights *w, size_t row, size_t n_col,
                                                       const float *x)
{
    stream_chunks(out, w, row, n_col, x, 1);
}

static __attribute__((noinline)) void stream_two_tokens(reg out[PLANES][TILE_TOKENS],
                                                        const tess_packed_weights *w, size_t row,
                                                        size_t n_col, const float *x)
{
    stream_chunks(out, w, row, n_col, x, 2);
}

/* One row against a few tokens, all planes at once; the sums of token t in acc[p][first + t]. */
VEC_INLINE void stream_row(reg acc[PLANES][4], size_t first, source w, size_t n_col, const float *x,
                           size_t tokens)
{
    reg sum[PLANES][TILE_TOKENS];
    for (size_t p = 0; p < PLANES; p++)
        for (size_t t = 0; t < tokens; t++) sum[p][t] = reg_zero();
    if (w.plain)
        stream_plain(sum, w.plain, n_col, x, tokens);
    else if (tokens == 1)
        stream_one_token(sum, w.packed, w.row, n_col, x);
    else
        stream_two_tokens(sum, w.packed, w.row, n_col, x);
    for (size_t p = 0; p < PLANES; p++)
        for (size_t t = 0; t < tokens; t++) acc[p][first + t] = sum[p][t];
}

/* One token or a few: the weights pass once, as one stream. Four rows at once reach two thirds of the rate of
 * one from memory, for the hardware follows few streams and none across a page; the rows of `at_once` share
 * the shuffles of their final trees only. */
VEC_INLINE void multiply_streaming(float *y, size_t y_stride, source w, size_t n_col, size_t n_row,
                                   const float *x, size_t tokens, tess_rounding rounding)
{
    const size_t at_once = 4 / tokens;
    for (size_t r = 0; r < n_row; r += at_once) {
        reg acc[PLANES][4];
        float sums[4];
        for (size_t p = 0; p < PLANES; p++)
            for (size_t j = 0; j < 4; j++) acc[p][j] = reg_zero();
        for (size_t j = 0; j < at_once && r + j < n_row; j++)
            stream_row(acc, j * tokens, source_skip(w, r + j, n_col), n_col, x, tokens);
        reg_add_lanes4(sums, acc);
        for (size_t j = 0; j < at_once && r + j < n_row; j++)
            for (size_t t = 0; t < tokens; t++)
                y[t * y_stride + r + j] = rounded_sum(sums[j * tokens + t], rounding);
    }
}

VEC_INLINE void multiply_many(float *y, size_t y_stride, source w, size_t n_col, size_t n_row, const float *x,
                              size_t n_tok, tess_rounding rounding)
{
    size_t r = 0;
    for (; r + TILE_ROWS <= n_row; r += TILE_ROWS)
        if (w.plain)
            multiply_tile(y + r, y_stride, w.plain + r * n_col, n_col, x, n_tok, rounding);
        else
            multiply_packed_tile(y + r, y_stride, w.packed, w.row + r, n_col, x, n_tok, rounding);
    for (; r < n_row; r++)
        if (w.plain)
            multiply_row(y + r, y_stride, w.plain + r * n_col, n_col, x, n_tok, rounding);
        else
            multiply_packed_row(y + r, y_stride, w.packed, w.row + r, n_col, x, n_tok, rounding);
}

/* Packed weights pass as a stream for one token and for two; more are worth unpacking them. */
VEC_INLINE void multiply_few(float *y, size_t y_stride, source w, size_t n_col, size_t n_row, const float *x,
                             size_t n_tok, tess_rounding rounding)
{
    if (n_tok == 1)
        multiply_streaming(y, y_stride, w, n_col, n_row, x, 1, rounding);
    else if (n_tok == 2)
        multiply_streaming(y, y_stride, w, n_col, n_row, x, 2, rounding);
    else if (!w.plain)
        multiply_many(y, y_stride, w, n_col, n_row, x, n_tok, rounding);
    else if (n_tok == TILE_TOKENS)
        multiply_streaming(y, y_stride, w, n_col, n_row, x, TILE_TOKENS, rounding);
    else
        multiply_streaming(y, y_stride, w, n_col, n_row, x, 3, rounding);
}

/* The dots of sixteen rows, turned[k] their elements k, with the token whose element k is x[place[k]]; n <=
 * 16 of them. A lane has one product, and absent lanes are +0: after the first step of the tree, which adds
 * one to every lane, no lane is -0, and adding another changes nothing. */
VEC_INLINE vec short_dots(float turned[][SHORT_ROWS], const float *x, const unsigned char *place, size_t n)
{
    const vec zero = vec_set(0.0f);
    vec lane[SHORT_COLS];
    lane[0] = zero;
    for (size_t k = 0; k < n; k++)
        lane[k] = vec_add(vec_fma(vec_load(turned[k]), vec_set(x[place[k]]), zero), zero);
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t k = 0; k < half && k + half < n; k++) lane[k] = vec_add(lane[k], lane[k + half]);
    return lane[0];
}

/* Few columns, as a convolution of one channel has: a row of weights in each lane of a vector, so that the
 * trees, most of the work, need no shuffle. Not inlined, or its stack would add to that of the other ways. */
static __attribute__((noinline)) void multiply_short(float *y, size_t y_stride, const uint16_t *w,
                                                     size_t n_col, size_t n_row, const float *x, size_t n_tok,
                                                     tess_rounding rounding)
{
    float turned[SHORT_COLS][SHORT_ROWS];
    unsigned char place[SHORT_COLS]; /* where pack puts an element */
    for (size_t k = 0; k < SHORT_COLS; k++)
        place[k] =
            (unsigned char)((k / (2 * PLANE_LANES) * 2 + k % 2) * PLANE_LANES + k % (2 * PLANE_LANES) / 2);
    for (size_t r = 0; r < n_row; r += SHORT_ROWS) {
        const size_t rows = n_row - r < SHORT_ROWS ? n_row - r : SHORT_ROWS;
        for (size_t i = 0; i < SHORT_ROWS; i++)
            for (size_t k = 0; k < n_col; k++)
                turned[k][i] = i < rows ? tess_float_of_bits((uint32_t)w[(r + i) * n_col + k] << 16) : 0.0f;
        for (size_t t = 0; t < n_tok; t++)
            for (size_t i = 0; i < rows; i += 16) {
                const vec sums = short_dots((float(*)[SHORT_ROWS])(turned[0] + i),
                                            x + t * tess_packed_floats(n_col), place, n_col);
                vec_store_n(y + t * y_stride + r + i,
                            rounding == TESS_ROUND_BF16 ? vec_round_bf16(sums) : sums, rows - i);
            }
    }
}

/* All tokens, as many at once as stay near. */
VEC_INLINE void multiply(float *y, size_t y_stride, source w, size_t n_col, size_t n_row, const float *packed,
                         size_t n_tok, tess_rounding rounding)
{
    const size_t x_stride = tess_packed_floats(n_col), most = n_col <= COLUMN_BLOCK ? MAX_TOKENS : MAX_SAVED;
    size_t block = TOKEN_BLOCK_FLOATS / (x_stride + 1);
    if (block > most) block = most;
    block = block < TILE_TOKENS ? TILE_TOKENS : block / TILE_TOKENS * TILE_TOKENS;
    for (size_t t = 0; t < n_tok; t += block) {
        const size_t n = n_tok - t < block ? n_tok - t : block;
        if (n <= TILE_TOKENS)
            multiply_few(y + t * y_stride, y_stride, w, n_col, n_row, packed + t * x_stride, n, rounding);
        else
            multiply_many(y + t * y_stride, y_stride, w, n_col, n_row, packed + t * x_stride, n, rounding);
    }
}

void KERNEL(matmul, bf16)(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                          size_t row_end, const float *packed, size_t n_tok, tess_rounding rounding)
{
    const size_t n_row = row_end - row_begin;
    y += row_begin;
    w += row_begin * n_col;
    if (n_col <= SHORT_COLS && n_tok >= SHORT_TOKENS)
        multiply_short(y, y_stride, w, n_col, n_row, packed, n_tok, rounding);
    else
        multiply(y, y_stride, (source){.plain = w}, n_col, n_row, packed, n_tok, rounding);
}

void KERNEL(matmul_packed, bf16)(float *y, size_t y_stride, const tess_packed_weights *w, size_t n_col,
                                 size_t row_begin, size_t row_end, const float *packed, size_t n_tok,
                                 tess_rounding rounding)
{
    multiply(y + row_begin, y_stride, (source){.packed = w, .row = row_begin}, n_col, row_end - row_begin,
             packed, n_tok, rounding);
}
