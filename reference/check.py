#!/usr/bin/env python3
"""Regenerates goldens with the original and compares them bit for bit; prints `N passed, N failed`.

    check.py [GROUP...]       groups: unicode, text, plain, positions, front, formulas, topk, shared, small,
                              decoders, scores, audio, vision, code2wav, long, demo, mutations, cpu, layerwise,
                              memory (default: all)

A golden is re-run from its own `in.*` tensors, with the threads, dtype and limits its metadata names. Its bits are the
CPU's as well: torch and its libraries choose kernels by instruction set. A golden made on another kind of CPU than this
is judged by the bars between correct implementations instead (other_cpu.py), and that is said.
"""

import filecmp
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bits import compare_bits

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# Made with two threads on a CPU with AVX-512, which their metadata does not say.
SHARED_THREADS = 2
SHARED_CAPABILITY = "AVX512"
# What makes torch and its libraries work as on a CPU without AVX-512.
AS_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def line(self, ok, text):
        self.passed += ok
        self.failed += not ok
        print(("ok - " if ok else "not ok - ") + text, flush=True)


def check_golden(report, models, folder, path, threads=None, capability=None):
    """Re-runs one golden. `models` caches the loaded checkpoint of the last call."""
    import original
    import other_cpu
    import tracefile

    golden, metadata = tracefile.read(path)
    dtype = metadata["dtype"]
    threads = threads or int(metadata["threads"])
    if models.get("key") != (folder, dtype, threads):
        models["model"] = original.load(folder, dtype, threads)
        models["identity"] = tracefile.identity(folder)
        models["key"] = (folder, dtype, threads)
    inputs = {name: array for name, array in golden.items() if name.startswith("in.")}
    with_experts = any(".experts." in name for name in golden)
    generate, speak = (int(metadata.get(key, 0)) for key in ("generate", "speak"))
    speaker = metadata.get("speaker")
    made = {**inputs, **original.trace(models["model"], inputs, dtype, generate, with_experts, speak, speaker)}
    count, different, worst = compare_bits(made, golden)
    label = f"{path.parent.name}/{path.stem}"
    for key, value in models["identity"].items():
        if metadata.get(key, value) != value:
            report.line(False, f"{label}: {key} is not the checkpoint's")
            return
    here, there = other_cpu.kind_of(original.versions(dtype)), other_cpu.kind_of(metadata, capability)
    if not different:
        report.line(True, f"{label}: {count} tensors bit-equal to the original's")
    elif here != there:
        truth = path.parent.parent / path.parent.name.replace("bf16", "f32") / path.name
        ok, said = other_cpu.judge(golden, made, metadata, truth, models["model"])
        report.line(ok, f"{label}: made on {' '.join(there)}, this CPU is {' '.join(here)}: {said}")
    else:
        report.line(False, f"{label}: {len(different)} of {count} differ, worst {worst:.1e}: {', '.join(different[:4])}")


def check_shared(report):
    if not (SHARED / "golden").is_dir():
        report.line(os.environ.get("TESS_REQUIRE_SHARED") != "1", "shared goldens # SKIP ../shared absent")
        return
    models = {}
    for folder, cases in (("a-f32", "text audio image video av omni speak wav5 wav90"), ("a-bf16", "text omni")):
        for case in cases.split():
            path = SHARED / "golden" / folder / f"{case}.safetensors"
            check_golden(report, models, SHARED / "golden" / "a", path, SHARED_THREADS, SHARED_CAPABILITY)
    check_shared_front(report)


def check_shared_front(report):
    """Mel frames and patches of the shared sounds and pictures."""
    import front
    import media
    import tracefile

    made, different, paths = media.Front(front.CHECKPOINT), [], sorted((SHARED / "golden" / "front").glob("*.safetensors"))
    for path in paths:
        kept, sound = tracefile.read(path)[0], path.with_suffix(".wav")
        if sound.exists():
            same = kept["in.input_features"].tobytes() == made.features(media.load_audio(sound)).tobytes()
        else:
            patches, grid = made.picture(media.load_image(path.with_suffix(".png")))
            same = kept["in.pixel_values"].tobytes() == patches.tobytes() and kept["in.image_grid_thw"].tolist() == [grid]
        different += [] if same else [path.stem]
    report.line(not different, f"front: {len(paths)} shared sounds and pictures bit-equal {', '.join(different)}".rstrip())


def check_inputs(report, tiny, name, spec):
    """The cases' ids and media are what the script prepares, also of the files of tests/golden/front."""
    import tracefile

    out, different = ROOT / "tests" / "golden" / f"{name}-f32", []
    for case, one in spec["cases"].items():
        made, said = tiny.inputs_of(ROOT / "tests" / "golden" / name, spec, one)
        kept, metadata = tracefile.read(out / f"{case}.safetensors")
        kept = {key: array for key, array in kept.items() if key.startswith("in.")}
        if set(made) != set(kept) or compare_bits(made, kept)[1] or any(metadata.get(key) != said[key] for key in said):
            different.append(case)
    report.line(not different, f"{name}: inputs of {len(spec['cases'])} cases as prepared {', '.join(different)}".rstrip())


def check_small(report):
    """The random checkpoints are what their script writes, and the goldens what the original makes of them."""
    import tiny

    golden = ROOT / "tests" / "golden"
    for name, spec in tiny.CHECKPOINTS.items():
        with tempfile.TemporaryDirectory() as made:
            tiny.write_checkpoint(Path(made), spec)
            files = sorted(path.name for path in Path(made).iterdir())
            same, other, errors = filecmp.cmpfiles(made, golden / name, files, shallow=False)
        report.line(len(same) == len(files), f"{name}: {len(same)} of {len(files)} files as the script writes them")
        check_inputs(report, tiny, name, spec)
        models = {}
        for suffix, dtype in (("f32", "float32"), ("bf16", "bfloat16")):
            for case, _ in tiny.cases_of(spec, dtype):
                check_golden(report, models, golden / name, golden / f"{name}-{suffix}" / f"{case}.safetensors")


def same_answer(made, kept):
    """Equal but for the last digits of the probabilities, which are the CPU's."""
    if kept is None or len(made["top"]) != len(kept["top"]):
        return False
    for one, other in zip(made["top"], kept["top"]):
        if one["id"] != other["id"] or abs(one["probability"] - other["probability"]) > 1e-6:
            return False
    return {**made, "top": None} == {**kept, "top": None}


def same_known_answers(made, kept):
    """Equal but for the last digits of the router's weights, which are the CPU's."""
    def split(answers):
        plain = [{key: value for key, value in answer.items() if key != "weights"} for answer in answers["answers"]]
        return {**answers, "answers": plain}, [w for answer in answers["answers"] for w in answer.get("weights", [])]

    (one, weights), (other, kept_weights) = split(made), split(kept)
    near = all(abs(a - b) <= 1e-6 for a, b in zip(weights, kept_weights))
    return one == other and len(weights) == len(kept_weights) and near


def check_long(report):
    import long_speech

    long_speech.check(report)


def check_demo(report):
    """The demo checkpoint gives the answers and traces kept of it, and answers as a person is told it does."""
    import demo_goldens
    import known_answers
    import original

    checkpoint, golden = ROOT / "demo" / "checkpoint", ROOT / "tests" / "golden" / "demo"
    models = {}
    for suffix in ("f32", "bf16"):
        for case in demo_goldens.TRACED + demo_goldens.TRACED_MEDIA + [f"speak_{demo_goldens.SPOKEN[0]}"]:
            check_golden(report, models, checkpoint, golden / suffix / f"{case}.safetensors")
    loaded = {dtype: original.load(checkpoint, dtype) for dtype in ("float32", "bfloat16")}
    made, margins = demo_goldens.answers(checkpoint, loaded)
    kept = json.loads((golden / "answers.json").read_text(encoding="utf-8"))
    same = [name for name, entry in made["prompts"].items() if same_answer(entry, kept["prompts"].get(name))]
    whole = len(same) == len(kept["prompts"]) == len(made["prompts"]) and kept["identity"] == made["identity"]
    report.line(whole, f"demo: {len(same)} of {len(kept['prompts'])} answers as kept, ids, text and probabilities alike")
    same = [name for name, entry in made["media"].items() if entry == kept["media"].get(name)]
    report.line(len(same) == len(kept["media"]), f"demo: {len(same)} of {len(kept['media'])} answers about media as kept")
    same = [name for name, entry in made["spoken"].items() if entry == kept["spoken"].get(name)]
    report.line(len(same) == len(kept["spoken"]), f"demo: {len(same)} of {len(kept['spoken'])} spoken answers heard as kept")
    listed = json.loads((golden / "known_answers.json").read_text(encoding="utf-8"))
    same_list = same_known_answers(known_answers.make(checkpoint, made), listed)
    report.line(same_list, f"demo: {len(listed['answers'])} known answers as kept")
    wrong = demo_goldens.wrong_answers(made, margins)
    report.line(not wrong, "demo: " + ("; ".join(wrong) or f"{len(demo_goldens.EXPECTED) + len(demo_goldens.EXPECTED_MEDIA)} answers as promised"))


def check_decoders(report):
    import decoders

    decoders.check(report)


def check_scores(report):
    import scores

    scores.check(report)


def check_vision(report):
    import vision_tower

    vision_tower.check(report)


def check_audio(report):
    import audio_tower

    audio_tower.check(report)


def check_code2wav(report):
    import code2wav

    code2wav.check(report)


def check_layerwise(report):
    import check_layerwise as checks

    checks.check_layerwise(report)


def check_memory(report):
    import check_memory as checks

    checks.check_memory(report)


def check_topk(report):
    import topk
    import tracefile

    kept, _ = tracefile.read(ROOT / "tests" / "golden" / "topk" / "topk.safetensors")
    count, different, _ = compare_bits(topk.cases(), kept)
    report.line(not different, f"topk: {count - len(different)} of {count} tensors as the original chooses")


def check_formulas(report):
    """Pictures to the bit; mel frames within a tenth of their bar, for torch's transform goes by the CPU."""
    import front_formulas
    import tracefile

    folder = ROOT / "tests" / "golden" / "front"
    kept, _ = tracefile.read(folder / "mel.safetensors")
    made = front_formulas.mel_tensors()
    same = kept.keys() == made.keys() and all(kept[name].shape == made[name].shape for name in kept)
    worst = max(abs(kept[name] - made[name]).max() for name in kept) if same else float("inf")
    report.line(worst <= 2e-6, f"formulas: mel frames of {len(kept)} clips, max abs {worst:.1e}")
    same = json.loads((folder / "pictures.json").read_text()) == json.loads(json.dumps(front_formulas.picture_goldens()))
    report.line(same, "formulas: sizes, resized pictures and patches as the original makes them")


def check_mutations(report):
    """The original, with each defect of the catalogue and of its parts, moves as far as the record of it says."""
    import media_mutations
    import mutations
    import speech_mutations

    parts = (("mutations", mutations), ("mutations of media", media_mutations), ("mutations of speech", speech_mutations))
    for what, planted in parts:
        found = mutations.differences(planted.measure_all(), json.loads(planted.OUT.read_text()))
        for text in found:
            print(f"# {text}")
        report.line(not found, f"{what}: the original moves as recorded" + (f", but for {len(found)} numbers" if found else ""))


def check_cpu(report):
    """Goldens on a CPU without AVX-512, whatever this one has: in a process of its own, for torch asks once."""
    done = subprocess.run([sys.executable, __file__, "as_avx2"], env={**os.environ, **AS_AVX2}, text=True,
                          stdout=subprocess.PIPE)
    for line in done.stdout.splitlines()[:-1]:
        report.line(line.startswith("ok - "), line.partition(" - ")[2])
    report.line(done.returncode == 0, f"cpu: ended with {done.returncode}")


def check_as_avx2(report):
    """What check_cpu runs there. A run that differs by more than its CPU must not pass for one that does not."""
    import original
    import other_cpu
    import tracefile

    capability = original.versions("any")["cpu_capability"]
    report.line(capability == "AVX2", f"cpu: torch works as on a CPU with {capability}")
    folder, models = ROOT / "tests" / "golden", {}
    bf16, f32 = (folder / f"b-{suffix}" / "text.safetensors" for suffix in ("bf16", "f32"))
    check_golden(report, models, folder / "b", f32)
    check_golden(report, models, folder / "b", bf16)
    model, (golden, metadata) = models["model"], tracefile.read(bf16)
    mlp, name = model.thinker.model.language_model.layers[5].mlp, "tap.thinker.model.layers.5.mlp.gate"

    def turn(_module, _inputs, output):
        """The first token takes the expert that just missed; only the prompt's pass is turned."""
        logits, weights, indices = output[0], output[1], output[2].clone()
        if len(logits) > 1:
            indices[0, -1] = logits[0].topk(indices.shape[1] + 1).indices[-1]
        return logits, weights, indices

    handle = mlp.gate.register_forward_hook(turn)
    inputs = {key: array for key, array in golden.items() if key.startswith("in.")}
    made = original.trace(model, inputs, metadata["dtype"], int(metadata["generate"]), True)
    agrees, said = other_cpu.judge_isolated(model, golden, metadata["dtype"])
    found = not agrees and said.endswith(f"failed: {name}.indices")
    report.line(found, f"cpu: a choice against the logits is found: {said}")
    handle.remove()
    agrees, said = other_cpu.judge_whole(golden, {**inputs, **made}, metadata, f32)
    report.line(agrees and "other experts: 1" in said, f"cpu: a turned router agrees and is said: {said}")
    agrees, said = other_cpu.judge_whole(golden, tracefile.read(f32)[0], metadata, f32)
    report.line(not agrees, f"cpu: a float32 run is not taken for a bfloat16 one: {said}")
    with original.torch.no_grad():
        mlp.experts.down_proj[int(golden[name + ".indices"][0, 0])] = 0
    agrees, said = other_cpu.judge_isolated(model, golden, metadata["dtype"])
    report.line(not agrees, f"cpu: a lost expert is found: {said}")


def start_script(name):
    """Starts `name --check` beside the other groups: it needs a core and no torch."""
    return subprocess.Popen(
        [sys.executable, ROOT / "reference" / name, "--check"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish_script(report, name, process):
    output = process.communicate()[0].strip()
    report.line(process.returncode == 0, f"{name}: {output.splitlines()[-1] if output else 'says nothing'}")


SCRIPTS = {"unicode": "unicode_tables.py", "text": "text_golden.py", "plain": "plain_golden.py",
           "positions": "positions.py", "front": "front.py"}
GROUPS = {"topk": check_topk, "formulas": check_formulas, "shared": check_shared, "small": check_small,
          "decoders": check_decoders, "scores": check_scores, "audio": check_audio, "vision": check_vision,
          "code2wav": check_code2wav, "long": check_long, "demo": check_demo, "mutations": check_mutations, "cpu": check_cpu,
          "layerwise": check_layerwise, "memory": check_memory}

CHECKS = {**GROUPS, "as_avx2": check_as_avx2}  # which check_cpu asks for


def main():
    report = Report()
    wanted = sys.argv[1:] or [*SCRIPTS, *GROUPS]
    started = {group: start_script(SCRIPTS[group]) for group in wanted if group in SCRIPTS}
    for group in wanted:
        if group in CHECKS:
            CHECKS[group](report)
    for group, process in started.items():
        finish_script(report, group, process)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
