"""Placeholders of media in a prompt, expanded by the original's own processor.

The original's processor class wants a tokenizer and the files of a published checkpoint. Here the parts of it that turn
one placeholder into many are called on an instance that has only what they read: the tokens' spelling, the merge sizes
and the seconds of a grid step.
"""

from types import SimpleNamespace

import numpy as np
from transformers.models.qwen3_omni_moe import processing_qwen3_omni_moe as processing

AUDIO, IMAGE, VIDEO = "<|audio_pad|>", "<|image_pad|>", "<|video_pad|>"
AUDIO_START, AUDIO_END = "<|audio_start|>", "<|audio_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
# The spelling of each media token under its name in config.json.
SPELLING = {
    "audio_token_id": AUDIO, "image_token_id": IMAGE, "video_token_id": VIDEO, "audio_start_token_id": AUDIO_START,
    "audio_end_token_id": AUDIO_END, "vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END,
}


def processor(merge_size=2, n_window=50, position_id_per_seconds=13):
    made = object.__new__(processing.Qwen3OmniMoeProcessor)
    made.image_token, made.audio_token, made.video_token = IMAGE, AUDIO, VIDEO
    made.vision_bos_token, made.vision_eos_token = VISION_START, VISION_END
    made.audio_bos_token, made.audio_eos_token = AUDIO_START, AUDIO_END
    made.image_processor = made.video_processor = SimpleNamespace(merge_size=merge_size)
    made.n_window, made.position_id_per_seconds = n_window, float(position_id_per_seconds)
    return made


def expand(made, text, frames=(), images=(), videos=(), seconds=(), audio_in_video=()):
    """The text with every placeholder as long as its medium.

    frames: mel frames of each clip, in the order of the text, a video's own sound at the video's place; images, videos:
    grids [t, h, w] in patches; seconds: of a grid step of each video, as the double that 2 / fps is; audio_in_video:
    for each video the index of its sound among the clips, or None.
    """
    lengths = processing._get_feat_extract_output_lengths(np.array(frames, np.int64), made.n_window)
    audio = {"num_audio_tokens": lengths}
    grids = {"image_grid_thw": np.array(images, np.int64), "video_grid_thw": np.array(videos, np.int64),
             "video_second_per_grid": list(seconds)}
    of_video = list(audio_in_video) or [None] * len(videos)
    keywords = {"load_audio_from_video": any(index is not None for index in of_video),
                "position_id_per_seconds": made.position_id_per_seconds}
    alone = [made.replace_audio_token(audio, index) for index in range(len(frames)) if index not in of_video]
    pictures = [made.replace_image_token(grids, index) for index in range(len(images))]
    moving = [made.replace_video_token(grids, index, audio, of_video, **keywords) for index in range(len(videos))]
    return made.get_text_with_replacements([text], pictures, moving, alone)[0][0]
