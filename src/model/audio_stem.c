#include "model/audio_stem.h"

#include "kernels/angles.h"

enum {
    BLOCK_ROWS = 128, /* of a product at a time: the rows take nine times the input's room */
    N_TAP = 9
};

static int halve(int n)
{
    return (n - 1) / 2 + 1;
}

int tess_audio_stem_steps(int n)
{
    return halve(halve(halve(n)));
}

double tess_audio_stem_count_products(const tess_audio_config *config, int n_frame)
{
    double n_channel = config->d_downsample, n_in = 1, sum = 0;
    int n_time = n_frame, n_mel = config->n_mel;
    for (int i = 0; i < 3; i++, n_in = n_channel) {
        n_time = halve(n_time);
        n_mel = halve(n_mel);
        sum += (double)n_time * n_mel * n_channel * N_TAP * n_in;
    }
    return sum + (double)n_time * config->d_model * n_channel * n_mel;
}

/* ---- memory ---- */

/* The positions of a chunk's steps: sines, then cosines, of step * frequency. Frequencies fall from 1 to
 * 1/10000, their exponents in float32 as the original's; d_model is even and at least 4. */
static void fill_positions(tess_audio_tower *tower, int n_step)
{
    size_t d_model = (size_t)tower->config->d_model, n = d_model / 2;
    float increment = (float)-(tess_log_double(10000.0) / (double)(n - 1));
    for (size_t i = 0; i < n; i++) {
        float frequency = (float)tess_exp_double((double)(increment * (float)i));
        for (int step = 0; step < n_step; step++) {
            float *row = tower->positions + (size_t)step * d_model;
            tess_rotary_table(&row[n + i], &row[i], &frequency, 1, (float)step);
        }
    }
    const tess_compute *compute = &tower->encoder.compute;
    if (compute->rounding == TESS_ROUND_BF16)
        compute->kernels->round_bf16(tower->positions, (size_t)n_step * d_model);
}

void tess_audio_stem_init(tess_audio_tower *tower, const tess_tower_sizes *sizes, tess_arena *arena)
{
    const tess_audio_config *c = tower->config;
    int n_frame = 2 * c->n_window, n_step = tess_audio_stem_steps(n_frame), n_time = n_frame,
        n_mel = c->n_mel;
    uint64_t n_channel = (uint64_t)c->d_downsample, d_model = (uint64_t)c->d_model;
    tower->frames = TESS_TAKE_ROWS(arena, n_frame, n_mel);
    for (int i = 0; i < 3; i++) {
        n_time = halve(n_time);
        n_mel = halve(n_mel);
        tower->map[i] = TESS_TAKE_ROWS(arena, (uint64_t)n_time * (uint64_t)n_mel, n_channel);
    }
    uint64_t of_conv = n_channel * N_TAP, of_out = n_channel * (uint64_t)n_mel;
    size_t widest = (size_t)(of_conv > of_out ? of_conv : of_out);
    tower->gathered = TESS_TAKE_ROWS(arena, sizes->n_thread, widest);
    tower->packed = TESS_TAKE_ROWS(arena, BLOCK_ROWS, tess_packed_floats(widest));
    tower->steps = TESS_TAKE_ROWS(arena, n_step, d_model);
    tower->positions = TESS_TAKE_ROWS(arena, n_step, d_model);
    if (arena->base) fill_positions(tower, n_step);
}

/* ---- products ---- */

/* A map [n_time, n_mel, n_channel]. */
typedef struct feature_map {
    const float *values;
    int n_time, n_mel, n_channel;
} feature_map;

/* Rows [first, first + n) of a product, made of a map by `gather`. */
typedef struct product {
    const tess_audio_tower *tower;
    const feature_map *in;
    void (*gather)(const feature_map *in, int row, float *out);
    size_t n_col;
    int first, n;
} product;

/* The nine places below a place of the output, rows of which are [time, mel]; elements go by channel, then
 * mel, then time, as the weights do. */
static void gather_places(const feature_map *in, int row, float *out)
{
    int n_mel = halve(in->n_mel), time = 2 * (row / n_mel) - 1, mel = 2 * (row % n_mel) - 1;
    size_t n_channel = (size_t)in->n_channel;
    for (int tap = 0; tap < N_TAP; tap++) {
        int m = mel + tap / 3, t = time + tap % 3;
        bool is_inside = m >= 0 && m < in->n_mel && t >= 0 && t < in->n_time;
        const float *place = is_inside ? in->values + (size_t)(t * in->n_mel + m) * n_channel : NULL;
        for (size_t c = 0; c < n_channel; c++) out[c * N_TAP + (size_t)tap] = place ? place[c] : 0.0f;
    }
}

/* All of one step in time, by channel, then mel. */
static void gather_step(const feature_map *in, int row, float *out)
{
    size_t n_channel = (size_t)in->n_channel, n_mel = (size_t)in->n_mel;
    const float *step = in->values + (size_t)row * n_mel * n_channel;
    for (size_t m = 0; m < n_mel; m++)
        for (size_t c = 0; c < n_channel; c++) out[c * n_mel + m] = step[m * n_channel + c];
}

static void gather_share(void *arg, int share, int n_share)
{
    const product *p = arg;
    const tess_audio_tower *tower = p->tower;
    size_t width = tess_packed_floats(p->n_col);
    float *gathered = tower->gathered + (size_t)share * p->n_col;
    int64_t begin, end;
    tess_share_range(p->n, 1, share, n_share, &begin, &end);
    for (int i = (int)begin; i < (int)end; i++) {
        p->gather(p->in, p->first + i, gathered);
        tower->encoder.compute.kernels->pack(tower->packed + (size_t)i * width, gathered, p->n_col);
    }
}

/* out[n_row, rows of the weight] = the product of n_row rows gathered from a map, a block at a time; with a
 * bias GELU follows. */
static void multiply_map(const tess_audio_tower *tower, const feature_map *in,
                         void (*gather)(const feature_map *in, int row, float *out), int n_row,
                         const tess_matrix *weight, const tess_matrix *bias, float *out)
{
    const tess_compute *compute = &tower->encoder.compute;
    product p = {.tower = tower, .in = in, .gather = gather, .n_col = weight->n_col};
    for (; p.first < n_row; p.first += p.n) {
        float *rows = out + (size_t)p.first * weight->n_row;
        p.n = n_row - p.first < BLOCK_ROWS ? n_row - p.first : BLOCK_ROWS;
        const tess_linear linear = tess_linear_make(weight, bias, tower->packed, p.n, rows);
        tess_pool_run(compute->pool, gather_share, &p);
        tess_linear_run(compute, &linear, 1);
        if (bias) tess_gelu_rows(compute, NULL, rows, weight->n_row, p.n, false);
    }
}

void tess_audio_stem_run(tess_audio_tower *tower, const tess_matrix *weights, int n_frame)
{
    feature_map map = {tower->frames, n_frame, tower->config->n_mel, 1};
    for (int i = 0; i < 3; i++) {
        const tess_matrix *weight = &weights[TESS_AUDIO_CONV1 + 2 * i], *bias = weight + 1;
        int n_time = halve(map.n_time), n_mel = halve(map.n_mel);
        multiply_map(tower, &map, gather_places, n_time * n_mel, weight, bias, tower->map[i]);
        map = (feature_map){tower->map[i], n_time, n_mel, tower->config->d_downsample};
    }
    multiply_map(tower, &map, gather_step, map.n_time, &weights[TESS_AUDIO_CONV_OUT], NULL, tower->steps);
}
