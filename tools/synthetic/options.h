/* The command line of the synthetic tool. */
#ifndef TESS_TOOLS_SYNTHETIC_OPTIONS_H
#define TESS_TOOLS_SYNTHETIC_OPTIONS_H

#include "sidecar.h"
#include "weights.h"

/* Longer names of the folder are refused; those of files in it then fit everywhere. */
enum { MAX_PATH_BYTES = 3072 };

typedef struct synthetic_options {
    const char *out, *config, *tokenizer;
    int n_layer; /* 0: as in the configuration */
    int n_shard; /* 0: by shard_bytes */
    int n_thread;
    uint64_t shard_bytes;
    bool is_filled;
    bool named[TESS_N_COMPONENT]; /* by --components; all of them with "all" */
    bool names_all;
    weights_options weights;
} synthetic_options;

/* Fills *out; prints what is wrong or the help. Returns -1 to go on, otherwise the exit status. */
int options_parse(int argc, char **argv, synthetic_options *out);

#endif
