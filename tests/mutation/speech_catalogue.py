"""The defects of the voice, in the manner of catalogue.py.

reference/speech_mutations.py plants the defects of the same names in the original. Codes part ways for good, so where
they do is asked as well: in a whole run in the frame and codebook in which the original's do under the same defect.
"""

from catalogue import DECODER, Defect

SPEECH, SESSION, TALKER = "src/engine/speech.c", "src/engine/session.c", "src/model/talker.c"
CODE2WAV, KERNELS, REFERENCE = "src/model/code2wav.c", "src/kernels/kernels_reference.c", ("--isa", "reference")
LAST_WINDOW = "(size_t)(config->n_head / config->n_kv_head) * (size_t)config->sliding_window;"
READ_CODE = """        tess_row_table_read(&talker->model.embedding, &rooms->model->kernels, code, s->code_row, err);
"""
RUN_PROMPT = (
    "        if (status == TESS_OK) status = run_rows(talker, n, done + n == n_row, sink, last_hidden, err);\n"
)
DECODE_FRAME = "    s->n_frame++;\n    return decode_if_many(s, err);\n"
TELL_LAYER = "    if (status == TESS_OK && step->on_layer) status = step->on_layer(step->context, layer + 1, err);\n"
ADD_FEATURES = "    add_to_layer(decoder, step, layer);\n"
POSITIONS = "    tess_status status = TESS_OK;\n    for (int own = 0; own < 2; own++) {\n"


def shrink_epsilon(c):
    c.edit_part("code2wav_config", "rms_norm_eps", 1e-5, 1e-6)


# File, and pairs of a text and its replacement.
CODE = {
    "no_window": (
        "src/model/code2wav_layers.c",
        ("return (size_t)config->sliding_window - 1;", "return 511;"),
        ("n_shared, config->sliding_window);", "n_shared, 512);"),
        ("position < config->sliding_window ? (size_t)position + 1 : (size_t)config->sliding_window;",
         "(size_t)position + 1;"),
        (LAST_WINDOW, "(size_t)(config->n_head / config->n_kv_head) * 512;"),
    ),
    "plain_snake": (
        KERNELS,
        ("rounded(tess_exp(widened(alpha[c])), rounding)", "widened(alpha[c])"),
        ("rounded(tess_exp(widened(beta[c])), rounding)", "widened(beta[c])"),
    ),
    # What an output is made of begins a position earlier, with zeros before the first.
    "one_sided_crop": (
        CODE2WAV,
        ("tess_tail_take(&c->block[i], 1,", "tess_tail_take(&c->block[i], 2,"),
        ("need(most, n, n_channel, 1);", "need(most, n, n_channel, 2);"),
        (".in = has_begun ? c->padded : behind_tail(c, tail),",
         ".in = has_begun ? c->padded : behind_tail(c, tail) - tail->width,"),
    ),
    "late_position": (
        "src/model/code_predictor.c", ("(float)(i % n_place)", "(float)(i % n_place + (i % n_place > 1))"),
    ),
    "before_norm": (TALKER, ("memcpy(last_hidden, talker->model.decoder.work.normed +",
                             "memcpy(last_hidden, talker->model.decoder.work.residual +")),
    "wrong_table": (
        SPEECH,
        (READ_CODE,
         READ_CODE + "    static float right[1 << 10], wrong[1 << 10];\n"
         "    size_t width = (size_t)config_of(s)->text.d_model;\n"
         "    memcpy(right, s->code_row, width * sizeof *right);\n"),
        (DECODE_FRAME,
         "    status = tess_row_table_read(&rooms->speech.predictor.embedding[0], &rooms->model->kernels, code,\n"
         "                                 wrong, err);\n"
         "    for (size_t i = 0; i < width; i++) s->code_row[i] += wrong[i] - right[i];\n" + DECODE_FRAME),
    ),
    "early_text": (SPEECH, ("TESS_TALKER_TURN_TOKENS - 1 + s->n_frame;", "TESS_TALKER_TURN_TOKENS + s->n_frame;")),
    "repeated_end": (SPEECH, (": next == s->n_text ?", ": next == s->n_text || next == s->n_text + 1 ?")),
    "late_steps": (
        TALKER,
        (RUN_PROMPT,
         RUN_PROMPT + "        for (int s = 0; s < 3 && done + n == n_row; s++)\n"
         "            talker->timeline.positions[s * talker->timeline.n_context + n_row - 1] += 1.0f;\n"),
    ),
    "double_penalty": (
        "src/model/sampler.c",
        ("penalise(sampler, logits, (float)sampling->repetition_penalty,",
         "penalise(sampler, logits, (float)(sampling->repetition_penalty * sampling->repetition_penalty),"),
    ),
    "not_suppressed": (TALKER, ("if (code != config->codec_eos) logits[code] = -INFINITY;",
                                "if (code < 0) logits[code] = -INFINITY;")),
    "other_layer": (SESSION, ("config.talker.accept_hidden_layer;", "config.talker.accept_hidden_layer - 1;")),
    "with_features": (DECODER, (TELL_LAYER + ADD_FEATURES, ADD_FEATURES + TELL_LAYER)),
    "in_a_line": (
        "src/model/talker_prompt.c",
        (POSITIONS,
         POSITIONS.replace("own < 2", "own < 1") + "        for (size_t i = 0; i < 3 * (size_t)n_row; i++)\n"
         "            out[i / (size_t)n_row * stride + i % (size_t)n_row] = (float)(i % (size_t)n_row);\n"
         "        if (n_row > 0) break;\n"),
    ),
    "first_speaker": (SPEECH, ('strcasecmp(s->name, name ? name : "ethan")', 'strcasecmp(s->name, "ethan")')),
}

CODES, STOP, SPEAK, MEDIA = "f-f32/codes", "f-f32/speak_stop", "f-f32/speak", "f-f32/speak_media"
STAGES = tuple(f"code2wav.decoder.{n}" for n in range(1, 4))
CHUNKED = "code2wav.waveform_chunked"  # by windows of its own, which nothing is fed to


def vocoder(title, golden, tap, taps, change=None, options=()):
    return Defect(title, golden, f"code2wav.{tap}", "code2wav", change=change, options=options, taps=(*taps, CHUNKED))


def codes(title, golden, component, says):
    return Defect(title, golden, "talker.codes", component, says=says)


def prompt(title, golden, tap, component, says=""):
    return Defect(title, golden, f"talker.{tap}", component, says=says)


TRANSFORMER, STEP, PREDICTOR = "code2wav.pre_transformer", "talker.codec_head", "code_predictor"
FED = "talker.code_predictor.inputs_embeds"
MEDIUM = "a medium's row: the thinker's state behind layer {} by hidden_projection"
DEFECTS = {
    "no_window": vocoder("code2wav's window ignored", CODES, "pre_transformer", (TRANSFORMER,)),
    "small_epsilon": vocoder("epsilon 1e-6 for 1e-5 in code2wav", "f-f32/codes_quiet", "pre_transformer", (TRANSFORMER,),
                             shrink_epsilon),
    "plain_snake": vocoder("Snake's parameters not exponentiated", CODES, "decoder.1", STAGES, options=REFERENCE),
    "one_sided_crop": vocoder("transposed conv. cut on one side", CODES, "decoder.1", STAGES[:2]),
    "late_position": codes("code predictor's position off by one", STOP, PREDICTOR, "at fault is the code predictor"),
    "before_norm": Defect("predictor fed before the norm", STOP, FED, PREDICTOR, says="the talker's state behind its norm"),
    "wrong_table": codes("first code fed back by another table", STOP, STEP, "fed back (codes, token 1 of the answer)"),
    "early_text": codes("trailing text shifted by one", STOP, STEP, "fed back (codes, token 1 of the answer)"),
    "repeated_end": codes("end of the text repeated", STOP, STEP, "fed back (codes, the pad behind the text)"),
    "late_steps": codes("talker's steps a position late", STOP, STEP, "a step of the talker"),
    "double_penalty": codes("repetition penalty applied twice", SPEAK, STEP, "or the penalty"),
    "not_suppressed": Defect("suppressed ids not suppressed", STOP, FED, STEP, isolated_tap="talker.codes",
                             refused={"trace": "codes of 0 to 79"}, says="the talker chose another first code"),
    "other_layer": prompt("accepted layer off by one", MEDIA, "inputs_embeds", "talker.embed", MEDIUM.format(3)),
    "with_features": prompt("states behind DeepStack's addition", "c-f32/speak_image", "inputs_embeds", "talker.embed",
                            MEDIUM.format(2)),
    "in_a_line": prompt("talker's positions linear with media", MEDIA, "position_ids", "talker.position_ids"),
    "first_speaker": prompt("another speaker than asked for", "f-f32/speak_voice", "inputs_embeds", "talker.embed",
                            "the speaker's code"),
}
