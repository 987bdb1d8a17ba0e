#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/system.h"

tess_status tess_engine_tell(const tess_engine *engine, const char *what, const char *unit, uint64_t done,
                             uint64_t total, tess_error *err)
{
    if (!engine->progress || engine->progress(engine->progress_context, what, unit, done, total))
        return TESS_OK;
    return tess_fail(err, TESS_EINTERRUPTED, "interrupted");
}

static uint64_t segment_bytes(const tess_bank *bank, int segment)
{
    const tess_part *part = bank->layout.part + (size_t)segment * (size_t)bank->layout.n_part;
    uint64_t sum = 0;
    for (int i = 0; i < bank->layout.n_part; i++) sum += part[i].n_byte;
    return sum;
}

/* Reads a bank that holds all its segments. */
static tess_status fill_bank(tess_engine *engine, tess_bank *bank, uint64_t *done, uint64_t total,
                             tess_error *err)
{
    if (bank->layout.n_slot < bank->layout.n_segment) return TESS_OK;
    for (int i = 0; i < bank->layout.n_segment; i++) {
        const void *const *part;
        tess_status status = tess_bank_lease(bank, i, &part, err);
        if (status != TESS_OK) return status;
        tess_bank_release(bank, i);
        *done += segment_bytes(bank, i);
        status = tess_engine_tell(engine, "loading", "bytes", *done, total, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status read_norm(tess_engine *engine, tess_error *err)
{
    const tess_part *norm = &engine->model.weights.norm;
    return tess_file_read(tess_store_get_file(engine->model.store, norm->shard), norm->offset,
                          engine->parts.thinker.work.norm, norm->n_byte, err);
}

/* Reads once what stays resident. Experts come when a token needs them. */
static tess_status load(tess_engine *engine, tess_error *err)
{
    tess_bank *banks[] = {&engine->parts.thinker.layers, &engine->parts.thinker.head,
                          &engine->parts.thinker.embedding};
    enum { N_BANK = sizeof banks / sizeof banks[0] };
    uint64_t total = 0, done = 0;
    for (int b = 0; b < N_BANK; b++)
        for (int i = 0;
             banks[b]->layout.n_slot >= banks[b]->layout.n_segment && i < banks[b]->layout.n_segment; i++)
            total += segment_bytes(banks[b], i);
    tess_status status = read_norm(engine, err);
    for (int b = 0; b < N_BANK && status == TESS_OK; b++)
        status = fill_bank(engine, banks[b], &done, total, err);
    return status;
}

static tess_status start(tess_engine *engine, const tess_engine_options *options, tess_error *err)
{
    tess_choice choice;
    tess_status status = tess_model_open(options, &engine->model, err);
    if (status != TESS_OK) return status;
    status = tess_model_plan(&engine->model, options, &engine->plan, &choice, err);
    if (status == TESS_OK) status = tess_pool_new(choice.n_thread, &engine->pool, err);
    if (status != TESS_OK) return status;
    uint64_t region_bytes[TESS_REGIONS];
    engine->parts.thinker = tess_model_make_thinker(&engine->model, engine->pool);
    tess_parts measured = engine->parts;
    tess_arena measuring = tess_arena_measure();
    tess_parts_init(&measured, engine->model.store, &engine->model.weights, &choice, &measuring,
                    region_bytes);
    status = tess_arena_reserve(measuring.used, &engine->arena, err);
    if (status != TESS_OK) return status;
    tess_parts_init(&engine->parts, engine->model.store, &engine->model.weights, &choice, &engine->arena,
                    region_bytes);
    return load(engine, err);
}

tess_status tess_engine_open(const tess_engine_options *options, tess_engine **out, tess_error *err)
{
    tess_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return tess_fail(err, TESS_ENOMEM, "no memory for an engine");
    engine->progress = options->progress;
    engine->progress_context = options->progress_context;
    tess_fpenv saved = tess_fpenv_enter();
    tess_status status = start(engine, options, err);
    tess_fpenv_leave(saved);
    if (status != TESS_OK) {
        tess_engine_close(engine);
        return status;
    }
    *out = engine;
    return TESS_OK;
}

void tess_engine_close(tess_engine *engine)
{
    if (!engine) return;
    TESS_ASSERT(!engine->has_session);
    tess_pool_free(engine->pool);
    tess_arena_release(&engine->arena);
    tess_model_close(&engine->model);
    free(engine);
}

const tess_plan *tess_engine_get_plan(const tess_engine *engine)
{
    return &engine->plan;
}

uint64_t tess_engine_get_bytes_read(const tess_engine *engine)
{
    uint64_t sum = 0;
    for (int i = 0; i < tess_store_get_shard_count(engine->model.store); i++)
        sum += tess_file_get_bytes_read(tess_store_get_file(engine->model.store, i));
    return sum;
}

const char *tess_engine_get_isa(const tess_engine *engine)
{
    return engine->model.kernels.name;
}

tess_precision tess_engine_get_precision(const tess_engine *engine)
{
    return engine->model.precision;
}

int tess_engine_get_vocab_size(const tess_engine *engine)
{
    return engine->model.config.thinker.text.n_vocab;
}

int tess_engine_get_end_token(const tess_engine *engine)
{
    return engine->model.config.im_end;
}

tess_status tess_model_list_taps(const char *model_dir, int n_tok, bool last_logits,
                                 void (*visit)(void *context, const tess_tap *tap), void *context,
                                 tess_error *err)
{
    tess_config *config = malloc(sizeof *config);
    if (!config) return tess_fail(err, TESS_ENOMEM, "no memory for a configuration");
    tess_status status = tess_config_load(model_dir, config, err);
    if (status == TESS_OK) tess_taps_visit(&config->thinker.text, n_tok, last_logits, visit, context);
    free(config);
    return status;
}

/* Reads whole experts, spread over the model, into one buffer until n_byte have come or a few seconds passed.
 */
static tess_status measure_reads(tess_model *model, uint64_t n_byte, double *rate, tess_error *err)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    int n_segment = c->n_layer * c->n_expert, n = 0;
    uint64_t slot = tess_bank_slot_bytes(model->weights.expert, n_segment, TESS_EXPERT_PARTS), done = 0;
    tess_arena arena;
    tess_status status =
        tess_arena_reserve(slot + 2 * sizeof(tess_bank_slot) + (uint64_t)n_segment * 16 + 65536, &arena, err);
    if (status != TESS_OK) return status;
    tess_bank_layout layout = {model->weights.expert, n_segment, TESS_EXPERT_PARTS, c->n_expert, 1, 1};
    tess_bank bank;
    tess_bank_init(&bank, model->store, &layout, &arena);
    double start_time = tess_system_seconds(), seconds = 0;
    for (; n < n_segment && done < n_byte && seconds < 3 && status == TESS_OK; n++) {
        int segment = (int)((int64_t)n * 7919 % n_segment);
        const void *const *part;
        status = tess_bank_lease(&bank, segment, &part, err);
        if (status == TESS_OK) tess_bank_release(&bank, segment);
        done += segment_bytes(&bank, segment);
        seconds = tess_system_seconds() - start_time;
    }
    tess_arena_release(&arena);
    *rate = seconds > 0 ? (double)done / seconds : 0;
    return status;
}

tess_status tess_plan_measure(const tess_engine_options *options, uint64_t n_byte, double *bytes_per_second,
                              tess_error *err)
{
    tess_model *model = malloc(sizeof *model);
    if (!model) return tess_fail(err, TESS_ENOMEM, "no memory for a model");
    tess_status status = tess_model_open(options, model, err);
    if (status == TESS_OK) {
        status = measure_reads(model, n_byte, bytes_per_second, err);
        tess_model_close(model);
    }
    free(model);
    return status;
}
