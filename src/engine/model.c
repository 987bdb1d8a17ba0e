#include "engine/model.h"

#include "base/system.h"

/* Blocks of rows: an embedding is read for one row, a head for all. Speech has many heads, of which each bank
 * that packs takes room for a block beside what it holds. */
#define EMBEDDING_BLOCK_BYTES (64u << 10)
#define HEAD_BLOCK_BYTES (4u << 20)
#define SPEECH_HEAD_BLOCK_BYTES (1u << 20)

const char *tess_cpu_describe(void)
{
    unsigned mask = tess_cpu_mask();
    if (mask & TESS_CPU_AVX512) return "reference avx2 avx512";
    if (mask & TESS_CPU_AVX2FMA) return "reference avx2";
    if (mask & TESS_CPU_NEON) return "reference neon";
    return "reference";
}

uint64_t tess_peak_rss_bytes(void)
{
    return tess_system_peak_bytes();
}

tess_status tess_kernels_choose(const char *isa, tess_kernels *out, tess_error *err)
{
    unsigned mask;
    if (!tess_isa_from_name(isa ? isa : "auto", &mask))
        return tess_refuse_option(err, "isa", "auto, reference, avx2, avx512 or neon", "\"%s\"", isa);
    if (!tess_isa_available(mask))
        return tess_refuse_option(err, "isa", tess_cpu_describe(), "\"%s\", which this CPU or build lacks",
                                  isa);
    tess_kernels_init(out, mask);
    return TESS_OK;
}

tess_block_sizes tess_model_block_sizes(tess_component component)
{
    return (tess_block_sizes){EMBEDDING_BLOCK_BYTES,
                              component == TESS_COMPONENT_TEXT ? HEAD_BLOCK_BYTES : SPEECH_HEAD_BLOCK_BYTES};
}

/* The tables of a talker's experts take memory: they are made where speech is asked for. */
static tess_status find_speech(tess_model *model, tess_error *err)
{
    const tess_block_sizes blocks = tess_model_block_sizes(TESS_COMPONENT_TALKER);
    if (!model->config.has_talker) return tess_config_refuse_speech(err);
    tess_status status = tess_talker_weights_find(model->store, &model->config, &blocks, &model->talker, err);
    if (status == TESS_OK)
        status = tess_code_predictor_weights_find(model->store, &model->config, &blocks,
                                                  &model->code_predictor, err);
    if (status == TESS_OK)
        status = tess_code2wav_weights_find(model->store, &model->config, blocks.embedding_bytes,
                                            &model->code2wav, err);
    model->can_speak = status == TESS_OK;
    return status;
}

tess_status tess_model_open(const tess_engine_options *options, tess_model *out, tess_error *err)
{
    const tess_block_sizes blocks = tess_model_block_sizes(TESS_COMPONENT_TEXT);
    tess_model model = {.precision = options->precision};
    tess_status status = tess_kernels_choose(options->isa, &model.kernels, err);
    if (status == TESS_OK) status = tess_config_load(options->model_dir, &model.config, err);
    if (status == TESS_OK) status = tess_store_open(options->model_dir, options->direct, &model.store, err);
    if (status == TESS_OK) status = tess_manifest_check(&model.config, model.store, NULL, err);
    if (status == TESS_OK)
        status = tess_decoder_weights_find(model.store, &model.config, TESS_COMPONENT_TEXT, &blocks,
                                           &model.thinker, err);
    if (status == TESS_OK)
        status = tess_tower_weights_find(model.store, &model.config, TESS_COMPONENT_AUDIO, &model.audio, err);
    if (status == TESS_OK)
        status =
            tess_tower_weights_find(model.store, &model.config, TESS_COMPONENT_VISION, &model.vision, err);
    if (status == TESS_OK && options->n_speech_step) status = find_speech(&model, err);
    if (status != TESS_OK)
        tess_model_close(&model);
    else
        *out = model;
    return status;
}

void tess_model_close(tess_model *model)
{
    tess_decoder_weights_release(&model->thinker);
    tess_tower_weights_release(&model->audio);
    tess_tower_weights_release(&model->vision);
    tess_talker_weights_release(&model->talker);
    tess_code_predictor_weights_release(&model->code_predictor);
    tess_code2wav_weights_release(&model->code2wav);
    tess_store_close(model->store);
    model->store = NULL;
}

tess_compute tess_model_get_compute(const tess_model *model, tess_pool *pool)
{
    return (tess_compute){.kernels = &model->kernels,
                          .pool = pool,
                          .rounding =
                              model->precision == TESS_PRECISION_BF16 ? TESS_ROUND_BF16 : TESS_ROUND_NONE};
}
