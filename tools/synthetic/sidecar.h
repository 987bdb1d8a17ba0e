/* The small files of a checkpoint: config.json and the others beside the shards. */
#ifndef TESS_TOOLS_SYNTHETIC_SIDECAR_H
#define TESS_TOOLS_SYNTHETIC_SIDECAR_H

#include <jansson.h>

#include "model/config.h"

/* The released configuration, inside the program. */
const char *sidecar_released_config(size_t *n_byte);

typedef struct sidecar_change {
    int n_layer;     /* of the thinker's decoder; 0: as in the base */
    int with_speech; /* talker, code predictor and code2wav: 1 yes, 0 no, -1 as in the base */
} sidecar_change;

/* Reads the base configuration (NULL: the released one), changes it and checks the result. A depth below the
 * talker's accept_hidden_layer lowers that one to the last layer. The caller owns *root. */
tess_status sidecar_config(const char *file, const sidecar_change *change, json_t **root, tess_config *out,
                           tess_error *err);

/* Writes config.json, model.safetensors.index.json (`index`), preprocessor_config.json and, with speech,
 * generation_config.json: the published ones, but for numbers that the configuration says. */
tess_status sidecar_write(const char *folder, const json_t *root, const tess_config *config,
                          const char *index, size_t index_bytes, tess_error *err);

/* Copies the tokenizer: vocab.json and merges.txt, and tokenizer_config.json and chat_template.json where
 * there are any. */
tess_status sidecar_copy_tokenizer(const char *from, const char *folder, tess_error *err);

#endif
