/* Speaking at the released dimensions, all weights resident: the talker's step, the code predictor's frame,
 * code2wav's frame and all three in turn, each in pairs with its limit on the same threads: plain reads of as
 * many bytes, a loop of as many fused multiply-adds, and their sum. Talker and predictor with plain weights
 * and with packed ones in turn. The weights are holes, which cost the
 * same as others; the router then always takes the same experts, which no cache holds between two steps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "yardstick.h"
#include "base/fpenv.h"
#include "engine/engine.h"
#include "engine/speech_cost.h"

enum { N_RUN = 9, N_STEP = 8, N_FRAME = 4, N_PROMPT = 16, N_THREAD = 2 };
#define FRAME_SECONDS 0.08

/* ---- limits ---- */

/* Seconds that n multiply-adds take. */
static double multiply(tess_pool *pool, yardstick_work *w, double n)
{
    double start = bench_now(CLOCK_MONOTONIC);
    yardstick_multiply(w, pool, N_THREAD, n);
    return bench_now(CLOCK_MONOTONIC) - start;
}

/* ---- stages ---- */

typedef struct bench {
    tess_engine *engine;
    tess_speech_room *room;
    float *row, *hidden;
    int32_t *codes;
    yardstick_work limit;
} bench;

static void step_talker(bench *b)
{
    tess_talker *talker = &b->room->talker;
    talker->timeline.length = N_PROMPT; /* each step at the same place */
    bench_must(tess_talker_step(talker, b->row, 5, b->hidden, NULL) == TESS_OK, "the talker");
}

static void step_predictor(bench *b)
{
    const tess_sampling sampling = tess_code_predictor_sampling(false);
    uint64_t random = 1;
    bench_must(tess_code_predictor_run(&b->room->predictor, b->hidden, b->row, &sampling, &random, NULL, NULL,
                                       b->codes, NULL) == TESS_OK,
               "the code predictor");
}

static tess_status ignore(void *context, const float *samples, int64_t n, tess_error *err)
{
    (void)context, (void)samples, (void)n, (void)err;
    return TESS_OK;
}

static void decode_frames(bench *b)
{
    bench_must(tess_code2wav_push(&b->room->code2wav, b->codes, N_FRAME, N_FRAME, NULL) == TESS_OK,
               "code2wav");
}

/* N_STEP steps of each, N_STEP frames of code2wav. */
static void run_talker(bench *b)
{
    for (int i = 0; i < N_STEP; i++) step_talker(b);
}

static void run_predictor(bench *b)
{
    for (int i = 0; i < N_STEP; i++) step_predictor(b);
}

static void run_code2wav(bench *b)
{
    for (int i = 0; i < N_STEP; i += N_FRAME) decode_frames(b);
}

static void run_all(bench *b)
{
    for (int i = 1; i <= N_STEP; i++) {
        step_talker(b);
        step_predictor(b);
        if (i % N_FRAME == 0) decode_frames(b);
    }
}

/* ---- measuring ---- */

typedef struct stage {
    const char *name;
    void (*run)(bench *);
    double bytes, products;             /* of a frame: weights read, multiply-adds */
    double waits_bytes, waits_products; /* those of them that it cannot be faster than */
} stage;

/* Seconds that a frame of a stage takes at its limit. */
static double time_limit(bench *b, const stage *s)
{
    double seconds = 0;
    if (s->waits_bytes > 0)
        seconds += yardstick_read(&b->limit, b->engine->pool, s->waits_bytes * N_STEP) / N_STEP;
    if (s->waits_products > 0)
        seconds += multiply(b->engine->pool, &b->limit, s->waits_products * N_STEP) / N_STEP;
    return seconds;
}

/* What one form took, run by run. */
typedef struct times {
    double seconds[N_RUN], share[N_RUN], least[N_RUN];
} times;

static void time_run(bench *b, const stage *s, times *t, int run)
{
    t->least[run] = time_limit(b, s);
    double start = bench_now(CLOCK_MONOTONIC);
    s->run(b);
    t->seconds[run] = (bench_now(CLOCK_MONOTONIC) - start) / N_STEP;
    t->share[run] = t->least[run] / t->seconds[run];
}

static void tell(const char *form, const stage *s, times *t)
{
    bench_sort(t->seconds, N_RUN);
    bench_sort(t->share, N_RUN);
    bench_sort(t->least, N_RUN);
    printf("%-15s %-6s %8.1f %8.2f %8.2f (%.2f … %.2f) %8.2f %6.0f %% (%.0f … %.0f) %8.2f\n", s->name, form,
           s->bytes / 1e6, s->products / 1e9, 1e3 * t->seconds[N_RUN / 2], 1e3 * t->seconds[0],
           1e3 * t->seconds[N_RUN - 1], 1e3 * t->least[N_RUN / 2], 100 * t->share[N_RUN / 2],
           100 * t->share[0], 100 * t->share[N_RUN - 1], t->seconds[N_RUN / 2] / FRAME_SECONDS);
}

/* Both forms in turn. */
static void time_stage(bench forms[2], const stage stages[2])
{
    times t[2];
    double faster[N_RUN];
    for (int form = 0; form < 2; form++) stages[form].run(&forms[form]); /* the weights arrive */
    for (int i = 0; i < N_RUN; i++) {
        for (int k = 0; k < 2; k++) time_run(&forms[(k + i) % 2], &stages[(k + i) % 2], &t[(k + i) % 2], i);
        faster[i] = t[0].seconds[i] / t[1].seconds[i];
    }
    bench_sort(faster, N_RUN);
    tell("plain", &stages[0], &t[0]);
    tell("packed", &stages[1], &t[1]);
    printf("%-15s packed %.2f (%.2f … %.2f) times as fast\n", stages[0].name, faster[N_RUN / 2], faster[0],
           faster[N_RUN - 1]);
    fflush(stdout);
}

enum { N_STAGE = 4 };

/* The stages of one form. A bf16 weight of a step is two bytes and one multiply-add. */
static void make_stages(const bench *b, stage out[N_STAGE])
{
    const tess_model *m = &b->engine->model;
    const tess_plan *plan = tess_engine_get_plan(b->engine);
    const double share = plan->packs ? plan->packed_share : 1;
    const double talker = (double)tess_talker_count_step_bytes(m),
                 predictor = (double)tess_code_predictor_count_frame_bytes(m);
    const double products = tess_code2wav_count_products(b->room->code2wav.config);
    const double vocoder = (double)tess_code2wav_count_weight_bytes(m) / N_FRAME;
    const stage stages[N_STAGE] = {
        {"talker", run_talker, share * talker, talker / 2, share * talker, 0},
        {"code predictor", run_predictor, share * predictor, predictor / 2, share * predictor, 0},
        {"code2wav", run_code2wav, vocoder, products, 0, products},
        {"all three", run_all, share * (talker + predictor) + vocoder, (talker + predictor) / 2 + products,
         share * (talker + predictor), products}};
    memcpy(out, stages, sizeof stages);
}

static void time_all(bench forms[2])
{
    stage stages[2][N_STAGE];
    printf("of a frame of 80 ms            MB        G       ms                  limit ms  of the limit      "
           " ÷ 80 "
           "ms\n");
    for (int form = 0; form < 2; form++) {
        make_stages(&forms[form], stages[form]);
        tess_code2wav_begin(&forms[form].room->code2wav, &(tess_code2wav_stream){.hear = ignore});
    }
    for (int i = 0; i < N_STAGE; i++) time_stage(forms, (stage[2]){stages[0][i], stages[1][i]});
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

static void open_form(bench *b, const char *folder, tess_resident resident)
{
    const tess_engine_options options = {.model_dir = folder,
                                         .memory_bytes = 12ull << 30,
                                         .n_context = 256,
                                         .n_thread = N_THREAD,
                                         .n_speech_step = 64,
                                         .resident = resident};
    tess_error err;
    if (tess_engine_open(&options, &b->engine, &err) != TESS_OK) bench_must(false, err.message);
    const tess_talker_config *c = &b->engine->model.config.talker;
    b->row = calloc((size_t)c->text.d_model, sizeof *b->row);
    b->hidden = calloc((size_t)c->text.d_model, sizeof *b->hidden);
    b->codes = calloc((size_t)c->n_code_group * N_FRAME, sizeof *b->codes);
    bench_must(b->row && b->hidden && b->codes, "taking memory");
    prepare(b);
    printf("%s weights, %d threads, %s; %d of %d talker's experts stay\n",
           resident == TESS_RESIDENT_PACKED ? "packed" : "plain", N_THREAD, tess_engine_get_isa(b->engine),
           b->engine->rooms.choice.speech.talker.n_expert_slot, c->text.n_layer * c->text.n_expert);
}

int main(void)
{
    char folder[] = "/tmp/tess-bench-XXXXXX";
    const size_t n_byte = (size_t)512 << 20;
    char *bytes = malloc(n_byte);
    bench_must(bytes != NULL, "taking memory");
    memset(bytes, 1, n_byte);
    const yardstick_work limit = {strongest_yardstick(), bytes, n_byte, 0};
    bench forms[2] = {{.limit = limit}, {.limit = limit}};
    bench_make_checkpoint(folder, "--hollow");
    tess_fpenv saved = tess_fpenv_enter();
    open_form(&forms[0], folder, TESS_RESIDENT_PLAIN);
    open_form(&forms[1], folder, TESS_RESIDENT_PACKED);
    time_all(forms);
    tess_fpenv_leave(saved);
    for (int form = 0; form < 2; form++) {
        tess_engine_close(forms[form].engine);
        free(forms[form].row);
        free(forms[form].hidden);
        free(forms[form].codes);
    }
    free(bytes);
    bench_remove_checkpoint(folder);
    return 0;
}
