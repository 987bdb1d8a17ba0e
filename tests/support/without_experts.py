"""Copies a checkpoint's thinker with dense layers of zeros in place of its experts: without_experts.py MODEL OUT WAY

WAY is `none` (num_experts 0) or `dense` (every layer in mlp_only_layers).
"""
import json
import os
import re
import struct
import sys

source, out, way = sys.argv[1:]
config = json.load(open(f"{source}/config.json"))
text = config["thinker_config"]["text_config"]
d_model, d_ff, n_layer = text["hidden_size"], text["intermediate_size"], text["num_hidden_layers"]
tensors = {}
for name in sorted(os.listdir(source)):
    if not name.endswith(".safetensors"):
        continue
    data = open(f"{source}/{name}", "rb").read()
    (n,) = struct.unpack("<Q", data[:8])
    for key, entry in json.loads(data[8 : 8 + n]).items():
        if key.startswith("thinker.") and not re.match(r"thinker\.model\.layers\.\d+\.mlp\.", key):
            begin, end = entry["data_offsets"]
            tensors[key] = entry["shape"], data[8 + n + begin : 8 + n + end]
for layer in range(n_layer):
    for key, shape in (("gate_proj", [d_ff, d_model]), ("up_proj", [d_ff, d_model]), ("down_proj", [d_model, d_ff])):
        tensors[f"thinker.model.layers.{layer}.mlp.{key}.weight"] = shape, bytes(2 * d_ff * d_model)
header, offset = {}, 0
for key, (shape, data) in tensors.items():
    header[key] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + len(data)]}
    offset += len(data)
head = json.dumps(header).encode()
head += b" " * (-len(head) % 8)
os.mkdir(out)
with open(f"{out}/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(head)) + head + b"".join(data for _, data in tensors.values()))
config["enable_audio_output"] = False
text.update({"num_experts": 0} if way == "none" else {"mlp_only_layers": list(range(n_layer))})
json.dump(config, open(f"{out}/config.json", "w"))
