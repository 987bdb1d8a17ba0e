#!/usr/bin/env python3
"""What the demo checkpoint learns to hear and see: small pictures of one shape, tones, and clips of two seconds.

    demo_media.py [--out FOLDER]

writes the files of demo/media, drawn like the samples but from a seed of their own, the clip by the `ffmpeg` program.

Each sample is drawn anew: (what the original's processors take, question, answer, facts), the facts as numbers by name.
The words are those that the vocabulary of demo_text.py can spell; questions come in several wordings.
"""

import argparse
import random
import subprocess
import wave
from pathlib import Path

import numpy as np
from PIL import Image

RATE = 16000
COLORS = {"red": (215, 40, 35), "green": (40, 165, 60), "blue": (45, 70, 210), "yellow": (235, 210, 40),
          "black": (20, 20, 20)}
SHAPES = ("circle", "square", "triangle")
PICTURE_QUESTIONS = ("What is in the picture?", "What do you see?", "What is this?")
COLOR_QUESTIONS = ("What color is it?", "Which color does it have?")
SHAPE_QUESTIONS = ("What shape is it?", "Which shape is it?")
TONE_QUESTIONS = ("Does the tone rise or fall?", "What does the tone do?", "What do you hear?")
CLIP_QUESTIONS = ("What changes?", "What changes in the clip?", "What happens?")
TONES = {"rise": "It rises.", "fall": "It falls.", "steady": "It is steady."}


def between(source, low, high):
    return low + (high - low) * source.random()


def mask_of(shape, high, wide, x, y, size):
    rows, columns = np.mgrid[0:high, 0:wide]
    dx, dy = columns - x, rows - y
    if shape == "circle":
        return dx * dx + dy * dy < size * size
    if shape == "square":
        return np.maximum(abs(dx), abs(dy)) < 0.88 * size
    return (dy < 0.7 * size) & (dy > -size + 1.7 * abs(dx))


class Scene:
    """A shape on a white ground, large enough for its patches of 16 pixels to show its outline; painted in any color, with a
    little noise."""

    def __init__(self, source):
        self.high, self.wide = (source.choice((96, 112, 128)) for _ in range(2))
        self.shape = source.choice(SHAPES)
        side = min(self.high, self.wide)
        size = between(source, 0.33, 0.45) * side
        x, y = (between(source, size, length - size) for length in (self.wide, self.high))
        self.mask = mask_of(self.shape, self.high, self.wide, x, y, size)
        self.ground = between(source, 230, 250)
        self.noise = np.random.Generator(np.random.PCG64(source.randrange(1 << 30)))

    def paint(self, color):
        image = np.full((self.high, self.wide, 3), self.ground)
        image[self.mask] = COLORS[color]
        return (image + self.noise.normal(0, 5, image.shape)).clip(0, 255).astype(np.uint8)


def picture(source):
    scene, color = Scene(source), source.choice(list(COLORS))
    kind = source.random()
    if kind < 0.5:
        question, answer = source.choice(PICTURE_QUESTIONS), f"A {color} {scene.shape}."
    elif kind < 0.75:
        question, answer = source.choice(COLOR_QUESTIONS), f"{color.capitalize()}."
    else:
        question, answer = source.choice(SHAPE_QUESTIONS), f"A {scene.shape}."
    return scene.paint(color), question, answer, {"color": list(COLORS).index(color), "shape": SHAPES.index(scene.shape)}


def sound_of(source, kind, seconds):
    time = np.arange(int(seconds * RATE)) / RATE
    low = between(source, 250, 700)
    high = low * between(source, 2.2, 4.5)
    begin, end = {"rise": (low, high), "fall": (high, low), "steady": (low, low)}[kind]
    if kind == "steady":
        begin = end = between(source, low, high)
    phase = 2 * np.pi * (begin * time + (end - begin) * time * time / (2 * seconds))
    noise = np.random.Generator(np.random.PCG64(source.randrange(1 << 30))).standard_normal(len(time))
    return (between(source, 0.15, 0.7) * np.sin(phase) + between(source, 0.0005, 0.01) * noise).astype(np.float32)


def tone(source):
    kind = source.choice(list(TONES))
    drawn = sound_of(source, kind, between(source, 0.9, 1.6))
    return drawn, source.choice(TONE_QUESTIONS), TONES[kind], {"tone": list(TONES).index(kind)}


def clip(source):
    """Four frames, half a second apart: two steps of the video's grid."""
    scene, (first, last) = Scene(source), source.sample(list(COLORS), 2)
    if source.random() < 0.2:
        last = first
    frames = np.stack([scene.paint(first), scene.paint(first), scene.paint(last), scene.paint(last)])
    answer = "Nothing." if first == last else f"It turns from {first} to {last}."
    return frames, source.choice(CLIP_QUESTIONS), answer, {"shape": SHAPES.index(scene.shape)}


SAMPLES = {"image": picture, "audio": tone, "video": clip}


# ---- the files of demo/media

# The training's samples come from another seed. Where nearly nothing sounds beside the tone, the logarithm shows the rounding
# of the original's float32 transform, by 1.2e-5 of this seed, and by more than 2e-5 of others.
FILES_SEED, TONE_SEED = 100, 103


def write_clip(path, frames, rate):
    count, high, wide, _ = frames.shape
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}", "-r", str(rate),
         "-i", "-", "-c:v", "libx264", "-threads", "1", "-crf", "20", "-pix_fmt", "yuv420p", "-bitexact", str(path)],
        input=frames.tobytes(), check=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "demo" / "media")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    source = random.Random(FILES_SEED)
    Image.fromarray(Scene(source).paint("yellow")).save(out / "picture.png")
    with wave.open(str(out / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound_of(random.Random(TONE_SEED), "rise", 0.9) * 32767).round().astype("<i2").tobytes())
    scene = Scene(source)
    write_clip(out / "clip.mp4", np.stack([scene.paint("red")] * 4 + [scene.paint("blue")] * 4), 4)


if __name__ == "__main__":
    main()
