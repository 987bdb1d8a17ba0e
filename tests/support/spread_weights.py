"""Gives a checkpoint's matrices weights that cannot be packed: spread_weights.py FOLDER PATTERN

Of tensors whose names match PATTERN every weight gets one of 40 high bytes, all as likely, from a generator with a
fixed seed: small numbers of many sizes.
"""
import json
import os
import random
import re
import struct
import sys

folder, pattern = sys.argv[1:]
random.seed(7)
high = [sign | exponent for sign in (0, 0x80) for exponent in range(0x2A, 0x3E)]
for name in sorted(os.listdir(folder)):
    if not name.endswith(".safetensors"):
        continue
    with open(f"{folder}/{name}", "r+b") as shard:
        (n,) = struct.unpack("<Q", shard.read(8))
        for key, entry in json.loads(shard.read(n)).items():
            if not re.search(pattern, key):
                continue
            begin, end = entry["data_offsets"]
            shard.seek(8 + n + begin)
            shard.write(bytes(b for _ in range((end - begin) // 2) for b in (random.randrange(256), random.choice(high))))
