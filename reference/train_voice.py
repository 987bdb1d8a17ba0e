#!/usr/bin/env python3
"""Trains the demo checkpoint's voice, with the original's own modules: one that a machine can check by ear.

    train_voice.py --from CHECKPOINT [--out FOLDER] [--speech STEPS] [--media STEPS] [--sound STEPS]

Each token of the answer becomes one frame of 80 ms: two halves, each of a low and a high tone, one of 64 pairs. The first
half says id // 64, the second id % 64, and `listen` reads them back from the waveform alone by Goertzel's filters, as
tools/listen does. The first eight codebooks hold the first symbol, the other eight the second. A frame of silence, a 65th
symbol, follows the last token: the original's code2wav loses the end of the last frame.

--speech trains the talker and its predictor on lines of demo_text.py and random tokens, as they hear them in generate():
text one token a step beside the codes before it, and the end of speech where the text ends. --media trains them further
behind what the thinker makes of pictures, tones and clips (demo_media.py), whose rows a talker that has never heard them
does not ignore: of the answers about demo/media none is then spoken right. --sound trains code2wav on random symbols, by
log-magnitude spectra of two lengths: phases are free. One follows the other, --from the other's folder; demo/checkpoint is
made by --speech 3000, --media 1000 and --sound 10000 (`make demo-checkpoint`). A run that is stopped goes on by the same
command. At the end the original speaks its answers to the demo's questions, greedy and drawn, and what the listener hears
is printed.
"""

import argparse
import random
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import Qwen3OmniMoeForConditionalGeneration

import demo_text
import layout
import original
import prompt
import tracefile
import train_demo

ROOT = Path(__file__).resolve().parent.parent
RATE, FRAME = 24000, 1920
LOW = [300 + 150 * i for i in range(8)]
HIGH = [1650 + 150 * i for i in range(8)]
N_SYMBOL = 64
N_TOKEN = 1057  # of the demo; the rows behind them belong to none
SHORT = 0.8  # of the steps for sound have short rows
SILENCE = N_SYMBOL * N_SYMBOL  # in the place of an id
N_BOOK = 16
KEPT = ".state"  # what a run that is stopped goes on with
SEED = 11
N_MEDIA = 32  # of each kind, which the talker learns to speak behind
QUESTIONS = ("What is the capital of France?", "What is the capital of Italy?", "How are you?", "Who are you?",
             "What is 2+2?", "Count to five.", "What colour is the sky?")
QUIET = 0.005  # of a half that is windowed; a pair of tones should be 0.15


# ---- symbols, tones and the listener ----


def symbols_of(tokens):
    """[…] ids to […, 2] symbols."""
    pair = torch.stack([tokens // N_SYMBOL, tokens % N_SYMBOL], -1)
    return torch.where(tokens[..., None] == SILENCE, N_SYMBOL, pair)


def codes_of(tokens):
    """[…] ids to […, 16] codes."""
    return symbols_of(tokens).repeat_interleave(N_BOOK // 2, -1)


def tones(symbols):
    """[batch, halves] symbols to [batch, halves × 960] samples; each half rises and falls within 5 ms."""
    length = FRAME // 2
    time_of = torch.arange(length) / RATE
    ramp = (torch.arange(length).float() / (0.005 * RATE)).clamp(max=1)
    shape = torch.sin(torch.pi / 2 * ramp * ramp.flip(0)) ** 2
    low, high = (torch.tensor(group, dtype=torch.float32) for group in (LOW, HIGH))
    pair = torch.stack([low[symbols // 8 % 8], high[symbols % 8]], -1)
    waves = torch.sin(2 * torch.pi * pair[..., None] * time_of).sum(-2) * 0.25 * shape
    return (waves * (symbols < N_SYMBOL)[..., None]).flatten(1)


def goertzel(samples, frequency):
    """The energy of one frequency in some samples."""
    coefficient = 2 * np.cos(2 * np.pi * frequency / RATE)
    one = two = 0.0
    for sample in samples:
        one, two = sample + coefficient * one - two, one
    return one * one + two * two - coefficient * one * two


def listen_to_half(part):
    """(symbol, how far the louder tone of each group is ahead of the next, in decibel) of a half of a frame."""
    part = part[80:900].astype(np.float64) * np.hanning(820)
    if np.sqrt(np.mean(part**2)) < QUIET:
        return N_SYMBOL, np.inf
    symbol, lead = 0, np.inf
    for group in (LOW, HIGH):
        energies = np.array([goertzel(part, frequency) for frequency in group])
        first, second = np.sort(energies)[-1:-3:-1]
        lead = min(lead, 10 * np.log10(max(first, 1e-30) / max(second, 1e-30)))
        symbol = symbol * 8 + int(energies.argmax())
    return symbol, lead


def listen(wave):
    """(ids heard before silence, the least lead in decibel) of a waveform."""
    half = FRAME // 2
    found = [listen_to_half(wave[begin : begin + half]) for begin in range(0, len(wave) - 900, half)]
    symbols = [symbol for symbol, _ in found]
    symbols = symbols[: symbols.index(N_SYMBOL)] if N_SYMBOL in symbols else symbols
    heard = [one * N_SYMBOL + other for one, other in zip(symbols[::2], symbols[1::2])]
    return heard, min((lead for _, lead in found[: len(symbols)]), default=np.inf)


# ---- training ----


class Pace:
    """Steps with a rate that rises for a while and then falls to nothing. Every hundredth leaves what a run that was
    stopped goes on with, in `kept`; with another seed for what is drawn, which then is not repeated."""

    def __init__(self, parameters, steps, rate, kept):
        self.optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
        self.steps, self.rate, self.kept, self.parameters, self.first = steps, rate, kept, parameters, 0
        self.begun = time.process_time()
        if kept.exists():
            state = torch.load(kept, weights_only=True)
            self.first = state["step"]
            self.optimizer.load_state_dict(state["optimizer"])
            for parameter, value in zip(parameters, state["parameters"]):
                parameter.data.copy_(value)
        self.source = torch.Generator().manual_seed(self.first + 1)

    def __iter__(self):
        for step in range(self.first, self.steps):
            if step % 100 == 0 and step > self.first:
                self.keep(step)
            for group in self.optimizer.param_groups:
                group["lr"] = float(self.rate * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / self.steps))) + 1e-6
            yield step

    def keep(self, step):
        new = self.kept.with_suffix(".new")
        torch.save({"step": step, "optimizer": self.optimizer.state_dict(), "parameters": self.parameters}, new)
        new.replace(self.kept)

    def seconds(self):
        return f"{time.process_time() - self.begun:.0f} s of a core"

    def learn(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()


def spectra(wave, size):
    found = torch.stft(wave, size, size // 4, window=torch.hann_window(size), return_complex=True, center=False)
    return torch.log(found.abs() + 1e-2)


@torch.no_grad()
def hear_random(voice, count=40):
    """The share of symbols that are heard of random tokens one after the other, a tenth of them silence."""
    source = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, N_TOKEN, (1, count + 1), generator=source)
    tokens[0, ::10] = SILENCE
    wave, half = voice(codes_of(tokens).transpose(1, 2))[0, 0].numpy(), FRAME // 2
    found = [listen_to_half(wave[half * i : half * (i + 1)])[0] for i in range(2 * count)]
    return np.mean([one == other for one, other in zip(found, symbols_of(tokens[0]).flatten().tolist())])


def train_sound(model, steps, kept):
    """Code2wav alone; what it draws its rows from are the codes' embeddings. Short rows first, which learn sooner; then as
    long as answers are: a voice that knows short rows alone slips in one token of ten behind the sixtieth."""
    voice, pace = model.code2wav.train(), Pace(list(model.code2wav.parameters()), steps, 3e-3, kept)
    source = pace.source
    for step in pace:
        tokens = torch.randint(0, N_TOKEN, (4, 6) if step < SHORT * steps else (1, 32), generator=source)
        tokens[torch.rand(tokens.shape, generator=source) < 0.1] = SILENCE
        made = voice(codes_of(tokens).transpose(1, 2))[:, 0]
        wanted = tones(symbols_of(tokens).flatten(1))[:, : made.shape[1]]
        loss = sum((spectra(made, size) - spectra(wanted, size)).abs().mean() for size in (256, 1024))
        pace.learn(loss)
        if step % 100 == 0:
            print(f"sound {step}: loss {loss:.3f}, {hear_random(voice):.3f} of the symbols heard, "
                  f"{pace.seconds()}", flush=True)
    voice.eval()


@torch.no_grad()
def media_states(model, tokenizer, folder):
    """What the talker hears of media: by kind, of each medium that is drawn the thinker's states [rows, d_model]."""
    config, senses, found = model.config, train_demo.Senses(random.Random(SEED), tokenizer, folder), {}
    media = torch.tensor([getattr(config.thinker_config, f"{kind}_token_id") for kind in ("audio", "image", "video")])
    for kind in train_demo.demo_media.SAMPLES:
        found[kind] = []
        for _ in range(N_MEDIA):
            values, _ = senses.batch(kind, 1, 0)
            model.thinker.model.rope_deltas = None
            out = model.thinker(**values, use_cache=False, output_hidden_states=True)
            states = out.hidden_states[config.talker_config.accept_hidden_layer][0]
            found[kind].append(states[torch.isin(values["input_ids"][0], media)])
    return found


def heard_media(model, media, source, count):
    """[count, rows, d] of the media that the talker hears, in a quarter of all batches none; of unlike ones the shortest's
    rows."""
    kinds = [*media, None]
    kind = kinds[int(torch.randint(0, len(kinds), (1,), generator=source))]
    if kind is None:
        return torch.zeros(count, 0, model.config.talker_config.text_config.hidden_size)
    chosen = [media[kind][i] for i in torch.randint(0, N_MEDIA, (count,), generator=source).tolist()]
    rows = min(len(states) for states in chosen)
    return model.talker.hidden_projection(torch.stack([states[:rows] for states in chosen]))


def speech_batch(model, lines, opening_ids, media, source, count):
    """Rows as the talker hears them, what it shall say, and where. Of equal lengths, so that no row is filled up."""
    config, talker = model.config, model.talker
    length = int(torch.randint(2, 14, (1,), generator=source))
    before = int(torch.randint(0, 24 if media else 12, (1,), generator=source))
    table = model.thinker.get_input_embeddings()
    tokens = torch.randint(0, N_TOKEN, (count, length), generator=source)
    for row in range(0, count, 2):  # every other row is text of the demo
        line = lines[int(torch.randint(0, len(lines), (1,), generator=source))]
        start = int(torch.randint(0, max(len(line) - length, 0) + 1, (1,), generator=source))
        part = torch.tensor(line[start : start + length])
        tokens[row, : len(part)] = part
    heard = torch.randint(0, N_TOKEN, (count, before), generator=source)
    frame = torch.tensor(opening_ids).expand(count, -1)
    special = torch.tensor([[config.tts_pad_token_id, config.tts_bos_token_id, config.tts_eos_token_id]]).expand(count, -1)
    texts = talker.text_projection(table(torch.cat([heard, frame, tokens, special], 1)))
    user, opening, spoken, (pad, begin, end) = *texts[:, :-3].split([before, 3, length], 1), texts[:, -3:].unbind(1)
    c, choices = config.talker_config, sorted(config.talker_config.speaker_id.values())
    speaker = choices[int(torch.randint(0, len(choices), (1,), generator=source))]
    control = torch.tensor([c.codec_nothink_id, c.codec_think_bos_id, c.codec_think_eos_id, speaker, c.codec_pad_id,
                            c.codec_bos_id])
    control = talker.model.codec_embedding(control)
    seen, place = heard_media(model, media, source, count), min(before, 4)
    four = pad[:, None].expand(-1, 4, -1)
    start = torch.cat([four, begin[:, None], spoken[:, :1]], 1) + control
    codes = codes_of(torch.cat([tokens, torch.full_like(tokens[:, :1], SILENCE)], 1))  # [count, length + 1, 16]
    tables = [talker.model.codec_embedding, *talker.code_predictor.model.codec_embedding]
    sums = sum(tables[book](codes[..., book]) for book in range(N_BOOK))
    steps = sums + torch.cat([spoken[:, 1:], end[:, None], pad[:, None]], 1)
    rows = torch.cat([user[:, :place], seen, user[:, place:], opening, start, steps], 1)
    return rows, codes, before + seen.shape[1] + 3 + 5


def talker_states(model, rows):
    return model.talker.model(inputs_embeds=rows, use_cache=False).last_hidden_state


def train_speech(model, tokenizer, steps, rate, media, kept):
    """Talker and predictor, each step's codes behind the right ones before them. `media`: what else the talker hears."""
    lines = [line for line in map(tokenizer.encode, demo_text.vocabulary_corpus()) if len(line) > 1]
    opening_ids, talker = tokenizer.encode("<|im_start|>assistant\n"), model.talker.train()
    used = [p for name, p in talker.named_parameters() if media or "hidden_projection" not in name]
    pace = Pace(used, steps, rate, kept)
    end_id, predictor = model.config.talker_config.codec_eos_token_id, talker.code_predictor
    for step in pace:
        rows, codes, first = speech_batch(model, lines, opening_ids, media, pace.source, 48)
        states = talker_states(model, rows)[:, first:]
        logits = talker.codec_head(states)
        wanted = torch.cat([codes[..., 0], torch.full_like(codes[:, :1, 0], end_id)], 1)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        frames, flat = states[:, :-1].flatten(0, 1), codes.flatten(0, 1)
        inner = [talker.model.codec_embedding(flat[:, 0])]
        inner += [predictor.model.codec_embedding[book - 1](flat[:, book]) for book in range(1, N_BOOK - 1)]
        inside = predictor.model(inputs_embeds=torch.stack([frames, *inner], 1), use_cache=False).last_hidden_state
        others = torch.stack([head(inside[:, book + 1]) for book, head in enumerate(predictor.lm_head)], 1)
        more = torch.nn.functional.cross_entropy(others.flatten(0, 1), flat[:, 1:].flatten())
        pace.learn(loss + more)
        if step % 100 == 0:
            right = (logits.argmax(-1) == wanted).float().mean(), (others.argmax(-1) == flat[:, 1:]).float().mean()
            print(f"{kept.stem} {step}: loss {loss:.3f} and {more:.3f}, {right[0]:.3f} of first and {right[1]:.3f} of other codes, "
                  f"{pace.seconds()}", flush=True)
    talker.eval()


# ---- what is heard ----


@torch.no_grad()
def answer(model, ids, **more):
    """(ids of the answer that have a row, codes, waveform) as the original speaks."""
    codes = []

    def decode(made, **_):
        codes.append(made)
        return model.code2wav(made)

    model.code2wav.chunked_decode = decode
    model.thinker.model.rope_deltas = model.talker.rope_deltas = None
    asked = {**original.greedy(model.config, 24, 40, "ethan"), **more}
    said, wave = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **asked)
    del model.code2wav.chunked_decode
    return said[0, ids.shape[1] : -1].tolist(), codes[0][0], wave[0, 0].numpy()


def report(model, folder, questions):
    tokenizer = prompt.Tokenizer(folder)
    for drawn in (False, True):
        right = 0
        for text in questions:
            ids = torch.tensor([tokenizer.encode(prompt.render([{"role": "user", "content": text}]))])
            torch.manual_seed(0)
            try:
                said, codes, wave = answer(model, ids, talker_do_sample=drawn)
            except RuntimeError as error:
                print(f"  {text!r}: {error}")
                continue
            heard, lead = listen(wave)
            right += heard == said
            print(f"  {text!r}: said {tokenizer.decode(said)!r}, heard {tokenizer.decode(heard)!r}, {codes.shape[1]} frames, "
                  f"least lead {lead:.1f} dB, RMS {np.sqrt((wave ** 2).mean()):.3f}{'' if heard == said else '  <-- NOT'}")
        print(f"{'drawn' if drawn else 'greedy'}: {right} of {len(questions)} answers heard as they were said", flush=True)


def save(model, origin, folder):
    """The checkpoint with its voice's tensors replaced, in the shards they were in."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in Path(origin).iterdir():
        if path.suffix != KEPT and path.resolve() != (folder / path.name).resolve():
            shutil.copy(path, folder)
    trained = Path(folder) / "trained"
    model.save_pretrained(trained)
    tensors = {}
    for shard in tracefile.shards(trained):
        tensors.update(load_file(shard))
    shutil.rmtree(trained)
    for shard in tracefile.shards(folder):
        header, _ = tracefile.read_header(shard)
        header.pop("__metadata__")
        entries = [(name, "BF16", tuple(tensors[name].shape), layout.bf16_bytes(tensors[name])) for name in header]
        tracefile.write_raw(shard, entries, {"format": "pt"})
    for kept in folder.glob(f"*{KEPT}"):
        kept.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="origin", required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "checkpoint")
    parser.add_argument("--speech", type=int, default=0, metavar="N", help="steps of talker and predictor, with text")
    parser.add_argument("--media", type=int, default=0, metavar="N", help="further steps, behind media most of the time")
    parser.add_argument("--sound", type=int, default=0, metavar="N", help="steps of code2wav")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(
        options.origin, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    model.thinker.requires_grad_(False)
    torch.manual_seed(0)
    tokenizer = prompt.Tokenizer(options.origin)
    if options.speech:
        train_speech(model, tokenizer, options.speech, 4e-3, {}, options.out / f"speech{KEPT}")
    if options.media:
        media = media_states(model, tokenizer, options.origin)
        train_speech(model, tokenizer, options.media, 1e-3, media, options.out / f"media{KEPT}")
    if options.sound:
        train_sound(model, options.sound, options.out / f"sound{KEPT}")
    save(model, options.origin, options.out)
    model = original.load(options.out, "float32")  # as it is stored, in bfloat16
    report(model, options.out, QUESTIONS)


if __name__ == "__main__":
    main()
