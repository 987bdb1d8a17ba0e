"""Damages a checkpoint in one way: damage.py FOLDER KIND ARGUMENT...

    shape TENSOR 1,2 | dtype TENSOR F16 | offsets TENSOR 0,8 | duplicate TENSOR     edit a header's entry
    remove TENSOR | rename TENSOR NEW        in the header; rename in the index too
    entry TENSOR TEXT | unlist TENSOR        edit the index
    poke TENSOR ELEMENT HEX                  write bytes over an element
    length FILE NUMBER | truncate FILE SIZE  header length; file size, negative: so much shorter
    config PATH JSON | unconfig PATH         set or delete a key of config.json, as a.b.c

Headers are rewritten with the data behind them; holes stay holes.
"""

import json
import os
import struct
import sys
from pathlib import Path

folder, kind, args = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
index_path = folder / "model.safetensors.index.json"


def shard_of(tensor):
    return folder / json.loads(index_path.read_text())["weight_map"][tensor]


def read_header(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length)), 8 + length


def write_header(path, text):
    """Moves the data: small files are copied, in large ones they are holes already."""
    start, size = read_header(path)[1], os.path.getsize(path)
    data = b""
    if size - start < 1 << 26:
        with open(path, "rb") as file:
            file.seek(start)
            data = file.read()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
        file.truncate(8 + len(text) + size - start)


def edit_header(tensor, edit):
    path = shard_of(tensor)
    header, _ = read_header(path)
    edit(header)
    write_header(path, json.dumps(header).encode())


def edit_index(edit):
    index = json.loads(index_path.read_text())
    edit(index["weight_map"])
    index_path.write_text(json.dumps(index))


def edit_config(path, edit):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    *outer, key = path.split(".")
    value = config
    for name in outer:
        value = value[name]
    edit(value, key)
    file.write_text(json.dumps(config))


if kind in ("shape", "offsets"):
    key = "shape" if kind == "shape" else "data_offsets"
    edit_header(args[0], lambda h: h[args[0]].update({key: [int(n) for n in args[1].split(",")]}))
elif kind == "dtype":
    edit_header(args[0], lambda h: h[args[0]].update({"dtype": args[1]}))
elif kind == "duplicate":
    file = shard_of(args[0])
    header = read_header(file)[0]
    entry = json.dumps({args[0]: header[args[0]]})
    write_header(file, (entry[:-1] + ", " + json.dumps(header)[1:]).encode())
elif kind == "remove":
    edit_header(args[0], lambda h: h.pop(args[0]))
elif kind == "rename":
    edit_header(args[0], lambda h: h.update({args[1]: h.pop(args[0])}))
    edit_index(lambda m: m.update({args[1]: m.pop(args[0])}))
elif kind == "entry":
    edit_index(lambda m: m.update({args[0]: args[1]}))
elif kind == "unlist":
    edit_index(lambda m: m.pop(args[0]))
elif kind == "poke":
    path = shard_of(args[0])
    header, start = read_header(path)
    with open(path, "r+b") as file:
        file.seek(start + header[args[0]]["data_offsets"][0] + 2 * int(args[1]))
        file.write(bytes.fromhex(args[2]))
elif kind == "length":
    with open(folder / args[0], "r+b") as file:
        file.write(struct.pack("<Q", int(args[1])))
elif kind == "truncate":
    size = int(args[1])
    os.truncate(folder / args[0], size if size >= 0 else os.path.getsize(folder / args[0]) + size)
elif kind == "config":
    edit_config(args[0], lambda c, key: c.update({key: json.loads(args[1])}))
elif kind == "unconfig":
    edit_config(args[0], lambda c, key: c.pop(key))
else:
    sys.exit(f"damage.py: no damage is named {kind!r}")
