/* For tests: code2wav of a checkpoint, without an engine around it, and codes to decode. */
#ifndef TESS_TESTS_VOCODERS_H
#define TESS_TESTS_VOCODERS_H

#include "base/fpenv.h"
#include "model/code2wav.h"
#include "recording.h"

/* Numbers of 0 mean: eight frames at a time, one thread, all slots. */
typedef struct test_vocoder_options {
    const char *model, *isa; /* isa NULL: the best */
    tess_rounding rounding;
    int n_frame, n_thread, n_slot; /* n_slot: of each bank */
    void (*damage)(tess_code2wav_config *config);
} test_vocoder_options;

typedef struct test_vocoder {
    tess_config config;
    tess_store *store;
    tess_code2wav_weights weights;
    tess_kernels kernels;
    tess_pool *pool;
    tess_arena arena;
    tess_fpenv saved;
    tess_code2wav code2wav;
} test_vocoder;

void test_vocoder_open(const test_vocoder_options *options, test_vocoder *out);
void test_vocoder_close(test_vocoder *vocoder);

/* Codes [n_quantizer, n_frame] and samples, on the heap. */
typedef struct test_codes {
    int32_t *codes;
    int64_t n_frame;
} test_codes;

void test_codes_take(const test_tensors *golden, const char *name, test_codes *out);
void test_codes_make(const tess_code2wav_config *config, int64_t n_frame, test_codes *out);
void test_codes_release(test_codes *codes);

/* Decodes in pushes of n_push frames (0: all at once). The samples that were heard, on the heap, are as many
 * as there should be; where a recording has the waveform, they are it. In debug builds an allocation aborts.
 */
float *test_vocoder_run(test_vocoder *vocoder, const test_codes *codes, int64_t n_push,
                        test_recording *recording);
/* The same by windows. */
float *test_vocoder_run_windows(test_vocoder *vocoder, const test_codes *codes,
                                const tess_code2wav_windows *windows, test_recording *recording);

#endif
