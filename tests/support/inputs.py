#!/usr/bin/env python3
"""Looks at files of in.* tensors, for tests; standard library only.

    inputs.py shapes FILE           each tensor's name and shape on a line
    inputs.py values FILE NAME...   the values of each of some tensors on a line
    inputs.py same A B              exit 1 unless both hold the same tensors with the same bytes
    inputs.py near A B BAR          the same tensors and shapes; whole numbers equal, others within BAR: prints the largest
                                    difference, exit 1 if it is larger
    inputs.py joined ALL ONE...     exit 1 unless the tensors of ALL are those of the others one after the other
"""
import array
import json
import struct
import sys

CODES = {"F32": "f", "I64": "q"}


def read(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    header.pop("__metadata__", None)
    return {name: (entry["shape"], array.array(CODES[entry["dtype"]], data[slice(*entry["data_offsets"])]))
            for name, entry in header.items()}


def spell(shape):
    return "x".join(map(str, shape))


def join(parts):
    """Frames lie side by side, everything else one below the other."""
    whole = {}
    for part in parts:
        for name, (shape, values) in part.items():
            whole.setdefault(name, []).append((shape, values))
    joined = {}
    for name, pieces in whole.items():
        values = array.array(pieces[0][1].typecode)
        if name == "in.input_features":
            for band in range(pieces[0][0][0]):
                for (_, n), piece in pieces:
                    values += piece[band * n:(band + 1) * n]
            joined[name] = [pieces[0][0][0], sum(shape[1] for shape, _ in pieces)], values
        else:
            for _, piece in pieces:
                values += piece
            joined[name] = [sum(shape[0] for shape, _ in pieces)] + pieces[0][0][1:], values
    return joined


def main():
    action, *words = sys.argv[1:]
    if action == "shapes":
        for name, (shape, _) in sorted(read(words[0]).items()):
            print(name, spell(shape))
    elif action == "values":
        tensors = read(words[0])
        for name in words[1:]:
            print(*tensors[name][1])
    elif action == "same":
        a, b = map(read, words)
        sys.exit(a != b)
    elif action == "joined":
        sys.exit(read(words[0]) != join([read(word) for word in words[1:]]))
    elif action == "near":
        a, b = map(read, words[:2])
        if {name: shape for name, (shape, _) in a.items()} != {name: shape for name, (shape, _) in b.items()}:
            sys.exit("other tensors or shapes")
        worst = 0
        for name, (_, values) in a.items():
            if values.typecode == "q" and values != b[name][1]:
                sys.exit(f"{name}: other values")
            worst = max([worst] + [abs(x - y) if x == x and y == y else float("inf") for x, y in zip(values, b[name][1])])
        print(f"{worst:.2e}")
        sys.exit(not worst <= float(words[2]))


if __name__ == "__main__":
    main()
