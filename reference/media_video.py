"""Small films in tests/data/media/video, and which frames are sampled from them, with what pixels. frames.txt has a line for
each film and way of sampling: file, fps, most frames; width, height, frames decoded, frames sampled, the rate sampled,
whether there is sound, SHA-256 of all sampled frames one after another. Which frame is shown when comes from ffprobe's
timestamps, pixels from the ffmpeg program with swscale's exact arithmetic; turning is done here. Needs NumPy.
"""

import hashlib
import json
import math
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests/data/media/video"
REFUSED = OUT.parent / "refused"
CONTAINERS = OUT.parent / "containers"
TRACKS = OUT.parent / "tracks"
EXACT = "bicubic+bitexact+accurate_rnd+full_chroma_int"
QUIET = ["ffmpeg", "-v", "error", "-y", "-bitexact"]


def run(*command):
    return subprocess.run(list(command), check=True, capture_output=True).stdout


def film(name, source, *arguments, sound=False):
    path = OUT / name
    inputs = ["-f", "lavfi", "-i", source]
    if sound:
        inputs += ["-f", "lavfi", "-i", "sine=440:duration=0.4", "-shortest"]
    run(*QUIET, *inputs, *arguments, "-fflags", "+bitexact", "-flags:v", "+bitexact", str(path))


def make():
    x264 = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "30", "-pix_fmt", "yuv420p"]
    scene = lambda size="36x28", rate="25", duration="2": f"testsrc=size={size}:rate={rate}:duration={duration}"
    film("plain.mp4", scene(), *x264)
    film("sound.mp4", scene(duration="0.4"), *x264, "-c:a", "aac", "-b:a", "24k", sound=True)
    film("odd-size.mkv", scene("37x29", "10", "1"), "-c:v", "libx264", "-crf", "28", "-pix_fmt", "yuv444p")
    film("ntsc.webm", scene(rate="30000/1001", duration="1.3"), "-c:v", "libvpx", "-b:v", "40k")
    film("vp9.webm", scene(rate="12"), "-c:v", "libvpx-vp9", "-b:v", "20k")
    film("hevc.mp4", scene("64x48", "10", "1"), "-c:v", "libx265", "-crf", "32", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p")
    film("ten-bit.mkv", scene("64x48", "10", "1"), "-c:v", "libx265", "-crf", "32", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")
    film("mpeg4.avi", scene(rate="8", duration="1.5"), "-c:v", "mpeg4", "-q:v", "12")
    film("bt709.mp4", scene(duration="0.4"), *x264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    film("full-range.mp4", scene(duration="0.4"), *x264[:-1], "yuvj420p")
    for n in (1, 2, 3):
        film(f"frames{n}.mp4", scene(), *x264, "-frames:v", str(n))
    film("short.mp4", scene(rate="30", duration="0.1"), *x264)
    # Frames 0, 1, 2, 3, … at 0, 0.04, 0.16, 0.36 s …: ever slower.
    film("slowing.mkv", scene(duration="0.4"), "-vf", "setpts=N*N/(25*TB)", "-vsync", "vfr", *x264)
    # For their sizes alone: frames.txt is without them.
    film("../large/twenty-seconds.mp4", "color=c=gray:size=1280x720:rate=2:duration=20", *x264)
    film("../large/thirty-seconds.mp4", "color=c=gray:size=32x32:rate=30:duration=30", *x264)
    film("animated.gif", scene("24x20", "5", "1"))
    for degrees in (90, 180, 270):
        run(*QUIET, "-i", str(OUT / "bt709.mp4"), "-c", "copy", "-metadata:s:v", f"rotate={degrees}", str(OUT / f"turned{degrees}.mp4"))


def make_refused():
    """A film whose frames become larger: the frames of two, one after the other, which an IVF file just numbers. And
    pictures of kinds that are not read."""
    REFUSED.mkdir(parents=True, exist_ok=True)
    head, frames = b"", []
    for size in ("32x32", "320x240"):
        film("part.ivf", f"color=gray:size={size}:rate=10:duration=0.5", "-c:v", "libvpx")
        data = (OUT / "part.ivf").read_bytes()
        head, at = head or data[:32], 32
        while at < len(data):
            (n,) = struct.unpack_from("<I", data, at)
            frames.append(struct.pack("<IQ", n, len(frames)) + data[at + 12 : at + 12 + n])
            at += 12 + n
    (OUT / "part.ivf").unlink()
    run(*QUIET, "-f", "lavfi", "-i", "testsrc=size=36x28", "-frames:v", "1", "-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8",
        str(REFUSED / "picture.avif"))
    run("heif-enc", "-q", "30", "-o", str(REFUSED / "picture.heic"), str(OUT.parent / "images/rgb8.png"))
    (REFUSED / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="36" height="28"><rect width="20" height="9"/></svg>\n')
    (REFUSED / "growing.ivf").write_bytes(head + b"".join(frames))


def make_containers():
    """Two seconds of picture and sound in every container whose end, or what is damaged in it, can be known."""
    CONTAINERS.mkdir(parents=True, exist_ok=True)
    inputs = ["-f", "lavfi", "-i", "testsrc=size=36x28:rate=25:duration=2", "-f", "lavfi", "-i", "sine=440:duration=2"]
    h264 = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "34", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac", "-b:a", "24k"]
    vpx = ["-c:v", "libvpx", "-b:v", "30k", "-g", "10", "-c:a", "libopus", "-b:a", "16k"]
    old = ["-c:v", "mpeg4", "-q:v", "20", "-c:a", "libmp3lame", "-b:a", "16k", "-ar", "16000"]
    wm = ["-c:v", "wmv2", "-q:v", "20", "-c:a", "wmav2", "-b:a", "24k"]
    kinds = {"film.mp4": [*h264, "-movflags", "faststart"], "fragments.mp4": [*h264, "-movflags", "frag_keyframe+empty_moov"],
             "film.mov": h264, "film.mkv": h264, "film.webm": vpx, "film.avi": old, "film.flv": h264, "film.asf": wm, "film.ts": h264,
             "film.mpg": ["-c:v", "mpeg1video", "-q:v", "20", "-g", "10", "-c:a", "mp2", "-b:a", "32k", "-ar", "16000"],
             "sound.ogg": ["-vn", "-c:a", "libvorbis", "-b:a", "32k"], "sound.opus": ["-vn", "-c:a", "libopus", "-b:a", "16k"],
             "sound.w64": ["-vn", "-c:a", "pcm_u8", "-ar", "8000"], "sound.caf": ["-vn", "-c:a", "pcm_mulaw", "-ar", "8000"],
             "sound.aiff": ["-vn", "-c:a", "pcm_s16be", "-ar", "8000"], "sound.au": ["-vn", "-c:a", "pcm_mulaw", "-ar", "8000"],
             "sound.mp3": ["-vn", "-c:a", "libmp3lame", "-b:a", "16k", "-ar", "16000"]}
    for name, arguments in kinds.items():
        run(*QUIET, *inputs, "-t", "2", *arguments, "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", str(CONTAINERS / name))


def make_tracks():
    """Films of one picture and of other sounds: two of a length and another height, one that is longer, one that is shorter."""
    TRACKS.mkdir(parents=True, exist_ok=True)
    part, exact = TRACKS / "part.mp4", ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    run(*QUIET, "-f", "lavfi", "-i", "testsrc=size=36x28:rate=25:duration=1", "-c:v", "libx264", "-preset", "veryslow", "-crf", "34",
        "-pix_fmt", "yuv420p", *exact, str(part))
    for name, hertz, seconds in (("low", 300, 1), ("high", 1200, 1), ("longer", 300, 2.3), ("shorter", 300, 0.44)):
        run(*QUIET, "-i", str(part), "-f", "lavfi", "-i", f"sine={hertz}:sample_rate=16000:duration={seconds}", "-c:v", "copy",
            "-c:a", "aac", "-b:a", "24k", *exact, str(TRACKS / f"{name}.mp4"))
    part.unlink()


def probe(path):
    said = run("ffprobe", "-v", "error", "-select_streams", "v", "-show_streams", "-show_frames", "-of", "json", str(path))
    said = json.loads(said)
    stream, frames = said["streams"][0], said["frames"]
    tick = Fraction(stream["time_base"])
    times = [int(f["best_effort_timestamp"]) * tick for f in frames]
    last = frames[-1].get("pkt_duration")
    usual = times[-1] - times[-2] if len(times) > 1 else 1 / Fraction(stream["avg_frame_rate"])
    duration = times[-1] - times[0] + (int(last) * tick if last and int(last) > 0 else usual)
    sides = [s for s in stream.get("side_data_list", []) if "rotation" in s]
    kinds = run("ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", str(path)).decode().split()
    return [t - times[0] for t in times], duration, tick, int(sides[0]["rotation"]) if sides else 0, "audio" in kinds


def pixels(path, width, height):
    raw = run("ffmpeg", "-v", "error", "-noautorotate", "-flags:v", "+bitexact", "-i", str(path), "-vsync", "passthrough", "-sws_flags", EXACT,
              "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def sample(path, fps, most):
    times, duration, tick, rotation, has_sound = probe(path)
    size = run("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0", str(path))
    width, height = map(int, size.decode().strip().strip(",").split(","))
    frames = pixels(path, width, height)
    assert len(frames) == len(times), (path, len(frames), len(times))
    frames = np.rot90(frames, rotation // 90, axes=(1, 2))
    rate = Fraction(fps)
    n = math.ceil((times[-1] + (duration - times[-1]) / 2) * rate)
    if n > most:
        n, rate = most, Fraction(most) / duration
    n_good = n
    n = max(2, n + n % 2)
    sha = hashlib.sha256()
    for i in range(n):
        at = min(Fraction(i) / rate, times[-1]) + tick / 2
        sha.update(frames[max(k for k, t in enumerate(times) if t <= at)].tobytes())
    return f"{path.name} {fps} {most} {frames.shape[2]} {frames.shape[1]} {len(frames)} {n} {float(rate):.9g} {int(has_sound)} {sha.hexdigest()}\n"


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    make()
    make_refused()
    make_containers()
    make_tracks()
    lines = []
    for path in sorted(OUT.iterdir()):
        for fps, most in (("2", 768), ("10", 768), ("1", 768), ("25", 6)):
            lines.append(sample(path, fps, most))
    total = sum(path.stat().st_size for path in OUT.iterdir())
    (OUT / "frames.txt").write_text("".join(lines))
    print(f"{len(lines)} lines, {total} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
