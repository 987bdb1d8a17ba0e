/* The rates at which weights come from the disk, in the pieces in which a run reads them, and at which memory
 * comes that they are read into.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/system.h"
#include "engine/model.h"

/* Seconds after which no further piece is begun. */
#define MOST_SECONDS 3

typedef struct measuring {
    uint64_t wanted, done;
    double started, seconds;
    const tess_progress *progress; /* may be NULL */
} measuring;

static bool is_going_on(const measuring *m)
{
    return m->done < m->wanted && m->seconds < MOST_SECONDS;
}

static tess_status read_segment(tess_bank *bank, int segment, measuring *m, tess_error *err)
{
    const tess_matrix *matrix;
    tess_status status = tess_bank_lease(bank, segment, &matrix, err);
    if (status != TESS_OK) return status;
    tess_bank_release(bank, segment);
    m->done += tess_bank_segment_bytes(&bank->layout, segment);
    m->seconds = tess_system_seconds() - m->started;
    uint64_t told = m->done < m->wanted ? m->done : m->wanted;
    return tess_progress_tell(m->progress, TESS_ACTIVITY_LOADING, told, m->wanted, err);
}

/* Every how many segments one is read, so that what is wanted is spread over the whole model. A run reads in
 * the same way: upwards, with gaps. */
static int choose_step(const tess_bank_layout *layout, uint64_t wanted)
{
    uint64_t all = 0;
    for (int i = 0; i < layout->n_segment; i++) all += tess_bank_segment_bytes(layout, i);
    uint64_t step = wanted ? all / wanted : 1;
    return step < 1 ? 1 : step < (uint64_t)layout->n_segment ? (int)step : layout->n_segment;
}

/* Reads segments into one slot. Some may have no bytes: layers without experts. */
static tess_status read_segments(tess_model *model, const tess_bank_layout *layout, measuring *m,
                                 tess_error *err)
{
    tess_arena sizes = tess_arena_measure(), arena;
    tess_bank bank;
    tess_bank_init(&bank, model->store, layout, &sizes);
    tess_status status = tess_arena_reserve(sizes.used, &arena, err);
    if (status != TESS_OK) return status;
    tess_bank_init(&bank, model->store, layout, &arena);
    int step = choose_step(layout, m->wanted - m->done);
    for (int first = 0; first < step && status == TESS_OK; first++)
        for (int segment = first; segment < layout->n_segment && is_going_on(m) && status == TESS_OK;
             segment += step)
            status = read_segment(&bank, segment, m, err);
    tess_arena_release(&arena);
    return status;
}

/* Experts first, since they are what a run reads; a model without any has other weights. */
static tess_status measure_reads(tess_model *model, uint64_t n_byte, const tess_progress *progress,
                                 double *rate, tess_error *err)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    const tess_decoder_weights *w = &model->thinker;
    const tess_bank_layout layouts[] = {
        {w->expert, c->n_layer * c->n_expert, TESS_EXPERT_WEIGHTS, c->n_expert, 1, 1, {0}},
        {w->layer, c->n_layer, TESS_LAYER_WEIGHTS, c->n_layer, 1, 1, {0}},
        {w->head.block, w->head.n_block, 1, w->head.n_block, 1, 1, {0}},
    };
    measuring m = {.wanted = n_byte, .started = tess_system_seconds(), .progress = progress};
    tess_status status = TESS_OK;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0] && status == TESS_OK; i++)
        if (layouts[i].n_segment > 0) status = read_segments(model, &layouts[i], &m, err);
    if (status == TESS_OK && (m.done == 0 || m.seconds <= 0))
        status = tess_fail(err, TESS_EUSAGE, "there is nothing to measure: no weights to read");
    if (status == TESS_OK) *rate = (double)m.done / m.seconds;
    return status;
}

tess_status tess_plan_measure(const tess_engine_options *options, uint64_t n_byte, double *bytes_per_second,
                              tess_error *err)
{
    tess_model *model = malloc(sizeof *model);
    if (!model) return tess_fail(err, TESS_ENOMEM, "no memory for a model");
    tess_status status = tess_model_open(options, model, err);
    if (status == TESS_OK) {
        status = measure_reads(model, n_byte, options->progress, bytes_per_second, err);
        tess_model_close(model);
    }
    free(model);
    return status;
}

/* ---- memory ---- */

enum { MOST_STEPS = 64, LEAST_STEP = 2 << 20 };

/* Writes to each page of a stretch. */
static void touch(volatile unsigned char *memory, uint64_t n_byte, uint64_t page)
{
    for (uint64_t i = 0; i < n_byte; i += page) memory[i] = 1;
}

/* All of it is held until the end, since what is given back comes again at once, and the rate is that of the
 * later half: what comes first may be what another process has just given back. */
static tess_status touch_arena(const tess_arena *arena, const tess_progress *progress, double *rate,
                               tess_error *err)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const double started = tess_system_seconds();
    double seconds[MOST_STEPS + 1] = {0};
    uint64_t step = (arena->capacity / MOST_STEPS + LEAST_STEP) / LEAST_STEP * LEAST_STEP, done = 0;
    int n = 0;
    while (done < arena->capacity && seconds[n] < MOST_SECONDS) {
        uint64_t n_byte = arena->capacity - done < step ? arena->capacity - done : step;
        touch(arena->base + done, n_byte, page);
        done += n_byte;
        seconds[++n] = tess_system_seconds() - started;
        tess_status status = tess_progress_tell(progress, TESS_ACTIVITY_LOADING, done, arena->capacity, err);
        if (status != TESS_OK) return status;
    }
    double taken = seconds[n] - seconds[n / 2];
    *rate = (double)(done - step * (uint64_t)(n / 2)) / (taken > 0 ? taken : 1e-9);
    return TESS_OK;
}

tess_status tess_plan_measure_memory(const tess_plan *plan, const tess_progress *progress,
                                     double *bytes_per_second, tess_error *err)
{
    tess_system_memory memory;
    tess_arena arena;
    tess_system_get_memory("", &memory);
    uint64_t most = plan->budget_bytes;
    if (memory.is_known && memory.available_bytes < most) most = memory.available_bytes;
    tess_status status = tess_arena_reserve(most / 2, &arena, err);
    if (status != TESS_OK) return status;
    status = touch_arena(&arena, progress, bytes_per_second, err);
    tess_arena_release(&arena);
    return status;
}
