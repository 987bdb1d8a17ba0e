#!/usr/bin/env python3
"""Writes a checkpoint with the text model's released dimensions, cut to a few layers, of cheap random weights.

    released.py FOLDER [--layers N] [--experts N] [--towers N] [--talker N] [--full]

One block of normal values is drawn; every tensor takes its own stretch of it, in a size that keeps activations finite
and lets every branch carry signal. Norms are near one. The towers are tiny, or with --towers of the released dimensions
and N layers each; with --talker there is speech, the talker cut to N layers. Of the experts only those whose id is a
multiple of 16, and of embedding and head only the first 8,192 rows, are written; the rest are holes of the files,
which read as zeros: six layers of 8.7 GB take 0.8 GB of disk. With --full nothing is a hole.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch

import layout
import tiny
import tracefile

BLOCK = 1 << 25
VOCAB = 151936
ROWS = 8192


def tower_configs(n_tower):
    """Both towers as released but for their number of layers; tiny ones if that is 0."""
    if n_tower:
        audio = layout.audio_config(
            d_model=1280, encoder_layers=n_tower, encoder_attention_heads=20, encoder_ffn_dim=5120,
            downsample_hidden_size=480, output_dim=2048,
        )
        vision = layout.vision_config(
            depth=n_tower, hidden_size=1152, num_heads=16, intermediate_size=4304, out_hidden_size=2048,
            deepstack_visual_indexes=list(range(n_tower))[:3],
        )
        return audio, vision
    audio = layout.audio_config(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=24, downsample_hidden_size=4,
        output_dim=2048,
    )
    vision = layout.vision_config(
        depth=1, hidden_size=16, num_heads=2, intermediate_size=20, out_hidden_size=2048, num_position_embeddings=100,
        deepstack_visual_indexes=[],
    )
    return audio, vision


def speech_configs(ids, n_layer, n_talker):
    """Talker and code2wav as released but for the talker's layers and that it listens at the thinker's last but one."""
    codec = dict(
        codec_pad_id=2148, codec_bos_id=2149, codec_eos_token_id=2150, codec_nothink_id=2155, codec_think_bos_id=2156,
        codec_think_eos_id=2157, speaker_id={"chelsie": 2301, "ethan": 2302, "aiden": 2303},
    )
    text = layout.text_config(
        "published", 1000000.0, [24, 20, 20], vocab_size=3072, hidden_size=1024, intermediate_size=2048,
        num_hidden_layers=n_talker, num_attention_heads=16, num_key_value_heads=2, head_dim=128, moe_intermediate_size=384,
        shared_expert_intermediate_size=768, num_experts=128, num_experts_per_tok=6,
    )
    predictor = layout.predictor_config(
        "published", 1000000.0, vocab_size=2048, hidden_size=1024, intermediate_size=3072, num_hidden_layers=5,
        num_attention_heads=16, num_key_value_heads=8, head_dim=128,
    )
    sound = layout.code2wav_config(
        "published", codebook_size=2048, hidden_size=1024, num_hidden_layers=8, num_attention_heads=16,
        num_key_value_heads=16, intermediate_size=3072, decoder_dim=1536,
    )
    return layout.talker_config(ids, codec, 2048, n_layer - 1, text, predictor), sound


def config(n_layer, n_expert=128, n_tower=0, n_talker=0):
    """The text model as released; layouts of special ids as in the tiny checkpoints."""
    ids = tiny.special_ids(VOCAB, tiny.ROOT_IDS)
    text = layout.text_config(
        "published", 1000000.0, [24, 20, 20], vocab_size=VOCAB, hidden_size=2048, intermediate_size=768,
        num_hidden_layers=n_layer, num_attention_heads=32, num_key_value_heads=4, head_dim=128,
        moe_intermediate_size=768, num_experts=n_expert, num_experts_per_tok=8,
    )
    audio, vision = tower_configs(n_tower)
    speech = speech_configs(ids, n_layer, n_talker) if n_talker else ()
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision), *speech)


def text_tensors(n_layer, n_expert=128):
    """(name, shape, mean, standard deviation) in the order of the network."""
    d, heads, groups, width, d_ff = 2048, 32, 4, 128, 768
    yield "thinker.model.embed_tokens.weight", (VOCAB, d), 0, 1
    for number in range(n_layer):
        layer = f"thinker.model.layers.{number}."
        yield layer + "input_layernorm.weight", (d,), 1, 0.2
        for name, rows, columns in (("q", heads * width, d), ("k", groups * width, d), ("v", groups * width, d),
                                    ("o", d, heads * width)):
            yield f"{layer}self_attn.{name}_proj.weight", (rows, columns), 0, columns**-0.5
        for name in ("q", "k"):
            yield f"{layer}self_attn.{name}_norm.weight", (width,), 1.4, 0.2
        yield layer + "post_attention_layernorm.weight", (d,), 1, 0.2
        yield layer + "mlp.gate.weight", (n_expert, d), 0, 2 * d**-0.5
        for expert in range(n_expert):
            for name in ("gate", "up"):
                yield f"{layer}mlp.experts.{expert}.{name}_proj.weight", (d_ff, d), 0, 1.2 * d**-0.5
            yield f"{layer}mlp.experts.{expert}.down_proj.weight", (d, d_ff), 0, 2.6 * d_ff**-0.5
    yield "thinker.model.norm.weight", (d,), 1, 0.2
    yield "thinker.lm_head.weight", (VOCAB, d), 0, 3 * d**-0.5


def stretch(block, number, count):
    """`count` values from a place of the block's that goes with the tensor's number, around its end as needed."""
    begin = number * 7919 * 4099 % len(block)
    while count:
        part = block[begin : begin + count]
        yield part
        count, begin = count - len(part), 0


def written_rows(name, shape, full):
    """How many rows of a tensor are written, the rest being a hole."""
    expert = re.search(r"\.experts\.(\d+)\.", name)
    if full or not expert:
        return min(shape[0], ROWS) if shape[0] == VOCAB and not full else shape[0]
    return shape[0] if int(expert[1]) % 16 == 0 else 0


def write_shard(path, tensors, blocks, full):
    """bfloat16, one stretch after the other: never more than the blocks in memory."""
    sizes = [(name, "BF16", shape, 2 * int(np.prod(shape))) for name, shape, _, _ in tensors]
    with open(path, "wb") as file:
        file.write(tracefile.encode_header(sizes, {"format": "pt"}))
        for number, (name, shape, mean, deviation) in enumerate(tensors):
            end = file.tell() + 2 * int(np.prod(shape))
            if (mean, deviation) not in blocks:
                length = 1 << 12 if mean else BLOCK
                blocks[mean, deviation] = (blocks[0, 1][:length].float() * deviation + mean).to(torch.bfloat16)
            count = int(np.prod(shape[1:])) * written_rows(name, shape, full)
            for part in stretch(blocks[mean, deviation], number, count):
                file.write(part.view(torch.int16).numpy().data)
            file.seek(end)
        file.truncate()
    return sizes


def other_tensors(folder):
    """What towers and speech of this config need, which a whole model wants to find; from the original's own names."""
    from transformers import Qwen3OmniMoeConfig
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modules

    root = Qwen3OmniMoeConfig.from_pretrained(folder)
    kinds = {
        "thinker.audio_tower": (modules.Qwen3OmniMoeAudioEncoder, root.thinker_config.audio_config),
        "thinker.visual": (modules.Qwen3OmniMoeVisionEncoder, root.thinker_config.vision_config),
    }
    if root.enable_audio_output:
        kinds["talker"] = (modules.Qwen3OmniMoeTalkerForConditionalGeneration, root.talker_config)
        kinds["code2wav"] = (modules.Qwen3OmniMoeCode2Wav, root.code2wav_config)
    for name, (kind, kind_config) in kinds.items():
        with torch.device("meta"):
            part = kind._from_config(kind_config)
        for key, tensor in part.state_dict().items():
            for published, shape in published_parts(key, tuple(tensor.shape)):
                yield f"{name}.{published}", shape, *size_of(published, shape)


def published_parts(key, shape):
    """(name, shape) of what the original keeps as one tensor: experts are stored by themselves, gate and up apart."""
    stem, _, kind = key.rpartition(".")
    if kind == "gate_up_proj":
        for expert in range(shape[0]):
            for half in ("gate_proj", "up_proj"):
                yield f"{stem}.{expert}.{half}.weight", (shape[1] // 2, shape[2])
    elif kind == "down_proj":
        for expert in range(shape[0]):
            yield f"{stem}.{expert}.down_proj.weight", shape[1:]
    else:
        yield key, shape


def size_of(key, shape):
    """(mean, standard deviation) of a tensor by what it is. Few are distinct, for each takes a block: the deviation that keeps
    a product's size is rounded to a power of two."""
    if re.search(r"(norm\d?|ln_q|ln_post)\.weight$", key):
        return 1, 0.2
    if key.endswith("bias") or len(shape) < 2:
        return 0, 0.1
    return 0, 2.0 ** round(np.log2(0.3 if "pos_embed" in key else np.prod(shape[1:]) ** -0.5))


def write(folder, n_layer, n_expert=128, full=False, n_tower=0, n_talker=0):
    folder = Path(folder)
    layout.write_config(folder, config(n_layer, n_expert, n_tower, n_talker))
    values = np.random.Generator(np.random.PCG64(40)).standard_normal(BLOCK, dtype=np.float32)
    blocks = {(0, 1): torch.from_numpy(values).to(torch.bfloat16)}  # by mean and standard deviation
    tensors = [*text_tensors(n_layer, n_expert), *other_tensors(folder)]
    per_shard = -(-len(tensors) // max(n_layer, 1))
    groups = [tensors[begin : begin + per_shard] for begin in range(0, len(tensors), per_shard)]
    index = {}
    for number, group in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        index.update(dict.fromkeys((entry[0] for entry in write_shard(folder / file, group, blocks, full)), file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--experts", type=int, default=128)
    parser.add_argument("--towers", type=int, default=0)
    parser.add_argument("--talker", type=int, default=0)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    write(options.folder, options.layers, options.experts, options.full, options.towers, options.talker)


if __name__ == "__main__":
    main()
