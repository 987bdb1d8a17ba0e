#!/usr/bin/env python3
"""Plants the defects of tests/mutation in the original and measures how far it moves from its own goldens.

    mutations.py [--out FILE]

A defect of a checkpoint is the same change of a copy of it (tests/mutation/catalogue.py); one of code replaces a part
of the original while a run lasts. For each, the first tap that moves is named and how far it moves, so that the tests
of Tessera, which run without the original, know that a defect matters where they plant it. The numbers go to
tests/mutation/original_moves.json.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree
from unittest.mock import patch

import numpy as np
import torch
import transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe as modeling
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import original
import other_cpu
import prompt
import tracefile

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "mutation" / "original_moves.json"
sys.path.append(str(ROOT / "tests" / "mutation"))
import catalogue  # noqa: E402

# Below this nothing moved: CPUs differ by less (check.py), and a golden's own CPU by nothing.
STILL = 1e-5
EXPERT, LAYER, SKIPPED, FIRST_IDS = 5, 1, 2, 8  # where the code of the catalogue plants its defects
BOUNDARIES = (16, 32)  # of chunks of 16 positions


def replaced(*changes):
    """A context in which attributes, given as (object, name, value), have other values."""
    stack = ExitStack()
    for target, name, value in changes:
        stack.enter_context(patch.object(target, name, value))
    return stack


# ---- routing ----


def layers_of(model):
    return model.thinker.model.language_model.layers


def gates_of(model):
    return [layer.mlp.gate for layer in layers_of(model) if hasattr(layer.mlp, "gate")]


def choosing(gate, weigh):
    """`gate`'s forward, with weigh(logits) -> (weights, indices) in place of what follows the logits."""

    def forward(hidden):
        logits = torch.nn.functional.linear(hidden.reshape(-1, gate.hidden_dim), gate.weight)
        weights, indices = weigh(logits)
        return logits, weights.to(logits.dtype), indices

    return gate, "forward", forward


def top(gate, probabilities):
    weights, indices = torch.topk(probabilities, gate.top_k, dim=-1)
    return (weights / weights.sum(-1, keepdim=True) if gate.norm_topk_prob else weights), indices


def softmax(logits):
    return torch.softmax(logits, -1, torch.float32)


def without_one_expert(model):
    gate = layers_of(model)[LAYER].mlp.gate

    def weigh(logits):
        hidden = torch.arange(logits.shape[-1]) == EXPERT
        return top(gate, softmax(logits.masked_fill(hidden, float("-inf"))))

    return replaced(choosing(gate, weigh))


def as_first_token(model):
    return replaced(*(choosing(gate, lambda logits, gate=gate: top(gate, softmax(logits[:1].expand_as(logits))))
                      for gate in gates_of(model)))


def first_ids(model):
    def weigh(gate, logits):
        probabilities = softmax(logits)
        probabilities[:, FIRST_IDS:] = -1
        return top(gate, probabilities)

    return replaced(*(choosing(gate, lambda logits, gate=gate: weigh(gate, logits)) for gate in gates_of(model)))


def not_renormalised(model):
    return replaced(*((gate, "norm_topk_prob", False) for gate in gates_of(model)))


def softmax_of_chosen(model):
    def weigh(gate, logits):
        chosen, indices = torch.topk(logits, gate.top_k, dim=-1)
        return softmax(chosen), indices

    return replaced(*(choosing(gate, lambda logits, gate=gate: weigh(gate, logits)) for gate in gates_of(model)))


class Unmultiplied:
    """A gate that stays as it is when it is multiplied by up."""

    def __init__(self, gate):
        self.gate = gate

    def __mul__(self, _up):
        return self.gate


class GateOnly(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def forward(self, gate):
        return Unmultiplied(self.activation(gate))


def without_up(model):
    experts = [layer.mlp.experts for layer in layers_of(model) if hasattr(layer.mlp, "experts")]
    return replaced(*((block, "act_fn", GateOnly(block.act_fn)) for block in experts))


# ---- attention ----


def without_head_norms(model):
    norms = [norm for layer in layers_of(model) for norm in (layer.self_attn.q_norm, layer.self_attn.k_norm)]
    return replaced(*((norm, "forward", lambda states: states) for norm in norms))


def in_sections(model):
    rotary = model.thinker.model.language_model.rotary_emb

    def recompose(frequencies):
        parts = frequencies.split(rotary.mrope_section, dim=-1)
        halves = torch.cat([part[stream] for stream, part in enumerate(parts)], dim=-1)
        return torch.cat((halves, halves), dim=-1)

    return replaced((rotary, "recomposition_frequencies", recompose))


def in_adjacent_pairs(_model):
    def rotate(states, cosines, sines):
        half = states.shape[-1] // 2
        cosines, sines = cosines[:, None, :, :half], sines[:, None, :, :half]
        even, odd = states[..., 0::2], states[..., 1::2]
        return torch.stack((even * cosines - odd * sines, odd * cosines + even * sines), dim=-1).flatten(-2)

    return replaced((modeling, "apply_rotary_pos_emb",
                     lambda query, key, cosines, sines: (rotate(query, cosines, sines), rotate(key, cosines, sines))))


def seeing_the_next(_model):
    create = modeling.create_causal_mask

    def mask(*arguments, **keywords):
        result = create(*arguments, **keywords)
        result.diagonal(offset=1, dim1=-2, dim2=-1).zero_()
        return result

    return replaced((modeling, "create_causal_mask", mask))


def heads_by_modulo(_model):
    return replaced((modeling, "repeat_kv", lambda states, count: states.repeat(1, count, 1, 1)))


def with_stale_entries(model):
    """The entry at a chunk's first position is the one before it, which is what the chunk's queries then see."""
    attend = modeling.eager_attention_forward
    planted = layers_of(model)[LAYER].self_attn

    def forward(module, query, key, value, mask, **keywords):
        if module is planted:
            key, value = key.clone(), value.clone()
            for position in BOUNDARIES:
                key[:, :, position] = key[:, :, position - 1]
                value[:, :, position] = value[:, :, position - 1]
        return attend(module, query, key, value, mask, **keywords)

    return replaced((modeling, "eager_attention_forward", forward))


def with_skipped_layer(model):
    layer = layers_of(model)[SKIPPED]
    run = layer.forward

    def forward(hidden, *arguments, **keywords):
        run(hidden, *arguments, **keywords)
        return hidden

    return replaced((layer, "forward", forward))


# ---- rounding ----


def truncated(values):
    bits = values.to(torch.float32).contiguous().view(torch.int32) & -0x10000
    return bits.view(torch.float32).to(torch.bfloat16)


def is_bf16(value):
    return isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16


class Truncation(TorchDispatchMode):
    """Every operation whose result is bfloat16 is done in float32 and cut off there."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        inputs = tree_leaves((arguments, keywords))
        wide_arguments, wide_keywords = tree_map(lambda v: v.to(torch.float32) if is_bf16(v) else v,
                                                 (arguments, keywords))
        if function._schema.is_mutable:
            if not is_bf16(arguments[0]):
                return function(*arguments, **keywords)
            return arguments[0].copy_(truncated(function(*wide_arguments, **wide_keywords)))
        result = function(*arguments, **keywords)
        is_view = any(value.alias_info for value in function._schema.returns)
        if not is_bf16(result) or is_view:
            return result
        if function is torch.ops.aten._to_copy.default:
            return truncated(arguments[0])
        return truncated(function(*wide_arguments, **wide_keywords)) if any(map(is_bf16, inputs)) else result


PLANTED = {
    "masked": without_one_expert,
    "gate_only": without_up,
    "once_per_sequence": as_first_token,
    "first_eight": first_ids,
    "no_renormalisation": not_renormalised,
    "softmax_after_topk": softmax_of_chosen,
    "no_head_norm": without_head_norms,
    "sectioned_rope": in_sections,
    "adjacent_pairs": in_adjacent_pairs,
    "skipped_layer": with_skipped_layer,
    "mask_off_by_one": seeing_the_next,
    "heads_by_modulo": heads_by_modulo,
    "truncation": lambda _model: Truncation(),
    "stale_entry": with_stale_entries,
}


# ---- measuring ----


def relative_l2(value, reference):
    value, reference = value.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def rows_moved(value, reference):
    """Which rows of a tap moved."""
    return [bool(np.any(one != other)) and relative_l2(one, other) > STILL for one, other in zip(value, reference)]


def weights_apart(made, golden, name):
    """The largest difference between weights of the same expert; one that is not chosen weighs nothing."""
    most = 0.0
    for side in (made, golden):
        for row in range(len(side[name + ".indices"])):
            mine, theirs = (dict(zip(s[name + ".indices"][row], s[name + ".weights"][row])) for s in (made, golden))
            most = max([most, *(abs(float(mine.get(e, 0)) - float(theirs.get(e, 0))) for e in {*mine, *theirs})])
    return most


def measure_tap(made, golden, name):
    """How far one tap moved, in the measures that `tessera compare` has for it."""
    value, reference = made[name], golden[name]
    if name.endswith(".indices"):
        rows = [set(one) != set(other) for one, other in zip(value.tolist(), reference.tolist())]
        return {"different": sum(rows), "of": len(rows)}
    if name.endswith(".weights"):
        return {"max_abs": weights_apart(made, golden, name.removesuffix(".weights"))}
    return {"rel_l2": relative_l2(value, reference), "rows": sum(rows_moved(value, reference)), "of": len(value)}


def has_moved(measured):
    return measured.get("different", 0) > 0 or max(measured.get("rel_l2", 0), measured.get("max_abs", 0)) > STILL


def in_model_order(made):
    """Names as the modules ran; a router's choice comes before its weights."""
    rank = {"indices": 1, "weights": 2}
    order = {name: index for index, name in enumerate(made)}
    router = {name: min(order[other] for other in made if other.rsplit(".", 1)[0] == name.rsplit(".", 1)[0])
              for name in made if ".gate." in name}
    return sorted(made, key=lambda name: (router.get(name, order[name]), rank.get(name.rsplit(".", 1)[-1], 0)))


def ratio_to_truth(made, golden, truth):
    """The geometric mean over all taps of their distance to the float32 run ÷ the golden's."""
    logarithms = []
    for name, value in made.items():
        if value.dtype.kind != "f" or name.endswith(".weights") or value.tobytes() == golden[name].tobytes():
            continue
        distance = relative_l2(golden[name], truth[name])
        if distance:
            logarithms.append(np.log(relative_l2(value, truth[name]) / distance))
    return float(np.exp(np.mean(logarithms)))


def measure_run(defect, made, golden):
    """The record of a defect that leaves the prompt as it is."""
    names = [name for name in in_model_order(made) if name != "tap.thinker.generated"]
    name = next(name for name in names if has_moved(measure_tap(made, golden, name)))
    record = {"golden": defect.golden, "tap": name, **measure_tap(made, golden, name)}
    if name.endswith(".indices"):
        output = name.removesuffix(".gate.indices")
        record["output"] = {"tap": output, **measure_tap(made, golden, output)}
    if defect.experts:
        output = record.get("output", record)["tap"]
        routed = np.isin(golden[output + ".gate.indices"], defect.experts).any(axis=1)
        if routed.tolist() != rows_moved(made[output], golden[output]):
            raise ValueError(f"{defect.title}: not exactly the rows that use the experts move")
    truth = catalogue.truth_of(defect.golden)
    if truth:
        record["ratio"] = ratio_to_truth(made, golden, tracefile.read(ROOT / truth)[0])
    return record


def measure_prompt(defect, model, folder, header, golden, metadata):
    """The record of a defect that changes the prompt's ids; what comes of them is the next token's logits."""
    text = metadata.get("raw") or prompt.render(json.loads(metadata["messages"]), header)
    ids = np.array(prompt.Tokenizer(folder).encode(text), np.int64)
    kept = golden["in.input_ids"]
    different = sum(one != other for one, other in zip(ids, kept)) + abs(len(ids) - len(kept))
    made = original.trace(model, {"in.input_ids": ids}, metadata["dtype"])
    name = "tap.thinker.lm_head"
    moved = relative_l2(made[name][-1], golden[name][-1])
    return {"golden": defect.golden, "tap": "in.input_ids", "different": int(different), "of": len(kept),
            "output": {"tap": name, "rel_l2": moved}}


def measure_defect(name, defect, work):
    golden, metadata = tracefile.read(ROOT / catalogue.path_of(defect.golden))
    folder = ROOT / catalogue.checkpoint_of(defect.golden)
    if defect.change:
        folder = copytree(folder, Path(work) / name)
        defect.change(catalogue.Checkpoint(folder))
    model = original.load(folder, metadata["dtype"], int(metadata["threads"]))
    if defect.tap == "in.input_ids":
        return measure_prompt(defect, model, folder, name != "no_header", golden, metadata)
    inputs = {name: array for name, array in golden.items() if name.startswith("in.")}
    with replaced() if defect.change else PLANTED[name](model):
        made = original.trace(model, inputs, metadata["dtype"])
    return measure_run(defect, made, golden)


def rounded(value):
    """Numbers with the digits that a reader and a test need."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def measure_all():
    versions = original.versions("any")
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        moves = {name: rounded(measure_defect(name, defect, work)) for name, defect in catalogue.DEFECTS.items()}
    kept = ("made_by", "transformers", "torch", "attn", "experts", "cpu_capability", "cpu_products")
    return {"original": {key: versions[key] for key in kept}, "defects": moves}


def differences(made, kept):
    """What differs between two records, as text; numbers may by a thousandth, between CPUs by the half."""
    same_cpu = other_cpu.kind_of(made["original"]) == other_cpu.kind_of(kept["original"])
    allowed = 1e-3 if same_cpu else 0.5
    found = [] if set(made["defects"]) == set(kept["defects"]) else ["not the same defects"]

    def compare(path, one, other):
        if isinstance(one, dict) and isinstance(other, dict) and set(one) == set(other):
            for key in one:
                compare(f"{path} {key}", one[key], other[key])
        elif isinstance(one, str) or not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
            found.extend([] if one == other else [f"{path}: {one}, kept {other}"])
        elif abs(one - other) > allowed * abs(other):
            found.append(f"{path}: {one}, kept {other}")

    for name in made["defects"].keys() & kept["defects"].keys():
        compare(name, made["defects"][name], kept["defects"][name])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    moves = measure_all()
    options.out.write_text(json.dumps(moves, indent=1) + "\n")
    for name, record in moves["defects"].items():
        print(name, json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
