#include "engine/choice.h"

tess_decoder_sizes tess_decoder_choice_sizes(const tess_decoder_choice *choice, int n_context, int n_thread)
{
    return (tess_decoder_sizes){.n_context = n_context,
                                .n_row = choice->n_row,
                                .n_thread = n_thread,
                                .n_lease = choice->n_lease,
                                .n_layer_slot = choice->n_layer_slot,
                                .n_expert_slot = choice->n_expert_slot,
                                .packs_layers = choice->packs,
                                .packs_experts = choice->packs_experts};
}

tess_decoder_choice tess_decoder_choice_make_least(const tess_decoder_config *config, int most_expert_slots)
{
    int n_lease = config->n_expert ? config->n_expert_used : 0;
    if (n_lease > most_expert_slots) n_lease = most_expert_slots;
    return (tess_decoder_choice){.n_row = 1,
                                 .n_logit_rows = 1,
                                 .n_lease = n_lease,
                                 .n_layer_slot = 1,
                                 .n_head_slot = 1,
                                 .n_embedding_slot = 1,
                                 .n_expert_slot = n_lease};
}
