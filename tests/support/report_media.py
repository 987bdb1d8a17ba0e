"""What a report draws of a golden's media, checked against its tensors: report_media.py PAGE GOLDEN MERGE

Every picture is decoded from its data URL and compared, pixel for pixel, with the patches put together here; only such
pictures are asked for as are not made smaller. Prints one line per drawing: its name, its size, how many pixels differ,
its cells and those beyond the bar.
"""
import array
import base64
import html.parser
import json
import struct
import sys

page, golden, merge = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(golden, "rb") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    header, data = json.loads(file.read(size)), file.read()


def tensor(name):
    begin, end = header[name]["data_offsets"]
    return array.array({"F32": "f", "I64": "q"}[header[name]["dtype"]], data[begin:end])


def byte(value):
    return min(max(round(127.5 * (value + 1)), 0), 255)


def frames(pixels, grids):
    """(kind's number, step, frame) -> rows of pixels, three numbers each"""
    values, grids, width, first, found = tensor(pixels), tensor(grids), header[pixels]["shape"][1], 0, {}
    side = 16
    assert width == 3 * 2 * side * side
    for number in range(len(grids) // 3):
        steps, high, wide = grids[3 * number : 3 * number + 3]
        for step in range(steps):
            pictures = [[[0] * (3 * wide * side) for _ in range(high * side)] for _ in range(2)]
            order = [(top + y, left + x) for top in range(0, high, merge) for left in range(0, wide, merge)
                     for y in range(merge) for x in range(merge)]
            for row, column in order:
                patch = values[first * width : (first + 1) * width]
                first += 1
                at = 0
                for channel in range(3):
                    for frame in range(2):
                        for y in range(side):
                            for x in range(side):
                                pictures[frame][row * side + y][3 * (column * side + x) + channel] = byte(patch[at])
                                at += 1
            for frame in range(2):
                found[number + 1, step + 1, frame + 1] = pictures[frame]
    return found


def decode(url):
    """rows of a BMP, top row first, its numbers in the order red, green, blue"""
    prefix = "data:image/bmp;base64,"
    assert url.startswith(prefix)
    bmp = base64.b64decode(url[len(prefix) :], validate=True)
    magic, length, at = bmp[:2], *struct.unpack("<I4xI", bmp[2:14])
    head, wide, high, planes, bits, packing = struct.unpack("<IiiHHI", bmp[14:34])
    assert magic == b"BM" and length == len(bmp) and head == 40 and planes == 1 and packing == 0
    n, line = bits // 8, (wide * bits // 8 + 3) // 4 * 4
    assert at + line * high == len(bmp)
    rows = [bmp[at + y * line : at + y * line + wide * n] for y in range(high - 1, -1, -1)]
    if n == 1:
        assert bmp[54:58] == bytes(4) and bmp[at - 4 : at] == b"\xff\xff\xff\0"
        return wide, high, rows
    return wide, high, [[v for x in range(wide) for v in row[3 * x : 3 * x + 3][::-1]] for row in rows]


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.drawing, self.drawings = None, []

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "svg":
            self.drawing = {"name": a["aria-label"], "class": a.get("class"), "cells": 0, "beyond": 0, "image": None}
            self.drawings.append(self.drawing)
        elif tag == "image":
            self.drawing["image"] = (a.get("id"), a["href"])
        elif tag == "rect" and {"token", "moment"} & set(a.get("class", "").split()):
            self.drawing["cells"] += 1
            self.drawing["beyond"] += "beyond" in a["class"].split()


def spectrogram():
    """the frames of all clips, [frame][mel]"""
    values, (n_mel, n) = tensor("in.input_features"), header["in.input_features"]["shape"]
    return [[values[m * n + i] for m in range(n_mel)] for i in range(n)]


reader = Page()
with open(page, encoding="utf-8") as file:
    reader.feed(file.read())
expected = {}
if "in.pixel_values" in header:
    expected |= {("image", *key): rows for key, rows in frames("in.pixel_values", "in.image_grid_thw").items()}
if "in.pixel_values_videos" in header:
    expected |= {("video", *key): rows for key, rows in frames("in.pixel_values_videos", "in.video_grid_thw").items()}
clip = 0
for drawing in reader.drawings:
    if drawing["class"] not in ("frame", "errors", "clip"):
        continue
    size = differ = "-"
    if drawing["image"]:
        identity, url = drawing["image"]
        wide, high, rows = decode(url)
        size = f"{wide}x{high}"
        if drawing["class"] == "clip":
            lengths = list(tensor("in.audio_feature_lengths"))
            begin = sum(lengths[:clip])
            mel = spectrogram()[begin : begin + lengths[clip]]
            clip += 1
            line = [[sum(frame[k : k + 2]) / 2 for frame in mel] for k in range(0, len(mel[0]), 2)][::-1]
            low, top = min(map(min, line)), max(map(max, line))
            differ = sum(abs(255 * (v - low) / (top - low) - byte_) > 0.51
                         for want, row in zip(line, rows, strict=True) for v, byte_ in zip(want, row, strict=True))
        else:
            _, kind, *place = identity.split("-")
            want = expected.pop((kind, *map(int, place)))
            differ = sum(v != w for a, b in zip(want, rows, strict=True) for v, w in zip(a, b, strict=True))
    print(f"{drawing['name']}: {size}, {differ} differ, {drawing['cells']} cells, {drawing['beyond']} beyond")
print(f"not drawn: {sorted(expected)}")
