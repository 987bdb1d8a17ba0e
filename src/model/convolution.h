/* Convolutions over time that look back only, of activations that lie [position, channel].
 *
 * A convolution is a product: a row is all that one position of the output is made of, channel by channel,
 * tap by tap, and the weights are a matrix as they are published. Positions before the first are zeros, whose
 * products change no sum but, where it is zero, its sign. A transposed convolution is a product with the
 * columns of its weights: they are published with the input's channels first.
 *
 * Whoever cuts a sequence into pieces keeps of a convolution's input what later outputs need (tess_tail) and
 * gets the bits of one piece. Threads split positions where there are many, else output channels.
 */
#ifndef TESS_MODEL_CONVOLUTION_H
#define TESS_MODEL_CONVOLUTION_H

#include "base/arena.h"
#include "model/compute.h"

/* Scratch of each thread, as large as the largest of the products it was planned for makes use of. */
typedef struct tess_conv_room {
    float *scratch;   /* [n_thread, n_float] */
    float *order;     /* [n_thread, widest] */
    uint32_t *offset; /* [n_thread, widest] */
    size_t n_float, widest;
} tess_conv_room;

/* Plan for products of up to n positions, then take the room. */
void tess_conv_room_plan(tess_conv_room *room, size_t n_in, int n_tap, int64_t n);
void tess_conv_room_plan_transposed(tess_conv_room *room, size_t n_in, size_t n_out, int n_tap, int64_t n);
void tess_conv_room_take(tess_conv_room *room, int n_thread, tess_arena *arena);

/* out[t] = round(dot(weight, in[t], in[t + dilation], …, in[t + (n_tap - 1) * dilation]) + bias) */
typedef struct tess_convolution {
    const tess_matrix *weight; /* [n_out, n_in * n_tap] */
    const tess_matrix *bias;   /* [n_out] */
    const float *in;           /* [(n_tap - 1) * dilation + n, n_in] */
    float *out;                /* [n, n_out] */
    int n_tap, dilation, n;
} tess_convolution;

void tess_convolve(const tess_compute *compute, const tess_conv_room *room, const tess_convolution *c);

/* With as many taps as the rate, position i of the input makes outputs of its own alone; with twice as many,
 * also those of the position before it, and n positions of outputs read n + 1 of the input:
 *
 *   out[i * rate + p] = round(dot(weight[:, :, p], in[i]) + bias)
 *   out[i * rate + p] = round(dot(weight[:, :, p + rate], in[i]; weight[:, :, p], in[i + 1]) + bias)
 */
typedef struct tess_transposed {
    const tess_matrix *weight; /* [n_in, n_out * n_tap] */
    const tess_matrix *bias;   /* [n_out] */
    const float *in;           /* [n or n + 1, n_in] */
    float *out;                /* [n * rate, n_out] */
    int n_tap, rate, n;
} tess_transposed;

void tess_convolve_transposed(const tess_compute *compute, const tess_conv_room *room,
                              const tess_transposed *c);

/* out[t] = round(dot of in[t … t + n_tap - 1], channel by channel, + bias); out [n, n_channel]. */
typedef struct tess_channelwise {
    const tess_matrix *weight; /* [n_channel, n_tap] */
    const tess_matrix *bias;   /* [n_channel] */
    const float *in;           /* [n_tap - 1 + n, n_channel] */
    float *out;
    int n;
} tess_channelwise;

void tess_convolve_channelwise(const tess_compute *compute, const tess_channelwise *c);

/* y = snake(x) row by row, [n, n_channel]; alpha is followed by beta. y may be x. */
void tess_snake_rows(const tess_compute *compute, float *y, const float *x, const tess_matrix *alpha, int n);

/* y = round(y + round(x * scale)) row by row, [n, n_col]. */
void tess_add_layer_scale_rows(const tess_compute *compute, float *y, const float *x,
                               const tess_matrix *scale, int n);

/* The last rows of a convolution's input so far, zeros before the first. */
typedef struct tess_tail {
    float *rows; /* [n_row, width] */
    size_t n_row, width;
} tess_tail;

void tess_tail_take(tess_tail *tail, size_t n_row, size_t width, tess_arena *arena);
void tess_tail_clear(tess_tail *tail);
/* in[0 … n_row) = the tail, where n new rows are to follow. */
void tess_tail_recall(const tess_tail *tail, float *in);
/* The tail = the last n_row rows of in[n_row + n, width]. */
void tess_tail_keep(tess_tail *tail, const float *in, int n);

#endif
