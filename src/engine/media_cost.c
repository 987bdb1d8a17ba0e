/* What the towers cost for the media of a feed, for the estimate of a plan. */
#include "engine/media.h"

/* Pieces that take runs of rows which are never parted, as many as there is room for. */
typedef struct packing {
    int64_t room, used, n_piece;
} packing;

static void pack_rows(packing *p, int64_t n_row)
{
    if (p->n_piece == 0 || p->used + n_row > p->room) {
        p->n_piece++;
        p->used = 0;
    }
    p->used += n_row;
}

static void pack_clip(packing *p, const tess_audio_config *config, const tess_features *clip)
{
    int64_t left = tess_audio_count_tokens(config, clip->n_frame);
    for (int64_t window = tess_audio_count_window_tokens(config), n; left > 0; left -= n) {
        n = left < window ? left : window;
        pack_rows(p, n);
    }
}

static void pack_pictures(packing *p, const tess_features *item)
{
    for (int step = 0; step < item->n_step; step++) pack_rows(p, (int64_t)item->n_high * item->n_wide);
}

/* What is read for so many pieces, of layers or parts of which n_slot stay. */
static uint64_t count_reads(const tess_weight *weight, int n_segment, int n_weight, int n_slot,
                            int64_t n_piece)
{
    uint64_t sum = tess_weights_count_bytes(weight, n_segment * n_weight);
    if (n_piece > 1 && n_slot < n_segment) sum *= (uint64_t)n_piece;
    return n_piece ? sum : 0;
}

static uint64_t count_tower_reads(const tess_tower_weights *weights, const tess_tower_sizes *sizes,
                                  int64_t n_piece)
{
    return count_reads(weights->layer, weights->n_layer, TESS_ENCODER_WEIGHTS, sizes->n_layer_slot, n_piece) +
           count_reads(weights->part, weights->n_part, TESS_TOWER_PART_WEIGHTS, sizes->n_part_slot, n_piece);
}

tess_media_cost tess_media_count_cost(const tess_model *model, const tess_media_choice *choice,
                                      const tess_media_list *media)
{
    const tess_thinker_config *config = &model->config.thinker;
    packing of_kind[] = {[TESS_MEDIA_AUDIO] = {.room = choice->audio.n_row},
                         [TESS_MEDIA_IMAGE] = {.room = choice->vision.n_row},
                         [TESS_MEDIA_VIDEO] = {.room = choice->vision.n_row}};
    double n_product = 0;
    for (int i = 0; i < media->n; i++) {
        const tess_features *f = media->item[i];
        if (f->kind == TESS_MEDIA_AUDIO) {
            pack_clip(&of_kind[f->kind], &config->audio, f);
            n_product += tess_audio_count_products(&config->audio, f->n_frame);
        } else {
            pack_pictures(&of_kind[f->kind], f);
            n_product += tess_vision_count_products(&config->vision, f);
        }
    }
    return (tess_media_cost){
        .read_bytes =
            count_tower_reads(&model->audio, &choice->audio, of_kind[TESS_MEDIA_AUDIO].n_piece) +
            count_tower_reads(&model->vision, &choice->vision,
                              of_kind[TESS_MEDIA_IMAGE].n_piece + of_kind[TESS_MEDIA_VIDEO].n_piece),
        .operations = 2 * n_product};
}
