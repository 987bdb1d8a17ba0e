/* The rate at which weights come from the disk, in the pieces in which a run reads them. */
#include <stdlib.h>

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

/* Reads segments, spread over the bank, into one slot. Some may have no bytes: layers without experts. */
static tess_status read_segments(tess_model *model, const tess_bank_layout *layout, measuring *m,
                                 tess_error *err)
{
    tess_arena sizes = tess_arena_measure(), arena;
    tess_bank bank;
    tess_bank_init(&bank, model->store, layout, &sizes);
    tess_status status = tess_arena_reserve(sizes.used, &arena, err);
    if (status != TESS_OK) return status;
    tess_bank_init(&bank, model->store, layout, &arena);
    for (int n = 0; n < layout->n_segment && m->done < m->wanted && m->seconds < MOST_SECONDS; n++) {
        int segment = (int)((int64_t)n * 7919 % layout->n_segment);
        const tess_matrix *matrix;
        status = tess_bank_lease(&bank, segment, &matrix, err);
        if (status != TESS_OK) break;
        tess_bank_release(&bank, segment);
        m->done += tess_bank_segment_bytes(layout, segment);
        m->seconds = tess_system_seconds() - m->started;
        uint64_t told = m->done < m->wanted ? m->done : m->wanted;
        status = tess_progress_tell(m->progress, TESS_ACTIVITY_LOADING, told, m->wanted, err);
        if (status != TESS_OK) break;
    }
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
        {w->expert, c->n_layer * c->n_expert, TESS_EXPERT_WEIGHTS, c->n_expert, 1, 1},
        {w->layer, c->n_layer, TESS_LAYER_WEIGHTS, c->n_layer, 1, 1},
        {w->head.block, w->head.n_block, 1, w->head.n_block, 1, 1},
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
