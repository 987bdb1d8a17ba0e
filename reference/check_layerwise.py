"""Checks of layerwise.py, for check.py: the same bits as the whole model, also after kills; its memory and refusals.

Runs are children of a server that has torch loaded and no threads yet, so each costs little more than its own work. A
killed run sends itself SIGKILL at a counted event – a read of weights, a rename – so that the places are exact and the
product knows nothing of it.
"""

import hashlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

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
    """Every forward of the head, in prefill and of each decoded token, gives `keep` a digest of its logits."""
    import torch

    config = json.loads((Path(arguments[arguments.index("--model") + 1]) / "config.json").read_text())
    vocab = config["thinker_config"]["text_config"]["vocab_size"]

    def hook(module, _inputs, output):
        if isinstance(module, torch.nn.Linear) and module.out_features == vocab:
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
        with open(folder / "logits", "a") as file:
            file.write(digest + "\n")

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
    import tracefile

    golden = ROOT / "tests" / "golden"
    kept = [(name, golden / name, golden / f"{name}-f32" / f"{case}.safetensors", None)
            for name in ("b", "c") for case in ("text", "one", "positions", "stop")]
    kept.append(("a", SHARED / "golden" / "a", SHARED / "golden" / "a-f32" / "text.safetensors", SHARED_THREADS))
    for name, model, path, threads in kept:
        if not path.exists():
            continue
        tensors, metadata = tracefile.read(path)
        options = ["--model", model, "--inputs", path, "--threads", threads or metadata["threads"]]
        options += ["--experts"] if any(".experts." in tensor for tensor in tensors) else []
        for dtype in ("float32", "bfloat16"):
            yield f"{name}/{path.stem}", [*options, "--generate", metadata["generate"], "--dtype", dtype]
            if path.stem in ("text", "positions"):  # without a cache the original takes another path
                yield f"{name}/{path.stem} prefill", [*options, "--dtype", dtype]
    for case in demo_goldens.TRACED:
        text = demo_goldens.PROMPTS[case]
        source = ["--raw", "--prompt", text] if isinstance(text, str) else ["--messages", json.dumps(text)]
        for dtype in ("float32", "bfloat16"):
            yield f"demo/{case}", ["--model", ROOT / "demo" / "checkpoint", *source, "--generate", 8, "--dtype", dtype]


def compare_files(layers, whole):
    """(tensors, those that differ): empty only if the files are the same byte for byte."""
    import check
    import tracefile

    if not layers.exists():
        return 0, ["no file"]
    count, different, worst = check.compare_bits(tracefile.read(layers)[0], tracefile.read(whole)[0])
    if not different and layers.read_bytes() != whole.read_bytes():
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
    for name, case, dtype, generate, stride, reads in (
        ("b", "text", "bfloat16", 3, 239, True), ("c", "positions", "float32", 4, 61, True),
        ("c", "text", "bfloat16", 3, 7, False),
    ):
        source = golden / f"{name}-f32" / f"{case}.safetensors"
        options = ["--model", golden / name, "--inputs", source, "--generate", generate, "--dtype", dtype, "--experts"]
        digests = whole_model(models, options, folder)
        command, kills, places, code = [*options, "--hash-weights", "--out", folder / "layers"], 0, set(), -signal.SIGKILL
        while code == -signal.SIGKILL and not (folder / "layers").exists() and kills < 100:
            code, said = run(context, folder, command, stride, reads)
            kills += code == -signal.SIGKILL
            places.update(line for line in said.splitlines() if line.startswith("resuming"))
        count, different = compare_files(folder / "layers", folder / "whole")
        if set((folder / "logits").read_text().split()) != set(digests):
            different.append("logits")
        prefill = any("token 1," in place for place in places)
        decoding = any("token 1," not in place for place in places)
        report.line(not different and kills > 2 and prefill and decoding,
                    f"layerwise {name}/{case} {dtype}: SIGKILL at every {stride}th {'read or rename' if reads else 'rename'}, "
                    f"{kills} times, resumed at {len(places)} places of prefill and decoding, then {count} tensors and "
                    f"{len(digests)} steps' logits bit-equal {', '.join(different[:4])}")


def check_layerwise(report):
    context = server()
    with tempfile.TemporaryDirectory() as folder:
        check_equality(report, context, Path(folder))
        check_kills(report, context, Path(folder))
