#!/usr/bin/env python3
"""Changes a trace, for tests: edit_trace.py IN OUT ACTION...; standard library only.

    drop NAME · rename NAME NEW · add NAME INDEX VALUE · set NAME INDEX VALUE · scale NAME FACTOR · rows NAME FIRST END
    empty NAME SHAPE · meta KEY VALUE · unmeta KEY
Without "tap." a name gets it. `rows` keeps rows [FIRST, END) of the first axis; `empty` gives
a tensor a shape without elements, as 7x0.
"""
import array
import json
import struct
import sys

CODES = {"F32": "f", "I64": "q"}


def main():
    source, target, *words = sys.argv[1:]
    with open(source, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = [entry["dtype"], entry["shape"], array.array(CODES[entry["dtype"]], data[begin:end])]

    def full(name):
        return name if name.startswith(("tap.", "in.")) else "tap." + name

    words = iter(words)
    for action in words:
        if action == "meta":
            key = next(words)
            metadata[key] = next(words)
            continue
        if action == "unmeta":
            del metadata[next(words)]
            continue
        name = full(next(words))
        _, shape, values = tensors[name]
        if action == "drop":
            del tensors[name]
        elif action == "rename":
            tensors[full(next(words))] = tensors.pop(name)
        elif action in ("add", "set"):
            index, value = int(next(words)), float(next(words))
            value = value if values.typecode == "f" else int(value)
            values[index] = values[index] + value if action == "add" else value
        elif action == "scale":
            factor = float(next(words))
            tensors[name][2] = array.array("f", [value * factor for value in values])
        elif action == "rows":
            first, end = int(next(words)), int(next(words))
            width = len(values) // shape[0]
            tensors[name][2] = values[first * width : end * width]
            tensors[name][1] = [end - first] + shape[1:]
        elif action == "empty":
            tensors[name][1:] = [int(size) for size in next(words).split("x")], array.array(values.typecode)
        else:
            sys.exit(f"no action is named {action}")

    header, chunks, offset = ({"__metadata__": metadata} if metadata else {}), [], 0
    for name in sorted(tensors, key=lambda name: (tensors[name][0] != "I64", name)):
        dtype, shape, values = tensors[name]
        chunks.append(values.tobytes())
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(chunks[-1])]}
        offset += len(chunks[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


main()
