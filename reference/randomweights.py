"""Random weights for a checkpoint that nobody trained, scaled so that every branch carries signal.

Plain initialisation hides defects: routers choose uniformly, attention averages, branches vanish beside the residual
stream, and code2wav saturates, so that every error ends at the clamp. The rules below give each kind of tensor its
size. A tensor's values depend on the seed and its own name only.
"""

import hashlib
import re
import tempfile

import numpy as np
import torch
from transformers import Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration

import tracefile

# (pattern, mean, standard deviation); "fan" is 1/sqrt(number of inputs of one output). The first match counts.
RULES = [
    (r"code2wav\.code_embedding\.weight", "0", "2"),
    (r"code2wav\..*layer_scale\.scale", "0.5", "0.1"),
    (r"code2wav\..*\.gamma", "0.5", "0.1"),
    (r"code2wav\.decoder\..*\.(alpha|beta)", "0", "0.2"),
    (r"code2wav\.decoder\.[1-9]\.conv\.weight", "0", "wav*fan"),
    (r"code2wav\.decoder\..*\.block\.1\.conv\.weight", "0", "0.45*fan"),
    (r"code2wav\.decoder\..*\.conv1\.conv\.weight", "0", "0.7*fan"),
    (r"code2wav\.decoder\..*\.conv2\.conv\.weight", "0", "0.3*fan"),
    (r"code2wav\.decoder\..*\.bias", "0", "0.02"),
    (r".*(q_norm|k_norm)\.weight", "1.4", "0.2"),
    (r".*(norm|norm1|norm2|ln_q|ln_post)\.weight|.*layernorm\.weight", "1", "0.2"),
    (r".*\.bias", "0", "0.1"),
    (r".*embed_tokens\.weight|.*codec_embedding.*", "0", "embed"),
    (r".*pos_embed\.weight", "0", "0.3"),
    (r".*lm_head.*|.*codec_head.*", "0", "3*fan"),
    (r".*mlp\.gate\.weight", "0", "2*fan"),
    (r".*shared_expert_gate\.weight", "0", "2*fan"),
    (r".*experts\.\d+\.down_proj\.weight", "0", "2.6*branch*fan"),
    (r".*(down_proj|linear_fc2|fc2)\.weight", "0", "1.8*branch*fan"),
    (r".*(o_proj|out_proj|attn\.proj)\.weight", "0", "1.2*branch*fan"),
    (r".*(conv2d|conv_out).*\.weight", "0", "1.5*fan"),
    (r".*", "0", "1.2*fan"),
]


def fan_in(name, shape):
    transposed = re.search(r"code2wav\.(upsample\.\d+\.0|decoder\.\d+\.block\.1)\.conv\.weight", name)
    if transposed:  # [in, out, k] with a stride of k (upsample) or k/2: so many products meet in one output
        return shape[0] * (1 if "upsample" in name else 2)
    return int(np.prod(shape[1:])) if len(shape) > 1 else 1


def published_shapes(folder):
    """Names and shapes as the original itself publishes them for the config.json in `folder`."""
    config = Qwen3OmniMoeConfig.from_pretrained(folder)
    model = Qwen3OmniMoeForConditionalGeneration(config)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        shapes = {}
        for shard in tracefile.shards(saved):
            header, _ = tracefile.read_header(shard)
            shapes.update({name: entry["shape"] for name, entry in header.items() if name != "__metadata__"})
    return shapes


def value_of(text, name, shape, scales):
    """Evaluates "a*b*c", each a number, "fan", or one of `scales`."""
    result = 1.0
    for factor in text.split("*"):
        if factor == "fan":
            result /= fan_in(name, shape) ** 0.5
        else:
            result *= scales[factor] if factor in scales else float(factor)
    return result


def draw(name, shape, seed, scales):
    """One tensor. `scales`: embed, the size of embedding rows; branch, that of what layers add; wav, the loudness."""
    for pattern, mean, deviation in RULES:
        if re.fullmatch(pattern, name):
            break
    # Only the text models' embeddings and branches follow the case's scales; towers keep plain ones.
    own = scales if name.startswith("thinker.model.") else {**scales, "embed": 1.0, "branch": 1.0}
    key = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "little")
    values = np.random.Generator(np.random.PCG64(key)).standard_normal(shape)
    values = value_of(mean, name, shape, own) + values * value_of(deviation, name, shape, own)
    return torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16)


def draw_all(folder, seed, embed=1.0, branch=1.0, wav=0.08):
    """All tensors of the config in `folder`, by published name."""
    scales = {"embed": embed, "branch": branch, "wav": wav}
    return {name: draw(name, shape, seed, scales) for name, shape in published_shapes(folder).items()}
