"""Whether the pictures in a trace of inputs have the patches that front.json keeps a digest of.

    patches.py TRACE FRONT.json NAME

Each value must be one of the 256 that normalising a byte gives; the bytes are what is digested. Standard library only.
"""

import hashlib
import json
import struct
import sys
from array import array


def read(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    return {name: data[slice(*entry["data_offsets"])] for name, entry in header.items() if name != "__metadata__"}


def main():
    trace, front, name = sys.argv[1:]
    tensors = read(trace)
    with open(front, encoding="utf-8") as file:
        kept = json.load(file)
    level = {bits: number for number, bits in enumerate(kept["normalised_bits"])}
    grid = list(struct.unpack("<3q", tensors["in.image_grid_thw"]))
    wanted = kept["pictures"][name]
    if grid != wanted["grid"]:
        return f"grid {grid}, expected {wanted['grid']}"
    try:
        levels = bytes(level[bits] for bits in array("I", tensors["in.pixel_values"]))
    except KeyError as error:
        return f"the value of bits {error} is none that normalising gives"
    return 0 if hashlib.sha256(levels).hexdigest() == wanted["sha256"] else "other patches"


if __name__ == "__main__":
    sys.exit(main())
