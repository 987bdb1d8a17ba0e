/* Prints digests of spoken answers: their tokens, codes and samples, by the instruction set that the first
 * argument names, of the model that the second does. tests/invariance/test_speech_neon.sh builds it for two
 * architectures, for the other one with few_json.c in jansson's place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/safetensors.h"
#include "tessera/speech.h"

#define GOLDEN "tests/golden/f-f32/speak.safetensors"

enum { MOST = 256, N_NEW = 12 };

typedef struct digest {
    uint64_t value;
    size_t n_byte;
} digest;

static void mix(digest *d, const void *bytes, size_t n_byte)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n_byte; i++) d->value = (d->value ^ at[i]) * 1099511628211u;
    d->n_byte += n_byte;
}

static void must(tess_status status, const tess_error *err)
{
    if (status == TESS_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static int read_prompt(int32_t ids[MOST])
{
    tess_error err;
    tess_safetensors *file;
    int64_t wide[MOST];
    must(tess_safetensors_open(GOLDEN, TESS_DIRECT_AUTO, &file, &err), &err);
    const tess_tensor *tensor = tess_safetensors_find(file, "in.input_ids");
    if (!tensor || tensor->n_byte > sizeof wide) exit(1);
    must(tess_file_read(tess_safetensors_get_file(file), tensor->offset, wide, tensor->n_byte, &err), &err);
    int n = (int)(tensor->n_byte / sizeof *wide);
    for (int i = 0; i < n; i++) ids[i] = (int32_t)wide[i];
    tess_safetensors_close(file);
    return n;
}

static tess_status hear(void *context, const float *samples, size_t n, tess_error *err)
{
    (void)err;
    mix(context, samples, n * sizeof *samples);
    return TESS_OK;
}

static void speak(const char *model, const char *isa, tess_precision precision, double temperature)
{
    tess_error err;
    tess_engine *engine;
    tess_session *session;
    tess_speech *speech;
    tess_speech_state state = TESS_SPEECH_FRAME;
    tess_finish finish;
    int32_t ids[MOST], made[N_NEW];
    int n_prompt = read_prompt(ids), n_new, n_frame;
    digest sound = {0}, codes = {0}, text = {0};
    const tess_engine_options options = {.model_dir = model,
                                         .memory_bytes = 1u << 30,
                                         .n_context = MOST,
                                         .n_thread = 1,
                                         .isa = isa,
                                         .precision = precision,
                                         .n_speech_step = 40};
    must(tess_engine_open(&options, &engine, &err), &err);
    must(tess_session_new(engine, &session, &err), &err);
    must(tess_session_feed(session, &(tess_feed){.ids = ids, .n_tok = n_prompt}, &err), &err);
    tess_speech_options how = {.n_prompt = n_prompt, .sampling = TESS_SPEECH_SAMPLING, .on_samples = hear};
    how.context = &sound;
    how.sampling.temperature = temperature;
    must(tess_speech_new(session, &how, &speech, &err), &err);
    tess_generation generation = {.sampling = TESS_SAMPLING_GREEDY, .max_new = N_NEW};
    generation.sampling.temperature = temperature;
    must(tess_session_generate(session, &generation, made, &n_new, &finish, &err), &err);
    mix(&text, made, (size_t)n_new * sizeof *made);
    for (int i = 0; i < n_new; i++) must(tess_speech_add(speech, made[i], &err), &err);
    tess_speech_end(speech);
    while (state != TESS_SPEECH_ENDED) must(tess_speech_step(speech, &state, &err), &err);
    const int32_t *spoken = tess_speech_get_codes(speech, &n_frame);
    mix(&codes, spoken, (size_t)n_frame * (size_t)tess_speech_get_code_groups(speech) * sizeof *spoken);
    printf("%s %g: %d tokens %016llx, %d frames %016llx, %zu samples %016llx\n",
           precision == TESS_PRECISION_BF16 ? "bf16" : "f32", temperature, n_new,
           (unsigned long long)text.value, n_frame, (unsigned long long)codes.value,
           sound.n_byte / sizeof(float), (unsigned long long)sound.value);
    tess_speech_free(speech);
    tess_session_free(session);
    tess_engine_close(engine);
}

int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : NULL, *model = argc > 2 ? argv[2] : "tests/golden/f";
    speak(model, isa, TESS_PRECISION_F32, 0);
    speak(model, isa, TESS_PRECISION_F32, 0.9);
    speak(model, isa, TESS_PRECISION_BF16, 0.9);
    return 0;
}
