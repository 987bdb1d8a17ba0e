/* Rates of every kernel of the list as shares of what this machine can do: its plain reading of the same
 * bytes for kernels that wait for memory, its fused multiply-adds for kernels that compute. The yardstick is
 * measured right before each repetition of the kernel, in the same instruction set, so that a busy machine
 * slows both; a row gives the median share of REPEATS pairs, and the smallest and largest. The first argument
 * names an instruction set to be measured alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "base/pool.h"
#include "kernels/elementary.h"
#include "yardstick.h"

enum { REPEATS = 9 };

/* One thread is timed by what it ran, so that others on the machine disturb less; several by the clock. */
static double now(bool alone)
{
    return bench_now(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

/* -- the peer: the same dot products as a compiler makes them of a plain loop -- */

#if defined(__x86_64__)
#if defined(__clang__)
#define PEER __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"), noinline))
#else
#define PEER __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"), noinline, optimize("O3")))
#endif
#else
#define PEER __attribute__((noinline))
#endif

PEER static void peer_matmul(float *y, size_t y_stride, const uint16_t *w, size_t n_col, size_t row_begin,
                             size_t row_end, const float *x, size_t n_tok)
{
    for (size_t r = row_begin; r < row_end; r++)
        for (size_t t = 0; t < n_tok; t++) {
            float lane[32] = {0};
            for (size_t k = 0; k + 32 <= n_col; k += 32)
                for (size_t i = 0; i < 32; i++) {
                    const uint32_t bits = (uint32_t)w[r * n_col + k + i] << 16;
                    float v;
                    memcpy(&v, &bits, sizeof v);
                    lane[i] = __builtin_fmaf(v, x[t * n_col + k + i], lane[i]);
                }
            for (size_t i = 1; i < 32; i++) lane[0] += lane[i];
            y[t * y_stride + r] = lane[0];
        }
}

/* -- one measurement -- */

enum { WEIGHT_BYTES = 256 << 20, SMALL_BYTES = 256 << 10, MAX_TOK = 512, MAX_COL = 7680, MAX_KEY = 8192 };

typedef struct bench {
    const tess_kernels *k;
    const yardstick *stick;
    tess_pool *pool; /* NULL: the calling thread alone */
    int n_thread;
    bool peer; /* this instruction set is the one the plain loop is compiled for */
    uint16_t *w;
    void *packed_w; /* some of them */
    float *x, *packed, *y, *keys, *values, *scores;
    uint16_t *narrow;                                          /* [2, MAX_KEY, 128] keys and values */
    size_t n_row, n_col, n_tok, n_key, n_query, d_head, times; /* of the work at hand */
    size_t read_bytes, read_times;                             /* of the yardstick: 0 bytes mean FMA */
    size_t peak_rounds;
} bench;

typedef void work_fn(bench *b, int part, int n_part);

static void stick_work(bench *b, int part, int n_part)
{
    yardstick_work work = {b->stick, (const char *)b->w, b->read_bytes, b->peak_rounds};
    if (b->read_bytes == 0) yardstick_multiply_share(&work, part, n_part);
    for (size_t i = 0; b->read_bytes && i < b->read_times; i++) yardstick_read_share(&work, part, n_part);
}

typedef struct call {
    bench *b;
    work_fn *work;
} call;

static void run_part(void *arg, int part, int n_part)
{
    const call *c = arg;
    c->work(c->b, part, n_part);
}

static double seconds(bench *b, work_fn *work)
{
    call c = {b, work};
    const double start = now(!b->pool);
    if (b->pool)
        tess_pool_run(b->pool, run_part, &c);
    else
        work(b, 0, 1);
    return now(!b->pool) - start;
}

/* amount: bytes, or floating-point operations if the yardstick is FMA. */
static void measure(bench *b, const char *op, const char *what, work_fn *work, double amount)
{
    double share[REPEATS], rate[REPEATS], stick_rate[REPEATS];
    b->peak_rounds = 400000 / CHAINS * 4;
    const double peak_flops =
        2.0 * (double)b->stick->lanes * CHAINS * (double)b->peak_rounds * (b->pool ? b->n_thread : 1);
    const double stick_amount = b->read_bytes ? (double)b->read_bytes * (double)b->read_times : peak_flops;
    seconds(b, work);
    for (int i = 0; i < REPEATS; i++) {
        stick_rate[i] = stick_amount / seconds(b, stick_work);
        rate[i] = amount / seconds(b, work);
        share[i] = rate[i] / stick_rate[i];
    }
    bench_sort(share, REPEATS);
    bench_sort(rate, REPEATS);
    bench_sort(stick_rate, REPEATS);
    const char *unit = b->read_bytes ? "GB/s" : "GF/s";
    printf("%-15s %-9s %7d  %-34s %8.1f %s %8.1f %s %6.0f %% %5.0f-%.0f\n", op, b->k->name,
           b->pool ? b->n_thread : 1, what, rate[REPEATS / 2] / 1e9, unit, stick_rate[REPEATS / 2] / 1e9,
           unit, 100 * share[REPEATS / 2], 100 * share[0], 100 * share[REPEATS - 1]);
    fflush(stdout);
}

/* -- the work of each operation -- */

static void matmul_work(bench *b, int part, int n_part)
{
    int64_t begin, end;
    tess_share_range((int64_t)b->n_row, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    for (size_t i = 0; i < b->times; i++)
        b->k->matmul(b->y, b->n_row, b->w, b->n_col, (size_t)begin, (size_t)end, b->packed, b->n_tok,
                     TESS_ROUND_NONE);
}

static void peer_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    for (size_t i = 0; i < b->times; i++)
        peer_matmul(b->y, b->n_row, b->w, b->n_col, 0, b->n_row, b->packed, b->n_tok);
}

static bool slow(const bench *b)
{
    return strcmp(b->k->name, "reference") == 0;
}

static void matrix_vector(bench *b, size_t bytes, size_t n_col, const char *where)
{
    char what[80];
    b->n_col = n_col, b->n_tok = 1;
    b->n_row = bytes / 2 / n_col;
    b->read_bytes = b->n_row * n_col * 2 / 1024 * 1024;
    b->times = slow(b) ? 1 : bytes < WEIGHT_BYTES / 16 ? 64 : 1;
    b->read_times = b->times;
    snprintf(what, sizeof what, "1 token, %zu x %zu from %s", b->n_row, n_col, where);
    measure(b, "matmul", what, matmul_work, (double)(b->n_row * n_col * 2 * b->times));
    if (b->peer && !b->pool)
        measure(b, "(plain loop)", what, peer_work, (double)(b->n_row * n_col * 2 * b->times));
}

static void matrix_matrix(bench *b, size_t n_row, size_t n_col, size_t n_tok)
{
    char what[80];
    b->n_row = n_row, b->n_col = n_col, b->n_tok = n_tok;
    b->read_bytes = 0;
    b->times = slow(b) ? 1 : 1 + 128 / n_tok;
    snprintf(what, sizeof what, "%zu tokens, %zu x %zu", n_tok, n_row, n_col);
    measure(b, "matmul", what, matmul_work, 2.0 * (double)(n_row * n_col * n_tok * b->times));
    if (!b->peer || b->pool || n_tok != 64) return;
    b->times = 1;
    measure(b, "(plain loop)", what, peer_work, 2.0 * (double)(n_row * n_col * n_tok));
}

static void bench_matmul(bench *b)
{
    tess_pool *pool = b->pool;
    for (int all = 0; all < 2; all++) {
        b->pool = all ? pool : NULL;
        if (all && (b->n_thread == 1 || slow(b))) break;
        if (slow(b)) {
            matrix_vector(b, SMALL_BYTES, 2048, "cache");
            matrix_matrix(b, 768, 2048, 2);
            continue;
        }
        matrix_vector(b, WEIGHT_BYTES, 2048, "memory");
        matrix_vector(b, WEIGHT_BYTES / 2, 768, "memory");
        matrix_vector(b, SMALL_BYTES, 2048, "cache");
        static const size_t tokens[] = {2, 4, 8, 16, 64, 256};
        for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) matrix_matrix(b, 1536, 2048, tokens[i]);
        matrix_matrix(b, 24576, 2048, 2);
        matrix_matrix(b, 24576, 2048, 4);
        matrix_matrix(b, 24576, 2048, 8);
        matrix_matrix(b, 2048, 768, 64);
        matrix_matrix(b, 2048, 4096, 64);
        /* the encoders' layers, their mergers and their convolutions */
        static const size_t shapes[][3] = {
            {1280, 1280, 104}, {1280, 1280, 512}, {5120, 1280, 104}, {5120, 1280, 512}, {1280, 5120, 104},
            {1280, 5120, 512}, {3456, 1152, 512}, {4304, 1152, 512}, {1152, 4304, 512}, {4608, 4608, 256},
            {480, 9, 512},     {480, 4320, 512},  {1280, 7680, 256}};
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            matrix_matrix(b, shapes[i][0], shapes[i][1], shapes[i][2]);
    }
    b->pool = pool;
}

static void packed_work(bench *b, int part, int n_part)
{
    const tess_packed_weights w = tess_packed_weights_at(b->packed_w, b->n_row, b->n_col);
    int64_t begin, end;
    tess_share_range((int64_t)b->n_row, TESS_ROW_GRAIN, part, n_part, &begin, &end);
    for (size_t i = 0; i < b->times; i++)
        b->k->matmul_packed(b->y, b->n_row, &w, b->n_col, (size_t)begin, (size_t)end, b->packed, b->n_tok,
                            TESS_ROUND_NONE);
}

/* Packs n_row rows of the weights; their bytes. */
static size_t pack_rows(bench *b, size_t n_row, size_t n_col)
{
    b->n_row = n_row, b->n_col = n_col;
    const size_t n_exception = tess_weights_count_exceptions(b->w, n_row, n_col);
    tess_weights_pack(b->packed_w, b->w, n_row, n_col);
    return tess_packed_bytes(n_row, n_col, n_exception);
}

/* The products of plain weights again; bench_packed sets both side by side. */
static void bench_matmul_packed(bench *b)
{
    static const size_t shapes[][2] = {{WEIGHT_BYTES / 2 / 2048, 2048}, {WEIGHT_BYTES / 4 / 768, 768}};
    tess_pool *pool = b->pool;
    char what[80];
    for (int all = 0; all < 2; all++) {
        b->pool = all ? pool : NULL;
        if (slow(b) || (all && b->n_thread == 1)) break;
        b->times = b->read_times = 1;
        for (size_t i = 0; i < 2; i++) {
            const size_t bytes = pack_rows(b, shapes[i][0], shapes[i][1]);
            b->n_tok = 1;
            b->read_bytes = bytes / 1024 * 1024;
            snprintf(what, sizeof what, "1 token, %zu x %zu from memory", b->n_row, b->n_col);
            measure(b, "matmul_packed", what, packed_work, (double)bytes);
        }
        pack_rows(b, 1536, 2048);
        b->read_bytes = 0;
        for (b->n_tok = 4; b->n_tok <= 256; b->n_tok *= 4) {
            b->times = 1 + 128 / b->n_tok;
            snprintf(what, sizeof what, "%zu tokens, %zu x %zu", b->n_tok, b->n_row, b->n_col);
            measure(b, "matmul_packed", what, packed_work,
                    2.0 * (double)(b->n_row * b->n_col * b->n_tok * b->times));
        }
    }
    b->pool = pool;
}

static void columns_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    for (size_t i = 0; i < b->times; i++)
        b->k->matmul_columns(b->y, b->n_col, b->w, b->n_col, b->n_row, b->n_col, b->x, b->n_tok, 16,
                             b->packed);
}

static void packed_columns_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    const tess_packed_weights w = tess_packed_weights_at(b->packed_w, b->n_row, b->n_col);
    for (size_t i = 0; i < b->times; i++)
        b->k->matmul_columns_packed(b->y, b->n_col, &w, b->n_row, 0, b->n_col, b->x, b->n_tok, 16, b->packed);
}

/* The transposed convolutions of speech, on one thread. */
static void measure_columns(bench *b, bool is_packed)
{
    static const size_t shapes[][3] = {{1024, 2048, 12}, {1536, 1024, 24}, {768, 1024, 48}, {192, 576, 96}};
    tess_pool *pool = b->pool;
    char what[80];
    b->pool = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        b->n_row = shapes[i][0], b->n_col = shapes[i][1], b->n_tok = shapes[i][2];
        b->read_bytes = 0;
        b->times = slow(b) ? 1 : 8;
        snprintf(what, sizeof what, "%zu tokens, %zu columns of %zu", b->n_tok, b->n_col, b->n_row);
        if (is_packed) pack_rows(b, b->n_row, b->n_col);
        measure(b, is_packed ? "columns_packed" : "matmul_columns", what,
                is_packed ? packed_columns_work : columns_work,
                2.0 * (double)(b->n_row * b->n_col * b->n_tok * b->times));
    }
    b->pool = pool;
}

static void bench_matmul_columns(bench *b)
{
    measure_columns(b, false);
}

static void bench_matmul_columns_packed(bench *b)
{
    measure_columns(b, true);
}

static void attend_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    const size_t heads = b->n_query;
    for (size_t i = 0; i < b->times; i++)
        for (size_t h = 0; h < 8; h += heads)
            b->k->attend(b->y + h * b->d_head, b->x + h * b->d_head, heads, heads, b->keys, b->values,
                         b->d_head, b->n_key, b->d_head, 0.088f, b->scores, TESS_ROUND_NONE);
}

/* Rows of one head that see each other: n_query of them, TESS_QUERY_GRAIN at once. */
static void attend_rows_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    for (size_t i = 0; i < b->times; i++)
        for (size_t row = 0; row < b->n_query; row += TESS_QUERY_GRAIN)
            b->k->attend(b->y + row * b->d_head, b->x + row * b->d_head, TESS_QUERY_GRAIN, TESS_QUERY_GRAIN,
                         b->keys, b->values, b->d_head, b->n_key, b->d_head, 0.125f, b->scores,
                         TESS_ROUND_NONE);
}

static void bench_attend_rows(bench *b, size_t n_key, size_t d_head)
{
    char what[80];
    b->d_head = d_head, b->n_key = n_key, b->n_query = 64;
    b->times = slow(b) ? 1 : 1 + 4096 / n_key;
    snprintf(what, sizeof what, "64 rows, %zu keys of %zu", n_key, d_head);
    measure(b, "attend", what, attend_rows_work, 4.0 * (double)(b->n_query * d_head * n_key * b->times));
}

/* Rows of a prompt, eight heads each; the last of them sees n_key keys. */
static void attend_prompt_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    for (size_t i = 0; i < b->times; i++)
        b->k->attend(b->y, b->x, b->n_query, 8, b->keys, b->values, b->d_head, b->n_key + 1 - b->n_query / 8,
                     b->d_head, 0.088f, b->scores, TESS_ROUND_NONE);
}

static void bench_attend_prompt(bench *b, size_t n_key)
{
    char what[80];
    b->d_head = 128, b->n_key = n_key, b->times = 1;
    for (size_t n_row = 1; n_row <= 2; n_row++) {
        b->n_query = 8 * n_row;
        snprintf(what, sizeof what, "%zu row%s of 8 heads, %zu keys of 128", n_row, n_row > 1 ? "s" : "",
                 n_key);
        measure(b, "attend", what, attend_prompt_work, 4.0 * 128 * (double)(b->n_query * n_key));
    }
}

static void bench_attend(bench *b)
{
    tess_pool *pool = b->pool;
    char what[80];
    b->pool = NULL;
    b->d_head = 128, b->read_bytes = 0;
    static const size_t lengths[] = {64, 1024, 4096};
    for (size_t i = 0; i < (slow(b) ? 1 : 3); i++)
        for (size_t heads = 1; heads <= 8; heads *= 8) {
            b->n_key = lengths[i], b->n_query = heads;
            b->times = slow(b) ? 1 : 4096 / b->n_key;
            snprintf(what, sizeof what, "8 heads %s, %zu keys of 128", heads == 8 ? "together" : "singly",
                     b->n_key);
            measure(b, "attend", what, attend_work, 4.0 * 8 * 128 * (double)(b->n_key * b->times));
        }
    if (!slow(b)) bench_attend_prompt(b, MAX_KEY);
    bench_attend_rows(b, 104, 64);
    if (!slow(b)) {
        bench_attend_rows(b, 1024, 64);
        bench_attend_rows(b, 1024, 72);
        bench_attend_rows(b, MAX_KEY, 72);
    }
    b->pool = pool;
}

static void attend_narrow_work(bench *b, int part, int n_part)
{
    (void)part, (void)n_part;
    for (size_t i = 0; i < b->times; i++)
        b->k->attend_narrow(b->y, b->x, b->n_query, 8, b->narrow, b->narrow + MAX_KEY * 128, b->d_head,
                            b->n_key + 1 - b->n_query / 8, b->d_head, 0.088f, b->scores, TESS_ROUND_NONE);
}

/* Rows of a prompt as of wide keys and values. */
static void bench_attend_narrow(bench *b)
{
    tess_pool *pool = b->pool;
    char what[80];
    if (slow(b)) return;
    b->pool = NULL;
    b->d_head = 128, b->read_bytes = 0;
    static const size_t lengths[] = {1024, MAX_KEY};
    for (size_t i = 0; i < 2; i++)
        for (size_t n_row = 1; n_row <= 2; n_row++) {
            b->n_key = lengths[i], b->n_query = 8 * n_row, b->times = MAX_KEY / b->n_key;
            snprintf(what, sizeof what, "%zu row%s of 8 heads, %zu keys of 128", n_row, n_row > 1 ? "s" : "",
                     b->n_key);
            measure(b, "attend_narrow", what, attend_narrow_work,
                    4.0 * 128 * (double)(b->n_query * b->n_key * b->times));
        }
    b->pool = pool;
}

/* Row operations on rows of 2048 (norms), 768 (experts) or 128 (heads) that stay in the cache: bytes read and
 * written, as a share of reading memory. */
#define ROW_WORK(op, statement)                                                                              \
    static void op##_work(bench *b, int part, int n_part)                                                    \
    {                                                                                                        \
        (void)part, (void)n_part;                                                                            \
        for (size_t i = 0; i < b->times; i++) {                                                              \
            statement;                                                                                       \
        }                                                                                                    \
    }

static void row(bench *b, const char *op, const char *what, work_fn *work, size_t bytes)
{
    tess_pool *pool = b->pool;
    b->pool = NULL;
    b->times = slow(b) ? 200 : 2000;
    b->read_bytes = 64 << 20;
    b->read_times = 1;
    measure(b, op, what, work, (double)bytes * (double)b->times);
    b->pool = pool;
}

ROW_WORK(pack, b->k->pack(b->packed, b->x, 2048))
ROW_WORK(dot, sink = b->k->dot(b->x, b->x + 2048, 2048))
ROW_WORK(softmax, b->k->softmax(b->scores, 1024))
ROW_WORK(rms_norm, b->k->rms_norm(b->y, b->x, b->w, 2048, 1e-6f, TESS_ROUND_NONE))
ROW_WORK(layer_norm, b->k->layer_norm(b->y, b->x, b->w, b->w + 1280, 1280, 1e-5f, TESS_ROUND_NONE))
ROW_WORK(add_bias, b->k->add_bias(b->scores, b->w, 1280, TESS_ROUND_NONE))
ROW_WORK(gelu_erf, b->k->gelu_erf(b->y, b->x, 5120, TESS_ROUND_NONE))
ROW_WORK(gelu_tanh, b->k->gelu_tanh(b->y, b->x, 4304, TESS_ROUND_NONE))
ROW_WORK(swiglu, b->k->swiglu(b->y, b->x, b->x + 768, 768, TESS_ROUND_NONE))
ROW_WORK(rope, b->k->rope(b->scores, b->x, b->x + 64, 128, TESS_ROUND_NONE))
ROW_WORK(add, b->k->add(b->scores, b->x, 2048, TESS_ROUND_NONE))
ROW_WORK(add_scaled, b->k->add_scaled(b->scores, b->x, 0.125f, 2048, TESS_ROUND_NONE))
ROW_WORK(add_layer_scale, b->k->add_layer_scale(b->scores, b->x, b->w, 1024, TESS_ROUND_NONE))
ROW_WORK(depthwise, b->k->depthwise(b->y, b->x, b->w, b->w + 7168, 1024, 7, 8, TESS_ROUND_NONE))
ROW_WORK(snake, b->k->snake(b->y, b->x, b->w, b->w + 96, 96, 64, TESS_ROUND_NONE))
ROW_WORK(widen, b->k->widen(b->y, b->w, 2048))
ROW_WORK(round_bf16, b->k->round_bf16(b->scores, 2048))
ROW_WORK(find_non_finite, sink = (float)b->k->find_non_finite(b->x, 2048))

#define BENCH_ROW(op, what, bytes)                                                                           \
    static void bench_##op(bench *b)                                                                         \
    {                                                                                                        \
        row(b, #op, what, op##_work, bytes);                                                                 \
    }
BENCH_ROW(pack, "row of 2048", 2048 * 8)
BENCH_ROW(dot, "rows of 2048", 2048 * 8)
BENCH_ROW(softmax, "row of 1024", 1024 * 8)
BENCH_ROW(rms_norm, "row of 2048", 2048 * 10)
BENCH_ROW(layer_norm, "row of 1280", 1280 * 12)
BENCH_ROW(add_bias, "row of 1280", 1280 * 10)
BENCH_ROW(gelu_erf, "row of 5120", 5120 * 8)
BENCH_ROW(gelu_tanh, "row of 4304", 4304 * 8)
BENCH_ROW(swiglu, "rows of 768", 768 * 12)
BENCH_ROW(rope, "head of 128", 128 * 12)
BENCH_ROW(add, "rows of 2048", 2048 * 12)
BENCH_ROW(add_scaled, "rows of 2048", 2048 * 12)
BENCH_ROW(add_layer_scale, "row of 1024", 1024 * 14)
BENCH_ROW(depthwise, "8 rows of 1024, 7 taps", 1024 * 8 * 8)
BENCH_ROW(snake, "64 rows of 96", 64 * 96 * 8)
BENCH_ROW(widen, "row of 2048", 2048 * 6)
BENCH_ROW(round_bf16, "row of 2048", 2048 * 8)
BENCH_ROW(find_non_finite, "row of 2048", 2048 * 4)

/* -- the whole list -- */

static void fill(float *x, size_t n)
{
    uint32_t s = 12345;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        x[i] = (float)(s >> 8) / 8388608.0f - 1.0f;
    }
}

static void run_isa(bench *b, unsigned need)
{
    if (!tess_isa_available(need)) return;
    tess_kernels k;
    tess_kernels_init(&k, need);
    b->k = &k;
    b->stick = yardstick_of(k.name);
    b->peer = strcmp(k.name, "avx512") == 0;
    for (size_t t = 0; t < MAX_TOK; t++) k.pack(b->packed + t * MAX_COL, b->x + t * 64, MAX_COL);
#define RUN_ENTRY(op, types, isa)                                                                            \
    if (strcmp(#isa, k.name) == 0) bench_##op(b);
    TESS_KERNEL_LIST(RUN_ENTRY)
    printf("\n");
}

int main(int argc, char **argv)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    static bench b;
    b.n_thread = cores > 0 && cores <= 256 ? (int)cores : 1;
    if (tess_pool_new(b.n_thread, &b.pool, NULL) != 0) return 1;
    const size_t n_x = 1 << 16;
    b.w = bench_reserve(WEIGHT_BYTES);
    b.packed_w = bench_reserve(WEIGHT_BYTES);
    b.x = bench_reserve(n_x * sizeof(float));
    b.packed = bench_reserve((size_t)MAX_TOK * MAX_COL * sizeof(float));
    b.y = bench_reserve(((size_t)WEIGHT_BYTES / 768 + (size_t)MAX_TOK * MAX_COL) * sizeof(float));
    b.keys = bench_reserve((size_t)MAX_KEY * 128 * sizeof(float));
    b.values = bench_reserve((size_t)MAX_KEY * 128 * sizeof(float));
    b.scores = bench_reserve((size_t)TESS_QUERY_GRAIN * MAX_KEY * sizeof(float));
    fill(b.x, n_x);
    fill(b.keys, MAX_KEY * 128);
    b.narrow = bench_reserve((size_t)MAX_KEY * 2 * 128 * sizeof *b.narrow);
    for (size_t i = 0; i < (size_t)MAX_KEY * 2 * 128; i++)
        b.narrow[i] = (uint16_t)(tess_bits_of_float(b.keys[i / 2]) >> 16);
    fill(b.values, MAX_KEY * 128);
    for (size_t i = 0; i < WEIGHT_BYTES / 2; i++)
        b.w[i] = (uint16_t)(0x3c00u + (i * 2654435761u >> 23 & 0x83ffu)); /* of eight high bytes */
    printf("%-15s %-9s %7s  %-34s %13s %13s %8s %s\n", "kernel", "isa", "threads", "work", "rate",
           "yardstick", "share", "min-max");
#define RUN_ISA(isa, need)                                                                                   \
    if (argc < 2 || strcmp(#isa, argv[1]) == 0) run_isa(&b, need);
    TESS_ISA_LIST(RUN_ISA)
    tess_pool_free(b.pool);
    return 0;
}
