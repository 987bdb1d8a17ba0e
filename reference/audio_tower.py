#!/usr/bin/env python3
"""Writes the goldens of tests/golden/audio_tower: the audio tower of checkpoint `c`, run alone on clips of awkward lengths.

    audio_tower.py [--out FOLDER]

A case is a call with one or several clips; its name is their lengths in frames. Goldens hold `in.audio_feature_lengths`,
`in.n_window_infer` where it is not the checkpoint's, and the tower's taps, but no frames, which would be many times
larger: `make_frames` says what they are, and tests/support/audio_towers.c makes the same. They are bf16 numbers, the same
in both dtypes.
"""

import numpy as np
import torch

import alone
import original
from bits import relative_l2

CHECKPOINT, OUT = alone.GOLDEN / "c", alone.GOLDEN / "audio_tower"
# Around steps, chunks (100 frames) and windows (800); clips that are filled up to the longer one's length, or to a full
# chunk's: what is behind 33 frames reaches their last steps, as behind every length that a convolution finds odd.
CASES = [[1], [8], [9], [99], [100], [101], [250], [60, 33], [33, 250], [900], [30, 1, 830], [1100]]
# Windows of another length than the checkpoint's, by case.
WINDOWS = {"1100": 1600}
N_MEL = 128


def make_frames(count):
    """[N_MEL, count]: a hash of frame and bin, between -127/64 and 127/64."""
    numbers = np.arange(count, dtype=np.uint32)[None] * np.uint32(N_MEL) + np.arange(N_MEL, dtype=np.uint32)[:, None]
    numbers = numbers * np.uint32(2654435761)
    numbers = (numbers ^ numbers >> np.uint32(15)) * np.uint32(2246822519)
    return (((numbers >> np.uint32(16)) % np.uint32(255)).astype(np.float32) - 127) / 64


@torch.no_grad()
def trace(model, lengths, windows=None):
    """The `tap.*` tensors of the tower, run on clips of these lengths; `windows` in frames, None: the checkpoint's."""
    tower = model.thinker.model.audio_tower
    listener = original.Listener(model)
    listener.listen_below(tower, "thinker.model.audio_tower")
    listener.handles.append(tower.register_forward_hook(listener.record_audio))
    tower.n_window_infer = windows or tower.config.n_window_infer
    tower(torch.from_numpy(make_frames(sum(lengths))), feature_lens=torch.tensor(lengths))
    listener.__exit__()
    return listener.taps


def title(lengths):
    return "_".join(str(length) for length in lengths)


def make(model, lengths):
    inputs, windows = {"in.audio_feature_lengths": np.array(lengths, np.int64)}, WINDOWS.get(title(lengths))
    if windows:
        inputs["in.n_window_infer"] = np.array([windows], np.int64)
    return {**inputs, **trace(model, lengths, windows)}


def find_faults(model):
    """What the goldens would not show, by the float32 run; nothing if they are worth keeping."""
    faults, name = [], "tap.thinker.audio_tower"
    alone = trace(model, [33])[name]
    beside = trace(model, [33, 250])[name][: len(alone)]
    if relative_l2(alone, beside) < 0.02:
        faults.append(f"filling up moves a short clip by {relative_l2(alone, beside):.1e} only")
    windowed, whole = trace(model, [900])[name], trace(model, [900], 80000)[name]
    if relative_l2(whole, windowed) < 0.02:
        faults.append(f"windows move a long clip by {relative_l2(whole, windowed):.1e} only")
    return faults


def make_all(model):
    return {title(lengths): make(model, lengths) for lengths in CASES}


def write_all(out):
    for dtype in alone.SUFFIXES:
        model = original.load(CHECKPOINT, dtype)
        if dtype == "float32":
            alone.refuse(find_faults(model))
        alone.write(out, CHECKPOINT, dtype, make_all(model), "audio tower ")


def check(report):
    """Runs the original again on what the script says, and compares with what is kept."""
    for dtype in alone.SUFFIXES:
        alone.check(report, OUT, CHECKPOINT, dtype, make_all(original.load(CHECKPOINT, dtype)))


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
