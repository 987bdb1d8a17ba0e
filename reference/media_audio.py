"""Sound files of every kind in tests/data/media/audio, and the mono samples at 16 kHz that the original's loader makes of
them: channels averaged in float32, then soxr at its high quality. samples.txt has a line for each: file, rate, channels,
samples at 16 kHz, and what they are: "exact SHA-256" of the float32 bytes, "near FILE" of float32 that resampling may
miss by 2e-7, or "tone HZ" for codecs that lose something. Needs NumPy, soxr and the ffmpeg program; each file is small.
"""

import hashlib
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soxr

OUT = Path(__file__).resolve().parent.parent / "tests/data/media/audio"
RATE = 16000


def tones(n, rate, n_channel=1):
    """Tones and a little noise, another in each channel, in [-0.8, 0.8]."""
    t = np.arange(n) / rate
    random = np.random.default_rng(5)
    channels = [0.5 * np.sin(2 * np.pi * (440 + 110 * c) * t) + 0.2 * np.sin(2 * np.pi * 1500 * t + c) for c in range(n_channel)]
    return np.stack(channels, -1) + random.uniform(-0.05, 0.05, (n, n_channel))


def integers(wave, bits):
    return np.clip(np.round(wave * 2 ** (bits - 1)), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(np.int64)


def mono16(floats, rate):
    """The loader's own steps on float32 [n, channels]."""
    mono = np.mean(floats.astype(np.float32).T, axis=0, dtype=np.float32) if floats.shape[1] > 1 else floats[:, 0].astype(np.float32)
    if rate == RATE:
        return mono
    wanted = -(-len(mono) * RATE // rate)
    out = soxr.resample(mono, rate, RATE, quality="soxr_hq")[:wanted]
    return np.concatenate([out, np.zeros(wanted - len(out), np.float32)])


def chunk(name, data, pad=True):
    return name + struct.pack("<I", len(data)) + data + (b"\0" * (len(data) % 2) if pad else b"")


def wav(data, rate, n_channel, bits, tag=1, before=b"", size=None, extensible=None):
    block = n_channel * bits // 8
    form = struct.pack("<HHIIHH", tag, n_channel, rate, rate * block, block, bits)
    if extensible is not None:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        form = struct.pack("<HHIIHH", 0xFFFE, n_channel, rate, rate * block, block, bits) + struct.pack("<HHI", 22, extensible, 0) + guid
    body = chunk(b"fmt ", form) + before
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body) if size is None else size) + b"WAVE" + body


def three_bytes(samples):
    return samples.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def mulaw(samples):
    """G.711: sign, exponent, mantissa, all inverted; and what it stands for, of 16 bits."""
    magnitude = np.minimum(abs(samples), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    code = ~(((samples < 0).astype(int) << 7) | exponent << 4 | mantissa) & 255
    value = ((mantissa << 3) + 132 << exponent) - 132
    return code.astype(np.uint8).tobytes(), np.where(samples < 0, -value, value)


def exact_files():
    n = 1203
    files = {}
    one = tones(n, RATE)
    s16, s24, s32 = (integers(one, bits) for bits in (16, 24, 32))
    s8 = integers(one, 8)
    f16 = s16 / 2.0**15
    plain = s16.astype("<i2").tobytes()
    files["s16.wav"] = wav(plain, RATE, 1, 16), f16
    files["u8.wav"] = wav((s8 + 128).astype(np.uint8).tobytes(), RATE, 1, 8), s8 / 2.0**7
    files["s24.wav"] = wav(three_bytes(s24), RATE, 1, 24), s24 / 2.0**23
    files["s32.wav"] = wav(s32.astype("<i4").tobytes(), RATE, 1, 32), s32.astype(np.float32) / np.float32(2.0**31)
    files["f32.wav"] = wav(one.astype("<f4").tobytes(), RATE, 1, 32, 3), one
    files["f64.wav"] = wav(one.astype("<f8").tobytes(), RATE, 1, 64, 3), one
    codes, values = mulaw(s16)
    files["mulaw.wav"] = wav(codes, RATE, 1, 8, 7), values / 2.0**15
    files["extensible.wav"] = wav(three_bytes(s24), RATE, 1, 24, 1, extensible=24), s24 / 2.0**23
    files["list-before.wav"] = wav(plain, RATE, 1, 16, before=chunk(b"LIST", b"INFOISFT\x05\0\0\0abcd\0\0")), f16
    files["odd-chunk.wav"] = wav(plain, RATE, 1, 16, before=chunk(b"junk", b"12345")), f16
    files["pipe.wav"] = wav(plain, RATE, 1, 16, size=0), f16
    files["pipe-ffff.wav"] = wav(plain, RATE, 1, 16, size=0xFFFFFFFF), f16
    files["named.mp3"] = files["s16.wav"]
    two, six = integers(tones(n, RATE, 2), 16), integers(tones(601, RATE, 6), 16)
    files["stereo.wav"] = wav(two.astype("<i2").tobytes(), RATE, 2, 16), two / 2.0**15
    files["six.wav"] = wav(six.astype("<i2").tobytes(), RATE, 6, 16, extensible=16), six / 2.0**15
    left = two * [1, 0]
    files["left-only.wav"] = wav(left.astype("<i2").tobytes(), RATE, 2, 16), left / 2.0**15
    for name, arguments in (("s16.flac", ["-c:a", "flac"]), ("s16.aiff", []), ("alac.m4a", ["-c:a", "alac"]),
                            ("s16.mka", ["-c:a", "pcm_s16le"]), ("s16.caf", ["-c:a", "pcm_s16le"])):
        files[name] = converted(files["s16.wav"][0], name, arguments), f16
    files["s24.flac"] = converted(files["s24.wav"][0], "s24.flac", ["-c:a", "flac"]), s24 / 2.0**23
    return {name: (data, floats, RATE) for name, (data, floats) in files.items()}


def near_files():
    files = {}
    for name, rate, n_channel, n in (("44k.wav", 44100, 1, 2211), ("48k-stereo.wav", 48000, 2, 1801), ("8k.wav", 8000, 1, 1203),
                                     ("22k-six.wav", 22050, 6, 1003), ("96k.wav", 96000, 1, 2400)):
        samples = integers(tones(n, rate, n_channel), 16)
        files[name] = wav(samples.astype("<i2").tobytes(), rate, n_channel, 16), samples / 2.0**15, rate
    return files


def converted(data, name, arguments, more=()):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.wav", Path(folder) / name
        source.write_bytes(data)
        quiet = ["ffmpeg", "-v", "error", "-bitexact"]
        subprocess.run([*quiet, *more, "-i", str(source), *arguments, "-fflags", "+bitexact", "-flags", "+bitexact", str(target)], check=True)
        return target.read_bytes()


def tone_files():
    n = 24000
    pure = integers(0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / 48000)[:, None], 16).astype("<i2").tobytes()
    source = wav(pure, 48000, 1, 16)
    picture = ["-f", "lavfi", "-i", "color=red:size=32x32:rate=10:duration=0.5"]
    return {
        name: converted(source, name, arguments, more)
        for name, arguments, more in (
            ("tone.mp3", ["-b:a", "64k", "-metadata", "title=A tone", "-id3v2_version", "3", "-write_id3v1", "1"], ()),
            ("tone.ogg", ["-c:a", "libvorbis", "-q:a", "2"], ()),
            ("tone-opus.ogg", ["-c:a", "libopus", "-b:a", "48k"], ()),
            ("tone.m4a", ["-c:a", "aac", "-b:a", "64k"], ()),
            ("tone.aac", ["-c:a", "aac", "-b:a", "64k"], ()),
            ("tone.webm", ["-c:a", "libopus", "-b:a", "48k", "-c:v", "libvpx", "-b:v", "10k"], picture),
            ("tone.mp4", ["-c:a", "aac", "-b:a", "64k", "-c:v", "libx264", "-pix_fmt", "yuv420p"], picture),
            ("tone.mov", ["-c:a", "aac", "-c:v", "mpeg4"], picture),
            ("tone.mkv", ["-c:a", "libmp3lame", "-b:a", "64k", "-c:v", "mpeg4"], picture),
        )
    }


def atom(name, *parts):
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + name + data


def circles():
    """A MOV of 19 KB whose 1,600 chunks are all the same 12 KB: 20 MB of sound."""
    n_chunk, n_sample = 1600, 6000
    full = lambda name, *parts: atom(name, b"\0\0\0\0", *parts)
    u = lambda *values: struct.pack(f">{len(values)}I", *values)
    total, head = n_chunk * n_sample, 40
    matrix = u(1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    entry = atom(b"sowt", b"\0" * 6, struct.pack(">HHHIHHHHI", 1, 0, 0, 0, 1, 16, 0, 0, RATE << 16))
    table = atom(b"stbl", full(b"stsd", u(1), entry), full(b"stts", u(1, total, 1)), full(b"stsc", u(1, 1, n_sample, 1)),
                 full(b"stsz", u(2, total)), full(b"stco", u(n_chunk), u(*[head] * n_chunk)))
    info = atom(b"minf", full(b"smhd", u(0)), atom(b"dinf", full(b"dref", u(1), full(b"url ")[:-1] + b"\1")), table)
    media = atom(b"mdia", full(b"mdhd", u(0, 0, RATE, total, 0)), full(b"hdlr", b"mhlrsoun", u(0, 0, 0), b"\0"), info)
    track = atom(b"trak", atom(b"tkhd", b"\0\0\0\7", u(0, 0, 1, 0, total, 0, 0, 0, 0), matrix, u(0, 0)), media)
    movie = atom(b"moov", full(b"mvhd", u(0, 0, RATE, total, 1 << 16, 0x1000000, 0, 0), matrix, u(0, 0, 0, 0, 0, 0, 2)), track)
    data = b"".join(struct.pack("<h", i % 2000) for i in range(n_sample))
    return atom(b"ftyp", b"qt  ", u(0), b"qt  ") + atom(b"free", b"\0" * 4) + atom(b"mdat", data) + movie


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    lines, total = [], 0
    for kind, files in (("exact", exact_files()), ("near", near_files())):
        for name, (data, floats, rate) in files.items():
            samples = mono16(floats, rate)
            said = hashlib.sha256(samples.tobytes()).hexdigest()
            if kind == "near":
                said = name.replace(".wav", ".f32")
                (OUT / said).write_bytes(samples.tobytes())
            lines.append(f"{name} {rate} {floats.shape[1]} {len(samples)} {kind} {said}\n")
            (OUT / name).write_bytes(data)
    for name, data in tone_files().items():
        lines.append(f"{name} 48000 1 8000 tone 440\n")
        (OUT / name).write_bytes(data)
    (OUT.parent / "refused").mkdir(exist_ok=True)
    (OUT.parent / "refused/circles.mov").write_bytes(circles())
    (OUT / "samples.txt").write_text("".join(sorted(lines)))
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(lines)} files, {total} bytes, soxr {soxr.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
