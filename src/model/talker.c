#include "model/talker.h"

#include <math.h>
#include <string.h>

tess_talker tess_talker_make(const tess_config *config, tess_row_table *thinker_embedding,
                             const tess_compute *compute)
{
    return (tess_talker){
        .config = config,
        .model = tess_causal_model_make("talker", TESS_TAP_CODEC_HEAD, &config->talker.text, compute),
        .thinker_embedding = thinker_embedding};
}

void tess_talker_init_workspace(tess_talker *talker, const tess_decoder_sizes *sizes, int n_logit_rows,
                                tess_arena *arena)
{
    const tess_talker_config *c = &talker->config->talker;
    int n = sizes->n_row, d_model = c->text.d_model, widest = c->d_thinker;
    if (widest < c->text.d_ff) widest = c->text.d_ff;
    tess_decoder_init_workspace(&talker->model.decoder, sizes, arena);
    tess_causal_model_init_logits(&talker->model, n_logit_rows, arena);
    tess_timeline_init(&talker->timeline, &c->text, sizes->n_context,
                       tess_compute_is_narrow(&talker->model.decoder.compute), arena);
    talker->row = TESS_TAKE(arena, tess_talker_row, sizes->n_context);
    talker->thinker_rows = TESS_TAKE_ROWS(arena, n, c->d_thinker);
    talker->projecting.hidden = TESS_TAKE_ROWS(arena, n, c->text.d_ff);
    talker->projecting.packed = TESS_TAKE_ROWS(arena, n, tess_packed_floats((size_t)widest));
    talker->projected = TESS_TAKE_ROWS(arena, n, d_model);
    talker->rows = TESS_TAKE_ROWS(arena, n, d_model);
    talker->vectors = TESS_TAKE(arena, const float *, n);
    talker->which = TESS_TAKE(arena, int32_t, n);
    talker->code_row = TESS_TAKE(arena, float, d_model);
    talker->pad_row = TESS_TAKE(arena, float, d_model);
    talker->logits = TESS_TAKE(arena, float, c->text.n_vocab);
}

void tess_talker_init_projections(tess_talker *talker, tess_store *store, const tess_talker_weights *weights,
                                  int n_slot, bool packs, tess_arena *arena)
{
    const tess_bank_layout layout = {
        .weight = weights->projection,
        .n_segment = TESS_PROJECTIONS,
        .n_weight = TESS_PROJECTION_WEIGHTS,
        .group_size = TESS_PROJECTIONS,
        .n_slot = n_slot,
        .n_lease = 1,
        .packing = {packs && n_slot == TESS_PROJECTIONS, talker->model.decoder.compute.pool}};
    tess_bank_init(&talker->projections, store, &layout, arena);
}

void tess_talker_suppress(const tess_talker_config *config, float *logits)
{
    const int n_control = 1024, n_vocab = config->text.n_vocab;
    for (int code = n_vocab > n_control ? n_vocab - n_control : 0; code < n_vocab; code++)
        if (code != config->codec_eos) logits[code] = -INFINITY;
}

/* ---- rows ---- */

static const tess_compute *compute_of(const tess_talker *talker)
{
    return &talker->model.decoder.compute;
}

/* projected[n] = thinker_rows[n], by one of the projections. */
static tess_status project(tess_talker *talker, tess_projection projection, int n, tess_error *err)
{
    const tess_matrix *weights;
    tess_status status = tess_bank_lease(&talker->projections, (int)projection, &weights, err);
    if (status != TESS_OK) return status;
    tess_project_rows(compute_of(talker), weights, &talker->projecting, talker->thinker_rows, n,
                      talker->projected);
    tess_bank_release(&talker->projections, (int)projection);
    return TESS_OK;
}

/* out[d_model] = the projected embedding of a token. */
static tess_status project_token(tess_talker *talker, int32_t token, float *out, tess_error *err)
{
    size_t d_model = (size_t)talker->config->talker.text.d_model;
    tess_status status = tess_row_table_read(talker->thinker_embedding, compute_of(talker)->kernels, token,
                                             talker->thinker_rows, err);
    if (status == TESS_OK) status = project(talker, TESS_PROJECTION_TEXT, 1, err);
    if (status == TESS_OK) memcpy(out, talker->projected, d_model * sizeof *out);
    return status;
}

/* The rows of `row`[n] that one of the projections makes -> rows. */
static tess_status make_projected(tess_talker *talker, tess_projection projection, const tess_talker_row *row,
                                  int n, const float *states, tess_error *err)
{
    const tess_talker_config *c = &talker->config->talker;
    size_t d_thinker = (size_t)c->d_thinker, d_model = (size_t)c->text.d_model;
    int n_made = 0;
    for (int i = 0; i < n; i++) {
        float *to = talker->thinker_rows + (size_t)n_made * d_thinker;
        if ((row[i].state >= 0) != (projection == TESS_PROJECTION_HIDDEN)) continue;
        talker->which[n_made++] = i;
        if (row[i].state >= 0) {
            memcpy(to, states + (size_t)row[i].state * d_thinker, d_thinker * sizeof *to);
            continue;
        }
        tess_status status = tess_row_table_read(talker->thinker_embedding, compute_of(talker)->kernels,
                                                 row[i].token, to, err);
        if (status != TESS_OK) return status;
    }
    if (n_made == 0) return TESS_OK;
    tess_status status = project(talker, projection, n_made, err);
    for (int i = 0; i < n_made && status == TESS_OK; i++)
        memcpy(talker->rows + (size_t)talker->which[i] * d_model, talker->projected + (size_t)i * d_model,
               d_model * sizeof *talker->rows);
    return status;
}

static tess_status add_codes(tess_talker *talker, const tess_talker_row *row, int n, tess_error *err)
{
    const tess_compute *compute = compute_of(talker);
    size_t d_model = (size_t)talker->config->talker.text.d_model;
    for (int i = 0; i < n; i++) {
        if (row[i].code < 0) continue;
        tess_status status = tess_row_table_read(&talker->model.embedding, compute->kernels, row[i].code,
                                                 talker->code_row, err);
        if (status != TESS_OK) return status;
        compute->kernels->add(talker->rows + (size_t)i * d_model, talker->code_row, d_model,
                              compute->rounding);
    }
    return TESS_OK;
}

/* ---- running ---- */

/* Runs rows[n] at the next places of the timeline. */
static tess_status run_rows(tess_talker *talker, int n, bool is_last, const tess_tap_sink *sink,
                            float *last_hidden, tess_error *err)
{
    size_t d_model = (size_t)talker->config->talker.text.d_model;
    bool all = !sink->last_logits && tess_tap_is_wanted(sink, TESS_TAP_CODEC_HEAD, 0);
    for (int i = 0; i < n; i++) talker->vectors[i] = talker->rows + (size_t)i * d_model;
    const tess_span span = {.timeline = &talker->timeline,
                            .first = talker->timeline.length,
                            .n = n,
                            .vectors = talker->vectors,
                            .sink = sink,
                            .tap_row = talker->timeline.length};
    const tess_step step = {.span = &span, .n_span = 1};
    const tess_head_request request = {.rows = all       ? TESS_LOGITS_ALL
                                               : is_last ? TESS_LOGITS_LAST
                                                         : TESS_LOGITS_NONE,
                                       .last = talker->logits};
    tess_status status = tess_causal_model_run(&talker->model, &step, &request, err);
    if (status != TESS_OK) return status;
    talker->timeline.length += n;
    if (is_last)
        memcpy(last_hidden, talker->model.decoder.work.normed + (size_t)(n - 1) * d_model,
               d_model * sizeof *last_hidden);
    return TESS_OK;
}

tess_status tess_talker_prefill(tess_talker *talker, int n_row, const float *states,
                                const tess_tap_sink *sink, float *last_hidden, tess_error *err)
{
    int n_most = talker->model.decoder.work.n_row;
    talker->timeline.length = 0;
    tess_status status = project_token(talker, talker->config->tts_pad, talker->pad_row, err);
    for (int done = 0, n; done < n_row && status == TESS_OK; done += n) {
        const tess_talker_row *row = talker->row + done;
        n = n_row - done < n_most ? n_row - done : n_most;
        status = make_projected(talker, TESS_PROJECTION_TEXT, row, n, states, err);
        if (status == TESS_OK) status = make_projected(talker, TESS_PROJECTION_HIDDEN, row, n, states, err);
        if (status == TESS_OK) status = add_codes(talker, row, n, err);
        if (status == TESS_OK) status = run_rows(talker, n, done + n == n_row, sink, last_hidden, err);
    }
    return status;
}

/* Each place continues the one before by one on every stream. */
static void continue_positions(tess_timeline *timeline)
{
    size_t n_context = (size_t)timeline->n_context, at = (size_t)timeline->length;
    for (size_t s = 0; s < 3; s++) {
        float *stream = timeline->positions + s * n_context;
        stream[at] = stream[at - 1] + 1.0f;
    }
}

tess_status tess_talker_step(tess_talker *talker, const float *codes, int32_t token, float *last_hidden,
                             tess_error *err)
{
    const tess_compute *compute = compute_of(talker);
    size_t d_model = (size_t)talker->config->talker.text.d_model;
    const tess_tap_sink nobody = {.decoder = talker->model.decoder.name,
                                  .config = talker->model.decoder.config,
                                  .kernels = compute->kernels,
                                  .n_tok = 1,
                                  .last_logits = true};
    const float *text = talker->pad_row;
    if (token >= 0) {
        tess_status status = project_token(talker, token, talker->code_row, err);
        if (status != TESS_OK) return status;
        text = talker->code_row;
    }
    memcpy(talker->rows, codes, d_model * sizeof *codes);
    compute->kernels->add(talker->rows, text, d_model, compute->rounding);
    continue_positions(&talker->timeline);
    return run_rows(talker, 1, true, &nobody, last_hidden, err);
}
