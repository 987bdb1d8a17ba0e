"""What golden.py and layerwise.py are asked: their common arguments, and the inputs these stand for."""

import json

import numpy as np

import original
import prompt
import tracefile
from weights import BadInput


def add_arguments(parser):
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


def check(parser, options):
    if options.raw and options.prompt is None:
        parser.error("--raw goes with --prompt")
    if options.generate < 0 or options.threads < 1:
        parser.error("--generate is 0 or more, --threads 1 or more")


def inputs_of(options):
    """(the `in.*` tensors, what the metadata says of a text)."""
    if options.inputs:
        return tracefile.read(options.inputs)[0], {}
    if options.raw:
        text, metadata = options.prompt, {"raw": options.prompt}
    else:
        try:
            messages = json.loads(options.messages or json.dumps([{"role": "user", "content": options.prompt}]))
            text = prompt.render(messages)
        except prompt.NotCovered as error:
            raise BadInput(f"--messages: {error}") from error
        except ValueError as error:
            raise BadInput(f"--messages: {error}; expected a JSON array of objects with role and content") from error
        metadata = {"messages": json.dumps(messages, ensure_ascii=False)}
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"the prompt is not UTF-8: {error}") from error
    return {"in.input_ids": np.array(prompt.Tokenizer(options.model).encode(text), np.int64)}, metadata
