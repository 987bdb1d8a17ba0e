"""A decoder of the original in small memory, for layerwise.py: one layer's weights at a time, in the prompt's pass and in
each step after it, and what lies in OUT.work meanwhile.

What thinker and talker share is here: the layers with their keys and values, positions, the state after every part, and
the line that each part prints. What differs – where vectors come from, what is behind the layers – they say themselves.
"""

import fcntl
import io
import os
import pickle
import sys
import time
from pathlib import Path

import torch
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

import original
import tracefile
from weights import BadInput, release

MIB = 1 << 20


class TooLittleMemory(Exception):
    pass


def status_bytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


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
        self.state = {"key": key}  # beside it, each decoder's own under its name
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

    def keep(self, name, value):
        put(self.path / (name + ".pt"), lambda new: save_tensors(value, new))

    def kept(self, name):
        """What `keep` was given, an empty dict if nothing."""
        return self.load(name + ".pt") if (self.path / (name + ".pt")).exists() else {}

    def cache(self, name, n_past):
        """A layer's keys and values, less those of a position that a killed run had already added."""
        return [tensor[:, :, :n_past] for tensor in self.load(name + ".pt")]

    def names(self, but=None):
        """The taps that are kept already, those of the part named `but` left out."""
        return {name for path in self.traces() if path.stem != but for name in tracefile.read_header(path)[0]}

    def keep_state(self):
        self.keep("state", self.state)

    def traces(self):
        return sorted(self.path.glob("*.safetensors"))


class Decoder:
    """One prompt through one decoder. `name` is its own in the whole model, `step_name` that of a step in what is printed."""

    name, step_name, rotary = None, None, None

    def __init__(self, config, weights, parts, options, folder):
        self.config, self.weights, self.parts, self.folder = config, weights, parts, folder
        self.with_experts, self.limit = options.experts, options.max_memory
        self.state = folder.state.setdefault(self.name, {"step": 0, "layer": -1, "hidden": None, "generated": []})
        self.begun, self.seconds = time.monotonic(), {}

    # What a decoder says itself.

    def n_steps(self):
        """The most steps there may be."""
        raise NotImplementedError

    def n_prompt(self):
        raise NotImplementedError

    def given(self):
        """Positions of the prompt, [3, n], that are not those of a text, or None."""
        raise NotImplementedError

    def embed(self):
        """Leaves the step's vectors in the state."""
        raise NotImplementedError

    def head(self):
        """What is behind the layers: ends the step with one id more."""
        raise NotImplementedError

    def ended(self):
        raise NotImplementedError

    def after(self, _number, output):
        """What the next layer is given of a layer's output."""
        return output

    # What they share.

    @property
    def first(self):
        return self.state["step"] == 0

    @property
    def n_past(self):
        return 0 if self.first else self.n_prompt() + self.state["step"] - 1

    def positions(self, n):
        """[3, 1, n], as the original counts them: after given ones each stream goes on by itself."""
        given = self.given()
        if given is None:
            return (torch.arange(n, dtype=torch.float32) + self.n_past).view(1, 1, -1).expand(3, 1, -1)
        given = given[:, None]
        for _ in range(self.state["step"]):
            given = given[..., -1:] + 1
        return given

    def keeps_cache(self):
        return True

    def layer(self, number):
        hidden, n_past = self.state["hidden"], self.n_past
        module, prefix = self.parts.layer(self.name, number)
        layer = self.weights.fill(module, prefix)
        layer.self_attn.layer_idx = 0  # of a cache that holds this layer alone
        cache = DynamicCache() if self.keeps_cache() else None
        if n_past:
            cache.update(*self.folder.cache(f"{self.name}.cache{number}", n_past), 0)
        mask = create_causal_mask(
            config=self.config, inputs_embeds=hidden, past_key_values=cache, position_ids=None,
            attention_mask=torch.ones(1, n_past + hidden.shape[1], dtype=torch.long),
        )
        rotary = self.rotary(self.config)(hidden, self.positions(hidden.shape[1]))
        listener = original.Listener(None, self.with_experts)
        if self.first:
            listener.listen_below(layer, prefix.rstrip("."))
        output = layer(hidden, attention_mask=mask, past_key_values=cache, position_embeddings=rotary)
        self.state["hidden"] = self.after(number, output)
        release(layer)
        self.folder.keep_taps(f"{self.name}.layer{number}", listener.taps)
        if cache:
            self.folder.keep(f"{self.name}.cache{number}", [cache.layers[0].keys, cache.layers[0].values])
        self.state["layer"] = number + 1
        self.folder.keep_state()
        self.progress(f"layer {number + 1} of {self.config.num_hidden_layers}", "layer")

    def norm_and_head(self, norm, head):
        """(the normed state, logits), each [1, n, …]; in the prompt's pass with their taps."""
        listener, (normed, norm_name), (headed, head_name) = original.Listener(None), norm, head
        norm, head = self.weights.fill(normed, norm_name), self.weights.fill(headed, head_name)
        if self.first:
            listener.listen_below(norm, norm_name.rstrip("."))
            listener.listen_below(head, head_name.rstrip("."))
        states = norm(self.state["hidden"])
        logits = head(states)
        release(norm)
        release(head)
        self.folder.keep_taps(f"{self.name}.head", listener.taps)
        return states, logits

    def end_step(self, made):
        self.state["generated"].append(int(made))
        self.state.update(step=self.state["step"] + 1, layer=-1, hidden=None)
        self.folder.keep_state()

    @torch.no_grad()
    def run(self):
        while not self.ended():
            if self.state["layer"] < 0:
                self.embed()
            for number in range(self.state["layer"], self.config.num_hidden_layers):
                self.layer(number)
            self.head()

    # What is printed.

    def place(self):
        return f"{self.step_name} {self.state['step'] + 1}, layer {max(self.state['layer'], 0) + 1}"

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
        step = f"{self.step_name} {self.state['step'] + 1} of at most {self.n_steps()}"
        print(f"{step}: {part}; {estimate}; peak {peak // MIB} MiB", file=sys.stderr, flush=True)
        if self.limit and peak > self.limit:
            raise TooLittleMemory(f"the peak is {peak // MIB}MiB, over --max-memory; the run can be resumed with more")

    def seconds_left(self, phase, done, layers):
        def cost(phase, kind):
            other = "decode" if phase == "prefill" else "prefill"
            timed = self.seconds.get((phase, kind)) or self.seconds.get((other, kind)) or [0.0]
            return sum(timed) / len(timed)

        head_left = done <= layers
        left = (layers - min(done, layers)) * cost(phase, "layer") + head_left * cost(phase, "head")
        steps = self.n_steps() - self.state["step"] - 1
        return left + steps * (cost("decode", "embedding") + layers * cost("decode", "layer") + cost("decode", "head"))
