"""The original's towers and its merging of media, in small memory, for layerwise.py.

The thinker's own forward runs: its towers are built on the meta device, and a module's weights are read when the module
is called and released when it is done. In place of the text model stands a module that keeps what it is given and ends
the run. After a layer, its output and the DeepStack features so far are kept; a resumed run calls the layers before it
without doing their work. What comes before the first layer, and after the last, is done again.
"""

import torch
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modules

import original

AUDIO, VISUAL = "thinker.audio_tower.", "thinker.visual."


class Given(Exception):
    """What the text model would have been called with."""

    def __init__(self, keywords):
        super().__init__("the text model's turn")
        self.keywords = keywords


class TextModel(torch.nn.Module):
    def __init__(self, table):
        super().__init__()
        self.embed_tokens = table

    def get_input_embeddings(self):
        return self.embed_tokens

    def forward(self, **keywords):
        raise Given(keywords)


class Thinker(modules.Qwen3OmniMoeThinkerModel):
    """The original's thinker around an embedding and towers that are built elsewhere."""

    def __init__(self, config, table, audio_tower, visual):
        super(modules.Qwen3OmniMoeThinkerModel, self).__init__(config)
        self.audio_tower, self.visual, self.language_model = audio_tower, visual, TextModel(table)
        self.spatial_merge_size = config.vision_config.spatial_merge_size
        self.rope_deltas = None


def with_buffers(module, kind, build):
    """Buffers are computed, not stored: a module that has them is built again, off the meta device."""
    for name, child in list(module.named_modules()):
        if isinstance(child, kind):
            module.set_submodule(name, build(child))
    return module


def build_audio(config, on_meta):
    tower = on_meta(lambda: modules.Qwen3OmniMoeAudioEncoder(config))
    return with_buffers(tower, modules.SinusoidsPositionEmbedding,
                        lambda old: modules.SinusoidsPositionEmbedding(old.length, old.channels, old.max_timescale))


def build_visual(config, on_meta):
    tower = on_meta(lambda: modules.Qwen3OmniMoeVisionEncoder(config))
    return with_buffers(tower, modules.Qwen3OmniMoeVisionRotaryEmbedding,
                        lambda _old: modules.Qwen3OmniMoeVisionRotaryEmbedding(config))


def parts_of(tower):
    """(name, module) of what is read at once: a layer or merger of a list, or a module beside the lists."""
    for name, child in tower.named_children():
        if isinstance(child, torch.nn.ModuleList):
            yield from ((f"{name}.{index}", module) for index, module in child.named_children())
        elif any(True for _ in child.parameters()):
            yield name, child


class Tower:
    """One tower whose weights are lent; `keep(run, place)` is called after each layer, with what resumes there."""

    def __init__(self, tower, prefix, weights, listener, places, keep):
        self.tower, self.prefix, self.weights, self.places, self.keep = tower, prefix, weights, places, keep
        self.run, self.n_layer, self.place = -1, 0, None
        listener.listen_below(tower, prefix.rstrip("."))
        for name, module in parts_of(tower):
            self.lend(name, module)
        tower.register_forward_pre_hook(self.begin)

    def begin(self, _tower, _inputs):
        self.run += 1
        self.place = self.places.setdefault(f"{self.prefix}{self.run}", {"done": 0, "hidden": None, "features": []})
        self.features = iter(self.place["features"])

    def lend(self, name, module):
        run, stem = module.forward, name.split(".")[0]

        def forward(*inputs, **keywords):
            self.weights.fill(module, f"{self.prefix}{name}.")
            try:
                return run(*inputs, **keywords)
            finally:
                module.to_empty(device="meta")

        if stem in ("layers", "blocks"):
            number = int(name.split(".")[1])
            module.forward = lambda hidden, *inputs, **keywords: self.layer(number, forward, hidden, inputs, keywords)
            module.register_forward_hook(lambda *_: self.after(number))
            self.n_layer += 1
        elif stem == "merger_list":
            module.forward = lambda hidden: self.merge(forward, hidden)
        else:
            module.forward = forward

    def layer(self, number, forward, hidden, inputs, keywords):
        done = self.place["done"]
        if number >= done:
            output = forward(hidden, *inputs, **keywords)
            self.place["hidden"] = original.first(output)
            return output
        output = self.place["hidden"] if number == done - 1 else hidden
        return (output,) if self.prefix == AUDIO else output

    def merge(self, forward, hidden):
        """DeepStack features of layers that a killed run had done are kept with the last of them."""
        feature = next(self.features, None)
        if feature is None:
            feature = forward(hidden)
            self.place["features"].append(feature)
            self.features = iter(())
        return feature

    def after(self, number):
        if number >= self.place["done"]:
            self.place["done"] = number + 1
            self.keep(f"{self.prefix}{self.run}", number + 1, self.n_layer)


def planned_bytes(root, inputs, dtype):
    """(what media take from the beginning to the end, what the towers take beside it): inputs and DeepStack features, then
    the largest part's weights and activations."""
    audio, vision, item = root.thinker_config.audio_config, root.thinker_config.vision_config, dtype.itemsize
    media = sum(array.nbytes for name, array in inputs.items() if name.startswith(("in.input_f", "in.pixel")))
    needed = []
    if "in.audio_feature_lengths" in inputs:
        lengths, chunk = inputs["in.audio_feature_lengths"], 2 * audio.n_window
        chunks = int((-(-lengths // chunk)).sum())
        maps = min(chunks, audio.conv_chunksize) * audio.downsample_hidden_size * -(-audio.num_mel_bins // 2) * chunk // 2
        stem = audio.downsample_hidden_size * audio.num_mel_bins // 8 * (audio.d_model + chunks * chunk // 8)
        rows = chunks * -(-chunk // 8)
        window = min(rows, audio.n_window_infer // 8 + 8)
        layer = 4 * audio.d_model * (audio.d_model + audio.encoder_ffn_dim // 2)
        work = rows * (12 * audio.d_model + 3 * audio.encoder_ffn_dim)
        needed.append(max(3 * maps + stem, layer + work + 4 * audio.encoder_attention_heads * window**2) * 4)
    for name in ("in.image_grid_thw", "in.video_grid_thw"):
        if name in inputs:
            grids, d = inputs[name], vision.hidden_size
            rows, step = int(grids.prod(axis=1).sum()), int((grids[:, 1] * grids[:, 2]).max())
            merged = 4 * d
            layer = 4 * d * d + 2 * d * vision.intermediate_size
            merger = merged * (merged + vision.out_hidden_size) + rows * 4 * d
            work = rows * (16 * d + 3 * vision.intermediate_size)
            needed.append((max(layer, merger) + work) * 4 + vision.num_heads * step**2 * (8 if item == 4 else 10))
    features = sum(array.nbytes for name, array in inputs.items() if name.startswith("in.pixel")) // 6
    return media + features, 2 * media + max(needed, default=0)
