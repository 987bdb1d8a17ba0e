#!/usr/bin/env python3
"""How long the original's towers take at the released dimensions, of random weights, float32: the peer of bench_vision_tower
and bench_audio_tower. Run by reference/.venv's Python, in turn with them.

    towers.py vision|audio eager|sdpa THREADS [RUNS]

vision: one block of 27 and the merger, a picture of 1664 × 1248 pixels. audio: all layers, 8 s of sound, a window. Prints
the median, least and most of elapsed and of processor time; a run before them warms.
"""

import sys
import time

import numpy as np
import torch
from transformers.models.qwen3_omni_moe import configuration_qwen3_omni_moe as configuration
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modeling


def vision(attention):
    config = configuration.Qwen3OmniMoeVisionEncoderConfig(
        depth=1, hidden_size=1152, num_heads=16, intermediate_size=4304, out_hidden_size=2048, patch_size=16,
        spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=2304, deepstack_visual_indexes=[])
    config._attn_implementation = attention
    tower, grid = modeling.Qwen3OmniMoeVisionEncoder(config), torch.tensor([[1, 78, 104]])
    patches = torch.randn(78 * 104, 3 * 2 * 16 * 16)
    return lambda: tower(patches, grid_thw=grid)


def audio(attention):
    config = configuration.Qwen3OmniMoeAudioEncoderConfig(
        d_model=1280, encoder_layers=32, encoder_attention_heads=20, encoder_ffn_dim=5120, downsample_hidden_size=480,
        output_dim=2048, n_window=50, n_window_infer=800, num_mel_bins=128)
    config._attn_implementation = attention
    tower, frames = modeling.Qwen3OmniMoeAudioEncoder(config), torch.randn(128, 800)
    return lambda: tower(frames, feature_lens=torch.tensor([800]))


def main():
    kind, attention, threads = sys.argv[1:4]
    runs = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    run = {"vision": vision, "audio": audio}[kind](attention)
    elapsed, processor = [], []
    with torch.no_grad():
        run()
        for _ in range(runs):
            began, busy = time.perf_counter(), time.process_time()
            run()
            processor.append(time.process_time() - busy)
            elapsed.append(time.perf_counter() - began)
    for name, values in (("elapsed", elapsed), ("processor", processor)):
        print(f"{name} {np.median(values):.2f} s ({min(values):.2f} … {max(values):.2f})")


if __name__ == "__main__":
    main()
