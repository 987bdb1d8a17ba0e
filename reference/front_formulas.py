"""Writes tests/golden/front: mel frames, picture sizes, resized pictures and patches, as the original makes them.

Inputs are made by formulas of whole numbers, which the tests repeat (tests/support/front.c), so that no samples and no
pixels are kept; of pictures, digests of the results are.
"""

import argparse
import ast
import hashlib
import json
import textwrap
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from transformers import WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

import tracefile

# The published preprocessor_config.json.
EXTRACTOR = dict(feature_size=128, hop_length=160, n_fft=400, sampling_rate=16000, padding_value=0.0, padding_side="right",
                 dither=0.0, return_attention_mask=True)
MEAN = DEVIATION = [0.5, 0.5, 0.5]
LEAST, MOST = 3136, 12845056
FRAME_LEAST, FRAME_MOST = 128 * 32 * 32, 768 * 32 * 32

# kind, samples, which frames are kept (every n-th). The original fails on 160 to 200 samples: what is kept of those is
# its result for the clip lengthened with zeros to 201.
CLIPS = [
    ("noise", 160, 1), ("noise", 161, 1), ("noise", 200, 1), ("noise", 201, 1), ("noise", 319, 1), ("noise", 320, 1),
    ("noise", 359, 1), ("noise", 360, 1), ("noise", 361, 1), ("noise", 368, 1), ("noise", 400, 1), ("noise", 799, 1),
    ("noise", 800, 1), ("noise", 801, 1), ("noise", 16001, 7), ("noise", 48001, 13), ("zeros", 19200, 40),
    ("quiet", 8000, 5), ("loud", 8000, 5), ("swell", 40000, 11), ("saw", 16000, 7), ("smooth", 16000, 7), ("click", 4000, 3), ("tail", 16119, 7),
    ("noise", 480000, 97),
]

# width, height, least and most pixels (0: the published ones), patch and block
PICTURES = [
    (1, 1), (31, 31), (32, 32), (33, 33), (64, 64), (100, 30), (30, 100), (224, 224), (640, 480), (480, 640), (75, 121),
    (1280, 720), (1920, 1080), (1260, 840), (1000, 5), (5, 1000), (4000, 21), (21, 4000), (200, 1), (1, 200), (47, 48),
    (48, 47), (63, 65), (96, 2), (255, 257), (16, 3000), (80, 80), (112, 48), (4001, 2999), (6000, 4000), (30, 31),
]
LIMITED = [
    (640, 480, 3136, 65536, 16, 2), (64, 48, 262144, 12845056, 16, 2), (1000, 700, 1, 4096, 16, 2),
    (300, 200, 3136, 100000, 14, 2), (123, 77, 3136, 12845056, 8, 3), (90, 90, 1, 1, 16, 2), (500, 400, 3136, 50000, 16, 1),
]
RESIZES = [
    (1, 1, 1, 1), (1, 1, 64, 64), (1, 1, 5, 3), (2, 1, 1, 2), (3, 3, 7, 2), (2, 7, 3, 3), (100, 30, 128, 32), (31, 20, 64, 32),
    (233, 97, 224, 96), (64, 64, 64, 32), (64, 64, 32, 64), (64, 64, 64, 100), (64, 64, 100, 64), (64, 64, 32, 32),
    (64, 64, 33, 31), (100, 100, 90, 80), (100, 100, 90, 79), (100, 100, 90, 81), (100, 100, 110, 80), (100, 100, 110, 120),
    (100, 100, 110, 130), (100, 100, 95, 90), (100, 100, 95, 89), (1000, 3, 3, 1000), (3, 1000, 1000, 3), (997, 991, 1, 1),
    (997, 2, 1, 2), (50, 997, 49, 1), (5, 5, 500, 5), (5, 5, 5, 500), (401, 299, 200, 150), (401, 299, 399, 150),
    (401, 299, 600, 150), (401, 299, 402, 298), (401, 299, 400, 296), (640, 480, 1024, 768), (1024, 768, 640, 480),
]
# width, height, frames, patch, pair
FILMS = [(320, 240, 4, 16, 2), (1280, 720, 2, 16, 2), (96, 400, 3, 16, 2), (640, 360, 5, 14, 3)]


# ---- inputs (tests/support/front.c)

def noise(n):
    """Whole numbers from -32768 to 32767: the upper halves of a linear congruential generator."""
    multiplier, increment, mask = 1664525, 1013904223, 0xFFFFFFFF
    out, state = np.empty(n, np.int64), 12345
    for i in range(n):
        state = (state * multiplier + increment) & mask
        out[i] = (state >> 16) - 32768
    return out


def samples(kind, n):
    """float32: whole numbers over a power of two, rounded once, whatever computes them."""
    at = np.arange(n, dtype=np.int64)
    made = {
        "noise": lambda: noise(n) / 65536,
        "zeros": lambda: np.zeros(n),
        "quiet": lambda: noise(n) / 2.0**34,
        "loud": lambda: noise(n) * 64.0,
        "swell": lambda: noise(n) * (at % 20000) / 2.0**31,
        "saw": lambda: ((at * 1803) % 65536 - 32768) / 65536,  # 440.2 Hz
        "smooth": lambda: bend((at * 1803) % 65536 - 32768) / 2.0**28,  # two parabolas, nearly a sine
        "click": lambda: (at == 2000) * 0.5,
        "tail": lambda: noise(n) * (at >= 15950) / 65536,
    }
    return made[kind]().astype(np.float32)


def bend(x):
    return x * (32768 - np.abs(x))


def picture(width, height, seed=0):
    """[height, width, 3] bytes: slopes, edges and fine detail."""
    x = np.arange(width, dtype=np.int64)[None, :, None]
    y = np.arange(height, dtype=np.int64)[:, None, None]
    c = np.arange(3, dtype=np.int64)[None, None, :]
    slope = (x * 3 + y * 5 + c * 40 + seed * 17) // 4
    edge = ((x // 13 + y // 9 + c) % 2) * 90
    detail = ((x * 31 + seed) ^ (y * 57 + c * 11)) % 64
    return ((slope + edge + detail) % 256).astype(np.uint8)


# ---- goldens

def mel_frames(kind, n):
    extractor = WhisperFeatureExtractor(**EXTRACTOR)
    clip = samples(kind, n)
    if n < 201:
        clip = np.concatenate([clip, np.zeros(201 - n, np.float32)])
    made = extractor([clip], sampling_rate=16000, padding=True, truncation=False, return_attention_mask=True, return_tensors="np")
    frames = made["input_features"][0].T
    assert len(frames) == len(clip) // 160 == int(made["attention_mask"].sum())
    return frames


def mel_tensors():
    tensors = {"filters": WhisperFeatureExtractor(**EXTRACTOR).mel_filters.T.astype(np.float32),
               "window": torch.hann_window(EXTRACTOR["n_fft"]).numpy()}
    for kind, n, every in CLIPS:
        tensors[f"{kind}.{n}.{every}"] = np.ascontiguousarray(mel_frames(kind, n)[::every])
    return tensors


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def image_entry(width, height, least=LEAST, most=MOST, patch=16, merge=2):
    processor = Qwen2VLImageProcessorPil(image_mean=MEAN, image_std=DEVIATION, size={"shortest_edge": least, "longest_edge": most},
                                         patch_size=patch, merge_size=merge, temporal_patch_size=2)
    made = processor(Image.fromarray(picture(width, height)), return_tensors="np")
    return {"width": width, "height": height, "least": least, "most": most, "patch": patch, "merge": merge,
            "grid": made["image_grid_thw"][0].tolist(), "pixel_values": digest(made["pixel_values"])}


def resize_entry(width, height, out_width, out_height):
    made = Image.fromarray(picture(width, height)).resize((out_width, out_height), Image.Resampling.BICUBIC)
    return {"width": width, "height": height, "out_width": out_width, "out_height": out_height, "rgb": digest(np.asarray(made))}


def video_patchify():
    """The original's cutting of frames, out of a file that cannot be imported without torchvision."""
    text = (Path(transformers.__file__).parent / "models/qwen2_vl/video_processing_qwen2_vl.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "patchify":
            made = {"torch": torch}
            exec(textwrap.dedent(ast.get_source_segment(text, node, padded=True)), made)
            return made["patchify"]
    raise SystemExit("the original has no patchify")


def film_entry(width, height, n_frame, patch, pair):
    """Frames one by one through the image processor, then cut by the original's video processor."""
    processor = Qwen2VLImageProcessorPil(image_mean=MEAN, image_std=DEVIATION, patch_size=patch, merge_size=2)
    high, wide = smart_resize(height, width, 2 * patch, FRAME_LEAST, FRAME_MOST)
    frames = []
    for i in range(n_frame):
        resized = np.asarray(Image.fromarray(picture(width, height, i)).resize((wide, high), Image.Resampling.BICUBIC))
        plane = processor.rescale(resized.transpose(2, 0, 1), 1 / 255)
        frames.append(processor.normalize(plane, MEAN, DEVIATION))
    rows, steps, grid_high, grid_wide = video_patchify()(None, torch.from_numpy(np.stack(frames))[None], patch, 2, pair)
    return {"width": width, "height": height, "frames": n_frame, "patch": patch, "pair": pair,
            "grid": [steps, grid_high, grid_wide], "pixel_values": digest(rows[0].numpy())}


def size_entries():
    """[width, height, factor, least, most, width, height taken], zeros where the original refuses."""
    generator = np.random.default_rng(20261128)
    entries = []
    for i in range(1500):
        scale = 10 ** generator.uniform(0, 4.7, 2)
        width, height = (max(1, int(s)) for s in (scale if i % 3 else [scale[0], scale[0] * generator.uniform(0.3, 3)]))
        factor = int(generator.choice([32, 32, 32, 28, 16, 24]))
        least, most = [(LEAST, MOST), (FRAME_LEAST, FRAME_MOST), (1, 4096)][generator.integers(0, 3)]
        if i % 5 == 0:  # halves between two multiples
            width, height = (factor * int(generator.integers(0, 60)) + factor // 2 for _ in range(2))
        try:
            high, wide = smart_resize(height, width, factor, least, most)
        except ValueError:
            high = wide = 0
        entries.append([width, height, factor, least, most, wide, high])
    return entries


def picture_goldens():
    return {"made_by": f"transformers {transformers.__version__}, Pillow {PIL.__version__}",
            "images": [image_entry(*case) for case in PICTURES + LIMITED],
            "resizes": [resize_entry(*case) for case in RESIZES],
            "films": [film_entry(*case) for case in FILMS],
            "sizes": size_entries()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="tests/golden/front")
    out = Path(parser.parse_args().out)
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    tracefile.write(out / "mel.safetensors", mel_tensors(),
                    {"transformers": transformers.__version__, "torch": torch.__version__})
    lines = []
    for key, value in picture_goldens().items():
        items = ",\n  ".join(json.dumps(item) for item in value) if isinstance(value, list) else None
        lines.append(f' "{key}": ' + (f"[\n  {items}\n ]" if items else json.dumps(value)))
    (out / "pictures.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
