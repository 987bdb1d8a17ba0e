"""The defects that are planted, and where each must be found.

A defect of weights, configuration or tokenizer is a change of a copied checkpoint; one of code is a replaced text in a
copy of one source file. Here they are planted in Tessera's code and in checkpoints; reference/mutations.py plants the
defects of code of the same names in the original. Standard library only.
"""

import json
import random
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

GOLDEN = Path("tests/golden")
LAYER = "thinker.model.layers.{}."
OTHER_TOKENIZER = Path(__file__).resolve().parent.parent / "golden" / "text"


# ---- defects of a checkpoint ----


class Checkpoint:
    """Tensors of a copied checkpoint, changed in place."""

    def __init__(self, folder):
        self.folder = folder
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        self.file_of = index["weight_map"]

    def place(self, name):
        path = self.folder / self.file_of[name]
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            begin, end = json.loads(file.read(size))[name]["data_offsets"]
        return path, 8 + size + begin, end - begin

    def get(self, name):
        path, offset, size = self.place(name)
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def put(self, name, data):
        path, offset, size = self.place(name)
        assert len(data) == size, name
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def swap(self, one, other):
        first, second = self.get(one), self.get(other)
        self.put(one, second)
        self.put(other, first)

    def edit(self, find, key, old, new):
        """Changes one value of the configuration, which must be `old`, in the part of it that `find` finds."""
        path = self.folder / "config.json"
        config = json.loads(path.read_text())
        part = find(config)
        assert part[key] == old, key
        part[key] = new
        path.write_text(json.dumps(config))

    def edit_config(self, key, old, new):
        """Of the text model, in either spelling."""
        def find(config):
            text = config["thinker_config"]["text_config"]
            return text if key in text else text["rope_parameters"]

        self.edit(find, key, old, new)

    def edit_part(self, name, key, old, new):
        self.edit(lambda config: config[name], key, old, new)


def expert(layer, number, matrix):
    return LAYER.format(layer) + f"mlp.experts.{number}.{matrix}_proj.weight"


def zero_expert(c):
    name = expert(1, 5, "down")
    c.put(name, bytes(len(c.get(name))))


def swap_experts(c):
    for matrix in ("gate", "up", "down"):
        c.swap(expert(1, 5, matrix), expert(1, 7, matrix))


def exchange_gate_and_up(c):
    c.swap(expert(1, 5, "gate"), expert(1, 5, "up"))


def randomize_norm(c):
    name = LAYER.format(2) + "input_layernorm.weight"
    rng = random.Random(1)
    values = [rng.uniform(0.5, 1.5) for _ in range(len(c.get(name)) // 2)]
    c.put(name, b"".join(struct.pack("<f", value)[2:] for value in values))


def exchange_layers(c):
    prefix = LAYER.format(1)
    for name in [name for name in c.file_of if name.startswith(prefix)]:
        c.swap(name, LAYER.format(2) + name[len(prefix) :])


def flip_bit(c):
    """The bit of weight 2^-3 in the mantissa of the largest weight of one matrix."""
    name = expert(1, 5, "down")
    words = list(struct.unpack(f"<{len(c.get(name)) // 2}H", c.get(name)))
    words[max(range(len(words)), key=lambda i: words[i] & 0x7FFF)] ^= 1 << 4
    c.put(name, struct.pack(f"<{len(words)}H", *words))


def change_epsilon(c):
    c.edit_config("rms_norm_eps", 1e-6, 1e-5)


def change_theta(c):
    c.edit_config("rope_theta", 50000.0, 10000.0)


def tie_head(c):
    c.put("thinker.lm_head.weight", c.get("thinker.model.embed_tokens.weight"))


def change_tokenizer(c):
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copyfile(OTHER_TOKENIZER / name, c.folder / name)


# ---- defects of code: file, text, replacement ----

ATTENTION, MOE, DECODER = "src/model/attention.c", "src/model/moe.c", "src/model/decoder.c"
KERNELS = "src/kernels/kernels_reference.c"
ROUTE = "    tess_pool_run(decoder->compute.pool, route_share, &(router_task){decoder, n});\n"
RENORM = "    if (!config->norm_topk_prob) return;\n"
STREAM = "    return stream > 0 && pair < 3 * config->mrope_section[stream] ? stream : 0;"
NORM_HEAD = """    kernels->rms_norm(head, head, tess_matrix_get_vector(&task->weights[norm]), d_head,
                      (float)c->rms_norm_eps, decoder->compute.rounding);
"""
ATTEND = "    if (timeline->narrow_keys)\n        kernels->attend_narrow("
RUN_ATTEND = "    tess_pool_run(decoder->compute.pool, attend_share, &task);\n"
SWIGLU = "    tess_swiglu_rows(compute, work->hidden_packed + first * hidden_width,"
ADD_OUTPUT = "    add_rows(decoder, work->output, 0, n);\n"

CODE = {
    "masked": (
        MOE, ROUTE,
        "    for (size_t i = 0; layer == 1 && i < (size_t)n; i++)\n"
        "        work->router_logits[i * n_expert + 5] = -1e30f;\n" + ROUTE,
    ),
    "gate_only": (
        MOE, SWIGLU,
        "    for (size_t k = 0; k < (size_t)n_row * d_ff; k++) work->up[first * d_ff + k] = 1.0f;\n" + SWIGLU,
    ),
    "once_per_sequence": (MOE, "work->router_logits + i * n_expert, n_expert", "work->router_logits, n_expert"),
    "first_eight": (MOE, "{.value = probs[e], .id = e}", "{.value = e < 8 ? probs[e] : -1.0f, .id = e}"),
    "no_renormalisation": (MOE, RENORM, "    return;\n"),
    "softmax_after_topk": (MOE, RENORM, ""),
    "no_head_norm": (ATTENTION, NORM_HEAD, "    (void)norm;\n"),
    "sectioned_rope": (
        "src/model/rope.c", STREAM,
        "    (void)stream;\n    int first = config->mrope_section[0];\n"
        "    return pair < first ? 0 : pair < first + config->mrope_section[1] ? 1 : 2;",
    ),
    "adjacent_pairs": (
        KERNELS,
        "        const float a = x[i], b = x[i + half];\n"
        "        x[i] = rounded(rounded(a * cosines[i], rounding) - rounded(b * sines[i], rounding), rounding);\n"
        "        x[i + half] = ",
        "        const float a = x[2 * i], b = x[2 * i + 1];\n"
        "        x[2 * i] = rounded(rounded(a * cosines[i], rounding) - rounded(b * sines[i], rounding), rounding);\n"
        "        x[2 * i + 1] = ",
    ),
    "skipped_layer": (
        DECODER, ADD_OUTPUT + "    status = tess_step_emit(step, TESS_TAP_LAYER",
        "    if (layer == 2) {\n"
        "        for (size_t i = 0; i < (size_t)n * d_model; i++) work->residual[i] -= skipped[i];\n"
        "    } else\n    " + ADD_OUTPUT + "    status = tess_step_emit(step, TESS_TAP_LAYER",
    ),
    "mask_off_by_one": (
        ATTENTION, "n_key = (size_t)at->place + 1;",
        "n_key = (size_t)at->place + 1 + (item->row + item->n_row < (size_t)task->n);",
    ),
    "heads_by_modulo": (
        ATTENTION, ATTEND,
        "    for (size_t k = 0; k < item->n_row * n_shared; k++) {\n"
        "        size_t other = (item->kv_head * n_shared + k % n_shared) % (size_t)c->n_kv_head;\n"
        "        size_t start = tess_timeline_key(at->timeline, task->layer, other, 0);\n"
        "        kernels->attend(\n"
        "            item->mixed + k * d_head, item->query + k * d_head, 1, 1, timeline->keys + start,\n"
        "            timeline->values + start, d_head, n_key + k / n_shared, d_head, scale,\n"
        "            item->scores, decoder->compute.rounding);\n"
        "    }\n    while (item->n_row == 0)\n    " + ATTEND,
    ),
    "truncation": (
        KERNELS, "return rounding == TESS_ROUND_BF16 ? tess_round_bf16(x) : x;",
        "return rounding == TESS_ROUND_BF16 ? tess_float_of_bits(tess_bits_of_float(x) & 0xffff0000u) : x;",
    ),
    "no_header": (
        "src/text/chat.c",
        "    if (status == TESS_OK && (flags & TESS_CHAT_GENERATE))\n"
        '        status = put_span(text, span_of("<|im_start|>assistant\\n"), err);\n',
        "",
    ),
    "stale_entry": (
        ATTENTION, RUN_ATTEND,
        "    const tess_row_place *at = &decoder->work.place[0];\n"
        "    tess_timeline *t = at->timeline;\n"
        "    for (size_t h = 0; at->place > 0 && layer == 1 && h < t->n_kv_head; h++) {\n"
        "        size_t k = tess_timeline_key(t, layer, h, at->place);\n"
        "        memcpy(t->keys + k, t->keys + k - t->d_head, t->d_head * sizeof(float));\n"
        "        memcpy(t->values + k, t->values + k - t->d_head, t->d_head * sizeof(float));\n"
        "    }\n" + RUN_ATTEND,
    ),
}
# A second replacement in the same file, where one is not enough.
ALSO = {
    "skipped_layer": (
        ADD_OUTPUT + "    norm_residual(",
        "    static float skipped[1 << 16];\n"
        "    memcpy(skipped, work->output, (size_t)n * d_model * sizeof(float));\n" + ADD_OUTPUT + "    norm_residual(",
    ),
}

@dataclass
class Defect:
    """`tap` is the first one that moves; `golden` a golden's path within tests/golden.

    A defect of code, and one of the configuration, is planted wherever that code runs: in `others`, places of other
    components and layers, as well. A run shows the first place only, isolated modules show them all.
    """

    title: str
    golden: str
    tap: str
    component: str
    layer: int | None = None
    experts: tuple = ()
    change: object = None  # of a Checkpoint; None: the defect is in CODE
    options: tuple = ()  # of the run
    others: tuple = ()  # of (component, layer)
    whole_only: bool = False  # no module is at fault by itself
    taps: tuple = ()  # all that fail where modules are isolated, if that is asked
    isolated_tap: str = ""  # the first where modules are isolated, if that is another one
    says: str = ""  # words of a whole run that verify listens to, of the place or the reason
    refused: dict = field(default_factory=dict)  # what a run says that refuses, by how it is asked

    @property
    def places(self):
        return {(self.component, self.layer), *self.others}

    @property
    def tap_name(self):
        return self.tap if self.tap.startswith("in.") else "tap." + self.tap

    def first_tap(self, how):
        return "tap." + self.isolated_tap if how == "isolated" and self.isolated_tap else self.tap_name


C, B, B16, D = "c-f32/text", "b-f32/text", "b-bf16/text", "d-f32/text"
POSITIONS, RAW, MESSAGES = "c-f32/positions", "demo/f32/raw_france", "demo/f32/france"
REFERENCE = ("--isa", "reference")


def attention(title, golden, layer, change=None, options=(), others=()):
    return Defect(title, golden, LAYER.format(layer) + "self_attn", "self_attn", layer, (), change, options, others)


def experts(title, golden, layer, numbers=(), change=None, others=()):
    return Defect(title, golden, LAYER.format(layer) + "mlp", "mlp", layer, numbers, change, others=others)


def routing(title, golden, layer, what, numbers=(), others=()):
    return Defect(title, golden, LAYER.format(layer) + "mlp.gate." + what, "mlp.gate", layer, numbers, others=others)


def prompt(title, golden, component, change=None):
    return Defect(title, golden, "in.input_ids", component, change=change)


def layers(numbers, *components):
    return tuple((component, number) for number in numbers for component in components)


C_LAYERS, B_ROUTERS, B_LAYERS, D_LAYERS = range(4), (1, 5), range(6), range(2)
NORMED = ("self_attn", "mlp.gate", "mlp")  # what a layer's norms feed
DEFECTS = {
    "zeroed": experts("an expert zeroed", C, 1, (5,), zero_expert),
    "masked": routing("one expert missing from routing", C, 1, "indices", (5,)),
    "swapped": experts("two experts swapped", C, 1, (5, 7), swap_experts),
    "gate_and_up": experts("gate and up exchanged", C, 1, (5,), exchange_gate_and_up),
    "gate_only": experts("gate only, no up", C, 0, others=layers(C_LAYERS, "mlp")),
    "once_per_sequence": routing("routing once per sequence", C, 0, "indices", others=layers(C_LAYERS, "mlp.gate")),
    "first_eight": routing("router restricted to the first 8 ids", B, 1, "indices",
                           others=layers(B_ROUTERS, "mlp.gate")),
    "no_renormalisation": routing("no renormalisation of top-k", C, 0, "weights", others=layers(C_LAYERS, "mlp.gate")),
    "softmax_after_topk": routing("softmax after top-k", B, 1, "weights", others=layers(B_ROUTERS, "mlp.gate")),
    "random_norm": attention("norm weights random in one layer", C, 2, randomize_norm),
    "epsilon": attention("norm epsilon 1e-5 for 1e-6", D, 0, change_epsilon,
                         others=(*layers(D_LAYERS, *NORMED), ("norm", None))),
    "no_head_norm": attention("q/k norm left out", C, 0, others=layers(C_LAYERS, "self_attn")),
    "sectioned_rope": attention("RoPE sectioned, not interleaved", POSITIONS, 0, others=layers(C_LAYERS, "self_attn")),
    "theta": attention("RoPE theta wrong", C, 0, change_theta, others=layers(C_LAYERS, "self_attn")),
    "adjacent_pairs": attention("adjacent pairs for half-rotation", C, 0, options=REFERENCE,
                                others=layers(C_LAYERS, "self_attn")),
    "skipped_layer": Defect("one layer skipped", C, "thinker.model.layers.2", "layer", 2),
    "exchanged_layers": attention("two layers exchanged", C, 1, exchange_layers, others=layers((1, 2), *NORMED)),
    "mask_off_by_one": attention("causal mask off by one", C, 0, others=layers(C_LAYERS, "self_attn")),
    "heads_by_modulo": attention("KV heads mapped by modulo", C, 0, others=layers(C_LAYERS, "self_attn")),
    "tied_head": Defect("head tied to the embedding", C, "thinker.lm_head", "lm_head", change=tie_head),
    "flipped_bit": experts("one flipped mantissa bit", C, 1, (5,), flip_bit),
    "truncation": attention("bf16 activations truncated", B16, 0, options=REFERENCE,
                            others=(*layers(B_LAYERS, "self_attn", "mlp", "layer"), *layers(B_ROUTERS, "mlp.gate"),
                                    ("norm", None), ("lm_head", None))),
    "other_tokenizer": prompt("tokenizer of another family", RAW, "tokenizer", change_tokenizer),
    "no_header": prompt("chat template without the header", MESSAGES, "chat_template"),
    "stale_entry": attention("stale KV entry after a chunk", C, 1, options=("--chunk", "16")),
}


# ---- goldens ----


def read_metadata(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))["__metadata__"]


def path_of(golden):
    return GOLDEN / f"{golden}.safetensors"


def checkpoint_of(golden):
    folder = golden.split("/")[0]
    return Path("demo/checkpoint") if folder == "demo" else GOLDEN / folder.split("-")[0]


def dtype_of(golden):
    return "bf16" if "bf16" in golden else "f32"


def truth_of(golden):
    """The original's float32 run of the same inputs, for a golden in bfloat16."""
    return path_of(golden.replace("bf16", "f32")) if dtype_of(golden) == "bf16" else None
