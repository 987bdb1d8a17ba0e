/* Speaking at the released dimensions, all weights resident: the talker's step, the code predictor's frame
 * and code2wav's frame, each in pairs with its limit on the same threads - plain reads of as many bytes, or
 * fused multiply-adds - and what a second of speech takes in all. The weights are holes, which cost the same
 * as others; the router then always takes the same experts, which no cache holds between two steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "base/fpenv.h"
#include "engine/engine.h"

enum { N_RUN = 5, N_STEP = 6, N_FRAME = 4, N_PROMPT = 16 };

/* ---- limits ---- */

typedef struct reading {
    const uint64_t *words;
    size_t n_word;
    uint64_t sum[64];
} reading;

static void read_share(void *arg, int share, int n_share)
{
    reading *r = arg;
    int64_t begin, end;
    tess_share_range((int64_t)r->n_word, 8, share, n_share, &begin, &end);
    uint64_t sum[8] = {0};
    for (int64_t i = begin; i + 8 <= end; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += r->words[i + k];
    for (int k = 1; k < 8; k++) sum[0] += sum[k];
    r->sum[share] = sum[0];
}

/* Seconds that reading n bytes takes. */
static double read_bytes(tess_pool *pool, reading *r, double n)
{
    double done = 0, start = bench_now(CLOCK_MONOTONIC);
    for (; done < n; done += (double)r->n_word * 8) tess_pool_run(pool, read_share, r);
    return (bench_now(CLOCK_MONOTONIC) - start) * n / done;
}

/* ---- stages ---- */

typedef struct bench {
    tess_engine *engine;
    tess_speech_room *room;
    float *row, *hidden;
    int32_t *codes;
    reading reading;
} bench;

static void run_talker(bench *b)
{
    tess_talker *talker = &b->room->talker;
    for (int i = 0; i < N_STEP; i++) {
        talker->timeline.length = N_PROMPT; /* each step at the same place */
        bench_must(tess_talker_step(talker, b->row, 5, b->hidden, NULL) == TESS_OK, "the talker");
    }
}

static void run_predictor(bench *b)
{
    const tess_sampling sampling = tess_code_predictor_sampling(false);
    uint64_t random = 1;
    for (int i = 0; i < N_STEP; i++)
        bench_must(tess_code_predictor_run(&b->room->predictor, b->hidden, b->row, &sampling, &random, NULL,
                                           b->codes, NULL) == TESS_OK,
                   "the code predictor");
}

static tess_status ignore(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)context, (void)samples, (void)n, (void)err;
    return TESS_OK;
}

static void run_code2wav(bench *b)
{
    for (int i = 0; i < N_STEP; i += N_FRAME)
        bench_must(tess_code2wav_push(&b->room->code2wav, b->codes, N_FRAME, N_FRAME, NULL) == TESS_OK,
                   "code2wav");
}

static uint64_t bytes_of(const tess_weight *weight, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += weight[i].n_byte;
    return sum;
}

static uint64_t table_bytes(const tess_row_blocks *table)
{
    return bytes_of(table->block, table->n_block);
}

/* Read of weights for a step of the talker: layers, the experts of a token, the head, a projection. */
static double talker_bytes(const tess_model *m)
{
    const tess_decoder_config *c = &m->config.talker.text;
    const tess_decoder_weights *w = &m->talker.model;
    uint64_t expert = bytes_of(w->expert, TESS_EXPERT_WEIGHTS);
    return (double)(bytes_of(w->layer, c->n_layer * TESS_LAYER_WEIGHTS) +
                    expert * (uint64_t)(c->n_layer * c->n_expert_used) + table_bytes(&w->head) +
                    bytes_of(m->talker.projection, TESS_PROJECTION_WEIGHTS));
}

/* All layers once a code, and every head. The first pass has two rows. */
static double predictor_bytes(const tess_model *m)
{
    const tess_code_predictor_weights *w = &m->code_predictor;
    const int n_layer = m->config.talker.code_predictor.text.n_layer;
    uint64_t sum = bytes_of(w->model.layer, n_layer * TESS_LAYER_WEIGHTS) * (uint64_t)w->n_table;
    for (int i = 0; i < w->n_table; i++) sum += table_bytes(&w->head[i]);
    return (double)sum;
}

/* ---- measuring ---- */

/* Pairs of a stage and reading as many bytes; returns the median seconds of one step. */
static double time_reading(bench *b, const char *what, void (*run)(bench *), double bytes, double *limit)
{
    double seconds[N_RUN], share[N_RUN], plain[N_RUN];
    run(b); /* the weights arrive */
    for (int i = 0; i < N_RUN; i++) {
        plain[i] = read_bytes(b->engine->pool, &b->reading, bytes);
        double start = bench_now(CLOCK_MONOTONIC);
        run(b);
        seconds[i] = (bench_now(CLOCK_MONOTONIC) - start) / N_STEP;
        share[i] = plain[i] / seconds[i];
    }
    bench_sort(seconds, N_RUN);
    bench_sort(share, N_RUN);
    bench_sort(plain, N_RUN);
    *limit = plain[N_RUN / 2];
    printf("%-16s %7.1f MB %8.2f ms (%.2f … %.2f) %6.1f GB/s, %3.0f %% of plain reads (%.0f … %.0f)\n", what,
           bytes / 1e6, 1e3 * seconds[N_RUN / 2], 1e3 * seconds[0], 1e3 * seconds[N_RUN - 1],
           1e-9 * bytes / seconds[N_RUN / 2], 100 * share[N_RUN / 2], 100 * share[0], 100 * share[N_RUN - 1]);
    return seconds[N_RUN / 2];
}

static double time_code2wav(bench *b)
{
    double seconds[N_RUN], products = tess_code2wav_count_products(b->room->code2wav.config);
    int n = (N_STEP + N_FRAME - 1) / N_FRAME * N_FRAME;
    tess_code2wav_begin(&b->room->code2wav, &(tess_code2wav_stream){.hear = ignore});
    run_code2wav(b);
    for (int i = 0; i < N_RUN; i++) {
        double start = bench_now(CLOCK_MONOTONIC);
        run_code2wav(b);
        seconds[i] = (bench_now(CLOCK_MONOTONIC) - start) / n;
    }
    bench_sort(seconds, N_RUN);
    printf("%-16s %7.2f G  %8.2f ms (%.2f … %.2f) %6.1f G multiply-adds/s; its limit: bench_code2wav\n",
           "code2wav", products * 1e-9, 1e3 * seconds[N_RUN / 2], 1e3 * seconds[0], 1e3 * seconds[N_RUN - 1],
           1e-9 * products / seconds[N_RUN / 2]);
    return seconds[N_RUN / 2];
}

static void time_all(bench *b)
{
    const tess_model *m = &b->engine->model;
    double talker_limit, predictor_limit;
    double talker = time_reading(b, "talker", run_talker, talker_bytes(m), &talker_limit);
    double predictor = time_reading(b, "code predictor", run_predictor, predictor_bytes(m), &predictor_limit);
    double code2wav = time_code2wav(b), all = talker + predictor + code2wav;
    printf("a frame of 80 ms %19.2f ms: real-time factor %.2f\n", 1e3 * all, all / 0.08);
    double others = talker_limit + predictor_limit + code2wav;
    printf("at the limit of reading, and code2wav as it is: %.2f; factor 1 asks for %.1f GB/s beside it\n",
           others / 0.08,
           code2wav < 0.08 ? 1e-9 * (talker_bytes(m) + predictor_bytes(m)) / (0.08 - code2wav) : INFINITY);
}

static void prepare(bench *b)
{
    tess_rooms *rooms = &b->engine->rooms;
    const tess_talker_config *c = &b->engine->model.config.talker;
    b->room = &rooms->speech;
    if (!rooms->choice.speech.stays) tess_rooms_enter(rooms, TESS_PHASE_SPEECH);
    bench_must(tess_speech_room_read_norms(b->room, rooms->model, NULL) == TESS_OK, "reading norms");
    tess_talker *talker = &b->room->talker;
    for (int i = 0; i < N_PROMPT; i++) talker->row[i] = (tess_talker_row){1, -1, -1};
    memset(talker->timeline.positions, 0, 3 * sizeof(float) * (size_t)talker->timeline.n_context);
    const tess_tap_sink nobody = {
        .decoder = "talker", .config = &c->text, .kernels = &rooms->model->kernels, .last_logits = true};
    bench_must(tess_talker_prefill(talker, N_PROMPT, NULL, &nobody, b->hidden, NULL) == TESS_OK, "a prompt");
}

int main(void)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    bench b = {.reading = {.n_word = (size_t)1 << 26}};
    bench_make_checkpoint(folder);
    uint64_t *words = malloc(b.reading.n_word * sizeof *words);
    bench_must(words != NULL, "taking memory");
    memset(words, 1, b.reading.n_word * sizeof *words);
    b.reading.words = words;
    const tess_engine_options options = {.model_dir = folder,
                                         .memory_bytes = 9ull << 30,
                                         .n_context = 256,
                                         .n_thread = 2,
                                         .n_speech_step = 64};
    tess_error err;
    if (tess_engine_open(&options, &b.engine, &err) != TESS_OK) bench_must(false, err.message);
    const tess_talker_config *c = &b.engine->model.config.talker;
    b.row = calloc((size_t)c->text.d_model, sizeof *b.row);
    b.hidden = calloc((size_t)c->text.d_model, sizeof *b.hidden);
    b.codes = calloc((size_t)c->n_code_group * N_FRAME, sizeof *b.codes);
    bench_must(b.row && b.hidden && b.codes, "taking memory");
    tess_fpenv saved = tess_fpenv_enter();
    prepare(&b);
    printf("2 threads, %s; %d of %d talker's experts stay\n", tess_engine_get_isa(b.engine),
           b.engine->rooms.choice.speech.talker.n_expert_slot, c->text.n_layer * c->text.n_expert);
    time_all(&b);
    tess_fpenv_leave(saved);
    tess_engine_close(b.engine);
    free(b.row);
    free(b.hidden);
    free(b.codes);
    free(words);
    bench_remove_checkpoint(folder);
    return 0;
}
