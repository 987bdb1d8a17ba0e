"""Runs the original implementation (transformers, eager attention, eager experts) and listens at its modules.

Names. The original's text model is `thinker.model.language_model` in memory and `thinker.model` on disk; its towers
`thinker.model.audio_tower` and `thinker.model.visual` are `thinker.audio_tower` and `thinker.visual` on disk. Taps are
spelled as on disk. One table, `TAPS`, says which modules are recorded and how; a module that runs several times keeps
its first run, which for the decoders is the prefill.
"""

import functools
import hashlib
import os
import re

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import platform

import numpy as np
import torch
import transformers
from torch.overrides import TorchFunctionMode
from transformers import Qwen3OmniMoeForConditionalGeneration

transformers.logging.disable_progress_bar()
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(folder, dtype, threads=1):
    """Loads a checkpoint in the published layout; bf16 weights are widened exactly for float32.

    torch splits sums by thread, so float32 results repeat bit for bit only with the same number of threads.
    """
    torch.set_num_threads(threads)
    model = Qwen3OmniMoeForConditionalGeneration.from_pretrained(
        folder, dtype=DTYPES[dtype], attn_implementation="eager", experts_implementation="eager"
    )
    return model.eval()


# Products in which CPUs were seen to differ: rows, outputs, inputs.
PRODUCT_SHAPES = ((1, 72, 40), (41, 72, 40), (48, 256, 4096), (512, 128, 2048))


@functools.cache
@torch.no_grad()
def products():
    """A digest of some matrix products in every dtype: CPUs that torch and its libraries treat alike give the same bits."""
    digest, threads = hashlib.sha256(), torch.get_num_threads()
    torch.set_num_threads(1)
    for rows, outputs, inputs in PRODUCT_SHAPES:
        source = np.random.default_rng(inputs)
        x, weight = (torch.from_numpy(source.standard_normal((n, inputs), np.float32)) for n in (rows, outputs))
        for dtype in DTYPES.values():
            made = torch.nn.functional.linear(*(side.to(dtype).clone() for side in (x, weight)))  # cloned: aligned
            digest.update(made.to(torch.float32).numpy().tobytes())
    torch.set_num_threads(threads)
    return digest.hexdigest()[:16]


def versions(dtype):
    return {
        "made_by": "the original implementation",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "attn": "eager",
        "experts": "eager",
        "threads": str(torch.get_num_threads()),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_products": products(),
        "dtype": dtype,
    }


def published_name(module_name):
    name = module_name.replace("thinker.model.language_model", "thinker.model")
    return re.sub(r"^thinker\.model\.(audio_tower|visual)", r"thinker.\1", name)


def plain(tensor):
    """As a trace holds it: int64 or float32, the leading batch axis of one dropped."""
    tensor = tensor.detach()
    tensor = tensor.to(torch.int64) if not tensor.is_floating_point() else tensor.to(torch.float32)
    return tensor.cpu().numpy()


def without_batch(array):
    return array[0] if array.ndim > 2 and array.shape[0] == 1 else array


def first(output):
    return output[0] if isinstance(output, (tuple, list)) else output


def record_output(output):
    return {"": without_batch(plain(first(output)))}


def record_state(output):
    return {"": without_batch(plain(output.last_hidden_state))}


def record_router(output):
    logits, weights, indices = output
    return {".logits": plain(logits), ".weights": plain(weights), ".indices": plain(indices)}


DECODER = r"(thinker|talker|talker\.code_predictor)\.model"
TAPS = [
    (DECODER + r"\.layers\.\d+", record_output),
    (DECODER + r"\.layers\.\d+\.(self_attn|mlp)", record_output),
    (DECODER + r"\.layers\.\d+\.mlp\.gate", record_router),
    (DECODER + r"\.norm", record_output),
    (r"thinker\.lm_head|talker\.codec_head", record_output),
    (r"thinker\.audio_tower\.(conv_out|layers\.\d+|ln_post)", record_output),
    (r"thinker\.visual\.(patch_embed|blocks\.\d+|merger|merger_list\.\d+)", record_output),
    (r"code2wav\.pre_transformer", record_state),
    (r"code2wav\.(upsample\.\d+\.\d+|decoder\.\d+)", record_output),
]


class ExpertWatch(TorchFunctionMode):
    """Sees each expert's output before it is weighted: the linear whose weight lies inside `down_proj`."""

    def __init__(self, down_proj):
        super().__init__()
        self.down_proj = down_proj
        self.outputs = {}

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if function is torch.nn.functional.linear:
            weight, stack = arguments[1], self.down_proj
            if weight.untyped_storage().data_ptr() == stack.untyped_storage().data_ptr():
                expert = (weight.storage_offset() - stack.storage_offset()) // stack[0].numel()
                self.outputs[expert] = plain(result)
        return result


class Listener:
    """Hooks the modules of `TAPS` while a `with` block lasts; `taps` then holds the tensors by tap name."""

    def __init__(self, model, with_experts=False):
        self.model = model
        self.with_experts = with_experts
        self.taps = {}
        self.handles = []

    def keep(self, name, array):
        self.taps.setdefault("tap." + name, array)

    def __enter__(self):
        self.listen_below(self.model)
        self.listen_to_inputs("thinker", self.model.thinker.model.language_model)
        if self.model.has_talker:
            self.listen_to_inputs("talker", self.model.talker.model)
            self.listen_to_rows("talker.code_predictor", self.model.talker.code_predictor.model)
        return self

    def listen_below(self, root, prefix=""):
        """Hooks `root` and what is below it; `prefix` is the name of `root` in the whole model."""
        for module_name, module in root.named_modules(prefix=prefix):
            name = published_name(module_name)
            for pattern, record in TAPS:
                is_router = name.endswith(".gate")
                if re.fullmatch(pattern, name) and not (is_router and isinstance(module, torch.nn.Linear)):
                    self.listen(module, name, record)
            if name == "thinker.audio_tower":
                self.handles.append(module.register_forward_hook(self.record_audio))
            if self.with_experts and re.fullmatch(DECODER + r"\.layers\.\d+\.mlp\.experts", name):
                self.listen_experts(module, name)

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def listen(self, module, name, record):
        def hook(_module, _inputs, output):
            for suffix, array in record(output).items():
                self.keep(name + suffix, array)

        self.handles.append(module.register_forward_hook(hook))

    def listen_experts(self, module, name):
        watch = ExpertWatch(module.down_proj)

        def before(_module, _inputs):
            watch.outputs = {}
            watch.__enter__()

        def after(_module, _inputs, _output):
            watch.__exit__(None, None, None)
            if not any(tap.startswith(f"tap.{name}.") for tap in self.taps):
                for expert, array in watch.outputs.items():
                    self.keep(f"{name}.{expert}", array)

        self.handles.append(module.register_forward_pre_hook(before))
        self.handles.append(module.register_forward_hook(after))

    def listen_to_inputs(self, name, decoder):
        def hook(_module, _inputs, keywords):
            self.keep(f"{name}.inputs_embeds", without_batch(plain(keywords["inputs_embeds"])))
            positions = plain(keywords["position_ids"])  # [4 or 3, 1, n]; a first row of four is for the mask only
            self.keep(f"{name}.position_ids", positions[-3:, 0].astype(np.float32))

        self.handles.append(decoder.register_forward_pre_hook(hook, with_kwargs=True))

    def listen_to_rows(self, name, decoder):
        def hook(_module, _inputs, keywords):
            self.keep(f"{name}.inputs_embeds", without_batch(plain(keywords["inputs_embeds"])))

        self.handles.append(decoder.register_forward_pre_hook(hook, with_kwargs=True))

    def record_audio(self, _module, _inputs, output):
        self.keep("thinker.audio_tower", plain(output.last_hidden_state))


def arguments(inputs):
    """The arguments of the original's forward from the `in.*` tensors of a trace."""
    given = {name.removeprefix("in."): torch.from_numpy(np.array(array)) for name, array in inputs.items()}
    ids = given.pop("input_ids")[None]
    result = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "position_ids" in given:
        result["position_ids"] = given.pop("position_ids")[:, None]
    if "input_features" in given:
        lengths = given.pop("audio_feature_lengths").tolist()
        clips = given.pop("input_features").split(lengths, dim=1)
        mask = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
        features = torch.zeros(len(lengths), clips[0].shape[0], max(lengths))
        for i, clip in enumerate(clips):
            features[i, :, : lengths[i]] = clip
            mask[i, : lengths[i]] = 1
        result.update(input_features=features, feature_attention_mask=mask)
    if "use_audio_in_video" in given:
        result["use_audio_in_video"] = bool(given.pop("use_audio_in_video").item())
    return {**result, **given}


def cast_floats(values, dtype):
    """Media features in the model's dtype; positions and seconds stay float32."""
    media = ("input_features", "pixel_values", "pixel_values_videos")
    return {name: value.to(DTYPES[dtype]) if name in media else value for name, value in values.items()}


def lend_audio_config(model):
    """5.23.0 asks the talker's config for what only the thinker's has, where a prompt has sound and pictures."""
    model.talker.config.audio_config = model.config.thinker_config.audio_config


def greedy(config, generate, steps, speaker):
    """What the original's generate() is told, beside the prompt, of an answer that is spoken."""
    return {
        "return_audio": True, "speaker": speaker, "thinker_max_new_tokens": generate, "thinker_do_sample": False,
        "thinker_eos_token_id": config.im_end_token_id, "talker_max_new_tokens": steps, "talker_do_sample": False,
    }


def speak(model, values, generate, steps, speaker):
    """The original's own generate(), greedy throughout; returns (all ids, the codes [16, F], the waveform).

    In place of decoding by windows, code2wav runs once over all codes.
    """
    codes = []

    def decode(made, **_windows):
        codes.append(made)
        return model.code2wav(made)

    lend_audio_config(model)
    model.talker.rope_deltas = None
    model.code2wav.chunked_decode = decode
    try:
        ids, wave = model.generate(**values, **greedy(model.config, generate, steps, speaker))
    finally:
        del model.code2wav.chunked_decode
    return ids, codes[0][0], wave[0, 0]


@torch.no_grad()
def trace_codes(model, codes):
    """The taps of code2wav on codes [16, F]: of one pass, and the waveform by the original's windows."""
    codes = torch.from_numpy(np.array(codes))[None]
    with Listener(model) as listener:
        listener.keep("code2wav.waveform", plain(model.code2wav(codes))[0, 0])
    return {**listener.taps, "tap.code2wav.waveform_chunked": plain(model.code2wav.chunked_decode(codes))[0, 0]}


@torch.no_grad()
def trace(model, inputs, dtype, generate=0, with_experts=False, steps=0, speaker="ethan"):
    """Runs the model on the `in.*` tensors and returns the `tap.*` tensors.

    Greedy generation stops after `im_end_token_id` of the config, which is kept in `tap.thinker.generated`. With `steps`
    the answer is spoken, in at most so many steps of the talker.
    """
    if "in.codes" in inputs:
        return trace_codes(model, inputs["in.codes"])
    values = cast_floats(arguments(inputs), dtype)
    model.thinker.model.rope_deltas = None
    with Listener(model, with_experts) as listener:
        if steps:
            out, codes, wave = speak(model, values, generate, steps, speaker)
            listener.keep("talker.codes", plain(codes))
            listener.keep("code2wav.waveform", plain(wave))
        elif generate:
            out = model.thinker.generate(
                **values, max_new_tokens=generate, do_sample=False, eos_token_id=model.config.im_end_token_id
            )
        else:
            model.thinker(**values, use_cache=False)
            return listener.taps
    prompt = values["input_ids"].shape[1]
    listener.taps["tap.thinker.generated"] = plain(out[0, prompt:])
    return listener.taps
