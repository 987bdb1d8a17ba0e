#!/usr/bin/env python3
"""Writes the goldens of tests/golden/decoders: the text models of checkpoint `c`, each run on rows of vectors alone.

    decoders.py [--out FOLDER]

  talker          rows of its codec embedding among arbitrary ones, three unequal streams of positions, with experts
  code_predictor  sixteen arbitrary rows at the places 0 to 15, as for the codes of one frame
  deepstack       the thinker's text model on embedded ids and, where media would be, arbitrary vectors, to which the
                  DeepStack features of the first layers are added

Inputs are named after the arguments of the original's forward, and are bf16 values, the same in both dtypes:
`in.inputs_embeds` [n, d], `in.position_ids` [3, n], `in.visual_pos_masks` [n] (0 or 1) and
`in.deepstack_visual_embeds.L` [rows of the mask, d], added after layer L. `in.row_ids` [n] says whose row of the
embedding a vector is, -1 if nobody's.
"""

import numpy as np
import torch

import alone
import original
import tiny
from bits import relative_l2

CHECKPOINT, OUT = alone.GOLDEN / "c", alone.GOLDEN / "decoders"
N_DEEPSTACK = 2
MODULES = {
    "talker": ("talker.model", lambda model: model.talker.model),
    "code_predictor": ("talker.code_predictor.model", lambda model: model.talker.code_predictor.model),
    "deepstack": ("thinker.model", lambda model: model.thinker.model.language_model),
}


# ---- inputs ----


def random_rows(seed, count, width, size):
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal((count, width)) * size
    return torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16).to(torch.float32).numpy()


def mix_rows(embedding, ids, seed, size):
    """The embedding's rows of `ids`, arbitrary vectors where an id is -1."""
    table = original.plain(embedding.weight)
    rows = random_rows(seed, len(ids), table.shape[1], size)
    rows[ids >= 0] = table[ids[ids >= 0]]
    return {"in.inputs_embeds": rows, "in.row_ids": ids}


def talker_inputs(model):
    embedding = model.talker.model.codec_embedding
    ids = tiny.random_ids(50, 29, embedding.num_embeddings)
    ids[7:20] = -1
    ids[24::2] = -1
    return {**mix_rows(embedding, ids, 51, 1.0), "in.position_ids": tiny.unequal_positions(29)}


def predictor_inputs(model):
    width = model.talker.code_predictor.model.config.hidden_size
    places = np.arange(16, dtype=np.float32)
    return {"in.inputs_embeds": random_rows(52, 16, width, 1.0), "in.row_ids": np.full(16, -1),
            "in.position_ids": np.stack([places, places, places])}


def deepstack_inputs(model):
    """Media at rows 5 to 11, 15 and 20 to 22; row 13 is a vector that is none (as audio is)."""
    embedding = model.thinker.model.language_model.embed_tokens
    ids = tiny.random_ids(53, 33, 285)
    mask = np.zeros(33, np.int64)
    mask[5:12] = mask[15] = mask[20:23] = 1
    ids[mask == 1] = ids[13] = -1
    features = {f"in.deepstack_visual_embeds.{layer}": random_rows(55 + layer, mask.sum(), 24, 0.03)
                for layer in range(N_DEEPSTACK)}
    return {**mix_rows(embedding, ids, 54, 0.03), "in.position_ids": tiny.unequal_positions(33),
            "in.visual_pos_masks": mask, **features}


INPUTS = {"talker": talker_inputs, "code_predictor": predictor_inputs, "deepstack": deepstack_inputs}


# ---- running ----


def arguments(case, inputs, dtype):
    given = {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}
    positions = given["in.position_ids"]
    result = {
        "inputs_embeds": given["in.inputs_embeds"][None].to(dtype),
        "position_ids": positions[:1] if case == "code_predictor" else positions[:, None],
        "use_cache": False,
    }
    if "in.visual_pos_masks" in given:
        result["visual_pos_masks"] = given["in.visual_pos_masks"][None] == 1
        result["deepstack_visual_embeds"] = [
            given[f"in.deepstack_visual_embeds.{layer}"].to(dtype) for layer in range(N_DEEPSTACK)
        ]
    return result


@torch.no_grad()
def trace(model, case, inputs, dtype):
    """The `tap.*` tensors of one text model, run whole on the `in.*` tensors."""
    name, module_of = MODULES[case]
    listener = original.Listener(model, with_experts=case == "talker")
    listener.listen_below(module_of(model), name)
    module_of(model)(**arguments(case, inputs, original.DTYPES[dtype]))
    listener.__exit__()
    return listener.taps


# ---- what the goldens are good for ----


@torch.no_grad()
def weigh_shared_expert(model, inputs):
    """By layer of the talker: (share of the shared expert in the MLP's norm, its gates)."""
    found = []

    def hook(block, arguments_in, output):
        rows = arguments_in[0].reshape(-1, arguments_in[0].shape[-1])
        gates = torch.sigmoid(block.shared_expert_gate(rows))
        found.append((float((gates * block.shared_expert(rows)).norm() / output.norm()), gates.ravel()))

    talker = model.talker.model
    handles = [layer.mlp.register_forward_hook(hook) for layer in talker.layers]
    talker(**arguments("talker", inputs, torch.float32))
    for handle in handles:
        handle.remove()
    return found


def find_faults(model, traces, inputs):
    """Branches that a golden would not show, by the float32 run; none in a golden that is worth keeping."""
    faults = []
    for layer, (share, gates) in enumerate(weigh_shared_expert(model, inputs["talker"])):
        spread = (gates > 0.1) & (gates < 0.9)
        if not 0.2 <= share <= 0.9 or spread.float().mean() < 0.5:
            faults.append(f"talker layer {layer}: shared expert {share:.2f} of the norm, gates {gates.tolist()}")
    for layer in range(N_DEEPSTACK):
        plain = {name: array for name, array in inputs["deepstack"].items() if "visual" not in name}
        without, name = trace(model, "deepstack", plain, "float32"), f"tap.thinker.model.layers.{layer + 1}"
        moved = relative_l2(without[name], traces["deepstack"][name])
        if moved < 0.05:
            faults.append(f"deepstack: {name} is moved by {moved:.1e}")
    for case, taps in traces.items():
        for name, array in taps.items():
            if name.endswith(".indices") and len(np.unique(array)) < 6:
                faults.append(f"{case}: {name} names experts {np.unique(array).tolist()} only")
    return faults


# ---- goldens ----


def make(model, case, dtype):
    inputs = INPUTS[case](model)
    return {**inputs, **trace(model, case, inputs, dtype)}


def write_all(out):
    for dtype in alone.SUFFIXES:
        model = original.load(CHECKPOINT, dtype)
        made = {case: make(model, case, dtype) for case in MODULES}
        if dtype == "float32":
            alone.refuse(find_faults(model, made, {case: INPUTS[case](model) for case in MODULES}))
        alone.write(out, CHECKPOINT, dtype, made)


def check(report):
    """Runs the original again on what the script says, and compares with what is kept."""
    for dtype in alone.SUFFIXES:
        model = original.load(CHECKPOINT, dtype)
        alone.check(report, OUT, CHECKPOINT, dtype, {case: make(model, case, dtype) for case in MODULES})


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
