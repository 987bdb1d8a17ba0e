#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"
#include "base/progress.h"
#include "engine/packing_sample.h"
#include "io/file.h"

/* ---- what stays is read once ---- */

typedef struct loading {
    const tess_progress *progress;
    uint64_t done, total;
} loading;

/* A bank that holds all its segments; the others read when something is needed. */
static bool holds_all(const tess_bank *bank)
{
    return bank->layout.n_slot >= bank->layout.n_segment;
}

static uint64_t count_bytes(const tess_bank *bank)
{
    uint64_t sum = 0;
    if (!holds_all(bank)) return 0;
    for (int i = 0; i < bank->layout.n_segment; i++) sum += tess_bank_segment_bytes(&bank->layout, i);
    return sum;
}

static tess_status fill_bank(tess_bank *bank, loading *l, tess_error *err)
{
    if (!holds_all(bank)) return TESS_OK;
    for (int i = 0; i < bank->layout.n_segment; i++) {
        const tess_matrix *matrix;
        tess_status status = tess_bank_lease(bank, i, &matrix, err);
        if (status != TESS_OK) return status;
        tess_bank_release(bank, i);
        l->done += tess_bank_segment_bytes(&bank->layout, i);
        status = tess_progress_tell(l->progress, TESS_ACTIVITY_LOADING, l->done, l->total, err);
        if (status != TESS_OK) return status;
    }
    return TESS_OK;
}

static tess_status read_norm(tess_engine *engine, tess_error *err)
{
    const tess_weight *norm = &engine->model.thinker.norm;
    return tess_store_read_weight(engine->model.store, norm, engine->rooms.thinker.decoder.norm, err);
}

/* Experts come when a token needs them. */
static tess_status load_weights(tess_engine *engine, const tess_progress *progress, tess_error *err)
{
    tess_causal_model *thinker = &engine->rooms.thinker;
    tess_bank *const banks[] = {&thinker->decoder.layers, &thinker->head.bank, &thinker->embedding.bank};
    enum { N_BANK = sizeof banks / sizeof banks[0] };
    loading l = {.progress = progress};
    for (int b = 0; b < N_BANK; b++) l.total += count_bytes(banks[b]);
    tess_status status = read_norm(engine, err);
    for (int b = 0; b < N_BANK && status == TESS_OK; b++) status = fill_bank(banks[b], &l, err);
    return status;
}

/* ---- opening ---- */

static void lay_out(tess_engine *engine, const tess_choice *choice, tess_arena *arena, tess_rooms *rooms)
{
    tess_layout layout = tess_layout_begin(arena);
    tess_rooms_init(rooms, &engine->model, engine->pool, choice, &layout);
}

static tess_status reserve_rooms(tess_engine *engine, const tess_choice *choice, tess_error *err)
{
    tess_arena measuring = tess_arena_measure();
    tess_rooms measured = {0};
    lay_out(engine, choice, &measuring, &measured);
    tess_status status = tess_arena_reserve(measuring.used, &engine->arena, err);
    if (status != TESS_OK) return status;
    lay_out(engine, choice, &engine->arena, &engine->rooms);
    engine->session = calloc((size_t)choice->n_session, sizeof *engine->session);
    return engine->session ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for sessions");
}

/* The plan, made again without packing if the weights turn out not to be such that it pays. */
static tess_status make_plan(tess_engine *engine, const tess_engine_options *options, tess_choice *choice,
                             tess_error *err)
{
    bool pays = true;
    tess_status status = tess_model_plan(&engine->model, options, &engine->plan, choice, err);
    if (status != TESS_OK || options->resident != TESS_RESIDENT_AUTO || !engine->plan.packs) return status;
    status = tess_model_sample_packing(&engine->model, &pays, err);
    if (status != TESS_OK || pays) return status;
    tess_engine_options plain = *options;
    plain.resident = TESS_RESIDENT_PLAIN;
    return tess_model_plan(&engine->model, &plain, &engine->plan, choice, err);
}

static tess_status start_engine(tess_engine *engine, const tess_engine_options *options, tess_error *err)
{
    tess_choice choice;
    tess_status status = tess_model_open(options, &engine->model, err);
    if (status == TESS_OK) status = make_plan(engine, options, &choice, err);
    if (status == TESS_OK) status = tess_pool_new(choice.n_thread, &engine->pool, err);
    if (status == TESS_OK) status = reserve_rooms(engine, &choice, err);
    return status == TESS_OK ? load_weights(engine, options->progress, err) : status;
}

tess_status tess_engine_open(const tess_engine_options *options, tess_engine **out, tess_error *err)
{
    tess_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return tess_fail(err, TESS_ENOMEM, "no memory for an engine");
    tess_fpenv saved = tess_fpenv_enter();
    tess_status status = start_engine(engine, options, err);
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
    for (int i = 0; engine->session && i < engine->plan.n_session; i++)
        TESS_ASSERT(!engine->session[i].engine);
    free(engine->session);
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
    for (int i = 0; i < tess_store_get_file_count(engine->model.store); i++)
        sum += tess_file_get_bytes_read(tess_store_get_file(engine->model.store, i));
    return sum;
}

const char *tess_engine_get_buffered_path(const tess_engine *engine)
{
    for (int i = 0; i < tess_store_get_file_count(engine->model.store); i++) {
        const tess_file *file = tess_store_get_file(engine->model.store, i);
        if (tess_file_is_refused_direct(file)) return tess_file_get_path(file);
    }
    return NULL;
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

int tess_engine_get_max_positions(const tess_engine *engine)
{
    return engine->model.config.thinker.text.max_positions;
}

int tess_engine_get_end_token(const tess_engine *engine)
{
    return engine->model.config.im_end;
}

bool tess_engine_has_talker(const tess_engine *engine)
{
    return engine->model.config.has_talker;
}
