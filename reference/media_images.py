"""Image files of every kind in tests/data/media/images, and what Pillow makes of them: upright (EXIF), alpha laid on
white, to RGB. pixels.txt has a line for each: file, width, height, SHA-256 of the RGB bytes. Needs Pillow and NumPy only.
--check: whether the files that are there still give what pixels.txt says.
"""

import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parent.parent / "tests/data/media/images"
W, H = 45, 37


def scene(width=W, height=H):
    """Slopes, edges of colour and noise: what tells ways of decoding apart."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([255 * x // width, 255 * y // height, (5 * x + 3 * y) % 256], -1)
    rgb[height // 4 : height // 2, width // 4 : width // 2] = [250, 10, 10]
    rgb[height // 2 : 3 * height // 4, width // 3 : width // 2] = [10, 10, 250]
    rgb[:, 3 * width // 4 :] += random.integers(-40, 40, rgb[:, 3 * width // 4 :].shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def opacity(width=W, height=H):
    y, x = np.mgrid[:height, :width]
    alpha = np.clip((x * 7 + y * 3) % 300, 0, 255)
    alpha[height // 3 : height // 2] = 0
    return alpha.astype(np.uint8)


def on_white(image):
    """The rule of the specification, where Pillow's convert() would drop the alpha."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
        c, a = rgba[..., :3], rgba[..., 3:]
        return ((2 * (c * a + 255 * (255 - a)) + 255) // 510).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def saved(image, **options):
    data = io.BytesIO()
    image.save(data, **options)
    return data.getvalue()


# ---- PNG of every depth, which Pillow itself does not write


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(rows, step):
    """Rows of bytes, with the five filters in turn."""
    out, before = b"", np.zeros_like(rows[0])
    for i, row in enumerate(rows):
        kind = i % 5
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]]) if len(row) > step else np.zeros_like(row)
        corner = np.concatenate([np.zeros(step, np.uint8), before[:-step]]) if len(row) > step else np.zeros_like(row)
        a, b, c = left.astype(int), before.astype(int), corner.astype(int)
        p = a + b - c
        paeth = np.where((abs(p - a) <= abs(p - b)) & (abs(p - a) <= abs(p - c)), a, np.where(abs(p - b) <= abs(p - c), b, c))
        guess = [0 * a, a, b, (a + b) // 2, paeth][kind]
        out += bytes([kind]) + ((row.astype(int) - guess) % 256).astype(np.uint8).tobytes()
        before = row
    return out


def packed(samples, depth):
    """[height, width, channels] to rows of bytes."""
    height = samples.shape[0]
    if depth == 16:
        return samples.astype(">u2").reshape(height, -1).view(np.uint8)
    if depth == 8:
        return samples.astype(np.uint8).reshape(height, -1)
    bits = (samples.reshape(height, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)


def png(samples, kind, depth, interlaced=False, extra=b"", cut=None):
    height, width, n = samples.shape
    step = max(1, n * depth // 8)
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    data = b""
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            data += filtered(packed(part, depth), step)
    data = zlib.compress(data[:cut], 9)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_files():
    rgb, alpha = scene(), opacity()
    grey = rgb[..., :1]
    random = np.random.default_rng(3)
    low = random.integers(0, 256, (H, W, 4))
    files = {}
    for interlaced in (False, True):
        tail = "-interlaced" if interlaced else ""
        for depth in (1, 2, 4, 8):
            files[f"grey{depth}{tail}"] = png(grey >> (8 - depth), 0, depth, interlaced)
            palette = random.integers(0, 256, (1 << depth, 3)).astype(np.uint8).tobytes()
            plte = chunk(b"PLTE", palette)
            index = grey >> (8 - depth)
            files[f"palette{depth}{tail}"] = png(index, 3, depth, interlaced, plte)
            clear = chunk(b"tRNS", random.integers(0, 256, max(1, (1 << depth) - 1)).astype(np.uint8).tobytes())
            files[f"palette{depth}-clear{tail}"] = png(index, 3, depth, interlaced, plte + clear)
        rgba = np.concatenate([rgb, alpha[..., None]], -1)
        la = rgba[..., [0, 3]]
        files[f"rgb8{tail}"] = png(rgb, 2, 8, interlaced)
        files[f"rgba8{tail}"] = png(rgba, 6, 8, interlaced)
        files[f"la8{tail}"] = png(la, 4, 8, interlaced)
        files[f"rgb16{tail}"] = png(rgb.astype(int) * 256 + low[..., :3], 2, 16, interlaced)
        files[f"rgba16{tail}"] = png(rgba.astype(int) * 256 + low, 6, 16, interlaced)
        files[f"la16{tail}"] = png(la.astype(int) * 256 + low[..., :2], 4, 16, interlaced)
    files["palette-too-short"] = png(grey >> 3, 3, 8, extra=chunk(b"PLTE", bytes(range(60, 90))))
    files["grey16"] = png((grey.astype(int) * 256 + low[..., :1]) >> 2, 0, 16)
    files["grey16-low"] = png(grey.astype(int) + (low[..., :1] > 200) * 30, 0, 16)
    files["grey8-clear"] = png(grey, 0, 8, extra=chunk(b"tRNS", struct.pack(">H", int(grey[20, 20, 0]))))
    files["grey4-clear"] = png(grey >> 4, 0, 4, extra=chunk(b"tRNS", struct.pack(">H", int(grey[20, 20, 0]) >> 4)))
    files["rgb8-clear"] = png(rgb, 2, 8, extra=chunk(b"tRNS", struct.pack(">HHH", 250, 10, 10)))
    exif = Image.Exif()
    exif[274] = 6
    files["turned"] = png(rgb, 2, 8, extra=chunk(b"eXIf", exif.tobytes()[6:]))
    return {f"{name}.png": data for name, data in files.items()}


# ---- the other kinds


def jpeg_files():
    image = Image.fromarray(scene())
    files = {}
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        files[f"{name}.jpg"] = saved(image, format="JPEG", quality=80, subsampling=sampling)
        files[f"{name}-progressive.jpg"] = saved(image, format="JPEG", quality=60, subsampling=sampling, progressive=True)
    files["rgb.jpg"] = saved(image, format="JPEG", quality=80, keep_rgb=True)
    files["restart.jpg"] = saved(image, format="JPEG", quality=70, restart_marker_blocks=3)
    files["grey.jpg"] = saved(image.convert("L"), format="JPEG", quality=75)
    files["grey-progressive.jpg"] = saved(image.convert("L"), format="JPEG", quality=75, progressive=True)
    inks = np.concatenate([255 - scene(), opacity()[..., None] // 2], -1)
    cmyk = saved(Image.fromarray(inks, "CMYK"), format="JPEG", quality=80)
    files["cmyk.jpg"] = cmyk
    at = cmyk.index(b"Adobe") + 11
    files["ycck.jpg"] = cmyk[:at] + b"\x02" + cmyk[at + 1 :]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        files[f"orientation{orientation}.jpg"] = saved(image, format="JPEG", quality=80, exif=exif)
    # The same in the other order of bytes, and with junk before the next segment.
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0"
    plain = files["420.jpg"]
    files["big-endian.jpg"] = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    files["named.png"] = plain
    files["tiny.jpg"] = saved(Image.fromarray(scene(1, 1)), format="JPEG")
    return files


def webp_files():
    image = Image.fromarray(scene())
    clear = Image.fromarray(np.concatenate([scene(), opacity()[..., None]], -1), "RGBA")
    exif = Image.Exif()
    exif[274] = 5
    other = Image.fromarray(scene()[::-1].copy())
    return {
        "lossy.webp": saved(image, format="WEBP", quality=70),
        "lossless.webp": saved(image, format="WEBP", lossless=True),
        "alpha.webp": saved(clear, format="WEBP", quality=70),
        "alpha-lossless.webp": saved(clear, format="WEBP", lossless=True, exact=True),
        "turned.webp": saved(image, format="WEBP", quality=70, exif=exif),
        "animated.webp": saved(clear, format="WEBP", quality=50, save_all=True, append_images=[other], duration=100),
    }


def gif_frame(codes, left=0, top=0, width=W, height=H, flags=0, control=b""):
    return control + b"," + struct.pack("<HHHHB", left, top, width, height, flags) + codes


def gif_files():
    image = Image.fromarray(scene())
    indexed = image.quantize(64)
    files = {
        "palette.gif": saved(indexed, format="GIF", interlace=0),
        "interlaced.gif": saved(indexed, format="GIF", interlace=1),
        "grey.gif": saved(image.convert("L"), format="GIF"),
        "clear.gif": saved(indexed, format="GIF", transparency=5),
        "two-colours.gif": saved(image.convert("1"), format="GIF"),
        "animated.gif": saved(indexed, format="GIF", save_all=True, append_images=[indexed.rotate(180)], duration=50),
    }
    # A picture smaller than its canvas, one that leaves it, and neither palette: from the codes Pillow wrote.
    data = files["palette.gif"]
    at = data.index(b",", 13 + 3 * 64)
    codes = data[at + 10 : -1]
    palette = data[13 : 13 + 3 * 64]
    head = lambda w, h, flags: b"GIF89a" + struct.pack("<HHBBB", w, h, flags, 0, 0)
    control = b"!\xf9\x04\x01\0\0\x09\0"
    files["small-on-canvas.gif"] = head(80, 70, 0xF5) + palette + gif_frame(codes, 7, 11) + b";"
    files["small-clear.gif"] = head(80, 70, 0xF5) + palette + gif_frame(codes, 7, 11, control=control) + b";"
    files["beyond-canvas.gif"] = head(40, 30, 0xF5) + palette + gif_frame(codes, 3, 2) + b";"
    files["palette-too-short.gif"] = head(W, H, 0xF3) + palette[: 3 * 16] + gif_frame(codes) + b";"
    files["no-palette.gif"] = head(W, H, 0x70) + gif_frame(codes) + b";"
    files["local-palette.gif"] = head(W, H, 0x70) + b"," + struct.pack("<HHHHB", 0, 0, W, H, 0x85) + palette + codes + b";"
    return files


def bmp(bits, data, palette=b"", compression=0, masks=b"", height=H, size=40, width=W):
    offset = 14 + max(size, 40) + (len(masks) if size == 40 else 0) + len(palette)
    head = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, len(data), 2835, 2835, len(palette) // 4, 0)
    head += masks + (b"\0" * (size - 40 - len(masks)) if size > 40 else b"")
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + head + palette + data


def padded(rows):
    return b"".join(row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in rows[::-1])


def bmp_files():
    rgb = scene()
    image = Image.fromarray(rgb)
    bgr = rgb[..., ::-1]
    random = np.random.default_rng(11)
    alpha = opacity()[..., None]
    r, g, b = (rgb[..., i].astype(int) for i in range(3))
    five = ((r >> 3) << 10 | (g >> 3) << 5 | b >> 3).astype("<u2")
    six = ((r >> 3) << 11 | (g >> 2) << 5 | b >> 3).astype("<u2")
    palette = np.concatenate([random.integers(0, 256, (16, 3)), np.zeros((16, 1), int)], -1).astype(np.uint8).tobytes()
    index = rgb[..., 0] >> 4
    even = np.pad(index, ((0, 0), (0, W % 2)))
    four = (even[:, ::2] << 4 | even[:, 1::2]).astype(np.uint8)
    runs = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in index[::-1].astype(int).tolist()) + b"\0\1"
    masks = lambda *m: struct.pack(f"<{len(m)}I", *m)
    files = {
        "rgb.bmp": saved(image, format="BMP"),
        "palette.bmp": saved(image.quantize(100), format="BMP"),
        "grey.bmp": saved(image.convert("L"), format="BMP"),
        "bits.bmp": saved(image.convert("1"), format="BMP"),
        "palette4.bmp": bmp(4, padded(four), palette),
        "rle8.bmp": bmp(8, runs, palette, 1),
        "top-down.bmp": bmp(24, b"".join(row.tobytes() + b"\0" * (-3 * W % 4) for row in bgr), height=-H),
        "rgb555.bmp": bmp(16, padded(five)),
        "rgb565.bmp": bmp(16, padded(six), compression=3, masks=masks(0xF800, 0x7E0, 0x1F)),
        "rgbx32.bmp": bmp(32, padded(np.concatenate([bgr, alpha], -1))),
        "rgba32.bmp": bmp(32, padded(np.concatenate([bgr, alpha], -1)), compression=3, size=108,
                          masks=masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "all-clear.bmp": bmp(32, padded(np.concatenate([bgr, 0 * alpha], -1)), compression=3, size=108,
                             masks=masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "os2.bmp": b"BM" + struct.pack("<IHHIIHHHH", 26 + H * (3 * W + -3 * W % 4), 0, 0, 26, 12, W, H, 1, 24) + padded(bgr),
    }
    return files


def tiff(width, bits, photometric, data, order="<", **more):
    """One strip, not compressed."""
    tags = {256: (3, [width]), 257: (3, [H]), 258: (3, bits), 259: (3, [1]), 262: (3, [photometric]), 273: (4, [0]),
            277: (3, [len(bits)]), 278: (3, [H]), 279: (4, [len(data)]), **{int(k[1:]): v for k, v in more.items()}}
    for _ in range(2):
        end, entries, outside = 14 + 12 * len(tags), b"", b""
        for tag, (kind, values) in sorted(tags.items()):
            value = struct.pack(f"{order}{len(values)}{' BxHI'[kind]}", *values)
            if len(value) > 4:
                outside += value
                value = struct.pack(order + "I", end + len(outside) - len(value))
            entries += struct.pack(order + "HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
        tags[273] = (4, [end + len(outside)])
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IH", 8, len(tags)) + entries + b"\0\0\0\0" + outside + data


def tiff_files():
    rgb, low = scene().astype(int), np.random.default_rng(1).integers(0, 256, (H, W, 4))
    rgba = np.concatenate([rgb, opacity()[..., None]], -1)
    deep = rgba * 256 + low
    image = Image.fromarray(scene())
    clear = Image.fromarray(np.concatenate([scene(), opacity()[..., None]], -1), "RGBA")
    exif = Image.Exif()
    exif[274] = 3
    files = {}
    files["rgb16-big-endian.tiff"] = tiff(W, [16] * 3, 2, deep[..., :3].astype(">u2").tobytes(), ">")
    files["rgba16.tiff"] = tiff(W, [16] * 4, 2, deep.astype("<u2").tobytes(), t338=(3, [2]))
    files["rgbx.tiff"] = tiff(W, [8] * 4, 2, rgba.astype("u1").tobytes(), t338=(3, [0]))
    files["rgbx16.tiff"] = tiff(W, [16] * 4, 2, deep.astype("<u2").tobytes(), t338=(3, [0]))
    files["white-is-0.tiff"] = tiff(W, [8], 0, rgb[..., 0].astype("u1").tobytes())
    half = W // 2 * 2
    fours = (rgb[:, :half:2, 0] >> 4 << 4 | rgb[:, 1:half:2, 0] >> 4).astype("u1").tobytes()
    files["grey4.tiff"] = tiff(half, [4], 1, fours)
    files["palette4.tiff"] = tiff(half, [4], 3, fours, t320=(3, [int(v) * 257 for v in low.flat[:48]]))
    files["predictor.tiff"] = saved(clear, format="TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
    for name, compression in (("raw", None), ("lzw", "tiff_lzw"), ("packbits", "packbits"), ("deflate", "tiff_adobe_deflate")):
        files[f"rgb-{name}.tiff"] = saved(image, format="TIFF", compression=compression)
    files["rgba.tiff"] = saved(clear, format="TIFF", compression="tiff_lzw")
    files["grey.tiff"] = saved(image.convert("L"), format="TIFF", compression="tiff_lzw")
    files["la.tiff"] = saved(clear.convert("LA"), format="TIFF", compression="tiff_lzw")
    files["palette.tiff"] = saved(image.quantize(50), format="TIFF")
    files["bits.tiff"] = saved(image.convert("1"), format="TIFF")
    files["fax.tiff"] = saved(image.convert("1"), format="TIFF", compression="group4")
    files["grey16.tiff"] = saved(Image.fromarray((scene()[..., 0].astype("<u2") * 3)), format="TIFF")
    files["turned.tiff"] = saved(image, format="TIFF", compression="tiff_lzw", exif=exif)
    files["pages.tiff"] = saved(image.resize((20, 10)), format="TIFF", save_all=True, append_images=[image.resize((9, 9))])
    return files


# ---- which way up


def upright_files():
    """One picture stored in all eight ways: upright all are the same."""
    rgb = scene(31, 23)
    stored = {1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.swapaxes(0, 1),
              6: np.rot90(rgb), 7: rgb[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(rgb, 3)}
    return {f"upright{n}.png": png(np.ascontiguousarray(way), 2, 8, extra=chunk(b"eXIf", exif_entry(3, bytes([n, 0]))))
            for n, way in stored.items()}


# ---- the same, where EXIF data do not say it plainly


def xmp(orientation, element=False):
    """A packet that says it by an attribute or an element."""
    said = "<tiff:Orientation>%d</tiff:Orientation>" if element else '<rdf:Description tiff:Orientation="%d"/>'
    return ('<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>' + said % orientation + '<?xpacket end="w"?>').encode()


def exif_entry(kind, value, tag=274):
    """EXIF data of one tag whose value, at most 4 bytes, is of a kind."""
    size = {1: 1, 3: 2, 4: 4, 11: 4}[kind]
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI", tag, kind, len(value) // size) + value.ljust(4, b"\0") + bytes(4)


def turned_files():
    """EXIF data count before XMP as soon as they have the tag, whatever it says."""
    image = Image.fromarray(scene(15, 11))
    plain = saved(image, format="JPEG", quality=90)
    webp = saved(image, format="WEBP", lossless=True)
    picture = b"VP8L" + webp[16:]

    def jpeg(*segments):
        return plain[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments) + plain[2:]

    def png(*chunks, behind=b""):
        data = saved(image, format="PNG")
        return data[:33] + b"".join(chunks) + data[33:-12] + behind + data[-12:]

    def riff(flags, *chunks):
        head = b"VP8X" + struct.pack("<IB", 10, flags) + b"\0\0\0" + struct.pack("<I", 14)[:3] + struct.pack("<I", 10)[:3]
        body = head + picture + b"".join(name + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for name, c in chunks)
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

    packet = lambda n, element=False: b"http://ns.adobe.com/xap/1.0/\0" + xmp(n, element)
    mark, keyword = b"Exif\0\0", b"XML:com.adobe.xmp\0"
    digits = (mark + exif_entry(3, b"\x08\0")).hex()
    profile = f"\nexif\n{len(digits) // 2:8}\n{digits[:72]}\n{digits[72:]}\n".encode()
    return {
        "xmp.jpg": jpeg(packet(6)),
        "xmp-element.jpg": jpeg(packet(5, True)),
        "xmp-far.jpg": jpeg(b"http://ns.adobe.com/xap/1.0/\0" + b" " * 4070 + xmp(7)),
        "xmp-last.jpg": jpeg(packet(6), packet(4)),
        "xmp-not-asked.jpg": jpeg(mark + exif_entry(3, b"\x01\0"), packet(6)),
        "xmp-nor-for-9.jpg": jpeg(packet(6), mark + exif_entry(3, b"\x09\0")),
        "xmp-beside-exif.jpg": jpeg(mark + exif_entry(3, b"\x03\0", tag=296), packet(8)),
        "exif-byte.jpg": jpeg(mark + exif_entry(1, b"\x06")),
        "exif-long.jpg": jpeg(mark + exif_entry(4, b"\x06\0\0\0")),
        "exif-float.jpg": jpeg(mark + exif_entry(11, struct.pack("<f", 6))),
        "exif-first.jpg": jpeg(mark + b"II*\0\x08\0\0\0\x02\0" + exif_entry(3, b"\x06\0")[10:22] + exif_entry(3, b"\x03\0")[10:]),
        "exif-marked-twice.jpg": jpeg(mark + mark + exif_entry(3, b"\x06\0")),
        "exif-broken.jpg": jpeg(mark + b"what?", packet(6)),
        "xmp.png": png(chunk(b"iTXt", keyword + b"\0\0\0\0" + xmp(6))),
        "xmp-packed.png": png(behind=chunk(b"iTXt", keyword + b"\1\0en\0\0" + zlib.compress(xmp(5, True)))),
        "xmp-text.png": png(chunk(b"tEXt", keyword + xmp(3))),
        "profile.png": png(chunk(b"iTXt", keyword + b"\0\0\0\0" + xmp(6)),
                           chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))),
        "exif-text.png": png(chunk(b"tEXt", b"exif\0" + exif_entry(3, b"\x02\0"))),
        "xmp.webp": riff(4, (b"XMP ", xmp(6)), (b"XMP ", xmp(3))),
        "xmp-flagged.webp": riff(12, (b"EXIF", exif_entry(3, b"\x08\0", tag=296)), (b"XMP ", xmp(7))),
        "unflagged.webp": riff(0, (b"EXIF", exif_entry(3, b"\x08\0")), (b"XMP ", xmp(7))),
        "xmp.tiff": saved(image, format="TIFF", tiffinfo={700: xmp(6)}),
        "xmp-not-asked.tiff": saved(image, format="TIFF", tiffinfo={274: 2, 700: xmp(6)}),
    }


def line_of(name, data):
    image = Image.open(io.BytesIO(data))
    rgb = on_white(image)
    if name == "grey4-clear.png":
        # Pillow compares what it has stretched to 8 bits with what is stored in 4.
        grey = np.asarray(image.convert("L"))
        rgb = np.repeat(np.where(grey == image.info["transparency"] * 17, 255, grey)[..., None], 3, -1).astype(np.uint8)
    return f"{name} {rgb.shape[1]} {rgb.shape[0]} {hashlib.sha256(rgb.tobytes()).hexdigest()}\n"


def check():
    files = sorted(path for path in OUT.iterdir() if path.name != "pixels.txt")
    is_same = "".join(line_of(path.name, path.read_bytes()) for path in files) == (OUT / "pixels.txt").read_text()
    print(f"{len(files)} image files: {'the pixels' if is_same else 'not the pixels'} of Pillow {Image.__version__}")
    return 0 if is_same else 1


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(check())
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    files = {**png_files(), **jpeg_files(), **webp_files(), **gif_files(), **bmp_files(), **tiff_files(), **upright_files(), **turned_files()}
    lines = []
    for name, data in sorted(files.items()):
        lines.append(line_of(name, data))
        (OUT / name).write_bytes(data)
    (OUT / "pixels.txt").write_text("".join(lines))
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes, Pillow {Image.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
