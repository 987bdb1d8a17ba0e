/* Traces: writing one, reading one, comparing two. The file format is one safetensors file with in.* inputs
 * and tap.* outputs; see docs/VERIFICATION.md. */
#ifndef TESSERA_TRACE_H
#define TESSERA_TRACE_H

#include "tessera/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The text inputs of a trace or golden. Owned by the record; release with tess_trace_inputs_release. */
typedef struct tess_trace_inputs {
    int32_t *ids;
    int n_tok;
    float *positions;         /* [3, n_tok] or NULL */
    int generate;             /* from the metadata, 0 if it does not say */
    tess_precision precision; /* from the metadata "dtype" */
    bool has_precision;
} tess_trace_inputs;

/* Reads in.* tensors and metadata. Inputs that this version cannot run (media, codes) are refused by name
 * with TESS_EUNSUPPORTED. */
tess_status tess_trace_inputs_read(const char *path, tess_trace_inputs *out, tess_error *err);
void tess_trace_inputs_release(tess_trace_inputs *inputs);

typedef struct tess_trace_options {
    const char *const *taps; /* globs over names without "tap."; NULL or n_tap 0: all */
    int n_tap;
    bool last_logits;
    int generate;          /* greedy tokens after the prompt, kept in tap.thinker.generated */
    const char *model_dir; /* config_sha256 goes into the metadata */
} tess_trace_options;

/* Runs the inputs through the session (which must be empty) and writes the trace to `path` under a temporary
 * name, renamed when complete. Taps go to their place in the file as they come. */
tess_status tess_trace_write(tess_session *session, const tess_trace_inputs *inputs,
                             const tess_trace_options *options, const char *path, tess_error *err);

#ifdef __cplusplus
}
#endif
#endif
