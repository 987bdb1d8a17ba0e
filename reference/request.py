"""What golden.py and layerwise.py are asked: their common arguments, and the inputs these stand for."""

import argparse
import json
import os
from pathlib import Path

import numpy as np

import original
import prompt
import tracefile
from weights import BadInput


class Medium(argparse.Action):
    """--audio, --image and --video go to one list, which keeps their order."""

    def __call__(self, _parser, options, path, _flag):
        options.media = [*(options.media or []), (self.dest, path)]


def add_arguments(parser):
    parser.add_argument("--model", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--inputs", help="a safetensors file with in.* tensors")
    source.add_argument("--prompt", help="the text of one user turn, or with --raw the whole prompt")
    source.add_argument("--messages", help="a JSON array of objects with role and content, this a text or a list of parts")
    for kind in ("audio", "image", "video"):
        parser.add_argument("--" + kind, action=Medium, metavar="FILE", help="comes before the text of --prompt, in order")
    parser.add_argument("--fps", type=float, default=2.0, help="frames per second taken of a video")
    parser.add_argument("--audio-in-video", action="store_true", help="each video's sound is heard in it")
    parser.set_defaults(media=None)
    parser.add_argument("--raw", action="store_true", help="no chat template")
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", choices=sorted(original.DTYPES), default="float32")
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--speak", type=int, default=0, metavar="N", help="the answer is spoken, in at most N steps of the talker")
    parser.add_argument("--speaker", default="ethan", help="whose voice")
    parser.add_argument("--case", default="text")
    parser.add_argument("--threads", type=int, default=1, help="part of the result's bits in float32")
    parser.add_argument("--experts", action="store_true", help="record every expert's output before weighting")


def check(parser, options):
    if options.raw and options.prompt is None:
        parser.error("--raw goes with --prompt")
    if options.media and (options.raw or options.prompt is None):
        parser.error("--audio, --image and --video go with --prompt and without --raw")
    if not 0 < options.fps < float("inf"):
        parser.error("--fps is more than 0")
    if options.generate < 0 or options.threads < 1:
        parser.error("--generate is 0 or more, --threads 1 or more")
    if options.speak and (options.speak < 2 or options.generate < 2):
        parser.error("--speak is 0 or more than 1, and then --generate is more than 1: the original fails where it has "
                     "no frame or no answer to speak")


def messages_of(options):
    if options.messages is None:
        parts = [{"type": kind, kind: path} for kind, path in options.media or []]
        text = [{"type": "text", "text": options.prompt}] if options.prompt else []
        return [{"role": "user", "content": [*parts, *text] if parts else options.prompt}]
    try:
        messages = json.loads(options.messages)
    except ValueError as error:
        raise BadInput(f"--messages: {error}; expected a JSON array of objects with role and content") from error
    return messages


def with_paths(messages, change):
    """The same messages with every medium's path changed."""
    def changed(part):
        kind = part["type"]
        return part if kind == "text" else {"type": kind, kind: str(change(part[kind]))}

    return [m if isinstance(m["content"], str) else {**m, "content": [changed(part) for part in m["content"]]}
            for m in messages]


def beside(messages, folder):
    """With paths as `folder` sees them: a golden and its media can be moved together."""
    return with_paths(messages, lambda path: os.path.relpath(path, folder))


def add_media(text, messages, options):
    """(text with placeholders expanded, the media's tensors, what the metadata says of them)."""
    from transformers import Qwen3OmniMoeConfig

    import media  # which needs the processors; a text does not

    front = media.Front(options.model, options.fps)
    made = media.Media(front, Qwen3OmniMoeConfig.from_pretrained(options.model), options.audio_in_video)
    for kind, path in prompt.media_of(messages):
        made.add(kind, path)
    return made.expand(text), made.tensors(), {"fps": f"{options.fps:g}"} if made.videos else {}


def inputs_of(options):
    """(the `in.*` tensors, what the metadata says of a text and its media)."""
    if options.inputs:
        return tracefile.read(options.inputs)[0], {}
    tensors = {}
    if options.raw:
        text, metadata = options.prompt, {"raw": options.prompt}
    else:
        messages = messages_of(options)
        try:
            text = prompt.render(messages)
        except prompt.NotCovered as error:
            raise BadInput(f"--messages: {error}") from error
        kept = beside(messages, Path(options.out).resolve().parent)
        metadata = {"messages": json.dumps(kept, ensure_ascii=False)}
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"the prompt is not UTF-8: {error}") from error
    if not options.raw and prompt.media_of(messages):
        text, tensors, said = add_media(text, messages, options)
        metadata.update(said)
    ids = np.array(prompt.Tokenizer(options.model).encode(text), np.int64)
    return {"in.input_ids": ids, **tensors}, metadata
