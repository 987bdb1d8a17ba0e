#include "model/code2wav.h"

#include <stdio.h>
#include <string.h>

#include "model/code2wav_layers.h"
#include "model/code2wav_taps.h"

enum {
    BLOCK_ROWS = 128, /* of a product of a ConvNeXt block */
    WIDE_TAPS = 7,    /* of the convolutions that are not transposed */
    LOOK_BACK = WIDE_TAPS - 1
};

/* Of the first convolution of each residual unit. */
static const int unit_dilation[TESS_CODE2WAV_UNITS] = {1, 3, 9};

static size_t unit_look_back(int unit)
{
    return (size_t)LOOK_BACK * (size_t)unit_dilation[unit];
}

/* ---- memory ---- */

tess_code2wav tess_code2wav_make(const tess_code2wav_config *config, const tess_compute *compute)
{
    return (tess_code2wav){.config = config, .compute = *compute};
}

/* The most that n_frame frames make of a stage, once the stream has begun. */
static uint64_t most_positions(const tess_code2wav_config *config, int stage, int n_frame)
{
    uint64_t n = (uint64_t)n_frame;
    for (int i = 0; i < stage; i++) {
        int block = i - config->n_upsampling_ratio;
        n *= (uint64_t)(block < 0 ? config->upsampling_ratio[i] : config->upsample_rate[block]);
    }
    return n;
}

/* What the largest stage needs. */
typedef struct needs {
    uint64_t values, padded;
} needs;

static void need(needs *most, uint64_t n_position, uint64_t n_channel, uint64_t look_back)
{
    uint64_t values = n_position * n_channel, padded = (look_back + n_position) * n_channel;
    if (values > most->values) most->values = values;
    if (padded > most->padded) most->padded = padded;
}

static void plan_upsampling(tess_code2wav *c, const tess_code2wav_sizes *sizes, needs *most)
{
    const tess_code2wav_config *config = c->config;
    size_t d_model = (size_t)config->d_model;
    for (int i = 0; i < config->n_upsampling_ratio; i++) {
        tess_conv_room_plan_transposed(&c->room, d_model, d_model, config->upsampling_ratio[i],
                                       (int64_t)most_positions(config, i, sizes->n_frame));
        need(most, most_positions(config, i + 1, sizes->n_frame), d_model, LOOK_BACK);
    }
}

static void plan_decoder(tess_code2wav *c, const tess_code2wav_sizes *sizes, needs *most)
{
    const tess_code2wav_config *config = c->config;
    uint64_t n = most_positions(config, config->n_upsampling_ratio, sizes->n_frame);
    size_t n_channel = (size_t)config->d_decoder;
    need(most, n, (uint64_t)config->d_model, LOOK_BACK);
    need(most, n, n_channel, 1);
    tess_conv_room_plan(&c->room, (size_t)config->d_model, WIDE_TAPS, (int64_t)n);
    for (int i = 0; i < config->n_upsample_rate; i++) {
        size_t before = n_channel;
        n_channel = tess_code2wav_channels(config, i);
        tess_conv_room_plan_transposed(&c->room, before, n_channel, 2 * config->upsample_rate[i], (int64_t)n);
        n = most_positions(config, tess_code2wav_stage_block(config, i), sizes->n_frame);
        need(most, n, n_channel, unit_look_back(TESS_CODE2WAV_UNITS - 1));
        tess_conv_room_plan(&c->room, n_channel, WIDE_TAPS, (int64_t)n);
    }
}

static void take_tails(tess_code2wav *c, tess_arena *arena)
{
    const tess_code2wav_config *config = c->config;
    size_t d_model = (size_t)config->d_model;
    for (int i = 0; i < config->n_upsampling_ratio; i++)
        tess_tail_take(&c->depthwise[i], LOOK_BACK, d_model, arena);
    tess_tail_take(&c->stem, LOOK_BACK, d_model, arena);
    for (int i = 0; i < config->n_upsample_rate; i++) {
        tess_tail_take(&c->block[i], 1, tess_code2wav_channels(config, i - 1), arena);
        for (int u = 0; u < TESS_CODE2WAV_UNITS; u++)
            tess_tail_take(&c->unit[i][u], unit_look_back(u), tess_code2wav_channels(config, i), arena);
    }
    tess_tail_take(&c->last, LOOK_BACK, tess_code2wav_channels(config, config->n_upsample_rate - 1), arena);
}

void tess_code2wav_init_workspace(tess_code2wav *c, const tess_code2wav_sizes *sizes, tess_arena *arena)
{
    needs most = {0};
    uint64_t n_row = most_positions(c->config, c->config->n_upsampling_ratio, sizes->n_frame);
    c->n_frame = sizes->n_frame;
    c->work.n_block = n_row < BLOCK_ROWS ? (int)n_row : BLOCK_ROWS;
    if (c->work.n_block < sizes->n_frame) c->work.n_block = sizes->n_frame;
    tess_code2wav_layers_init(c, sizes, arena);
    take_tails(c, arena);
    plan_upsampling(c, sizes, &most);
    plan_decoder(c, sizes, &most);
    c->current = TESS_TAKE_ROWS(arena, 1, most.values);
    c->made = TESS_TAKE_ROWS(arena, 1, most.values);
    c->padded = TESS_TAKE_ROWS(arena, 1, most.padded);
    tess_conv_room_take(&c->room, sizes->n_thread, arena);
}

void tess_code2wav_init_weights(tess_code2wav *c, tess_store *store, const tess_code2wav_weights *weights,
                                const tess_code2wav_sizes *sizes, tess_arena *arena)
{
    const tess_bank_layout layers = tess_code2wav_layer_bank(weights, sizes->n_layer_slot),
                           parts = tess_code2wav_part_bank(weights, sizes->n_part_slot);
    tess_row_table_init(&c->embedding, store, &weights->embedding, sizes->n_embedding_slot,
                        (tess_bank_packing){0}, arena);
    tess_bank_init(&c->layers, store, &layers, arena);
    tess_bank_init(&c->parts, store, &parts, arena);
}

/* ---- counting ---- */

double tess_code2wav_count_products(const tess_code2wav_config *config)
{
    double d = config->d_model, d_key = d / config->n_head * config->n_kv_head, n = 1, n_channel;
    double sum =
        config->n_layer * d * (2 * d + 2 * d_key + 3.0 * config->d_ff + 2.0 * config->sliding_window);
    for (int i = 0; i < config->n_upsampling_ratio; i++) {
        n *= config->upsampling_ratio[i];
        sum += n * d * (d + WIDE_TAPS + 8 * d);
    }
    n_channel = config->d_decoder;
    sum += n * n_channel * WIDE_TAPS * d;
    for (int i = 0; i < config->n_upsample_rate; i++) {
        double before = n_channel;
        n_channel = (double)tess_code2wav_channels(config, i);
        n *= config->upsample_rate[i];
        sum += n * n_channel * (2 * before + TESS_CODE2WAV_UNITS * (WIDE_TAPS + 1) * n_channel);
    }
    return sum + n * n_channel * WIDE_TAPS;
}

/* ---- a stream ---- */

void tess_code2wav_begin(tess_code2wav *c, const tess_code2wav_stream *stream)
{
    c->stream = *stream;
    c->n_done = 0;
    for (int i = 0; i < c->config->n_upsampling_ratio; i++) tess_tail_clear(&c->depthwise[i]);
    tess_tail_clear(&c->stem);
    for (int i = 0; i < c->config->n_upsample_rate; i++) {
        tess_tail_clear(&c->block[i]);
        for (int u = 0; u < TESS_CODE2WAV_UNITS; u++) tess_tail_clear(&c->unit[i][u]);
    }
    tess_tail_clear(&c->last);
}

/* Positions that the present n frames make of a stage. */
static int count_made(const tess_code2wav *c, int stage, int n)
{
    return (int)(tess_code2wav_count_length(c->config, stage, c->n_done + n) -
                 tess_code2wav_count_length(c->config, stage, c->n_done));
}

static void swap_rooms(tess_code2wav *c)
{
    float *current = c->current;
    c->current = c->made;
    c->made = current;
}

/* ---- upsampling by ratios ---- */

/* c->current [n, d_model] += gamma * MLP(norm(depthwise convolution)), block of rows by block of rows */
static void run_convnext(tess_code2wav *c, const tess_matrix *weights, tess_tail *tail, int n)
{
    size_t d = (size_t)c->config->d_model, d_wide = weights[TESS_UPSAMPLE_FIRST].n_row;
    const tess_code2wav_scratch *w = &c->work;
    tess_tail_recall(tail, c->padded);
    memcpy(c->padded + tail->n_row * d, c->current, (size_t)n * d * sizeof *c->current);
    tess_tail_keep(tail, c->padded, n);
    const tess_channelwise channelwise = {.weight = &weights[TESS_UPSAMPLE_DEPTHWISE],
                                          .bias = &weights[TESS_UPSAMPLE_DEPTHWISE_BIAS],
                                          .in = c->padded,
                                          .out = c->made,
                                          .n = n};
    tess_convolve_channelwise(&c->compute, &channelwise);
    tess_layer_norm_rows(&c->compute, c->made, c->made, tess_matrix_get_vector(&weights[TESS_UPSAMPLE_NORM]),
                         tess_matrix_get_vector(&weights[TESS_UPSAMPLE_NORM_BIAS]), d, 1e-6, n);
    for (int row = 0, n_row; row < n; row += n_row) {
        n_row = n - row < w->n_block ? n - row : w->n_block;
        float *rows = c->made + (size_t)row * d;
        const tess_linear first = tess_linear_make(&weights[TESS_UPSAMPLE_FIRST],
                                                   &weights[TESS_UPSAMPLE_FIRST_BIAS], w->packed, n_row,
                                                   w->hidden),
                          second = tess_linear_make(&weights[TESS_UPSAMPLE_SECOND],
                                                    &weights[TESS_UPSAMPLE_SECOND_BIAS], w->hidden_packed,
                                                    n_row, rows);
        tess_pack_rows(&c->compute, w->packed, rows, d, n_row);
        tess_linear_run(&c->compute, &first, 1);
        tess_gelu_rows(&c->compute, w->hidden_packed, w->hidden, d_wide, n_row, false);
        tess_linear_run(&c->compute, &second, 1);
    }
    tess_add_layer_scale_rows(&c->compute, c->current, c->made, &weights[TESS_UPSAMPLE_GAMMA], n);
}

static tess_status emit_upsampled(const tess_code2wav *c, int ratio, int block, int n_frame, tess_error *err)
{
    const tess_code2wav_place place = {TESS_CODE2WAV_TAP_UPSAMPLE, ratio, block,
                                       tess_code2wav_stage_upsample(ratio), (size_t)c->config->d_model};
    return tess_code2wav_emit(c, &place, n_frame, c->current, err);
}

static tess_status upsample(tess_code2wav *c, const tess_matrix *weights, int ratio, int n_frame,
                            tess_error *err)
{
    const tess_transposed transposed = {.weight = &weights[TESS_UPSAMPLE_CONV],
                                        .bias = &weights[TESS_UPSAMPLE_CONV_BIAS],
                                        .in = c->current,
                                        .out = c->made,
                                        .n_tap = c->config->upsampling_ratio[ratio],
                                        .rate = c->config->upsampling_ratio[ratio],
                                        .n = count_made(c, ratio, n_frame)};
    tess_convolve_transposed(&c->compute, &c->room, &transposed);
    swap_rooms(c);
    tess_status status = emit_upsampled(c, ratio, 0, n_frame, err);
    if (status != TESS_OK) return status;
    run_convnext(c, weights, &c->depthwise[ratio],
                 count_made(c, tess_code2wav_stage_upsample(ratio), n_frame));
    return emit_upsampled(c, ratio, 1, n_frame, err);
}

/* ---- the decoder ---- */

static tess_status emit_decoded(const tess_code2wav *c, int module, int block, size_t n_channel, int n_frame,
                                float *values, tess_error *err)
{
    const tess_code2wav_place place = {TESS_CODE2WAV_TAP_DECODER, module, 0,
                                       tess_code2wav_stage_block(c->config, block), n_channel};
    return tess_code2wav_emit(c, &place, n_frame, values, err);
}

/* The wide convolution of what stands in c->padded behind the room for its tail, n rows. */
static void convolve_padded(tess_code2wav *c, const tess_matrix *weight, tess_tail *tail, int dilation, int n,
                            float *out)
{
    const tess_convolution convolution = {.weight = weight,
                                          .bias = weight + 1,
                                          .in = c->padded,
                                          .out = out,
                                          .n_tap = WIDE_TAPS,
                                          .dilation = dilation,
                                          .n = n};
    tess_tail_recall(tail, c->padded);
    tess_tail_keep(tail, c->padded, n);
    tess_convolve(&c->compute, &c->room, &convolution);
}

static float *behind_tail(const tess_code2wav *c, const tess_tail *tail)
{
    return c->padded + tail->n_row * tail->width;
}

static tess_status run_stem(tess_code2wav *c, const tess_matrix *weights, int n_frame, tess_error *err)
{
    int n = count_made(c, c->config->n_upsampling_ratio, n_frame);
    memcpy(behind_tail(c, &c->stem), c->current, (size_t)n * c->stem.width * sizeof *c->current);
    convolve_padded(c, &weights[TESS_SNAKE_CONV], &c->stem, 1, n, c->current);
    return emit_decoded(c, 0, -1, (size_t)c->config->d_decoder, n_frame, c->current, err);
}

/* c->current = the transposed convolution of snake(c->current). The first outputs of a stream begin with its
 * first position, later ones with the last that was seen before. */
static void run_block_stem(tess_code2wav *c, const tess_matrix *weights, int block, int n_frame)
{
    tess_tail *tail = &c->block[block];
    int stage = tess_code2wav_stage_block(c->config, block - 1), n = count_made(c, stage, n_frame);
    bool has_begun = tess_code2wav_count_length(c->config, stage, c->n_done) > 0;
    tess_snake_rows(&c->compute, behind_tail(c, tail), c->current, &weights[TESS_SNAKE_ALPHA], n);
    tess_tail_recall(tail, c->padded);
    tess_tail_keep(tail, c->padded, n);
    const tess_transposed transposed = {.weight = &weights[TESS_SNAKE_CONV],
                                        .bias = &weights[TESS_SNAKE_CONV_BIAS],
                                        .in = has_begun ? c->padded : behind_tail(c, tail),
                                        .out = c->current,
                                        .n_tap = 2 * c->config->upsample_rate[block],
                                        .rate = c->config->upsample_rate[block],
                                        .n = has_begun ? n : n - 1};
    tess_convolve_transposed(&c->compute, &c->room, &transposed);
}

/* c->current += convolution 1 (snake(convolution 7 (snake(c->current)))), n rows */
static void run_unit(tess_code2wav *c, const tess_matrix *weights, tess_tail *tail, int dilation, int n)
{
    const tess_matrix *second = weights + TESS_SNAKE_WEIGHTS;
    const tess_convolution narrow = {.weight = &second[TESS_SNAKE_CONV],
                                     .bias = &second[TESS_SNAKE_CONV_BIAS],
                                     .in = c->made,
                                     .out = c->padded,
                                     .n_tap = 1,
                                     .dilation = 1,
                                     .n = n};
    tess_snake_rows(&c->compute, behind_tail(c, tail), c->current, &weights[TESS_SNAKE_ALPHA], n);
    convolve_padded(c, &weights[TESS_SNAKE_CONV], tail, dilation, n, c->made);
    tess_snake_rows(&c->compute, c->made, c->made, &second[TESS_SNAKE_ALPHA], n);
    tess_convolve(&c->compute, &c->room, &narrow);
    tess_add_rows(&c->compute, c->current, c->padded, tail->width, n);
}

static tess_status run_block(tess_code2wav *c, int block, int n_frame, tess_error *err)
{
    const tess_matrix *weights;
    int part = tess_code2wav_part_block(c->config, block, -1);
    tess_status status = tess_bank_lease(&c->parts, part, &weights, err);
    if (status != TESS_OK) return status;
    run_block_stem(c, weights, block, n_frame);
    tess_bank_release(&c->parts, part);
    int n = count_made(c, tess_code2wav_stage_block(c->config, block), n_frame);
    for (int u = 0; u < TESS_CODE2WAV_UNITS; u++) {
        part = tess_code2wav_part_block(c->config, block, u);
        status = tess_bank_lease(&c->parts, part, &weights, err);
        if (status != TESS_OK) return status;
        run_unit(c, weights, &c->unit[block][u], unit_dilation[u], n);
        tess_bank_release(&c->parts, part);
    }
    return emit_decoded(c, block + 1, block, tess_code2wav_channels(c->config, block), n_frame, c->current,
                        err);
}

/* ---- the end ---- */

static void clamp(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = x[i] < -1.0f ? -1.0f : x[i] > 1.0f ? 1.0f : x[i];
}

/* c->current -> c->made, the samples */
static tess_status run_last(tess_code2wav *c, const tess_matrix *weights, int n_frame, tess_error *err)
{
    int block = c->config->n_upsample_rate - 1;
    int n = count_made(c, tess_code2wav_stage_block(c->config, block), n_frame);
    float *snaked = behind_tail(c, &c->last);
    tess_snake_rows(&c->compute, snaked, c->current, &weights[TESS_SNAKE_ALPHA], n);
    tess_status status = emit_decoded(c, block + 2, block, c->last.width, n_frame, snaked, err);
    if (status != TESS_OK) return status;
    convolve_padded(c, &weights[TESS_SNAKE_CONV], &c->last, 1, n, c->made);
    return emit_decoded(c, block + 3, block, 1, n_frame, c->made, err);
}

static tess_status hear_samples(tess_code2wav *c, int n_frame, tess_error *err)
{
    const tess_code2wav_stream *stream = &c->stream;
    int stage = tess_code2wav_stage_block(c->config, c->config->n_upsample_rate - 1);
    int n = count_made(c, stage, n_frame);
    int64_t n_whole = stream->listener ? tess_code2wav_count_samples(c->config, stream->n_frame) : 0;
    if (n == 0) return TESS_OK;
    clamp(c->made, n);
    tess_status status =
        tess_code2wav_emit_samples(c, stream->listener, TESS_CODE2WAV_TAP_WAVEFORM, n_whole,
                                   tess_code2wav_count_samples(c->config, c->n_done), n, c->made, err);
    return status == TESS_OK ? stream->hear(stream->context, c->made, n, err) : status;
}

/* ---- pushing ---- */

/* One part that is leased as a whole. */
typedef tess_status part_fn(tess_code2wav *c, const tess_matrix *weights, int n_frame, tess_error *err);

static tess_status with_part(tess_code2wav *c, int part, part_fn *run, int n_frame, tess_error *err)
{
    const tess_matrix *weights;
    tess_status status = tess_bank_lease(&c->parts, part, &weights, err);
    if (status != TESS_OK) return status;
    status = run(c, weights, n_frame, err);
    tess_bank_release(&c->parts, part);
    return status;
}

static tess_status upsample_all(tess_code2wav *c, int n_frame, tess_error *err)
{
    tess_status status = TESS_OK;
    for (int i = 0; i < c->config->n_upsampling_ratio && status == TESS_OK; i++) {
        const tess_matrix *weights;
        status = tess_bank_lease(&c->parts, TESS_CODE2WAV_UPSAMPLE + i, &weights, err);
        if (status != TESS_OK) return status;
        status = upsample(c, weights, i, n_frame, err);
        tess_bank_release(&c->parts, TESS_CODE2WAV_UPSAMPLE + i);
    }
    return status;
}

/* At most c->n_frame frames. */
static tess_status run_frames(tess_code2wav *c, const int32_t *codes, int64_t stride, int n, tess_error *err)
{
    const tess_code2wav_config *config = c->config;
    tess_status status = tess_code2wav_layers_run(c, codes, stride, n, err);
    if (status == TESS_OK) status = tess_code2wav_emit_frames(c, n, err);
    if (status == TESS_OK) status = upsample_all(c, n, err);
    if (status == TESS_OK) status = with_part(c, tess_code2wav_part_stem(config), run_stem, n, err);
    for (int i = 0; i < config->n_upsample_rate && status == TESS_OK; i++) status = run_block(c, i, n, err);
    if (status == TESS_OK) status = with_part(c, tess_code2wav_part_last(config), run_last, n, err);
    if (status == TESS_OK) status = hear_samples(c, n, err);
    c->n_done += n;
    return status;
}

static tess_status check_codes(const tess_code2wav *c, const int32_t *codes, int64_t stride, int64_t n,
                               tess_error *err)
{
    char expected[48];
    snprintf(expected, sizeof expected, "codes of 0 to %d", c->config->codebook_size - 1);
    for (int q = 0; q < c->config->n_quantizer; q++)
        for (int64_t i = 0; i < n; i++) {
            int32_t code = codes[q * stride + i];
            long long frame = c->n_done + i;
            if (code >= 0 && code < c->config->codebook_size) continue;
            return tess_refuse(err, "", "codes", -1, expected, "%d of quantizer %d in frame %lld", code, q,
                               frame);
        }
    return TESS_OK;
}

tess_status tess_code2wav_push(tess_code2wav *c, const int32_t *codes, int64_t stride, int64_t n,
                               tess_error *err)
{
    TESS_ASSERT(n >= 0 && (!c->stream.listener || c->n_done + n <= c->stream.n_frame));
    if (n > TESS_POSITION_MAX - c->n_done)
        return tess_fail(err, TESS_EUSAGE, "codes of more than %d frames", TESS_POSITION_MAX);
    tess_status status = check_codes(c, codes, stride, n, err);
    for (int64_t at = 0; at < n && status == TESS_OK; at += c->n_frame)
        status = run_frames(c, codes + at, stride, n - at < c->n_frame ? (int)(n - at) : c->n_frame, err);
    return status;
}
