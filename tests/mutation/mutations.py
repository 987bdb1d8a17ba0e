#!/usr/bin/env python3
"""Plants one defect at a time and asks whether comparing with the original finds it and says where it is.

    mutations.py [NAME...]        from the repository's root; TESS_BUILD is the folder of an ordinary build

A defect of weights, configuration or tokenizer is made in a copy of a checkpoint; a defect of code in a copy of one
source file, compiled and linked with the ordinary build's objects. A text to be replaced must occur exactly once, so
that an entry which no longer fits the source fails. original_moves.json says how far the original itself moves when it
is changed the same way (reference/mutations.py): a defect that leaves the original where it was would show nothing.
Prints TAP lines and the table, and exits with 1 unless all is well. Standard library only.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from catalogue import ALSO, CODE, CONTROLS, DEFECTS, Checkpoint, checkpoint_of, dtype_of, path_of, read_metadata, truth_of

BUILD = Path(os.environ.get("TESS_BUILD", "build/release-gcc"))
MOVES = Path(__file__).parent / "original_moves.json"


def output_of(command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def compile_with(name, folder):
    """A binary with the defect, from a copy of one source file and the objects of the ordinary build."""
    source, text, replacement = CODE[name]
    content = Path(source).read_text()
    for old, new in [(text, replacement), *([ALSO[name]] if name in ALSO else [])]:
        if content.count(old) != 1:
            raise ValueError(f"{source} has {content.count(old)} places for the defect, expected one")
        content = content.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / Path(source).name
    copy.write_text("#include <stddef.h>\n" + content)
    flags = [flag for flag in shlex.split((BUILD / "flags").read_text()) if not flag.startswith("-m")]
    libraries = output_of(["make", "--no-print-directory", "-s", "app-libs"]).split()
    binary = folder / "tessera"
    objects = [str(path) for path in sorted((BUILD / "apps").glob("*.o"))]
    subprocess.run([*flags, "-w", "-o", binary, copy, *objects, BUILD / "libtessera.a", *libraries], check=True)
    return binary


def inputs_of(golden):
    """The options that repeat a golden's inputs; text is given as text, so that tokenizer and template take part."""
    metadata = read_metadata(path_of(golden))
    if "raw" in metadata:
        return ["--raw", "--prompt", metadata["raw"], "--generate", metadata["generate"]]
    if "messages" in metadata:
        (turn,) = json.loads(metadata["messages"])
        return ["--prompt", turn["content"], "--generate", metadata["generate"]]
    return ["--inputs", path_of(golden)]


def look(binary, golden, change, options, work):
    """Runs the golden's inputs and returns what the comparison says."""
    folder = checkpoint_of(golden)
    if change:
        shutil.copytree(folder, work / "checkpoint")
        folder = work / "checkpoint"
        change(Checkpoint(folder))
    trace = work / "trace.safetensors"
    subprocess.run([binary, "trace", "--quiet", "--ledger", "off", "--memory", "1GiB", "--threads", "1", "--model",
                    folder, "--dtype", dtype_of(golden), *inputs_of(golden), *options, "--out", trace], check=True)
    judged = ["--truth", truth_of(golden)] if truth_of(golden) else []
    done = subprocess.run([BUILD / "tessera", "compare", "--ignore-identity", "--json", *judged, path_of(golden), trace],
                          text=True, capture_output=True)
    if done.returncode not in (0, 1):
        raise ValueError(done.stdout + done.stderr)
    result = json.loads(done.stdout)
    if done.returncode != (result["verdict"] == "different"):
        raise ValueError(f"exit {done.returncode} for the verdict {result['verdict']}")
    return result


def describe(component, layer, experts):
    text = component + (f" {layer}" if layer is not None else "")
    return text + (" experts " + ",".join(map(str, experts)) if experts else "")


def judge(result, defect):
    """Whether the first divergence is where the defect was planted, the tap that shows it, and the place as text."""
    first = result["first"]
    if not first:
        return False, "none", "not found"
    ok = (first["component"], first["layer"], tuple(first["experts"])) == (defect.component, defect.layer, defect.experts)
    ok &= first["tap"] == defect.tap_name
    if len(defect.experts) == 1:
        ok &= first["expert"] == defect.experts[0]
    return ok, first["tap"].removeprefix("tap."), describe(first["component"], first["layer"], first["experts"])


# ---- the original, changed the same way ----


def tolerance_of(control, tap):
    """The bar of a tap, from a run without a defect, and what it measures.

    The ratio of two distances to the truth is 1 where nothing moves: the bar is what its mean may be above 1.
    """
    entry = {entry["tap"]: entry for entry in control["taps"]}[tap]
    if entry["measure"] == "ratio":
        return "ratio", control["ratio"]["high"] - 1
    return entry["measure"], entry["tolerance"]


def moved_enough(defect, record, control):
    """Whether the original moves by more than ten times the tolerance, and that as text."""
    if (record["golden"], record["tap"]) != (defect.golden, defect.tap_name):
        return False, f"recorded at {record['tap']} of {record['golden']}"
    if "output" in record:  # integers differ or do not; what they choose has a measure
        if not record["different"]:
            return False, "nothing differs"
        record = record["output"]
    measure, tolerance = tolerance_of(control, record["tap"])
    moved = record["ratio"] - 1 if measure == "ratio" else record[measure]
    share = moved / tolerance
    return share > 10, f"{measure} {moved:.1e}, {share:.0f} times the tolerance"


# ---- the run ----


class Report:
    def __init__(self):
        self.number = self.failed = 0

    def line(self, ok, text):
        self.number += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.number} - {text}", flush=True)
        return ok

    def crash(self, text, error):
        """Whatever goes wrong with one run fails that one, and the others go on."""
        self.line(False, f"{text}: {type(error).__name__}: {error}".replace("\n", " "))


def run_control(report, golden, options, work):
    text = f"control {golden} {' '.join(options)}".rstrip()
    try:
        result = look(BUILD / "tessera", golden, None, options, work)
    except Exception as error:
        report.crash(text, error)
        return None
    report.line(result["verdict"] in ("equal", "agree"), f"{text}: {result['verdict']}")
    return result


def run_defect(report, name, controls, moves, work):
    """Returns whether all that is asked of one defect is so, and its row of the table."""
    defect = DEFECTS[name]
    expected = describe(defect.component, defect.layer, defect.experts)
    try:
        control = controls[defect.golden, defect.options]
        if control is None or name not in moves:
            raise ValueError("no control, or no record of the original")
        far, text = moved_enough(defect, moves[name], control)
        binary = BUILD / "tessera" if defect.change else compile_with(name, Path("build/mutation") / name)
        ok, tap, place = judge(look(binary, defect.golden, defect.change, defect.options, work), defect)
    except Exception as error:
        report.crash(defect.title, error)
        return False, (defect.title, "none", "none", expected)
    far = report.line(far, f"{defect.title}: the original moves, {text}")
    found = report.line(ok, f"{defect.title}: found and located")
    return far and found, (defect.title, tap, place, expected)


def main():
    wanted = sys.argv[1:] or list(DEFECTS)
    report, controls, table, complete = Report(), {}, [], 0
    moves = json.loads(MOVES.read_text())["defects"]
    report.line(set(moves) == set(DEFECTS), "the original was changed by every defect of the catalogue, and by no other")
    with tempfile.TemporaryDirectory() as folder:
        for golden, options in CONTROLS:
            work = Path(tempfile.mkdtemp(dir=folder))
            controls[golden, options] = run_control(report, golden, options, work)
        for name in wanted:
            work = Path(tempfile.mkdtemp(dir=folder))
            ok, row = run_defect(report, name, controls, moves, work)
            complete += ok
            table.append(row)
            shutil.rmtree(work)
    print(f"# {'defect':38} {'detected by':40} {'located':26} expected")
    for row in table:
        print("# {:38} {:40} {:26} {}".format(*row))
    print(f"1..{report.number}")
    print(f"# {complete} of {len(wanted)}")
    return report.failed != 0


if __name__ == "__main__":
    sys.exit(main())
