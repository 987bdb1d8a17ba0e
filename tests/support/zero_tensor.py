#!/usr/bin/env python3
"""Copies a checkpoint with one tensor zeroed, as a loader that forgot it leaves it: zero_tensor.py FROM TO NAME."""
import json
import shutil
import struct
import sys
from pathlib import Path

if len(sys.argv) != 4:
    sys.exit(__doc__)
source, target, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
try:
    shards = json.loads((source / "model.safetensors.index.json").read_text(encoding="utf-8"))["weight_map"]
except OSError as error:
    sys.exit(f"zero_tensor: {error}")
if name not in shards:
    sys.exit(f"zero_tensor: {source} has no tensor {name}; 'tessera inspect {source} --tensors \"*\"' lists them")
if target.exists():
    sys.exit(f"zero_tensor: {target} is there already; remove it first")
shutil.copytree(source, target)
with open(target / shards[name], "r+b") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    begin, end = json.loads(file.read(size))[name]["data_offsets"]
    file.seek(8 + size + begin)
    file.write(bytes(end - begin))
