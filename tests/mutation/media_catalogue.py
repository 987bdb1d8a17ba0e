"""The defects of ears and eyes, in the manner of catalogue.py: all of them of code.

reference/media_mutations.py plants the defects of the same names in the original. A defect before the network is found
where a golden's messages name the media: they are prepared again and compared with the golden's inputs.
"""

from catalogue import DECODER, LAYER, Defect, layers

AUDIO_TOWER, VISION_TOWER, MERGER = "src/model/audio_tower.c", "src/model/vision_tower.c", "src/model/merger.c"
MEL, COMPUTE = "src/media/mel.c", "src/model/compute.c"
MERGER_NORM = """    tess_layer_norm_rows(compute, room->normed, x, tess_matrix_get_vector(&weights[TESS_HEAD_NORM]),
                         tess_matrix_get_vector(&weights[TESS_HEAD_NORM_BIAS]), d_norm, norm_eps,
                         n_tok * (int)(d_merged / d_norm));
"""
NORM_WEIGHTS = """    const uint16_t *scale = tess_matrix_get_vector(&weights[TESS_HEAD_NORM]),
                   *shift = tess_matrix_get_vector(&weights[TESS_HEAD_NORM_BIAS]);
"""
RUN_STEM = "    feature_map map = {tower->frames, n_frame, tower->config->n_mel, 1};\n"
ADD_FEATURE = "if (addition->layer == layer) add_rows("
GELU = "task->is_tanh ? kernels->gelu_tanh : kernels->gelu_erf"

# File, and pairs of a text and its replacement.
CODE = {
    "no_windows": (AUDIO_TOWER, ("return config->n_window_infer / chunk_frames(config);", "return 1 << 20;")),
    "running_positions": (
        "src/model/audio_stem.c",
        ("enum {\n    BLOCK_ROWS", "static int chunk;\nenum {\n    BLOCK_ROWS"),
        ("1, (float)step);", "1, (float)(chunk * n_step + step));"),
        (RUN_STEM, RUN_STEM + "    fill_positions(tower, tess_audio_stem_steps(n_frame));\n    chunk++;\n"),
    ),
    "no_features": (DECODER, (ADD_FEATURE, "if (addition->layer < 0) add_rows(")),
    "late_features": (DECODER, (ADD_FEATURE, "if (addition->layer + 1 == layer) add_rows(")),
    "late_merger_norm": (
        MERGER,
        (MERGER_NORM,
         NORM_WEIGHTS + "    static uint16_t wide[2][1 << 12];\n"
         "    for (size_t i = 0; i < d_merged; i++) {\n"
         "        wide[0][i] = scale[i % d_norm];\n        wide[1][i] = shift[i % d_norm];\n    }\n"
         "    tess_layer_norm_rows(compute, room->normed, x, wide[0], wide[1], d_merged, norm_eps, n_tok);\n"),
    ),
    "early_merger_norm": (
        MERGER,
        (MERGER_NORM,
         NORM_WEIGHTS + "    size_t width = d_merged / 4;\n"
         "    for (size_t i = 0; i < 4 * (size_t)n_tok; i++)\n"
         "        tess_layer_norm_rows(compute, room->normed + i * width, x + i * width, scale + i * width % d_norm,\n"
         "                             shift + i * width % d_norm, width, norm_eps, 1);\n"),
    ),
    "tanh_for_erf": (COMPUTE, (GELU, "kernels->gelu_tanh")),
    "erf_for_tanh": (COMPUTE, (GELU, "kernels->gelu_erf")),
    "turned_positions": (
        "src/model/positions.c",
        ("(float)row + w->base, (float)column + w->base", "(float)column + w->base, (float)row + w->base"),
    ),
    "turned_rotation": (VISION_TOWER, ("n_freq, row, column, tower->cosines", "n_freq, column, row, tower->cosines")),
    "counted_positions": ("src/engine/session.c", ("stream[at - 1] + 1.0f", "(float)at")),
    "unpaired_frames": (
        "src/media/patches.c",
        ("const int64_t begin = row / per_step * p->temporal_patch_size;", "const int64_t begin = row / per_step;"),
        ("p->frame[t < p->n_frame ? t : p->n_frame - 1]", "p->frame[begin]"),
        ("patches->n_frame / per_step + (patches->n_frame % per_step != 0)", "patches->n_frame"),
    ),
    "natural_logarithm": (MEL, ("tess_log_double((double)energy) * log10_of_e", "tess_log_double((double)energy)")),
    "no_mel_floor": (MEL, ("frame[m] > floor ? frame[m] : floor", "frame[m]")),
    "one_sample_late": (MEL, ("mel->held[i] * mel->window[i]", "mel->held[i + 1] * mel->window[i]")),
    "symmetric_window": (MEL, ("3.14159265358979323846 / TESS_MEL_WINDOW", "3.14159265358979323846 / (TESS_MEL_WINDOW - 1)")),
    "htk_bands": (
        MEL,
        ("return mel >= 15.0 ? 1000.0 * tess_exp_double(log_step * (mel - 15.0)) : 200.0 * mel / 3.0;",
         "return 700.0 * (tess_exp_double(mel * 0.0556959287859553) - 1.0) + 0.0 * log_step;"),
    ),
    "higher_floor": (MEL, ("mel->max - 8.0f", "mel->max - 7.0f")),
    "no_antialias": ("src/media/resize.c", ("in > out ? (double)in / out : 1.0", "1.0")),
    "rounding_to_zero": (AUDIO_TOWER, ("rest > 0 ? tess_audio_stem_steps(rest) : 0", "tess_audio_stem_steps(rest)")),
}

AUDIO, WHOLE, WHITE = "e-f32/audio", "e-f32/audio_whole", "e-f32/audio_white"
IMAGE, TALL = "e-f32/image", "e-f32/tall"


def tower(title, golden, tap, component, layer, others=()):
    return Defect(title, golden, f"thinker.{component}{tap}", component, layer, others=others)


def prepared(title, golden, tap):
    return Defect(title, golden, f"in.{tap}", "preprocess")


AUDIO_LAYERS, BLOCKS = range(2), range(4)
FED = ("self_attn", "mlp.gate", "mlp", "layer")  # what a layer's residual stream feeds
# Of images and a video in one prompt a golden has the images' run of the tower: what is wrong with the video's goes on.
OF_VIDEO = (("embed", None), *layers((1, 2, 3), *FED))
DEFECTS = {
    "no_windows": tower("audio windows ignored", AUDIO, ".layers.0", "audio_tower", 0,
                        layers(AUDIO_LAYERS, "audio_tower")),
    "running_positions": tower("chunk positions not restarted", AUDIO, ".layers.0", "audio_tower", 0),
    "no_features": Defect("DeepStack computed and not added", IMAGE, LAYER.format(1) + "self_attn", "self_attn", 1,
                          others=layers((1, 2, 3), *FED)),
    "late_features": Defect("DeepStack at the wrong layers", IMAGE, LAYER.format(1) + "self_attn", "self_attn", 1,
                            others=(*layers((1, 2, 3), *FED), ("norm", None))),
    "late_merger_norm": tower("merger norm after the patches are joined", IMAGE, ".merger", "visual", None),
    "early_merger_norm": tower("DeepStack merger norm before the joining", IMAGE, ".merger_list.0", "visual", None),
    "tanh_for_erf": tower("tanh GELU for erf", "e-f32/omni", ".conv_out", "audio_tower", None,
                          (*layers(AUDIO_LAYERS, "audio_tower"), ("visual", None), *OF_VIDEO)),
    "erf_for_tanh": tower("erf GELU for tanh", IMAGE, ".blocks.0", "visual", 0, layers(BLOCKS, "visual")),
    "turned_positions": Defect("h and w exchanged in positions", IMAGE, "thinker.position_ids", "position_ids"),
    "turned_rotation": tower("h and w exchanged in the vision tower", IMAGE, ".blocks.0", "visual", 0,
                             layers(BLOCKS, "visual")),
    "counted_positions": Defect("decoding positions counted", TALL, "thinker.generated", "lm_head",
                                whole_only=True),
    "unpaired_frames": prepared("frames not paired", "e-f32/film", "video_grid_thw"),
    "natural_logarithm": prepared("mel logarithm of base e", WHOLE, "input_features"),
    "no_mel_floor": prepared("mel values not held at the floor", WHOLE, "input_features"),
    "one_sample_late": prepared("sound heard one sample late", WHITE, "input_features"),
    "symmetric_window": prepared("symmetric window", WHITE, "input_features"),
    "htk_bands": prepared("mel bands of the HTK scale", WHITE, "input_features"),
    "higher_floor": prepared("mel floor at 70 dB", WHOLE, "input_features"),
    "no_antialias": prepared("image resized with antialias off", IMAGE, "pixel_values"),
    "rounding_to_zero": Defect("-1 // 2 taken as 0 in the token count", WHOLE, "in.input_ids", "chat_template",
                               refused={"trace": "tap.thinker.audio_tower: 364 of its 392 elements were heard"}),
}
