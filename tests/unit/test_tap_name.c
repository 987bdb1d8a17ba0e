/* Where every kind of tap stands in model order, and what it is called. */
#include "verify/trace/tap_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *name, *component;
        int layer, expert;
    } in_order[] = {
        {"tap.thinker.audio_tower.conv_out", "audio_tower", -1, -1},
        {"tap.thinker.audio_tower.layers.0", "audio_tower", 0, -1},
        {"tap.thinker.audio_tower.layers.31", "audio_tower", 31, -1},
        {"tap.thinker.audio_tower.ln_post", "audio_tower", -1, -1},
        {"tap.thinker.audio_tower", "audio_tower", -1, -1},
        {"tap.thinker.visual.patch_embed", "visual", -1, -1},
        {"tap.thinker.visual.blocks.2", "visual", 2, -1},
        {"tap.thinker.visual.blocks.10", "visual", 10, -1},
        {"tap.thinker.visual.merger_list.0", "visual", -1, -1},
        {"tap.thinker.visual.merger", "visual", -1, -1},
        {"tap.thinker.visual.patch_embed#1", "visual", -1, -1},
        {"tap.thinker.inputs_embeds", "embed", -1, -1},
        {"tap.thinker.position_ids", "position_ids", -1, -1},
        {"tap.thinker.model.layers.2.self_attn", "self_attn", 2, -1},
        {"tap.thinker.model.layers.2.mlp.gate.logits", "mlp.gate", 2, -1},
        {"tap.thinker.model.layers.2.mlp.gate.indices", "mlp.gate", 2, -1},
        {"tap.thinker.model.layers.2.mlp.gate.weights", "mlp.gate", 2, -1},
        {"tap.thinker.model.layers.2.mlp.experts.9", "mlp", 2, 9},
        {"tap.thinker.model.layers.2.mlp.experts.127", "mlp", 2, 127},
        {"tap.thinker.model.layers.2.mlp", "mlp", 2, -1},
        {"tap.thinker.model.layers.2", "layer", 2, -1},
        {"tap.thinker.model.layers.10.self_attn", "self_attn", 10, -1},
        {"tap.thinker.model.norm", "norm", -1, -1},
        {"tap.thinker.lm_head", "lm_head", -1, -1},
        {"tap.thinker.generated", "lm_head", -1, -1},
        {"tap.talker.inputs_embeds", "talker.embed", -1, -1},
        {"tap.talker.model.layers.1.mlp.gate.logits", "talker.mlp.gate", 1, -1},
        {"tap.talker.model.layers.1", "talker.layer", 1, -1},
        {"tap.talker.codec_head", "talker.codec_head", -1, -1},
        {"tap.talker.codes", "code_predictor", -1, -1},
        {"tap.code2wav.pre_transformer", "code2wav", -1, -1},
        {"tap.code2wav.upsample.0.1", "code2wav", -1, -1},
        {"tap.code2wav.upsample.1.0", "code2wav", -1, -1},
        {"tap.code2wav.decoder.6", "code2wav", -1, -1},
        {"tap.code2wav.waveform", "code2wav", -1, -1},
        {"tap.code2wav.waveform_chunked", "code2wav", -1, -1},
        {"tap.thinker.model.layers.02", "other", -1, -1},
    };
    uint64_t last = 0;
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
        tess_tap_place place = tess_tap_place_of(in_order[i].name);
        if (i && place.order <= last) fail_msg("%s comes too early", in_order[i].name);
        last = place.order;
        assert_string_equal(place.component, in_order[i].component);
        assert_int_equal(place.layer, in_order[i].layer);
        assert_int_equal(place.expert, in_order[i].expert);
    }
    static const char *const strange[] = {"tap.",
                                          "tap.thinker.model.layers.",
                                          "tap.thinker.model.layers.99999999999",
                                          "tap.thinker.model.layers.-1",
                                          "tap.thinker.model.layers.1.mlpx",
                                          "tap.thinker.lm_head#",
                                          "tap.thinker.lm_head#999",
                                          "other"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        assert_string_equal(tess_tap_place_of(strange[i]).component, "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
