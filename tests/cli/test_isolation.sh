#!/usr/bin/env bash
# A defect in one module leaves every other at exactly what it has in an isolated run without defects: each is fed the
# golden's own input. The defects are weights, one tensor at a time, in both precisions, large, small and not finite.
. tests/support/tap.sh

cat >"$work/isolation.py" <<'PY'
import json, shutil, subprocess, sys
tessera, folder = sys.argv[1:]
MODEL, LAYER = "tests/golden/c", "thinker.model.layers.1."
MOE = {LAYER + "mlp"} | {LAYER + f"mlp.experts.{e}" for e in range(12)}
ONE_EXPERT = {LAYER + "mlp", LAYER + "mlp.experts.5"}
ATTENTION, ROUTER = {LAYER + "self_attn"}, {LAYER + "mlp.gate.logits"}
# tensor: all modules that read it; the last number: an element that the prompt surely uses
TENSORS = {
    "thinker.model.embed_tokens.weight": ({"thinker.inputs_embeds"}, None),
    LAYER + "input_layernorm.weight": (ATTENTION, 3),
    LAYER + "self_attn.q_proj.weight": (ATTENTION, 9),
    LAYER + "self_attn.k_proj.weight": (ATTENTION, 9),
    LAYER + "self_attn.v_proj.weight": (ATTENTION, 9),
    LAYER + "self_attn.o_proj.weight": (ATTENTION, 9),
    LAYER + "self_attn.q_norm.weight": (ATTENTION, 1),
    LAYER + "self_attn.k_norm.weight": (ATTENTION, 1),
    LAYER + "post_attention_layernorm.weight": (MOE | ROUTER, 3),
    LAYER + "mlp.gate.weight": (ROUTER, 9),
    LAYER + "mlp.experts.5.gate_proj.weight": (ONE_EXPERT, 9),
    LAYER + "mlp.experts.5.down_proj.weight": (ONE_EXPERT, 9),
    "thinker.model.norm.weight": ({"thinker.model.norm"}, 3),
    "thinker.lm_head.weight": ({"thinker.lm_head"}, 9),
}


def isolated(model, golden, *options):
    words = [tessera, "verify", "--json", "--quiet", "--ledger", "off", "--memory", "1GiB", "--ignore-identity",
             "--isolate", "--model", model, "--golden", golden, *options]
    found = subprocess.run(words, capture_output=True, check=False)
    if not found.stdout: sys.exit(found.stderr.decode())
    answer = json.loads(found.stdout)
    return found.returncode, {tap["tap"].removeprefix("tap."): tap for tap in answer.get("taps", [])}


def first_id(golden):
    with open(golden, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        begin, _ = json.loads(file.read(size))["in.input_ids"]["data_offsets"]
        file.seek(8 + size + begin)
        return int.from_bytes(file.read(8), "little")


count = 0
for dtype in ("f32", "bf16"):
    golden = f"tests/golden/c-{dtype}/text.safetensors"
    _, clean = isolated(MODEL, golden)
    width = clean["thinker.inputs_embeds"]["shape"][1]
    for tensor, (readers, element) in TENSORS.items():
        readers = readers & clean.keys()
        if element is None: element = first_id(golden) * width
        for bits in ("4100", "7fc0"):  # 8; a NaN
            copy = f"{folder}/model"
            shutil.copytree(MODEL, copy)
            subprocess.run([sys.executable, "-IS", "tests/support/set_weight.py", copy, tensor, str(element), bits], check=True)
            code, taps = isolated(copy, golden, *(["--chunk", "7"] if bits == "4100" else []))
            shutil.rmtree(copy)
            moved = {name for name in clean if taps.get(name) != clean[name]}
            failed = {name for name, tap in taps.items() if tap["outcome"] in ("different", "not finite")}
            count += 1
            good = code == 1 and failed == moved and failed and failed <= readers
            # Some experts' tokens may be too near to a norm's damaged element; the sum and the router see all.
            good = good and (failed == readers or readers - failed <= MOE - {LAYER + "mlp"})
            print(f"{'ok' if good else 'not ok'} {count} - {dtype} {tensor} {'8' if bits == '4100' else 'NaN'}: "
                  f"only its readers fail, all else to the bit")
            if not good: print(f"# code {code}, failed {sorted(failed)}, moved beside them {sorted(moved - failed)}")
PY
python "$work/isolation.py" "$tessera" "$work" >"$work/lines" || echo "not ok - $(cat "$work/lines")"
cat "$work/lines"
number=$(grep -c . "$work/lines")
