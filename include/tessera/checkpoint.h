/* What is in a checkpoint, and what is wrong with it: tensors, shards, index, before any weight is computed
 * with.
 */
#ifndef TESSERA_CHECKPOINT_H
#define TESSERA_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/engine.h"
#include "tessera/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Element types of safetensors files. */
typedef enum tess_dtype {
    TESS_DTYPE_NONE, /* the header's entry for this tensor is unusable; only where problems are collected */
    TESS_DTYPE_BOOL,
    TESS_DTYPE_U8,
    TESS_DTYPE_I8,
    TESS_DTYPE_F8_E4M3,
    TESS_DTYPE_F8_E5M2,
    TESS_DTYPE_U16,
    TESS_DTYPE_I16,
    TESS_DTYPE_F16,
    TESS_DTYPE_BF16,
    TESS_DTYPE_U32,
    TESS_DTYPE_I32,
    TESS_DTYPE_F32,
    TESS_DTYPE_U64,
    TESS_DTYPE_I64,
    TESS_DTYPE_F64,
} tess_dtype;
enum { TESS_N_DTYPE = TESS_DTYPE_F64 + 1, TESS_MAX_DIM = 8 };

/* "BF16"; "?" for TESS_DTYPE_NONE. A static string. */
const char *tess_dtype_name(tess_dtype dtype);
/* The type of this name, TESS_DTYPE_NONE if there is none. */
tess_dtype tess_dtype_find(const char *name);
/* Bytes of one element; 0 for TESS_DTYPE_NONE. */
unsigned tess_dtype_bytes(tess_dtype dtype);

/* One tensor of a file: what its header says, after checking. Row-major, little-endian. */
typedef struct tess_tensor {
    const char *name;
    uint64_t offset; /* of its first byte, from the start of the file */
    uint64_t n_byte;
    uint64_t dim[TESS_MAX_DIM];
    int n_dim; /* 0: a scalar */
    int shard; /* number of its file, 0 … n_shard-1 */
    tess_dtype dtype;
} tess_tensor;

/* Elements of a tensor; 0 for TESS_DTYPE_NONE. */
uint64_t tess_tensor_count(const tess_tensor *tensor);
/* "[2048, 768]"; cut off if `size` is too small. */
void tess_tensor_format_shape(int n_dim, const uint64_t *dim, char *out, size_t size);

/* The parts a checkpoint consists of, by the names of its tensors. */
typedef enum tess_component {
    TESS_COMPONENT_TEXT,           /* thinker.model., thinker.lm_head. */
    TESS_COMPONENT_AUDIO,          /* thinker.audio_tower. */
    TESS_COMPONENT_VISION,         /* thinker.visual. */
    TESS_COMPONENT_TALKER,         /* talker. */
    TESS_COMPONENT_CODE_PREDICTOR, /* talker.code_predictor. */
    TESS_COMPONENT_CODE2WAV,       /* code2wav. */
    TESS_COMPONENT_OTHER,          /* anything else: no tensor of this model */
} tess_component;
enum { TESS_N_COMPONENT = TESS_COMPONENT_OTHER + 1 };

/* "thinker text", "audio tower", "vision tower", "talker", "code predictor", "code2wav", "other". Static. */
const char *tess_component_name(tess_component component);
/* The component a tensor of this name belongs to. */
tess_component tess_component_of(const char *tensor_name);

/* What can be wrong. A name is a static string: tess_problem_kind_name(). */
typedef enum tess_problem_kind {
    TESS_PROBLEM_SHARD,     /* a shard is absent or cannot be read */
    TESS_PROBLEM_HEADER,    /* a shard's header is unusable, or an entry in it */
    TESS_PROBLEM_OFFSETS,   /* offsets overlap, leave a gap, are misaligned or disagree with the shape */
    TESS_PROBLEM_TRUNCATED, /* a tensor's data goes beyond the end of its file */
    TESS_PROBLEM_DUPLICATE, /* one name twice */
    TESS_PROBLEM_INDEX,     /* the index is unusable, or says something untrue */
    TESS_PROBLEM_PATH,      /* the index names a file outside the folder */
    TESS_PROBLEM_MISPLACED, /* a tensor is in another shard than the index says */
    TESS_PROBLEM_UNLISTED,  /* a tensor is in a shard and not in the index */
    TESS_PROBLEM_MISSING,   /* a tensor is in no shard */
    TESS_PROBLEM_EXTRA,     /* a tensor that the configuration does not imply */
    TESS_PROBLEM_SHAPE,     /* another shape than the configuration implies */
    TESS_PROBLEM_DTYPE,     /* another element type */
    TESS_PROBLEM_NONFINITE, /* a weight is a NaN or an infinity */
    TESS_PROBLEM_DAMAGED,   /* a segment of a packed store is not what was packed */
} tess_problem_kind;
const char *tess_problem_kind_name(tess_problem_kind kind);

/* One problem. Texts are "" where they do not apply, `offset` is -1 then; all live for the call only. */
typedef struct tess_problem {
    tess_problem_kind kind;
    int64_t offset;
    const char *file, *tensor, *found, *expected;
    const char *message; /* one sentence that holds all of the above */
} tess_problem;
typedef void tess_problem_report(void *arg, const tess_problem *problem);

/* --- an open checkpoint --------------------------------------------------------------------------------- */

typedef struct tess_checkpoint tess_checkpoint;

/* Opens the checkpoint in folder `dir` for inspection. What is wrong with it is collected, not refused; fails
 * (TESS_EINPUT) only if there is no such folder, if packing or unpacking has not been finished there, or if a
 * packed store's table is damaged; and by the system. */
tess_status tess_checkpoint_open(const char *dir, tess_direct direct, tess_checkpoint **out, tess_error *err);
void tess_checkpoint_close(tess_checkpoint *checkpoint); /* NULL is fine */

/* TESS_OK if config.json is usable; else why it is not, as a status and in `err`. */
tess_status tess_checkpoint_get_config_status(const tess_checkpoint *checkpoint, tess_error *err);
/* SHA-256 of the bytes of config.json as 64 hexadecimal digits; TESS_EINPUT if it cannot be read. */
tess_status tess_checkpoint_get_config_sha256(const tess_checkpoint *checkpoint, char out[65],
                                              tess_error *err);

/* Tensors by shard and offset, 0 … count-1; pointers live as long as the checkpoint. */
size_t tess_checkpoint_get_tensor_count(const tess_checkpoint *checkpoint);
const tess_tensor *tess_checkpoint_get_tensor(const tess_checkpoint *checkpoint, size_t i);

typedef struct tess_shard_info {
    const char *name, *path; /* as published; the file that holds it; live as long as the checkpoint */
    bool is_usable;          /* else the rest is 0 */
    bool is_refused_direct;  /* direct reads were wanted and refused: read by way of the page cache */
    size_t n_tensor;
    uint64_t n_byte; /* of the shard as published */
    uint64_t
        stored_bytes; /* of the file `path`, when it was opened: in a packed store all shards are in one */
    int64_t mtime_ns; /* likewise: when it was last modified, nanoseconds since 1970 */
} tess_shard_info;
int tess_checkpoint_get_shard_count(const tess_checkpoint *checkpoint);
void tess_checkpoint_get_shard(const tess_checkpoint *checkpoint, int shard, tess_shard_info *out);

/* The file of a packed store. */
typedef struct tess_packed_info {
    const char *path; /* lives as long as the checkpoint */
    int version;
    uint64_t n_byte;
    uint64_t n_packed, n_plain; /* pieces of weights in either form */
} tess_packed_info;
/* False if the checkpoint is in the published layout. */
bool tess_checkpoint_get_packed(const tess_checkpoint *checkpoint, tess_packed_info *out);

typedef struct tess_tensor_totals {
    size_t n_tensor;
    uint64_t n_parameter, n_byte;
} tess_tensor_totals;

typedef struct tess_checkpoint_summary {
    tess_tensor_totals component[TESS_N_COMPONENT], experts[TESS_N_COMPONENT]; /* experts: the routed ones */
    tess_tensor_totals all;
    size_t n_tensor_of[TESS_N_DTYPE];
    size_t n_expert, n_straddling; /* routed experts, and those whose matrices lie in more than one shard */
} tess_checkpoint_summary;
void tess_checkpoint_summarise(const tess_checkpoint *checkpoint, tess_checkpoint_summary *out);

/* Calls `visit` for every routed expert whose matrices lie in more than one shard. `expert` is the common
 * part of their names ("thinker.model.layers.1.mlp.experts.76") and lives for the call. */
void tess_checkpoint_visit_straddling(const tess_checkpoint *checkpoint,
                                      void (*visit)(void *context, const char *expert, int first_shard,
                                                    int last_shard),
                                      void *context);

/* --- what is wrong -------------------------------------------------------------------------------------- */

/* Reports what opening found: index, shards, headers. */
void tess_checkpoint_report_opening(const tess_checkpoint *checkpoint, tess_problem_report *report,
                                    void *context, size_t *n_problem);
/* The same and, against everything that config.json implies: missing, extra, misshapen, wrong dtype. Fails if
 * config.json is unusable (as get_config_status) or memory runs out. */
tess_status tess_checkpoint_check(const tess_checkpoint *checkpoint, tess_problem_report *report,
                                  void *context, size_t *n_problem, tess_error *err);

/* --- checksums ------------------------------------------------------------------------------------------ */

typedef struct tess_tensor_checksum {
    const tess_tensor *tensor;
    bool is_readable;         /* false: its bytes go beyond the end of the file, and the rest is empty */
    char sha256[65];          /* of its bytes as they lie in the file, 64 hexadecimal digits */
    uint64_t n_nonfinite;     /* NaNs and infinities, of float types */
    uint64_t first_nonfinite; /* element number of the first */
    bool is_damaged;        /* a packed store no longer holds what was packed: the rest is of what it holds */
    uint64_t damage_offset; /* then: where, in its file */
} tess_tensor_checksum;

/* What to call while checksums are made; members may be NULL. Lives for the call. */
typedef struct tess_checksum_listener {
    void (*tensor)(void *context, const tess_tensor_checksum *checksum); /* by shard and offset */
    void (*shard)(void *context, int shard, const char *sha256);         /* of the whole file */
    const tess_progress *progress;                                       /* of checksums */
    /* Asked before a shard is read: true if `sum` [its tensors, by offset] and `sha256` were filled from
     * earlier work; then the shard is not read. `sum` lives until `shard` returns, and then holds the
     * shard's checksums in either case. */
    bool (*recall)(void *context, int shard, tess_tensor_checksum *sum, char sha256[65]);
    void *context;
} tess_checksum_listener;

/* Reads every byte once and hashes it by tensor and by file, with three threads. `weights_sha256` gets the
 * SHA-256 over the lines "NAME DTYPE [D0, D1] SHA256\n" of all tensors, sorted; "" if a tensor or shard is
 * unusable or damaged. Errors: TESS_EIO, TESS_ENOMEM, TESS_EINTERRUPTED. */
tess_status tess_checkpoint_checksum(const tess_checkpoint *checkpoint,
                                     const tess_checksum_listener *listener, char weights_sha256[65],
                                     tess_error *err);
/* The same for a single tensor; `progress` (of its bytes) may be NULL. */
tess_status tess_checkpoint_checksum_tensor(const tess_checkpoint *checkpoint, const tess_tensor *tensor,
                                            const tess_progress *progress, tess_tensor_checksum *out,
                                            tess_error *err);

/* The refusal of a tensor that is damaged: TESS_EINPUT, with its file and place. */
tess_status tess_checkpoint_refuse_damage(const tess_checkpoint *checkpoint,
                                          const tess_tensor_checksum *checksum, tess_error *err);

/* What is known of a file of this name with this digest. */
typedef enum tess_published {
    TESS_PUBLISHED_UNKNOWN, /* the name is not in the list */
    TESS_PUBLISHED_YES,     /* the very file that was published */
    TESS_PUBLISHED_OTHER,   /* another file of that name was published */
} tess_published;
/* Looks a file up among those of Qwen3-Omni-30B-A3B-Instruct at revision 26291f79. */
tess_published tess_published_find(const char *name, const char *sha256);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
