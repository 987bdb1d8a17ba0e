"""What a report draws and plays of speech, checked against both traces: report_speech.py PAGE REFERENCE TRACE

Sounds are decoded from their data URLs and compared with the samples, spectra with a Fourier transform worked out here, the
outlines of waveforms with least and largest samples, and the cells of codes with both tensors. Prints a line for each.
"""
import array
import base64
import cmath
import html.parser
import json
import math
import re
import struct
import sys

COLUMNS, HOP, POINTS, LINES, KEPT, WIDE, LEFT, ROW = 512, 120, 400, 67, 480000, 1020, 76, 84


def read(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    return {name: (entry["shape"], array.array({"F32": "f", "I64": "q"}[entry["dtype"]], data[slice(*entry["data_offsets"])]))
            for name, entry in header.items() if name != "__metadata__"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.svg, self.codes, self.sounds, self.players, self.title = None, [], [], [], None

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "svg":
            self.svg = {"class": a.get("class"), "cells": [], "images": [], "paths": [], "first": 0}
            if self.svg["class"] == "codes":
                self.codes.append(self.svg)
            elif self.svg["class"] == "sound":
                self.sounds.append(self.svg)
        elif tag == "audio":
            self.players.append((a["aria-label"], a["src"], "controls" in a))
        elif tag == "rect" and a.get("class", "").startswith("code "):
            self.svg["cells"].append([a["class"].split()[1], ""])
        elif tag == "path" and self.svg["class"] == "sound":
            self.svg["paths"].append(a["d"])
        elif tag == "image" and self.svg["class"] == "sound":
            self.svg["images"].append(a["href"])
        elif tag == "line" and a.get("class") == "first":
            self.svg["first"] += 1
        self.title = tag == "title"

    def handle_data(self, data):
        if self.title and self.svg and self.svg["cells"] and not self.svg["cells"][-1][1]:
            self.svg["cells"][-1][1] = data


def samples_of(url):
    prefix = "data:audio/wav;base64,"
    assert url.startswith(prefix)
    wav = base64.b64decode(url[len(prefix):], validate=True)
    riff, size, wave, fmt, n, kind, channels, rate, per_second, block, bits, data, n_data = struct.unpack("<4sI4s4sIHHIIHH4sI", wav[:44])
    assert (riff, wave, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data") and size == len(wav) - 8 and n_data == len(wav) - 44
    assert (n, kind, channels, rate, per_second, block, bits) == (16, 1, 1, 24000, 48000, 2, 16)
    return list(array.array("h", wav[44:]))


def grey(url):
    bmp = base64.b64decode(url.removeprefix("data:image/bmp;base64,"), validate=True)
    (at,) = struct.unpack("<I", bmp[10:14])
    wide, high = struct.unpack("<ii", bmp[18:26])
    line = (wide + 3) // 4 * 4
    return [bmp[at + y * line : at + y * line + wide] for y in range(high)]  # low tones first


def power(values, n):
    """[line][moment] mean power, of a few moments only where they are many"""
    moments = (n + HOP - 1) // HOP
    assert moments <= COLUMNS
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / POINTS) for i in range(POINTS)]
    turns = [cmath.exp(-2j * math.pi * i / POINTS) for i in range(POINTS)]
    out = [[0.0] * moments for _ in range(LINES)]
    for moment in range(moments):
        first = moment * HOP - POINTS // 2
        frame = [w * (values[first + i] if 0 <= first + i < len(values) else 0) for i, w in enumerate(window)]
        for k in range(3 * LINES):
            out[k // 3][moment] += abs(sum(v * turns[i * k % POINTS] for i, v in enumerate(frame) if v)) ** 2 / 3
    return out


def expected_grey(grid, loudest):
    return [[255 * min(max(1 + 10 * math.log10(p / loudest) / 80, 0), 1) if p > 0 else 0 for p in row] for row in grid]


def envelope(path):
    """[(column's middle, top, bottom)] of one outline"""
    points = [tuple(map(float, point)) for point in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]
    half = len(points) // 2
    return [(x, y, points[-1 - i][1]) for i, (x, y) in enumerate(points[:half])]


page_path, reference_path, trace_path = sys.argv[1:]
page, reference, trace = Page(), read(reference_path), read(trace_path)
with open(page_path, encoding="utf-8") as file:
    page.feed(file.read())

if "tap.talker.codes" in reference:
    (books, frames), ours = reference["tap.talker.codes"]
    (_, found), theirs = trace["tap.talker.codes"]
    n = min(frames, found)
    differ = [(k, i) for k in range(books) for i in range(n) if ours[k * frames + i] != theirs[k * found + i]]
    other = [title for kind, title in page.codes[0]["cells"] if kind == "e7"]
    told = sum(int(m[1]) if (m := re.search(r": (\d+) of \d+ differ", title)) else 1 for title in other)
    print(f"codes: {books} x {frames}, {len(differ)} differ, {told} told, {len(other)} runs, {len(page.codes[0]['cells'])} cells")
    for title in other:
        frame = r"first in frame (\d+)" if "first in" in title else r"frame (\d+)"
        book, at, expected, got = (int(re.search(p, title)[1]) for p in (r"codebook (\d+)", frame, r"expected (\d+)", r"found (\d+)"))
        assert (ours[book * frames + at], theirs[book * found + at]) == (expected, got), title

name = "tap.code2wav.waveform"
if name in reference:
    sides = [list(reference[name][1]), list(trace[name][1])]
    n = len(sides[0])
    sides[1] = sides[1][:n]
    difference = [struct.unpack("f", struct.pack("f", a - b))[0] for a, b in zip(sides[1], sides[0])]
    sound = page.sounds[0]
    for k, (label, url, controls) in enumerate(page.players):
        want = [round(struct.unpack("f", struct.pack("f", v * 32767))[0]) for v in sides[k][:KEPT]]
        have = samples_of(url)
        assert controls
        print(f"player: {label}: {len(have)} samples, {sum(a != b for a, b in zip(want, have)) + abs(len(want) - len(have))} differ")
    scale = max(map(abs, sides[0] + sides[1]))
    for k, path in enumerate(sound["paths"][:2]):
        middle, off, n_column = 22 + k * (ROW + 12) + ROW / 2, 0, min(n, COLUMNS)
        drawn = envelope(path)
        for x, top, bottom in drawn:
            column = round((x - LEFT) / WIDE * n_column - 0.5)
            part = sides[k][-(-column * n // n_column) : -(-(column + 1) * n // n_column)]
            off += abs(top - (middle - max(part) / scale * ROW / 2)) > 0.06 or abs(bottom - (middle - min(part) / scale * ROW / 2)) > 0.06
        print(f"waveform: {len(drawn)} columns, {off} off")
    if n <= COLUMNS * HOP // 8:
        grids = [power(side, n) for side in sides]
        loudest = max(max(max(row) for row in grid) for grid in grids)
        shown = [(grid, loudest) for grid in grids]
        if any(difference):
            grid = power(difference, n)
            shown.append((grid, max(map(max, grid))))
        for (grid, top), url in zip(shown, sound["images"], strict=True):
            want, have = expected_grey(grid, top), grey(url)
            off = sum(abs(a - b) > 0.75 for x, y in zip(want, have, strict=True) for a, b in zip(x, y, strict=True))
            print(f"spectrum: {len(have[0])}x{len(have)}, {off} off")
    print(f"marked: {sound['first']}")
