#!/usr/bin/env python3
"""Sets one bfloat16 weight of a checkpoint in place, for tests: set_weight.py FOLDER NAME ELEMENT BITS."""
import json
import struct
import sys

folder, name, element, bits = sys.argv[1:]
with open(f"{folder}/model.safetensors.index.json", encoding="utf-8") as file:
    shard = json.load(file)["weight_map"][name]
with open(f"{folder}/{shard}", "r+b") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    begin, _ = json.loads(file.read(size))[name]["data_offsets"]
    file.seek(8 + size + begin + 2 * int(element))
    file.write(struct.pack("<H", int(bits, 16)))
