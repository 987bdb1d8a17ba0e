#!/usr/bin/env python3
"""Plants the defects of ears and eyes in the original and measures how far it moves from its own goldens.

    media_mutations.py [--out FILE] [NAME...]

As mutations.py does for the text model. A defect of a tower or of the joining replaces a part of the original while a run
lasts; one before the network replaces a part of its processors while a golden's media are prepared again. The first tap or
input that moves is named, and how far; of an input also what the original makes of it, which may be a refusal. The numbers
go to tests/mutation/original_moves_media.json.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import original  # before transformers, whose loudness it sets

import torch
import torch.nn.functional as F
import transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe as modeling
from transformers import Qwen3OmniMoeConfig
from transformers.audio_utils import mel_filter_bank
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
from transformers.models.qwen3_omni_moe import processing_qwen3_omni_moe as processing

import media
import prompt
import request
import tracefile
from mutations import ROOT, has_moved, in_model_order, measure_tap, relative_l2, replaced, rounded

GENERATED, LOGITS = "tap.thinker.generated", "tap.thinker.lm_head"
OUT = ROOT / "tests" / "mutation" / "original_moves_media.json"
GOLDEN = ROOT / "tests" / "golden"


def audio_of(model):
    return model.thinker.model.audio_tower


def visual_of(model):
    return model.thinker.model.visual


# ---- audio tower ----


def without_windows(_model):
    """Every clip is one window, as it is where only the fastest attention honours them."""
    def whole(_chunks, lengths, _infer, n_window, kwargs=None):
        rows = modeling._get_feat_extract_output_lengths(lengths, n_window)
        return F.pad(rows, (1, 0)).cumsum(-1, dtype=torch.int32)

    return replaced((modeling, "get_audio_cu_seqlens", whole))


class RunningPositions(torch.nn.Module):
    """Positions that go on from chunk to chunk."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    @property
    def positional_embedding(self):
        return self

    def __getitem__(self, index):
        self.n_row = index[0].stop
        return self

    def unsqueeze(self, _axis):
        return self

    def to(self, dtype):
        return self.table[: len(self.table) // self.n_row * self.n_row].view(-1, self.n_row, self.table.shape[1]).to(dtype)


def with_running_positions(model):
    tower = audio_of(model)
    positions = RunningPositions(tower.positional_embedding.positional_embedding)
    chunk_and_pad = modeling.chunk_and_pad_features

    def counted(*arguments, **keywords):
        padded, lengths = chunk_and_pad(*arguments, **keywords)
        n_row = int(modeling._get_feat_extract_output_lengths(lengths, tower.n_window).max())
        positions.table = tower_table[: n_row * len(lengths)]
        return padded, lengths

    tower_table = positions.table
    return replaced((tower, "positional_embedding", positions), (modeling, "chunk_and_pad_features", counted))


# ---- activations ----


class Gelu(torch.nn.Module):
    def __init__(self, approximate):
        super().__init__()
        self.approximate = approximate

    def forward(self, x):
        return F.gelu(x, approximate=self.approximate)


class OtherFunctions:
    """torch.nn.functional with another gelu."""

    def __getattr__(self, name):
        return getattr(F, name)

    @staticmethod
    def gelu(x):
        return torch.nn.functional.gelu(x, approximate="tanh")


def with_tanh_gelu(model):
    """Wherever the original has the exact one: the convolutions and layers of the audio tower, and all mergers."""
    tower, gelu = audio_of(model), Gelu("tanh")
    mergers = (visual_of(model).merger, *visual_of(model).merger_list)
    return replaced((modeling, "F", OtherFunctions()), (tower, "act", gelu),
                    *((layer, "activation_fn", gelu) for layer in tower.layers),
                    *((merger.mlp, "1", gelu) for merger in mergers))


def with_erf_gelu(model):
    return replaced(*((block.mlp, "act_fn", Gelu("none")) for block in visual_of(model).blocks))


# ---- vision tower ----


def with_late_merger_norm(model):
    """Four patches normalised as one row, where each is normalised by itself."""
    merger = visual_of(model).merger

    def norm(hidden):
        wide, norm = merger.hidden_size, merger.ln_q
        weight, bias = (value.repeat(wide // len(value)) for value in (norm.weight, norm.bias))
        return F.layer_norm(hidden.view(-1, wide), (wide,), weight, bias, norm.eps).view(hidden.shape)

    return replaced((merger.ln_q, "forward", norm))


def with_early_merger_norm(model):
    """Each patch normalised by itself, where DeepStack's mergers normalise four as one row."""
    def norm_of(norm, width):
        def forward(rows):
            patches = F.layer_norm(rows.view(-1, width), (width,), None, None, norm.eps)
            return patches.view(rows.shape) * norm.weight + norm.bias

        return norm, "forward", forward

    visual = visual_of(model)
    return replaced(*(norm_of(merger.ln_q, visual.config.hidden_size) for merger in visual.merger_list))


def with_turned_rotation(model):
    rotary = visual_of(model).rotary_pos_emb
    forward = rotary.forward
    return replaced((rotary, "forward", lambda x, positions: forward(x, positions.flip(1))))


# ---- joining ----


def without_features(_model):
    return replaced((modeling.Qwen3OmniMoeThinkerTextModel, "_deepstack_process", lambda _model, hidden, *_: hidden))


def with_late_features(model):
    """Each DeepStack feature one layer too late."""
    text = model.thinker.model.language_model
    forward = text.forward

    def late(*arguments, deepstack_visual_embeds=None, **keywords):
        features = deepstack_visual_embeds and [torch.zeros_like(deepstack_visual_embeds[0]), *deepstack_visual_embeds]
        return forward(*arguments, deepstack_visual_embeds=features, **keywords)

    return replaced((text, "forward", late))


def with_turned_positions(model):
    """Height and width exchanged in the thinker's positions."""
    place = model.thinker.get_llm_pos_ids_for_vision  # of both, which have the same settings

    def turned(*arguments):
        return place(*arguments)[[0, 2, 1]]

    return replaced(*((part, "get_llm_pos_ids_for_vision", turned) for part in (model.thinker, model.thinker.model)))


def counting_tokens(model):
    """A generated token's position is the number of tokens before it."""
    update = model.thinker._update_model_kwargs_for_generation

    def counted(*arguments, **keywords):
        made = update(*arguments, **keywords)
        made["position_ids"][..., -1] = made["position_ids"].shape[-1] - 1
        return made

    return replaced((model.thinker, "_update_model_kwargs_for_generation", counted))


# ---- before the network ----


def natural_logarithm(_front):
    return replaced((torch.Tensor, "log10", torch.Tensor.log))


def without_floor(_front):
    """Values far below the clip's loudest stay where they are."""
    return replaced((torch, "maximum", lambda values, _floor: values))


def one_sample_late(_front):
    stft = torch.stft
    return replaced((torch, "stft", lambda clip, *more, **kept: stft(clip.roll(-1, -1), *more, **kept)))


def with_symmetric_window(_front):
    window = torch.hann_window
    return replaced((torch, "hann_window", lambda size, **kept: window(size, periodic=False, **kept)))


def with_htk_bands(front):
    """Places equally spaced on the other scale of that name."""
    made = mel_filter_bank(num_frequency_bins=201, num_mel_filters=128, min_frequency=0.0, max_frequency=8000.0,
                           sampling_rate=16000, norm="slaney", mel_scale="htk")
    return replaced((front.extractor, "mel_filters", made))


def with_higher_floor(_front):
    """70 dB below the clip's loudest, where it is 80."""
    maximum = torch.maximum
    return replaced((torch, "maximum", lambda values, floor: maximum(values, floor + 1)))


def cubic(x):
    """The kernel of bicubic resampling, a = -0.5."""
    x = np.abs(x)
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def sampled(plane, axis, size):
    """Four taps a point, however far apart the points are."""
    n = plane.shape[axis]
    centre = (np.arange(size) + 0.5) * n / size - 0.5
    taps = np.floor(centre).astype(int)[:, None] + np.arange(-1, 3)
    weights = cubic(centre[:, None] - taps)
    rows = np.take(plane, np.clip(taps, 0, n - 1), axis)  # the taps follow the axis
    shape = [1] * rows.ndim
    shape[axis], shape[axis + 1] = weights.shape
    return (rows * weights.reshape(shape)).sum(axis + 1)


def without_antialias(made):
    def resize(image, size, resample, factor, **_):
        high, wide = smart_resize(*image.shape[-2:], factor, size.shortest_edge, size.longest_edge)
        plane = sampled(sampled(image.astype(np.float64), 2, wide), 1, high)
        return np.clip(np.rint(plane), 0, 255).astype(np.uint8)

    return replaced((made.images, "resize", resize))


def without_pairs(front):
    """Every frame a step of its own, repeated as an image is."""
    movie = front.movie
    return replaced((front, "movie", lambda frames: movie(np.repeat(frames, 2, axis=0))))


def rounding_to_zero(_front):
    """-1 // 2 is 0 in C: a clip of whole chunks seems to have one token more."""
    def counted(lengths, n_window=50):
        left = lengths % (2 * n_window)
        rows = np.trunc((left - 1) / 2).astype(int) + 1
        rows = np.trunc((np.trunc((rows - 1) / 2).astype(int) + 1 - 1) / 2).astype(int) + 1
        return rows + lengths // (2 * n_window) * 13

    return replaced((processing, "_get_feat_extract_output_lengths", counted))


@dataclass
class Defect:
    title: str
    golden: str
    plant: object  # of a model; before the network, of a Front
    before: bool = False  # the network
    generated: bool = False  # nothing of the prompt's pass moves


AUDIO, WHOLE, WHITE = "e-f32/audio", "e-f32/audio_whole", "e-f32/audio_white"
IMAGE, TALL = "e-f32/image", "e-f32/tall"
DEFECTS = {
    "no_windows": Defect("audio windows ignored", AUDIO, without_windows),
    "running_positions": Defect("chunk positions not restarted", AUDIO, with_running_positions),
    "no_features": Defect("DeepStack computed and not added", IMAGE, without_features),
    "late_features": Defect("DeepStack at the wrong layers", IMAGE, with_late_features),
    "late_merger_norm": Defect("merger norm after the patches are joined", IMAGE, with_late_merger_norm),
    "early_merger_norm": Defect("DeepStack merger norm before the patches are joined", IMAGE, with_early_merger_norm),
    "tanh_for_erf": Defect("tanh GELU for erf", "e-f32/omni", with_tanh_gelu),
    "erf_for_tanh": Defect("erf GELU for tanh", IMAGE, with_erf_gelu),
    "turned_positions": Defect("h and w exchanged in the thinker's positions", IMAGE, with_turned_positions),
    "turned_rotation": Defect("h and w exchanged in the vision tower's positions", IMAGE, with_turned_rotation),
    "counted_positions": Defect("decoding positions counted from the number of tokens", TALL, counting_tokens, generated=True),
    "unpaired_frames": Defect("frames not paired", "e-f32/film", without_pairs, True),
    "natural_logarithm": Defect("mel logarithm of base e", WHOLE, natural_logarithm, True),
    "no_mel_floor": Defect("mel values not held at the floor", WHOLE, without_floor, True),
    "one_sample_late": Defect("sound heard one sample late", WHITE, one_sample_late, True),
    "symmetric_window": Defect("symmetric window", WHITE, with_symmetric_window, True),
    "htk_bands": Defect("mel bands of the HTK scale", WHITE, with_htk_bands, True),
    "higher_floor": Defect("mel floor at 70 dB", WHOLE, with_higher_floor, True),
    "no_antialias": Defect("image resized with antialias off", IMAGE, without_antialias, True),
    "rounding_to_zero": Defect("-1 // 2 taken as 0 in the token count", WHOLE, rounding_to_zero, True),
}


# ---- measuring ----


def inputs_of(kept):
    return {name: array for name, array in kept.items() if name.startswith("in.")}


def in_order(made):
    """Tower taps come before positions and vectors, which the text model is given."""
    return sorted(in_model_order(made), key=lambda name: not name.startswith(("tap.thinker.audio_tower", "tap.thinker.visual")))


def measure_run(defect, model, kept, metadata):
    """The record of a defect in the network: the first tap that moves, and the next token's logits."""
    generate = int(metadata["generate"]) if defect.generated else 0
    with defect.plant(model):
        made = original.trace(model, inputs_of(kept), metadata["dtype"], generate)
    moved = {name: measured for name in in_order(made) if name != GENERATED
             for measured in [measure_tap(made, kept, name)] if has_moved(measured)}
    if defect.generated:
        different = int((made[GENERATED] != kept[GENERATED]).sum())
        if moved or not different:
            raise ValueError(f"{defect.title}: expected other tokens after the same prompt")
        return {"golden": defect.golden, "tap": GENERATED, "different": different, "of": len(kept[GENERATED])}
    name = next(iter(moved))
    return {"golden": defect.golden, "tap": name, **moved[name], "output": {"tap": LOGITS, **moved[LOGITS]}}


def prepare(defect, metadata):
    """A golden's inputs, prepared again with the defect planted."""
    folder = (GOLDEN / defect.golden).parent
    checkpoint = GOLDEN / folder.name.split("-")[0]
    messages = request.with_paths(json.loads(metadata["messages"]), lambda path: folder / path)
    made = media.Media(media.Front(checkpoint), Qwen3OmniMoeConfig.from_pretrained(checkpoint))
    with defect.plant(made.front):
        for kind, path in prompt.media_of(messages):
            made.add(kind, path)
        ids = prompt.Tokenizer(checkpoint).encode(made.expand(prompt.render(messages)))
    return {"in.input_ids": np.array(ids, np.int64), **made.tensors()}


def measure_input(made, kept, name):
    """How far one input moved; of integers how many differ."""
    one, other = made[name], kept[name]
    if one.dtype.kind == "f":
        moved = one.tobytes() != other.tobytes()
        return {"rel_l2": relative_l2(one, other), "max_abs": float(np.abs(one - other).max())} if moved else {}
    different = abs(one.size - other.size) + sum(a != b for a, b in zip(one.ravel().tolist(), other.ravel().tolist()))
    return {"different": int(different), "of": int(other.size)} if different else {}


def measure_prepared(defect, model, kept, metadata):
    """The record of a defect before the network: the first input that moves, and what the original makes of them."""
    inputs = inputs_of(kept)
    made = prepare(defect, metadata)
    grids = [name for name in sorted(made) if name.endswith(("grid_thw", "lengths"))]
    names = [*grids, *(name for name in sorted(made) if name not in grids)]
    name, moved = next((name, moved) for name in names for moved in [measure_input(made, inputs, name)] if moved)
    record = {"golden": defect.golden, "tap": name, **moved}
    try:
        taps = original.trace(model, made, metadata["dtype"])
    except (ValueError, RuntimeError) as error:
        return {**record, "refused": str(error).splitlines()[0]}
    return {**record, "output": {"tap": LOGITS, "rel_l2": relative_l2(taps[LOGITS][-1], kept[LOGITS][-1])}}


def measure(name):
    defect = DEFECTS[name]
    kept, metadata = tracefile.read(GOLDEN / f"{defect.golden}.safetensors")
    model = original.load(GOLDEN / defect.golden.split("-")[0], metadata["dtype"], int(metadata["threads"]))
    record = (measure_prepared if defect.before else measure_run)(defect, model, kept, metadata)
    return {"title": defect.title, **record}


def measure_all(names=DEFECTS):
    versions = original.versions("any")
    kept = ("made_by", "transformers", "torch", "attn", "experts", "cpu_capability", "cpu_products")
    with torch.no_grad():
        moves = {name: rounded(measure(name)) for name in names}
    return {"original": {key: versions[key] for key in kept}, "defects": moves}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *DEFECTS])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    moves = measure_all(options.names or DEFECTS)
    for name, record in moves["defects"].items():
        print(name, json.dumps(record))
    if not options.names:
        options.out.write_text(json.dumps(moves, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
