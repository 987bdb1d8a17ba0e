"""Writes the demo's configuration with columns enough for packing: wide_config.py OUT [LAYERS HIDDEN EXPERTS]."""
import json
import sys

n_layer, hidden, n_expert = (int(n) for n in (sys.argv[2:5] or (4, 256, 16)))
config = json.load(open("demo/checkpoint/config.json"))
thinker, talker = config["thinker_config"], config["talker_config"]
thinker["text_config"].update(hidden_size=hidden, moe_intermediate_size=hidden // 2, num_experts=n_expert,
                              num_experts_per_tok=4, num_hidden_layers=n_layer)
thinker["audio_config"].update(output_dim=hidden)
thinker["vision_config"].update(out_hidden_size=hidden)
talker.update(thinker_hidden_size=hidden)
talker["text_config"].update(hidden_size=256, moe_intermediate_size=128)
talker["code_predictor_config"].update(hidden_size=256)
json.dump(config, open(sys.argv[1], "w"))
