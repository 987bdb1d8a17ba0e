"""Goldens of a part of the original that is run alone: FOLDER/f32/CASE.safetensors, and FOLDER/bf16 likewise."""

import argparse
from pathlib import Path

import numpy as np

import original
import tracefile
from bits import compare_bits, relative_l2

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
SUFFIXES = {"float32": "f32", "bfloat16": "bf16"}


def parse_out(description, default):
    """The folder that the command line names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=default)
    return parser.parse_args().out


def refuse(faults):
    """Ends a script whose goldens would not show what they are for."""
    if faults:
        raise SystemExit("\n".join(faults))


def write(folder, checkpoint, dtype, made, about=""):
    """`made`: tensors by case; `about` stands before a case in the metadata."""
    out, identity = folder / SUFFIXES[dtype], tracefile.identity(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    for case, tensors in made.items():
        metadata = {**original.versions(dtype), **identity, "case": about + case}
        tracefile.write(out / f"{case}.safetensors", tensors, metadata)


def mean_ratio(made, golden, truth):
    """Geometric mean of the distance to the float32 run over the golden's, of hidden states."""
    ratios = []
    for name, reference in truth.items():
        if name.startswith("tap.") and not name.endswith((".indices", ".weights")) and ".experts." not in name:
            ratios.append(relative_l2(made[name], reference) / relative_l2(golden[name], reference))
    return float(np.exp(np.mean(np.log(ratios))))


def judge(made, golden, metadata, truth):
    """(whether a run is what the golden says, what is said of it)"""
    count, different, worst = compare_bits(made, golden)
    if not different:
        return True, f"{count} tensors bit-equal to the original's"
    here = original.versions(metadata["dtype"])
    if all(metadata.get(key, value) == value for key, value in here.items() if key.startswith("cpu_")):
        return False, f"{len(different)} of {count} differ, worst {worst:.1e}: {', '.join(different[:4])}"
    if metadata["dtype"] == "float32":
        return worst <= 1e-5, f"made on another CPU: worst relative L2 {worst:.1e}"
    ratio = mean_ratio(made, golden, truth)
    return 0.87 <= ratio <= 1.15, f"made on another CPU: distance to float32 {ratio:.3f} of the golden's in the mean"


def check(report, folder, checkpoint, dtype, made):
    """Compares cases that were run again with what is kept of them."""
    identity = tracefile.identity(checkpoint)
    for case, tensors in made.items():
        path = folder / SUFFIXES[dtype] / f"{case}.safetensors"
        golden, metadata = tracefile.read(path)
        truth, _ = tracefile.read(folder / "f32" / path.name)
        same, said = judge(tensors, golden, metadata, truth)
        known = all(metadata[key] == value for key, value in identity.items())
        said = said if known else "of another checkpoint"
        report.line(same and known, f"{path.relative_to(GOLDEN).with_suffix('')}: {said}")
