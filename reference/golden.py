#!/usr/bin/env python3
"""Makes a golden: a trace of the original implementation in the format that `tessera verify` reads.

    golden.py --model DIR (--inputs IN.safetensors | --prompt TEXT [--raw] | --messages JSON)
              --out OUT.safetensors [--dtype float32|bfloat16] [--generate N] [--case NAME] [--experts] [--threads N]

--inputs takes the `in.*` tensors of any trace or golden. With a prompt, the checkpoint's own tokenizer files are used
by the `tokenizers` package, and the text is kept in the metadata (`raw` or `messages`), so that a reader with a
tokenizer can check its own ids.
"""

import argparse
import json

import numpy as np

import original
import prompt
import tracefile


def make(model, folder, inputs, dtype, case, generate, out, text_metadata=None, with_experts=False, identity=None):
    """Runs one case on a loaded model and writes its golden; returns the tensors."""
    inputs = {name: array for name, array in inputs.items() if name.startswith("in.")}
    tensors = {**inputs, **original.trace(model, inputs, dtype, generate, with_experts)}
    metadata = {
        **original.versions(dtype),
        **(identity or tracefile.identity(folder)),
        "case": case,
        "generate": str(generate),
        "speak": "0",
        "speaker": "ethan",
        **(text_metadata or {}),
    }
    tracefile.write(out, tensors, metadata)
    return tensors


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--inputs", help="a safetensors file with in.* tensors")
    source.add_argument("--prompt", help="the text of one user turn, or with --raw the whole prompt")
    source.add_argument("--messages", help="a JSON array of objects with role and content")
    parser.add_argument("--raw", action="store_true", help="no chat template")
    parser.add_argument("--out", required=True)
    parser.add_argument("--dtype", choices=sorted(original.DTYPES), default="float32")
    parser.add_argument("--generate", type=int, default=0)
    parser.add_argument("--case", default="text")
    parser.add_argument("--threads", type=int, default=1, help="part of the result's bits in float32")
    parser.add_argument("--experts", action="store_true", help="record every expert's output before weighting")
    return parser.parse_args(arguments)


def run(options, model):
    text_metadata = {}
    if options.inputs:
        inputs, _ = tracefile.read(options.inputs)
    else:
        if options.raw:
            text_metadata["raw"] = text = options.prompt
        else:
            messages = json.loads(options.messages or json.dumps([{"role": "user", "content": options.prompt}]))
            text_metadata["messages"] = json.dumps(messages, ensure_ascii=False)
            text = prompt.render(messages)
        ids = prompt.Tokenizer(options.model).encode(text)
        inputs = {"in.input_ids": np.array(ids, np.int64)}
    make(model, options.model, inputs, options.dtype, options.case, options.generate, options.out, text_metadata,
         options.experts)


def main():
    options = parse_arguments()
    run(options, original.load(options.model, options.dtype, options.threads))


if __name__ == "__main__":
    main()
