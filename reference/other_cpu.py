"""Judges what the original computes on this CPU by a golden that it made on a CPU of another kind.

torch and its libraries choose kernels by CPU, and sums in another order round otherwise. In float32 that stays within
the bars between correct implementations. In bfloat16 it does not: a value on the other side of the middle between two
numbers can turn a router's choice, and no distance from the golden bounds what follows. So a bfloat16 run is judged as
any implementation's is, by both sides of the bar of docs/NUMERICS.md:

- whole: as far from the original's float32 run as the golden is, by `tessera compare --truth`;
- isolated: every module fed the golden's own values, its output some bfloat16 steps from the golden's at the most.

What has no bar there – the experts chosen, tokens after the first that differs – is said. Speech in bfloat16 has none:
it follows the answer's tokens, and its codes follow each other; code2wav alone has the bar of other lone parts (alone.py).
"""

import functools
import json
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

import alone
import original
import tracefile
from bits import relative_l2

ROOT = Path(__file__).resolve().parent.parent
TESSERA = ROOT / "build" / "tessera"
PASSED = ("equal", "agrees", "not judged")
# Isolated, in steps of 2^-8: the worst row; of a tap of enough rows its relative L2, and how many elements may differ.
ROW_STEPS, TAP_STEPS, SHARE, ENOUGH_ROWS = 8, 0.75, 0.4, 8
SPEECH = ("tap.talker.", "tap.code2wav.")
ROUTER = (".logits", ".weights", ".indices")
# Of the CPU on which goldens were made that do not say it themselves.
UNSAID_PRODUCTS = "f3a6356bcff6753c"


def kind_of(metadata, capability=None):
    """What decides the bits: the instruction set torch says it uses, and what its libraries make of some products."""
    return metadata.get("cpu_capability", capability), metadata.get("cpu_products", UNSAID_PRODUCTS)


# ---- whole run ----


def compare(golden, made, metadata, truth):
    """What `tessera compare` finds, as an object; None if it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("golden", "made")]
        for path, tensors in zip(paths, (golden, made)):
            tracefile.write(path, tensors, metadata)
        command = [TESSERA, "compare", "--json", *paths, *(["--truth", truth] if truth else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode in (0, 1) else None


def judge_whole(golden, made, metadata, truth):
    """(whether it agrees, what is said of it)"""
    found = compare(golden, made, metadata, truth)
    if found is None:
        return False, "tessera compare refuses"
    said = f"{found['taps_equal']} of {found['taps_compared']} taps bit-equal"
    if not truth:
        said += f", worst {found['worst']['tap']}, relative L2 {found['worst']['rel_l2']:.1e}"
    elif found["ratio"]:
        said += f", distance to the float32 run {found['ratio']['mean']:.3f} of the golden's in the mean"
    turned = sum(layer["other"] for layer in found["routing"])
    said += f", rows that choose other experts: {turned}" if turned else ""
    tokens, kept = (side.get("tap.thinker.generated", np.zeros(0, np.int64)) for side in (made, golden))
    if not np.array_equal(tokens, kept):
        shared = np.argmin(np.append(tokens[: len(kept)] == kept[: len(tokens)], False))
        said += f", the first {shared} of {len(kept)} tokens the same"
    failed = [tap["tap"] for tap in found["taps"] if tap["outcome"] not in PASSED]
    said += f", failed: {', '.join(failed[:4])}" if failed else ""
    return found["verdict"] in ("equal", "agree"), said


# ---- module by module ----


def fed_output(output, values):
    """`values`, arrays by suffix, in the place of a module's own output."""
    parts = list(output) if isinstance(output, (tuple, list)) else [output]
    for index, suffix in enumerate(ROUTER if ".logits" in values else ("",)):
        parts[index] = torch.from_numpy(np.array(values[suffix])).to(parts[index].dtype).reshape(parts[index].shape)
    return type(output)(parts) if isinstance(output, (tuple, list)) else parts[0]


def feed_module(module, values):
    """Replaces what a module puts out when it first runs, which is what a golden holds."""
    pending = [values]
    return module.register_forward_hook(
        lambda _module, _inputs, output: fed_output(output, pending.pop()) if pending else None)


def feed_text(_module, inputs, keywords, golden):
    embeds = keywords["inputs_embeds"]
    values = torch.from_numpy(np.array(golden["tap.thinker.inputs_embeds"]))
    return inputs, {**keywords, "inputs_embeds": values.to(embeds.dtype).reshape(embeds.shape)}


def feed(model, golden):
    """Hooks that replace the output of every module the golden has; returns their handles."""
    handles = [model.thinker.model.language_model.register_forward_pre_hook(
        functools.partial(feed_text, golden=golden), with_kwargs=True)]
    for module_name, module in model.named_modules():
        name = original.published_name(module_name)
        if not any(re.fullmatch(pattern, name) for pattern, _ in original.TAPS):
            continue
        taps = {suffix: f"tap.{name}{suffix}" for suffix in ("", *ROUTER)}
        values = {suffix: golden[tap] for suffix, tap in taps.items() if tap in golden}
        if values:
            handles.append(feed_module(module, values))
    return handles


@torch.no_grad()
def isolated(model, golden, dtype):
    """The taps of a prefill in which every module hears the golden's values and not those of the modules before it."""
    inputs = {name: array for name, array in golden.items() if name.startswith("in.")}
    values = original.cast_floats(original.arguments(inputs), dtype)
    model.thinker.model.rope_deltas = None
    with original.Listener(model, any(".experts." in name for name in golden)) as listener:
        handles = feed(model, golden)  # behind the listener's
        model.thinker(**values, use_cache=False)
        for handle in handles:
            handle.remove()
    return listener.taps


def row_steps(value, reference):
    """How far each row lies off: its worst element in steps of its largest, or its relative L2 in steps of 2^-8."""
    off = np.abs(value.astype(np.float64) - reference)
    largest = np.abs(reference).max(axis=1, initial=0).astype(np.float64)
    norm = np.linalg.norm(reference.astype(np.float64), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        worst = np.maximum(off.max(axis=1, initial=0) / np.ldexp(1.0, np.frexp(largest)[1] - 8),
                           np.linalg.norm(off, axis=1) / norm * 256)
    return np.where(off.any(axis=1), np.where(norm > 0, worst, np.inf), 0.0)


def judge_tap(value, reference):
    """(steps of the worst row, whether the tap is within the bar)"""
    rows = (value.reshape(-1, value.shape[-1]), reference.reshape(-1, reference.shape[-1]))
    if not np.isfinite(rows[0]).all():
        return np.inf, False
    worst = float(row_steps(*rows).max(initial=0))
    good = worst <= ROW_STEPS
    if len(rows[0]) >= ENOUGH_ROWS:
        good = good and relative_l2(*rows) * 256 <= TAP_STEPS and np.mean(rows[0] != rows[1]) <= SHARE
    return worst, bool(good)


def chooses_largest(logits, indices):
    """Whether no expert that a row leaves out has a larger logit than one it takes."""
    left_out = logits.copy()
    np.put_along_axis(left_out, indices, -np.inf, axis=1)
    return bool((np.take_along_axis(logits, indices, axis=1).min(axis=1) >= left_out.max(axis=1)).all())


def judge_isolated(model, golden, dtype):
    """(whether every module agrees, what is said of it)"""
    made = isolated(model, golden, dtype)
    worst, failed, turned, chosen = (0.0, ""), [], 0, 0
    for name, reference in golden.items():
        if not name.startswith("tap.") or name == "tap.thinker.generated":
            continue
        value = made.get(name)
        if value is None or value.shape != reference.shape:
            failed.append(f"{name} (absent or of another shape)")
        elif name.endswith(".indices"):  # by its own logits, whose rounding may turn what is nearly equal
            failed.extend([] if chooses_largest(made[name.removesuffix(".indices") + ".logits"], value) else [name])
            turned += sum(set(one) != set(other) for one, other in zip(value.tolist(), reference.tolist()))
            chosen += len(reference)
        elif name == "tap.thinker.position_ids":
            failed.extend([] if np.array_equal(value, reference) else [name])
        else:
            if name.endswith(".weights"):  # of the rows that chose the same
                indices = name.removesuffix(".weights") + ".indices"
                same = (made[indices] == golden[indices]).all(axis=1)
                value, reference = value[same], reference[same]
            steps, good = judge_tap(value, reference)
            worst = max(worst, (steps, name))
            failed.extend([] if good else [name])
    said = f"isolated worst row {worst[0]:.2g} bfloat16 steps off"
    said += f", rows that choose other experts: {turned} of {chosen}" if turned else ""
    said += f", failed: {', '.join(failed[:4])}" if failed else ""
    return not failed, said


def judge(golden, made, metadata, truth, model):
    """(whether the run is what the golden says but for the CPU, what is said of it)"""
    if metadata["dtype"] == "float32":
        return judge_whole(golden, made, metadata, None)
    if "in.codes" in golden:
        return alone.judge(made, golden, metadata, tracefile.read(truth)[0])
    golden, made = ({name: array for name, array in side.items() if not name.startswith(SPEECH)} for side in (golden, made))
    whole, said = judge_whole(golden, made, metadata, truth)
    isolated_agrees, also = judge_isolated(model, golden, metadata["dtype"])
    return whole and isolated_agrees, f"{said}; {also}"
