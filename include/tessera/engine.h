/* Running a model: options, memory plan, engine (loaded model), session (one timeline), generation, taps.
 *
 *     #include <stdio.h>
 *     #include <tessera.h>
 *
 *     int main(void)
 *     {
 *         const int32_t prompt[] = {9, 14, 27};
 *         int32_t answer[8];
 *         int n_new = 0;
 *         tess_engine *engine = NULL;
 *         tess_session *session = NULL;
 *         tess_finish finish;
 *         tess_error err;
 *         const tess_engine_options options = {.model_dir = "demo/checkpoint", .memory_bytes = 64 << 20};
 *         const tess_feed feed = {.ids = prompt, .n_tok = 3};
 *         const tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = 8};
 *
 *         tess_status status = tess_engine_open(&options, &engine, &err);
 *         if (status == TESS_OK) status = tess_session_new(engine, &session, &err);
 *         if (status == TESS_OK) status = tess_session_feed(session, &feed, &err);
 *         if (status == TESS_OK)
 *             status = tess_session_generate(session, &generation, answer, &n_new, &finish, &err);
 *         if (status != TESS_OK) fprintf(stderr, "%s\n", err.message);
 *         for (int i = 0; i < n_new; i++) printf("%d\n", (int)answer[i]);
 *         tess_session_free(session);
 *         tess_engine_close(engine);
 *         return status != TESS_OK;
 *     }
 *
 * More in examples/, text in and out among them.
 *
 * Threads: an engine and its sessions belong to one thread at a time; they start threads of their own.
 * Errors about an option name the member in err->field: "n_context".
 * Bits: results do not depend on budget, threads, instruction set or chunking.
 */
#ifndef TESSERA_ENGINE_H
#define TESSERA_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/direct.h"
#include "tessera/error.h"
#include "tessera/features.h"
#include "tessera/progress.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_engine tess_engine;
typedef struct tess_session tess_session;

/* The arithmetic: float32 activations, or the original's roundings to bfloat16. */
typedef enum tess_precision { TESS_PRECISION_F32, TESS_PRECISION_BF16 } tess_precision;

/* Whether weights that stay are packed in memory: three quarters of the bytes, the same bits. */
typedef enum tess_resident {
    TESS_RESIDENT_AUTO,  /* where it saves a tenth at least, and the checkpoint's weights can be packed */
    TESS_RESIDENT_PLAIN, /* never */
    TESS_RESIDENT_PACKED /* where it saves bytes */
} tess_resident;

/* Zero values mean the stated default. The strings need to live only for the call. */
typedef struct tess_engine_options {
    const char *model_dir; /* published layout */
    uint64_t memory_bytes; /* bound on the process's peak resident set; 0: 70 % of what the machine and the
                              process's control groups have to give */
    int n_context;   /* positions to provide for; 0: 4096 or n_needed, at most max_position_embeddings */
    int n_needed;    /* positions the request at hand needs, prompt and answer; 0: not known */
    int n_thread;    /* 0: the lesser of the CPUs in the affinity mask and the CPU quota, rounded up */
    const char *isa; /* "auto" (or NULL), "reference", "avx2", "avx512", "neon": can only lower */
    tess_precision precision;
    int n_chunk; /* most positions of a prefill step; 0: the plan chooses */
    tess_direct direct;
    int n_session;     /* sessions at a time that the plan provides for; 0: 1 */
    int n_expert_slot; /* most experts that stay resident; 0: the plan chooses */
    tess_resident resident;
    int n_speech_step; /* most codes of an answer that is spoken (tessera/speech.h); 0: no speech */
    /* [n_expected] feeds to come, by the sizes of their media, each of which the plan provides for, one at a
     * time; nothing else of them is looked at. NULL: text alone. */
    const struct tess_feed *expected;
    int n_expected;
    uint64_t other_bytes; /* memory the caller takes besides while the engine is open; part of the budget */
    const tess_progress *progress; /* of tess_engine_open: loading; may be NULL */
} tess_engine_options;

/* When a piece of memory is in use. Phases other than "always" follow each other and share one room. */
typedef enum tess_phase {
    TESS_PHASE_ALWAYS,
    TESS_PHASE_AUDIO,  /* the audio tower at work */
    TESS_PHASE_VISION, /* the vision tower at work */
    TESS_PHASE_TEXT,   /* the thinker at work */
    TESS_PHASE_SPEECH, /* talker, code predictor and vocoder at work */
} tess_phase;
const char *tess_phase_name(tess_phase phase); /* "always", "audio", "vision", "text", "speech" */

typedef struct tess_region {
    const char *name;      /* "experts"; a static string, as the next */
    const char *component; /* "thinker", "media", "audio", "vision"; NULL: of the whole program */
    const char *holds;     /* what is in it, for a person */
    tess_phase phase;
    uint64_t n_byte;
} tess_region;

enum { TESS_PLAN_REGIONS = 48 };

/* What a budget buys, before a weight is read. */
typedef struct tess_plan {
    uint64_t budget_bytes, smallest_budget_bytes;
    char budget_origin[160]; /* "the default, 70 % of …"; "" if the caller named the budget */
    uint64_t machine_bytes;  /* all that the machine and its control groups have; 0: not known */
    int n_region;
    tess_region region[TESS_PLAN_REGIONS];
    uint64_t sum_bytes; /* of all regions, the room that phases share once; at most budget_bytes */
    int n_context, n_chunk, n_thread, n_session;
    char thread_origin[160];           /* what the number of threads follows; "" if the caller named it */
    int n_expert_slot, n_expert_total; /* experts that stay resident, of all routed experts */
    int n_expert_slot_instead; /* how many would, if no dense weights stayed: those come first, as every
                                  token needs them, so more memory may hold fewer experts */
    bool layers_resident, head_resident, embedding_resident;
    bool packs, packs_experts; /* of what stays: the thinker's weights but experts, and speech's; experts */
    double packed_share;       /* then packed weights' bytes in memory, divided by those in files */
    bool is_stored_packed;     /* the model is a packed store: weights are packed as they are read */
    double stored_share;       /* bytes of the thinker's weights in files, divided by those as published */
    bool speech_stays; /* speech has a room of its own, so that it begins while the text is generated */
    int n_expert_layer, n_expert,
        n_expert_used; /* layers with experts; of one of them; of those, a token's */
    uint64_t expert_bytes, layer_bytes, head_bytes; /* of one expert, of all layers' other weights */
    uint64_t embedding_bytes, embedding_block_bytes;
    /* What attention reads of a position before a token, and computes with it, two operations for a
     * multiplication and an addition. Tokens of a prompt read it n_together at a time. */
    uint64_t position_bytes, position_operations;
    int n_together;
    /* Read of the towers' weights for the media of one feed, in as many pieces as this plan takes them, and
     * computed: of those expected the feed that takes most. */
    uint64_t tower_bytes;
    double tower_operations;
    /* Of a second of speech behind its beginning, zeros where none is planned: read of files, weights that
     * its products go through, operations of the vocoder. */
    double speech_read_bytes, speech_weight_bytes, speech_operations;
    uint64_t bytes_per_token_cold; /* read for one decoded token when no expert is resident */
    uint64_t bytes_per_token_warm; /* expected when the bank is full and routing is uniform */
} tess_plan;

/* The budget where none is named: 70 % of what the machine and the process's control groups have to give. */
uint64_t tess_budget_get_default(void);

/* Makes the plan. TESS_EBUDGET with err->smallest_budget_bytes if the budget cannot work; *out is then filled
 * as well, with the regions of the smallest plan. Peak resident memory so far counts as region "process".
 * TESS_EUSAGE with the option's name in err->field if one is out of range. */
tess_status tess_plan_make(const tess_engine_options *options, tess_plan *out, tess_error *err);

/* The read rate of the model's files in bytes per second, into memory that has been used, from up to `n_byte`
 * of weights, of experts if there are any. Told to options->progress as loading, which may end it with
 * TESS_EINTERRUPTED. */
tess_status tess_plan_measure(const tess_engine_options *options, uint64_t n_byte, double *bytes_per_second,
                              tess_error *err);

/* The rate at which memory comes that the process has not had, in bytes per second, from up to half of the
 * plan's budget and of what is available, for at most three seconds. A virtual machine may first have to ask
 * its host for it, page by page. Told to `progress` (may be NULL) as loading. */
tess_status tess_plan_measure_memory(const tess_plan *plan, const tess_progress *progress,
                                     double *bytes_per_second, tess_error *err);

/* What a machine does in a second. */
typedef struct tess_rates {
    double disk_bytes, memory_bytes, operations;
    double fresh_bytes; /* memory that the process has not had */
    double pack_bytes;  /* weights that are packed, by all threads */
} tess_rates;

/* Expected costs, routing taken as uniform and independent: n tokens that choose k of E experts each need
 * E (1 - (1 - k/E)^n) of them. */
typedef struct tess_estimate {
    uint64_t load_bytes;        /* of what stays resident but experts: read once, before a prompt */
    uint64_t first_token_bytes; /* read until the prompt's last logits, load_bytes and towers included */
    uint64_t next_token_bytes;  /* read for the token behind the prompt */
    /* Of the prompt with its first token, of the token behind it, of one when the bank is full. */
    double first_token_seconds, next_token_seconds, full_token_seconds;
    double tower_seconds;  /* of the first token's, what the towers take */
    double speech_seconds; /* for a second of speech: the real-time factor, what text takes left out */
    int n_tok_to_fill;     /* tokens behind the prompt until the bank is as good as full */
} tess_estimate;
/* n_prompt: tokens of the prompt, at least 1. */
void tess_plan_estimate(const tess_plan *plan, const tess_rates *rates, int n_prompt, tess_estimate *out);

/* Plans, reserves all memory, reads what the plan keeps resident. */
tess_status tess_engine_open(const tess_engine_options *options, tess_engine **out, tess_error *err);
void tess_engine_close(tess_engine *engine); /* NULL is fine; sessions must be freed before */
const tess_plan *tess_engine_get_plan(const tess_engine *engine);
uint64_t tess_engine_get_bytes_read(const tess_engine *engine);
/* The path of a file of weights for which direct reads were wanted and refused, so that it is read by way of
 * the page cache, which is dropped behind every read; NULL if there is none. A read may be the first to tell.
 */
const char *tess_engine_get_buffered_path(const tess_engine *engine);
const char *tess_engine_get_isa(const tess_engine *engine); /* of the kernels in use */
tess_precision tess_engine_get_precision(const tess_engine *engine);
int tess_engine_get_vocab_size(const tess_engine *engine);
int tess_engine_get_max_positions(const tess_engine *engine); /* max_position_embeddings of config.json */
int tess_engine_get_end_token(const tess_engine *engine);     /* im_end_token_id of config.json */
bool tess_engine_has_talker(
    const tess_engine *engine); /* in the checkpoint, whether speech was asked for or not */

/* Instruction sets of this CPU that the build has kernels for, separated by blanks; a static string. */
const char *tess_cpu_describe(void);
/* The process's peak resident set so far (VmHWM), 0 where the system does not say. */
uint64_t tess_peak_rss_bytes(void);

/* ---- taps: named intermediate tensors ---- */

typedef struct tess_tap {
    const char *name; /* "tap.thinker.model.layers.3.mlp"; lives for the call */
    bool is_integer;  /* int64_t elements, else float */
    int n_dim;
    /* Of the whole prompt: rows are positions, except in position_ids [3, n_tok]; -1 in a single expert's
     * output ("….mlp.experts.17"), whose rows are the tokens that choose the expert. */
    int64_t dim[3];
    int64_t n_value; /* an integer tap's elements lie in 0 … n_value-1; 0: no bound is known */
} tess_tap;

/* A piece of a tap, dense: rows [row, row + n_row) of its first axis; row -1: those after the last piece. A
 * tap [channels, length] that is made from left to right comes in columns: of every row the elements [column,
 * column + row_width). */
typedef struct tess_tap_rows {
    tess_tap tap;
    int64_t row, n_row;
    int64_t column;          /* 0 where rows are whole */
    size_t row_width;        /* elements per row, of this piece */
    const float *values;     /* if !is_integer */
    const int64_t *integers; /* if is_integer */
} tess_tap_rows;

/* Whether a piece has a part of each row only. */
static inline bool tess_tap_rows_are_columns(const tess_tap_rows *rows)
{
    return rows->tap.n_dim == 2 && (int64_t)rows->row_width < rows->tap.dim[1];
}

/* Who listens. `wants` is asked before a tap is made. `hear` gets the rows of every wanted tap, in model
 * order within a chunk, a single expert's output before it is weighted; an error it returns ends the run.
 * `replace` (may be NULL) is called after `hear` for taps of the whole prompt and may overwrite the values,
 * float or int64_t in 0 … n_value-1, a row's chosen experts all different, which then go on through the
 * model: this is how a module is fed another run's input. Values that are not finite end the run and are not
 * heard, unless they are replaced: then they are, and the replacement must be finite. */
typedef struct tess_tap_listener {
    void *context;
    bool (*wants)(void *context, const tess_tap *tap);
    tess_status (*hear)(void *context, const tess_tap_rows *rows, tess_error *err);
    tess_status (*replace)(void *context, const tess_tap_rows *rows, void *values, tess_error *err);
} tess_tap_listener;

/* ---- sessions ---- */

/* A session is a timeline: what was fed, its keys and values, the state of its sampler, its last logits.
 * Sessions of an engine do not see each other. One more than the plan provides for is refused with
 * TESS_EUSAGE. */
tess_status tess_session_new(tess_engine *engine, tess_session **out, tess_error *err);
void tess_session_free(tess_session *session);
/* Forgets everything after the first n_tok positions. n_tok 0 … length. */
void tess_session_truncate(tess_session *session, int n_tok);
tess_engine *tess_session_get_engine(const tess_session *session);
int tess_session_get_length(const tess_session *session);  /* positions held */
int tess_session_get_context(const tess_session *session); /* positions there is room for */
const int32_t *tess_session_get_ids(const tess_session *session);

/* Rotary angles are exact for positions up to this size, far beyond any context. */
#define TESS_POSITION_MAX 1000000

typedef struct tess_feed {
    const int32_t *ids; /* [n_tok], each 0 … vocabulary - 1 */
    int n_tok;
    /* [3, n_tok] temporal, height, width, each within ±TESS_POSITION_MAX; NULL: continue by one */
    const float *positions;
    /* [n_media] what its pad tokens stand for, each kind in the order of the prompt; NULL: pad tokens are
     * tokens. Read while the call runs. */
    const tess_features *const *media;
    int n_media;
    const tess_tap_listener *listener; /* may be NULL */
    bool last_logits; /* a listener hears lm_head of the last position only, as [1, vocabulary] */
    const tess_progress *progress; /* prefill, or decode if n_tok is 1; may be NULL */
} tess_feed;

/* Calls visit for every tap that a feed reaches, in model order, by its n_tok, last_logits and the sizes of
 * its media; the rest of it is not looked at. Reads config.json only. Errors: those of reading it;
 * TESS_EINPUT media that the model cannot take. */
tess_status tess_model_list_taps(const char *model_dir, const tess_feed *feed,
                                 void (*visit)(void *context, const tess_tap *tap), void *context,
                                 tess_error *err);

/* What config.json says that preparing a request asks for. */
typedef struct tess_model_facts {
    bool has_talker;          /* enable_audio_output: it can speak */
    int n_code_group;         /* codebooks of a frame of speech; 0 without a talker */
    uint64_t media_row_bytes; /* what a token of a picture takes until it is run */
    int max_positions;
    int num_mel_bins;                                                     /* of audio_config */
    int patch_size, spatial_merge_size, temporal_patch_size, in_channels; /* of vision_config */
} tess_model_facts;
tess_status tess_model_get_facts(const char *model_dir, tess_model_facts *out, tess_error *err);

/* Puts a prompt's ids, which have one pad token for each medium, into out[capacity] with as many as the
 * medium has tokens; the sound inside a video (is_inside_video) follows it in the list and has no pad token
 * of its own. *n_out tells how many there are; with capacity 0 they are only counted. Reads config.json only.
 * Errors: TESS_EINPUT  pad tokens and media that do not fit each other, field "input_ids"; media that the
 * model cannot take, field "media[2]". */
tess_status tess_model_expand_media(const char *model_dir, const int32_t *ids, int64_t n_id,
                                    const tess_features *const *media, int n_media, int32_t *out,
                                    int64_t capacity, int64_t *n_out, tess_error *err);

/* The sizes of the smallest medium of a kind that the model takes, without rows. Reads config.json only. */
tess_status tess_model_get_smallest_features(const char *model_dir, tess_media_kind kind, tess_features *out,
                                             tess_error *err);

/* Runs the tokens through the model in chunks; afterwards the logits of the last one are at hand.
 * Errors: TESS_EUSAGE (more positions than the plan's context), TESS_EINPUT (an id or a position out of
 * range, field "input_ids" or "position_ids"; pad tokens that are not those of the media; media that the
 * model cannot take, field "media[2]"; a replacement that no router could have chosen, field: the
 * tap), TESS_EIO, TESS_ENONFINITE (field: the tap), TESS_EINTERRUPTED. After an error the session is as long
 * as before the call, without logits: a step needs another feed first. */
tess_status tess_session_feed(tess_session *session, const tess_feed *feed, tess_error *err);

/* How much of a whole prompt the session holds already: the longest beginning of *whole with the same tokens
 * and the same media, told by their digests, that leaves at least a token to be fed and ends in no medium.
 * With positions of its own nothing is held. *n_media of each kind stand in it, by tess_media_kind. */
int tess_session_count_held(const tess_session *session, const tess_feed *whole, int n_media[3]);

/* first[n_media]: where the first token of each medium stands in a prompt; n_tok of those that have none. */
void tess_session_find_media(const tess_session *session, const tess_feed *whole, int *first);

/* [vocabulary] of the last position, valid until the next feed of this session; NULL before the first. */
const float *tess_session_get_logits(const tess_session *session);

typedef struct tess_likely {
    int32_t id;
    int rank; /* 1: likeliest */
    float probability;
} tess_likely;

/* The n likeliest next tokens (softmax of the logits; ties to the lower id). Writes min(n, vocabulary). */
void tess_session_get_top(tess_session *session, int n, tess_likely *out);
/* Rank and probability of one token. */
void tess_session_get_rank(tess_session *session, int32_t id, tess_likely *out);

typedef struct tess_sampling {
    double temperature;        /* 0: greedy */
    int top_k;                 /* 0: off */
    double top_p;              /* 1: off */
    double repetition_penalty; /* 1: off; over prompt and answer, once per distinct id */
    uint64_t seed;             /* same seed, same text, on every machine */
} tess_sampling;
#define TESS_SAMPLING_GREEDY ((tess_sampling){.top_p = 1, .repetition_penalty = 1})
/* Refuses an option out of range by name before anything is run: TESS_EUSAGE. */
tess_status tess_sampling_check(const tess_sampling *sampling, tess_error *err);

/* Generates one token: feeds the one that the step before chose, if there was one since the last feed, and
 * chooses the next from the logits then at hand. The chosen token is not fed. The first step after a feed
 * starts the generator from sampling->seed. listener (may be NULL) hears the taps of the token that is fed.
 * Errors: those of tess_session_feed; TESS_EUSAGE  nothing was fed, or a sampling option (err->field) is out
 * of range or leaves no finite probabilities. */
tess_status tess_session_step(tess_session *session, const tess_sampling *sampling,
                              const tess_tap_listener *listener, const tess_progress *progress, int32_t *id,
                              tess_error *err);

typedef enum tess_finish { TESS_FINISH_STOP, TESS_FINISH_LENGTH, TESS_FINISH_INTERRUPTED } tess_finish;

typedef struct tess_generation {
    tess_sampling sampling;
    int max_new;
    const int32_t *stop; /* ids that end the answer; they are kept in it */
    int n_stop;
    /* Called with every token as it comes; false ends the answer (TESS_FINISH_INTERRUPTED). May be NULL. */
    bool (*on_token)(void *context, int32_t id);
    void *context;
    const tess_tap_listener *listener; /* hears the taps of every token that is fed; may be NULL */
    const tess_progress *progress;     /* decode, and generating after every token; may be NULL */
} tess_generation;

/* Generates step by step into ids [max_new]; *n_new tells how many. The last token is not fed. An answer that
 * fills the planned context ends there (TESS_FINISH_LENGTH). Errors: those of tess_session_step; ids and
 * *n_new hold what was generated until then. */
tess_status tess_session_generate(tess_session *session, const tess_generation *generation, int32_t *ids,
                                  int *n_new, tess_finish *finish, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
