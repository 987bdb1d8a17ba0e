#include "model/audio_tower.h"

#include <string.h>

#include "base/progress.h"
#include "model/audio_stem.h"
#include "model/merger.h"
#include "model/tower_input.h"

enum {
    FULL_CHUNK_STEPS = 13,
    STEM_WORTH = 8 /* layers that take as long as the stem, at the released dimensions */
};

/* ---- counting ---- */

static int chunk_frames(const tess_audio_config *config)
{
    return 2 * config->n_window;
}

tess_status tess_audio_check_config(const tess_audio_config *config, tess_error *err)
{
    if (tess_audio_stem_steps(chunk_frames(config)) == FULL_CHUNK_STEPS) return TESS_OK;
    return tess_refuse(err, "config.json", "thinker_config.audio_config.n_window", -1,
                       "49 to 52, so that a chunk is 13 steps", "%d", config->n_window);
}

int tess_audio_count_tokens(const tess_audio_config *config, int64_t n_frame)
{
    int64_t n_full = n_frame / chunk_frames(config);
    int rest = (int)(n_frame % chunk_frames(config));
    TESS_ASSERT(n_frame >= 0 && n_frame <= INT64_C(10000000000));
    return (int)(n_full * FULL_CHUNK_STEPS) + (rest > 0 ? tess_audio_stem_steps(rest) : 0);
}

/* Chunks of a full window. */
static int window_chunks(const tess_audio_config *config)
{
    return config->n_window_infer / chunk_frames(config);
}

int tess_audio_count_window_tokens(const tess_audio_config *config)
{
    return window_chunks(config) * FULL_CHUNK_STEPS;
}

static tess_encoder_config encoder_config(const tess_audio_config *config)
{
    return (tess_encoder_config){.n_layer = config->n_layer,
                                 .d_model = config->d_model,
                                 .n_head = config->n_head,
                                 .d_ff = config->d_ff,
                                 .norm_eps = 1e-5};
}

double tess_audio_count_products(const tess_audio_config *config, int64_t n_frame)
{
    const tess_encoder_config layers = encoder_config(config);
    int full = chunk_frames(config), n_chunk = (int)((n_frame + full - 1) / full);
    int n_tok = tess_audio_count_tokens(config, n_frame), window = tess_audio_count_window_tokens(config),
        rest = n_tok % window;
    double d_model = config->d_model;
    return n_chunk * tess_audio_stem_count_products(config, n_frame < full ? (int)n_frame : full) +
           tess_encoder_count_products(&layers, n_tok - rest, window) +
           tess_encoder_count_products(&layers, rest, rest) + n_tok * d_model * (d_model + config->d_output);
}

/* ---- memory ---- */

tess_audio_tower tess_audio_tower_make(const tess_audio_config *config, const tess_compute *compute)
{
    return (tess_audio_tower){.config = config,
                              .encoder = {.config = encoder_config(config), .compute = *compute}};
}

void tess_audio_tower_init_workspace(tess_audio_tower *tower, const tess_tower_sizes *sizes,
                                     tess_arena *arena)
{
    tess_audio_stem_init(tower, sizes, arena);
    tower->group = TESS_TAKE(arena, int32_t, (uint64_t)sizes->n_row + 1);
    tess_encoder_init_workspace(&tower->encoder, sizes, arena);
}

void tess_audio_tower_init_weights(tess_audio_tower *tower, tess_store *store,
                                   const tess_tower_weights *weights, const tess_tower_sizes *sizes,
                                   tess_arena *arena)
{
    const tess_bank_layout parts = tess_tower_part_bank(weights, sizes->n_part_slot);
    tess_encoder_init_layers(&tower->encoder, store, weights, sizes, arena);
    tess_bank_init(&tower->parts, store, &parts, arena);
}

/* ---- a call ---- */

/* What holds of all clips of a call together. QUIRK: all chunks are filled up with zeros to the longest of
 * the call, and where a convolution finds an odd length its last step sees them: a clip shorter than a chunk
 * comes out otherwise beside a longer one than alone. */
typedef struct call_shape {
    int64_t n_chunk, n_tok;
    int n_frame, n_step; /* of every chunk, filled up to the longest */
} call_shape;

static call_shape shape_of(const tess_audio_config *config, const tess_features *const *clip, int n_clip)
{
    int full = chunk_frames(config);
    call_shape shape = {0};
    for (int i = 0; i < n_clip; i++) {
        int64_t n_frame = clip[i]->n_frame;
        TESS_ASSERT(clip[i]->kind == TESS_MEDIA_AUDIO && n_frame >= 1);
        shape.n_chunk += (n_frame + full - 1) / full;
        shape.n_tok += tess_audio_count_tokens(config, n_frame);
        int longest = n_frame < full ? (int)n_frame : full;
        if (longest > shape.n_frame) shape.n_frame = longest;
    }
    shape.n_step = tess_audio_stem_steps(shape.n_frame);
    return shape;
}

/* A call under way: what was done before the present piece, and the piece. */
typedef struct audio_call {
    tess_audio_tower *tower;
    const tess_features *const *clip;
    int n_clip;
    const tess_tap_listener *listener;
    const tess_progress *progress;
    float *out;
    call_shape shape;
    int64_t n_tok_done, n_chunk_done;
    int next_clip; /* where the next window begins: a clip and a frame of it */
    int64_t next_frame;
    int n_tok, n_group; /* of the piece */
} audio_call;

/* Of the present piece as much is done as so many rows are in one layer. */
static tess_status tell_work(const audio_call *call, int64_t n_row, tess_error *err)
{
    int64_t done = n_row / (STEM_WORTH + call->tower->config->n_layer);
    return tess_progress_tell(call->progress, TESS_ACTIVITY_ENCODING, (uint64_t)(call->n_tok_done + done),
                              (uint64_t)call->shape.n_tok, err);
}

/* ---- taps ---- */

static void describe_tap(const tess_audio_config *config, const call_shape *shape, tess_audio_tap line,
                         int layer, char name[TESS_TAP_NAME], tess_tap *out)
{
    tess_tap_format_name(TESS_PART_AUDIO, (int)line, layer, 0, name);
    *out = (tess_tap){.name = name, .n_dim = 2, .dim = {shape->n_tok, config->d_model}};
    if (line == TESS_AUDIO_TAP_OUTPUT) out->dim[1] = config->d_output;
    if (line != TESS_AUDIO_TAP_CONV_OUT) return;
    out->dim[0] = shape->n_step;
    if (shape->n_chunk == 1) return;
    out->n_dim = 3;
    out->dim[0] = shape->n_chunk;
    out->dim[1] = shape->n_step;
    out->dim[2] = config->d_model;
}

void tess_audio_taps_visit(const tess_audio_config *config, const tess_features *const *clip, int n_clip,
                           void (*visit)(void *context, const tess_tap *tap), void *context)
{
    const call_shape shape = shape_of(config, clip, n_clip);
    char name[TESS_TAP_NAME];
    tess_tap tap;
    for (tess_audio_tap line = 0; line < TESS_AUDIO_TAPS; line++)
        for (int layer = 0; layer < (line == TESS_AUDIO_TAP_LAYER ? config->n_layer : 1); layer++) {
            describe_tap(config, &shape, line, layer, name, &tap);
            visit(context, &tap);
        }
}

/* Rows of a tap of the call, from `row` of the piece on. */
static tess_status emit_rows(const audio_call *call, tess_audio_tap line, int layer, int row, int n,
                             float *values, tess_error *err)
{
    const tess_audio_tower *tower = call->tower;
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe_tap(tower->config, &call->shape, line, layer, name, &tap);
    return tess_tap_emit_rows(call->listener, tower->encoder.compute.kernels, &tap, call->n_tok_done + row, n,
                              (size_t)tap.dim[1], values, err);
}

/* The steps of the next chunk, those beyond its own end included. */
static tess_status emit_steps(const audio_call *call, tess_error *err)
{
    const tess_audio_tower *tower = call->tower;
    size_t n_step = (size_t)call->shape.n_step, d_model = (size_t)tower->config->d_model;
    bool is_single = call->shape.n_chunk == 1;
    char name[TESS_TAP_NAME];
    tess_tap tap;
    describe_tap(tower->config, &call->shape, TESS_AUDIO_TAP_CONV_OUT, 0, name, &tap);
    return tess_tap_emit_rows(call->listener, tower->encoder.compute.kernels, &tap, call->n_chunk_done,
                              is_single ? call->shape.n_step : 1, is_single ? d_model : n_step * d_model,
                              tower->steps, err);
}

/* ---- the stem ---- */

/* Frames [first, first + n) of a clip, and zeros after them. */
static tess_status read_chunk(const audio_call *call, const tess_features *clip, int64_t first, int n,
                              tess_error *err)
{
    const tess_audio_tower *tower = call->tower;
    size_t n_mel = (size_t)tower->config->n_mel, n_value = (size_t)n * n_mel,
           n_all = (size_t)call->shape.n_frame * n_mel;
    tess_status status = tess_tower_read(&tower->encoder.compute, clip, first, n, n_mel, tower->frames, err);
    if (status != TESS_OK) return status;
    memset(tower->frames + n_value, 0, (n_all - n_value) * sizeof *tower->frames);
    return TESS_OK;
}

/* A chunk of a clip -> rows of the piece. */
static tess_status add_chunk(audio_call *call, const tess_matrix *weights, const tess_features *clip,
                             int64_t first, int n, tess_error *err)
{
    tess_audio_tower *tower = call->tower;
    const tess_compute *compute = &tower->encoder.compute;
    size_t d_model = (size_t)tower->config->d_model;
    tess_status status = read_chunk(call, clip, first, n, err);
    if (status != TESS_OK) return status;
    tess_audio_stem_run(tower, weights, call->shape.n_frame);
    status = emit_steps(call, err);
    if (status != TESS_OK) return status;
    int n_step = tess_audio_stem_steps(n);
    float *rows = tower->encoder.residual + (size_t)call->n_tok * d_model;
    memcpy(rows, tower->steps, (size_t)n_step * d_model * sizeof *rows);
    compute->kernels->add(rows, tower->positions, (size_t)n_step * d_model, compute->rounding);
    call->n_tok += n_step;
    call->n_chunk_done++;
    return tell_work(call, (int64_t)call->n_tok * STEM_WORTH, err);
}

/* The window that begins at call->next_frame has so many frames. */
static int64_t next_window(const audio_call *call)
{
    const tess_audio_config *config = call->tower->config;
    int64_t left = call->clip[call->next_clip]->n_frame - call->next_frame,
            full = (int64_t)window_chunks(config) * chunk_frames(config);
    return left < full ? left : full;
}

static tess_status add_window(audio_call *call, const tess_matrix *weights, int64_t n_frame, tess_error *err)
{
    const tess_features *clip = call->clip[call->next_clip];
    int full = chunk_frames(call->tower->config);
    for (int64_t end = call->next_frame + n_frame; call->next_frame < end;) {
        int64_t left = end - call->next_frame;
        int n = left < full ? (int)left : full;
        tess_status status = add_chunk(call, weights, clip, call->next_frame, n, err);
        if (status != TESS_OK) return status;
        call->next_frame += n;
    }
    call->tower->group[++call->n_group] = call->n_tok;
    if (call->next_frame < clip->n_frame) return TESS_OK;
    call->next_clip++;
    call->next_frame = 0;
    return TESS_OK;
}

/* As many windows as a piece has room for -> rows and groups of the encoder. */
static tess_status begin_piece(audio_call *call, tess_error *err)
{
    tess_audio_tower *tower = call->tower;
    const tess_matrix *weights;
    tess_status status = tess_bank_lease(&tower->parts, TESS_AUDIO_STEM, &weights, err);
    if (status != TESS_OK) return status;
    call->n_tok = call->n_group = 0;
    tower->group[0] = 0;
    while (call->next_clip < call->n_clip && status == TESS_OK) {
        int64_t n_frame = next_window(call);
        int n_tok = tess_audio_count_tokens(tower->config, n_frame);
        if (n_tok > tower->encoder.n_row) TESS_BUG("a window longer than the pieces that were planned");
        if (n_tok > tower->encoder.n_row - call->n_tok) break;
        status = add_window(call, weights, n_frame, err);
    }
    tess_bank_release(&tower->parts, TESS_AUDIO_STEM);
    return status;
}

/* ---- layers and head ---- */

static tess_status end_layer(void *context, int layer, tess_error *err)
{
    const audio_call *call = context;
    return emit_rows(call, TESS_AUDIO_TAP_LAYER, layer, 0, call->n_tok, call->tower->encoder.residual, err);
}

static tess_status tell_rows(void *context, int layer, int n_row, tess_error *err)
{
    const audio_call *call = context;
    return tell_work(call, (int64_t)call->n_tok * (STEM_WORTH + layer) + n_row, err);
}

/* Rows [row, row + n) of the piece, in the encoder's scratch of a block. */
static tess_status run_head_block(const audio_call *call, const tess_matrix *weights, int row, int n,
                                  tess_error *err)
{
    const tess_encoder *e = &call->tower->encoder;
    size_t d_model = (size_t)e->config.d_model, d_output = (size_t)call->tower->config->d_output;
    const tess_head_room room = {
        .n_tok = e->n_block, .normed = e->normed, .hidden = e->query, .packed = e->packed};
    float *out = call->out + (size_t)(call->n_tok_done + row) * d_output;
    tess_layer_norm_rows(&e->compute, e->normed, e->residual + (size_t)row * d_model,
                         tess_matrix_get_vector(&weights[TESS_HEAD_NORM]),
                         tess_matrix_get_vector(&weights[TESS_HEAD_NORM_BIAS]), d_model, e->config.norm_eps,
                         n);
    tess_status status = emit_rows(call, TESS_AUDIO_TAP_LN_POST, 0, row, n, e->normed, err);
    if (status != TESS_OK) return status;
    tess_head_finish(&e->compute, weights, &room, n, out);
    return emit_rows(call, TESS_AUDIO_TAP_OUTPUT, 0, row, n, out, err);
}

static tess_status end_piece(audio_call *call, tess_error *err)
{
    tess_audio_tower *tower = call->tower;
    const tess_matrix *weights;
    tess_status status = tess_bank_lease(&tower->parts, TESS_AUDIO_HEAD, &weights, err);
    if (status != TESS_OK) return status;
    for (int row = 0, n; row < call->n_tok && status == TESS_OK; row += n) {
        n = call->n_tok - row < tower->encoder.n_block ? call->n_tok - row : tower->encoder.n_block;
        status = run_head_block(call, weights, row, n, err);
    }
    tess_bank_release(&tower->parts, TESS_AUDIO_HEAD);
    call->n_tok_done += call->n_tok;
    return status;
}

tess_status tess_audio_tower_run(tess_audio_tower *tower, const tess_features *const *clip, int n_clip,
                                 const tess_tap_listener *listener, const tess_progress *progress, float *out,
                                 tess_error *err)
{
    audio_call call = {.tower = tower,
                       .clip = clip,
                       .n_clip = n_clip,
                       .listener = listener,
                       .progress = progress,
                       .out = out,
                       .shape = shape_of(tower->config, clip, n_clip)};
    tess_status status = TESS_OK;
    while (call.next_clip < n_clip && status == TESS_OK) {
        status = begin_piece(&call, err);
        const tess_encoder_pass pass = {.n_group = call.n_group,
                                        .group = tower->group,
                                        .on_layer = end_layer,
                                        .on_rows = tell_rows,
                                        .context = &call};
        if (status == TESS_OK) status = tess_encoder_run(&tower->encoder, &pass, err);
        if (status == TESS_OK) status = end_piece(&call, err);
    }
    return status;
}
