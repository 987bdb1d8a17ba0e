/* The bars of docs/NUMERICS.md, in one place. */
#include "verify/compare/rules.h"

#include <stddef.h>

static const struct {
    tess_tap_class class;
    tess_measure measure;
    double full, isolated;
} float32_rules[] = {
    {TESS_CLASS_HIDDEN, TESS_MEASURE_REL_L2, 1e-5, 2e-6},
    {TESS_CLASS_EXPERT, TESS_MEASURE_REL_L2, 1e-5, 2e-6},
    {TESS_CLASS_ROUTER_LOGITS, TESS_MEASURE_REL_L2, 1e-5, 2e-6},
    {TESS_CLASS_ROUTER_WEIGHTS, TESS_MEASURE_MAX_ABS, 1e-5, 1e-6},
    {TESS_CLASS_LOGITS, TESS_MEASURE_REL_L2, 2e-5, 2e-6},
    {TESS_CLASS_FEATURES, TESS_MEASURE_BY_ELEMENT, 1, 1},
    {TESS_CLASS_WAVEFORM, TESS_MEASURE_REL_L2, 2e-5, 2e-6},
};

/* Positions are whole numbers or simple products; one position wrong by one among thousands would vanish in a
 * relative error, so they are exact everywhere, like all integers in float32. */
static tess_rule float32_rule(const tess_tap_place *place, bool is_integer, bool is_isolated)
{
    if (!is_integer)
        for (size_t i = 0; i < sizeof float32_rules / sizeof float32_rules[0]; i++)
            if (float32_rules[i].class == place->class)
                return (tess_rule){float32_rules[i].measure,
                                   is_isolated ? float32_rules[i].isolated : float32_rules[i].full};
    return (tess_rule){TESS_MEASURE_EXACT, 0};
}

/* A module rounds inside as well. Where an inner value lies in the middle between two bfloat16 numbers,
 * correct implementations round it apart, and what follows differs by ulps of the row's largest element. */
tess_rule tess_rule_isolated(const tess_tap_place *place, bool is_integer, tess_precision reference)
{
    bool is_exact = is_integer || place->class == TESS_CLASS_INPUT || place->class == TESS_CLASS_POSITIONS;
    if (is_exact) return (tess_rule){TESS_MEASURE_EXACT, 0};
    if (place->class == TESS_CLASS_FEATURES) return float32_rule(place, is_integer, true);
    if (reference == TESS_PRECISION_BF16) return (tess_rule){TESS_MEASURE_STEPS, TESS_STEPS_ROW};
    return float32_rule(place, is_integer, true);
}

/* In bfloat16 routers flip and tokens part ways, so neither choices nor weights nor tokens are judged; speech
 * has no bar there. */
tess_rule tess_rule_of(const tess_tap_place *place, bool is_integer, tess_precision reference, bool has_truth)
{
    if (place->class == TESS_CLASS_INPUT || place->class == TESS_CLASS_POSITIONS)
        return (tess_rule){TESS_MEASURE_EXACT, 0};
    bool is_float32 = reference == TESS_PRECISION_F32 || place->class == TESS_CLASS_FEATURES;
    if (is_float32) return float32_rule(place, is_integer, false);
    bool is_speech = place->part == TESS_PART_TALKER || place->part == TESS_PART_CODE_PREDICTOR ||
                     place->part == TESS_PART_CODE2WAV;
    bool is_expert = place->class == TESS_CLASS_EXPERT || place->class == TESS_CLASS_ROUTER_WEIGHTS;
    if (!has_truth || is_integer || is_speech || is_expert) return (tess_rule){TESS_MEASURE_NONE, 0};
    return (tess_rule){TESS_MEASURE_RATIO, TESS_RATIO_MOST};
}
