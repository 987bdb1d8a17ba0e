"""Text to ids as the published model's own tools do it: chat template rules and the Qwen2 tokenizer.

The tokenizer is the `tokenizers` package, set up from vocab.json, merges.txt and the added tokens of
tokenizer_config.json exactly as the original's Qwen2 tokenizer class sets it up.
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


def render(messages, generation_prompt=True):
    """The chat template's rules for text: each turn in its markers, no default system turn."""
    text = ""
    for message in messages:
        if message["role"] not in ("system", "user", "assistant"):
            raise ValueError(f"role {message['role']!r} is not one of system, user, assistant")
        text += f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n"
    return text + ("<|im_start|>assistant\n" if generation_prompt else "")
