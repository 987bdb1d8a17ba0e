"""Text to ids as the published model's own tools do it: chat template rules and the Qwen2 tokenizer.

The tokenizer is the `tokenizers` package, set up from vocab.json, merges.txt and the added tokens of
tokenizer_config.json exactly as the original's Qwen2 tokenizer class sets it up; that class itself reads a folder with
tokenizer.json.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer as Backend, decoders, models, normalizers, pre_tokenizers

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def backend(vocab, merges):
    """The tokenizer without added tokens, from a vocabulary and a list of pairs."""
    tokenizer = Backend(models.BPE(vocab=vocab, merges=merges, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class Tokenizer:
    def __init__(self, folder):
        folder = Path(folder)
        if (folder / "tokenizer.json").exists():
            from transformers import Qwen2Tokenizer

            self.backend = Qwen2Tokenizer.from_pretrained(folder).backend_tokenizer
            return
        vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        merges = []
        for line in (folder / "merges.txt").read_text(encoding="utf-8").split("\n"):
            if line and not line.startswith("#version"):
                merges.append(tuple(line.split(" ")))
        self.backend = backend(vocab, merges)
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        for _, token in sorted(config["added_tokens_decoder"].items(), key=lambda item: int(item[0])):
            flags = {key: token[key] for key in ("lstrip", "rstrip", "single_word", "normalized", "special")}
            self.backend.add_tokens([AddedToken(token["content"], **flags)])
        for token_id, token in config["added_tokens_decoder"].items():
            found = self.backend.token_to_id(token["content"])
            if found != int(token_id):
                raise ValueError(f"{token['content']}: id {found} after the vocabulary, {token_id} in the file")

    def encode(self, text):
        return self.backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids, skip_special=False):
        return self.backend.decode(list(ids), skip_special_tokens=skip_special)


PARTS = {
    "audio": "<|audio_start|><|audio_pad|><|audio_end|>", "image": "<|vision_start|><|image_pad|><|vision_end|>",
    "video": "<|vision_start|><|video_pad|><|vision_end|>",
}
PADS = ("<|audio_pad|>", "<|image_pad|>", "<|video_pad|>")


class NotCovered(ValueError):
    """Messages of which the short rules below do not know what the template makes."""


def check_parts(content, place):
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in (*PARTS, "text") or set(part) != {"type", kind} or not isinstance(part[kind], str):
            raise NotCovered(f"{place}.content[{index}]: found {json.dumps(part)[:80]}, expected a type – text, audio, image "
                             "or video – and under its name a text or the path of a file")


def texts_of(content):
    """The text in a content, that of media left out."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def media_of(messages):
    """The media of a conversation in order, each (kind, path)."""
    lists = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return [(part["type"], part[part["type"]]) for content in lists for part in content if part["type"] != "text"]


def check(messages):
    """Refuses what is no conversation in texts, and what the template renders by further rules: a golden made from
    another prompt than the template's would accuse whoever renders it right."""
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise NotCovered("expected a JSON array of objects with role and content, at least one")
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if message.get("role") not in ("system", "user", "assistant"):
            raise NotCovered(f"{place}.role: found {message.get('role')!r}, expected system, user or assistant")
        content = message.get("content")
        if message["role"] == "user" and isinstance(content, list):
            check_parts(content, place)
        elif not isinstance(content, str):
            raise NotCovered(f"{place}.content: found {json.dumps(content)[:80]}, expected a text")
        for key in message.keys() - {"role", "content"}:
            if message[key] is not None:
                raise NotCovered(f"{place}.{key}: found {json.dumps(message[key])[:80]}, expected nothing")
        if message["role"] == "assistant" and "</think>" in content:
            raise NotCovered(f"{place}.content: found reasoning, which the template may leave out")
        if message["role"] == "user" and texts_of(content).startswith("<tool_response>"):
            raise NotCovered(f"{place}.content: found the answer of a tool, expected a question")
    if media_of(messages) and any(pad in texts_of(message["content"]) for message in messages for pad in PADS):
        raise NotCovered("messages: found a placeholder's token in a text beside media")
    questions = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if any(message["role"] == "assistant" for message in messages[(questions or [-1])[-1] + 1 :]):
        raise NotCovered("messages: found an assistant's turn after the last question, expected none")


def content_text(content):
    """A content as the template writes it: parts without anything between them, media as one placeholder each."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else PARTS[part["type"]] for part in content)


def render(messages, generation_prompt=True):
    """The chat template's rules for text and media: each turn in its markers, no default system turn."""
    check(messages)
    text = "".join(f"<|im_start|>{m['role']}\n{content_text(m['content'])}<|im_end|>\n" for m in messages)
    return text + ("<|im_start|>assistant\n" if generation_prompt else "")
