#!/usr/bin/env python3
"""Writes tests/golden/long_speech: what checkpoint `f` speaks in 3,000 frames, which is four minutes at the released rate.

    long_speech.py [--out FOLDER]

No prompt of a tiny checkpoint is found that it speaks for so long, so the row of `talker.codec_head` that tells the end is
zero here; another code is always ahead of it. The prompt and all else are those of f-f32/speak.

  in.input_ids, tap.thinker.generated, tap.talker.codes [16, 3000], tap.code2wav.waveform.end: the last samples of one pass
"""

import torch

import alone
import original
import scores
import tracefile
from bits import compare_bits

CHECKPOINT, OUT = alone.GOLDEN / "f", alone.GOLDEN / "long_speech"
PROMPT = alone.GOLDEN / "f-f32" / "speak.safetensors"
STEPS, LAST = 3001, 2048  # the last step's code has no frame
# How far a code must be ahead of the next, in deviations of the logits: of 48,000 choices some are closer than those of
# short goldens.
LEAD = 5e-6


def load():
    model = original.load(CHECKPOINT, "float32")
    with torch.no_grad():
        model.talker.codec_head.weight[model.config.talker_config.codec_eos_token_id] = 0
    return model


def make(model):
    """(the tensors, what the golden is not good for)"""
    given, metadata = tracefile.read(PROMPT)
    inputs = {"in.input_ids": given["in.input_ids"]}
    with scores.keep_scores(model) as kept:
        taps = original.trace(model, inputs, "float32", int(metadata["generate"]), False, STEPS, metadata["speaker"])
    codes, wave = taps["tap.talker.codes"], taps["tap.code2wav.waveform"]
    faults = [] if codes.shape[1] == STEPS - 1 else [f"speech ended after {codes.shape[1]} frames"]
    for name, steps in kept.items():
        leads = [float((found[0].topk(2).values * torch.tensor([1, -1])).sum() / logits.std()) for logits, found in steps]
        print(f"{name}: {len(leads)} choices, the closest by {min(leads):.1e}")
        if min(leads) < LEAD:
            faults.append(f"step {leads.index(min(leads))} of {name} chooses by {min(leads):.1e}")
    distinct = len(set(map(tuple, codes.T.tolist())))
    if distinct < 0.9 * codes.shape[1]:
        faults.append(f"only {distinct} frames are distinct")
    return {**inputs, "tap.thinker.generated": taps["tap.thinker.generated"], "tap.talker.codes": codes,
            "tap.code2wav.waveform.end": wave[-LAST:]}, faults


def write_all(out):
    tensors, faults = make(load())
    alone.refuse(faults)
    out.mkdir(parents=True, exist_ok=True)
    _, given = tracefile.read(PROMPT)
    metadata = {**original.versions("float32"), **tracefile.identity(CHECKPOINT), "case": "long speech", "speak": str(STEPS),
                "generate": given["generate"], "speaker": given["speaker"], "zero": "the end's row of talker.codec_head"}
    tracefile.write(out / "speak.safetensors", tensors, metadata)


def check(report):
    kept, _ = tracefile.read(OUT / "speak.safetensors")
    tensors, faults = make(load())
    count, different, worst = compare_bits(tensors, kept)
    integers = [name for name in different if kept[name].dtype.kind == "i"]
    right = not faults and not integers and worst <= 1e-5
    report.line(right, f"long_speech: {count - len(different)} of {count} tensors bit-equal to the original's, worst {worst:.1e}" +
                "".join(f", {fault}" for fault in faults + integers))


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
