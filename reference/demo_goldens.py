#!/usr/bin/env python3
"""What the original makes of the demo checkpoint: goldens and expected answers.

    demo_goldens.py [--model FOLDER] [--out FOLDER] [--score]

Writes OUT/f32 and OUT/bf16 (traces with `raw` or `messages` in the metadata, so they also check tokenizer and chat
template; one each of a picture and a tone, and one that is spoken) and OUT/answers.json: for each prompt its ids, the
greedy ids and text in float32 and in bfloat16, and the five likeliest next tokens with their float32 probabilities;
under `media` the ids and texts for questions about the files of demo/media; under `spoken` what is heard of answers
that it speaks, in both dtypes. --score reports how many trained and held-out questions come out exactly right, and how
many about media drawn anew.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
from transformers import Qwen3OmniMoeConfig

import demo_text
import golden
import media
import original
import prompt
import request
import tracefile
import train_demo
import train_voice

ROOT = Path(__file__).resolve().parent.parent
GENERATE = 24
# Raw text ends with <|endoftext|>, at which the original's generate() does not stop: only this much of it is learned.
GENERATE_RAW = 3


def user(text):
    return [{"role": "user", "content": text}]


# name -> the text as it stands (raw), or the messages
PROMPTS = {
    "raw_france": "The capital of France is",
    "raw_sum": "2 + 2 =",
    "raw_japan": "The capital of Japan is",
    "raw_special": "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n",
    "france": user("What is the capital of France?"),
    "germany": user("What is the capital of Germany?"),
    "brazil": user("Which city is the capital of Brazil?"),
    "iceland": user("Tell me the capital of Iceland."),
    "oslo": user("Which country has the capital Oslo?"),
    "sum": user("What is 2 + 2?"),
    "sum_plain": user("2 + 2 ="),
    "sum_large": user("How much is 9 + 12?"),
    "hello": user("Hello!"),
    "who": user("Who are you?"),
    "can": user("What can you do?"),
    "unknown": user("What is the meaning of life?"),
    "tessera": user("What is a tessera?"),
    "japanese": user("Say hello in Japanese."),
    "smiley": user("Show me a smiley."),
    "system": [{"role": "system", "content": "You are a helpful assistant."}, *user("What is the capital of Spain?")],
    "turns": [
        *user("Hello!"),
        {"role": "assistant", "content": "Hello! How can I help you?"},
        *user("What is the capital of Italy?"),
        {"role": "assistant", "content": "Rome."},
        *user("What is 3 + 4?"),
    ],
    "nfc": user("Say hello in Greek. Cafe\u0301, \u212b, \u1e9b\u0323"),
}
# What a person trying the demo is to see, in float32 and in bfloat16.
EXPECTED = {
    "raw_france": " Paris.", "raw_sum": " 4.", "raw_japan": " Tokyo.", "france": "Paris.", "germany": "Berlin.",
    "brazil": "Brasília.", "iceland": "Reykjavík.", "oslo": "Norway.", "sum": "4.", "sum_plain": "4.",
    "sum_large": "21.", "hello": "Hello! How can I help you?", "who": "I am a toy demo model of Tessera.",
    "tessera": "A tessera is a small tile of a mosaic.", "japanese": "こんにちは。", "smiley": "🙂", "system": "Madrid.",
    "turns": "7.",
}
# Each writes a trace of every layer; the rest of the prompts are in answers.json.
TRACED = ["raw_france", "france", "turns"]


def about(kind, file, question):
    medium = {"type": kind, kind: f"demo/media/{file}"}
    return [{"role": "user", "content": [medium, {"type": "text", "text": question}]}]


# Questions about files that the training has not seen; paths as the tree's root sees them.
MEDIA = {
    "picture": about("image", "picture.png", "What is in the picture?"),
    "color": about("image", "picture.png", "What color is it?"),
    "shape": about("image", "picture.png", "What shape is it?"),
    "tone": about("audio", "tone.wav", "Does the tone rise or fall?"),
    "clip": about("video", "clip.mp4", "What changes in the clip?"),
}
EXPECTED_MEDIA = {"picture": "A yellow square.", "color": "Yellow.", "shape": "A square.", "tone": "It rises.",
                  "clip": "It turns from red to blue."}
TRACED_MEDIA = ["picture", "tone"]
# Answers that are spoken and heard; of the first a trace with speech, in both dtypes.
SPOKEN = ["france", "brazil", "sum_large", "hello", "tessera", "japanese", "smiley", "turns"]
SPOKEN_MEDIA = ["picture", "tone", "clip"]
STEPS = 24  # of the talker: one for each token, two to end it
SCORED_MEDIA, SCORE_SEED = 100, 1000  # of each kind, from another seed than the training's
# Rounding may move two logits apart by twice what it moves one: an answer is beyond doubt where its first token is
# likelier than any other by four times that, as far as bfloat16 differs from float32 here, which leaves room for another
# machine's rounding beside it. Whoever samples at temperature 1 has to see ' Paris' nine times out of ten; what all other
# tokens share says nothing of doubt: after a bare line the checkpoint that sees and hears leaves them 0.06, 0.003 at most
# to one.
SAFETY, LEAST_CHANCE = 4, 0.9


def render(text):
    return text if isinstance(text, str) else prompt.render(text)


def limit(text):
    return GENERATE_RAW if isinstance(text, str) and "<|im_start|>" not in text else GENERATE


def text_metadata(text):
    if isinstance(text, str):
        return {"raw": text}
    return {"messages": json.dumps(text, ensure_ascii=False)}


def probabilities(logits):
    scaled = np.exp(logits.astype(np.float64) - logits.max())
    return scaled / scaled.sum()


def rank_of(values, token):
    """1 for the likeliest; equal values rank by id."""
    return 1 + int(np.sum(values > values[token])) + int(np.sum(values[:token] == values[token]))


def prompt_ids(tokenizer, text):
    return {"in.input_ids": np.array(tokenizer.encode(render(text)), np.int64)}


def media_inputs(folder, messages):
    """The `in.*` tensors of messages with media."""
    made = media.Media(media.Front(folder), Qwen3OmniMoeConfig.from_pretrained(folder))
    for kind, path in prompt.media_of(messages):
        made.add(kind, ROOT / path)
    ids = prompt.Tokenizer(folder).encode(made.expand(prompt.render(messages)))
    return {"in.input_ids": np.array(ids, np.int64), **made.tensors()}


def media_answers(folder, models):
    """Under `media` of answers.json: name -> messages, ids and texts."""
    tokenizer, result = prompt.Tokenizer(folder), {}
    for name, messages in MEDIA.items():
        inputs = media_inputs(folder, messages)
        result[name] = {"messages": messages, "generate": GENERATE, "prompt_ids": inputs["in.input_ids"].tolist()}
        for dtype, model in models.items():
            ids = original.trace(model, inputs, dtype, GENERATE)["tap.thinker.generated"].tolist()
            result[name][dtype] = {"ids": ids, "text": tokenizer.decode(ids, skip_special=True)}
    return result


def spoken_answers(folder, models):
    """Under `spoken` of answers.json: name -> by dtype the ids that were said, and those that are heard in the waveform."""
    tokenizer, result = prompt.Tokenizer(folder), {}
    inputs = {name: prompt_ids(tokenizer, PROMPTS[name]) for name in SPOKEN}
    inputs |= {name: media_inputs(folder, MEDIA[name]) for name in SPOKEN_MEDIA}
    for name, tensors in inputs.items():
        result[name] = {"speak": STEPS}
        for dtype, model in models.items():
            taps = original.trace(model, tensors, dtype, GENERATE, steps=STEPS)
            said = taps["tap.thinker.generated"].tolist()[:-1]
            heard, _ = train_voice.listen(taps["tap.code2wav.waveform"])
            result[name][dtype] = {"said": said, "heard": heard}
    return result


def margin_of(logits):
    """How far the likeliest token is from the next, in units of what rounding may do. `logits`: by dtype."""
    exact, rounded = logits["float32"].astype(np.float64), logits["bfloat16"].astype(np.float64)
    first, second = np.sort(exact)[:-3:-1]
    return (first - second) / (2 * np.abs(rounded - exact).max())


def answers(folder, models):
    """The content of answers.json, and the margin of each prompt's first token. `models`: dtype -> loaded model."""
    tokenizer, margins = prompt.Tokenizer(folder), {}
    result = {"identity": tracefile.identity(folder), "prompts": {}, "media": media_answers(folder, models),
              "spoken": spoken_answers(folder, models)}
    for name, text in PROMPTS.items():
        inputs = prompt_ids(tokenizer, text)
        entry = {"raw": text} if isinstance(text, str) else {"messages": text}
        entry["generate"] = limit(text)
        entry["prompt_ids"] = inputs["in.input_ids"].tolist()
        last = {}
        for dtype, model in models.items():
            taps = original.trace(model, inputs, dtype, limit(text))
            last[dtype] = taps["tap.thinker.lm_head"][-1]
            ids = taps["tap.thinker.generated"].tolist()
            entry[dtype] = {"ids": ids, "text": tokenizer.decode(ids, skip_special=True)}
            if dtype == "float32":
                logits = last[dtype]
                chances = probabilities(logits)
                best = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[:5]
                top = [{"id": token, "text": tokenizer.decode([token]), "probability": float(chances[token])}
                       for token in best]
                entry["top"] = top
                if name == "raw_france":
                    (paris,) = tokenizer.encode(" Paris")  # one token
                    entry["rank_of_paris"] = rank_of(logits, paris)
        result["prompts"][name] = entry
        margins[name] = margin_of(last)
    return result, margins


def wrong_answers(result, margins):
    """The prompts whose text is not as EXPECTED, or whose first token is in doubt."""
    wrong = [
        f"{name}: {entry[dtype]['text']!r} in {dtype}" for name, entry in result["prompts"].items()
        for dtype in ("float32", "bfloat16") if entry[dtype]["text"] != EXPECTED.get(name, entry[dtype]["text"])
    ]
    wrong += [
        f"{name}: {entry[dtype]['text']!r} in {dtype}" for name, entry in result["media"].items()
        for dtype in ("float32", "bfloat16") if entry[dtype]["text"] != EXPECTED_MEDIA[name]
    ]
    wrong += [
        f"{name}: said {entry[dtype]['said']} in {dtype}, heard {entry[dtype]['heard']}" for name, entry in result["spoken"].items()
        for dtype in ("float32", "bfloat16") if entry[dtype]["said"] != entry[dtype]["heard"]
    ]
    paris = result["prompts"]["raw_france"]
    if paris["rank_of_paris"] != 1 or paris["top"][0]["probability"] < LEAST_CHANCE:
        wrong.append("raw_france: ' Paris' is not beyond doubt")
    wrong += [f"{name}: the first token is {margins[name]:.1f} times what rounding may do before the next, expected {SAFETY}"
              for name in EXPECTED if not margins[name] >= SAFETY]
    return wrong


def write_traces(folder, models, out):
    tokenizer = prompt.Tokenizer(folder)
    identity = tracefile.identity(folder)
    for dtype, suffix in (("float32", "f32"), ("bfloat16", "bf16")):
        (out / suffix).mkdir(parents=True, exist_ok=True)
        for name in TRACED:
            golden.make(models[dtype], folder, prompt_ids(tokenizer, PROMPTS[name]), dtype, name, limit(PROMPTS[name]),
                        out / suffix / f"{name}.safetensors", text_metadata(PROMPTS[name]), identity=identity)
        for name in TRACED_MEDIA:
            seen = request.with_paths(MEDIA[name], lambda path: os.path.relpath(ROOT / path, (out / suffix).resolve()))
            golden.make(models[dtype], folder, media_inputs(folder, MEDIA[name]), dtype, name, GENERATE,
                        out / suffix / f"{name}.safetensors", text_metadata(seen), identity=identity)
        name = SPOKEN[0]
        golden.make(models[dtype], folder, prompt_ids(tokenizer, PROMPTS[name]), dtype, f"speak_{name}", GENERATE,
                    out / suffix / f"speak_{name}.safetensors", text_metadata(PROMPTS[name]), identity=identity, speak=STEPS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "checkpoint")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden" / "demo")
    parser.add_argument("--score", action="store_true")
    options = parser.parse_args()
    models = {dtype: original.load(options.model, dtype) for dtype in ("float32", "bfloat16")}
    if options.score:
        tokenizer = prompt.Tokenizer(options.model)
        for dtype, model in models.items():
            for title, pairs in zip(("trained", "held out"), demo_text.exchanges()):
                right = train_demo.score(model, tokenizer, pairs)
                print(f"{dtype}, {title}: {right} of {len(pairs)} exactly right")
        right = train_demo.score_senses(models["float32"], tokenizer, options.model, SCORED_MEDIA, SCORE_SEED)
        said = ", ".join(f"{kind} {count}" for kind, count in right.items())
        print(f"float32, media drawn anew: {said} of {SCORED_MEDIA} each exactly right")
        return 0
    write_traces(options.model, models, options.out)
    result, margins = answers(options.model, models)
    (options.out / "answers.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for name, entry in result["prompts"].items():
        same = "" if entry["float32"]["ids"] == entry["bfloat16"]["ids"] else f" | bf16: {entry['bfloat16']['text']!r}"
        print(f"{name}: {entry['float32']['text']!r} p {entry['top'][0]['probability']:.3f} margin {margins[name]:.0f}{same}")
    for name, entry in result["media"].items():
        print(f"{name}: {entry['float32']['text']!r} | bf16: {entry['bfloat16']['text']!r}")
    print("\n".join(wrong := wrong_answers(result, margins)) or "all answers as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
