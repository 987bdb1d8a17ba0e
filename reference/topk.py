"""Writes tests/golden/topk: which of equal values the original's torch.topk chooses.

Values are drawn from few levels, so that most rows hold equals at the boundary; sizes cover both of its algorithms.
"""

import argparse

import numpy as np
import torch

import tracefile

SIZES = [(8, 2), (12, 3), (16, 4), (72, 5), (128, 8), (128, 6), (128, 2), (128, 1), (200, 3), (200, 17), (5, 5), (3, 1)]
ROWS = 24


def cases():
    generator = np.random.default_rng(20261123)
    tensors = {}
    for n, k in SIZES:
        for levels in (2, 5, 40):
            values = generator.integers(0, levels, (ROWS, n)).astype(np.float32) / np.float32(64)
            name = f"{n}.{k}.{levels}"
            tensors["in." + name] = values
            tensors["tap." + name] = torch.topk(torch.from_numpy(values), k, dim=-1).indices.numpy()
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="tests/golden/topk/topk.safetensors")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    tracefile.write(out, cases(), {"torch": torch.__version__})


if __name__ == "__main__":
    main()
