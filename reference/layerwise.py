#!/usr/bin/env python3
"""Makes a golden with the original in small memory: its own modules, one layer's weights at a time.

    layerwise.py --model DIR (--inputs IN.safetensors | --prompt TEXT [--raw | media] | --messages JSON)
                 --out OUT.safetensors [--dtype float32|bfloat16] [--generate N] [--case NAME] [--experts]
                 [--speak N [--speaker NAME]] [--threads N] [--max-memory SIZE] [--hash-weights]
    media: [--audio FILE] [--image FILE] [--video FILE] [--fps F] [--audio-in-video]

The result is the file that golden.py makes, bit for bit (with --hash-weights also in its metadata). Every module of
the original is built on the meta device, filled from the checkpoint by plain reads (weights.py), run and freed. What
ties them together – mask, cache, positions, greedy choice – calls the original's functions or repeats what its
generate() does (stepwise.py); media go through the thinker's own forward (towers.py), and what the talker is asked
through the whole model's own generate() (speech.py).

After every part – a tower's layer, embedding, layer, head, frame – its taps, its keys and values, and then the hidden
state lie in OUT.work; the same command resumes there after a kill at any moment.

--max-memory bounds the peak resident set ("4GiB"); a bound below the plan is refused with the smallest that works.
Exit codes: 0 done, 2 usage, 3 bad input, 4 the system failed, 5 too little memory, 130 interrupted.
"""

import argparse
import ctypes
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen3OmniMoeConfig
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modules

import original
import request
import speech
import towers
import tracefile
from stepwise import MIB, Decoder, Folder, TooLittleMemory, put, status_bytes
from weights import BadInput, Weights, release

TEXT_INPUTS = ("in.input_ids", "in.position_ids")
AUDIO_INPUTS = ("in.input_features", "in.audio_feature_lengths")
IMAGE_INPUTS = ("in.pixel_values", "in.image_grid_thw")
VIDEO_INPUTS = ("in.pixel_values_videos", "in.video_grid_thw", "in.video_second_per_grid")
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}
# Resident before the first weight: Python, torch, transformers, tokenizer and headers. The rest is what kernels bring.
PROCESS_BYTES, ALLOWANCE_BYTES = 448 * MIB, 96 * MIB
M_MMAP_THRESHOLD = -3


def return_memory_at_once():
    """glibc keeps freed blocks below a threshold that grows to 32 MiB; held at 1 MiB, activations go back too."""
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MIB)
    except (OSError, AttributeError):
        pass  # another C library


def on_meta(dtype, build):
    """Builds in the dtype of the run, so that no copy of another dtype is ever made."""
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            return build()
    finally:
        torch.set_default_dtype(torch.float32)


def read_config(folder):
    try:
        json.loads((Path(folder) / "config.json").read_bytes())
        root = Qwen3OmniMoeConfig.from_pretrained(folder)
    except ValueError as error:
        raise BadInput(f"{Path(folder) / 'config.json'}: {error}") from error
    config = root.thinker_config.text_config
    if config.sliding_window is not None:
        raise BadInput(f"config.json: sliding_window: found {config.sliding_window}, expected null")
    parts = [config, root.thinker_config.audio_config, root.thinker_config.vision_config]
    if root.enable_audio_output:
        parts += [root.talker_config, root.talker_config.text_config, root.talker_config.code_predictor_config,
                  root.code2wav_config]
    for part in parts:
        part._attn_implementation = part._experts_implementation = "eager"
    return root


def check_speech(root, options, ids):
    """Refuses what the original fails at without a word about it."""
    if not options.speak:
        return
    if not root.enable_audio_output:
        raise BadInput("config.json: enable_audio_output: found false, expected true for speech")
    speakers, talker = root.talker_config.speaker_id, root.talker_config
    if options.speaker.lower() not in speakers:
        raise BadInput(f"--speaker: found {options.speaker!r}, expected one of {', '.join(sorted(speakers))}")
    layers = root.thinker_config.text_config.num_hidden_layers
    if not 0 < talker.accept_hidden_layer < layers:
        raise BadInput(f"config.json: accept_hidden_layer: found {talker.accept_hidden_layer}, expected 1 to {layers - 1}")
    for who, role in (("a user", root.user_token_id), ("an assistant", root.assistant_token_id)):
        if not np.any((ids[:-1] == root.im_start_token_id) & (ids[1:] == role)):
            raise BadInput(f"in.input_ids: found no turn of {who}, expected one for speech")


class Parts:
    """The original's modules on the meta device, in the order of the network, with their published names."""

    LAYERS = {"thinker": modules.Qwen3OmniMoeThinkerTextDecoderLayer, "talker": modules.Qwen3OmniMoeTalkerDecoderLayer}
    HEADS = {"thinker": "lm_head", "talker": "codec_head"}

    def __init__(self, root, dtype):
        self.root, self.thinker, self.dtype = root, root.thinker_config, dtype

    def config(self, name):
        """Of the text model in thinker or talker."""
        return (self.thinker if name == "thinker" else self.root.talker_config).text_config

    def build(self, name, kind, *arguments, **keywords):
        return on_meta(self.dtype, lambda: kind(*arguments, **keywords)), name

    def embedding(self):
        config = self.config("thinker")
        return self.build("thinker.model.embed_tokens.", torch.nn.Embedding, config.vocab_size, config.hidden_size)

    def layer(self, name, number):
        return self.build(f"{name}.model.layers.{number}.", self.LAYERS[name], self.config(name), number)

    def norm(self, name):
        kind, config = modules.Qwen3OmniMoeTextRMSNorm, self.config(name)
        return self.build(f"{name}.model.norm.", kind, config.hidden_size, eps=config.rms_norm_eps)

    def head(self, name):
        sizes = self.config(name).hidden_size, self.config(name).vocab_size
        return self.build(f"{name}.{self.HEADS[name]}.", torch.nn.Linear, *sizes, bias=False)

    def audio_tower(self):
        return towers.build_audio(self.thinker.audio_config, lambda build: on_meta(self.dtype, build)), towers.AUDIO

    def visual(self):
        return towers.build_visual(self.thinker.vision_config, lambda build: on_meta(self.dtype, build)), towers.VISUAL

    def towers(self, inputs):
        """Those that the inputs need."""
        if AUDIO_INPUTS[0] in inputs:
            yield self.audio_tower()
        if IMAGE_INPUTS[0] in inputs or VIDEO_INPUTS[0] in inputs:
            yield self.visual()

    def decoder(self, name):
        for number in range(self.config(name).num_hidden_layers):
            yield self.layer(name, number)
        yield self.norm(name)
        yield self.head(name)

    def speech(self):
        return speech.Modules(self.root, lambda build: on_meta(self.dtype, build).to(self.dtype))

    def all(self, inputs, speaks):
        yield from self.towers(inputs)
        yield self.embedding()
        yield from self.decoder("thinker")
        if speaks:
            yield from self.speech().all()
            yield from self.decoder("talker")


def decoder_bytes(parts, name, n_prompt, n_steps, with_experts):
    """What the prompt's pass through a decoder takes; a later step never needs more except for keys and values."""
    config, item = parts.config(name), parts.dtype.itemsize
    n, heads, width = n_prompt + n_steps, config.num_attention_heads, config.head_dim
    scores = heads * n_prompt * n_prompt * (8 if item == 4 else 10)
    keys_values = n * width * item * (6 * config.num_key_value_heads + 2 * heads)
    rows = n_prompt * 4 * (12 * config.hidden_size + 8 * heads * width)
    routing = n_prompt * config.num_experts_per_tok * (config.num_experts + 1) * 16
    if with_experts:
        rows += n_prompt * config.num_experts_per_tok * config.hidden_size * 4
    largest = max(
        sum(parameter.numel() for parameter in parts.layer(name, number)[0].parameters())
        for number in range(config.num_hidden_layers)
    )
    layer = largest * item + scores + keys_values + rows + routing
    head = config.vocab_size * config.hidden_size * item + n_prompt * config.vocab_size * (4 if item == 4 else 6) + rows
    return max(layer, head)


def planned_bytes(root, parts, inputs, options):
    """The largest part's weights and activations, over the process's own."""
    n_prompt = inputs["in.input_ids"].size
    text = decoder_bytes(parts, "thinker", n_prompt, max(options.generate - 1, 0), options.experts)
    if options.speak:
        n_talker = n_prompt + 9  # at most: turns that are not heard count
        talker = decoder_bytes(parts, "talker", n_talker, options.speak, options.experts)
        lasting, passing = speech.planned_bytes(root, parts, n_talker, options.speak)
        text = max(text, lasting + talker, passing)
    process = -(-max(PROCESS_BYTES, status_bytes("VmRSS")) // (64 * MIB)) * 64 * MIB
    media, tower = towers.planned_bytes(root, inputs, parts.dtype)
    return max(process + ALLOWANCE_BYTES + media + max(tower, text), status_bytes("VmHWM"))


class Thinker(Decoder):
    """The prompt with its media, and the answer."""

    name, step_name, rotary = "thinker", "token", modules.Qwen3OmniMoeThinkerTextRotaryEmbedding

    def __init__(self, root, weights, parts, inputs, options, folder):
        super().__init__(parts.config("thinker"), weights, parts, options, folder)
        self.end_id, self.generate = root.im_end_token_id, options.generate
        self.ids, self.inputs = inputs["in.input_ids"].tolist(), inputs
        self.has_media = len(inputs.keys() - set(TEXT_INPUTS)) > 0
        self.media = None

    def n_steps(self):
        return max(self.generate, 1)

    def n_prompt(self):
        return len(self.ids)

    def keeps_cache(self):
        return self.generate > 0

    def given(self):
        if self.has_media:
            return self.merged()["positions"]
        given = self.inputs.get("in.position_ids")
        return None if given is None else torch.from_numpy(np.array(given))

    def merged(self):
        """What media gave the text model beside vectors: positions, and where DeepStack features are added."""
        if self.media is None:
            self.media = self.folder.kept("media")
        return self.media

    def embed(self):
        ids = self.ids if self.first else self.state["generated"][-1:]
        module, prefix = self.parts.embedding()
        table = self.weights.fill_rows(module, prefix, ids)
        taps = {}
        if self.first and self.has_media:
            self.state["hidden"], taps = self.merge(table)
        else:
            self.state["hidden"] = table(torch.tensor([ids]))
        release(table)
        if self.first:
            self.folder.keep_taps("embed", {
                **taps,
                "tap.thinker.inputs_embeds": original.without_batch(original.plain(self.state["hidden"])),
                "tap.thinker.position_ids": self.positions(len(ids))[:, 0].numpy(),
            })
        self.state["layer"] = 0
        self.folder.keep_state()
        if self.first and self.has_media:
            self.folder.keep("media", self.media)
        self.progress("embedding", "embedding")

    def merge(self, table):
        """The prompt's vectors, and the towers' taps that no layer has kept; what the text model needs besides is kept."""
        listener, kept = original.Listener(None), self.folder.kept("media")
        places = kept.get("places", {})

        def unkept():
            names = self.folder.names(but="embed")  # which is written anew if the state does not say that it was
            return {name: array for name, array in listener.taps.items() if name not in names}

        def keep(run, done, n_layer):
            self.folder.keep_taps(f"{run}{done}", unkept())
            self.folder.keep("media", {"places": places})
            self.progress(f"{run.rpartition('.')[0]}: layer {done} of {n_layer}", "tower")

        lent = {prefix: tower for tower, prefix in self.parts.towers(self.inputs)}
        for prefix, tower in lent.items():
            towers.Tower(tower, prefix, self.weights, listener, places, keep)
        thinker = towers.Thinker(self.parts.thinker, table, lent.get(towers.AUDIO), lent.get(towers.VISUAL)).eval()
        dtype = {value: name for name, value in original.DTYPES.items()}[self.parts.dtype]
        try:
            thinker(**original.cast_floats(original.arguments(self.inputs), dtype))
        except towers.Given as text:
            keywords = text.keywords
        self.media = {"positions": keywords["position_ids"][-3:, 0].to(torch.float32),
                      "mask": keywords["visual_pos_masks"], "features": keywords["deepstack_visual_embeds"]}
        taps = unkept()
        self.media = {name: value for name, value in self.media.items() if value is not None}
        self.folder.keep("media", {"places": places, **self.media})  # the places until the state says that this is done
        return keywords["inputs_embeds"], taps

    def after(self, number, output):
        """DeepStack: the original adds features after a layer, outside of it, and in the prompt's pass only."""
        features = self.merged().get("features") if self.first and self.has_media else None
        if features is None or number >= len(features):
            return output
        return modules.Qwen3OmniMoeThinkerTextModel._deepstack_process(None, output, self.media["mask"], features[number])

    def head(self):
        _, logits = self.norm_and_head(self.parts.norm(self.name), self.parts.head(self.name))
        self.progress("head", "head")
        self.end_step(logits[0, -1].float().argmax())

    def ended(self):
        return self.state["step"] >= self.n_steps() or self.state["generated"][-1:] == [self.end_id]

    def run(self):
        super().run()
        if self.generate and "tap.thinker.generated" not in self.folder.names():
            self.folder.keep_taps("generated", {"tap.thinker.generated": np.array(self.state["generated"], np.int64)})


def check_inputs(inputs, root):
    """Ids, positions and media; anything a whole model would treat otherwise is refused."""
    inputs = {name: array for name, array in inputs.items() if name.startswith("in.")}
    other = sorted(set(inputs) - {*TEXT_INPUTS, *AUDIO_INPUTS, *IMAGE_INPUTS, *VIDEO_INPUTS, "in.use_audio_in_video"})
    if other:
        raise BadInput(f"{', '.join(other)}: not run layer by layer")
    ids, vocab = inputs.get("in.input_ids"), root.thinker_config.text_config.vocab_size
    if ids is None or ids.ndim != 1 or not ids.size:
        raise BadInput("in.input_ids: absent or empty")
    if ids.min() < 0 or ids.max() >= vocab:
        raise BadInput(f"in.input_ids: found {ids.min()} to {ids.max()}, expected 0 to {vocab - 1}")
    positions = inputs.get("in.position_ids")
    if positions is not None and (positions.shape != (3, ids.size) or positions.dtype != np.float32):
        raise BadInput(f"in.position_ids: found {positions.dtype} {positions.shape}, expected float32 (3, {ids.size})")
    check_media(inputs, root.thinker_config)
    return inputs


def expect_shape(inputs, name, shape, kind):
    """`shape` has None where any size will do."""
    found = inputs[name]
    if len(found.shape) != len(shape) or found.dtype.kind != kind or any(
            want not in (None, have) for want, have in zip(shape, found.shape)):
        raise BadInput(f"{name}: found {found.dtype} {list(found.shape)}, expected "
                       f"{'integers' if kind == 'i' else 'float32'} {['any' if n is None else n for n in shape]}")


def expect_tokens(inputs, name, token, count):
    """The original would fill fewer placeholders, or fail at more, without a word about which."""
    found = int((inputs["in.input_ids"] == token).sum())
    if found != count:
        raise BadInput(f"in.input_ids: found {found} tokens {token}, expected {count} by {name}")


def check_media(inputs, config):
    for names in (AUDIO_INPUTS, IMAGE_INPUTS, VIDEO_INPUTS):
        lacking = [name for name in names if name not in inputs]
        if 0 < len(lacking) < len(names):
            raise BadInput(f"{', '.join(lacking)}: absent, though {names[0]} or its like is there")
    n_audio = 0
    if AUDIO_INPUTS[0] in inputs:
        lengths = inputs["in.audio_feature_lengths"]
        expect_shape(inputs, "in.audio_feature_lengths", (None,), "i")
        if not lengths.size or lengths.min() < 1:
            raise BadInput(f"in.audio_feature_lengths: found {lengths.tolist()}, expected one or more of at least 1")
        expect_shape(inputs, "in.input_features", (config.audio_config.num_mel_bins, int(lengths.sum())), "f")
        n_audio = int(modules._get_feat_extract_output_lengths(torch.from_numpy(np.array(lengths)),
                                                               config.audio_config.n_window).sum())
    expect_tokens(inputs, "in.audio_feature_lengths", config.audio_token_id, n_audio)
    for names, token in ((IMAGE_INPUTS, config.image_token_id), (VIDEO_INPUTS, config.video_token_id)):
        expect_tokens(inputs, names[1], token, check_grids(inputs, names, config.vision_config))


def check_grids(inputs, names, vision):
    """Returns how many tokens the pictures are."""
    if names[0] not in inputs:
        return 0
    grids, merge = inputs[names[1]], vision.spatial_merge_size
    expect_shape(inputs, names[1], (None, 3), "i")
    if not grids.size or grids.min() < 1 or (grids[:, 1:] % merge).any():
        raise BadInput(f"{names[1]}: found {grids.tolist()}, expected rows and columns that are multiples of {merge}")
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    expect_shape(inputs, names[0], (int(grids.prod(axis=1).sum()), width), "f")
    if len(names) > 2:
        expect_shape(inputs, names[2], (len(grids),), "f")
    return int(grids.prod(axis=1).sum()) // merge**2


def key_of(options, weights, inputs):
    """What a resumed run must share with the one that was killed."""
    said = (options.dtype, options.generate, options.speak, options.speaker.lower(), options.experts,
            original.versions(options.dtype), weights.stamp)
    key = hashlib.sha256(repr(said).encode() + (Path(options.model) / "config.json").read_bytes())
    for name in sorted(inputs):
        key.update(name.encode() + inputs[name].tobytes())
    return key.hexdigest()


def plan(options, root, parts, inputs):
    bytes_needed = planned_bytes(root, parts, inputs, options)
    smallest = -(-bytes_needed // MIB)
    print(f"plan: a resident set of at most {smallest} MiB", file=sys.stderr)
    if options.max_memory and bytes_needed > options.max_memory:
        raise TooLittleMemory(f"--max-memory {options.max_memory // MIB}MiB: the smallest that works is {smallest}MiB")
    return bytes_needed


def make(options):
    out = Path(options.out)
    if out.exists():
        raise BadInput(f"{out}: exists already")
    if not out.parent.is_dir():
        raise BadInput(f"{out}: there is no folder {out.parent}")
    return_memory_at_once()
    torch.set_num_threads(options.threads)
    root = read_config(options.model)
    given, metadata = request.inputs_of(options)
    inputs = check_inputs(given, root)
    check_speech(root, options, inputs["in.input_ids"])
    weights, parts = Weights(options.model), Parts(root, original.DTYPES[options.dtype])
    for module, prefix in parts.all(inputs, options.speak):
        weights.check(module, prefix)
    planned = plan(options, root, parts, inputs)
    folder = Folder(Path(options.out + ".work"), key_of(options, weights, inputs))
    resumed = len(folder.state) > 1
    kinds = (Thinker, speech.Talker) if options.speak else (Thinker,)
    runs = [kind(root, weights, parts, inputs, options, folder) for kind in kinds]
    if resumed:
        place = next((run.place() for run in runs if not run.ended()), None)
        print(f"resuming at {place}" if place else "resuming: only the file is left to write", file=sys.stderr)
    for run in runs:
        run.run()
    weights.close()
    identity = {"config_sha256": hashlib.sha256((Path(options.model) / "config.json").read_bytes()).hexdigest()}
    if options.hash_weights:
        print("hashing the weights", file=sys.stderr)
        identity = tracefile.identity(options.model)
    folder.keep_taps("inputs", inputs)
    metadata = {
        **original.versions(options.dtype), **identity, **metadata, "case": options.case,
        "generate": str(options.generate), "speak": str(options.speak), "speaker": options.speaker,
    }
    put(out, lambda new: tracefile.merge(new, folder.traces(), metadata))
    shutil.rmtree(folder.path)
    print(f"planned_bytes {planned}\npeak_rss_bytes {status_bytes('VmHWM')}")


def size(text):
    match = re.fullmatch(r"(\d+)([KMG]iB|B|)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size such as 4GiB, 3500MiB or a number of bytes")
    return int(match[1]) * UNITS[match[2]]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    request.add_arguments(parser)
    parser.add_argument("--max-memory", type=size, metavar="SIZE", help="bound of the peak resident set")
    parser.add_argument("--hash-weights", action="store_true", help="weights_sha256 in the metadata; reads everything")
    options = parser.parse_args()
    request.check(parser, options)
    return options


def main():
    options = parse_arguments()
    resume = "; the same command resumes" if Path(options.out + ".work").is_dir() else ""
    try:
        make(options)
        return 0
    except BadInput as error:
        code, message = 3, str(error)
    except FileNotFoundError as error:
        code, message = 3, f"{error.filename}: not there"
    except OSError as error:
        resume = "; the same command resumes" if Path(options.out + ".work").is_dir() else ""
        code, message = 4, f"{error.filename or options.out}: {error.strerror}{resume}"
    except MemoryError:
        code, message = 4, f"out of memory{resume}"
    except TooLittleMemory as error:
        code, message = 5, str(error)
    except KeyboardInterrupt:
        code, message = 130, "interrupted; the same command resumes"
    print(f"layerwise: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
