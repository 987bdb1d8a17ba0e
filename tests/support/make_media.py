#!/usr/bin/env python3
"""Makes media files for tests; standard library only.

    make_media.py wav OUT SAMPLES [KIND]      16 kHz, one channel, 16 bits: noise, zeros; nan, huge: float32
    make_media.py png OUT WIDTH HEIGHT        a black picture, one bit a pixel: few bytes, however large
"""
import random
import struct
import sys
import zlib


def wav(out, n_sample, kind="noise"):
    n_sample = int(n_sample)
    if kind in ("nan", "huge"):
        values = [0.25] * n_sample
        values[n_sample // 2] = float("nan") if kind == "nan" else 1e20
        form, data = struct.pack("<HHIIHH", 3, 1, 16000, 64000, 4, 32), struct.pack(f"<{n_sample}f", *values)
    else:
        source = random.Random(7)
        values = [source.randrange(-9000, 9000) if kind == "noise" else 0 for _ in range(n_sample)]
        form, data = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16), struct.pack(f"<{n_sample}h", *values)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    with open(out, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(body)) + body)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(out, width, height):
    width, height = int(width), int(height)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    with open(out, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) +
                   chunk(b"IDAT", data) + chunk(b"IEND", b""))


{"wav": wav, "png": png}[sys.argv[1]](*sys.argv[2:])
