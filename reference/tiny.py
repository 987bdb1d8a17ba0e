#!/usr/bin/env python3
"""Writes the tiny random checkpoints of tests/golden and the goldens the original makes of them.

    tiny.py [--only b|c|d|e|f] [--out FOLDER]

  b  a thinker-only checkpoint (as Thinking and Captioner): no size a multiple of 16, five query heads on one key
     head, 72 experts so that ids above 63 are chosen, dense layers by `mlp_only_layers` and `decoder_sparse_step`,
     routing weights not renormalised
  c  a complete checkpoint with speech in the `rope_parameters` spelling, heads wider than the hidden size, twelve
     experts of which three, another rotary base and epsilon, and activations so small that the epsilon shows
  d  two layers with the published epsilon, 1e-6, on embeddings of mean square 1e-3, where 1e-5 instead would show
  e  a thinker-only checkpoint for media, with tokenizer and preprocessor files: audio windows of two chunks, so that a
     clip of three seconds has two; towers of an odd number of heads, three DeepStack features from blocks that are not
     evenly apart, a learned grid smaller than the pictures' own
  f  a complete checkpoint that speaks, with the files of `e`: a talker of other sizes than the thinker, listening at a
     layer that is not the last, a code2wav of 24 samples a frame and a window of eight frames

A case with media is made either of noise of given sizes (mixes.py) or of the files of tests/golden/front by way of
messages, as `golden.py` makes one.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import numpy as np

import golden
import layout
import mixes
import original
import randomweights
import request
import scores
import text_golden
import tracefile
from bits import relative_l2

ROOT = Path(__file__).resolve().parent.parent
MEDIA = {"in.input_features", "in.pixel_values", "in.pixel_values_videos"}


def special_ids(vocab, root_names):
    """Ids at the end of a vocabulary: media tokens first, then the turn and role tokens."""
    names = [*layout.SPECIAL_NAMES, *root_names]
    return {name: vocab - len(names) + i for i, name in enumerate(names)}


ROOT_IDS = (
    "im_start_token_id im_end_token_id tts_pad_token_id tts_bos_token_id tts_eos_token_id system_token_id "
    "user_token_id assistant_token_id"
).split()


def config_b():
    vocab = 331
    ids = special_ids(vocab, ROOT_IDS)
    text = layout.text_config(
        "published", 1000000.0, [4, 5, 3], vocab_size=vocab, hidden_size=40, intermediate_size=52, num_hidden_layers=6,
        num_attention_heads=5, num_key_value_heads=1, head_dim=24, moe_intermediate_size=20, num_experts=72,
        num_experts_per_tok=5, norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[3],
    )
    audio = layout.audio_config(
        d_model=20, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=36, downsample_hidden_size=5,
        output_dim=40,
    )
    vision = layout.vision_config(
        depth=2, hidden_size=24, num_heads=2, intermediate_size=28, out_hidden_size=40, num_position_embeddings=121,
        deepstack_visual_indexes=[1],
    )
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision))


def ids_c():
    ids = special_ids(300, ROOT_IDS)
    ids["im_end_token_id"] = 234  # what the case "stop" comes to in its eleventh step
    return ids


def config_c():
    ids = ids_c()
    text = layout.text_config(
        "parameters", 50000.0, [3, 3, 2], vocab_size=300, hidden_size=24, intermediate_size=18, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, moe_intermediate_size=18, num_experts=12,
        num_experts_per_tok=3, rms_norm_eps=1e-05,
    )
    audio = layout.audio_config(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, downsample_hidden_size=4,
        output_dim=24,
    )
    vision = layout.vision_config(
        depth=3, hidden_size=16, num_heads=2, intermediate_size=20, out_hidden_size=24, num_position_embeddings=100,
        deepstack_visual_indexes=[0, 2],
    )
    codes = 96
    codec = dict(
        codec_pad_id=100, codec_bos_id=101, codec_eos_token_id=102, codec_nothink_id=107, codec_think_bos_id=108,
        codec_think_eos_id=109, speaker_id={"chelsie": 111, "ethan": 112, "aiden": 113},
    )
    speech_text = layout.text_config(
        "parameters", 20000.0, [2, 1, 1], vocab_size=codes + 1024, hidden_size=20, intermediate_size=28,
        num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, head_dim=8, moe_intermediate_size=12,
        shared_expert_intermediate_size=20, num_experts_per_tok=3, num_local_experts=7,
    )
    predictor = layout.predictor_config(
        "parameters", 1000000.0, vocab_size=codes, hidden_size=20, intermediate_size=28, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8,
    )
    wav = layout.code2wav_config(
        "parameters", codebook_size=codes, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=28, decoder_dim=32,
    )
    talker = layout.talker_config(ids, codec, 24, 2, speech_text, predictor)
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision), talker, wav)


def config_d():
    vocab = 120
    ids = special_ids(vocab, ROOT_IDS)
    text = layout.text_config(
        "published", 1000000.0, [2, 1, 1], vocab_size=vocab, hidden_size=16, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=1, head_dim=8, moe_intermediate_size=10, num_experts=10,
        num_experts_per_tok=3,
    )
    audio = layout.audio_config(
        d_model=8, encoder_layers=1, encoder_attention_heads=1, encoder_ffn_dim=12, downsample_hidden_size=2,
        output_dim=16,
    )
    vision = layout.vision_config(
        depth=1, hidden_size=8, num_heads=1, intermediate_size=12, out_hidden_size=16, num_position_embeddings=16,
        deepstack_visual_indexes=[0],
    )
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision))


# The published name of each special id of config.json whose token has another spelling than its name says.
E_TOKENS = {
    "audio_token_id": "<|audio_pad|>", "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
    "audio_start_token_id": "<|audio_start|>", "audio_end_token_id": "<|audio_end|>",
    "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
    "im_start_token_id": "<|im_start|>", "im_end_token_id": "<|im_end|>", "tts_pad_token_id": "<tts_pad>",
    "tts_bos_token_id": "<tts_text_bos>", "tts_eos_token_id": "<tts_text_eod>", "system_token_id": "system",
    "user_token_id": "user", "assistant_token_id": "assistant",
}
# Words of the chat template that are one token each, every merge of two earlier ones.
E_MERGES = [tuple(pair.split("+")) for pair in (
    "s+y s+t sy+st e+m syst+em u+s e+r us+er a+s as+s i+st n+t a+nt ass+ist assist+ant").split()]


def vocabulary_e():
    """Bytes, then what the merges make; each merge's parts come before it."""
    vocab = {letter: i for i, letter in enumerate(sorted(text_golden.pre_tokenizers.ByteLevel.alphabet()))}
    for one, other in E_MERGES:
        vocab.setdefault(one + other, len(vocab))
    return vocab


NEWLINE = vocabulary_e()["\u010a"]  # as a letter of its byte


def write_files_e(folder):
    """The tokenizer's files, and the published preprocessor_config.json."""
    vocab = vocabulary_e()
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False) + "\n", encoding="utf-8")
    merges = "".join(" ".join(pair) + "\n" for pair in E_MERGES)
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    text_golden.write_config(folder / "tokenizer_config.json", text_golden.published_config(vocab))
    shutil.copy(ROOT / "demo" / "checkpoint" / "preprocessor_config.json", folder)


def ids_e():
    vocab = vocabulary_e()
    tokens = {**vocab, **{token: len(vocab) + i for i, token in enumerate(text_golden.SPECIAL)}}
    return {name: tokens[token] for name, token in E_TOKENS.items()}


def config_e():
    ids = ids_e()
    text = layout.text_config(
        "published", 1000000.0, [3, 2, 2], vocab_size=320, hidden_size=28, intermediate_size=20, num_hidden_layers=4,
        num_attention_heads=3, num_key_value_heads=1, head_dim=14, moe_intermediate_size=18, num_experts=9,
        num_experts_per_tok=2,
    )
    audio = layout.audio_config(
        d_model=30, encoder_layers=2, encoder_attention_heads=3, encoder_ffn_dim=44, downsample_hidden_size=3,
        output_dim=28, n_window_infer=200,
    )
    vision = layout.vision_config(
        depth=4, hidden_size=36, num_heads=3, intermediate_size=44, out_hidden_size=28, num_position_embeddings=25,
        deepstack_visual_indexes=[0, 2, 3],
    )
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision))


def config_f():
    ids = ids_e()
    text = layout.text_config(
        "published", 1000000.0, [2, 2, 2], vocab_size=320, hidden_size=24, intermediate_size=20, num_hidden_layers=5,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, moe_intermediate_size=16, num_experts=8,
        num_experts_per_tok=2,
    )
    audio = layout.audio_config(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24, downsample_hidden_size=3,
        output_dim=24,
    )
    vision = layout.vision_config(
        depth=2, hidden_size=16, num_heads=2, intermediate_size=20, out_hidden_size=24, num_position_embeddings=25,
        deepstack_visual_indexes=[0, 1],
    )
    codes = 80
    codec = dict(
        codec_pad_id=84, codec_bos_id=85, codec_eos_token_id=86, codec_nothink_id=91, codec_think_bos_id=92,
        codec_think_eos_id=93, speaker_id={"chelsie": 95, "ethan": 96, "aiden": 97},
    )
    speech_text = layout.text_config(
        "published", 1000000.0, [2, 2, 1], vocab_size=codes + 1024, hidden_size=20, intermediate_size=26,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=10, moe_intermediate_size=10,
        shared_expert_intermediate_size=14, num_experts_per_tok=2, num_experts=6,
    )
    predictor = layout.predictor_config(
        "published", 1000000.0, vocab_size=codes, hidden_size=20, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=6,
    )
    wav = layout.code2wav_config(
        "published", codebook_size=codes, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, intermediate_size=24, decoder_dim=12, upsample_rates=[4, 3], upsampling_ratios=[2],
        sliding_window=8,
    )
    talker = layout.talker_config(ids, codec, 24, 3, speech_text, predictor)
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision), talker, wav)


def random_ids(seed, count, vocab):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, vocab, count, dtype=np.int64)


def unequal_positions(count):
    """Three streams that part ways as after an image and a video, with quarters and large values among them."""
    step = np.arange(count, dtype=np.float32)
    streams = np.stack([step, step, step])
    streams[0, 5:12] = 5 + np.float32(6.5) * np.arange(7, dtype=np.float32)
    streams[1, 5:12] = 5 + np.arange(7) // 3
    streams[2, 5:12] = 5 + np.arange(7) % 3
    streams[:, 12:20] = np.float32(1000.25) + np.arange(8, dtype=np.float32)
    streams[:, 20:] = 41233 + np.arange(count - 20, dtype=np.float32)
    streams[1, 20:] -= np.float32(17.75)
    return streams


def case(ids, generate, positions=None, with_experts=False):
    inputs = {"in.input_ids": ids}
    if positions is not None:
        inputs["in.position_ids"] = positions
    return {"inputs": inputs, "generate": generate, "with_experts": with_experts}


def mix(seed, generate, *parts):
    """A prompt of text and noise."""
    return {"parts": parts, "seed": seed, "generate": generate, "with_experts": False}


def asked(generate, *content):
    """One question whose media are files of tests/golden/front."""
    return said(generate, {"role": "user", "content": content})


def said(generate, *messages):
    return {"messages": messages, "generate": generate, "with_experts": False}


def coded(seed, frames):
    """Random codes of `f`, for code2wav alone."""
    codes = random_ids(seed, (16, frames), 80)
    return {"inputs": {"in.codes": codes}, "generate": 0, "with_experts": False}


def quiet(seed, frames):
    """The same, each chosen so that the rows of a frame's codes nearly cancel."""
    return {"quiet": (seed, frames), "generate": 0, "with_experts": False}


def quiet_codes(spec, seed, frames):
    wav = spec["config"]()["code2wav_config"]
    size, count = wav["codebook_size"], wav["num_quantizers"]
    shape = (count * size, wav["hidden_size"])
    table = randomweights.draw("code2wav.code_embedding.weight", shape, spec["seed"], spec["scales"]).double().numpy()
    table = table.reshape(count, size, -1)
    codes = random_ids(seed, (count, frames), size)
    rows = table[np.arange(count)[:, None], codes]
    for one in range(count):
        rest = rows.sum(0) - rows[one]
        codes[one] = np.argmin(((rest[:, None] + table[one]) ** 2).sum(-1), axis=1)
        rows[one] = table[one][codes[one]]
    return codes


def spoken(one, steps, speaker="ethan", **more):
    """A case whose answer is spoken."""
    return {**one, "steps": steps, "speaker": speaker, **more}


def turn(tokens, role, *parts):
    """A turn of a conversation in tokens, as the chat template writes it; the last one, without parts, is left open."""
    begin = mixes.ids(tokens["im_start_token_id"], tokens[f"{role}_token_id"], NEWLINE)
    return (begin, *parts, mixes.ids(tokens["im_end_token_id"], NEWLINE)) if parts else (begin,)


def of_file(kind, name):
    return {"type": kind, kind: "../front/" + name}


text, audio, image, video = mixes.text, mixes.audio, mixes.image, mixes.video


def told(tokens, seed, generate, *turns):
    """A conversation with noise; each turn is its role and its parts."""
    written = [turn(tokens, role, *parts) for role, *parts in (*turns, ("assistant",))]
    return mix(seed, generate, *(part for parts in written for part in parts))


def after_talk(generate, question):
    """A question behind turns that the talker shall not hear."""
    return said(generate, {"role": "system", "content": "Be kind."}, {"role": "user", "content": "One?"},
                {"role": "assistant", "content": "Two."}, {"role": "user", "content": question})

CHECKPOINTS = {
    "b": {
        "config": config_b,
        "seed": 20,
        "scales": {"embed": 1.0, "branch": 1.0},
        "shard_starts": [
            "thinker.model.layers.1.mlp.experts.41.gate_proj.weight",
            "thinker.model.layers.5.mlp.experts.66.up_proj.weight",
        ],
        "cases": {
            "text": case(random_ids(1, 41, 316), 12, with_experts=True),
            "one": case(random_ids(2, 1, 316), 9),
            "positions": case(random_ids(3, 29, 316), 7, unequal_positions(29)),
        },
    },
    "c": {
        "config": config_c,
        "seed": 30,
        "scales": {"embed": 0.03, "branch": 0.04},
        "shard_starts": [
            "thinker.model.layers.1.mlp.experts.5.gate_proj.weight",
            "talker.model.layers.0.mlp.experts.3.up_proj.weight",
        ],
        "cases": {
            "text": case(random_ids(4, 39, 285), 12, with_experts=True),
            "positions": case(random_ids(5, 31, 285), 8, unequal_positions(31)),
            "stop": case(random_ids(6, 11, 285), 40),
            "audio": mix(8, 4, text(4), audio(131), text(3), audio(46), text(2)),
            "image": mix(22, 4, text(3), image(4, 2), text(2), image(2, 6), text(2)),
            "omni": mix(10, 6, text(3), image(2, 4), text(1), audio(63), text(1), video(2, 4, 2, 3), text(4)),
            "speak": spoken(told(ids_c(), 67, 7, ("system", text(4)), ("user", text(8))), 8),
            "speak_image": spoken(told(ids_c(), 69, 3, ("user", text(2), image(4, 2), text(2))), 2),
        },
    },
    "d": {
        "config": config_d,
        "seed": 40,
        "scales": {"embed": 0.0316, "branch": 0.04},
        "shard_starts": ["thinker.model.layers.1.mlp.experts.4.gate_proj.weight"],
        "cases": {"text": case(random_ids(7, 21, 105), 4)},
    },
    "e": {
        "config": config_e,
        "files": write_files_e,
        "seed": 50,
        "scales": {"embed": 1.0, "branch": 1.0},
        "shard_starts": ["thinker.model.layers.2.mlp.experts.4.gate_proj.weight"],
        "bfloat16": ("audio_two", "image", "video", "av", "omni"),
        "cases": {
            "audio": asked(4, of_file("audio", "chirp.wav"), {"type": "text", "text": "Up?"}),
            "audio_whole": asked(4, of_file("audio", "burst.wav"), {"type": "text", "text": "Loud?"}),
            "audio_white": asked(4, of_file("audio", "white.wav"), {"type": "text", "text": "Sea?"}),
            "audio_tone": asked(4, of_file("audio", "tone.wav"), {"type": "text", "text": "Hum?"}),
            "audio_behind": asked(4, {"type": "text", "text": "What is"}, of_file("audio", "noise.wav")),
            "audio_alone": asked(4, of_file("audio", "noise.wav"), {"type": "text", "text": ""}),
            "audio_short": mix(11, 4, text(3), audio(63), text(2)),
            "audio_two": mix(12, 4, text(3), audio(17), text(2), audio(223), text(2)),
            "image": asked(4, of_file("image", "square.png"), {"type": "text", "text": "Or"}, of_file("image", "wide.png"),
                           {"type": "text", "text": "?"}),
            "image_turns": said(4, {"role": "user", "content": (of_file("image", "square.png"), {"type": "text", "text": "Who?"})},
                                {"role": "assistant", "content": "Nobody."},
                                {"role": "user", "content": (of_file("image", "wide.png"), {"type": "text", "text": "And A?"})}),
            "film": asked(4, of_file("video", "film.mkv"), {"type": "text", "text": "Where to?"}),
            "video": mix(13, 4, text(3), video(3, 2, 4, 2), text(2), video(2, 4, 2, 3), text(2)),
            "av": mix(14, 4, text(3), video(2, 4, 2, 3.25, 123), text(3)),
            "omni": mix(15, 6, text(3), audio(109), text(1), image(2, 6), text(2), video(2, 4, 2, 1), text(4)),
            "mixed": mix(16, 5, video(1, 2, 4, 7), text(2), image(2, 2), audio(20), image(4, 2), text(1), video(2, 2, 2, 4),
                         audio(34), text(1)),
            "tall": mix(17, 6, text(3), video(1, 14, 2, 2, 20)),
        },
    },
    "f": {
        "config": config_f,
        "files": write_files_e,
        "seed": 60,
        "scales": {"embed": 1.0, "branch": 1.0, "wav": 0.15},
        # Answers end, as they would not with a row like the others.
        "doubled": ("thinker.lm_head.weight", ids_e()["im_end_token_id"]),
        "shard_starts": [
            "thinker.model.layers.1.mlp.experts.5.gate_proj.weight",
            "talker.model.layers.1.mlp.experts.2.up_proj.weight",
        ],
        "bfloat16": ("speak", "speak_media", "speak_short", "codes"),
        "cases": {
            "speak": spoken(after_talk(9, "2+2"), 20, with_experts=True),
            "speak_stop": spoken(after_talk(9, "To."), 20),
            "speak_cut": spoken(after_talk(9, "Fire?"), 6),
            "speak_voice": spoken(after_talk(9, "2+2"), 6, "Chelsie"),
            "speak_penalty": spoken(said(6, {"role": "user", "content": "How?"}), 10),
            "speak_short": spoken(said(9, {"role": "user", "content": "The"}), 8),
            "speak_least": spoken(said(2, {"role": "user", "content": "Hm"}), 2),
            "speak_media": spoken(told(
                ids_e(), 164, 6, ("system", text(3)), ("user", text(2), image(2, 4), audio(63), text(1)), ("assistant", text(4)),
                ("user", video(2, 4, 2, 3), text(3))), 8),
            "speak_shifted": spoken(told(
                ids_e(), 62, 4, ("system", text(2), image(2, 6)), ("user", text(1), image(4, 2), text(3))), 5),
            "speak_av": spoken(told(ids_e(), 63, 4, ("user", text(2), video(2, 4, 2, 3.25, 123), text(2))), 5),
            "speak_av_image": spoken(told(
                ids_e(), 81, 4, ("user", text(2), video(2, 4, 2, 3.25, 123), text(1), image(2, 4), text(2))), 5),
            "codes": coded(65, 13),
            "codes_windows": coded(66, 330),
            "codes_quiet": quiet(67, 13),
        },
    },
}


def write_checkpoint(folder, spec):
    layout.write_config(folder, spec["config"]())
    tensors = randomweights.draw_all(folder, spec["seed"], **spec["scales"])
    if "doubled" in spec:
        name, row = spec["doubled"]
        tensors[name][row] *= 2
    layout.write_shards(folder, tensors, spec["shard_starts"])
    if "files" in spec:
        spec["files"](Path(folder))


def inputs_of(model, spec, one):
    """(the `in.*` tensors of a case, what its metadata says of text and media)."""
    if "inputs" in one:
        return one["inputs"], {}
    if "quiet" in one:
        return {"in.codes": quiet_codes(spec, *one["quiet"])}, {}
    if "parts" in one:
        return mixes.inputs(mixes.Prompt(one["parts"], spec["config"]()["thinker_config"]), one["seed"]), {}
    place = ROOT / "tests" / "golden" / "any"  # a folder beside `front`, wherever the goldens are written
    messages = request.with_paths(one["messages"], lambda path: os.path.normpath(place / path))
    arguments = ["--model", str(model), "--messages", json.dumps(messages), "--out", str(place / "golden")]
    return request.inputs_of(golden.parse_arguments(arguments))


def cases_of(spec, dtype):
    """Cases with media are large for their inputs; in bfloat16 those are run that the spec names."""
    named = spec.get("bfloat16", spec["cases"]) if dtype == "bfloat16" else spec["cases"]
    return [(title, spec["cases"][title]) for title in named]


def spoken_by(one):
    return one["generate"], False, one["steps"], one["speaker"]


# What media of a case are moved by, relatively, and how far its taps may move for it: a case that magnifies more would
# accuse two correct implementations of each other.
NUDGE, MOVED = 1e-6, 1.5e-5


def check_condition(model, inputs, kept, one, title):
    source = np.random.default_rng(0)
    moved = {name: (array * (1 + NUDGE * source.standard_normal(array.shape))).astype(np.float32) if name in MEDIA else array
             for name, array in inputs.items()}
    made = original.trace(model, moved, "float32", *(spoken_by(one) if "steps" in one else ()))
    found = {name: relative_l2(array, kept[name]) for name, array in made.items()
             if array.dtype.kind == "f" and not name.endswith(".weights")}
    worst = max(found, key=found.get)
    if found[worst] > MOVED:
        raise ValueError(f"{title}: {worst} moves by {found[worst]:.1e}")


# How far the code that is chosen must be ahead of the next, in deviations of the logits: two correct implementations lie
# some 1e-6 apart.
LEAD = 1e-4


def check_lead(model, inputs, one, title):
    with scores.keep_scores(model) as kept:
        original.trace(model, inputs, "float32", *spoken_by(one))
    for name, steps in kept.items():
        for step, (logits, found) in enumerate(steps):
            first, second = found[0].topk(2).values
            if first - second < LEAD * logits.std():
                raise ValueError(f"{title}: step {step} of {name} chooses by {first - second:.1e}")


def write_goldens(folder, name, spec):
    identity = tracefile.identity(folder / name)
    for dtype, suffix in (("float32", "f32"), ("bfloat16", "bf16")):
        out = folder / f"{name}-{suffix}"
        out.mkdir(parents=True, exist_ok=True)
        model = original.load(folder / name, dtype)
        for title, one in cases_of(spec, dtype):
            inputs, metadata = inputs_of(folder / name, spec, one)
            made = golden.make(model, folder / name, inputs, dtype, title, one["generate"], out / f"{title}.safetensors",
                               metadata, one["with_experts"], identity, one.get("steps", 0), one.get("speaker", "ethan"))
            if dtype == "float32" and not MEDIA.isdisjoint(inputs):
                check_condition(model, inputs, made, one, f"{name}/{title}")
            if dtype == "float32" and "steps" in one:
                check_lead(model, inputs, one, f"{name}/{title}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(CHECKPOINTS))
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden")
    options = parser.parse_args()
    for name, spec in CHECKPOINTS.items():
        if options.only in (None, name):
            write_checkpoint(options.out / name, spec)
            write_goldens(options.out, name, spec)


if __name__ == "__main__":
    main()
