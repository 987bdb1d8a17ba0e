#!/usr/bin/env python3
"""Plants one defect at a time and asks whether comparing with the original finds it and says where it is.

    mutations.py [NAME...]        from the repository's root; TESS_BUILD is the folder of an ordinary build

A defect of weights, configuration or tokenizer is made in a copy of a checkpoint; a defect of code in a copy of one
source file, compiled and linked with the ordinary build's objects. A text to be replaced must occur exactly once, so
that an entry which no longer fits the source fails. Prints TAP lines and the table. Standard library only.
"""

import json
import os
import random
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(os.environ.get("TESS_BUILD", "build/release-gcc"))
GOLDEN = Path("tests/golden")
LAYER = "thinker.model.layers.{}."


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

    def edit_config(self, change):
        path = self.folder / "config.json"
        config = json.loads(path.read_text())
        change(config["thinker_config"]["text_config"])
        path.write_text(json.dumps(config))


def expert(layer, number, matrix):
    return LAYER.format(layer) + f"mlp.experts.{number}.{matrix}_proj.weight"


def zero_expert(c):
    name = expert(1, 5, "down")
    c.put(name, bytes(len(c.get(name))))


def swap_experts(c):
    for matrix in ("gate", "up", "down"):
        c.swap(expert(1, 5, matrix), expert(1, 7, matrix))


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


def change_epsilon(config):
    config["rms_norm_eps"] = 1e-6 if config["rms_norm_eps"] == 1e-5 else 1e-5


def change_theta(config):
    config["rope_parameters"]["rope_theta"] = 10000.0


def reverse_merges(c):
    path = c.folder / "merges.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#version")]
    merges = [line for line in lines if line and not line.startswith("#version")]
    path.write_text("\n".join(head + merges[len(merges) // 2 :]) + "\n", encoding="utf-8")


# ---- defects of code: file, text, replacement ----

ATTENTION, MOE, THINKER = "src/model/attention.c", "src/model/moe.c", "src/model/thinker.c"
KERNELS = "src/kernels/kernels_reference.c"
ROUTE = "    tess_pool_run(decoder->pool, route, &task);\n"
RENORM = "    if (!config->norm_topk_prob) return;\n"
STREAM = "    return stream > 0 && pair < 3 * config->mrope_section[stream] ? stream : 0;"
NORM_HEAD = "    t->kernels->rms_norm(head, head, task->weights[norm], d_head, (float)c->rms_norm_eps, t->rounding);\n"
ATTEND = """        t->kernels->attend(t->work.mixed + offset, query, (size_t)n_shared,
"""

CODE = {
    "masked": (
        MOE, ROUTE,
        "    for (int i = 0; layer == 1 && i < chunk->n; i++)\n"
        "        decoder->work.router_logits[i * c->n_expert + 5] = -1e30f;\n" + ROUTE,
    ),
    "gate_only": (
        MOE,
        "        t->kernels->swiglu(gate, gate, t->work.up + i * d_ff, d_ff, t->rounding);\n"
        "        t->kernels->pack(t->work.hidden_packed + i * packed_width",
        "        for (size_t k = 0; k < d_ff; k++) t->work.up[i * d_ff + k] = 1.0f;\n"
        "        t->kernels->swiglu(gate, gate, t->work.up + i * d_ff, d_ff, t->rounding);\n"
        "        t->kernels->pack(t->work.hidden_packed + i * packed_width",
    ),
    "once_per_sequence": (MOE, "t->work.router_logits + i * n_expert, n_expert", "t->work.router_logits, n_expert"),
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
        THINKER, "    add_output(t, n);\n    return tess_tap_emit(sink, TESS_TAP_LAYER",
        "    if (layer == 2) {\n"
        "        for (int i = 0; i < n * t->config->d_model; i++) t->work.residual[i] -= skipped[i];\n"
        "    } else\n        add_output(t, n);\n    return tess_tap_emit(sink, TESS_TAP_LAYER",
    ),
    "mask_off_by_one": (
        ATTENTION, "(size_t)task->first + (size_t)token + 1,",
        "(size_t)task->first + (size_t)token + 1 + (token + 1 < task->n),",
    ),
    "heads_by_modulo": (
        ATTENTION, "(size_t)kv_head * (size_t)n_shared * d_head;\n",
        "(size_t)kv_head * (size_t)n_shared * d_head;\n",
    ),
    "truncation": (
        KERNELS, "return rounding == TESS_ROUND_BF16 ? tess_round_bf16(x) : x;",
        "return rounding == TESS_ROUND_BF16 ? tess_float_of_bits(tess_bits_of_float(x) & 0xffff0000u) : x;",
    ),
    "no_header": (
        "src/text/chat.c",
        "    if (status == TESS_OK && (flags & TESS_CHAT_GENERATE))\n"
        '        status = put(text, span_of("<|im_start|>assistant\\n"), err);\n',
        "",
    ),
    "stale_entry": (
        ATTENTION, "    tess_pool_run(decoder->pool, attend, &task);\n",
        "    size_t width = decoder->kv.width;\n"
        "    for (size_t k = 0; first > 0 && layer == 1 && k < width; k++) {\n"
        "        task.keys[k] = task.keys[(ptrdiff_t)k - (ptrdiff_t)width];\n"
        "        task.values[k] = task.values[(ptrdiff_t)k - (ptrdiff_t)width];\n"
        "    }\n    tess_pool_run(decoder->pool, attend, &task);\n",
    ),
}
# A second replacement in the same file, where one is not enough.
ALSO = {
    "skipped_layer": (
        "    add_output(t, n);\n    norm_residual(t, weights[TESS_LAYER_POST_NORM], n);\n",
        "    static float skipped[1 << 16];\n"
        "    memcpy(skipped, t->work.output, (size_t)n * (size_t)t->config->d_model * sizeof(float));\n"
        "    add_output(t, n);\n    norm_residual(t, weights[TESS_LAYER_POST_NORM], n);\n",
    ),
    "heads_by_modulo": (
        ATTEND,
        "        for (int h = 0; h < n_shared; h++) {\n"
        "            size_t other = (size_t)((kv_head * n_shared + h) % c->n_kv_head) * d_head;\n"
        "            t->kernels->attend(t->work.mixed + offset + (size_t)h * d_head, query + (size_t)h * d_head, 1,\n"
        "                               task->past_keys + other, task->past_values + other, t->kv.width,\n"
        "                               (size_t)task->first + (size_t)token + 1, d_head, scale, scores,\n"
        "                               t->rounding);\n"
        "        }\n        continue;\n" + ATTEND,
    ),
}

C, C_POSITIONS, B, C16 = "c-f32/text", "c-f32/positions", "b-f32/text", "c-bf16/text"
MESSAGES, RAW = "messages", "raw"
# defect: (title, golden, change of the checkpoint or of its configuration, options, expected component, layer, experts)
DEFECTS = {
    "zeroed": ("an expert zeroed", C, zero_expert, [], "mlp", 1, [5]),
    "masked": ("one expert missing from routing", C, None, [], "mlp.gate", 1, [5]),
    "swapped": ("two experts swapped", C, swap_experts, [], "mlp", 1, [5, 7]),
    "gate_and_up": ("gate and up exchanged", C, lambda c: c.swap(expert(1, 5, "gate"), expert(1, 5, "up")), [], "mlp", 1,
                    [5]),
    "gate_only": ("gate only, no up", C, None, [], "mlp", 0, None),
    "once_per_sequence": ("routing once per sequence", C, None, [], "mlp.gate", 0, None),
    "first_eight": ("router restricted to the first 8 ids", B, None, [], "mlp.gate", 1, None),
    "no_renormalisation": ("no renormalisation of top-k", C, None, [], "mlp.gate", 0, None),
    "softmax_after_topk": ("softmax after top-k", B, None, [], "mlp.gate", 1, None),
    "random_norm": ("norm weights random in one layer", C, randomize_norm, [], "self_attn", 2, None),
    "epsilon": ("norm epsilon 1e-6 for 1e-5", C, lambda c: c.edit_config(change_epsilon), [], "self_attn", 0, None),
    "no_head_norm": ("q/k norm left out", C, None, [], "self_attn", 0, None),
    "sectioned_rope": ("RoPE sectioned, not interleaved", C_POSITIONS, None, [], "self_attn", 0, None),
    "theta": ("RoPE theta wrong", C, lambda c: c.edit_config(change_theta), [], "self_attn", 0, None),
    "adjacent_pairs": ("adjacent pairs for half-rotation", C, None, ["--isa", "reference"], "self_attn", 0, None),
    "skipped_layer": ("one layer skipped", C, None, [], "layer", 2, None),
    "exchanged_layers": ("two layers exchanged", C, exchange_layers, [], "self_attn", 1, None),
    "mask_off_by_one": ("causal mask off by one", C, None, [], "self_attn", 0, None),
    "heads_by_modulo": ("KV heads mapped by modulo", C, None, [], "self_attn", 0, None),
    "tied_head": ("head tied to the embedding", C,
                  lambda c: c.put("thinker.lm_head.weight", c.get("thinker.model.embed_tokens.weight")), [], "lm_head",
                  None, None),
    "flipped_bit": ("one flipped mantissa bit", C, flip_bit, [], "mlp", 1, [5]),
    "truncation": ("bf16 activations truncated", C16, None, ["--isa", "reference"], "self_attn", 0, None),
    "other_tokenizer": ("tokenizer of another family", RAW, reverse_merges, [], "tokenizer", None, None),
    "no_header": ("chat template without the header", MESSAGES, None, [], "tokenizer", None, None),
    "stale_entry": ("stale KV entry after a chunk", C, None, ["--chunk", "16"], "self_attn", 1, None),
}


def compile_with(name, folder):
    """A binary with the defect, from a copy of one source file and the objects of the ordinary build."""
    source, text, replacement = CODE[name]
    content = Path(source).read_text()
    for old, new in [(text, replacement), *([ALSO[name]] if name in ALSO else [])]:
        if content.count(old) != 1:
            raise ValueError(f"{source} has {content.count(old)} places for the defect, expected one")
        content = content.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / Path(source).name
    copy.write_text("#include <stddef.h>\n" + content)
    flags = [flag for flag in shlex.split((BUILD / "flags").read_text()) if not flag.startswith("-m")]
    libraries = subprocess.run(["make", "-s", "app-libs"], check=True, text=True, capture_output=True).stdout.split()
    binary = folder / "tessera"
    objects = [str(path) for path in sorted((BUILD / "apps").glob("*.o"))]
    subprocess.run([*flags, "-w", "-o", binary, copy, *objects, BUILD / "libtessera.a", *libraries], check=True)
    return binary


def read_metadata(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))["__metadata__"]


def find_golden(golden):
    """The golden's file, its checkpoint, its dtype, the float32 truth, and the options that repeat its inputs."""
    if golden in (MESSAGES, RAW):
        path = next(p for p in sorted((GOLDEN / "demo" / "f32").iterdir()) if golden in read_metadata(p))
        metadata = read_metadata(path)
        if golden == RAW:
            given = ["--raw", "--prompt", metadata["raw"]]
        else:
            turns = json.loads(metadata["messages"])
            given = ["--prompt", turns[-1]["content"]]
            if len(turns) == 2 and turns[0]["role"] == "system":
                given += ["--system", turns[0]["content"]]
        return path, Path("demo/checkpoint"), "f32", None, [*given, "--generate", metadata["generate"]]
    path = GOLDEN / f"{golden}.safetensors"
    folder, dtype = path.parent.name.split("-")
    truth = GOLDEN / f"{folder}-f32" / path.name if dtype == "bf16" else None
    return path, GOLDEN / folder, dtype, truth, ["--inputs", path]


def look(binary, golden, change, options, work):
    """Runs the golden's inputs and returns what the comparison says."""
    path, folder, dtype, truth, given = find_golden(golden)
    if change:
        shutil.copytree(folder, work / "checkpoint")
        folder = work / "checkpoint"
        change(Checkpoint(folder))
    trace = work / "trace.safetensors"
    subprocess.run([binary, "trace", "--quiet", "--ledger", "off", "--memory", "1GiB", "--threads", "1", "--model",
                    folder, "--dtype", dtype, *given, *options, "--out", trace], check=True)
    tessera = BUILD / "tessera"
    judged = ["--truth", truth] if truth else []
    done = subprocess.run([tessera, "compare", "--ignore-identity", "--json", *judged, path, trace], text=True,
                          capture_output=True)
    if done.returncode not in (0, 1):
        raise ValueError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def describe(component, layer, experts):
    text = component + (f" {layer}" if layer is not None else "")
    return text + (" experts " + ",".join(map(str, experts)) if experts else "")


def judge(result, component, layer, experts):
    """Whether the place is the planted one, the tap that shows it, and the place as text."""
    first = result["first"]
    if not first:
        return False, "none", "not found"
    found = first
    if experts:  # a defect of routing names its expert at the layer's output
        found = next((f for f in result["failed"] if f["component"] == "mlp" and f["layer"] == layer), first)
    ok = (first["component"], first["layer"]) == (component, layer)
    if experts:
        ok &= found["experts"] == experts and (len(experts) > 1 or found["expert"] == experts[0])
    place = describe(first["component"], first["layer"], found["experts"] if experts else None)
    return ok, first["tap"].removeprefix("tap."), place


def main():
    wanted = sys.argv[1:] or list(DEFECTS)
    number, found_count, table = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        controls = [(C, []), (B, []), (C_POSITIONS, []), (C16, ["--isa", "reference"]), (C, ["--chunk", "16"]),
                    (RAW, []), (MESSAGES, [])]
        for golden, options in controls:
            work = Path(folder) / f"control{number}"
            work.mkdir()
            result = look(BUILD / "tessera", golden, None, options, work)
            number += 1
            ok = result["verdict"] in ("equal", "agree")
            print(f"{'ok' if ok else 'not ok'} {number} - control {golden} {' '.join(options)}: {result['verdict']}",
                  flush=True)
        for name in wanted:
            title, golden, change, options, component, layer, experts = DEFECTS[name]
            work = Path(folder) / name
            work.mkdir()
            try:
                binary = compile_with(name, Path("build/mutation") / name) if name in CODE else BUILD / "tessera"
                ok, tap, place = judge(look(binary, golden, change, options, work), component, layer, experts)
            except (ValueError, subprocess.CalledProcessError) as error:
                ok, tap, place = False, "none", str(error).replace("\n", " ")
            number += 1
            found_count += ok
            print(f"{'ok' if ok else 'not ok'} {number} - {title}: found and located", flush=True)
            table.append((title, tap, place, describe(component, layer, experts)))
            shutil.rmtree(work)
    print(f"# {'defect':38} {'detected by':38} {'located':26} expected")
    for row in table:
        print("# {:38} {:38} {:26} {}".format(*row))
    print(f"1..{number}")
    print(f"# {found_count} of {len(wanted)}")


main()
