#!/usr/bin/env python3
"""Copies a checkpoint with one tensor zeroed, for tests: zero_tensor.py FROM TO NAME; standard library only."""
import json
import shutil
import struct
import sys

source, target, name = sys.argv[1:]
shutil.copytree(source, target)
with open(f"{target}/model.safetensors.index.json", encoding="utf-8") as file:
    shard = json.load(file)["weight_map"][name]
with open(f"{target}/{shard}", "r+b") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    begin, end = json.loads(file.read(size))[name]["data_offsets"]
    file.seek(8 + size + begin)
    file.write(bytes(end - begin))
