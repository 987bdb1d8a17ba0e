"""Checks of layerwise.py at the released dimensions, for check.py: its plan, its peak, and the bits of the whole model."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import tracefile
from check_layerwise import REFERENCE, ROOT, compare_files


def program(name, *options):
    """A fresh process; returns (exit code, what it printed)."""
    command = [sys.executable, REFERENCE / name, *options]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def printed(said, name):
    """The number of a line `name N`; 0 if there is none."""
    return next((int(line.split()[1]) for line in said.splitlines() if line.startswith(name + " ")), 0)


def measure(report, folder, dtype, bound):
    """The smallest bound is asked for, lies within `bound`, and is kept."""
    out = folder / f"six-{dtype}"
    options = ["--model", folder / "six", "--inputs", folder / "ids", "--dtype", dtype, "--generate", 3, "--out", out]
    refused, said = program("layerwise.py", *options, "--max-memory", "64MiB")
    smallest = int(said.partition("smallest that works is ")[2].partition("MiB")[0] or 0) << 20
    code, said = program("layerwise.py", *options, "--max-memory", smallest)
    peak = printed(said, "peak_rss_bytes")
    taps = tracefile.read(out)[0] if code == 0 else {}
    sound = all(np.isfinite(array).all() and array.any() for name, array in taps.items() if name.endswith((".mlp", "lm_head")))
    ok = refused == 5 and code == 0 and sound and 0.75 * smallest < peak <= smallest <= bound
    report.line(ok, f"released dimensions, 6 layers, {dtype}: peak {peak >> 20} MiB, planned {smallest >> 20} MiB, "
                    f"bound {bound >> 20} MiB, {len(taps)} tensors{'' if ok else ': NOT ' + said[-400:]}")


def verify_released(report, folder, dtype):
    """Tessera agrees with the original at these sizes too, in a quarter of the checkpoint's memory."""
    command = [ROOT / "build" / "tessera", "verify", "--model", folder / "six", "--golden", folder / f"six-{dtype}",
               "--memory", "2GiB", "--ledger", "off", "--json"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = json.loads(done.stdout) if done.stdout else {}
    worst = said.get("worst") or {}
    report.line(done.returncode == 0 and said.get("verdict") in ("agree", "equal"),
                f"released dimensions, 6 layers, {dtype}: tessera verify: {said.get('verdict')}, "
                f"{said.get('taps_compared')} taps, worst {worst.get('tap')} {worst.get('rel_l2')}")


def available_gib():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / (1 << 20)
    return 0


def compare_released(report, folder, dtype, n_expert):
    """The kernels torch chooses at these sizes are others than in tiny models."""
    import released

    model = folder / f"one-{n_expert}"
    released.write(model, 1, n_expert)
    options = ["--model", model, "--inputs", folder / "ids", "--dtype", dtype, "--generate", 2, "--experts"]
    for name in ("golden.py", "layerwise.py"):
        code, said = program(name, *options, "--out", folder / f"{dtype}-{name}")
        if code:
            report.line(False, f"released dimensions, {dtype}: {name}: {said[-400:]}")
            return
    count, different = compare_files(folder / f"{dtype}-layerwise.py", folder / f"{dtype}-golden.py", metadata=False)
    report.line(not different, f"released dimensions, 1 layer, {n_expert} experts, {dtype}: {count} tensors bit-equal to "
                               f"the whole model's {', '.join(different[:4])}")


# 30 s of sound, a picture of 640 x 480 and two steps of video: 390 + 300 + 112 tokens.
def senses_inputs(model):
    import mixes

    config = json.loads((model / "config.json").read_text())["thinker_config"]
    parts = [mixes.text(3), mixes.audio(3000), mixes.image(30, 40), mixes.video(2, 14, 16), mixes.text(3)]
    return mixes.inputs(mixes.Prompt(parts, config), 60)


def compare_whole(report, folder, what, model, inputs, dtype, needed, asked):
    """The plan is kept, and the bits are the whole model's, where `needed` GiB let it run."""
    out = folder / f"{inputs}-{dtype}"
    options = ["--model", model, "--inputs", folder / inputs, "--dtype", dtype, *asked]
    code, said = program("layerwise.py", *options, "--out", out)
    planned, peak = printed(said, "planned_bytes"), printed(said, "peak_rss_bytes")
    report.line(code == 0 and 0.6 * planned < peak <= planned,
                f"{what}, {dtype}: peak {peak >> 20} MiB, planned {planned >> 20} MiB"
                f"{'' if code == 0 else ': NOT ' + said[-400:]}")
    if available_gib() < needed:
        print(f"skipped - {what}, {dtype}: the whole model needs {needed} GiB to compare with")
        return
    program("golden.py", *options, "--out", folder / f"whole-{inputs}-{dtype}")
    count, different = compare_files(out, folder / f"whole-{inputs}-{dtype}", metadata=False)
    different += [f"{name} (empty or not finite)" for name, array in (tracefile.read(out)[0] if out.exists() else {}).items()
                  if name.startswith("tap.") and not (np.isfinite(array).all() and array.any())]
    report.line(not different, f"{what}, {dtype}: {count} tensors bit-equal to the whole model's "
                               f"{', '.join(different[:4])}".rstrip())


def check_senses(report, folder):
    """Towers of the released dimensions, two layers each."""
    import released

    model = folder / "senses"
    released.write(model, 1, 32, n_tower=2)
    tracefile.write(folder / "media", senses_inputs(model), {})
    for dtype in ("bfloat16", "float32"):
        compare_whole(report, folder, "released dimensions of the towers", model, "media", dtype, 6, ("--generate", 2))


# A question of twenty tokens and the beginning of an answer, in the ids of `released.config`.
def question(model):
    config = json.loads((model / "config.json").read_text())
    start, end, newline = config["im_start_token_id"], config["im_end_token_id"], 198
    return np.array([start, config["user_token_id"], newline, *range(300, 320), end, newline, start,
                     config["assistant_token_id"], newline], np.int64)


def check_speech(report, folder):
    """Talker of one layer, predictor and code2wav of the released dimensions."""
    import released

    model = folder / "speech"
    released.write(model, 2, 32, n_talker=1)
    tracefile.write(folder / "question", {"in.input_ids": question(model)}, {})
    for dtype, needed in (("bfloat16", 5), ("float32", 9)):
        compare_whole(report, folder, "released dimensions of speech", model, "question", dtype, needed,
                      ("--generate", 3, "--speak", 9))


def check_memory(report):
    """Released dimensions, six layers: fresh processes, their own VmHWM against the bound and against the plan."""
    import released

    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ROOT / "build")) as name:
        folder = Path(name)
        released.write(folder / "six", 6)
        tracefile.write(folder / "ids", {"in.input_ids": np.arange(64, dtype=np.int64) * 127}, {})
        for dtype, bound in (("bfloat16", 3), ("float32", 4)):
            measure(report, folder, dtype, bound << 30)
            verify_released(report, folder, dtype)
        check_senses(report, folder)
        check_speech(report, folder)
        # In float32 the whole model takes 8.8 GiB with 128 experts and 5.1 with 32; its matrices are of the same sizes.
        for dtype, n_expert, needed in (("bfloat16", 128, 5), ("float32", 32, 6)):
            if available_gib() > needed:
                compare_released(report, folder, dtype, n_expert)
            else:
                print(f"skipped - released dimensions, {dtype}: the whole model needs {needed} GiB to compare with")
