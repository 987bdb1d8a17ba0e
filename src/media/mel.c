#include "media/mel.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"
#include "kernels/angles.h"
#include "media/fft.h"

enum {
    EDGE = TESS_MEL_WINDOW / 2, /* samples that are mirrored before the clip's first */
    LEAST_SAMPLES = EDGE + 1,   /* that can be mirrored: the first itself is not repeated */
    HELD = 2 * TESS_MEL_WINDOW, /* room for samples that frames are still to be made of */
    BLOCK_FRAMES = 256,
    MOST_WEIGHTS = 2 * TESS_FFT_BINS + 2 /* a bin lies in two bands at most */
};
#define MOST_SAMPLE 1e15f

typedef struct band {
    int first, n; /* bins */
    int at;       /* of its weights */
} band;

struct tess_mel {
    const char *file;
    int n_mel;
    int64_t most_frames, n_sample, n_frame;
    float max; /* of all logarithms */
    int n_held;
    float held[HELD]; /* from the sample on that the next frame begins with; the first 200 are mirrored */
    float **block;    /* [n_block] of [BLOCK_FRAMES, n_mel] */
    size_t n_block, n_block_room;
    float window[TESS_MEL_WINDOW];
    band bands[TESS_MEL_MOST_BANDS];
    double weight[MOST_WEIGHTS]; /* rounded to float */
    tess_fft fft;
};

/* ---- tables ---- */

/* QUIRK: the original computes the angle, its cosine and the window in float32, which puts its window up to
 * 2.4e-7 beside Hann's; at twelve places its cosine is not the nearest float, which changes a frame by 1e-4
 * of itself where all it holds is a click at its edge. */
static void fill_window(float *window)
{
    static const struct {
        int at, steps; /* of 2^-25 */
    } odd[] = {{18, -1},  {26, -1},  {36, 1},   {55, 1},   {88, -1},  {160, -2},
               {195, -2}, {239, -2}, {341, -1}, {381, -1}, {385, -1}, {398, 1}};
    const float step = (float)(2.0 * 3.14159265358979323846 / TESS_MEL_WINDOW);
    for (int i = 0; i < TESS_MEL_WINDOW; i++) {
        double sine, cosine;
        tess_sincos((double)((float)i * step), &sine, &cosine);
        window[i] = -0.5f * (float)cosine + 0.5f;
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        window[odd[i].at] += (float)odd[i].steps * 0x1p-25f;
}

static double hertz_of(double mel)
{
    const double log_step = tess_log_double(6.4) / 27.0;
    return mel >= 15.0 ? 1000.0 * tess_exp_double(log_step * (mel - 15.0)) : 200.0 * mel / 3.0;
}

/* What equally spaced places of Slaney's scale are apart, up to 8,000 Hz. */
static double step_of(int64_t n_mel)
{
    const double mel_max = 15.0 + tess_log_double(8.0) * (27.0 / tess_log_double(6.4));
    return mel_max / (double)(n_mel + 1);
}

double tess_mel_get_width_hz(int64_t n_mel, int64_t i)
{
    const double step = step_of(n_mel);
    return (hertz_of((double)(i + 2) * step) - hertz_of((double)i * step)) / 2.0;
}

/* Triangles between such places, each of area 1 in its frequency. */
static void fill_bands(tess_mel *mel)
{
    const double step = step_of(mel->n_mel);
    const double bin_hz = (double)TESS_MEL_RATE_HZ / TESS_FFT_POINTS;
    int n_weight = 0;
    for (int m = 0; m < mel->n_mel; m++) {
        const double left = hertz_of(m * step), top = hertz_of((m + 1) * step),
                     right = hertz_of((m + 2) * step);
        band *b = &mel->bands[m];
        *b = (band){.at = n_weight};
        for (int k = 0; k < TESS_FFT_BINS; k++) {
            const double rising = (k * bin_hz - left) / (top - left);
            const double falling = (right - k * bin_hz) / (right - top);
            const double height = rising < falling ? rising : falling;
            if (height <= 0.0) continue;
            if (b->n == 0) b->first = k;
            TESS_ASSERT(n_weight < MOST_WEIGHTS);
            mel->weight[n_weight++] = (double)(float)(height * (2.0 / (right - left)));
            b->n++;
        }
    }
}

void tess_mel_get_filters(const tess_mel *mel, float *out)
{
    for (int m = 0; m < mel->n_mel; m++)
        for (int k = 0; k < TESS_FFT_BINS; k++) {
            const band *b = &mel->bands[m];
            const bool inside = k >= b->first && k < b->first + b->n;
            out[m * TESS_FFT_BINS + k] = inside ? (float)mel->weight[b->at + k - b->first] : 0.0f;
        }
}

void tess_mel_get_window(const tess_mel *mel, float out[TESS_MEL_WINDOW])
{
    memcpy(out, mel->window, sizeof mel->window);
}

/* ---- a clip ---- */

tess_status tess_mel_new(tess_mel **out, const char *file, int n_mel, int64_t most_frames, tess_error *err)
{
    TESS_ASSERT(n_mel >= 1 && n_mel <= TESS_MEL_MOST_BANDS && most_frames >= 1);
    tess_mel *mel = calloc(1, sizeof *mel);
    if (!mel) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its mel frames", file);
    const tess_fpenv saved = tess_fpenv_enter();
    mel->file = file;
    mel->n_mel = n_mel;
    mel->most_frames = most_frames;
    mel->max = -INFINITY;
    mel->n_held = EDGE;
    tess_fft_init(&mel->fft);
    fill_window(mel->window);
    fill_bands(mel);
    tess_fpenv_leave(saved);
    *out = mel;
    return TESS_OK;
}

void tess_mel_free(tess_mel *mel)
{
    if (!mel) return;
    for (size_t i = 0; i < mel->n_block; i++) free(mel->block[i]);
    free(mel->block);
    free(mel);
}

static tess_status no_memory(const tess_mel *mel, tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "%s: no memory for more than %lld mel frames", mel->file,
                     (long long)mel->n_frame);
}

/* Room for the next frame. */
static tess_status make_room(tess_mel *mel, tess_error *err)
{
    if (mel->n_frame < (int64_t)mel->n_block * BLOCK_FRAMES) return TESS_OK;
    if (mel->n_block == mel->n_block_room) {
        const size_t room = mel->n_block_room ? 2 * mel->n_block_room : 16;
        float **grown = realloc(mel->block, room * sizeof *grown);
        if (!grown) return no_memory(mel, err);
        mel->block = grown;
        mel->n_block_room = room;
    }
    float *block = malloc((size_t)BLOCK_FRAMES * (size_t)mel->n_mel * sizeof *block);
    if (!block) return no_memory(mel, err);
    mel->block[mel->n_block++] = block;
    return TESS_OK;
}

static float *get_frame(const tess_mel *mel, int64_t t)
{
    return mel->block[t / BLOCK_FRAMES] + (size_t)(t % BLOCK_FRAMES) * (size_t)mel->n_mel;
}

/* The frame that held samples begin with. */
static tess_status add_frame(tess_mel *mel, tess_error *err)
{
    static const double log10_of_e = 0.43429448190325182765;
    const tess_status status = make_room(mel, err);
    if (status != TESS_OK) return status;
    float windowed[TESS_MEL_WINDOW];
    double power[TESS_FFT_BINS];
    for (int i = 0; i < TESS_MEL_WINDOW; i++) windowed[i] = mel->held[i] * mel->window[i];
    tess_fft_power(&mel->fft, windowed, power);
    float *out = get_frame(mel, mel->n_frame);
    for (int m = 0; m < mel->n_mel; m++) {
        const band *b = &mel->bands[m];
        double sum = 0.0;
        for (int k = 0; k < b->n; k++) sum += mel->weight[b->at + k] * power[b->first + k];
        const float energy = (float)sum > 1e-10f ? (float)sum : 1e-10f;
        out[m] = (float)(tess_log_double((double)energy) * log10_of_e);
        if (out[m] > mel->max) mel->max = out[m];
    }
    mel->n_frame++;
    mel->n_held -= TESS_MEL_HOP;
    memmove(mel->held, mel->held + TESS_MEL_HOP, (size_t)mel->n_held * sizeof *mel->held);
    return TESS_OK;
}

/* Mirrors the first samples to before the clip, once they are there. */
static void mirror_begin(tess_mel *mel)
{
    for (int k = 1; k <= EDGE; k++) mel->held[EDGE - k] = mel->held[EDGE + k];
}

static tess_status check_samples(const tess_mel *mel, const float *samples, size_t n, tess_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (fabsf(samples[i]) <= MOST_SAMPLE) continue;
        char field[64];
        const int64_t at = mel->n_sample + (int64_t)i;
        snprintf(field, sizeof field, "sample %lld (at %.3f s)", (long long)at,
                 (double)at / TESS_MEL_RATE_HZ);
        return tess_refuse(err, mel->file, field, -1, "-1e15 to 1e15, usually -1 to 1", "%g",
                           (double)samples[i]);
    }
    return TESS_OK;
}

tess_status tess_mel_check_most(const char *file, int64_t n_sample, int64_t most_frames, tess_error *err)
{
    char expected[96];
    if (n_sample / TESS_MEL_HOP <= most_frames) return TESS_OK;
    snprintf(expected, sizeof expected, "at most %lld mel frames (%.2f s)", (long long)most_frames,
             (double)most_frames * TESS_MEL_HOP / TESS_MEL_RATE_HZ);
    return tess_refuse(err, file, "length", -1, expected, "more");
}

tess_status tess_mel_check_least(const char *file, int64_t n_sample, tess_error *err)
{
    if (n_sample >= TESS_MEL_HOP) return TESS_OK;
    return tess_refuse(err, file, "length", -1, "at least 160 samples at 16 kHz (10 ms)", "%lld sample%s",
                       (long long)n_sample, n_sample == 1 ? "" : "s");
}

/* Frames of which all samples are held. One sample more than a frame needs is waited for: until then the clip
 * might end, or be too short to be mirrored. */
static tess_status add_whole_frames(tess_mel *mel, tess_error *err)
{
    tess_status status = TESS_OK;
    while (status == TESS_OK && mel->n_held > TESS_MEL_WINDOW) {
        if (mel->n_frame == 0) mirror_begin(mel);
        status = add_frame(mel, err);
    }
    return status;
}

tess_status tess_mel_push(tess_mel *mel, const float *samples, size_t n, tess_error *err)
{
    tess_status status = check_samples(mel, samples, n, err);
    const tess_fpenv saved = tess_fpenv_enter();
    while (n > 0 && status == TESS_OK) {
        const size_t room = (size_t)(HELD - mel->n_held), piece = n < room ? n : room;
        memcpy(mel->held + mel->n_held, samples, piece * sizeof *samples);
        mel->n_held += (int)piece;
        mel->n_sample += (int64_t)piece;
        samples += piece;
        n -= piece;
        status = tess_mel_check_most(mel->file, mel->n_sample, mel->most_frames, err);
        if (status == TESS_OK) status = add_whole_frames(mel, err);
    }
    tess_fpenv_leave(saved);
    return status;
}

tess_status tess_mel_finish(tess_mel *mel, tess_error *err)
{
    const int64_t n_frame = mel->n_sample / TESS_MEL_HOP;
    tess_status status = tess_mel_check_least(mel->file, mel->n_sample, err);
    if (status != TESS_OK) return status;
    const tess_fpenv saved = tess_fpenv_enter();
    for (int64_t n = mel->n_sample; n < LEAST_SAMPLES; n++) mel->held[mel->n_held++] = 0.0f;
    if (mel->n_frame == 0) mirror_begin(mel);
    /* One frame may be left to make; what it lacks, at most 40 samples, is mirrored at the last one. */
    for (int last = mel->n_held - 1, k = 1; mel->n_held < TESS_MEL_WINDOW; k++)
        mel->held[mel->n_held++] = mel->held[last - k];
    while (mel->n_frame < n_frame && status == TESS_OK) status = add_frame(mel, err);
    tess_fpenv_leave(saved);
    return status;
}

/* ---- features ---- */

static tess_status read_frames(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const tess_mel *mel = context;
    TESS_ASSERT(first >= 0 && n >= 0 && n <= mel->n_frame - first);
    const tess_fpenv saved = tess_fpenv_enter();
    const float floor = mel->max - 8.0f;
    for (int64_t t = first; t < first + n; t++) {
        const float *frame = get_frame(mel, t);
        for (int m = 0; m < mel->n_mel; m++) {
            const float raised = frame[m] > floor ? frame[m] : floor;
            *out++ = (raised + 4.0f) / 4.0f;
        }
    }
    tess_fpenv_leave(saved);
    return TESS_OK;
}

tess_features tess_mel_get_features(tess_mel *mel)
{
    return (tess_features){.kind = TESS_MEDIA_AUDIO,
                           .width = mel->n_mel,
                           .n_frame = mel->n_frame,
                           .read = read_frames,
                           .context = mel};
}

int64_t tess_mel_get_samples(const tess_mel *mel)
{
    return mel->n_sample;
}

uint64_t tess_mel_bytes(int n_mel, int64_t n_frame)
{
    const uint64_t n_block = ((uint64_t)n_frame + BLOCK_FRAMES - 1) / BLOCK_FRAMES;
    return sizeof(tess_mel) +
           n_block * (sizeof(float *) * 2 + BLOCK_FRAMES * sizeof(float) * (uint64_t)n_mel);
}
