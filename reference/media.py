"""Media files to the original's inputs, with its own processors as far as they can be had.

Mel frames come from the original's feature extractor, image patches from its PIL image processor. Its video processor
needs torchvision, which is not to be had for this torch: frames are resized, scaled and cut as the image processor does
it, within the bounds that the original's processor sets for a video's frames, and two frames make a step.

Sounds that are not 16 kHz mono WAV, and videos, are decoded by the `ffmpeg` program: channels are averaged and soxr resamples
as for the original; the colours of frames are those of exact arithmetic. A golden holds the inputs that came of it.
"""

import json
import re
import subprocess
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from transformers import WhisperFeatureExtractor
from transformers.image_utils import SizeDict
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_omni_moe.processing_qwen3_omni_moe import Qwen3OmniMoeProcessor

import placeholders
from weights import BadInput

FPS = 2.0
VIDEO_SIZE = Qwen3OmniMoeProcessor.videos_kwargs["size"]


class Front:
    """The processors of a checkpoint, from its preprocessor_config.json, and the media of one prompt in order."""

    def __init__(self, folder, fps=FPS):
        path = Path(folder) / "preprocessor_config.json"
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(f"{path}: {error}") from error
        # As AutoFeatureExtractor and AutoImageProcessor do: each takes what it knows of the one file.
        self.extractor = WhisperFeatureExtractor.from_dict(settings)
        self.images = Qwen2VLImageProcessorPil.from_dict(settings)
        self.fps = fps

    def features(self, samples):
        """[n_mel, frames] of one clip. Each is prepared alone: beside a longer one its last frames would differ."""
        made = self.extractor(samples, sampling_rate=self.extractor.sampling_rate, padding=True, truncation=False,
                              return_attention_mask=True, return_tensors="np")
        return made["input_features"][0][:, : int(made["attention_mask"][0].sum())]

    def picture(self, image):
        """(patches, grid) of a PIL image."""
        made = self.images(image, return_tensors="np")
        return made["pixel_values"], made["image_grid_thw"][0].tolist()

    def movie(self, frames, size=VIDEO_SIZE):
        """(patches, grid) of frames [n, height, width, 3] within `size`; the last one is taken twice if n is odd."""
        p = self.images
        if len(frames) % p.temporal_patch_size:
            frames = np.concatenate([frames, frames[-1:]])
        planes = []
        for frame in frames:
            plane = p.resize(np.ascontiguousarray(frame.transpose(2, 0, 1)), SizeDict(**size), p.resample,
                             p.patch_size * p.merge_size)
            planes.append(p.normalize(p.rescale(plane, p.rescale_factor), p.image_mean, p.image_std))
        return patchify(np.stack(planes), p.patch_size, p.merge_size, p.temporal_patch_size)


def patchify(planes, patch, merge, pair):
    """The image processor's order of patches, with the frames of a step where it repeats one image."""
    n, channels, high, wide = planes.shape
    grid = [n // pair, high // patch, wide // patch]
    cut = planes.astype(np.float32).reshape(grid[0], pair, channels, grid[1] // merge, merge, patch, grid[2] // merge, merge,
                                            patch)
    rows = cut.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return np.ascontiguousarray(rows.reshape(np.prod(grid), channels * pair * patch * patch)), grid


def run(program, path, given=b""):
    try:
        done = subprocess.run(program, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: needs the program {program[0]}, which is not installed") from error
    if done.returncode:
        raise BadInput(f"{path}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return done.stdout


def load_audio(path, rate=16000):
    """float32 samples, one channel."""
    try:
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, 1, 2):
                return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
    except (wave.Error, EOFError):
        pass
    probe = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries", "stream=sample_rate,channels", "-of",
             "csv=p=0", str(path)]
    numbers = run(probe, path).split(b",")
    if len(numbers) < 2:
        raise BadInput(f"{path}: no sound in it")
    own_rate, n_channel = (int(number) for number in numbers[:2])
    raw = run(["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"], path)
    samples = np.frombuffer(raw, "<f4").reshape(-1, n_channel).mean(axis=1, dtype=np.float32)
    return samples if own_rate == rate else resampled(samples, own_rate, rate, path)


def resampled(samples, own_rate, rate, path):
    """By soxr at its high quality, 20 bits; a last sample that soxr leaves out is 0, as in the original's loader."""
    wanted = -(-len(samples) * rate // own_rate)
    program = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(own_rate), "-ac", "1", "-i", "-", "-af",
               f"aresample={rate}:resampler=soxr:precision=20", "-f", "f32le", "-"]
    made = np.frombuffer(run(program, path, samples.tobytes()), "<f4")[:wanted]
    return np.concatenate([made, np.zeros(wanted - len(made), np.float32)])


def load_image(path):
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError) as error:
        raise BadInput(f"{path}: {error}") from error


def load_video(path, fps):
    """Frames [n, height, width, 3] at `fps`, upright, their colours by swscale's exact arithmetic."""
    colours = "scale=flags=bicubic+bitexact+accurate_rnd+full_chroma_int,format=rgb24"
    raw = run(["ffmpeg", "-v", "error", "-i", str(path), "-an", "-vf", f"fps={fps},{colours}", "-f", "image2pipe", "-c:v",
               "ppm", "-"], path)
    frames = []
    while raw:
        found = re.match(rb"P6\n(\d+) (\d+)\n255\n", raw)
        wide, high = int(found[1]), int(found[2])
        end = found.end() + high * wide * 3
        frames.append(np.frombuffer(raw[found.end() : end], np.uint8).reshape(high, wide, 3))
        raw = raw[end:]
    if not frames:
        raise BadInput(f"{path}: no video in it")
    return np.stack(frames)


class Media:
    """What the parts of a conversation become: the text with placeholders expanded, and the `in.*` tensors."""

    def __init__(self, front, config, audio_in_video=False):
        thinker = config.thinker_config
        self.front, self.audio_in_video = front, audio_in_video
        self.processor = placeholders.processor(thinker.vision_config.spatial_merge_size, thinker.audio_config.n_window,
                                                thinker.position_id_per_seconds)
        self.clips, self.images, self.videos, self.sound = [], [], [], []

    def add(self, kind, path):
        """Reads one medium; media are added in the order of the text."""
        if not Path(path).is_file():
            raise BadInput(f"{path}: not there")
        if kind == "audio":
            self.add_clip(path)
        elif kind == "image":
            self.images.append(self.front.picture(load_image(path)))
        else:
            self.sound.append(len(self.clips) if self.audio_in_video else None)
            if self.audio_in_video:
                self.add_clip(path)
            self.videos.append(self.front.movie(load_video(path, self.front.fps)))

    def add_clip(self, path):
        samples = load_audio(path)
        if len(samples) <= self.front.extractor.n_fft // 2:
            raise BadInput(f"{path}: {len(samples)} samples; the original reflects {self.front.extractor.n_fft // 2} and fails")
        self.clips.append(self.front.features(samples))

    @property
    def seconds(self):
        return [self.front.images.temporal_patch_size / self.front.fps] * len(self.videos)

    def expand(self, text):
        return placeholders.expand(self.processor, text, [clip.shape[1] for clip in self.clips],
                                   [grid for _, grid in self.images], [grid for _, grid in self.videos], self.seconds,
                                   self.sound)

    def tensors(self):
        made = {}
        if self.clips:
            made["in.input_features"] = np.concatenate(self.clips, axis=1)
            made["in.audio_feature_lengths"] = np.array([clip.shape[1] for clip in self.clips], np.int64)
        for items, suffix, grids in ((self.images, "", "image"), (self.videos, "_videos", "video")):
            if items:
                made["in.pixel_values" + suffix] = np.concatenate([patches for patches, _ in items])
                made[f"in.{grids}_grid_thw"] = np.array([grid for _, grid in items], np.int64)
        if self.videos:
            made["in.video_second_per_grid"] = np.array(self.seconds, np.float32)
            if self.audio_in_video:
                made["in.use_audio_in_video"] = np.array([1], np.int64)
        return made
