#!/usr/bin/env python3
"""How many answers of the demo checkpoint are heard whole: spoken by Tessera, heard by tools/listen.

    score_voice.py [--model FOLDER] [--build FOLDER] [--every N] [--seed N]...

Asks every N-th trained question of demo_text.py, greedily, and with each seed as the published settings draw. An answer
is heard whole if the listener is sure of every token and its text is the answer's. Needs no torch: `make all tests`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import demo_text

ROOT = Path(__file__).resolve().parent.parent
GREEDY = ["--talker-temperature", "0"]


def spoken(options, question, settings, wave):
    """The text of an answer that is spoken into a file, and its number of tokens with the end."""
    command = [options.build / "tessera", "run", "--model", options.model, "--ledger", "off", "--quiet", "--json",
               "--max-new", "40", "--talker-max-new", "60", "--prompt", question, "--speak", wave, *settings]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return said["text"], len(said["tokens"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "checkpoint")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release-gcc")
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--seed", action="append", default=[])
    options = parser.parse_args()
    questions = [question for question, _ in demo_text.exchanges()[0]][:: options.every]
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "answer.wav"
        for settings in [GREEDY, *(["--seed", seed] for seed in options.seed)]:
            whole = tokens = 0
            for question in questions:
                wave.unlink(missing_ok=True)
                text, count = spoken(options, question, settings, wave)
                listen = subprocess.run([options.build / "listen", "--model", options.model, wave], capture_output=True)
                heard = listen.stdout.decode(errors="replace").removesuffix("\n")
                right = listen.returncode == 0 and heard == text
                whole, tokens = whole + right, tokens + count - 1
                if not right:
                    print(f"  {question!r}: said {text!r}, heard {heard!r}: {listen.stderr.decode().strip()}")
            print(f"{' '.join(settings)}: {whole} of {len(questions)} answers heard whole, of {tokens} tokens", flush=True)


if __name__ == "__main__":
    sys.exit(main())
