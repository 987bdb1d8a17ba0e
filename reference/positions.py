#!/usr/bin/env python3
"""Writes tests/golden/positions/cases.json: placeholders and positions of prompts that mix media, by the original.

    positions.py [--check]

--check compares with the file in the tree instead. A case is a prompt of text ids and media with one placeholder each,
what its media measure, and what the original makes of it: its processor the expanded ids, its thinker the three streams
of positions, its generation loop those of the next tokens.
"""

import itertools
import json
import sys
from pathlib import Path

import original  # before transformers, whose loudness it sets

import torch
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modeling

import layout
import placeholders
import tiny
from mixes import Prompt, audio, image, text, video

OUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "positions" / "cases.json"
DECODED = 3
RATES = (1, 2, 3, 3.25, 3.5, 4, 5, 6.5, 7, 7.5, 8, 13, 14, 15, 24, 26, 29.97, 30)
# (frames per second, grid steps, mel frames): here the time of some step is also an audio token's, and products in double,
# which order the ids, round it to one side and sums in float32, which order the positions, to the other.
TIES = ((3.25, 5, 300), (3.5, 23, 1350), (5.2, 25, 970), (6.5, 8, 250), (7, 23, 680), (7.5, 47, 1330), (9.75, 23, 490),
        (13, 9, 150), (14, 23, 370), (15, 47, 680), (26, 9, 100), (30, 47, 350))


def orders():
    """Every order of one image, one clip and one video, apart and touching; then two of each."""
    kinds = {"i": image(4, 6), "a": audio(131), "v": video(3, 6, 4)}
    for order in itertools.permutations("iav"):
        name = "".join(order)
        yield f"{name} with text", [text(2), *(part for kind in order for part in (kinds[kind], text(3)))]
        yield f"{name} touching", [kinds[kind] for kind in order]
    second = {"i": image(8, 2), "a": audio(97), "v": video(2, 2, 10, 3)}
    for order in ("iiaavv", "iavvai", "vvaaii", "aviiva", "ivaiva", "avaivi", "viaavi"):
        seen, parts = set(), [text(1)]
        for kind in order:
            parts += [second[kind] if kind in seen else kinds[kind]] + ([] if kind == "a" else [text(1)])
            seen.add(kind)
        yield f"{order}", parts


def singles():
    yield "text", [text(9)]
    yield "one token", [text(1)]
    for frames in (1, 8, 9, 99, 100, 101, 200, 801):
        yield f"audio {frames}", [text(2), audio(frames), text(1)]
    yield "audio first", [audio(100), text(2)]
    yield "two clips", [text(1), audio(230), audio(17), text(1)]
    yield "image", [text(2), image(4, 6), text(2)]
    yield "image first", [image(2, 2), text(1)]
    yield "wide image", [text(1), image(2, 40), text(2)]
    yield "tall image last", [text(3), image(60, 2)]
    yield "two images", [text(1), image(2, 6), image(10, 4), text(1)]
    yield "image after text of 40", [text(40), image(6, 6), text(1)]
    yield "one step", [text(1), video(1, 4, 4), text(2)]
    yield "two videos", [text(1), video(2, 4, 4, 1), text(2), video(4, 2, 2, 7.5), text(1)]
    yield "tall video last", [text(2), video(1, 40, 2, 26)]
    yield "tall video, then text", [text(2), video(2, 40, 2, 30), text(3)]
    for fps in RATES:
        yield f"video {fps} fps", [text(2), video(4, 2, 4, fps), text(1)]


def with_sound():
    for fps in RATES:
        yield f"sound {fps} fps", [text(2), video(6, 2, 4, fps, 280), text(1)]
    for fps, steps, frames in TIES:
        yield f"tie at {fps} fps", [text(2), video(steps, 2, 2, fps, frames), text(1)]
    yield "sound ends first", [text(1), video(5, 4, 2, 2, 60), text(2)]
    yield "pictures end first", [text(1), video(2, 4, 2, 2, 400), text(2)]
    yield "sound first in prompt", [video(2, 4, 4, 4, 60), text(1)]
    yield "tall video with sound last", [text(2), video(1, 40, 2, 2, 60)]
    yield "tall video with sound, then text", [text(2), video(1, 40, 2, 2, 60), text(2)]
    yield "tall video with sound, then image", [text(2), video(1, 40, 2, 26, 17), image(4, 4), text(1)]
    yield "two videos with sound", [text(1), video(3, 2, 4, 7, 150), text(1), video(2, 4, 4, 3.25, 99), text(1)]
    yield "sound at 3.25 after a long text", [text(77), video(8, 2, 2, 3.25, 500), text(1)]
    yield "sound at 7.5 after a long text", [text(77), video(8, 2, 2, 7.5, 300), text(1)]
    yield "clip before sound", [text(1), audio(113), text(1), video(3, 2, 4, 2, 250), text(1)]
    yield "clip after sound", [text(1), video(3, 2, 4, 2, 250), text(1), audio(113), text(1)]
    yield "image, sound, clip", [image(4, 2), text(1), video(3, 2, 4, 13, 250), audio(30), text(2)]
    yield "clip, sound, image", [audio(30), video(3, 2, 4, 15, 250), text(2), image(4, 2)]
    yield "clip, image, sound last", [audio(30), image(4, 2), text(2), video(3, 2, 4, 14, 250)]
    yield "sound, image, sound", [video(2, 2, 4, 6.5, 120), image(4, 2), text(2), video(3, 2, 4, 3.5, 77), text(1)]


def tensor(values, dtype=torch.long):
    return torch.tensor(values, dtype=dtype) if values else None


def compute(thinker, made, prompt):
    """What the original makes of a prompt: (expanded ids, positions [3, n], those of the next tokens)."""
    said = placeholders.expand(made, prompt.text, prompt.frames, prompt.images, prompt.videos, prompt.seconds, prompt.sound)
    ids = torch.tensor([prompt.encode(said)])
    positions, _ = thinker.get_rope_index(
        ids, tensor(prompt.images), tensor(prompt.videos), torch.ones_like(ids), prompt.has_sound, tensor(prompt.frames),
        tensor(prompt.seconds, torch.float32),
    )
    kept = {"position_ids": positions}
    for _ in range(DECODED):
        kept = thinker._update_model_kwargs_for_generation({}, kept)
    n = ids.shape[1]
    return ids[0].tolist(), positions[:, 0].tolist(), kept["position_ids"][:, 0, n:].tolist()


def plain(value):
    """Whole numbers without a point; others as the shortest text that gives the same double."""
    return int(value) if value == int(value) else value


def orders_disagree(case, audio_id):
    """Whether some audio token has a picture's position: its height is not its time."""
    return any(token == audio_id and t != h for token, t, h in zip(case["ids"], *case["positions"][:2]))


def make():
    config = tiny.config_c()
    thinker_config = config["thinker_config"]
    special = {name: thinker_config[name] for name in layout.SPECIAL_NAMES}
    root = modeling.Qwen3OmniMoeConfig.from_dict(config)
    with torch.device("meta"):
        thinker = modeling.Qwen3OmniMoeThinkerForConditionalGeneration(root.thinker_config)
    made = placeholders.processor()
    cases = []
    for name, parts in (*singles(), *orders(), *with_sound()):
        prompt = Prompt(parts, special)
        ids, positions, following = compute(thinker, made, prompt)
        cases.append({
            "name": name, "prompt": prompt.encode(prompt.text), "frames": prompt.frames, "images": prompt.images,
            "videos": prompt.videos, "seconds": prompt.seconds, "sound": [-1 if s is None else s for s in prompt.sound],
            "audio_in_video": prompt.has_sound, "ids": ids,
            "positions": [[plain(value) for value in stream] for stream in positions],
            "next": [[plain(value) for value in stream] for stream in following],
        })
    tied = [case["name"] for case in cases if case["name"].startswith("tie")]
    apart = [case["name"] for case in cases if orders_disagree(case, special["audio_token_id"])]
    if not set(tied) <= set(apart):
        raise ValueError(f"not a tie: {sorted(set(tied) - set(apart))}")
    versions = original.versions("float32")
    about = {key: versions[key] for key in ("made_by", "transformers", "torch")}
    sizes = {"spatial_merge_size": 2, "position_id_per_seconds": 13, "n_window": 50}
    return {"original": about, **special, **sizes, "cases": cases}


def lines(found):
    """JSON with a case a line, so that a difference shows where it is."""
    head = {key: value for key, value in found.items() if key != "cases"}
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in found["cases"])
    return json.dumps(head, separators=(",", ":"))[:-1] + ',"cases":[\n' + cases + "\n]}\n"


def main():
    made = lines(make())
    if "--check" in sys.argv:
        same, count = OUT.read_text(encoding="utf-8") == made, len(json.loads(made)["cases"])
        print(("ok" if same else "not ok") + f" - {count} prompts with media: ids and positions as the original's")
        return 0 if same else 1
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
