/* Packed weights beside plain ones: the product with one token and with many, from memory, and packing
 * itself.
 *
 * Weights are drawn from a normal distribution; a share of them is made an exception. Plain and packed run
 * right after each other, and after a plain read of as many bytes as the packed ones are; a row gives medians
 * of REPEATS such rounds, and of ratios the smallest and largest. One thread is timed by what it ran, two by
 * the clock. The first argument names an instruction set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/random.h"
#include "kernels/elementary.h"
#include "kernels/matrix.h"
#include "measure.h"
#include "yardstick.h"

enum { REPEATS = 9, N_ROW = 49152, N_COL = 2048, MANY_ROWS = 1536, MAX_TOK = 256 };

typedef struct bench {
    tess_kernels kernels;
    const yardstick *stick;
    tess_pool *pool;
    int n_thread;
    uint16_t *plain;
    void *packed;
    float *x, *x_packed, *y;
    tess_matrix matrix[2]; /* plain, packed */
    size_t n_exception, packed_bytes, n_tok;
    const tess_matrix *at_hand;
} bench;

static uint16_t draw_weight(uint64_t *random)
{
    const double radius = sqrt(-2.0 * log(1.0 - tess_random_unit(random)));
    const float x = (float)(0.02 * radius * cos(6.283185307179586 * tess_random_unit(random)));
    return (uint16_t)(tess_bits_of_float(tess_round_bf16(x)) >> 16);
}

/* Weights of which `share` are exceptions, and packed. */
static void make_weights(bench *b, double share)
{
    uint64_t random = 7;
    const size_t n = (size_t)N_ROW * N_COL;
    for (size_t i = 0; i < n; i++)
        b->plain[i] = i < 1 << 20 ? draw_weight(&random) : b->plain[i % (1 << 20) / 7 * 7 + i % 7];
    for (size_t i = 0; i < n && share > 0; i++)
        if (tess_random_unit(&random) < share)
            b->plain[i] = (uint16_t)(0x1000 + (tess_random_next(&random) & 0xfff));
    const size_t n_exception = tess_weights_count_exceptions(b->plain, N_ROW, N_COL);
    free(b->packed);
    b->n_exception = n_exception;
    b->packed_bytes = tess_packed_bytes(N_ROW, N_COL, n_exception);
    b->packed = bench_reserve(b->packed_bytes);
    tess_weights_pack(b->packed, b->plain, N_ROW, N_COL);
    b->matrix[0] = (tess_matrix){b->plain, N_ROW, N_COL, TESS_FORMAT_BF16};
    b->matrix[1] = (tess_matrix){b->packed, N_ROW, N_COL, TESS_FORMAT_PACKED};
}

static void multiply_share(void *arg, int share, int n_share)
{
    bench *b = arg;
    int64_t begin, end;
    tess_share_range(b->n_tok == 1 ? N_ROW : MANY_ROWS, TESS_ROW_GRAIN, share, n_share, &begin, &end);
    tess_matrix_multiply(&b->kernels, b->at_hand, b->y, N_ROW, (size_t)begin, (size_t)end, b->x_packed,
                         b->n_tok, TESS_ROUND_NONE);
}

static double now(const bench *b)
{
    return bench_now(b->n_thread == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

static double time_product(bench *b, int form)
{
    b->at_hand = &b->matrix[form];
    const double start = now(b);
    tess_pool_run(b->pool, multiply_share, b);
    return now(b) - start;
}

static double time_read(bench *b, size_t bytes)
{
    yardstick_work work = {b->stick, (const char *)b->plain, bytes / 1024 * 1024, 0};
    const double start = now(b);
    tess_pool_run(b->pool, yardstick_read_share, &work);
    return now(b) - start;
}

/* One token: all rows, from memory. */
static void measure_vector(bench *b)
{
    double faster[REPEATS], of_read[REPEATS], rate[REPEATS], plain_rate[REPEATS];
    const double n = (double)N_ROW * N_COL;
    b->n_tok = 1;
    for (int i = 0; i < REPEATS; i++) {
        const double read = time_read(b, b->packed_bytes), plain = time_product(b, 0),
                     packed = time_product(b, 1);
        faster[i] = plain / packed, of_read[i] = read / packed;
        rate[i] = (double)b->packed_bytes / packed / 1e9, plain_rate[i] = 2 * n / plain / 1e9;
    }
    bench_sort(faster, REPEATS), bench_sort(of_read, REPEATS);
    bench_sort(rate, REPEATS), bench_sort(plain_rate, REPEATS);
    printf("%-9s %d  1 token, exceptions %6.2f of 10,000, %5.2f bits: %5.1f GB/s, %3.0f %% (%.0f-%.0f) of a "
           "plain read; "
           "plain weights %5.1f GB/s, %.2f (%.2f-%.2f) times as fast\n",
           b->kernels.name, b->n_thread, (double)b->n_exception / n * 1e4, 8 * (double)b->packed_bytes / n,
           rate[REPEATS / 2], 100 * of_read[REPEATS / 2], 100 * of_read[0], 100 * of_read[REPEATS - 1],
           plain_rate[REPEATS / 2], faster[REPEATS / 2], faster[0], faster[REPEATS - 1]);
}

/* Many tokens: as many rows as an expert has. */
static void measure_matrix(bench *b, size_t n_tok)
{
    double faster[REPEATS];
    b->n_tok = n_tok;
    for (int i = 0; i < REPEATS; i++) {
        const double plain = time_product(b, 0), packed = time_product(b, 1);
        faster[i] = plain / packed;
    }
    bench_sort(faster, REPEATS);
    printf("%-9s %d  %zu tokens, %d x %d: %.2f (%.2f-%.2f) times as fast as plain weights\n", b->kernels.name,
           b->n_thread, n_tok, MANY_ROWS, N_COL, faster[REPEATS / 2], faster[0], faster[REPEATS - 1]);
}

static void measure_packing(bench *b)
{
    double rate[REPEATS];
    const size_t n_row = 4096;
    for (int i = 0; i < REPEATS; i++) {
        const double start = bench_now(CLOCK_THREAD_CPUTIME_ID);
        tess_weights_pack(b->packed, b->plain, n_row, N_COL);
        rate[i] = 2.0 * (double)n_row * N_COL / 1e9 / (bench_now(CLOCK_THREAD_CPUTIME_ID) - start);
    }
    bench_sort(rate, REPEATS);
    printf("packing: %.2f (%.2f-%.2f) GB/s of bf16 on one core\n", rate[REPEATS / 2], rate[0],
           rate[REPEATS - 1]);
}

int main(int argc, char **argv)
{
    static const double shares[] = {0, 0.001, 0.005, 0.01, 0.02, 0.04};
    static bench b;
    unsigned mask = tess_cpu_mask();
    bench_must(argc < 2 || (tess_isa_from_name(argv[1], &mask) && tess_isa_available(mask)),
               "the instruction set");
    tess_kernels_init(&b.kernels, mask);
    b.stick = yardstick_of(b.kernels.name);
    b.plain = bench_reserve((size_t)N_ROW * N_COL * 2);
    b.x = bench_reserve((size_t)MAX_TOK * N_COL * sizeof(float));
    b.x_packed = bench_reserve((size_t)MAX_TOK * N_COL * sizeof(float));
    b.y = bench_reserve((size_t)MAX_TOK * N_ROW * sizeof(float));
    uint64_t random = 1;
    for (size_t i = 0; i < MAX_TOK * N_COL; i++) b.x[i] = (float)(tess_random_unit(&random) - 0.5);
    for (size_t t = 0; t < MAX_TOK; t++) b.kernels.pack(b.x_packed + t * N_COL, b.x + t * N_COL, N_COL);
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        make_weights(&b, shares[s]);
        for (b.n_thread = 1; b.n_thread <= 2; b.n_thread++) {
            bench_must(tess_pool_new(b.n_thread, &b.pool, NULL) == TESS_OK, "a pool");
            measure_vector(&b);
            if (s == 0 || s == 3)
                for (size_t n_tok = 2; n_tok <= MAX_TOK; n_tok *= n_tok < 16 ? 2 : 4)
                    measure_matrix(&b, n_tok);
            tess_pool_free(b.pool);
            fflush(stdout);
        }
        if (s == 0) measure_packing(&b);
    }
    return 0;
}
