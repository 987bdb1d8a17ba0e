#include "model/code_predictor.h"

#include <stdio.h>

tess_code_predictor tess_code_predictor_make(const tess_code_predictor_config *config,
                                             const tess_compute *compute)
{
    return (tess_code_predictor){
        .config = config,
        .decoder = {.name = "talker.code_predictor", .config = &config->text, .compute = *compute}};
}

tess_sampling tess_code_predictor_sampling(bool is_greedy)
{
    if (is_greedy) return TESS_SAMPLING_GREEDY;
    return (tess_sampling){.temperature = 1, .top_k = 50, .top_p = 0.8, .repetition_penalty = 1};
}

static int count_tables(const tess_code_predictor *predictor)
{
    return predictor->config->n_code_group - 1;
}

static tess_decoder_sizes sizes_of(const tess_code_predictor *predictor,
                                   const tess_code_predictor_sizes *sizes)
{
    return (tess_decoder_sizes){.n_context = predictor->config->n_code_group,
                                .n_row = 2,
                                .n_thread = sizes->n_thread,
                                .n_layer_slot = sizes->n_layer_slot,
                                .packs_layers = sizes->packs};
}

void tess_code_predictor_init_workspace(tess_code_predictor *predictor,
                                        const tess_code_predictor_sizes *sizes, tess_arena *arena)
{
    const tess_decoder_config *c = &predictor->config->text;
    const tess_decoder_sizes of_decoder = sizes_of(predictor, sizes);
    tess_decoder_init_workspace(&predictor->decoder, &of_decoder, arena);
    tess_timeline_init(&predictor->timeline, c, predictor->config->n_code_group,
                       tess_compute_is_narrow(&predictor->decoder.compute), arena);
    tess_sampler_init(&predictor->sampler, predictor->decoder.compute.kernels, c->n_vocab, arena);
    predictor->row = TESS_TAKE(arena, float, c->d_model);
    predictor->logits = TESS_TAKE(arena, float, c->n_vocab);
    if (!arena->base) return;
    size_t n_place = (size_t)predictor->timeline.n_context;
    for (size_t i = 0; i < 3 * n_place; i++) predictor->timeline.positions[i] = (float)(i % n_place);
}

void tess_code_predictor_init_weights(tess_code_predictor *predictor, tess_store *store,
                                      const tess_code_predictor_weights *weights,
                                      const tess_code_predictor_sizes *sizes, tess_arena *arena)
{
    const tess_decoder_sizes of_decoder = sizes_of(predictor, sizes);
    tess_decoder_init_layers(&predictor->decoder, store, &weights->model, &of_decoder, arena);
    predictor->embedding = TESS_TAKE(arena, tess_row_table, weights->n_table);
    predictor->head = TESS_TAKE(arena, tess_row_table, weights->n_table);
    const tess_bank_packing packing = {sizes->packs, predictor->decoder.compute.pool};
    tess_row_table unused;
    for (int i = 0; i < weights->n_table; i++) {
        tess_row_table_init(arena->base ? &predictor->embedding[i] : &unused, store, &weights->embedding[i],
                            sizes->n_embedding_slot, packing, arena);
        tess_row_table_init(arena->base ? &predictor->head[i] : &unused, store, &weights->head[i],
                            sizes->n_head_slot, packing, arena);
    }
}

/* Runs vectors[n] at places [first, first + n) of the frame. */
static tess_status run_rows(tess_code_predictor *p, const float *const *vectors, int first, int n,
                            const tess_tap_listener *listener, tess_error *err)
{
    const tess_tap_sink sink = {.listener = listener,
                                .decoder = p->decoder.name,
                                .config = p->decoder.config,
                                .kernels = p->decoder.compute.kernels,
                                .n_tok = n};
    const tess_span span = {.timeline = &p->timeline,
                            .first = first,
                            .n = n,
                            .vectors = vectors,
                            .sink = &sink,
                            .tap_row = first};
    const tess_step step = {.span = &span, .n_span = 1};
    return tess_decoder_run(&p->decoder, &step, err);
}

/* logits = the head of a codebook over the last row that was run. */
static tess_status run_head(tess_code_predictor *p, int table, int n_row, tess_error *err)
{
    tess_decoder *d = &p->decoder;
    size_t d_model = (size_t)d->config->d_model, n_vocab = (size_t)d->config->n_vocab;
    d->compute.kernels->pack(d->work.packed, d->work.normed + (size_t)(n_row - 1) * d_model, d_model);
    tess_status status =
        tess_row_table_multiply(&p->head[table], &d->compute, d->work.packed, 1, p->logits, err);
    char name[TESS_TAP_NAME];
    snprintf(name, sizeof name, "tap.%s.lm_head.%d", d->name, table);
    const tess_tap tap = {.name = name, .n_dim = 2, .dim = {1, (int64_t)n_vocab}};
    return status == TESS_OK
               ? tess_tap_emit_rows(NULL, d->compute.kernels, &tap, 0, 1, n_vocab, p->logits, err)
               : status;
}

tess_status tess_code_predictor_run(tess_code_predictor *p, const float *hidden, float *code_row,
                                    const tess_sampling *sampling, uint64_t *random, const tess_code_ear *ear,
                                    const tess_tap_listener *listener, int32_t *codes, tess_error *err)
{
    const tess_compute *compute = &p->decoder.compute;
    size_t d_model = (size_t)p->decoder.config->d_model;
    const float *vectors[2] = {hidden, code_row};
    for (int table = 0, first = 0, n = 2; table < count_tables(p); table++, first += n, n = 1) {
        tess_status status = run_rows(p, vectors, first, n, first == 0 ? listener : NULL, err);
        if (status == TESS_OK) status = run_head(p, table, n, err);
        if (status == TESS_OK)
            status =
                tess_sampler_choose(&p->sampler, p->logits, sampling, NULL, 0, random, &codes[table], err);
        if (status == TESS_OK && ear) status = ear->hear(ear->context, table + 1, &codes[table], err);
        if (status == TESS_OK)
            status = tess_row_table_read(&p->embedding[table], compute->kernels, codes[table], p->row, err);
        if (status != TESS_OK) return status;
        compute->kernels->add(code_row, p->row, d_model, TESS_ROUND_NONE);
        vectors[0] = p->row;
    }
    if (compute->rounding == TESS_ROUND_BF16) compute->kernels->round_bf16(code_row, d_model);
    return TESS_OK;
}

void tess_code_predictor_taps_visit(const tess_code_predictor_config *config,
                                    void (*visit)(void *context, const tess_tap *tap), void *context)
{
    const tess_tap_sink sink = {.decoder = "talker.code_predictor", .config = &config->text, .n_tok = 2};
    tess_taps_visit(&sink, TESS_TAP_KINDS, visit, context);
}
