"""The original's talker, code predictor and code2wav in small memory, for layerwise.py.

The prompt that the talker hears is made by the original's own generate(): in place of its thinker stands one that has
already answered, in place of its talker one that keeps what it is asked to speak and ends the run. Then the talker goes
step by step as a decoder does (stepwise.py); its logits processors, its positions and what it makes of the fifteen other
codes are the original's. The predictor's weights stay from its first frame to the last, code2wav's are read when a module
is called and released when it is done.
"""

import contextlib
from types import SimpleNamespace

import numpy as np
import torch
from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as modules

import original
import towers
import tracefile
from stepwise import Decoder
from weights import BadInput, release

PREDICTOR, CODE2WAV = "talker.code_predictor.", "code2wav."


class Modules:
    """Talker and code2wav on the meta device; buffers, which are computed and not stored, are off it."""

    def __init__(self, root, on_meta):
        self.talker = on_meta(lambda: modules.Qwen3OmniMoeTalkerForConditionalGeneration(root.talker_config)).eval()
        self.code2wav = on_meta(lambda: modules.Qwen3OmniMoeCode2Wav(root.code2wav_config)).eval()
        for module in (self.talker.code_predictor, self.code2wav):
            towers.with_buffers(module, modules.Qwen3OmniMoeRotaryEmbedding,
                                lambda old: modules.Qwen3OmniMoeRotaryEmbedding(old.config))
        config = root.code2wav_config
        self.code2wav.code_offset = torch.arange(config.num_quantizers).view(1, -1, 1) * config.codebook_size

    def projections(self):
        for name in ("text_projection", "hidden_projection"):
            yield self.talker.get_submodule(name), f"talker.{name}."

    def embedding(self):
        return self.talker.model.codec_embedding, "talker.model.codec_embedding."

    def predictor(self):
        predictor = self.talker.code_predictor
        yield from ((part, f"{PREDICTOR}model.{name}.") for name, part in towers.parts_of(predictor.model))
        yield predictor.lm_head, PREDICTOR + "lm_head."

    def parts_of_code2wav(self):
        """(module, published name) of what is read at once."""
        transformer = self.code2wav.pre_transformer
        yield from ((part, f"{CODE2WAV}pre_transformer.{name}.") for name, part in towers.parts_of(transformer))
        for name, part in towers.parts_of(self.code2wav):
            if part is transformer:
                continue
            if isinstance(part, torch.nn.ModuleList):  # upsample: a list of lists, of which the inner has no forward
                yield from ((inner, f"{CODE2WAV}{name}.{index}.") for index, inner in part.named_children())
            else:
                yield part, f"{CODE2WAV}{name}."

    def all(self):
        yield from self.projections()
        yield self.embedding()
        yield from self.predictor()
        yield from self.parts_of_code2wav()


class Answered(torch.nn.Module):
    """A thinker whose answer is known."""

    def __init__(self, result, table):
        super().__init__()
        self.result, self.table, self.device = result, table, torch.device("cpu")

    def generate(self, **_):
        return self.result

    def get_input_embeddings(self):
        return self.table


class Asked(torch.nn.Module):
    """A talker that keeps what it is asked to speak."""

    def __init__(self, talker):
        super().__init__()
        self.text_projection, self.hidden_projection = talker.text_projection, talker.hidden_projection
        self.table, self.dtype = talker.model.codec_embedding, talker.dtype

    def get_input_embeddings(self):
        return self.table

    def generate(self, **keywords):
        raise towers.Given(keywords)


class Assembly(modules.Qwen3OmniMoeForConditionalGeneration):
    """The original's whole model around two that stand in."""

    def __init__(self, config, thinker, talker):
        super(modules.Qwen3OmniMoeForConditionalGeneration, self).__init__(config)
        self.thinker, self.talker, self.has_talker = thinker, talker, True


# What the talker's positions are made of, and what is added to its codes.
PLACES = ("talker_input_ids", "attention_mask", "image_grid_thw", "video_grid_thw", "video_second_per_grid",
          "audio_feature_lengths")
ADDED = ("trailing_text_hidden", "tts_pad_embed")


class Talker(Decoder):
    name, step_name, rotary = "talker", "speech step", modules.Qwen3OmniMoeTalkerRotaryEmbedding

    def __init__(self, root, weights, parts, inputs, options, folder):
        super().__init__(parts.config("talker"), weights, parts, options, folder)
        self.root, self.inputs, self.options, self.modules = root, inputs, options, parts.speech()
        root.talker_config.audio_config = root.thinker_config.audio_config
        self.talker, self.end_id = self.modules.talker, root.talker_config.codec_eos_token_id
        self.state.setdefault("frames", [])
        self.asked, self.processors, self.has_predictor = None, None, False

    def n_steps(self):
        return self.options.speak

    def n_prompt(self):
        return self.request()["n_prompt"]

    def given(self):
        return self.request()["positions"]

    def request(self):
        """What the prompt's pass has kept for the steps after it."""
        if self.asked is None:
            self.asked = self.folder.kept("request")
        return self.asked

    def ended(self):
        return self.state["step"] >= self.n_steps() or self.state["generated"][-1:] == [self.end_id]

    # The prompt.

    def heard(self):
        """The prompt's states at the layer that the talker listens at: its tap, which has no DeepStack features either."""
        number = self.root.talker_config.accept_hidden_layer - 1
        taps, _ = tracefile.read(self.folder.path / f"thinker.layer{number}.safetensors")
        return torch.from_numpy(np.array(taps[f"tap.thinker.model.layers.{number}"]))[None].to(self.parts.dtype)

    def assemble(self):
        """What the original asks its talker: keywords of generate()."""
        answer = self.folder.state["thinker"]["generated"]
        if len(answer) < 2:
            raise BadInput("the answer is over at once: the original has nothing to speak")
        said = torch.tensor([self.inputs["in.input_ids"].tolist() + answer])
        special = [self.root.tts_bos_token_id, self.root.tts_eos_token_id, self.root.tts_pad_token_id]
        table = self.weights.fill_rows(*self.parts.embedding(), [*said[0, :-1].tolist(), *special])
        self.weights.fill(*self.modules.embedding())
        for projection in self.modules.projections():
            self.weights.fill(*projection)
        states = {0: table(said[:, :-1]), self.root.talker_config.accept_hidden_layer: self.heard()}
        thinker = Answered(SimpleNamespace(sequences=said, hidden_states=[states]), table)
        greedy = original.greedy(self.root, self.options.generate, self.options.speak, self.options.speaker)
        try:
            Assembly(self.root, thinker, Asked(self.talker)).generate(**original.arguments(self.inputs), **greedy)
        except towers.Given as asked:
            keywords = asked.keywords
        for projection, _ in self.modules.projections():
            release(projection)
        release(table)
        return keywords

    def prompt(self):
        asked = self.assemble()
        embeds, places = asked["inputs_embeds"], {name: asked.get(name) for name in PLACES}
        self.talker.rope_deltas = None
        positions = self.talker._prepare_position_ids_for_generation(embeds, places)[-3:, 0].to(torch.float32)
        settings = {name: value for name, value in asked.items() if name not in (*PLACES, *ADDED, "inputs_embeds")}
        self.asked = {"n_prompt": embeds.shape[1], "positions": positions, "settings": settings,
                      **{name: asked[name] for name in ADDED}}
        self.folder.keep("request", self.asked)
        self.folder.keep_taps("talker.embed", {
            "tap.talker.inputs_embeds": original.without_batch(original.plain(embeds)),
            "tap.talker.position_ids": positions.numpy(),
        })
        return embeds

    # Steps.

    def fill_predictor(self):
        if not self.has_predictor:
            for part in (self.modules.embedding(), *self.modules.predictor()):
                self.weights.fill(*part)
            self.talker._prepare_generation_config(None, **self.request()["settings"])  # greedy or not, as the talker
            self.has_predictor = True

    @contextlib.contextmanager
    def listen_to_first(self):
        """Hears the code predictor's first run; nothing of later frames."""
        listener = original.Listener(None)
        if not self.state["frames"]:
            predictor = self.talker.code_predictor
            listener.listen_below(predictor, PREDICTOR.rstrip("."))
            listener.listen_to_rows(PREDICTOR.rstrip("."), predictor.model)
        yield listener
        listener.__exit__()

    def frame(self):
        """The fifteen other codes, and the sum of all their vectors and the next of the text's."""
        self.fill_predictor()
        codes = torch.tensor([self.state["generated"]])
        with self.listen_to_first() as listener:
            made = self.talker.prepare_inputs_for_generation(
                codes, hidden_states=((self.state["past"],), None), generation_step=self.state["step"] - 1,
                use_cache=True, **{name: self.request()[name] for name in ADDED},
            )
        if listener.taps:
            self.folder.keep_taps("talker.predictor", listener.taps)
        self.state["frames"].append(made["residual_codes"][0].tolist())
        return made["inputs_embeds"]

    def embed(self):
        self.state["hidden"] = self.prompt() if self.first else self.frame()
        self.state["layer"] = 0
        self.folder.keep_state()
        self.progress("prompt" if self.first else f"frame {len(self.state['frames'])}", "embedding")

    def choose(self, logits):
        """The next first code as greedy generate() finds it."""
        if self.processors is None:
            settings, more = self.talker._prepare_generation_config(None, **self.request()["settings"])
            self.processors = self.talker._get_logits_processor(settings, 0, model_kwargs=more)
        before = torch.tensor([self.state["generated"]], dtype=torch.long)
        return self.processors(before, logits[:, -1].to(copy=True, dtype=torch.float32)).argmax()

    def head(self):
        states, logits = self.norm_and_head(self.parts.norm(self.name), self.parts.head(self.name))
        self.progress("head", "head")
        self.state["past"] = states[:, -1:].clone()
        self.end_step(self.choose(logits))

    # Sound.

    def lend(self, module, prefix):
        run = module.forward

        def forward(*inputs, **keywords):
            self.weights.fill(module, prefix)
            try:
                return run(*inputs, **keywords)
            finally:
                module.to_empty(device="meta")

        module.forward = forward

    def sound(self):
        """Code2wav in one pass over all codes."""
        if not self.state["frames"]:
            raise BadInput("speech is over at once: the original has no frame")
        self.talker.to_empty(device="meta")
        listener = original.Listener(None)
        listener.listen_below(self.modules.code2wav, "code2wav")
        for part in self.modules.parts_of_code2wav():
            self.lend(*part)
        codes = torch.tensor(self.state["frames"]).T[None].contiguous()
        wave = self.modules.code2wav(codes)
        self.folder.keep_taps("sound", {
            **listener.taps, "tap.talker.codes": original.plain(codes[0]),
            "tap.code2wav.waveform": original.plain(wave.float())[0, 0],
        })
        self.state["sounded"] = True
        self.folder.keep_state()

    @torch.no_grad()
    def run(self):
        super().run()
        if "sounded" not in self.state:
            self.sound()


def planned_bytes(root, parts, n_prompt, n_frames):
    """(what the talker's steps need beside the talker, what its prompt or code2wav need by themselves)."""
    lent, item, config = parts.speech(), parts.dtype.itemsize, root.code2wav_config

    def weights(parts_in):
        return sum(parameter.numel() for part, _ in parts_in for parameter in part.parameters()) * item

    lasting = weights([lent.embedding(), *lent.predictor()])
    prompt = weights(lent.projections()) + n_prompt * 4 * (8 * root.talker_config.thinker_hidden_size)
    longest, taps, widest = n_frames, 0, 0
    sizes = [(config.hidden_size, ratio) for ratio in config.upsampling_ratios]
    sizes += [(config.decoder_dim, 1)]
    sizes += [(config.decoder_dim >> number, rate) for number, rate in enumerate(config.upsample_rates, 1)]
    for channels, rate in sizes:
        longest *= rate
        taps, widest = taps + 8 * channels * longest, max(widest, channels * longest)
    largest = max(weights([part]) for part in lent.parts_of_code2wav())
    scores = config.num_attention_heads * n_frames**2 * 10
    return lasting, max(prompt, largest + taps + scores + widest * 24)
