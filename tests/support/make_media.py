#!/usr/bin/env python3
"""Makes media files for tests; standard library only.

    make_media.py wav OUT SAMPLES [KIND]      16 kHz, one channel, 16 bits: noise, zeros; nan, huge: float32
    make_media.py png OUT WIDTH HEIGHT [interlaced]
                                              a black picture, one bit a pixel: few bytes, however large
    make_media.py gif OUT WIDTH HEIGHT N      a film of N black frames, 10 a second
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


def png(out, width, height, form=""):
    width, height = int(width), int(height)
    passes = [(0, 0, 1, 1)]
    if form == "interlaced":
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    packer = zlib.compressobj(9)
    data = b""
    for x, y, step_x, step_y in passes:
        n_wide, n_high = (width - x + step_x - 1) // step_x, (height - y + step_y - 1) // step_y
        row = bytes(1 + (n_wide + 7) // 8)
        data += b"".join(packer.compress(row) for _ in range(n_high)) if n_wide > 0 else b""
    data += packer.flush()
    with open(out, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" +
                   chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, form == "interlaced")) +
                   chunk(b"IDAT", data) + chunk(b"IEND", b""))


def black_codes(n_pixel):
    """LZW codes of a run of zeros, two bits to begin with: each stands for one zero more than the one before."""
    bits, n_bit, width = 4, 3, 3
    known = 6  # codes that the decoder knows; 4 clears, 5 ends
    length = 0
    while n_pixel > 0:
        length = min(length + 1, n_pixel)
        bits |= (0 if length == 1 else 4 + length) << n_bit
        n_bit += width
        n_pixel -= length
        if length > 1:
            known += 1
        if known == 1 << width and width < 12:
            width += 1
        if known == 4095:
            bits |= 4 << n_bit
            n_bit += width
            known, width, length = 6, 3, 0
    bits |= 5 << n_bit
    return bits.to_bytes((n_bit + width + 7) // 8, "little")


def gif(out, width, height, n_frame):
    width, height, n_frame = int(width), int(height), int(n_frame)
    codes = black_codes(width * height)
    blocks = b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255)) + b"\0"
    frame = b"\x21\xf9\x04\0" + struct.pack("<H", 10) + b"\0\0" + b"\x2c" + struct.pack("<4HB", 0, 0, width, height, 0) + b"\2" + blocks
    with open(out, "wb") as file:
        file.write(b"GIF89a" + struct.pack("<2HBBB", width, height, 0xf1, 0, 0) + bytes(12))
        for _ in range(n_frame):
            file.write(frame)
        file.write(b";")


{"wav": wav, "png": png, "gif": gif}[sys.argv[1]](*sys.argv[2:])
