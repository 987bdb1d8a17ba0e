/* Tensor names of the published layout: which component, and which expert, a tensor belongs to. */
#include <string.h>

#include "tessera/checkpoint.h"

const char *tess_component_name(tess_component component)
{
    static const char *const name[TESS_N_COMPONENT] = {
        [TESS_COMPONENT_TEXT] = "thinker text",
        [TESS_COMPONENT_AUDIO] = "audio tower",
        [TESS_COMPONENT_VISION] = "vision tower",
        [TESS_COMPONENT_TALKER] = "talker",
        [TESS_COMPONENT_CODE_PREDICTOR] = "code predictor",
        [TESS_COMPONENT_CODE2WAV] = "code2wav",
        [TESS_COMPONENT_OTHER] = "other",
    };
    return name[(unsigned)component < TESS_N_COMPONENT ? component : TESS_COMPONENT_OTHER];
}

tess_component tess_component_of(const char *name)
{
    static const struct {
        const char *prefix;
        tess_component component;
    } rule[] = {
        /* The first that fits. */
        {"thinker.audio_tower.", TESS_COMPONENT_AUDIO},
        {"thinker.visual.", TESS_COMPONENT_VISION},
        {"thinker.model.", TESS_COMPONENT_TEXT},
        {"thinker.lm_head.", TESS_COMPONENT_TEXT},
        {"talker.code_predictor.", TESS_COMPONENT_CODE_PREDICTOR},
        {"talker.", TESS_COMPONENT_TALKER},
        {"code2wav.", TESS_COMPONENT_CODE2WAV},
    };
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++)
        if (!strncmp(name, rule[i].prefix, strlen(rule[i].prefix))) return rule[i].component;
    return TESS_COMPONENT_OTHER;
}
