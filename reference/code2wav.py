#!/usr/bin/env python3
"""Writes the goldens of tests/golden/code2wav: the vocoder of checkpoint `c`, run alone on arbitrary codes.

    code2wav.py [--out FOLDER]

  one        a frame, with every tap: the shortest there is
  five       five frames, with every tap
  long       90 frames, more than the window of 72: the transformer's output, and the last samples
  windows    eleven frames in windows of four behind a context of three, by the original's own chunked_decode
  published  310 frames in windows as the original takes them, 300 behind 25: the last samples, which begin before the
             boundary

`in.codes` [16, F]; `in.windows` [2]: new frames and context of a window. `NAME.end` holds the last samples of the tap NAME.
"""

import re

import numpy as np
import torch

import alone
import original
import tiny
from bits import relative_l2

CHECKPOINT, OUT = alone.GOLDEN / "c", alone.GOLDEN / "code2wav"
FRAMES = {"one": 1, "five": 5, "long": 90, "windows": 11, "published": 310}
WINDOWS = {"windows": (4, 3), "published": (300, 25)}
LAST = {"long": 2048, "published": 20000}
ISOLATED_BAR = 2e-6
TAPS = r"code2wav\.(upsample\.\d+\.\d+|decoder\.\d+)"


def codes_of(model, case):
    config = model.config.code2wav_config
    count = config.num_quantizers * FRAMES[case]
    return tiny.random_ids(60 + FRAMES[case], count, config.codebook_size).reshape(config.num_quantizers, -1)


def record_transformer(output):
    return {"": original.without_batch(original.plain(output.last_hidden_state))}


@torch.no_grad()
def trace(model, codes):
    """The `tap.*` tensors of one pass."""
    listener = original.Listener(model)
    for name, module in model.code2wav.named_modules(prefix="code2wav"):
        if re.fullmatch(TAPS, name):
            listener.listen(module, name, original.record_output)
    listener.listen(model.code2wav.pre_transformer, "code2wav.pre_transformer", record_transformer)
    wave = model.code2wav(torch.from_numpy(codes)[None])
    listener.__exit__()
    return {**listener.taps, "tap.code2wav.waveform": original.plain(wave).reshape(-1)}


@torch.no_grad()
def chunked(model, codes, windows):
    wave = model.code2wav.chunked_decode(torch.from_numpy(codes)[None], *windows)
    return {"tap.code2wav.waveform_chunked": original.plain(wave).reshape(-1)}


def cut(case, taps):
    """What is kept of a long case: the transformer's output, and the last samples."""
    if case not in LAST:
        return taps
    kept = {name: array for name, array in taps.items() if name.endswith("pre_transformer")}
    ends = {name + ".end": array[-LAST[case] :] for name, array in taps.items() if "waveform" in name}
    return {**kept, **ends}


def make(model, case):
    codes = codes_of(model, case)
    if case not in WINDOWS:
        return {"in.codes": codes, **cut(case, trace(model, codes))}
    windows = np.array(WINDOWS[case], np.int64)
    return {"in.codes": codes, "in.windows": windows, **cut(case, chunked(model, codes, WINDOWS[case]))}


def make_all(model):
    return {case: make(model, case) for case in FRAMES}


# ---- what the goldens are good for ----


class Changed:
    """Sets attributes of modules or functions while a `with` block lasts."""

    def __init__(self, *changes):
        self.changes = changes

    def __enter__(self):
        self.kept = [(where, name, getattr(where, name)) for where, name, _ in self.changes]
        for where, name, value in self.changes:
            setattr(where, name, value)

    def __exit__(self, *_):
        for where, name, value in self.kept:
            setattr(where, name, value)


def defects(model):
    """By name: (what it changes, the case and the tensor that must show it)."""
    wav, parts = model.code2wav, list(model.code2wav.modules())
    norms = [m for m in parts if type(m).__name__.endswith("RMSNorm")]
    snakes = [m for m in parts if type(m).__name__.endswith("SnakeBeta")]
    transposed = [m for m in parts if type(m).__name__.endswith("TransConvNet")]
    plain_snake = [(m, "forward", lambda x, m=m: x + torch.sin(x * m.alpha[:, None]) ** 2 / (m.beta[:, None] + 1e-9))
                   for m in snakes]
    return {
        "the window ignored": ([(wav.config, "sliding_window", 100000)], "long", "tap.code2wav.pre_transformer"),
        "a window of 73": ([(wav.config, "sliding_window", 73)], "long", "tap.code2wav.pre_transformer"),
        "epsilon 1e-6": ([(m, "variance_epsilon", 1e-6) for m in norms], "five", "tap.code2wav.pre_transformer"),
        "alpha and beta as they are": (plain_snake, "five", "tap.code2wav.waveform"),
        "transposed convolutions cut at their end only":
            ([(m, "right_pad", m.left_pad * 2) for m in transposed] + [(m, "left_pad", 0) for m in transposed], "five",
             "tap.code2wav.waveform"),
    }


def find_faults(model, made):
    """Defects that the goldens would not show, and a waveform that hides errors, by the float32 run."""
    faults, wave = [], made["five"]["tap.code2wav.waveform"]
    loud, clipped = float(np.sqrt((wave**2).mean())), float((np.abs(wave) >= 1).mean())
    if not 0.03 <= loud <= 0.5 or clipped > 0.01:
        faults.append(f"the waveform has an RMS of {loud:.2f}, {clipped:.1%} of it are clipped")
    for name, (changes, case, tap) in defects(model).items():
        with Changed(*changes):
            moved = relative_l2(trace(model, codes_of(model, case))[tap], made[case][tap])
        print(f"{name}: {tap} moves by {moved:.1e}")
        if moved < 5 * ISOLATED_BAR:
            faults.append(f"{name}: {tap} of {case} moves by {moved:.1e} only")
    return faults


# ---- goldens ----


def write_all(out):
    for dtype in alone.SUFFIXES:
        model = original.load(CHECKPOINT, dtype)
        made = make_all(model)
        if dtype == "float32":
            alone.refuse(find_faults(model, made))
        alone.write(out, CHECKPOINT, dtype, made, "code2wav ")


def check(report):
    """Runs the original again on what the script says, and compares with what is kept."""
    for dtype in alone.SUFFIXES:
        alone.check(report, OUT, CHECKPOINT, dtype, make_all(original.load(CHECKPOINT, dtype)))


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
