"""Two traces of a long answer, for tests: make_speech.py REFERENCE TRACE FRAMES FIRST; standard library only.

Tones that come and go like syllables, of FRAMES frames of 1,920 samples and their codes in 16 codebooks. The trace is off by
rounding, and from frame FIRST on it says something else: other codes, and another tone.
"""
import array
import json
import math
import struct
import sys

reference, trace, frames, first = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SAMPLES, LOST, RATE, BOOKS = 1920, 555, 24000, 16
n = SAMPLES * frames - LOST


def write(path, waveform, codes):
    header, data = {"__metadata__": {"dtype": "float32"}}, b""
    for name, kind, shape, values in (("tap.talker.codes", "I64", [BOOKS, frames], codes),
                                      ("tap.code2wav.waveform", "F32", [n], waveform)):
        raw = array.array({"F32": "f", "I64": "q"}[kind], values).tobytes()
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def sample(i, pitch):
    seconds = i / RATE
    loud = 0.3 * max(0.0, math.sin(2 * math.pi * 1.7 * seconds)) ** 2
    phase = 2 * math.pi * (pitch * seconds + 3 * math.sin(2 * math.pi * 0.6 * seconds))
    return loud * (math.sin(phase) + 0.5 * math.sin(3 * phase) + 0.2 * math.sin(20 * phase))


leaves = max(SAMPLES * first - LOST, 0)
ours = [sample(i, 140) for i in range(n)]
theirs = [v * (1 + 1e-6 * ((i * 7919) % 17 - 8)) for i, v in enumerate(ours[:leaves])] + [sample(i, 190) for i in range(leaves, n)]
book = [[(frame * 37 + k * 101) % 2048 for frame in range(frames)] for k in range(BOOKS)]
other = [[code if frame < first or (frame == first and k < 3) else (code * 5 + k) % 2048 for frame, code in enumerate(row)]
         for k, row in enumerate(book)]
write(reference, ours, sum(book, []))
write(trace, theirs, sum(other, []))
