/* Speaking an answer: codes of frames of 80 ms, and the sound that they become, step by step while the text
 * comes or after it.
 *
 *     tess_speech *speech;
 *     tess_speech_state state = TESS_SPEECH_FRAME;
 *     const tess_speech_options options = {.n_prompt = n_prompt, .sampling = TESS_SPEECH_SAMPLING};
 *
 *     status = tess_speech_new(session, &options, &speech, &err);      the prompt has been fed
 *     for (int i = 0; i < n_answer && status == TESS_OK; i++) status = tess_speech_add(speech, answer[i],
 * &err); tess_speech_end(speech); while (status == TESS_OK && state != TESS_SPEECH_ENDED) status =
 * tess_speech_step(speech, &state, &err); tess_speech_free(speech);
 *
 * The engine was opened with n_speech_step, of a checkpoint with a talker. What is spoken depends on the
 * tokens, the speaker, the sampling and the media's states alone: not on when tokens are added.
 *
 * Threads: those of the session.
 */
#ifndef TESSERA_SPEECH_H
#define TESSERA_SPEECH_H

#include "tessera/engine.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct tess_speech tess_speech;

/* How the published checkpoint speaks. */
#define TESS_SPEECH_SAMPLING                                                                                 \
    ((tess_sampling){.temperature = 0.9, .top_k = 50, .top_p = 1, .repetition_penalty = 1.05})

enum { TESS_SPEECH_STEPS = 4096, TESS_SPEECH_RATE_HZ = 24000 };
#define TESS_SPEECH_FRAME_SECONDS 0.08

typedef struct tess_speech_options {
    int n_prompt;        /* tokens of the session that are the prompt; all of them have been fed */
    const char *speaker; /* by a name of the configuration, in any case; NULL: "ethan", else the first */
    /* Of the first codebook; the penalty is over its codes so far. The other codebooks are drawn with
     * temperature 1, top-k 50 and top-p 0.8, or greedily where this is (temperature 0). Neither draws from
     * the text's generator. */
    tess_sampling sampling;
    int max_step; /* most codes, one more than frames; 0: as many as the plan provides for */
    /* [n_media] what the prompt's pad tokens stand for, by their sizes; read while tess_speech_new runs. */
    const tess_features *const *media;
    int n_media;
    /* Takes the sound as it becomes exact, samples within -1 and 1; what it returns other than TESS_OK ends
     * the speech. NULL: codes alone are made. */
    tess_status (*on_samples)(void *context, const float *samples, size_t n, tess_error *err);
    /* Hears every code as it is chosen, of a frame first that of codebook 0, which may be the end of speech,
     * and may put another one that the codebook has in its place; an error ends the speech. May be NULL. */
    tess_status (*on_code)(void *context, int frame, int codebook, int32_t *code, tess_error *err);
    void *context; /* of both */
    /* Hears the taps of the talker's prompt and of the code predictor's first run; may be NULL. */
    const tess_tap_listener *listener;
    const tess_progress *progress; /* speaking, in frames; may be NULL */
} tess_speech_options;

/* Whether there is such a speaker; NULL: the default one. Reads config.json only. Errors: those of reading
 * it; TESS_EINPUT  a checkpoint without a talker, field "enable_audio_output"; an unknown name, field
 * "speaker", expected: the list. */
tess_status tess_speech_check_speaker(const char *model_dir, const char *name, tess_error *err);

/* Speech begins: nothing is computed yet. An engine has one at a time.
 * Errors: TESS_EUSAGE  the engine was opened without n_speech_step; an option out of range;
 *         TESS_EINPUT  an unknown speaker, field "speaker"; a prompt without an assistant's turn at its end,
 * or with pad tokens that stand for nothing, field "input_ids"; TESS_ENOMEM. */
tess_status tess_speech_new(tess_session *session, const tess_speech_options *options, tess_speech **out,
                            tess_error *err);
void tess_speech_free(tess_speech *speech); /* NULL is fine */

/* The next token of the answer, an id of the vocabulary; not the one that ends it. TESS_ENOMEM. */
tess_status tess_speech_add(tess_speech *speech, int32_t id, tess_error *err);
/* The answer is complete. */
void tess_speech_end(tess_speech *speech);

typedef enum tess_speech_state {
    TESS_SPEECH_WAITS, /* for the next token, or for the answer's end */
    TESS_SPEECH_FRAME, /* a frame more was spoken */
    TESS_SPEECH_ENDED
} tess_speech_state;

/* Speaks a frame if the text allows it. Where speech shares its room with the text (tess_plan.speech_stays),
 * it waits for the answer's end, and the session's next feed reads experts again.
 * Errors: those of running a model; TESS_EUSAGE  a sampling option leaves no finite probabilities;
 * TESS_EINTERRUPTED. After an error the speech has ended. */
tess_status tess_speech_step(tess_speech *speech, tess_speech_state *state, tess_error *err);

typedef enum tess_speech_finish {
    TESS_SPEECH_FINISH_NONE, /* there was nothing to say */
    TESS_SPEECH_FINISH_STOP,
    TESS_SPEECH_FINISH_LIMIT /* max_step was reached: the last code has no frame */
} tess_speech_finish;
/* Once it has ended. */
tess_speech_finish tess_speech_get_finish(const tess_speech *speech);

/* Calls visit for every tap of the talker's prompt and of the code predictor's first run, in model order, but
 * those of single experts. ids
 * [n_prompt]: the prompt. Reads config.json only. Errors: those of reading it; TESS_EINPUT  a checkpoint
 * without a talker, field "enable_audio_output". */
tess_status tess_speech_list_taps(const char *model_dir, const int32_t *ids, int n_prompt,
                                  void (*visit)(void *context, const tess_tap *tap), void *context,
                                  tess_error *err);

/* Codes that are there as a whole. */
typedef struct tess_codes {
    const int32_t *codes; /* [n_code_group, n_frame] each 0 … codebook_size - 1 */
    int64_t n_code_group; /* as many as the model has */
    int64_t n_frame;      /* 1 or more */
    tess_status (*on_samples)(void *context, const float *samples, size_t n, tess_error *err); /* or NULL */
    void *context;
    const tess_tap_listener *listener; /* hears code2wav's taps; may be NULL */
    const tess_progress *progress;     /* speaking, in frames; may be NULL */
} tess_codes;

/* Makes them sound, as a speech does. A listener who wants tap.code2wav.waveform_chunked hears it as well:
 * the original's own way, by windows, which loses samples at their borders. Errors: TESS_EUSAGE  the engine
 * was opened without n_speech_step; TESS_EINPUT  another number of codebooks, or a code that its codebook
 * does not have, field "codes"; those of running a model; TESS_EINTERRUPTED. */
tess_status tess_engine_decode_codes(tess_engine *engine, const tess_codes *codes, tess_error *err);

/* Calls visit for every tap of decoding n_frame frames, in model order; otherwise as tess_speech_list_taps.
 */
tess_status tess_codes_list_taps(const char *model_dir, int64_t n_frame,
                                 void (*visit)(void *context, const tess_tap *tap), void *context,
                                 tess_error *err);

/* Codes of the frames so far, [n_frame, n_code_group], each 0 … codebook_size - 1; valid until the next step.
 */
const int32_t *tess_speech_get_codes(const tess_speech *speech, int *n_frame);
int tess_speech_get_code_groups(const tess_speech *speech);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
