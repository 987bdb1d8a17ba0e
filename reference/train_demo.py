#!/usr/bin/env python3
"""Makes the demo checkpoint: a small, complete Qwen3-Omni in the published layout, with a trained text model.

    train_demo.py [--out FOLDER] [--steps N] [--senses N] [--polish N] [--from FOLDER]

The thinker's text model is trained with the original implementation itself on the text of demo_text.py; talker, code
predictor and code2wav are random, sized so that they compute something sane, until train_voice.py trains them. With
--senses the towers then learn to tell drawn pictures and tones apart, and the whole thinker for N further steps to name
pictures, tones and clips (demo_media.py), text among them so that nothing is forgotten; without it the towers stay
random. --from takes the thinker of another folder's checkpoint instead of training its text model: demo/checkpoint is
made in three runs, the second with --senses 320, the third with --polish 130, which is mostly text again;
train_voice.py then gives it its voice. The load-balancing loss of the original keeps the routers spread. A toy: it
knows what it was shown.
"""

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from tokenizers import pre_tokenizers, trainers
from transformers import Qwen3OmniMoeForConditionalGeneration
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import _get_feat_extract_output_lengths as tokens_of

import demo_media
import demo_text
import layout
import media
import placeholders
import prompt
import randomweights
import tracefile

transformers.logging.disable_progress_bar()
ROOT = Path(__file__).resolve().parent.parent
SEED = 7
N_VOCAB = 1024  # entries of vocab.json; the special tokens follow
N_ROWS = 1088  # rows of the embedding: as in the release, some at the end belong to no token
STEPS = 900
BATCH = 32
LEARNING_RATE = 3e-3
BALANCE = 0.02
# Samples of a step that also hears and sees, and the size of that step. Clips are taken at the size they are drawn until
# SENSES_WHOLE of the steps; then, fewer at a time, at the size the original takes: 160 tokens instead of 9 to 16 a picture.
SENSES = {"text": 10, "image": 16, "audio": 6, "video": 6}
SENSES_WHOLE, WHOLE_CLIPS = 0.8, 3
SENSES_RATE = 2e-3
# The same of a step that brings back what of the text has faded: lines without a chat's frame most of all.
POLISH_LINES = 0.5
POLISH, POLISH_RATE = {"text": 24, "image": 4, "audio": 2, "video": 4}, 1e-3
SMALL_CLIP = {"shortest_edge": 56 * 56, "longest_edge": 128 * 128}
TOWER_STEPS, TOWER_BATCH, TOWER_RATE = 450, {"audio": 6, "image": 24}, 3e-3
SHARD_STARTS = [
    "thinker.model.layers.1.mlp.experts.6.gate_proj.weight",
    "thinker.model.layers.3.mlp.experts.9.up_proj.weight",
    "talker.model.layers.0.mlp.experts.2.up_proj.weight",
]

# The published special tokens in their published order; those after <tool_call> up to </think> are plain added tokens.
SPECIAL = """
<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|>
<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>
<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>
<tool_response> </tool_response> <think> </think> <|audio_start|> <|audio_end|> <tts_pad> <tts_text_bos>
<tts_text_eod> <tts_text_bos_single> <|audio_pad|>
""".split()
PLAIN = SPECIAL[SPECIAL.index("<tool_call>") : SPECIAL.index("</think>") + 1]


# ---- tokenizer files

def write_tokenizer(folder):
    """Trains the byte-level BPE and writes vocab.json, merges.txt and tokenizer_config.json."""
    tokenizer = prompt.backend({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=N_VOCAB, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(demo_text.vocabulary_corpus(), trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    vocab = dict(sorted(trained["vocab"].items(), key=lambda item: item[1]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in trained["merges"]]
    added = {
        str(len(vocab) + i): {
            "content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": token not in PLAIN,
        }
        for i, token in enumerate(SPECIAL)
    }
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": [token for token in SPECIAL if token not in PLAIN],
        "audio_bos_token": "<|audio_start|>",
        "audio_eos_token": "<|audio_end|>",
        "audio_token": "<|audio_pad|>",
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "image_token": "<|image_pad|>",
        "model_max_length": 65536,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
        "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{pair}\n" for pair in merges), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")


def write_processor_files(folder):
    preprocessor = {
        "dither": 0.0, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128, "hop_length": 160,
        "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "Qwen2VLImageProcessor", "image_std": [0.5, 0.5, 0.5],
        "max_pixels": 12845056, "merge_size": 2, "min_pixels": 3136, "n_fft": 400, "n_samples": 4800000,
        "nb_max_frames": 30000, "padding_side": "right", "padding_value": 0.0, "patch_size": 16,
        "processor_class": "Qwen3OmniMoeProcessor", "return_attention_mask": True, "sampling_rate": 16000,
        "temporal_patch_size": 2,
    }
    generation = {
        "talker_max_new_tokens": 4096, "talker_repetition_penalty": 1.05, "talker_temperature": 0.9,
        "talker_top_k": 50, "talker_top_p": 1.0,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


# ---- config.json

def token_ids(tokenizer):
    def one(text):
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise ValueError(f"{text!r} is not one token")
        return ids[0]

    tokens = dict(
        audio_token_id="<|audio_pad|>", image_token_id="<|image_pad|>", video_token_id="<|video_pad|>",
        audio_start_token_id="<|audio_start|>", audio_end_token_id="<|audio_end|>",
        vision_start_token_id="<|vision_start|>", vision_end_token_id="<|vision_end|>",
        im_start_token_id="<|im_start|>", im_end_token_id="<|im_end|>", tts_pad_token_id="<tts_pad>",
        tts_bos_token_id="<tts_text_bos>", tts_eos_token_id="<tts_text_eod>", system_token_id="system",
        user_token_id="user", assistant_token_id="assistant",
    )
    return {name: one(text) for name, text in tokens.items()}


def demo_config(ids):
    spelling, section = "published", [6, 5, 5]
    text = layout.text_config(
        spelling, 1000000.0, section, vocab_size=N_ROWS, hidden_size=80, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, moe_intermediate_size=48, num_experts=16,
        num_experts_per_tok=4,
    )
    audio = layout.audio_config(
        d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=64, downsample_hidden_size=8,
        output_dim=80,
    )
    vision = layout.vision_config(
        depth=3, hidden_size=32, num_heads=4, intermediate_size=56, out_hidden_size=80,
        deepstack_visual_indexes=[0, 1],
    )
    codes = 256
    codec = dict(
        codec_pad_id=356, codec_bos_id=357, codec_eos_token_id=358, codec_nothink_id=363, codec_think_bos_id=364,
        codec_think_eos_id=365, speaker_id={"chelsie": 509, "ethan": 510, "aiden": 511},
    )
    speech_text = layout.text_config(
        spelling, 1000000.0, [2, 1, 1], vocab_size=codes + 1024, hidden_size=32, intermediate_size=40,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, moe_intermediate_size=16,
        shared_expert_intermediate_size=24, num_experts=6, num_experts_per_tok=2,
    )
    predictor = layout.predictor_config(
        spelling, 1000000.0, vocab_size=codes, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8,
    )
    wav = layout.code2wav_config(
        spelling, codebook_size=codes, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=48, decoder_dim=64,
    )
    talker = layout.talker_config(ids, codec, 80, 2, speech_text, predictor)
    return layout.root_config(ids, layout.thinker_config(ids, text, audio, vision), talker, wav)


# ---- training

def chat_sample(source, exchange_list, tokenizer):
    """One conversation of one to three turns: (ids, labels); only answers are learned."""
    messages = [("system", source.choice(demo_text.SYSTEMS))] if source.random() < 0.15 else []
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        question, answer = source.choice(exchange_list)
        messages += [("user", question), ("assistant", answer)]
    ids, labels = [], []
    for role, text in messages:
        head = tokenizer.encode(f"<|im_start|>{role}\n")
        body, tail = tokenizer.encode(f"{text}<|im_end|>"), tokenizer.encode("\n")
        ids += head + body + tail
        learned = body if role == "assistant" else [-100] * len(body)
        labels += [-100] * len(head) + learned + [-100] * len(tail)
    return ids, labels


def line_sample(source, line_list, tokenizer):
    ids = tokenizer.encode(source.choice(line_list) + "<|endoftext|>")
    return ids, list(ids)


def batch_of(samples, pad):
    width = max(len(ids) for ids, _ in samples)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in samples])
    labels = torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in samples])
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one, _ in samples])
    return ids, labels, mask


def initialise(parameters, generator):
    for name, parameter in parameters:
        with torch.no_grad():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                size = 0.3 if "embed_tokens" in name else 0.7 / parameter.shape[-1] ** 0.5
                parameter.normal_(0.0, size, generator=generator)


class Texts:
    """Draws samples of text."""

    def __init__(self, source, tokenizer, line_share=0.2):
        self.source, self.tokenizer, self.line_share = source, tokenizer, line_share
        exchange_list, _ = demo_text.exchanges()
        sums = [pair for pair in exchange_list if any(char.isdigit() for char in pair[1]) and len(pair[1]) <= 3]
        others = [pair for pair in exchange_list if pair not in set(sums)]
        few = [(wording, answer) for wordings, answer in demo_text.FACTS + demo_text.CHAT for wording in wordings]
        self.groups, self.line_list = (sums, others, few), demo_text.lines()

    def sample(self):
        if self.source.random() < self.line_share:
            return line_sample(self.source, self.line_list, self.tokenizer)
        return chat_sample(self.source, self.source.choices(self.groups, (3, 4, 2))[0], self.tokenizer)

    def batch(self, count, pad):
        return batch_of([self.sample() for _ in range(count)], pad)


def train(model, tokenizer, steps, seconds_between_reports=20):
    texts = Texts(random.Random(SEED), tokenizer)
    thinker = model.thinker
    thinker.config.text_config.router_aux_loss_coef = thinker.router_aux_loss_coef = BALANCE
    learned = [
        (name, parameter) for name, parameter in thinker.named_parameters()
        if name.startswith(("model.language_model.", "lm_head."))
    ]
    initialise(learned, torch.Generator().manual_seed(SEED))
    optimizer = torch.optim.AdamW([parameter for _, parameter in learned], lr=LEARNING_RATE, betas=(0.9, 0.98))
    warm = 50
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.02, 1 - max(0, step - steps * 0.4) / (steps * 0.6)))
    )
    pad = tokenizer.encode("<|endoftext|>")[0]
    model.train()
    started = reported = time.monotonic()
    for step in range(steps):
        ids, labels, mask = texts.batch(BATCH, pad)
        result = thinker(
            input_ids=ids, attention_mask=mask, labels=labels, output_router_logits=True, use_cache=False
        )
        optimizer.zero_grad()
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_([parameter for _, parameter in learned], 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - reported > seconds_between_reports or step + 1 == steps:
            reported = time.monotonic()
            text_loss = result.loss.item() - BALANCE * result.aux_loss.item()
            print(f"step {step + 1} of {steps}, loss {text_loss:.4f}, balance {result.aux_loss.item():.3f}, "
                  f"{reported - started:.0f} s", flush=True)
    model.eval()


class Senses:
    """Draws samples of media, as the original's processors prepare them."""

    def __init__(self, source, tokenizer, folder):
        self.source, self.tokenizer = source, tokenizer
        self.front, self.processor = media.Front(folder), placeholders.processor()
        self.clip_size = media.VIDEO_SIZE

    def prepare(self, kind, drawn):
        """(the sizes that placeholders follow, what the model takes)."""
        if kind == "audio":
            features = torch.from_numpy(self.front.features(drawn))
            return {"frames": [features.shape[1]]}, features
        if kind == "image":
            patches, grid = self.front.picture(Image.fromarray(drawn))
            sizes = {"images": [grid]}
        else:
            patches, grid = self.front.movie(drawn, self.clip_size)
            sizes = {"videos": [grid], "seconds": [1.0]}
        return sizes, (torch.from_numpy(patches), torch.tensor(grid))

    def sample(self, kind):
        """((ids, labels), what the model takes); only the answer is learned."""
        drawn, question, answer_text, _ = demo_media.SAMPLES[kind](self.source)
        sizes, made = self.prepare(kind, drawn)
        content = [{"type": kind, kind: ""}, {"type": "text", "text": question}]
        text = placeholders.expand(self.processor, prompt.render([{"role": "user", "content": content}]), **sizes)
        ids, learned = self.tokenizer.encode(text), self.tokenizer.encode(f"{answer_text}<|im_end|>")
        return (ids + learned, [-100] * len(ids) + learned), made

    def batch(self, kind, count, pad):
        """(arguments of the thinker, labels)."""
        samples, made = zip(*(self.sample(kind) for _ in range(count)))
        ids, labels, mask = batch_of(samples, pad)
        values = {"input_ids": ids, "attention_mask": mask}
        if kind == "audio":
            frames = max(features.shape[1] for features in made)
            padded = [torch.nn.functional.pad(features, (0, frames - features.shape[1])) for features in made]
            valid = [[1] * features.shape[1] + [0] * (frames - features.shape[1]) for features in made]
            values.update(input_features=torch.stack(padded), feature_attention_mask=torch.tensor(valid))
            return values, labels
        patches, grids = torch.cat([one for one, _ in made]), torch.stack([grid for _, grid in made])
        if kind == "image":
            values.update(pixel_values=patches, image_grid_thw=grids)
        else:
            values.update(pixel_values_videos=patches, video_grid_thw=grids, video_second_per_grid=torch.ones(count))
        return values, labels


def pooled(model, kind, made):
    """The mean over each sample's rows of what a tower gives the thinker."""
    if kind == "audio":
        lengths = torch.tensor([features.shape[1] for features in made])
        rows = model.thinker.model.audio_tower(torch.cat(made, 1), feature_lens=lengths).last_hidden_state
        return torch.stack([part.mean(0) for part in rows.split(tokens_of(lengths).tolist())])
    patches, grids = torch.cat([one for one, _ in made]), torch.stack([grid for _, grid in made])
    rows = model.thinker.model.visual(patches, grid_thw=grids).pooler_output
    return torch.stack([part.mean(0) for part in rows.split((grids.prod(1) // 4).tolist())])


def train_towers(model, senses, seconds_between_reports=20):
    """The towers alone, before the text model listens to them: linear heads, thrown away afterwards, tell a sample's facts
    from the mean of its rows. Through the text model alone the audio tower learns nothing in 300 steps."""
    width = model.config.thinker_config.text_config.hidden_size
    sizes = {"color": len(demo_media.COLORS), "shape": len(demo_media.SHAPES), "tone": len(demo_media.TONES)}
    heads = torch.nn.ModuleDict({name: torch.nn.Linear(width, count) for name, count in sizes.items()})
    towers = (model.thinker.model.audio_tower, model.thinker.model.visual, heads)
    learned = [parameter for tower in towers for parameter in tower.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=TOWER_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 30, max(0.02, 2 * (1 - step / TOWER_STEPS)), 1)
    )
    started, reported, right = time.monotonic(), 0.0, dict.fromkeys(sizes, 0.0)
    for step in range(TOWER_STEPS):
        loss = 0.0
        for kind, count in TOWER_BATCH.items():
            drawn = [demo_media.SAMPLES[kind](senses.source) for _ in range(count)]
            means = pooled(model, kind, [senses.prepare(kind, sample[0])[1] for sample in drawn])
            for name in drawn[0][3]:
                wanted, logits = torch.tensor([sample[3][name] for sample in drawn]), heads[name](means)
                loss = loss + torch.nn.functional.cross_entropy(logits, wanted)
                right[name] = 0.9 * right[name] + 0.1 * (logits.argmax(1) == wanted).float().mean().item()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - reported > seconds_between_reports or step + 1 == TOWER_STEPS:
            reported = time.monotonic()
            said = ", ".join(f"{name} {share:.2f}" for name, share in right.items())
            print(f"step {step + 1} of {TOWER_STEPS} of the towers, right: {said}, {reported - started:.0f} s", flush=True)


def counts_of(polish, whole):
    """Samples of a step by kind; `whole`: clips at the size that the original takes."""
    return POLISH if polish else {**SENSES, "video": WHOLE_CLIPS} if whole else SENSES


def train_senses(model, tokenizer, folder, steps, polish=False, seconds_between_reports=20):
    """The whole thinker, on media and text; kinds take their turns within a step, for they pad to unlike lengths."""
    source, thinker = random.Random(SEED + polish), model.thinker
    texts = Texts(source, tokenizer, POLISH_LINES) if polish else Texts(source, tokenizer)
    senses = Senses(source, tokenizer, folder)
    if not polish:
        train_towers(model, senses)
    thinker.config.text_config.router_aux_loss_coef = thinker.router_aux_loss_coef = BALANCE
    optimizer = torch.optim.AdamW(thinker.parameters(), lr=POLISH_RATE if polish else SENSES_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 30, max(0.02, 1 - max(0, step - steps * 0.5) / (steps * 0.5)))
    )
    pad = tokenizer.encode("<|endoftext|>")[0]
    model.train()
    started, reported, losses = time.monotonic(), 0.0, {}
    for step in range(steps):
        optimizer.zero_grad()
        whole = polish or step >= SENSES_WHOLE * steps
        senses.clip_size = media.VIDEO_SIZE if whole else SMALL_CLIP
        for kind, count in counts_of(polish, whole).items():
            if kind == "text":
                ids, labels, mask = texts.batch(count, pad)
                values = {"input_ids": ids, "attention_mask": mask}
            else:
                values, labels = senses.batch(kind, count, pad)
            result = thinker(**values, labels=labels, output_router_logits=True, use_cache=False)
            (result.loss / len(SENSES)).backward()
            loss = result.loss.item() - BALANCE * result.aux_loss.item()
            losses[kind] = 0.95 * losses.get(kind, loss) + 0.05 * loss
        torch.nn.utils.clip_grad_norm_(thinker.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if time.monotonic() - reported > seconds_between_reports or step + 1 == steps:
            reported = time.monotonic()
            said = ", ".join(f"{kind} {loss:.3f}" for kind, loss in losses.items())
            print(f"step {step + 1} of {steps} with media, {said}, {reported - started:.0f} s", flush=True)
    model.eval()


@torch.no_grad()
def answer(model, tokenizer, text, limit=40):
    ids = torch.tensor([tokenizer.encode(text)])
    model.thinker.model.rope_deltas = None
    out = model.thinker.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False,
        eos_token_id=model.config.im_end_token_id,
    )
    return tokenizer.decode(out[0, ids.shape[1] :].tolist(), skip_special=True)


def score(model, tokenizer, pairs):
    """How many questions get exactly the trained answer."""
    right = 0
    for question, expected in pairs:
        right += answer(model, tokenizer, prompt.render([{"role": "user", "content": question}])) == expected
    return right


@torch.no_grad()
def score_senses(model, tokenizer, folder, count, seed):
    """Of `count` new samples of each kind, how many get exactly the right answer."""
    senses, right = Senses(random.Random(seed), tokenizer, folder), {}
    for kind in demo_media.SAMPLES:
        for _ in range(count):
            values, labels = senses.batch(kind, 1, 0)
            learned = labels[0] >= 0
            prompt_length = int((~learned).sum())
            asked = {**values, "input_ids": values["input_ids"][:, :prompt_length],
                     "attention_mask": values["attention_mask"][:, :prompt_length]}
            model.thinker.model.rope_deltas = None
            out = model.thinker.generate(**asked, max_new_tokens=40, do_sample=False,
                                         eos_token_id=model.config.im_end_token_id)
            right[kind] = right.get(kind, 0) + (out[0, prompt_length:].tolist() == labels[0][learned].tolist())
    return right


# ---- the checkpoint

def trained_weights(model):
    """The thinker's tensors under their published names, as the original itself saves them."""
    tensors = {}
    with tempfile.TemporaryDirectory() as saved:
        model.to(torch.bfloat16).save_pretrained(saved)
        for shard in tracefile.shards(saved):
            tensors.update(load_file(shard))
    return {name: tensor for name, tensor in tensors.items() if name.startswith("thinker.")}


def is_text(name):
    return name.startswith(("thinker.model.", "thinker.lm_head."))


def begin_model(options, tensors):
    """The model before training: random, or with the thinker of --from."""
    if options.begin:
        for shard in tracefile.shards(options.begin):
            tensors.update({name: tensor for name, tensor in load_file(shard).items() if name.startswith("thinker.")})
    layout.write_shards(options.out, tensors, SHARD_STARTS)
    return Qwen3OmniMoeForConditionalGeneration.from_pretrained(
        options.out, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--senses", type=int, default=0, metavar="N", help="steps with media")
    parser.add_argument("--polish", type=int, default=0, metavar="N", help="further steps, most of it text")
    parser.add_argument("--from", dest="begin", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)  # on models this small a second thread costs more than it gives
    torch.manual_seed(SEED)
    write_tokenizer(options.out)
    write_processor_files(options.out)
    tokenizer = prompt.Tokenizer(options.out)
    layout.write_config(options.out, demo_config(token_ids(tokenizer)))
    tensors = randomweights.draw_all(options.out, SEED, wav=0.24)
    model = begin_model(options, tensors)
    if not options.begin:
        train(model, tokenizer, options.steps)
    if options.senses:
        train_senses(model, tokenizer, options.out, options.senses)
    if options.polish:
        train_senses(model, tokenizer, options.out, options.polish, polish=True)
    made = trained_weights(model)
    tensors.update(made if options.senses or options.polish else {name: made[name] for name in made if is_text(name)})
    layout.write_shards(options.out, tensors, SHARD_STARTS)


if __name__ == "__main__":
    main()
