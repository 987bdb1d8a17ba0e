/* Code2wav, the vocoder: codes of a frame in, samples out; spec section 14.
 *
 * A frame's codes are embedded and averaged, a causal transformer with a sliding window runs over frames, and
 * convolutions that look back only bring frames to samples: for each upsampling ratio a transposed
 * convolution and a ConvNeXt block, then for each upsampling rate a transposed convolution and three residual
 * units. Of what comes later a sample depends on one step of each of these last rates, so F frames make a
 * little less than F times all ratios and rates: 1920 F - 555 at the released sizes.
 *
 * Decoding is a stream: it keeps the window's keys and values, of every convolution the inputs that later
 * outputs need, and gives samples as they become exact. The bits depend neither on how frames are pushed nor
 * on how many are taken at a time, and memory does not grow with the length.
 *
 * It is lent weights by its banks and threads by a pool; it allocates nothing. Activations lie [position,
 * channel]; taps of convolutions are [channel, position], as the original's are.
 */
#ifndef TESS_MODEL_CODE2WAV_H
#define TESS_MODEL_CODE2WAV_H

#include "model/code2wav_weights.h"
#include "model/convolution.h"
#include "model/row_table.h"
#include "model/taps.h"

typedef struct tess_code2wav_sizes {
    int n_frame; /* frames at a time, 1 or more: weights are read once for so many, scratch grows with them */
    int n_thread;
    int n_embedding_slot; /* blocks of the embedding that stay, 1 … all */
    int n_layer_slot;     /* layers that stay, 1 … all */
    int n_part_slot;      /* parts behind them that stay, 1 … all */
} tess_code2wav_sizes;

/* Hears samples in [-1, 1] in their order, n >= 1; what it returns other than TESS_OK ends the call. */
typedef tess_status tess_code2wav_hear(void *context, const float *samples, int64_t n, tess_error *err);

typedef struct tess_code2wav_stream {
    tess_code2wav_hear *hear;
    void *context;
    const tess_tap_listener *listener; /* may be NULL */
    int64_t n_frame; /* of the whole stream, where there is a listener: for the taps' shapes */
} tess_code2wav_stream;

/* Rows that the transformer works on, n_frame of them, and blocks of rows of other products. */
typedef struct tess_code2wav_scratch {
    float *normed, *query;  /* [n_frame, d_model] */
    float *cosines, *sines; /* [n_frame, d_head / 2] */
    float *scores;          /* [n_thread, query heads of a key's, sliding_window] */
    float *packed;          /* [n_block, packed(d_model)] */
    float *hidden;          /* [n_block, the larger of 2 * d_ff and 4 * d_model] */
    float *hidden_packed;   /* [n_block, packed(the larger of d_ff and 4 * d_model)] */
    int n_block;            /* at least n_frame */
} tess_code2wav_scratch;

typedef struct tess_code2wav {
    const tess_code2wav_config *config;
    tess_compute compute;
    tess_row_table embedding;
    tess_bank layers, parts;
    int n_frame; /* at a time */
    /* The stream. */
    tess_code2wav_stream stream;
    int64_t n_done;       /* frames */
    float *keys, *values; /* [n_layer, sliding_window - 1 + n_frame, n_kv_head * d_head] */
    tess_tail depthwise[TESS_MAX_UPSAMPLE], stem, last;
    tess_tail block[TESS_MAX_UPSAMPLE]; /* one row: what the next outputs begin with */
    tess_tail unit[TESS_MAX_UPSAMPLE][TESS_CODE2WAV_UNITS];
    /* Scratch. */
    float *inv_freq;       /* [d_head / 2] */
    float *current, *made; /* [positions, channels] of any stage */
    float *padded;         /* the same with what a convolution looks back to before it */
    tess_conv_room room;
    tess_code2wav_scratch work;
} tess_code2wav;

/* Length of a stage's output for n_frame frames: stage 0 are the frames themselves, then come the upsampling
 * ratios, then the rates; the last is the waveform's. */
int64_t tess_code2wav_count_length(const tess_code2wav_config *config, int stage, int64_t n_frame);
int64_t tess_code2wav_count_samples(const tess_code2wav_config *config, int64_t n_frame);
/* Multiplications of a frame in the middle of a long stream. */
double tess_code2wav_count_products(const tess_code2wav_config *config);

/* A vocoder whose config and compute are known; the rest is laid out by what follows, each in an arena that
 * may be one that measures. `weights` must outlive it. */
tess_code2wav tess_code2wav_make(const tess_code2wav_config *config, const tess_compute *compute);
void tess_code2wav_init_workspace(tess_code2wav *c, const tess_code2wav_sizes *sizes, tess_arena *arena);
void tess_code2wav_init_weights(tess_code2wav *c, tess_store *store, const tess_code2wav_weights *weights,
                                const tess_code2wav_sizes *sizes, tess_arena *arena);

/* Begins a stream; what the one before had held back is forgotten. */
void tess_code2wav_begin(tess_code2wav *c, const tess_code2wav_stream *stream);

/* Decodes the next n frames, n >= 0: the code of quantizer q in frame f is codes[q * stride + f]. All samples
 * that depend on no later frame are heard before it returns; nothing else is kept back at the end of a
 * stream. Errors: TESS_EINPUT (a code that its codebook does not have, field "codes": nothing was decoded),
 * TESS_EUSAGE (more frames than positions are exact for, TESS_POSITION_MAX), those of tess_bank_lease and of
 * `hear`, TESS_ENONFINITE (field: the tap). After any but the first the stream must begin anew. */
tess_status tess_code2wav_push(tess_code2wav *c, const int32_t *codes, int64_t stride, int64_t n,
                               tess_error *err);

/* Visits the taps of a stream of n_frame frames in model order. */
void tess_code2wav_taps_visit(const tess_code2wav_config *config, int64_t n_frame,
                              void (*visit)(void *context, const tess_tap *tap), void *context);

/* The original's way with long input: windows of n_new frames, each decoded on its own behind n_context
 * frames that stand before it (all, if there are no more), of which the first n_context times all ratios and
 * rates samples are dropped. QUIRK: a window is as much too short as a stream is, so at every boundary
 * samples are missing. */
typedef struct tess_code2wav_windows {
    int n_new, n_context;
} tess_code2wav_windows;
#define TESS_CODE2WAV_WINDOWS ((tess_code2wav_windows){300, 25}) /* the original's */

int64_t tess_code2wav_count_windowed(const tess_code2wav_config *config, const tess_code2wav_windows *windows,
                                     int64_t n_frame);

/* Decodes frames[n_quantizer, stream->n_frame] so; the one tap is that of the result. Errors and codes as of
 * a push; ends the stream before it. */
tess_status tess_code2wav_run_windows(tess_code2wav *c, const tess_code2wav_windows *windows,
                                      const tess_code2wav_stream *stream, const int32_t *codes,
                                      int64_t stride, tess_error *err);

#endif
