#include "verify/golden/given.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "verify/trace/greedy.h"
#include "verify/trace/greedy_speech.h"

/* An integer tap with at most max_dim elements in each axis, to be freed; NULL: there is none. */
static tess_status take_integers(tess_trace_reader *reader, const char *name, int n_dim, const int64_t *most,
                                 int64_t **out, int64_t *dim, tess_error *err)
{
    const tess_tensor *t = tess_safetensors_find(reader->st, name);
    uint64_t n_all = 1;
    *out = NULL;
    bool is_same = t && t->dtype == TESS_DTYPE_I64 && t->n_dim == n_dim;
    for (int i = 0; is_same && i < n_dim; i++) {
        is_same = t->dim[i] <= (uint64_t)most[i];
        dim[i] = (int64_t)t->dim[i];
        n_all *= t->dim[i];
    }
    if (!is_same) return TESS_OK;
    *out = malloc((size_t)(n_all + 1) * sizeof **out);
    if (!*out) return tess_fail(err, TESS_ENOMEM, "no memory for %s", name);
    for (uint64_t at = 0; at < n_all;) {
        const void *values;
        size_t n = tess_trace_reader_piece(t, at, 1);
        tess_status status = tess_trace_reader_read(reader, t, at, n, &values, err);
        if (status != TESS_OK) return status;
        memcpy(*out + at, values, n * sizeof **out);
        at += n;
    }
    return TESS_OK;
}

tess_status tess_given_answer(tess_trace_reader *reader, const tess_engine *engine, const tess_golden *golden,
                              int64_t **ids, int *n, tess_error *err)
{
    int64_t dim = 0, most = golden->inputs.generate;
    tess_status status = take_integers(reader, TESS_GREEDY_TAP, 1, &most, ids, &dim, err);
    if (status == TESS_OK && !*ids)
        status = tess_refuse(err, golden->path, TESS_GREEDY_TAP, -1, "the answer that is spoken", "none");
    int n_vocab = tess_engine_get_vocab_size(engine);
    for (int64_t i = 0; i < dim && status == TESS_OK; i++)
        if ((*ids)[i] < 0 || (*ids)[i] >= n_vocab)
            status = tess_refuse(err, golden->path, TESS_GREEDY_TAP, -1, "ids of the vocabulary", "%lld",
                                 (long long)(*ids)[i]);
    *n = (int)dim;
    return status;
}

tess_status tess_given_codes(tess_trace_reader *reader, const tess_engine *engine, const tess_golden *golden,
                             int64_t **codes, int64_t dim[2], tess_error *err)
{
    const tess_config *config = &engine->model.config;
    const int64_t most[2] = {config->talker.n_code_group, golden->inputs.speak - 1};
    tess_status status = take_integers(reader, TESS_CODES_TAP, 2, most, codes, dim, err);
    if (status != TESS_OK || !*codes) return status;
    char expected[48];
    snprintf(expected, sizeof expected, "%d codebooks", config->talker.n_code_group);
    if (dim[0] != most[0])
        return tess_refuse(err, golden->path, TESS_CODES_TAP, -1, expected, "%lld", (long long)dim[0]);
    snprintf(expected, sizeof expected, "codes of 0 to %d", config->code2wav.codebook_size - 1);
    for (int64_t i = 0; status == TESS_OK && i < dim[0] * dim[1]; i++)
        if ((*codes)[i] < 0 || (*codes)[i] >= config->code2wav.codebook_size)
            status =
                tess_refuse(err, golden->path, TESS_CODES_TAP, -1, expected, "%lld", (long long)(*codes)[i]);
    return status;
}
