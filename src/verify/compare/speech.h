/* Codes and waveforms of a result: where they first differ, and what is drawn and heard of them. */
#ifndef TESS_VERIFY_COMPARE_SPEECH_H
#define TESS_VERIFY_COMPARE_SPEECH_H

#include "verify/compare/comparison.h"

/* Of a waveform that failed, the first sample that is not finite where there is one, else the first that is
 * off by what its bar allows the reference's loudest, else by what it allows on the average, else the first
 * that one side does not have; -1. bar: which error that is, NaN for none; may be NULL. */
int64_t tess_speech_find_first(const tess_tap_state *waveform, double *bar);

/* Fills codes and waveforms of a result whose taps are judged; what was kept while they were heard goes over
 * to it. TESS_ENOMEM; what is filled then is freed with the result. */
tess_status tess_speech_fill(tess_comparison *c, tess_compare_result *result, tess_error *err);
/* Frees what it filled. */
void tess_speech_release(tess_compare_result *result);

#endif
