"""Checks of layerwise.py, for check.py: the same bits as the whole model, also after kills; its refusals.

Runs are children of a server that has torch loaded and no threads yet, so each costs little more than its own work. A
killed run sends itself SIGKILL at a counted event – a read of weights, a rename – so that the places are exact and the
product knows nothing of it.
"""

import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import tracefile
from bits import compare_bits

REFERENCE = Path(__file__).resolve().parent
ROOT = REFERENCE.parent
SHARED = ROOT.parent / "shared"
SHARED_THREADS = 2


def server():
    os.environ["PYTHONPATH"] = str(REFERENCE)  # the server imports by it
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["layerwise", "golden"])
    return context


def count_events(kill_at, reads):
    """Sends SIGKILL at the event numbered `kill_at`; a rename counts before and after, a read if `reads` is set."""
    import weights

    done = [0]

    def event():
        done[0] += 1
        if done[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    read_bytes, replace = weights.Weights.read_bytes, os.replace

    def counted_read(*arguments):
        event()
        read_bytes(*arguments)

    def counted_replace(*arguments):
        event()
        replace(*arguments)
        event()

    if reads:
        weights.Weights.read_bytes = staticmethod(counted_read)
    os.replace = counted_replace


def listen_to_logits(arguments, keep):
    """Every forward of a head, in prefill and of each decoded token or step of the talker, gives `keep` a digest of its
    logits."""
    import torch

    path = Path(arguments[arguments.index("--model") + 1]) / "config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    vocabularies = [config[name]["text_config"]["vocab_size"] for name in ("thinker_config", "talker_config") if name in config]

    def hook(module, _inputs, output):
        if isinstance(module, torch.nn.Linear) and module.out_features in vocabularies:
            keep(hashlib.sha256(output.float().numpy().tobytes()).hexdigest())

    return torch.nn.modules.module.register_module_forward_hook(hook)


def child(arguments, folder, kill_at, reads, limit_file):
    """layerwise.py in a child of the server."""
    import layerwise

    stream = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.argv = ["layerwise.py", *map(str, arguments)]

    def keep(digest):
        mapped = ".safetensors\n" in Path("/proc/self/maps").read_text()  # not the library of that name
        with open(folder / "logits", "a") as file:
            file.write(("a shard is mapped" if mapped else digest) + "\n")

    listen_to_logits(arguments, keep)
    if kill_at:
        count_events(kill_at, reads)
    if limit_file:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file, limit_file))
    sys.exit(layerwise.main())


def run(context, folder, arguments, kill_at=0, reads=True, limit_file=0):
    """Returns (exit code, what it printed); -9 is a kill. Digests of logits are added to folder/logits."""
    (folder / "log").unlink(missing_ok=True)
    process = context.Process(target=child, args=(arguments, folder, kill_at, reads, limit_file))
    process.start()
    process.join()
    return process.exitcode, (folder / "log").read_text()


def cases():
    """(label, options of golden.py and layerwise.py) of the comparisons."""
    import demo_goldens
    import tiny

    golden = ROOT / "tests" / "golden"
    kept = [(name, golden / name, golden / f"{name}-f32" / f"{case}.safetensors", None)
            for name, spec in tiny.CHECKPOINTS.items() for case in spec["cases"] if not case.startswith("codes")]
    for case in ("text", "audio", "omni", "speak"):
        kept.append(("a", SHARED / "golden" / "a", SHARED / "golden" / "a-f32" / f"{case}.safetensors", SHARED_THREADS))
    for name, model, path, threads in kept:
        if not path.exists():
            continue
        tensors, metadata = tracefile.read(path)
        options = ["--model", model, "--inputs", path, "--threads", threads or metadata["threads"]]
        options += ["--experts"] if any(".experts." in tensor for tensor in tensors) else []
        if metadata["speak"] != "0":
            options += ["--speak", metadata["speak"], "--speaker", metadata["speaker"]]
        for dtype in ("float32", "bfloat16"):
            yield f"{name}/{path.stem}", [*options, "--generate", metadata["generate"], "--dtype", dtype]
            if path.stem in ("text", "positions", "mixed"):  # without a cache the original takes another path
                yield f"{name}/{path.stem} prefill", [*options, "--dtype", dtype]
    for case in demo_goldens.TRACED:
        text = demo_goldens.PROMPTS[case]
        source = ["--raw", "--prompt", text] if isinstance(text, str) else ["--messages", json.dumps(text)]
        for dtype in ("float32", "bfloat16"):
            yield f"demo/{case}", ["--model", ROOT / "demo" / "checkpoint", *source, "--generate", 8, "--dtype", dtype]
    front = golden / "front"
    files = ["--prompt", "?", "--image", front / "dot.png", "--audio", front / "floored.wav", "--image", front / "alpha.png"]
    yield "e/files", ["--model", golden / "e", *files, "--generate", 2, "--dtype", "bfloat16"]


def compare_files(layers, whole, metadata=True):
    """(tensors, those that differ): empty only if the files are the same byte for byte, or all but their metadata."""
    if not layers.exists():
        return 0, ["no file"]
    count, different, worst = compare_bits(tracefile.read(layers)[0], tracefile.read(whole)[0])
    if metadata and not different and layers.read_bytes() != whole.read_bytes():
        different = ["the metadata"]
    return count, [f"{name} (worst relative L2 {worst:.1e})" for name in different]


def whole_model(models, options, folder):
    """golden.py in this process, to folder/whole; returns the digests of its logits. `models` holds the last one."""
    import golden
    import original

    for name in ("whole", "layers", "logits"):
        (folder / name).unlink(missing_ok=True)
    said = golden.parse_arguments([*map(str, options), "--out", str(folder / "whole")])
    key = (said.model, said.dtype, said.threads)
    if models.get("key") != key:
        models.update(key=key, model=original.load(*key))
    digests = []
    handle = listen_to_logits(options, digests.append)
    golden.run(said, models["model"])
    handle.remove()
    return digests


def check_equality(report, context, folder):
    models = {}
    for label, options in sorted(cases(), key=lambda case: (case[0].split("/")[0], str(case[1][-1]))):
        digests = whole_model(models, options, folder)
        code, said = run(context, folder, [*options, "--hash-weights", "--out", folder / "layers"])
        count, different = compare_files(folder / "layers", folder / "whole")
        if code == 0 and (folder / "logits").read_text().split() != digests:
            different.append("logits of a decoded token")
        text = f"layerwise {label} {options[-1]}: {count} tensors and the logits of {len(digests)} steps as the whole model's"
        report.line(code == 0 and not different, text if code == 0 and not different else
                    f"{text}: NOT {', '.join(different[:4])} {said[-300:]}")


def check_kills(report, context, folder):
    """Killed again and again until it ends; file and logits are as if nothing had happened."""
    golden, models = ROOT / "tests" / "golden", {}
    for name, case, dtype, generate, speak, stride, reads in (
        ("b", "text", "bfloat16", 3, 0, 239, True), ("c", "positions", "float32", 4, 0, 61, True),
        ("c", "text", "bfloat16", 3, 0, 7, False), ("e", "omni", "float32", 3, 0, 101, True),
        ("e", "mixed", "bfloat16", 2, 0, 7, False), ("f", "speak_media", "float32", 3, 4, 151, True),
        ("f", "speak_shifted", "bfloat16", 2, 3, 7, False),
    ):
        source = golden / f"{name}-f32" / f"{case}.safetensors"
        options = ["--model", golden / name, "--inputs", source, "--generate", generate, "--dtype", dtype, "--experts"]
        options += ["--speak", speak] if speak else []
        digests = whole_model(models, options, folder)
        command, kills, places, code = [*options, "--hash-weights", "--out", folder / "layers"], 0, set(), -signal.SIGKILL
        n_tower = 0  # layers of towers: of e two for sound, four for images and four for videos, none of them twice
        while code == -signal.SIGKILL and not (folder / "layers").exists() and kills < 100:
            code, said = run(context, folder, command, stride, reads)
            kills += code == -signal.SIGKILL
            places.update(line for line in said.splitlines() if line.startswith("resuming"))
            n_tower += said.count("thinker.")
        count, different = compare_files(folder / "layers", folder / "whole")
        if not (folder / "logits").exists() or set((folder / "logits").read_text().split()) != set(digests):
            different.append("logits")
        prefill = any("token 1," in place for place in places)
        decoding = any("token" in place and "token 1," not in place for place in places)
        spoken = {"speech step 1,", "speech step 2,"} <= {place.partition(" at ")[2].partition(" layer")[0] for place in places}
        report.line(not different and kills > 2 and prefill and decoding and spoken >= bool(speak) and n_tower <= 10,
                    f"layerwise {name}/{case} {dtype}: SIGKILL at every {stride}th {'read or rename' if reads else 'rename'}, "
                    f"{kills} times, resumed at {len(places)} places of prefill and decoding, then {count} tensors and "
                    f"{len(digests)} steps' logits bit-equal {', '.join(different[:4])}")


def refusals(folder):
    """(what, options, exit code, what the message must say); folder/inputs holds inputs that would do."""
    golden = ROOT / "tests" / "golden"
    model, demo = ["--model", golden / "c"], ["--model", ROOT / "demo" / "checkpoint"]
    said, made = ["--inputs", folder / "inputs"], ["--out", folder / "refused"]
    yield "no checkpoint", ["--model", folder / "none", *said, *made], 3, "none/config.json: not there"
    yield "no shard", ["--model", folder / "shardless", *said, *made], 3, "model-00003-of-00003.safetensors: not there"
    yield "short shard", ["--model", folder / "short", *said, *made], 3, "its header expects"
    yield "missing tensor", ["--model", folder / "lacking", *said, *made], 3, "lm_head.weight: not in the checkpoint"
    yield "wrong shape", ["--model", folder / "other", *said, *made], 3, "expected [300, 32]"
    yield "codes", [*model, "--inputs", folder / "speech", *made], 3, "in.codes: not run layer by layer"
    spoken = ["--generate", 4, "--speak", 3]
    yield "no such speaker", [*model, *said, *spoken, "--speaker", "Nobody", *made], 3, "expected one of aiden, chelsie, ethan"
    yield "no talker", ["--model", golden / "e", *said, *spoken, *made], 3, "enable_audio_output: found false"
    yield "no turn to answer", [*model, *said, *spoken, *made], 3, "in.input_ids: found no turn of a user"
    for what, text, out, words in (("no answer", "qm", "silent", "the answer is over at once"),
                                   ("no frame", "mj", "still", "speech is over at once")):
        least = ["--prompt", text, "--generate", 2, "--speak", 2]
        yield what, ["--model", golden / "f", *least, "--out", folder / out], 3, words
    yield "one step", [*model, *said, "--generate", 4, "--speak", 1, *made], 2, "--speak is 0 or more than 1"
    yield "half a medium", [*model, "--inputs", folder / "media", *made], 3, "in.image_grid_thw: absent"
    yield "too few tokens", [*model, "--inputs", folder / "tokens", *made], 3, "expected 1 by in.image_grid_thw"
    yield "token without medium", [*model, "--inputs", folder / "token", *made], 3, "found 1 tokens 285, expected 0"
    yield "odd grid", [*model, "--inputs", folder / "grid", *made], 3, "expected rows and columns that are multiples of 2"
    yield "frames", [*model, "--inputs", folder / "frames", *made], 3, "in.input_features: found float32 [128, 8]"
    yield "no such file", [*demo, "--prompt", "x", "--image", folder / "none.png", *made], 3, "none.png: not there"
    yield "no picture", [*demo, "--prompt", "x", "--image", folder / "inputs", *made], 3, "inputs: cannot identify"
    yield "no sound", [*demo, "--prompt", "x", "--audio", ROOT / "LICENSE", *made], 3, "LICENSE: "
    yield "little sound", [*demo, "--prompt", "x", "--audio", folder / "short.wav", *made], 3, "short.wav: 200 samples"
    yield "media of raw", [*demo, "--raw", "--prompt", "x", "--image", "x", *made], 2, "go with --prompt and without --raw"
    yield "large id", [*model, "--inputs", folder / "large", *made], 3, "expected 0 to 299"
    yield "no ids", [*model, "--inputs", folder / "empty", *made], 3, "in.input_ids: absent or empty"
    yield "positions", [*model, "--inputs", folder / "askew", *made], 3, "in.position_ids: found"
    yield "messages", [*demo, "--messages", '[{"role": "robot"}]', *made], 3, "messages[0].role: found 'robot'"
    yield "no tokenizer", [*model, "--prompt", "x", *made], 3, "vocab.json: not there"
    yield "existing OUT", [*model, *said, "--out", folder / "inputs"], 3, "inputs: exists already"
    yield "no folder", [*model, *said, "--out", folder / "none" / "x"], 3, "there is no folder"
    yield "other run", [*model, *said, "--generate", 2, "--out", folder / "left"], 3, "left by a run with other options"
    yield "damaged state", [*model, *said, "--out", folder / "damaged"], 3, "unreadable; remove"
    yield "raw messages", [*demo, "--messages", "[]", "--raw", *made], 2, "--raw goes with --prompt"
    yield "size", [*model, *said, *made, "--max-memory", "4TB"], 2, "expected a size such as 4GiB"
    yield "too little", [*model, *said, *made, "--max-memory", "100MiB"], 5, "the smallest that works is"


def make_bad_media(folder, ids):
    import wave

    patches = {"in.pixel_values": np.zeros((4, 1536), np.float32)}
    grid = {"in.image_grid_thw": np.array([[1, 2, 2]])}
    tracefile.write(folder / "media", {"in.input_ids": ids, **patches}, {})
    tracefile.write(folder / "speech", {"in.input_ids": ids, "in.codes": np.zeros((16, 2), np.int64)}, {})
    tracefile.write(folder / "tokens", {"in.input_ids": ids, **patches, **grid}, {})
    tracefile.write(folder / "token", {"in.input_ids": ids + 277}, {})
    tracefile.write(folder / "grid", {"in.input_ids": ids, **patches, "in.image_grid_thw": np.array([[4, 1, 1]])}, {})
    frames = {"in.input_features": np.zeros((128, 8), np.float32), "in.audio_feature_lengths": np.array([9])}
    tracefile.write(folder / "frames", {"in.input_ids": ids, **frames}, {})
    with wave.open(str(folder / "short.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(400))


def make_bad_inputs(folder):
    ids = np.arange(9, dtype=np.int64)
    tracefile.write(folder / "inputs", {"in.input_ids": ids}, {})
    make_bad_media(folder, ids)
    tracefile.write(folder / "large", {"in.input_ids": ids * 40}, {})
    tracefile.write(folder / "empty", {"in.input_ids": ids[:0]}, {})
    tracefile.write(folder / "askew", {"in.input_ids": ids, "in.position_ids": np.zeros((3, 8), np.float32)}, {})
    source = ROOT / "tests" / "golden" / "c"
    for name in ("shardless", "short", "lacking", "other"):
        shutil.copytree(source, folder / name)
    last = "model-00003-of-00003.safetensors"
    (folder / "shardless" / last).unlink()
    os.truncate(folder / "short" / last, os.path.getsize(source / last) - 1)
    for shard in source.glob("*.safetensors"):
        data = shard.read_bytes()
        (folder / "lacking" / shard.name).write_bytes(data.replace(b"thinker.lm_head.", b"thinker.lm_tail."))
    config = (source / "config.json").read_text()
    (folder / "other" / "config.json").write_text(config.replace('"hidden_size": 24', '"hidden_size": 32'))
    (folder / "damaged.work").mkdir()
    (folder / "damaged.work" / "state.pt").write_bytes(b"PK")


def check_refusals(report, context, folder):
    """Each by its name and exit code; a killed or failed run's folder is not taken for another's."""
    make_bad_inputs(folder)
    good = ["--model", ROOT / "tests" / "golden" / "c", "--inputs", folder / "inputs"]
    run(context, folder, [*good, "--out", folder / "left"], kill_at=60)
    for what, options, expected, words in refusals(folder):
        code, said = run(context, folder, options)
        ok = code == expected and words in said and "Traceback" not in said and not (folder / "refused").exists()
        report.line(ok, f"layerwise refuses: {what}, exit {code}" + ("" if ok else f": NOT {expected}, {words}: {said[-400:]}"))
    code, said = run(context, folder, [*good, "--out", folder / "full"], limit_file=4000)
    code_again, _ = run(context, folder, [*good, "--out", folder / "full"])
    ok = code == 4 and "File too large; the same command resumes" in said and code_again == 0
    report.line(ok, f"layerwise: a disk that takes no more ends it with exit {code}, the next run completes{'' if ok else said}")
    code, said = run(context, folder, [*good, "--out", folder / "none2", "--max-memory", "1"])
    smallest = int(said.split("smallest that works is ")[1].split("MiB")[0])
    below, _ = run(context, folder, [*good, "--out", folder / "below", "--max-memory", f"{smallest - 1}MiB"])
    code, said = run(context, folder, [*good, "--out", folder / "least", "--max-memory", f"{smallest}MiB"])
    report.line(below == 5 and code == 0, f"layerwise: {smallest}MiB works as said, {smallest - 1}MiB is refused")


def check_make(report, folder):
    """The one command: a prompt that shell and make would both like to read, and what is missing."""
    raw = 'it\'s "$5" $(shell touch pwned) `touch pwned` # \\ $$\nnext line'
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    def make(*arguments):
        return subprocess.run(["make", "--no-print-directory", "golden", *arguments], cwd=ROOT, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    out = exists = folder / "by make"
    done = make("MODEL=demo/checkpoint", f"PROMPT={raw}", f"OUT={out}", "RAW=1", "DTYPE=bfloat16", "GENERATE=1")
    kept = tracefile.read(out)[1]["raw"] if out.exists() else done.stdout[-400:]
    report.line(kept == raw, f"make golden: the prompt arrives as given{'' if kept == raw else f': NOT {kept!r}'}")
    check_make_media(report, make, folder)
    out = folder / "spoken by make"
    done = make("MODEL=tests/golden/f", "PROMPT=The", f"OUT={out}", "GENERATE=9", "SPEAK=8", "SPEAKER=Ethan")
    count, different = compare_files(out, ROOT / "tests" / "golden" / "f-f32" / "speak_short.safetensors", metadata=False)
    report.line(not different, f"make golden: an answer is spoken as in f/speak_short, {count} tensors" +
                (f": NOT {', '.join(different[:4])} {done.stdout[-400:]}" if different else ""))
    for words, arguments in (
        ("MODEL is missing", ["PROMPT=x", "OUT=x"]),
        ("PROMPT, MESSAGES or INPUTS is missing", ["MODEL=demo/checkpoint", "OUT=x"]),
        ("OUT is missing", ["MODEL=demo/checkpoint", "PROMPT=x"]),
        ("exists already", ["MODEL=demo/checkpoint", "PROMPT=x", f"OUT={exists}"]),
        ("SPEAKER goes with SPEAK", ["MODEL=tests/golden/f", "PROMPT=x", "OUT=x", "SPEAKER=aiden"]),
        ("is not a folder", ["MODEL=none", "PROMPT=x", "OUT=x"]),
        ("tests/golden/c has no vocab.json", ["MODEL=tests/golden/c", "PROMPT=x", "OUT=x"]),
        ("IMAGE: none is not a file", ["MODEL=demo/checkpoint", "PROMPT=x", "IMAGE=none", "OUT=x"]),
        ("PROMPT and INPUTS exclude each other", ["MODEL=demo/checkpoint", "PROMPT=x", "INPUTS=x", "OUT=x"]),
        ("AUDIO, IMAGE and VIDEO go with PROMPT", ["MODEL=demo/checkpoint", "INPUTS=x", "IMAGE=y", "OUT=x"]),
    ):
        done = make(*arguments)
        report.line(done.returncode != 0 and words in done.stdout, f"make golden refuses: {words}")


def check_make_media(report, make, folder):
    """A clip and a picture of files give the tensors of the golden that the script made of them; a video, by ffmpeg."""
    golden = ROOT / "tests" / "golden"
    out, front = folder / "media by make", golden / "front"
    done = make("MODEL=tests/golden/e", f"AUDIO={front / 'chirp.wav'}", "PROMPT=Up?", f"OUT={out}", "GENERATE=4")
    count, different = compare_files(out, golden / "e-f32" / "audio.safetensors", metadata=False)
    report.line(not different, f"make golden: a sound gives the {count} tensors of e/audio" +
                (f": NOT {', '.join(different[:4])} {done.stdout[-400:]}" if different else ""))
    if not shutil.which("ffmpeg"):
        print("skipped - make golden with a video: no ffmpeg")
        return
    film, out = folder / "film.mkv", folder / "film by make"
    subprocess.run(["ffmpeg", "-v", "error", "-i", front / "burst.wav", "-f", "lavfi", "-i",
                    "testsrc=size=64x48:rate=8:duration=1", "-c:v", "ffv1", "-c:a", "pcm_s16le", film], check=True)
    done = make("MODEL=tests/golden/e", f"VIDEO={film}", "PROMPT=?", f"OUT={out}", "FPS=4", "AUDIO_IN_VIDEO=1")
    made = tracefile.read(out)[0] if out.exists() else {}
    expected = {"in.video_grid_thw": [[2, 20, 28]], "in.video_second_per_grid": [0.5], "in.use_audio_in_video": [1],
                "in.audio_feature_lengths": [100]}
    found = {name: made[name].tolist() for name in expected if name in made}
    report.line(found == expected, "make golden: a film of a second at 4 frames a second, with sound" +
                ("" if found == expected else f": NOT {found} {done.stdout[-300:]}"))


def check_layerwise(report):
    context = server()
    with tempfile.TemporaryDirectory() as folder:
        check_make(report, Path(folder))
        check_refusals(report, context, Path(folder))
        check_equality(report, context, Path(folder))
        check_kills(report, context, Path(folder))
