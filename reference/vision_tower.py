#!/usr/bin/env python3
"""Writes tests/golden/vision_tower: the vision tower alone, of tiny checkpoints that hold nothing else.

    vision_tower.py [--out FOLDER]

  odd/    blocks of 2 x 2 patches, three heads of 8, a table of 7 x 7 positions, DeepStack behind the first block and
          the last
  thirds/ blocks of 3 x 3, patches of one frame, one head of 12, a table of 4 x 4
  least/  blocks of one patch, so that a grid may be one patch high or wide; two heads of 4; no DeepStack

Each has config.json, model.safetensors, and f32/ and bf16/ with one golden per case: `in.pixel_values` (bf16 values,
the same in both dtypes), `in.image_grid_thw`, the tower's taps. places.safetensors holds what the original's functions
say of grids: for grid I `in.grid_thw.I` [3], `in.merge.I`, `in.side.I`, and `tap.` indices, weights, cosines and sines.
"""

import numpy as np
import torch
from transformers import Qwen3OmniMoeConfig
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modeling
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

import alone
import layout
import original
import randomweights
import tiny
import tracefile
from bits import relative_l2

OUT = alone.GOLDEN / "vision_tower"

MODELS = {
    "odd": dict(depth=4, hidden_size=24, num_heads=3, intermediate_size=37, patch_size=3, in_channels=3,
                temporal_patch_size=2, spatial_merge_size=2, num_position_embeddings=49,
                deepstack_visual_indexes=[0, 3]),
    "thirds": dict(depth=3, hidden_size=12, num_heads=1, intermediate_size=40, patch_size=5, in_channels=3,
                   temporal_patch_size=1, spatial_merge_size=3, num_position_embeddings=16,
                   deepstack_visual_indexes=[1]),
    "least": dict(depth=4, hidden_size=8, num_heads=2, intermediate_size=5, patch_size=1, in_channels=3,
                  temporal_patch_size=1, spatial_merge_size=1, num_position_embeddings=1, deepstack_visual_indexes=[]),
}
CASES = {
    "odd": {"block": [[1, 2, 2]], "image": [[1, 4, 6]], "strip": [[1, 2, 34]], "column": [[1, 26, 2]],
            "images": [[1, 4, 6], [1, 2, 2], [1, 10, 6], [1, 2, 8]], "video": [[3, 4, 4]],
            "videos": [[2, 4, 2], [3, 2, 6], [1, 6, 4]]},
    "thirds": {"images": [[1, 3, 3], [2, 6, 9], [1, 3, 12]]},
    "least": {"images": [[1, 1, 1], [1, 1, 9], [2, 5, 1], [1, 3, 2]]},
}
# (grid, merge, side, inverse frequencies): published sizes, a grid larger than the table, edges.
PLACES = [([1, 2, 2], 2, 48, 18), ([1, 4, 6], 2, 48, 18), ([1, 2, 34], 2, 48, 18), ([1, 30, 20], 2, 48, 3),
          ([1, 182, 4], 2, 48, 2), ([1, 2, 300], 2, 48, 2), ([1, 26, 28], 2, 11, 1), ([2, 48, 2], 2, 48, 1),
          ([1, 1, 1], 1, 48, 4), ([1, 1, 7], 1, 5, 1), ([1, 6, 9], 3, 1, 3)]


def config_of(name):
    config = tiny.config_d()
    vision = config["thinker_config"]["vision_config"]
    vision.update(MODELS[name], out_hidden_size=config["thinker_config"]["text_config"]["hidden_size"])
    return config


def shapes_of(folder):
    config = Qwen3OmniMoeConfig.from_pretrained(folder).thinker_config.vision_config
    tower = modeling.Qwen3OmniMoeVisionEncoder._from_config(config)
    return {f"thinker.visual.{name}": list(tensor.shape) for name, tensor in tower.state_dict().items()}


def write_checkpoint(folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    layout.write_config(folder, config_of(folder.name))
    scales = {"embed": 1.0, "branch": 1.0, "wav": 1.0}
    entries = []
    for name, shape in sorted(shapes_of(folder).items()):
        tensor = randomweights.draw(name, shape, seed, scales)
        entries.append((name, "BF16", shape, tensor.contiguous().view(torch.int16).numpy().reshape(-1).view(np.uint8).data))
    tracefile.write_raw(folder / "model.safetensors", entries, {"format": "pt"})


def load(folder, dtype):
    torch.set_num_threads(1)
    config = Qwen3OmniMoeConfig.from_pretrained(folder).thinker_config.vision_config
    tower = modeling.Qwen3OmniMoeVisionEncoder._from_config(config, attn_implementation="eager")
    header, start = tracefile.read_header(folder / "model.safetensors")
    data = (folder / "model.safetensors").read_bytes()[start:]
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            bits = np.frombuffer(data[begin:end], np.int16).copy()
            weights[name.removeprefix("thinker.visual.")] = (
                torch.from_numpy(bits).view(torch.bfloat16).reshape(entry["shape"]))
    tower.load_state_dict(weights)
    frequencies = tower.rotary_pos_emb.inv_freq
    tower = tower.to(original.DTYPES[dtype]).eval()
    tower.rotary_pos_emb.inv_freq = frequencies  # float32 in either dtype where the original loads itself
    return tower


def pixels(tower, grids, seed):
    config = tower.config
    width = config.in_channels * config.temporal_patch_size * config.patch_size**2
    values = np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (int(np.prod(grids, axis=1).sum()), width))
    return torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16).to(torch.float32).numpy()


@torch.no_grad()
def make(tower, case, grids, dtype):
    seed = 70 + sum(map(ord, case))
    inputs = {"in.pixel_values": pixels(tower, grids, seed), "in.image_grid_thw": np.array(grids, np.int64)}
    listener = original.Listener(None)
    listener.listen_below(tower, "thinker.visual")
    tower(torch.from_numpy(inputs["in.pixel_values"]).to(original.DTYPES[dtype]), torch.tensor(grids))
    listener.__exit__()
    return {**inputs, **listener.taps}


@torch.no_grad()
def places():
    result = {}
    for i, (grid, merge, side, n_freq) in enumerate(PLACES):
        grids = torch.tensor([grid])
        indices, weights = get_vision_interpolation_indices_and_weights(
            grids, num_grid_per_side=side, mode="bilinear", align_corners=True, spatial_merge_size=merge)
        config = Qwen3OmniMoeConfig().thinker_config.vision_config
        config.hidden_size, config.num_heads, config.num_attention_heads = 4 * n_freq, 1, 1
        rotary = modeling.Qwen3OmniMoeVisionRotaryEmbedding(config)
        cosines, sines = rotary(torch.zeros(1), get_vision_position_ids(grids, merge))
        result.update({f"in.grid_thw.{i}": np.array(grid), f"in.merge.{i}": np.array([merge]),
                       f"in.side.{i}": np.array([side]), f"tap.indices.{i}": indices.numpy(),
                       f"tap.weights.{i}": weights.numpy(), f"tap.cosines.{i}": cosines[:, :2 * n_freq].numpy(),
                       f"tap.sines.{i}": sines[:, :2 * n_freq].numpy()})
    return result


# ---- what the goldens are good for ----


@torch.no_grad()
def find_faults(folder, made):
    """What a golden would not show; none in one that is worth keeping."""
    faults = []
    tower = load(folder, "float32")
    grids = CASES[folder.name]["images"]
    golden = made["images"]
    n_block = tower.config.depth

    def moved(change, tap):
        other = load(folder, "float32")
        change(other)
        return relative_l2(make(other, "images", grids, "float32")[tap], golden[tap])

    last = f"tap.thinker.visual.blocks.{n_block - 1}"
    changes = {
        "positions": lambda t: t.pos_embed.weight.mul_(0),
        "angles": lambda t: t.rotary_pos_emb.inv_freq.mul_(0),
        "attention": lambda t: t.blocks[-1].attn.qkv.weight[: t.config.hidden_size].mul_(0),
        "mlp": lambda t: t.blocks[-1].mlp.linear_fc2.weight.mul_(0),
    }
    for what, change in changes.items():
        if moved(change, last) < 0.01:
            faults.append(f"{folder.name}: {what} move {last} by {moved(change, last):.1e} only")
    return faults


# ---- goldens ----


def make_all(folder, dtype):
    tower = load(folder, dtype)
    return {case: make(tower, case, grids, dtype) for case, grids in CASES[folder.name].items()}


def write_all(out):
    for seed, name in enumerate(MODELS, 80):
        folder = out / name
        write_checkpoint(folder, seed)
        for dtype in alone.SUFFIXES:
            made = make_all(folder, dtype)
            if dtype == "float32":
                alone.refuse(find_faults(folder, made))
            alone.write(folder, folder, dtype, made)
    tracefile.write(out / "places.safetensors", places(), original.versions("float32"))


def check(report):
    """Runs the original again on what the script says, and compares with what is kept."""
    for name in MODELS:
        for dtype in alone.SUFFIXES:
            alone.check(report, OUT / name, OUT / name, dtype, make_all(OUT / name, dtype))
    golden, metadata = tracefile.read(OUT / "places.safetensors")
    same, said = alone.judge(places(), golden, metadata, golden)
    report.line(same, f"vision_tower/places: {said}")


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
