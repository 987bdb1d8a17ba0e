"""Prompts that mix text and media, described by sizes; the media are noise of those sizes."""

import re

import numpy as np

import placeholders

N_MEL = 128


def image(high, wide):
    return {"kind": "image", "grid": [1, high, wide]}


def audio(frames):
    return {"kind": "audio", "frames": frames}


def video(steps, high, wide, fps=2.0, frames=None):
    """With `frames`, the video's own sound is heard in it."""
    return {"kind": "video", "grid": [steps, high, wide], "seconds": 2 / fps, "frames": frames}


def text(count):
    return {"kind": "text", "count": count}


def ids(*tokens):
    return {"kind": "ids", "ids": tokens}


class Prompt:
    """A case's parts as the original wants them: a text of tokens, and the media in the order of the text."""

    def __init__(self, parts, ids):
        self.ids, self.text = ids, ""
        self.frames, self.images, self.videos, self.seconds, self.sound = [], [], [], [], []
        for part in parts:
            getattr(self, "add_" + part["kind"])(part)
        self.has_sound = any(index is not None for index in self.sound)

    def add_text(self, part):
        first = len(self.text)
        self.text += "".join(f"<{(first + 7 * i) % 200 + 3}>" for i in range(part["count"]))

    def add_ids(self, part):
        self.text += "".join(f"<{token}>" for token in part["ids"])

    def add_audio(self, part):
        self.text += placeholders.AUDIO_START + placeholders.AUDIO + placeholders.AUDIO_END
        self.frames.append(part["frames"])

    def add_image(self, part):
        self.text += placeholders.VISION_START + placeholders.IMAGE + placeholders.VISION_END
        self.images.append(part["grid"])

    def add_video(self, part):
        self.text += placeholders.VISION_START + placeholders.VIDEO + placeholders.VISION_END
        self.videos.append(part["grid"])
        self.seconds.append(part["seconds"])
        self.sound.append(len(self.frames) if part["frames"] else None)
        if part["frames"]:
            self.frames.append(part["frames"])

    def encode(self, said):
        special = {spelling: self.ids[name] for name, spelling in placeholders.SPELLING.items()}
        return [special[token] if token in special else int(token[1:-1]) for token in re.findall(r"<[^>]*>", said)]


class Noise:
    """Media of a prompt: mel frames in the range that real ones have, and pixels in steps of 1/127.5."""

    def __init__(self, seed, patch_width):
        self.source, self.patch_width = np.random.Generator(np.random.PCG64(seed)), patch_width

    def frames(self, count):
        """Loud and quiet stretches, so that a frame's neighbours matter."""
        tone = np.sin(np.arange(count) / 9.0) * np.cos(np.arange(N_MEL)[:, None] / 17.0)
        return (0.6 * tone + 0.3 * self.source.standard_normal((N_MEL, count))).astype(np.float32)

    def patches(self, grids):
        count = sum(int(np.prod(grid)) for grid in grids)
        levels = self.source.integers(0, 256, (count, self.patch_width))
        return (levels.astype(np.float32) / np.float32(127.5) - np.float32(1)).astype(np.float32)


def inputs(prompt, seed, merge_size=2, patch_width=1536):
    """The `in.*` tensors of a prompt."""
    said = placeholders.expand(placeholders.processor(merge_size), prompt.text, prompt.frames, prompt.images, prompt.videos,
                               prompt.seconds, prompt.sound)
    made, noise = {"in.input_ids": np.array(prompt.encode(said), np.int64)}, Noise(seed, patch_width)
    if prompt.frames:
        made["in.input_features"] = np.concatenate([noise.frames(count) for count in prompt.frames], axis=1)
        made["in.audio_feature_lengths"] = np.array(prompt.frames, np.int64)
    if prompt.images:
        made["in.pixel_values"] = noise.patches(prompt.images)
        made["in.image_grid_thw"] = np.array(prompt.images, np.int64)
    if prompt.videos:
        made["in.pixel_values_videos"] = noise.patches(prompt.videos)
        made["in.video_grid_thw"] = np.array(prompt.videos, np.int64)
        made["in.video_second_per_grid"] = np.array(prompt.seconds, np.float32)
    if prompt.has_sound:
        made["in.use_audio_in_video"] = np.array([1], np.int64)
    return made
