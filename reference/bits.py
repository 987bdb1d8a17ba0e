"""Bit equality of two sets of tensors, and how far apart those are that differ."""

import numpy as np


def relative_l2(value, reference):
    value, reference = value.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    norm = np.linalg.norm(reference)
    return np.linalg.norm(value - reference) / norm if norm else float(np.any(value != reference))


def compare_bits(made, golden):
    """Returns (number compared, list of tensors that differ, worst relative L2)."""
    different, worst = [], 0.0
    for name, reference in sorted(golden.items()):
        value = made.get(name)
        if value is None or value.shape != reference.shape or value.dtype != reference.dtype:
            different.append(f"{name} (absent or of another shape)")
            worst = float("inf")
        elif value.tobytes() != reference.tobytes():
            different.append(name)
            worst = max(worst, relative_l2(value, reference))
    return len(golden), different, worst
