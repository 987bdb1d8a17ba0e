"""The published layout of a Qwen3-Omni checkpoint: config.json in either spelling, shards, index.

The sizes a small model may choose are arguments; what every release shares is written here once.
"""

import json
import re
from pathlib import Path

import numpy as np
import torch

import tracefile

SPECIAL_NAMES = (
    "audio_token_id image_token_id video_token_id audio_start_token_id audio_end_token_id vision_start_token_id "
    "vision_end_token_id"
).split()


def rope(spelling, theta, section=None):
    """The rotary settings: `rope_theta` + `rope_scaling` as published, or `rope_parameters`."""
    scaling = {"rope_type": "default"}
    if section:
        scaling.update(mrope_section=section, mrope_interleaved=True, interleaved=True)
    if spelling == "parameters":
        return {"rope_parameters": {"rope_theta": theta, **scaling}}
    return {"rope_theta": theta, **({"rope_scaling": scaling} if section else {})}


def text_config(spelling, theta, section, **sizes):
    return {
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "rms_norm_eps": 1e-06,
        "max_position_embeddings": 65536,
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": False,
        **sizes,
        **rope(spelling, theta, section),
    }


def audio_config(**sizes):
    return {
        "num_mel_bins": 128,
        "n_window": 50,
        "n_window_infer": 800,
        "max_source_positions": 1500,
        "conv_chunksize": 500,
        "activation_function": "gelu",
        "scale_embedding": False,
        "num_hidden_layers": sizes["encoder_layers"],
        **sizes,
    }


def vision_config(**sizes):
    return {
        "hidden_act": "gelu_pytorch_tanh",
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "in_channels": 3,
        "num_position_embeddings": 2304,
        **sizes,
    }


def thinker_config(ids, text, audio, vision):
    return {
        "model_type": "qwen3_omni_moe_thinker",
        "user_token_id": ids["user_token_id"],
        **{name: ids[name] for name in SPECIAL_NAMES},
        "position_id_per_seconds": 13,
        "seconds_per_chunk": 2,
        "text_config": text,
        "audio_config": audio,
        "vision_config": vision,
    }


def talker_config(ids, codec_ids, thinker_hidden, accept_layer, text, predictor):
    return {
        "accept_hidden_layer": accept_layer,
        "num_code_groups": 16,
        "thinker_hidden_size": thinker_hidden,
        "spatial_merge_size": 2,
        **{name: ids[name] for name in SPECIAL_NAMES},
        **codec_ids,
        "position_id_per_seconds": 13,
        "seconds_per_chunk": 2,
        "text_config": text,
        "code_predictor_config": predictor,
    }


def predictor_config(spelling, theta, **sizes):
    return {
        "num_code_groups": 16,
        "rms_norm_eps": 1e-06,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "attention_bias": False,
        **sizes,
        **rope(spelling, theta),
    }


def code2wav_config(spelling, theta=10000.0, **sizes):
    return {
        "num_quantizers": 16,
        "hidden_act": "silu",
        "sliding_window": 72,
        "rms_norm_eps": 1e-05,
        "layer_scale_initial_scale": 0.01,
        "upsample_rates": [8, 5, 4, 3],
        "upsampling_ratios": [2, 2],
        "max_position_embeddings": 8000,
        "attention_bias": False,
        **sizes,
        **rope(spelling, theta),
    }


def root_config(ids, thinker, talker=None, code2wav=None):
    """The whole config.json; without a talker it is a thinker-only checkpoint, as Thinking and Captioner are."""
    config = {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "enable_audio_output": talker is not None,
        **{name: ids[name] for name in ids if name not in SPECIAL_NAMES},
        "dtype": "bfloat16",
        "thinker_config": thinker,
    }
    if talker:
        config.update(talker_config=talker, code2wav_config=code2wav)
    return config


def natural(name):
    """Sorts layers.2 before layers.10, and the parts in the order thinker, talker, code2wav."""
    rank = {"thinker": 0, "talker": 1, "code2wav": 2}[name.split(".")[0]]
    return rank, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def bf16_bytes(tensor):
    return np.ascontiguousarray(tensor.to(torch.bfloat16).view(torch.int16).numpy()).tobytes()


def write_config(folder, config):
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_shards(folder, tensors, shard_starts):
    """Writes bf16 shards and their index; a new shard begins at each tensor named in `shard_starts`."""
    names = sorted(tensors, key=natural)
    groups = [[]]
    for name in names:
        if name in shard_starts:
            groups.append([])
        groups[-1].append(name)
    if len(groups) != len(shard_starts) + 1:
        raise ValueError("a tensor that should begin a shard does not exist")
    weight_map, total = {}, 0
    for number, group in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        entries = [(name, "BF16", tuple(tensors[name].shape), bf16_bytes(tensors[name])) for name in group]
        tracefile.write_raw(Path(folder) / file, entries, {"format": "pt"})
        weight_map.update(dict.fromkeys(group, file))
        total += sum(len(data) for _, _, _, data in entries)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(index, indent=0) + "\n")
