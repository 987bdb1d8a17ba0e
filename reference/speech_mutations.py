#!/usr/bin/env python3
"""Plants the defects of the voice in the original and measures how far it moves from its own goldens.

    speech_mutations.py [--out FILE] [NAME...]

As mutations.py does for the text model. Each defect replaces a part of the original while a run lasts. The first tap that
moves is named, and how far; codes part ways for good, so of them the frame and the codebook are kept where they do. The
numbers go to tests/mutation/original_moves_speech.json.
"""

import argparse
import functools
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import numpy as np

import original  # before transformers, whose loudness it sets

import torch
import transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe as modeling
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

import tracefile
from mutations import ROOT, has_moved, in_model_order, measure_tap, relative_l2, replaced, rounded, rows_moved

# Beside catalogue.py, whose folder mutations.py has made known.
import speech_catalogue
from catalogue import Checkpoint, checkpoint_of, path_of

OUT = ROOT / "tests" / "mutation" / "original_moves_speech.json"
CODES = "tap.talker.codes"


def wrapped(target, name, change):
    """A context in which change(method) is called instead; whoever looks sees the method's own parameters."""
    method = getattr(target, name)
    return replaced((target, name, functools.wraps(method)(change(method))))


# ---- code2wav ----


def without_window(_model):
    return replaced((modeling, "create_sliding_window_causal_mask", modeling.create_causal_mask))


def with_plain_snake(_model):
    """Alpha and beta as they stand in the file, not their exponentials."""
    def forward(snake, hidden):
        alpha, beta = (value[None, :, None] for value in (snake.alpha, snake.beta))
        return hidden + torch.sin(hidden * alpha) ** 2 / (beta + snake.no_div_by_zero)

    return replaced((modeling.Qwen3OmniMoeSnakeBeta, "forward", forward))


def with_one_sided_crop(model):
    """All that is too much is cut off at the end."""
    convolutions = [part for part in model.code2wav.modules() if isinstance(part, modeling.Qwen3OmniMoeCausalTransConvNet)]
    return replaced(*((part, "right_pad", 2 * part.right_pad) for part in convolutions),
                    *((part, "left_pad", 0) for part in convolutions))


# ---- code predictor ----


def with_late_position(model):
    """A frame's codes behind the first stand one place too late."""
    def change(forward):
        def late(*arguments, past_key_values=None, inputs_embeds=None, position_ids=None, **keywords):
            n = past_key_values.get_seq_length()
            place = torch.arange(n, n + inputs_embeds.shape[1])[None] + (n > 0)
            return forward(*arguments, past_key_values=past_key_values, inputs_embeds=inputs_embeds, position_ids=place,
                           **keywords)
        return late

    return wrapped(model.talker.code_predictor.model, "forward", change)


@contextmanager
def before_norm(model):
    """The predictor hears the talker's last layer, not what the norm makes of it."""
    last = []

    def change(prepare):
        def prepared(*arguments, hidden_states=None, **keywords):
            if hidden_states is not None:
                layers, codes = hidden_states
                hidden_states = ((*layers[:-1], last[0]), codes)
            return prepare(*arguments, hidden_states=hidden_states, **keywords)
        return prepared

    def keep(_norm, inputs):
        last[:] = inputs[:1]

    handle = model.talker.model.norm.register_forward_pre_hook(keep)
    with wrapped(model.talker, "prepare_inputs_for_generation", change):
        yield
    handle.remove()


# ---- what the talker is fed back ----


def from_wrong_table(model):
    """The first code's row in the sum that is fed back is the predictor's."""
    talker = model.talker

    def change(prepare):
        def prepared(*arguments, **keywords):
            made = prepare(*arguments, **keywords)
            if made.get("residual_codes") is not None:
                code = made["residual_codes"][:, :1]
                wrong = talker.code_predictor.get_input_embeddings()[0](code)
                made["inputs_embeds"] = made["inputs_embeds"] - talker.get_input_embeddings()(code) + wrong
            return made
        return prepared

    return wrapped(talker, "prepare_inputs_for_generation", change)


def with_text(model, change):
    """The rows of the answer's text behind its first token are change(rows)."""
    def other(make):
        def made(*arguments):
            embeds, ids, text = make(*arguments)
            return embeds, ids, change(text)
        return made

    return wrapped(model, "_get_talker_assistant_parts", other)


def with_early_text(model):
    return with_text(model, lambda rows: rows[:, 1:])


def with_repeated_end(model):
    return with_text(model, lambda rows: torch.cat((rows, rows[:, -1:]), dim=1))


def with_late_steps(model):
    """Steps behind the prompt stand one position too late."""
    def change(prepare):
        def prepared(*arguments, **keywords):
            made = prepare(*arguments, **keywords)
            if made.get("residual_codes") is not None:
                made["position_ids"] = made["position_ids"] + 1
            return made
        return prepared

    return wrapped(model.talker, "prepare_inputs_for_generation", change)


def with_double_penalty(_model):
    def twice(penalise):
        return lambda processor, ids, scores: penalise(processor, ids, penalise(processor, ids, scores))

    return wrapped(RepetitionPenaltyLogitsProcessor, "__call__", twice)


def without_suppression(model):
    def change(generate):
        def made(*arguments, suppress_tokens=None, **keywords):
            return generate(*arguments, **keywords)
        return made

    return wrapped(model.talker, "generate", change)


# ---- the talker's prompt ----


def with_other_layer(model):
    talker = model.config.talker_config
    return replaced((talker, "accept_hidden_layer", talker.accept_hidden_layer - 1))


def with_features(model):
    """States of the accepted layer with DeepStack's features, which are added behind it."""
    text, kept = model.thinker.model.language_model, []
    layer = model.config.talker_config.accept_hidden_layer

    def collect(add):
        def added(*arguments):
            kept.append(add(*arguments))
            return kept[-1]
        return added

    def exchange(make):
        def made(begin, end, mask, hidden, embeds):
            hidden = torch.cat((kept[layer - 1], hidden[:, kept[layer - 1].shape[1]:]), dim=1)
            return make(begin, end, mask, hidden, embeds)
        return made

    return replaced((text, "_deepstack_process", collect(text._deepstack_process)),
                    (model, "_get_talker_user_parts", exchange(model._get_talker_user_parts)))


def in_a_line(model):
    def positions(ids, *_, **__):
        return torch.arange(ids.shape[1])[None, None].expand(3, 1, -1), torch.zeros(1, 1, dtype=torch.long)

    return replaced((model.talker, "get_rope_index", positions))


def with_first_speaker(model):
    """Whoever is asked for, the default speaks."""
    speakers = model.config.talker_config.speaker_id
    return replaced((model.config.talker_config, "speaker_id", {name: speakers["ethan"] for name in speakers}))


PLANTED = {
    "no_window": without_window,
    "plain_snake": with_plain_snake,
    "one_sided_crop": with_one_sided_crop,
    "late_position": with_late_position,
    "before_norm": before_norm,
    "wrong_table": from_wrong_table,
    "early_text": with_early_text,
    "repeated_end": with_repeated_end,
    "late_steps": with_late_steps,
    "double_penalty": with_double_penalty,
    "not_suppressed": without_suppression,
    "other_layer": with_other_layer,
    "with_features": with_features,
    "in_a_line": in_a_line,
    "first_speaker": with_first_speaker,
}


# ---- measuring ----


def in_order(made):
    """The talker's codes come before their sound."""
    return sorted(in_model_order(made), key=lambda name: name.startswith("tap.code2wav."))


def measure_codes(made, kept):
    """Where codes part ways, and how many differ of those that both sides have; nothing where they do not."""
    n = min(made.shape[1], kept.shape[1])
    different = made[:, :n] != kept[:, :n]
    if not different.any():
        return {}
    frame, codebook = map(int, np.argwhere(different.T)[0])
    return {"frame": frame, "codebook": codebook, "different": int(different.sum()), "of": int(different.size)}


def measure(name, made, kept):
    """How one tap moved, and from where on; nothing where it did not, or where it is another speech's."""
    one, other = made[name], kept[name]
    if name == CODES:
        return measure_codes(one, other)
    if one.shape != other.shape:
        return {}
    moved = measure_tap(made, kept, name) if one.ndim > 1 else {"rel_l2": relative_l2(one, other)}
    if not has_moved(moved):
        return {}
    rows = {"tap.talker.inputs_embeds": "position", "tap.code2wav.pre_transformer": "frame"}
    return {**moved, **({rows[name]: rows_moved(one, other).index(True)} if name in rows else {})}


def measure_defect(name, defect, work):
    kept, metadata = tracefile.read(ROOT / path_of(defect.golden))
    folder = ROOT / checkpoint_of(defect.golden)
    if defect.change:
        folder = copytree(folder, Path(work) / name)
        defect.change(Checkpoint(folder))
    model = original.load(folder, metadata["dtype"], int(metadata["threads"]))
    inputs = {name: array for name, array in kept.items() if name.startswith("in.")}
    with replaced() if defect.change else PLANTED[name](model):
        made = original.trace(model, inputs, metadata["dtype"], int(metadata["generate"]), False,
                              int(metadata["speak"]), metadata["speaker"])
    for tap in in_order(made):
        moved = measure(tap, made, kept)
        if moved:
            return {"golden": defect.golden, "tap": tap, **moved}
    raise ValueError(f"{defect.title}: nothing moves")


def measure_all(names=speech_catalogue.DEFECTS):
    versions = original.versions("any")
    with tempfile.TemporaryDirectory() as work:
        moves = {name: rounded(measure_defect(name, speech_catalogue.DEFECTS[name], work)) for name in names}
    kept = ("made_by", "transformers", "torch", "attn", "experts", "cpu_capability", "cpu_products")
    return {"original": {key: versions[key] for key in kept}, "defects": moves}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *speech_catalogue.DEFECTS])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    moves = measure_all(options.names or speech_catalogue.DEFECTS)
    for name, record in moves["defects"].items():
        print(name, json.dumps(record))
    if not options.names:
        options.out.write_text(json.dumps(moves, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
