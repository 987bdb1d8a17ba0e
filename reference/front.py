#!/usr/bin/env python3
"""Writes tests/golden/front: small sounds and pictures, and what the original's processors make of them.

    front.py            writes the media and the goldens
    front.py --check    compares what the processors make of the media in the tree, exit 1 on a difference

A sound's mel frames are a trace of its name (`in.input_features`, `in.audio_feature_lengths`); those of what goldens of
`e` hear are in the goldens. Of a picture front.json
has the grid and the SHA-256 of its patches' bytes before they are normalised, and of all pictures together the 256
values that normalising gives; so too of a video, whose frames are pictures here.
"""

import hashlib
import json
import sys
import wave
from pathlib import Path

import numpy as np

import original  # before transformers, whose loudness it sets
import media
import tracefile

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "golden" / "front"
CHECKPOINT = ROOT / "demo" / "checkpoint"  # its preprocessor_config.json is the published one
RATE = 16000


def source(seed):
    return np.random.Generator(np.random.PCG64(seed))


def chirp(count, low=300.0, high=2900.0):
    time = np.arange(count) / RATE
    sweep = np.sin(2 * np.pi * (low * time + (high - low) * time**2 * RATE / (2 * count)))
    return 0.5 * sweep * (0.4 + 0.6 * np.sin(np.pi * np.arange(count) / count)) + 0.01 * source(1).standard_normal(count)


def burst(count):
    """Loud in the middle, so that the floor of eight decades below the loudest value is reached at both ends."""
    made = 1e-4 * source(2).standard_normal(count)
    made[count // 3 : count // 2] += np.where(np.arange(count // 2 - count // 3) // 20 % 2, 0.999, -0.999)
    return made


# Name to samples. 201 is the fewest that can be reflected; 3,359 is one less than 21 frames.
SOUNDS = {
    "chirp": lambda: chirp(37610),
    "least": lambda: chirp(201),
    "floored": lambda: chirp(3359),
    "burst": lambda: burst(16000),
    "silence": lambda: np.zeros(4000),
    "noise": lambda: 0.3 * source(3).standard_normal(9000).clip(-3, 3),
}
# Sounds in which the rounding of the original's float32 transform shows most: heard by goldens of `e`.
ROUNDED = {
    "white": lambda: 0.3 * source(508).standard_normal(RATE).clip(-3, 3),
    "tone": lambda: 0.5 * np.sin(2 * np.pi * 997 * np.arange(RATE) / RATE),
}


def scene(seed, wide, high, channels=3):
    """A gradient, a disc and a box with hard edges, and a little noise."""
    y, x = np.mgrid[0:high, 0:wide]
    planes = [255 * x / max(wide - 1, 1), 255 * y / max(high - 1, 1), 255 - 255 * x / max(wide - 1, 1),
              255 * ((x + y) % 17) / 16][:channels]
    disc = (x - 0.35 * wide) ** 2 + (y - 0.6 * high) ** 2 < (0.25 * min(wide, high)) ** 2
    box = (x > 0.6 * wide) & (x < 0.9 * wide) & (y > 0.1 * high) & (y < 0.4 * high)
    made = np.stack(planes, axis=-1)
    made[disc], made[box] = made[disc] * 0.2, 240
    return (made + source(seed).integers(-6, 7, made.shape)).clip(0, 255).astype(np.uint8)


def palette(seed, wide, high):
    image = Image.fromarray(scene(seed, wide, high)).quantize(16, dither=Image.Dither.NONE)
    image.info["transparency"] = 3
    return image


# Name to picture. Sides of 1.5 and 2.5 blocks round to even; `thin` is made smaller on one axis and larger on the other,
# `steep` much smaller on the vertical one, which the resampling then takes first.
PICTURES = {
    "square": lambda: Image.fromarray(scene(1, 70, 60)),
    "wide": lambda: Image.fromarray(scene(2, 100, 58)),
    "even": lambda: Image.fromarray(scene(3, 80, 48)),
    "exact": lambda: Image.fromarray(scene(4, 64, 96)),
    "dot": lambda: Image.fromarray(scene(5, 3, 2)),
    "pixel": lambda: Image.fromarray(scene(6, 1, 1)),
    "thin": lambda: Image.fromarray(scene(7, 210, 11)),
    "steep": lambda: Image.fromarray(scene(8, 33, 143)),
    "grey": lambda: Image.fromarray(scene(9, 75, 90, 1)[..., 0]),
    "alpha": lambda: Image.fromarray(scene(10, 90, 70, 4)),
    "grey_alpha": lambda: Image.fromarray(scene(11, 66, 70, 4)[..., 2:]),
    "palette": lambda: palette(12, 71, 67),
    "bits": lambda: Image.fromarray(scene(13, 77, 65, 1)[..., 0] > 120),
}
# Three frames of a video, the last of which is taken twice; each is enlarged to the least size of a video's frame.
PICTURES.update({f"frame{i}": lambda i=i: Image.fromarray(scene(20 + i, 70, 60)) for i in range(3)})
FRAMES = ("frame0", "frame1", "frame2")


def write_media():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in {**SOUNDS, **ROUNDED}.items():
        with wave.open(str(FOLDER / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((make() * 32767).round().clip(-32768, 32767).astype("<i2").tobytes())
    for name, make in PICTURES.items():
        make().save(FOLDER / f"{name}.png", optimize=True)


def levels(patches):
    """The bytes that were normalised; checked against the 256 values."""
    made = np.rint((patches + 1) * 127.5).astype(np.uint8)
    assert np.array_equal(normalised()[made], patches)
    return made


def normalised():
    """What normalising makes of each byte, as the image processor computes it."""
    p = media.Front(CHECKPOINT).images
    plane = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    return p.normalize(p.rescale(plane, p.rescale_factor), p.image_mean, p.image_std)[0].ravel().astype(np.float32)


def digest(patches):
    return hashlib.sha256(levels(patches).tobytes()).hexdigest()


def mel(front, name):
    made = front.features(media.load_audio(FOLDER / f"{name}.wav"))
    return {"in.input_features": made, "in.audio_feature_lengths": np.array([made.shape[1]], np.int64)}


def summary(front):
    pictures = {}
    for name in PICTURES:
        image = media.load_image(FOLDER / f"{name}.png")
        patches, grid = front.picture(image)
        pictures[name] = {"wide": image.width, "high": image.height, "grid": grid, "sha256": digest(patches)}
    patches, grid = front.movie(np.stack([np.asarray(media.load_image(FOLDER / f"{name}.png")) for name in FRAMES]))
    video = {"frames": list(FRAMES), "grid": grid, "sha256": digest(patches)}
    versions = {key: original.versions("float32")[key] for key in ("made_by", "transformers", "torch", "python")}
    values = [int(bits) for bits in normalised().view(np.uint32)]
    return {"original": versions, "normalised_bits": values, "video": video, "pictures": pictures}


def lines(made):
    pictures = ",\n".join(f"{json.dumps(name)}:{json.dumps(entry)}" for name, entry in made["pictures"].items())
    head = json.dumps({key: value for key, value in made.items() if key != "pictures"})
    return head[:-1] + ', "pictures": {\n' + pictures + "\n}}\n"


def main():
    check = "--check" in sys.argv
    if not check:
        write_media()
    front, wrong = media.Front(CHECKPOINT), []
    versions = original.versions("float32")
    for name in SOUNDS:
        made, path = mel(front, name), FOLDER / f"{name}.safetensors"
        if check:
            kept = tracefile.read(path)[0]
            wrong += [] if all(kept[key].tobytes() == made[key].tobytes() for key in made) else [name]
        else:
            tracefile.write(path, made, {"case": name, **{key: versions[key] for key in ("made_by", "transformers", "torch")}})
    made, path = lines(summary(front)), FOLDER / "front.json"
    if check:
        wrong += [] if path.read_text(encoding="utf-8") == made else ["front.json"]
        print(f"not ok - front: {', '.join(wrong)}" if wrong else f"ok - front: {len(SOUNDS)} sounds, {len(PICTURES)} pictures")
    else:
        path.write_text(made, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
