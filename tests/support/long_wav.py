#!/usr/bin/env python3
"""Writes SECONDS of sound that is nowhere the same: long_wav.py OUT SECONDS.

Seconds of noise, each as loud as its number says; 16 kHz, one channel, 16 bits.
"""
import random
import struct
import sys
from array import array

out, n_second = sys.argv[1], int(sys.argv[2])
source = random.Random(5)
noise = [array("h", (source.randrange(-9000, 9000) * loud // 13 for _ in range(16000))) for loud in range(1, 14)]
if sys.byteorder == "big":
    for second in noise:
        second.byteswap()
with open(out, "wb") as file:
    n_byte = n_second * 32000
    file.write(b"RIFF" + struct.pack("<I", 36 + n_byte) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16))
    file.write(b"data" + struct.pack("<I", n_byte))
    for i in range(n_second):
        second = noise[i * i % 13]
        at = i * 2477 % 16000  # turned about, so that seconds of one loudness differ
        file.write(second[at:].tobytes() + second[:at].tobytes())
