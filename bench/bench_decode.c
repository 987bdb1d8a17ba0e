/* Decoding with all weights in memory and warm: weights plain and packed in turn, in both precisions, beside
 * a plain read of as many bytes as a token's weights have in each form, on the same threads.
 *
 *     bench_decode [MODEL [ISA [TOKENS]]]
 *     bench_decode MODEL ISA TOKENS f32|bf16 plain|packed
 *
 * The second form takes turns with another program (peers/decoding.py): for every line on standard input it
 * generates TOKENS tokens and prints the seconds that took.
 *
 * MODEL is a checkpoint's folder that fits in memory one and three quarters times; by default two layers of
 * the released dimensions, written for it. Told as the median of rounds, with the quartiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "yardstick.h"
#include "engine/engine.h"

enum { N_ROUND = 41, N_THREAD = 2, N_CONTEXT = 2048, N_PROMPT = 512 };
#define LIMIT_BYTES ((size_t)1 << 30)

typedef struct decoder {
    tess_engine *engine;
    tess_session *session;
    uint64_t bytes_before;
    double rate[N_ROUND], of_limit[N_ROUND]; /* tokens a second; of those that the limit allows */
} decoder;

static void generate(decoder *d, int n)
{
    const tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = n};
    int32_t ids[N_CONTEXT];
    int n_new;
    tess_finish finish;
    tess_error err;
    bench_must(tess_session_generate(d->session, &generation, ids, &n_new, &finish, &err) == TESS_OK &&
                   n_new == n,
               "generating");
}

static void open_decoder(decoder *d, const char *model, const char *isa, tess_precision precision,
                         tess_resident resident)
{
    const tess_engine_options options = {.model_dir = model,
                                         .memory_bytes = 1ull << 40,
                                         .isa = isa,
                                         .n_context = N_CONTEXT,
                                         .n_thread = N_THREAD,
                                         .precision = precision,
                                         .resident = resident};
    int32_t prompt[N_PROMPT]; /* many different tokens: all experts come */
    const tess_feed feed = {.ids = prompt, .n_tok = N_PROMPT};
    tess_error err;
    for (int i = 0; i < N_PROMPT; i++) prompt[i] = (int32_t)(i * 7919 % 100003);
    tess_status status = tess_engine_open(&options, &d->engine, &err);
    if (status == TESS_OK) status = tess_session_new(d->engine, &d->session, &err);
    if (status == TESS_OK) status = tess_session_feed(d->session, &feed, &err);
    if (status != TESS_OK) fprintf(stderr, "%s\n", err.message);
    bench_must(status == TESS_OK, "opening");
    generate(d, 4);
    d->bytes_before = tess_engine_get_bytes_read(d->engine);
}

static void close_decoder(decoder *d)
{
    if (tess_engine_get_bytes_read(d->engine) > d->bytes_before)
        printf("  (not all experts had come: %.1f MB were read meanwhile)\n",
               (double)(tess_engine_get_bytes_read(d->engine) - d->bytes_before) / 1e6);
    tess_session_free(d->session);
    tess_engine_close(d->engine);
}

/* The bytes in memory of the weights that a token's products go through. */
static double count_token_bytes(const tess_plan *plan)
{
    const double routed = (double)plan->expert_bytes * plan->n_expert_used * plan->n_expert_layer,
                 dense = (double)plan->layer_bytes + (double)plan->head_bytes;
    return (plan->packs ? plan->packed_share : 1) * dense +
           (plan->packs_experts ? plan->packed_share : 1) * routed;
}

static void measure_round(decoder *d, int round, int n_tok, tess_pool *pool, yardstick_work *limit)
{
    const double bytes = count_token_bytes(tess_engine_get_plan(d->engine)) * n_tok;
    const double before = yardstick_read(limit, pool, bytes), start = bench_now(CLOCK_MONOTONIC);
    generate(d, n_tok);
    const double seconds = bench_now(CLOCK_MONOTONIC) - start;
    d->rate[round] = n_tok / seconds;
    d->of_limit[round] = (before + yardstick_read(limit, pool, bytes)) / 2 / seconds;
}

static void tell(const char *precision, const char *form, decoder *d)
{
    bench_sort(d->rate, N_ROUND), bench_sort(d->of_limit, N_ROUND);
    printf("%-8s %-6s %6.2f (%.2f-%.2f) tokens a second, %3.0f %% (%.0f-%.0f) of a plain read\n", precision,
           form, d->rate[N_ROUND / 2], d->rate[N_ROUND / 4], d->rate[3 * N_ROUND / 4],
           100 * d->of_limit[N_ROUND / 2], 100 * d->of_limit[N_ROUND / 4],
           100 * d->of_limit[3 * N_ROUND / 4]);
}

static void compare_forms(const char *model, const char *isa, tess_precision precision, int n_tok,
                          tess_pool *pool, yardstick_work *limit)
{
    const char *name = precision == TESS_PRECISION_F32 ? "float32" : "bfloat16";
    decoder plain, packed;
    double faster[N_ROUND];
    open_decoder(&plain, model, isa, precision, TESS_RESIDENT_PLAIN);
    open_decoder(&packed, model, isa, precision, TESS_RESIDENT_PACKED);
    for (int i = 0; i < N_ROUND; i++) {
        measure_round(i % 2 ? &packed : &plain, i, n_tok, pool, limit);
        measure_round(i % 2 ? &plain : &packed, i, n_tok, pool, limit);
        faster[i] = packed.rate[i] / plain.rate[i];
    }
    bench_sort(faster, N_ROUND);
    tell(name, "plain", &plain);
    tell(name, "packed", &packed);
    printf("%-8s packed %.2f (%.2f-%.2f) times as fast\n", name, faster[N_ROUND / 2], faster[N_ROUND / 4],
           faster[3 * N_ROUND / 4]);
    close_decoder(&plain);
    close_decoder(&packed);
}

static void take_turns(const char *model, const char *isa, int n_tok, const char *precision, const char *form)
{
    decoder d;
    char line[16];
    open_decoder(&d, model, isa, strcmp(precision, "bf16") ? TESS_PRECISION_F32 : TESS_PRECISION_BF16,
                 strcmp(form, "packed") ? TESS_RESIDENT_PLAIN : TESS_RESIDENT_PACKED);
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        const double start = bench_now(CLOCK_MONOTONIC);
        generate(&d, n_tok);
        printf("%.6f\n", bench_now(CLOCK_MONOTONIC) - start);
        fflush(stdout);
    }
    close_decoder(&d);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    const char *model = argc > 1 ? argv[1] : folder, *isa = argc > 2 ? argv[2] : "auto";
    const int n_tok = argc > 3 ? atoi(argv[3]) : 4;
    if (argc > 5) {
        take_turns(model, isa, n_tok, argv[4], argv[5]);
        return 0;
    }
    yardstick_work limit = {strongest_yardstick(), bench_reserve(LIMIT_BYTES), LIMIT_BYTES, 0};
    tess_pool *pool;
    bench_must(n_tok > 0 && N_PROMPT + 4 + N_ROUND * n_tok < N_CONTEXT, "a number of tokens");
    bench_must(tess_pool_new(N_THREAD, &pool, NULL) == TESS_OK, "a pool");
    if (argc < 2) bench_make_checkpoint(folder, "--layers 2 --filled --components text");
    for (int precision = TESS_PRECISION_F32; precision <= TESS_PRECISION_BF16; precision++)
        compare_forms(model, isa, (tess_precision)precision, n_tok, pool, &limit);
    if (argc < 2) bench_remove_checkpoint(folder);
    tess_pool_free(pool);
    free((void *)(uintptr_t)limit.bytes);
    return 0;
}
