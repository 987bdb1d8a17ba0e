#!/usr/bin/env python3
"""The demo checkpoint's known answers, a list for `tessera verify --known-answers --answers`.

    known_answers.py [--model FOLDER] [--goldens FOLDER]

Reads answers.json (what the original said, written by demo_goldens.py) and the checkpoint's own tensors, and writes
known_answers.json beside it. Totals are counted from the shards' headers; the router's choice is torch's, applied to
the embedding row itself, as the published observation of the real model has it.
"""

import argparse
import json
from pathlib import Path

import torch

import prompt
import tracefile

ROOT = Path(__file__).resolve().parent.parent
KEYS = ["hidden_size", "num_hidden_layers", "num_experts", "num_experts_per_tok", "vocab_size"]
# The longest prefix decides.
COMPONENTS = {
    "thinker.model.": "thinker text", "thinker.lm_head.": "thinker text", "thinker.audio_tower.": "audio tower",
    "thinker.visual.": "vision tower", "talker.": "talker", "talker.code_predictor.": "code predictor",
    "code2wav.": "code2wav",
}
CHATS = {"france": "equals", "sum_plain": "begins", "hello": "contains"}
ORIGINAL = "the original (transformers 5.23.0, torch 2.13.0, float32) on this checkpoint: answers.json"


def entries(folder):
    """(name, shape, bytes, file, offset) of every tensor."""
    for shard in tracefile.shards(folder):
        header, start = tracefile.read_header(shard)
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            yield name, entry["shape"], end - begin, shard, start + begin


def totals(folder):
    counts = {}
    for name, shape, size, _, _ in entries(folder):
        prefix = max((p for p in COMPONENTS if name.startswith(p)), key=len)
        keys = ["all", COMPONENTS[prefix]]
        if ".mlp.experts." in name:
            keys.append(f"{COMPONENTS[prefix]} experts")
        if name == "thinker.lm_head.weight":
            keys.append(name)
        for key in keys:
            tensors, parameters, total = counts.get(key, (0, 0, 0))
            counts[key] = (tensors + 1, parameters + torch.Size(shape).numel(), total + size)
    return [
        {"kind": "tensors", "name": f"tensors of {key}", "of": key, "tensors": tensors, "parameters": parameters,
         "bytes": size, "source": "headers of the shards"}
        for key, (tensors, parameters, size) in sorted(counts.items())
    ]


def tensor(folder, wanted):
    for name, shape, size, shard, offset in entries(folder):
        if name == wanted:
            with open(shard, "rb") as file:
                file.seek(offset)
                return torch.frombuffer(bytearray(file.read(size)), dtype=torch.bfloat16).reshape(shape).float()
    raise KeyError(wanted)


def route(folder, token, layer, count):
    """Experts and weights that a layer's router gives the embedding row of a token."""
    row = tensor(folder, "thinker.model.embed_tokens.weight")[token : token + 1]
    logits = torch.nn.functional.linear(row, tensor(folder, f"thinker.model.layers.{layer}.mlp.gate.weight"))
    weights, experts = torch.topk(torch.softmax(logits, dim=-1, dtype=torch.float32), count, dim=-1)
    return experts[0].tolist(), (weights / weights.sum(dim=-1, keepdim=True))[0].tolist()


def router(folder, text, layer, count, with_weights):
    ids = prompt.Tokenizer(folder).encode(text)
    experts, weights = route(folder, ids[-1], layer, count)
    answer = {"kind": "router", "name": f"layer {layer}'s router on the last token's embedding", "prompt": text,
              "last_id": ids[-1], "layer": layer, "experts": experts}
    if with_weights:
        answer["weights"] = weights
    return {**answer, "source": "torch 2.13.0, float32: linear, softmax, topk, division by the sum"}


def make(folder, kept):
    """The list. `kept`: the content of answers.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config["thinker_config"]["text_config"]
    raw = kept["prompts"]["raw_france"]
    answers = totals(folder)
    answers.append({"kind": "tokens", "name": "ids of the raw prompt", "prompt": raw["raw"], "ids": raw["prompt_ids"],
                    "source": "the tokenizers package on this checkpoint's files"})
    answers.append(router(folder, raw["raw"], 0, text["num_experts_per_tok"], True))
    answers.append(router(folder, raw["raw"], text["num_hidden_layers"] - 1, text["num_experts_per_tok"], False))
    answers.append({"kind": "rank", "name": "rank of \" Paris\"", "prompt": raw["raw"], "token": " Paris",
                    "rank": raw["rank_of_paris"], "source": ORIGINAL})
    second = raw["top"][1]["text"]
    answers.append({"kind": "rank", "name": f"rank of \"{second}\", not judged", "prompt": raw["raw"], "token": second,
                    "seen": [{"rank": 2, "where": "the original", "source": "answers.json"}], "source": ORIGINAL})
    for name, how in CHATS.items():
        entry = kept["prompts"][name]
        said = entry["float32"]["text"]
        part = {"equals": said, "begins": said[: len(said) // 2], "contains": said[len(said) // 3 :]}[how]
        answers.append({"kind": "chat", "name": f"chat: {entry['messages'][-1]['content']}",
                        "messages": entry["messages"], how: part, "max_new": entry["generate"], "source": ORIGINAL})
    return {
        "format": "tessera known answers",
        "version": 1,
        "checkpoint": {
            "name": "the demo checkpoint",
            "source": "demo/checkpoint/config.json",
            "configuration": {f"thinker_config.text_config.{key}": text[key] for key in KEYS},
        },
        "answers": answers,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "checkpoint")
    parser.add_argument("--goldens", type=Path, default=ROOT / "tests" / "golden" / "demo")
    options = parser.parse_args()
    kept = json.loads((options.goldens / "answers.json").read_text(encoding="utf-8"))
    made = make(options.model, kept)
    (options.goldens / "known_answers.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(made['answers'])} known answers")


if __name__ == "__main__":
    main()
