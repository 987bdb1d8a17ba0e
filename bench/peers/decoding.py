#!/usr/bin/env python3
"""Decoding by llama.cpp beside Tessera: the same bf16 weights, the same prompt, both in memory at once, in short turns.

    decoding.py convert CHECKPOINT OUT.gguf
    decoding.py compare OUT.gguf CHECKPOINT BENCH_DECODE [THREADS [ROUNDS]]

Needs llama-cpp-python built from its source package for this machine, and gguf and numpy:

    python3 -m venv peer && peer/bin/pip install --no-binary llama-cpp-python llama-cpp-python gguf

`convert` takes the text model of a checkpoint in the published layout (Qwen3-MoE, as llama.cpp calls it) tensor by tensor,
without a tokenizer. `compare` runs BENCH_DECODE (build/release-gcc/bench/bench_decode) in both precisions with packed
and plain weights; it prints tokens a second as medians with quartiles, and the ratios of the rounds. llama.cpp rounds activations
to bf16 before a product, as it does with such weights by itself.
"""

import glob
import json
import statistics
import struct
import subprocess
import sys
import time

import numpy as np

N_PROMPT, N_TOKEN, N_CONTEXT = 512, 4, 2048


def read_tensors(folder):
    tensors = {}
    for path in sorted(glob.glob(f"{folder}/*.safetensors")):
        with open(path, "rb") as shard:
            (n,) = struct.unpack("<Q", shard.read(8))
            for name, entry in json.loads(shard.read(n)).items():
                if name != "__metadata__":
                    tensors[name] = path, 8 + n + entry["data_offsets"][0], entry["shape"]
    return tensors


def load(tensors, name):
    path, offset, shape = tensors[name]
    return np.fromfile(path, dtype="<u2", count=int(np.prod(shape)), offset=offset).reshape(shape)


def widen(values):
    return (values.astype(np.uint32) << 16).view(np.float32)


def convert(folder, out):
    import gguf

    text = json.load(open(f"{folder}/config.json"))["thinker_config"]["text_config"]
    tensors, n_expert = read_tensors(folder), text["num_experts"]
    writer = gguf.GGUFWriter(out, "qwen3moe")
    writer.add_block_count(text["num_hidden_layers"])
    writer.add_context_length(N_CONTEXT)
    writer.add_embedding_length(text["hidden_size"])
    writer.add_feed_forward_length(text["intermediate_size"])
    writer.add_head_count(text["num_attention_heads"])
    writer.add_head_count_kv(text["num_key_value_heads"])
    writer.add_key_length(text["head_dim"])
    writer.add_value_length(text["head_dim"])
    writer.add_rope_freq_base(text.get("rope_theta", 1e6))
    writer.add_layer_norm_rms_eps(text["rms_norm_eps"])
    writer.add_expert_count(n_expert)
    writer.add_expert_used_count(text["num_experts_per_tok"])
    writer.add_expert_feed_forward_length(text["moe_intermediate_size"])
    writer.add_vocab_size(text["vocab_size"])
    writer.add_tokenizer_model("none")

    def add(name, values):
        writer.add_tensor(name, values.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)

    def add_float(name, source):
        writer.add_tensor(name, widen(load(tensors, source)))

    model = "thinker.model"
    add("token_embd.weight", load(tensors, f"{model}.embed_tokens.weight"))
    add("output.weight", load(tensors, "thinker.lm_head.weight"))
    add_float("output_norm.weight", f"{model}.norm.weight")
    for i in range(text["num_hidden_layers"]):
        layer, block = f"{model}.layers.{i}", f"blk.{i}"
        add_float(f"{block}.attn_norm.weight", f"{layer}.input_layernorm.weight")
        add_float(f"{block}.ffn_norm.weight", f"{layer}.post_attention_layernorm.weight")
        add_float(f"{block}.attn_q_norm.weight", f"{layer}.self_attn.q_norm.weight")
        add_float(f"{block}.attn_k_norm.weight", f"{layer}.self_attn.k_norm.weight")
        for theirs, ours in (("q", "q"), ("k", "k"), ("v", "v"), ("output", "o")):
            add(f"{block}.attn_{theirs}.weight", load(tensors, f"{layer}.self_attn.{ours}_proj.weight"))
        add_float(f"{block}.ffn_gate_inp.weight", f"{layer}.mlp.gate.weight")
        for kind in ("gate", "up", "down"):
            experts = [load(tensors, f"{layer}.mlp.experts.{e}.{kind}_proj.weight") for e in range(n_expert)]
            add(f"{block}.ffn_{kind}_exps.weight", np.stack(experts))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=True)
    writer.close()


class LlamaCpp:
    def __init__(self, path, threads):
        import llama_cpp

        self.api = llama_cpp
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        settings.use_mmap = False
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), settings)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx, context.n_batch, context.n_threads, context.n_threads_batch = N_CONTEXT, N_PROMPT, threads, threads
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.feed([i * 7919 % 100003 for i in range(N_PROMPT)])
        self.generate(N_TOKEN)

    def feed(self, ids):
        array = (self.api.llama_token * len(ids))(*ids)
        assert self.api.llama_decode(self.context, self.api.llama_batch_get_one(array, len(ids))) == 0

    def generate(self, n):
        """Greedily; returns the seconds that decoding takes, without looking for the largest logit."""
        seconds = 0
        for _ in range(n):
            logits = np.ctypeslib.as_array(self.api.llama_get_logits(self.context), shape=(self.n_vocab,))
            best = int(np.argmax(logits))
            start = time.monotonic()
            self.feed([best])
            self.api.llama_synchronize(self.context)
            seconds += time.monotonic() - start
        return seconds


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def compare(path, folder, bench, threads, rounds):
    peer = LlamaCpp(path, threads)
    for precision in ("f32", "bf16"):
        for form in ("packed", "plain"):
            ours = subprocess.Popen([bench, folder, "auto", str(N_TOKEN), precision, form], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
            assert ours.stdout.readline() == "ready\n"
            theirs_rates, ours_rates = [], []
            for _ in range(rounds):
                theirs_rates.append(N_TOKEN / peer.generate(N_TOKEN))
                ours.stdin.write("\n")
                ours.stdin.flush()
                ours_rates.append(N_TOKEN / float(ours.stdout.readline()))
            ours.stdin.close()
            ours.wait()
            ratios = [a / b for a, b in zip(ours_rates, theirs_rates)]
            print(f"{precision:4} {form:6} tessera {quartiles(ours_rates)}, llama.cpp {quartiles(theirs_rates)} tokens a second: "
                  f"{quartiles(ratios)} times", flush=True)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "convert":
        convert(*sys.argv[2:])
    elif len(sys.argv) >= 5 and sys.argv[1] == "compare":
        threads, rounds = map(int, (sys.argv[5:] + ["2", "41"][len(sys.argv) - 5 :])[:2])
        compare(*sys.argv[2:5], threads, rounds)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
