#!/usr/bin/env python3
"""Makes a golden with the original in small memory: its own modules, one layer's weights at a time.

    layerwise.py --model DIR (--inputs IN.safetensors | --prompt TEXT [--raw | media] | --messages JSON)
                 --out OUT.safetensors [--dtype float32|bfloat16] [--generate N] [--case NAME] [--experts]
                 [--threads N] [--max-memory SIZE] [--hash-weights]
    media: [--audio FILE] [--image FILE] [--video FILE] [--fps F] [--audio-in-video]

The result is the file that golden.py makes, bit for bit (with --hash-weights also in its metadata). Every module of
the original's thinker is built on the meta device, filled from the checkpoint by plain reads (weights.py), run and
freed. What ties them together – mask, cache, positions, greedy choice – calls the original's functions or repeats what
its generate() does; media go through the thinker's own forward (towers.py).

After every part – a tower's layer, embedding, layer, head – its taps, its keys and values, and then the hidden state lie
in OUT.work; the same command resumes there after a kill at any moment. Speech is refused.

--max-memory bounds the peak resident set ("4GiB"); a bound below the plan is refused with the smallest that works.
Exit codes: 0 done, 2 usage, 3 bad input, 4 the system failed, 5 too little memory, 130 interrupted.
"""

import argparse
import ctypes
import fcntl
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache, Qwen3OmniMoeConfig
from transformers.masking_utils import create_causal_mask
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modules

import original
import request
import towers
import tracefile
from weights import BadInput, Weights, release

TEXT_INPUTS = ("in.input_ids", "in.position_ids")
AUDIO_INPUTS = ("in.input_features", "in.audio_feature_lengths")
IMAGE_INPUTS = ("in.pixel_values", "in.image_grid_thw")
VIDEO_INPUTS = ("in.pixel_values_videos", "in.video_grid_thw", "in.video_second_per_grid")
MIB = 1 << 20
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}
# Resident before the first weight: Python, torch, transformers, tokenizer and headers. The rest is what kernels bring.
PROCESS_BYTES, ALLOWANCE_BYTES = 448 * MIB, 96 * MIB
M_MMAP_THRESHOLD = -3


class TooLittleMemory(Exception):
    pass


def status_bytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


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
    for part in (config, root.thinker_config.audio_config, root.thinker_config.vision_config):
        part._attn_implementation = part._experts_implementation = "eager"
    return root


class Parts:
    """The original's modules on the meta device, in the order of the network, with their published names."""

    def __init__(self, root, dtype):
        self.thinker, self.config, self.dtype = root.thinker_config, root.thinker_config.text_config, dtype

    def build(self, name, kind, *arguments, **keywords):
        return on_meta(self.dtype, lambda: kind(*arguments, **keywords)), name

    def embedding(self):
        return self.build("thinker.model.embed_tokens.", torch.nn.Embedding, self.config.vocab_size, self.config.hidden_size)

    def layer(self, number):
        kind = modules.Qwen3OmniMoeThinkerTextDecoderLayer
        return self.build(f"thinker.model.layers.{number}.", kind, self.config, number)

    def norm(self):
        kind, config = modules.Qwen3OmniMoeTextRMSNorm, self.config
        return self.build("thinker.model.norm.", kind, config.hidden_size, eps=config.rms_norm_eps)

    def head(self):
        sizes = self.config.hidden_size, self.config.vocab_size
        return self.build("thinker.lm_head.", torch.nn.Linear, *sizes, bias=False)

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

    def all(self, inputs):
        yield from self.towers(inputs)
        yield self.embedding()
        for number in range(self.config.num_hidden_layers):
            yield self.layer(number)
        yield self.norm()
        yield self.head()


def planned_bytes(root, parts, inputs, generate, with_experts):
    """The largest part's weights and activations, over the process's own. Decoding never needs more than prefill
    except for keys and values."""
    n_prompt = inputs["in.input_ids"].size
    config, item = parts.config, parts.dtype.itemsize
    n, heads, width = n_prompt + max(generate - 1, 0), config.num_attention_heads, config.head_dim
    scores = heads * n_prompt * n_prompt * (8 if item == 4 else 10)
    keys_values = n * width * item * (6 * config.num_key_value_heads + 2 * heads)
    rows = n_prompt * 4 * (12 * config.hidden_size + 8 * heads * width)
    routing = n_prompt * config.num_experts_per_tok * (config.num_experts + 1) * 16
    if with_experts:
        rows += n_prompt * config.num_experts_per_tok * config.hidden_size * 4
    largest = max(
        sum(parameter.numel() for parameter in parts.layer(number)[0].parameters())
        for number in range(config.num_hidden_layers)
    )
    layer = largest * item + scores + keys_values + rows + routing
    head = config.vocab_size * config.hidden_size * item + n_prompt * config.vocab_size * (4 if item == 4 else 6) + rows
    process = -(-max(PROCESS_BYTES, status_bytes("VmRSS")) // (64 * MIB)) * 64 * MIB
    media, tower = towers.planned_bytes(root, inputs, parts.dtype)
    return max(process + ALLOWANCE_BYTES + media + max(tower, layer, head), status_bytes("VmHWM"))


def put(path, write):
    """`write` fills a file of another name, which then takes the place of `path`; a failure leaves nothing of it."""
    new = path.with_name(path.name + ".new")
    try:
        write(new)
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


def save_tensors(value, path):
    """torch.save by way of memory: the values are small, and a full disk stays an OSError."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    path.write_bytes(buffer.getbuffer())


class Folder:
    """OUT.work: what a kill leaves behind. A file is whole or absent; `state.pt` goes last and says what counts."""

    def __init__(self, path, key):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.lock = open(path / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(f"{path}: another process is at work there") from error
        self.state = {"key": key, "step": 0, "layer": -1, "generated": []}
        if (path / "state.pt").exists():
            self.state = self.load("state.pt")
            if self.state["key"] != key:
                raise BadInput(f"{path}: left by a run with other options, inputs or weights; remove it to begin again")

    def load(self, name):
        try:
            return torch.load(self.path / name, weights_only=True)
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise BadInput(f"{self.path / name}: unreadable; remove {self.path} to begin again") from error

    def keep_taps(self, name, taps):
        if taps:
            put(self.path / (name + ".safetensors"), lambda new: tracefile.write(new, taps, {}))

    def keep_cache(self, number, tensors):
        put(self.path / f"cache{number}.pt", lambda new: save_tensors(tensors, new))

    def cache(self, number, n_past):
        """A layer's keys and values, less those of a position that a killed run had already added."""
        return [tensor[:, :, :n_past] for tensor in self.load(f"cache{number}.pt")]

    def keep_media(self, place):
        put(self.path / "media.pt", lambda new: save_tensors(place, new))

    def media(self):
        return self.load("media.pt") if (self.path / "media.pt").exists() else {}

    def names(self):
        """The taps that are kept already."""
        return {name for path in self.traces() for name in tracefile.read_header(path)[0]}

    def keep_state(self):
        put(self.path / "state.pt", lambda new: save_tensors(self.state, new))

    def traces(self):
        return sorted(self.path.glob("*.safetensors"))


class Run:
    """One prompt through the model."""

    def __init__(self, root, weights, parts, inputs, options, folder):
        self.end_id, self.config, self.weights, self.parts = root.im_end_token_id, parts.config, weights, parts
        self.ids, self.inputs = inputs["in.input_ids"].tolist(), inputs
        self.has_media = len(inputs.keys() - set(TEXT_INPUTS)) > 0
        self.media = None
        self.generate, self.with_experts = options.generate, options.experts
        self.folder, self.state = folder, folder.state
        self.limit = options.max_memory
        self.begun, self.seconds = time.monotonic(), {}

    @property
    def first(self):
        return self.state["step"] == 0

    @property
    def n_past(self):
        return 0 if self.first else len(self.ids) + self.state["step"] - 1

    def given(self):
        """Positions of the prompt, [3, n], that are not those of a text: given ones, or those of media."""
        if self.has_media:
            return self.merged()["positions"]
        given = self.inputs.get("in.position_ids")
        return None if given is None else torch.from_numpy(np.array(given))

    def merged(self):
        """What media gave the text model beside vectors: positions, and where DeepStack features are added."""
        if self.media is None:
            self.media = self.folder.media()
        return self.media

    def positions(self, n):
        """[3, 1, n], as the original counts them: after given ones each stream goes on by itself."""
        given = self.given()
        if given is None:
            return (torch.arange(n, dtype=torch.float32) + self.n_past).view(1, 1, -1).expand(3, 1, -1)
        given = given[:, None]
        for _ in range(self.state["step"]):
            given = given[..., -1:] + 1
        return given

    def progress(self, part, kind):
        """One line per part. Parts not yet timed in this phase are taken to cost what they cost in the other."""
        now, layers = time.monotonic(), self.config.num_hidden_layers
        phase = "prefill" if self.first else "decode"
        self.seconds.setdefault((phase, kind), []).append(now - self.begun)
        self.begun = now
        peak = status_bytes("VmHWM")
        done = {"tower": 0, "embedding": 0, "layer": self.state["layer"], "head": layers + 1}[kind]
        left = self.seconds_left(phase, done, layers)
        timed = any(key[1] == "layer" for key in self.seconds)
        estimate = f"at most {left:.0f} s left" if timed else "no estimate yet"
        token = f"token {self.state['step'] + 1} of at most {max(self.generate, 1)}"
        print(f"{token}: {part}; {estimate}; peak {peak // MIB} MiB", file=sys.stderr, flush=True)
        if self.limit and peak > self.limit:
            raise TooLittleMemory(f"the peak is {peak // MIB}MiB, over --max-memory; the run can be resumed with more")

    def seconds_left(self, phase, done, layers):
        def cost(phase, kind):
            other = "decode" if phase == "prefill" else "prefill"
            timed = self.seconds.get((phase, kind)) or self.seconds.get((other, kind)) or [0.0]
            return sum(timed) / len(timed)

        head_left = done <= layers
        left = (layers - min(done, layers)) * cost(phase, "layer") + head_left * cost(phase, "head")
        tokens = max(self.generate, 1) - self.state["step"] - 1
        return left + tokens * (cost("decode", "embedding") + layers * cost("decode", "layer") + cost("decode", "head"))

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
            self.folder.keep_media(self.media)
        self.progress("embedding", "embedding")

    def merge(self, table):
        """The prompt's vectors, and the towers' taps that no layer has kept; what the text model needs besides is kept."""
        listener, kept = original.Listener(None), self.folder.media()
        places = kept.get("places", {})

        def unkept():
            names = self.folder.names()
            return {name: array for name, array in listener.taps.items() if name not in names}

        def keep(run, done, n_layer):
            self.folder.keep_taps(f"{run}{done}", unkept())
            self.folder.keep_media({"places": places})
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
        self.folder.keep_media({"places": places, **self.media})  # the places until the state says that this is done
        return keywords["inputs_embeds"], taps

    def with_features(self, number, hidden):
        """DeepStack: the original adds them after a layer, outside of it, and in the prompt's pass only."""
        features = self.merged().get("features") if self.first and self.has_media else None
        if features is None or number >= len(features):
            return hidden
        return modules.Qwen3OmniMoeThinkerTextModel._deepstack_process(None, hidden, self.media["mask"], features[number])

    def layer(self, number):
        hidden, n_past = self.state["hidden"], self.n_past
        module, prefix = self.parts.layer(number)
        layer = self.weights.fill(module, prefix)
        layer.self_attn.layer_idx = 0  # of a cache that holds this layer alone
        cache = DynamicCache() if self.generate else None
        if n_past:
            cache.update(*self.folder.cache(number, n_past), 0)
        mask = create_causal_mask(
            config=self.config, inputs_embeds=hidden, past_key_values=cache, position_ids=None,
            attention_mask=torch.ones(1, n_past + hidden.shape[1], dtype=torch.long),
        )
        rotary = modules.Qwen3OmniMoeThinkerTextRotaryEmbedding(self.config)(hidden, self.positions(hidden.shape[1]))
        listener = original.Listener(None, self.with_experts)
        if self.first:
            listener.listen_below(layer, prefix.rstrip("."))
        output = layer(hidden, attention_mask=mask, past_key_values=cache, position_embeddings=rotary)
        self.state["hidden"] = self.with_features(number, output)
        release(layer)
        self.folder.keep_taps(f"layer{number}", listener.taps)
        if cache:
            self.folder.keep_cache(number, [cache.layers[0].keys, cache.layers[0].values])
        self.state["layer"] = number + 1
        self.folder.keep_state()
        self.progress(f"layer {number + 1} of {self.config.num_hidden_layers}", "layer")

    def head(self):
        norm, head = (self.weights.fill(*part) for part in (self.parts.norm(), self.parts.head()))
        listener = original.Listener(None)
        if self.first:
            listener.listen_below(norm, "thinker.model.norm")
            listener.listen_below(head, "thinker.lm_head")
        logits = head(norm(self.state["hidden"]))
        release(norm)
        release(head)
        self.folder.keep_taps("head", listener.taps)
        self.progress("head", "head")
        self.state["generated"].append(int(logits[0, -1].float().argmax()))
        self.state["step"], self.state["layer"], self.state["hidden"] = self.state["step"] + 1, -1, None
        self.folder.keep_state()

    def ended(self):
        return self.state["step"] >= max(self.generate, 1) or self.state["generated"][-1:] == [self.end_id]

    @torch.no_grad()
    def run(self):
        state = self.state
        while not self.ended():
            if state["layer"] < 0:
                self.embed()
            for number in range(state["layer"], self.config.num_hidden_layers):
                self.layer(number)
            self.head()
        if self.generate:
            self.folder.keep_taps("generated", {"tap.thinker.generated": np.array(state["generated"], np.int64)})


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
    said = (options.dtype, options.generate, options.experts, original.versions(options.dtype), weights.stamp)
    key = hashlib.sha256(repr(said).encode() + (Path(options.model) / "config.json").read_bytes())
    for name in sorted(inputs):
        key.update(name.encode() + inputs[name].tobytes())
    return key.hexdigest()


def plan(options, root, parts, inputs):
    bytes_needed = planned_bytes(root, parts, inputs, options.generate, options.experts)
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
    weights, parts = Weights(options.model), Parts(root, original.DTYPES[options.dtype])
    for module, prefix in parts.all(inputs):
        weights.check(module, prefix)
    planned = plan(options, root, parts, inputs)
    folder = Folder(Path(options.out + ".work"), key_of(options, weights, inputs))
    run, state = Run(root, weights, parts, inputs, options, folder), folder.state
    if state["step"] or state["layer"] >= 0:
        place = f"token {state['step'] + 1}, layer {max(state['layer'], 0) + 1}"
        print(f"resuming at {place}" if not run.ended() else "resuming: only the file is left to write", file=sys.stderr)
    run.run()
    weights.close()
    identity = {"config_sha256": hashlib.sha256((Path(options.model) / "config.json").read_bytes()).hexdigest()}
    if options.hash_weights:
        print("hashing the weights", file=sys.stderr)
        identity = tracefile.identity(options.model)
    folder.keep_taps("inputs", inputs)
    metadata = {
        **original.versions(options.dtype), **identity, **metadata, "case": options.case,
        "generate": str(options.generate), "speak": "0", "speaker": "ethan",
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
