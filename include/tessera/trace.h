/* Traces: one safetensors file with in.* inputs and tap.* outputs of a run; see docs/VERIFICATION.md. What is
 * done with two of them is in compare.h. */
#ifndef TESSERA_TRACE_H
#define TESSERA_TRACE_H

#include "tessera/engine.h"
#include "tessera/features.h"
#include "tessera/media.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Media of a file, read from it when they are asked for. */
typedef struct tess_trace_media tess_trace_media;

/* The inputs of a trace or golden. Owned by the record, but for `media` where it is not `own_media`'s;
 * release with tess_trace_inputs_release. */
typedef struct tess_trace_inputs {
    int32_t *ids; /* NULL, and n_tok 0, where codes are there instead */
    int n_tok;
    /* [n_code_group, n_frame] as the file has them, whatever the codebooks are: code2wav alone is run; NULL:
     * the prompt is */
    int32_t *codes;
    int64_t n_code_group, n_frame;
    float *positions; /* [3, n_tok] temporal, height, width; NULL: counted from 0 */
    const tess_features *const
        *media; /* [n_media] each kind in the order of the prompt; read while it runs */
    int n_media;
    tess_trace_media *own_media; /* of the file; NULL: there are none */
    double fps; /* of videos named in messages: frames taken a second, as the metadata says; 0: it does not */
    bool use_audio_in_video;  /* the videos' sound is told with their frames */
    int generate;             /* tokens to produce greedily; 0 if the metadata does not say */
    int speak;                /* talker steps to produce greedily; likewise */
    tess_precision precision; /* from the metadata's dtype */
    bool has_precision;
    char *case_name, *speaker, *messages, *raw; /* of the metadata, NULL where it does not say */
} tess_trace_inputs;

/* Reads the in.* tensors and the metadata of a file; tap.* tensors may be there as well.
 * Errors: TESS_EINPUT        the file is unreadable, or a tensor is missing, misshapen or holds what no input
 * is; TESS_EUNSUPPORTED  inputs that this version cannot run, by name; TESS_EIO, TESS_ENOMEM.
 */
tess_status tess_trace_inputs_read(const char *path, tess_trace_inputs *out, tess_error *err);
void tess_trace_inputs_release(tess_trace_inputs *inputs);

/* A tap's name without its "tap."; points into it. */
const char *tess_tap_short_name(const char *name);
/* Whether one of n_glob globs fits a tap's name, with or without its "tap."; always if there are none. */
bool tess_tap_matches(const char *name, const char *const *globs, int n_glob);

typedef struct tess_trace_options {
    const char *model_dir;    /* of the engine */
    const char *const *globs; /* which taps; n_glob 0: all */
    int n_glob;
    bool last_logits; /* lm_head of the last position only, [1, vocabulary] */
    /* Hears taps of the prompt and of generation beside the trace, whether they are written or not; may be
     * NULL. It must have no `replace`. */
    const tess_tap_listener *observer;
    const tess_progress *progress; /* prefill, decode, generating; may be NULL */
} tess_trace_options;

/* Runs the inputs in a new session of the engine and writes the trace to `path`, under a temporary name that
 * is renamed when it is whole. Taps go to their place in the file as they come; memory does not grow with
 * them. Greedy generation stops after im_end_token_id, which is kept in tap.thinker.generated. Errors: those
 * of tess_session_feed; TESS_EUSAGE a glob fits no tap (err->field); TESS_EIO. After an error there is no new
 * file. */
tess_status tess_trace_write(tess_engine *engine, const tess_trace_inputs *inputs,
                             const tess_trace_options *options, const char *path, tess_error *err);

/* Writes what prepared media are to the network, in.input_features and so on, in their order, and nothing
 * else. use_audio_in_video: clips that belong to the videos say so (in.use_audio_in_video). Rows go to their
 * place in the file as they are read. Errors: those of reading; TESS_EIO. After an error there is no new
 * file. */
tess_status tess_trace_write_media(const tess_features *const *media, int n_medium, bool use_audio_in_video,
                                   const tess_progress *progress, const char *path, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
