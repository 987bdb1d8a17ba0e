#!/usr/bin/env python3
"""Writes the goldens of tests/golden/scores: what the original makes of logits before it draws a code.

    scores.py [--out FOLDER]

Checkpoint `f` speaks, drawing its codes. Logits and drawn codes are inputs: the original's generate() is run again with
them in the place of its own, and its scores after every logits processor are kept. A score of -inf is never drawn.

  in.talker.logits [steps, vocabulary]   in.talker.drawn [steps]: the penalty sees the codes before a step's own
  in.code_predictor.logits and in.code_predictor.drawn, of the frames' fifteen codes one after the other
  tap.talker.scores, tap.code_predictor.scores: of the same shapes as the logits

The metadata of `published` is what the original's generate() does of itself, heard where it makes its logits processors.
"""

import contextlib
import warnings

import numpy as np
import torch

import alone
import original
import tracefile
from bits import compare_bits

CHECKPOINT, OUT = alone.GOLDEN / "f", alone.GOLDEN / "scores"
STEPS = 8


def case(seed, size, temperature, top_k, top_p, penalty):
    """`size` is what the logits are multiplied by; the others are arguments of the original's generate()."""
    numbers = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition_penalty": penalty}
    return {"seed": seed, "size": size, "asked": {f"talker_{key}": value for key, value in numbers.items()}}


CASES = {
    "published": case(1, 1.0, 0.9, 50, 1.0, 1.05),  # the defaults of generate(), which generation_config.json repeats
    "narrow": case(9, 0.3, 0.6, 20, 0.9, 1.2),
    "flat": case(26, 0.125, 1.0, 50, 0.9, 1.05),  # the predictor's top-k and top-p both leave something out
}
SETTINGS = ("temperature", "top_k", "top_p", "repetition_penalty")


class Heard(Exception):
    """Ends a run that has told what was to be heard."""


def usual_settings(model):
    """By name, as metadata has them: what talker and predictor are asked for where generate() is given nothing of it."""
    heard = {}

    def listen(name, part, last):
        prepare = part._get_logits_processor

        def heed(generation_config, *arguments, **keywords):
            if not generation_config.do_sample:
                raise SystemExit(f"the original's {name} is greedy")
            values = {key: getattr(generation_config, key) for key in SETTINGS}
            heard.update({f"{name}_{key}": f"{1 if value is None else value:g}" for key, value in values.items()})
            if last:
                raise Heard
            heard[f"{name}_max_new_tokens"] = str(generation_config.max_new_tokens)
            return prepare(generation_config, *arguments, **keywords)

        part._get_logits_processor = heed

    listen("talker", model.talker, False)
    listen("predictor", model.talker.code_predictor, True)
    try:
        ask(model)
    except Heard:
        return heard
    finally:
        del model.talker._get_logits_processor, model.talker.code_predictor._get_logits_processor
    raise SystemExit("the original's predictor made no logits processors")


@contextlib.contextmanager
def keep_scores(model):
    """While it lasts, every generate() of talker and predictor leaves (logits, scores) of its steps in the two lists."""
    kept = {"talker": [], "code_predictor": []}

    def listen(name, part):
        generate = part.generate

        def with_scores(**arguments):
            made = generate(**arguments, output_logits=True, output_scores=True)
            kept[name].extend(zip(made.logits, made.scores))
            return made

        part.generate = with_scores

    parts = {"talker": model.talker, "code_predictor": model.talker.code_predictor}
    for name, part in parts.items():
        listen(name, part)
    try:
        yield kept
    finally:
        for part in parts.values():
            del part.generate


def flow(inputs):
    """The inputs' draws in the order in which the original draws: a frame's first code, then its fifteen others."""
    first, others = inputs["in.talker.drawn"], inputs["in.code_predictor.drawn"].reshape(-1, 15)
    for frame, code in enumerate(first):
        yield int(code)
        yield from others[frame].tolist() if frame < len(others) else ()


@contextlib.contextmanager
def fed(model, inputs):
    """While it lasts, logits and draws are those of the inputs."""
    draws = flow(inputs)
    logits = {name: iter(torch.from_numpy(np.array(inputs[f"in.{name}.logits"]))) for name in ("talker", "code_predictor")}

    def feed(name):
        def hook(_module, _inputs, output):
            output = output.clone()
            output[0, -1] = next(logits[name])
            return output

        return hook

    handles = [model.talker.codec_head.register_forward_hook(feed("talker"))]
    handles += [head.register_forward_hook(feed("code_predictor")) for head in model.talker.code_predictor.lm_head]
    multinomial = torch.multinomial
    torch.multinomial = lambda probabilities, **_: torch.tensor([[next(draws)]])
    try:
        yield
    finally:
        torch.multinomial = multinomial
        for handle in handles:
            handle.remove()


def ask(model, **talker):
    """Runs generate() on a prompt that hardly matters."""
    model.talker.rope_deltas = model.thinker.model.rope_deltas = None
    config = model.config
    ids = torch.tensor([[config.im_start_token_id, config.user_token_id, 40, 41, config.im_end_token_id,
                         config.im_start_token_id, config.assistant_token_id, 198]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the penalty leaves the prompt's vectors alone
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), return_audio=True, thinker_do_sample=False,
            thinker_max_new_tokens=4, thinker_eos_token_id=config.im_end_token_id, **talker,
        )


def speak(model, case):
    """(logits and scores by part, the codes that were drawn)"""
    codes = []
    model.code2wav.chunked_decode = lambda made, **_: codes.append(made[0]) or torch.zeros(1, 1, 1)
    with keep_scores(model) as kept:
        ask(model, talker_max_new_tokens=STEPS, talker_do_sample=True, **CASES[case]["asked"])
    del model.code2wav.chunked_decode
    return kept, codes[0]


def rows(kept, which):
    return {name: original.plain(torch.cat([pair[which] for pair in pairs])) for name, pairs in kept.items()}


def draw(model, case):
    """The `in.*` tensors: what the original's random numbers give. The last code drawn has no frame."""
    torch.manual_seed(CASES[case]["seed"])
    drawn, multinomial, size = [], torch.multinomial, CASES[case]["size"]
    heads = [model.talker.codec_head, *model.talker.code_predictor.lm_head]
    handles = [head.register_forward_hook(lambda _module, _inputs, output: output * size) for head in heads]

    def listen(*arguments, **keywords):
        drawn.append(multinomial(*arguments, **keywords))
        return drawn[-1]

    torch.multinomial = listen
    try:
        kept, _codes = speak(model, case)
    finally:
        torch.multinomial = multinomial
        for handle in handles:
            handle.remove()
    codes = torch.cat(drawn).ravel().numpy()
    first = np.arange(len(codes)) % 16 == 0
    return {
        "in.talker.drawn": codes[first], "in.code_predictor.drawn": codes[~first],
        **{f"in.{name}.logits": array for name, array in rows(kept, 0).items()},
    }


def process(model, case, inputs):
    """The `tap.*` tensors of the `in.*` tensors."""
    with fed(model, inputs):
        kept, _codes = speak(model, case)
    return {f"tap.{name}.scores": array for name, array in rows(kept, 1).items()}


def find_faults(case, tensors):
    """What a golden should show and does not."""
    drawn, logits, scores = (tensors[name] for name in ("in.talker.drawn", "in.talker.logits", "tap.talker.scores"))
    before = [(step, code) for step in range(len(drawn)) for code in set(drawn[:step].tolist())]
    seen = [logits[step, code] for step, code in before if np.isfinite(scores[step, code])]
    left = np.isfinite(tensors["tap.code_predictor.scores"]).sum(axis=1)
    faults = [] if len(drawn) == STEPS else [f"{case}: speech ended in step {len(drawn)}"]
    negative_left = CASES[case]["asked"]["talker_top_k"] == 50  # of 80 codes
    if not (np.array(seen) > 0).any() or negative_left and not (np.array(seen) < 0).any():
        faults.append(f"{case}: no penalty on a positive, or none on a negative logit")
    if len(set(drawn.tolist())) == len(drawn):
        faults.append(f"{case}: no code was drawn twice")
    if len(set(left.tolist())) < 5:
        faults.append(f"{case}: the predictor's top-p leaves {sorted(set(left.tolist()))}")
    return faults


def settings_of(case, usual):
    """What a case asks for, as metadata has it; of `published` also how many steps the original takes at most."""
    asked = {key: f"{value:g}" for key, value in CASES[case]["asked"].items()}
    others = {key: value for key, value in usual.items() if case == "published" or key.startswith("predictor_")}
    return {**others, **asked}


def write_all(out):
    model = original.load(CHECKPOINT, "float32")
    out.mkdir(parents=True, exist_ok=True)
    identity, usual = tracefile.identity(CHECKPOINT), usual_settings(model)
    faults = [] if settings_of("published", usual) == usual else [f"published: not what the original does of itself: {usual}"]
    for case in CASES:
        inputs = draw(model, case)
        tensors = {**inputs, **process(model, case, inputs)}
        faults += find_faults(case, tensors)
        metadata = {**original.versions("float32"), **identity, "case": f"scores {case}", **settings_of(case, usual)}
        tracefile.write(out / f"{case}.safetensors", tensors, metadata)
    alone.refuse(faults)


def check(report):
    """Scores are made again from the logits and codes that are kept: no product is in them, so they are any CPU's."""
    model = original.load(CHECKPOINT, "float32")
    usual = usual_settings(model)
    _, metadata = tracefile.read(OUT / "published.safetensors")
    told = {key: metadata.get(key) for key in usual}
    report.line(told == usual, "scores/published: " + ("what the original does of itself" if told == usual else
                                                       f"NOT what the original does of itself: {usual}"))
    for case in CASES:
        kept, _ = tracefile.read(OUT / f"{case}.safetensors")
        inputs = {name: array for name, array in kept.items() if name.startswith("in.")}
        count, different, worst = compare_bits({**inputs, **process(model, case, inputs)}, kept)
        faults = find_faults(case, kept) + different
        report.line(not faults, f"scores/{case}: {count} tensors bit-equal to the original's" +
                    (f": NOT {', '.join(faults)}, worst {worst:.1e}" if faults else ""))


if __name__ == "__main__":
    write_all(alone.parse_out(__doc__, OUT))
