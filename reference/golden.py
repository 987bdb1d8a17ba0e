#!/usr/bin/env python3
"""Makes a golden: a trace of the original implementation in the format that `tessera verify` reads.

    golden.py --model DIR (--inputs IN.safetensors | --prompt TEXT [--raw] | --messages JSON)
              --out OUT.safetensors [--dtype float32|bfloat16] [--generate N] [--speak N [--speaker NAME]]
              [--case NAME] [--experts] [--threads N]

--inputs takes the `in.*` tensors of any trace or golden. With a prompt, the checkpoint's own tokenizer files are used
by the `tokenizers` package, and the text is kept in the metadata (`raw` or `messages`), so that a reader with a
tokenizer can check its own ids.
"""

import argparse
import sys

import original
import request
import tracefile
from weights import BadInput


def make(model, folder, inputs, dtype, case, generate, out, text_metadata=None, with_experts=False, identity=None,
         speak=0, speaker="ethan"):
    """Runs one case on a loaded model and writes its golden; returns the tensors."""
    inputs = {name: array for name, array in inputs.items() if name.startswith("in.")}
    tensors = {**inputs, **original.trace(model, inputs, dtype, generate, with_experts, speak, speaker)}
    metadata = {
        **original.versions(dtype),
        **(identity or tracefile.identity(folder)),
        "case": case,
        "generate": str(generate),
        "speak": str(speak),
        "speaker": speaker,
        **(text_metadata or {}),
    }
    tracefile.write(out, tensors, metadata)
    return tensors


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    request.add_arguments(parser)
    options = parser.parse_args(arguments)
    request.check(parser, options)
    return options


def run(options, model):
    inputs, text_metadata = request.inputs_of(options)
    make(model, options.model, inputs, options.dtype, options.case, options.generate, options.out, text_metadata,
         options.experts, speak=options.speak, speaker=options.speaker)


def main():
    options = parse_arguments()
    try:
        run(options, original.load(options.model, options.dtype, options.threads))
    except BadInput as error:
        print(f"golden: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
