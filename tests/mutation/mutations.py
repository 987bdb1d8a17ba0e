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

import catalogue
import media_catalogue
import speech_catalogue
from catalogue import Checkpoint, checkpoint_of, dtype_of, path_of, read_metadata, truth_of

BUILD = Path(os.environ.get("TESS_BUILD", "build/release-gcc"))
DEFECTS = {**catalogue.DEFECTS, **media_catalogue.DEFECTS, **speech_catalogue.DEFECTS}
# Runs without a defect: every golden as the defects run it.
CONTROLS = list(dict.fromkeys((defect.golden, defect.options) for defect in DEFECTS.values()))
# A file, and pairs of a text and its replacement.
CODE = {name: (source, (old, new), *([catalogue.ALSO[name]] if name in catalogue.ALSO else []))
        for name, (source, old, new) in catalogue.CODE.items()}
CODE.update(media_catalogue.CODE)
CODE.update(speech_catalogue.CODE)
RECORDS = [Path(__file__).parent / f"original_moves{name}.json" for name in ("", "_media", "_speech")]
CODES = "tap.talker.codes"


def output_of(command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def compile_with(name, folder):
    """A binary with the defect, from a copy of one source file and the objects of the ordinary build."""
    source, *changes = CODE[name]
    content = Path(source).read_text()
    for old, new in changes:
        if content.count(old) != 1:
            raise ValueError(f"{source} has {content.count(old)} places for the defect, expected one")
        content = content.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / Path(source).name
    copy.write_text("#include <stddef.h>\n" + content)
    flags = [flag for flag in shlex.split((BUILD / "flags").read_text()) if not flag.startswith("-m")]
    libraries = output_of(["make", "--no-print-directory", "-s", "app-libs"]).split()
    binary = folder / "tessera"
    # A build folder may hold objects of sources that have moved.
    objects = [str(path) for path in sorted((BUILD / "apps").rglob("*.o"))
               if path.relative_to(BUILD).with_suffix(".c").exists()]
    subprocess.run([*flags, "-w", "-o", binary, copy, *objects, BUILD / "libtessera.a", *libraries], check=True)
    return binary


def messages_of(golden, text):
    """A golden's messages, whose media are seen from its folder."""
    messages = json.loads(text)
    for turn in messages:
        for part in turn["content"] if isinstance(turn["content"], list) else []:
            kind = part["type"]
            if kind != "text":
                part[kind] = str((path_of(golden).parent / part[kind]).resolve())
    return json.dumps(messages)


def inputs_of(golden, work):
    """The options that repeat a golden's inputs; what was said is said, so that all that makes ids of it takes part.

    Of speech the inputs' own metadata say how it is spoken.
    """
    metadata = read_metadata(path_of(golden))
    if int(metadata.get("speak", 0)):
        return ["--inputs", path_of(golden)]
    if "raw" in metadata:
        return ["--raw", "--prompt", metadata["raw"], "--generate", metadata["generate"]]
    if "messages" in metadata:
        path = work / "messages.json"
        path.write_text(messages_of(golden, metadata["messages"]))
        return ["--messages", path, "--generate", metadata["generate"]]
    return ["--inputs", path_of(golden)]


def run_tessera(binary, command, arguments):
    """What a comparing command prints as JSON; its exit code must fit the verdict."""
    done = subprocess.run([binary, command, "--quiet", "--json", "--ignore-identity", *arguments], text=True,
                          capture_output=True)
    if done.returncode not in (0, 1):
        raise ValueError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    if done.returncode != (result["verdict"] == "different"):
        raise ValueError(f"exit {done.returncode} for the verdict {result['verdict']}")
    return result


def look(binary, golden, folder, options, work):
    """What comparing says of a golden's inputs run again, by how it is asked."""
    common = ["--ledger", "off", "--memory", "1GiB", "--threads", "1", "--model", folder, *options]
    truth = ["--truth", truth_of(golden)] if truth_of(golden) else []
    trace = work / "trace.safetensors"
    done = subprocess.run([binary, "trace", "--quiet", *common, "--dtype", dtype_of(golden), *inputs_of(golden, work),
                           "--out", trace], text=True, capture_output=True)
    verify = [*common, "--golden", path_of(golden)]
    return {
        "trace": {"verdict": "refused", "says": done.stderr} if done.returncode else
                 run_tessera(BUILD / "tessera", "compare", [*truth, path_of(golden), trace]),
        "verify": run_tessera(binary, "verify", [*verify, *truth]),
        "isolated": run_tessera(binary, "verify", [*verify, "--isolate"]),
    }


# ---- where it is ----


def place_text(places, experts=()):
    """"self_attn 0-3, norm": components with the layers they were found in."""
    of = {}
    for component, layer in sorted(places, key=lambda place: (place[1] is None, place[0], place[1] or 0)):
        of.setdefault(component, []).append(layer)
    parts = []
    for component, layers in of.items():
        numbers = [number for number in layers if number is not None]
        run = len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1))
        text = f"{numbers[0]}-{numbers[-1]}" if run else "+".join(map(str, numbers))
        text += " and others" if numbers and None in of[component] else ""
        parts.append(f"{component} {text}".rstrip())
    return ", ".join(parts) + (f" expert {'+'.join(map(str, experts))}" if experts else "")


def place_of(entry):
    return entry["component"], entry["layer"]


def experts_of(result, places):
    """All experts that are named for what failed at these places."""
    failed = [entry for entry in result["failed"] if place_of(entry) in places]
    return tuple(sorted({expert for entry in failed for expert in entry["experts"]}))


def spot_text(spot):
    """What is told of a place beyond component and layer: " frame 1 codebook 0"."""
    return "".join(f" {key} {value}" for key, value in spot.items() if value is not None)


def component_in(how, defect, record):
    """Two files cannot tell the template from the tokenizer, nor in the other codebooks the talker from the predictor."""
    if how == "trace" and defect.component == "chat_template":
        return "tokenizer"
    return "code_predictor" if how == "trace" and record.get("codebook") else defect.component


def spot_of(how, defect, record):
    """Where the original leaves its golden, as far as Tessera must do the same: a frame, codebook or row of speech.

    Where the talker's codes part in another codebook than the first, behind the golden's own they do in another frame.
    """
    is_asked = how != "isolated" or not (defect.component.startswith("talker.") and record.get("codebook"))
    return {key: record[key] for key in ("frame", "codebook", "position") if key in record and is_asked}


def judge(how, result, defect, record):
    """Whether what is found is what was planted, the tap that shows it, the place found and the expected one."""
    component = component_in(how, defect, record)
    # Where one run is refused the others end with the inputs, and whatever follows is missing.
    is_apart = how == "isolated" and not defect.refused
    expected = defect.places if is_apart else {(component, defect.layer)}
    spot = spot_of(how, defect, record)
    wanted = place_text(expected, defect.experts) + spot_text(spot)
    if result["verdict"] == "refused" or how in defect.refused:
        says = result.get("says", "")
        return bool(says) and defect.refused.get(how, "\n") in says, "none", "refused", wanted
    if how == "isolated" and defect.whole_only:
        return not result["failed"], "none", "nowhere", "nowhere"
    if not result["failed"]:
        return False, "none", "nowhere", wanted
    first = result["first"]
    found = {place_of(entry) for entry in (result["failed"] if is_apart else [first])}
    experts = experts_of(result, found) if defect.experts else ()
    tap = first["tap"].split(".experts.")[0]  # where the golden holds them, single experts come before their sum
    ok = found == expected and experts == defect.experts
    ok &= (tap, place_of(first)) == (defect.first_tap(how), (component, defect.layer))
    if len(defect.experts) == 1:
        ok &= first["expert"] == defect.experts[0]
    if is_apart and defect.taps:
        ok &= tuple(entry["tap"].removeprefix("tap.") for entry in result["failed"]) == defect.taps
    if how == "verify":
        ok &= defect.says in f"{first['where']}: {first['why']}"
    here = {key: first[key] for key in spot}
    ok &= here == spot
    return ok, first["tap"].removeprefix("tap."), place_text(found, experts) + spot_text(here), wanted


# ---- the original, changed the same way ----


def measure_of(control, tap):
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
    if "refused" in record:
        return True, "it refuses the inputs"
    if record["tap"] == CODES:
        return record["different"] > 0, f"codes part ways in{spot_text(spot_of('trace', defect, record))}"
    if record["tap"].endswith(".position_ids"):
        return record["rows"] > 0, f"{record['rows']} of {record['of']} streams differ"
    if "output" not in record and record["tap"].endswith(".generated"):
        return record["different"] > 0, f"{record['different']} of {record['of']} tokens differ"
    # Inputs and integers differ or do not; what comes of them has a measure.
    if "output" in record and (record["tap"].startswith("in.") or measure_of(control, record["tap"])[0] == "exact"):
        if "different" in record and not record["different"]:
            return False, "nothing differs"
        record = record["output"]
    measure, tolerance = measure_of(control, record["tap"])
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
        results = look(BUILD / "tessera", golden, checkpoint_of(golden), options, work)
    except Exception as error:
        report.crash(text, error)
        return None
    for how, result in results.items():
        report.line(result["verdict"] in ("equal", "agree"), f"{text}, {how}: {result['verdict']}")
    return results


def plant(name, defect, work):
    """The binary and the checkpoint that have the defect between them."""
    if not defect.change:
        return compile_with(name, Path("build/mutation") / name), checkpoint_of(defect.golden)
    folder = shutil.copytree(checkpoint_of(defect.golden), work / "checkpoint")
    defect.change(Checkpoint(folder))
    return BUILD / "tessera", folder


def run_defect(report, name, controls, moves, work):
    """Returns whether all that is asked of one defect is so, and its rows of the table."""
    defect, failed, rows = DEFECTS[name], report.failed, []
    try:
        control = controls[defect.golden, defect.options]
        if control is None or name not in moves:
            raise ValueError("no control, or no record of the original")
        far, text = moved_enough(defect, moves[name], control["trace"])
        report.line(far, f"{defect.title}: the original moves, {text}")
        binary, folder = plant(name, defect, work)
        for how, result in look(binary, defect.golden, folder, defect.options, work).items():
            ok, tap, found, expected = judge(how, result, defect, moves[name])
            report.line(ok, f"{defect.title}, {how}: found and located")
            rows.append((defect.title, how, tap, found, expected))
    except Exception as error:
        report.crash(defect.title, error)
        rows.append((defect.title, "-", "none", "nowhere", place_text({(defect.component, defect.layer)})))
    return report.failed == failed, rows


def main():
    wanted = sys.argv[1:] or list(DEFECTS)
    report, controls, table, complete = Report(), {}, [], 0
    moves = {name: record for path in RECORDS for name, record in json.loads(path.read_text())["defects"].items()}
    report.line(set(moves) == set(DEFECTS), "the original was changed by every defect here, and by no other")
    with tempfile.TemporaryDirectory() as folder:
        for golden, options in CONTROLS:
            work = Path(tempfile.mkdtemp(dir=folder))
            controls[golden, options] = run_control(report, golden, options, work)
        for name in wanted:
            work = Path(tempfile.mkdtemp(dir=folder))
            ok, rows = run_defect(report, name, controls, moves, work)
            complete += ok
            table += rows
            shutil.rmtree(work)
    for row in [("defect", "run", "detected by", "located", "expected"), *table]:
        print("# {:36} {:9} {:42} {:38} {}".format(*row))
    print(f"1..{report.number}")
    print(f"# {complete} of {len(wanted)}")
    return report.failed != 0


if __name__ == "__main__":
    sys.exit(main())
