#!/usr/bin/env python3
"""Makes a checkpoint that thinks before it answers: make_thinker.py FROM TO, FROM being tests/golden/e.

No layer adds anything, so that a token's hidden state is its embedding, and the head of each token of a list is the
embedding of the one before it: behind a question comes "<think>\nHm, yes!\n</think>\n\nFine." and the end, and behind a
closed thought the answer alone.
"""
import json
import shutil
import struct
import sys
from pathlib import Path

ONE = b"\x80\x3f"  # in bfloat16
source, target = map(Path, sys.argv[1:])
shutil.copytree(source, target)
vocab = json.loads((target / "vocab.json").read_text(encoding="utf-8"))
added = json.loads((target / "tokenizer_config.json").read_text(encoding="utf-8"))["added_tokens_decoder"]
ids = {token["content"]: int(i) for i, token in added.items()}
for token in ("ĊĊ", "ĊHm", ",Ġyes", "!Ċ", "Fine"):
    vocab[token] = len(vocab) + len(ids)
(target / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
with open(target / "merges.txt", "a", encoding="utf-8") as file:
    file.write("Ċ Ċ\n")
chain = [{**vocab, **ids}[token] for token in
         ("Ċ", "<think>", "ĊHm", ",Ġyes", "!Ċ", "</think>", "ĊĊ", "Fine", ".", "<|im_end|>")]


def rewritten(name, shape):
    """The bytes of a tensor that is another one; None: it stays."""
    if name.endswith((".o_proj.weight", ".down_proj.weight")):
        return bytes(2 * shape[0] * shape[1])
    if name == "thinker.model.norm.weight":
        return ONE * shape[0]
    if name not in ("thinker.model.embed_tokens.weight", "thinker.lm_head.weight"):
        return None
    table = bytearray(2 * shape[0] * shape[1])
    for place in range(len(chain) - 1):
        at = 2 * (chain[place + ("lm_head" in name)] * shape[1] + place)
        table[at:at + 2] = ONE
    return bytes(table)


for shard in target.glob("*.safetensors"):
    with open(shard, "r+b") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        for name, entry in json.loads(file.read(size)).items():
            made = rewritten(name, entry["shape"]) if name.startswith("thinker.") and ".visual." not in name else None
            if made is not None:
                file.seek(8 + size + entry["data_offsets"][0])
                file.write(made)
