/* What was spoken: the codes of both sides, and the waveforms that they became. */
#include "verify/report/page.h"

static void put_intro(FILE *out, const tess_compare_result *result)
{
    if (!result->n_sound) return;
    fprintf(
        out,
        "<p class=\"dim\">A column of a waveform reaches from its least to its largest sample. Reference and "
        "trace have one scale, their difference (trace − reference) its own, with the bar of a single "
        "sample where there is one. Spectra are of 17 ms each, 0 to 12 kHz, white by their power: both "
        "sides over the 80 dB below the loudest of them, the difference below its own loudest. To listen to, "
        "the page holds the first %d s at most of either side in 16 bits.</p>\n",
        TESS_SOUND_KEPT_SECONDS);
}

void tess_report_speech(FILE *out, const tess_compare_result *result)
{
    if (!result->n_codes && !result->n_sound) return;
    fputs("<h2>Speech</h2>\n", out);
    put_intro(out, result);
    for (int i = 0; i < result->n_codes; i++) tess_report_codes(out, result, &result->codes[i]);
    for (int i = 0; i < result->n_sound; i++) tess_report_sound(out, result, &result->sound[i]);
}
