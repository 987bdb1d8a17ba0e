#!/usr/bin/env bash
# compare from outside: verdicts and exit codes, JSON, where a divergence is said to begin, what is refused.
. tests/support/tap.sh
golden=tests/golden/c-f32/text.safetensors
golden16=tests/golden/c-bf16/text.safetensors
shared=../shared/golden
edit() { python tests/support/edit_trace.py "$@"; }
compare() { "$tessera" compare "$@"; }

equals "$(exit_of compare $golden $golden)" 0 "a golden and itself: exit 0"
contains "$(cat "$work/out")" "77 taps compared, 77 equal bit for bit, 0 failed: equal" "and says so"
equals "$(exit_of compare --json $golden $golden)" 0 "with --json: exit 0"
equals "$(json verdict <"$work/out")" equal "verdict equal"
equals "$(json first <"$work/out")" null "first is null"
equals "$(json taps_compared <"$work/out")" 77 "taps_compared"
equals "$(json taps_failed <"$work/out")" 0 "taps_failed"
equals "$(json failed <"$work/out")" "[]" "failed"
equals "$(wc -l <"$work/out")" 1 "one line of JSON"

edit $golden "$work/near" scale thinker.lm_head 1.000001
equals "$(exit_of compare --json $golden "$work/near")" 0 "a small error: exit 0"
equals "$(json verdict <"$work/out")" agree "verdict agree"
equals "$(json worst tap <"$work/out")" tap.thinker.lm_head "the worst is named"
equals "$(json worst tolerance <"$work/out")" 2e-05 "with its tolerance"

edit $golden "$work/far" scale thinker.model.layers.2.self_attn 1.0001 add thinker.model.layers.3 60 0.01
equals "$(exit_of compare --json $golden "$work/far")" 1 "a large error: exit 1"
equals "$(json verdict <"$work/out")" different "verdict different"
equals "$(json first <"$work/out" | python -c 'import json, sys
first = json.load(sys.stdin)
print(first["tap"], first["component"], first["layer"], first["expert"], first["experts"], first["position"])')" \
    "tap.thinker.model.layers.2.self_attn self_attn 2 None [] 0" "first: tap, component, layer, expert, position"
equals "$(json failed 1 tap <"$work/out")" tap.thinker.model.layers.3 "failed, in model order"
equals "$(json failed 1 position <"$work/out")" 2 "its position"
equals "$(exit_of compare $golden "$work/far")" 1 "as text: exit 1"
contains "$(cat "$work/out")" "first divergence: thinker.model.layers.2.self_attn (self_attn, layer 2" "and the place"

# ---- traces of different prompts have no defect to be located ----
edit $golden "$work/asked" add in.input_ids 2 1
equals "$(exit_of compare $golden "$work/asked")" 1 "other ids: exit 1"
contains "$(tr -s '\n ' ' ' <"$work/out")" "first divergence: in.input_ids: these are traces of different prompts: the first 2 tokens agree" \
    "are another prompt"
edit $golden "$work/asked" add in.input_ids 0 1
equals "$(exit_of compare $golden "$work/asked")" 1 "another first id: exit 1"
contains "$(tr -s '\n ' ' ' <"$work/out")" "different prompts: no token agrees, of " "not even the first"
equals "$(grep -c tokenizer "$work/out")" 0 "and no fault of a tokenizer"

refusal() { # refusal EXIT TEXT EDIT...: the edited golden against the golden
    local code=$1 text=$2
    shift 2
    edit $golden "$work/edited" "$@"
    equals "$(exit_of compare --json $golden "$work/edited")" "$code" "$text"
}
refusal 1 "a missing tap: exit 1" drop thinker.model.norm
equals "$(json first tap <"$work/out")" tap.thinker.model.norm "the missing tap is named"
equals "$(json first outcome <"$work/out")" missing "as missing"
refusal 1 "another shape: exit 1" rows thinker.model.norm 0 5
refusal 1 "a NaN: exit 1" set thinker.model.norm 7 nan
equals "$(json worst rel_l2 <"$work/out")" null "a number that is not finite is null"
refusal 1 "another token: exit 1" add thinker.generated 3 1
refusal 1 "a token less: exit 1" rows thinker.generated 0 4
refusal 1 "another input: exit 1" add in.input_ids 2 1
equals "$(json first component <"$work/out")" tokenizer "other ids point at the tokenizer"
refusal 0 "an extra tap: exit 0" rename in.input_ids tap.extra
equals "$(json extra <"$work/out")" '["tap.extra"]' "the extra tap is listed"
refusal 3 "another configuration: exit 3" meta config_sha256 00
equals "$(json error field <"$work/out")" config_sha256 "the field is named"
equals "$(exit_of compare --ignore-identity $golden "$work/edited")" 0 "--ignore-identity compares anyway"
refusal 3 "other weights: exit 3" meta weights_sha256 00
refusal 0 "an unknown configuration: exit 0" unmeta config_sha256
equals "$(json identity config <"$work/out")" unknown "and is reported as unknown"
refusal 3 "bfloat16 against float32: exit 3" meta dtype bfloat16
refusal 3 "an unknown dtype: exit 3" meta dtype int4

equals "$(exit_of compare $golden $golden16)" 3 "goldens of two dtypes: exit 3"
equals "$(exit_of compare --metrics-only --json $golden $golden16)" 0 "--metrics-only: exit 0"
equals "$(json verdict <"$work/out")" null "without a verdict"
equals "$(exit_of compare $golden16 $golden16)" 0 "a bfloat16 golden and itself needs no truth: exit 0"
edit $golden16 "$work/near16" scale thinker.model.norm 1.001
equals "$(exit_of compare $golden16 "$work/near16")" 2 "bfloat16 without --truth: exit 2"
contains "$(cat "$work/err")" "--truth" "the message says what is missing"
equals "$(exit_of compare --json --truth $golden $golden16 "$work/near16")" 0 "with --truth: exit 0"
equals "$(json verdict <"$work/out")" agree "verdict agree"
equals "$(exit_of compare --truth $golden16 $golden16 "$work/near16")" 3 "a truth in bfloat16: exit 3"
edit $golden "$work/as16" meta dtype bfloat16
equals "$(exit_of compare --json --truth $golden $golden16 "$work/as16")" 1 "float32 values in place of bfloat16: exit 1"

# Defects of the checkpoint itself, run and compared: each is located where it was planted.
planted() { # planted TENSOR "COMPONENT LAYER EXPERT"
    python tests/support/zero_tensor.py tests/golden/c "$work/defect" "$1"
    "$tessera" trace --quiet --memory 1GiB --model "$work/defect" --inputs $golden --out "$work/run"
    compare --json $golden "$work/run" >"$work/out"
    equals "$(json first component <"$work/out") $(json first layer <"$work/out") $(json first expert <"$work/out")" "$2" \
        "zeroed $1"
    rm -r "$work/defect"
}
planted thinker.model.layers.3.mlp.experts.4.down_proj.weight "mlp 3 4"
planted thinker.model.layers.0.mlp.experts.11.up_proj.weight "mlp 0 11"
planted thinker.model.layers.2.input_layernorm.weight "self_attn 2 null"
planted thinker.model.layers.1.post_attention_layernorm.weight "mlp.gate 1 null"
planted thinker.model.layers.2.self_attn.k_norm.weight "self_attn 2 null"
planted thinker.model.norm.weight "norm null null"
planted thinker.lm_head.weight "lm_head null null"

head -c 5000 $golden >"$work/cut"
equals "$(exit_of compare $golden "$work/cut")" 3 "a truncated trace: exit 3"
equals "$(exit_of compare "$work/cut" $golden)" 3 "a truncated reference: exit 3"
equals "$(exit_of compare $golden "$work/absent")" 3 "no such file: exit 3"
equals "$(exit_of compare $golden tests)" 3 "a folder: exit 3"
equals "$(exit_of compare $golden tests/golden/b/model-00001-of-00003.safetensors)" 3 "no trace at all: exit 3"
equals "$(exit_of compare $golden)" 2 "one file: exit 2"
equals "$(exit_of compare)" 2 "no file: exit 2"
equals "$(exit_of compare --html "" $golden $golden)$(cat "$work/out")" 2 "a page without a name: exit 2, before the work"
equals "$(exit_of compare --html "$work/no/page" $golden $golden)" 4 "a page that cannot be written: exit 4"
equals "$(exit_of compare --html "$work/page.html" $golden "$work/far")" 1 "--html keeps the exit code"
contains "$(cat "$work/page.html")" "<svg" "the page has its drawing"
contains "$(cat "$work/page.html")" "<dt>trace SHA-256</dt><dd>$(sha256sum <"$work/far" | cut -d' ' -f1)<" "and the files' digests"
contains "$(cat "$work/page.html")" "<dt>made</dt><dd>" "and its date"
equals "$(grep -c -E 'https?:|src=|@import' "$work/page.html")" 0 "and nothing from outside"

python - "$work/long" <<'PY'
import json, struct, sys
header = {"__metadata__": {"dtype": "float32"}}
for name, shape in (("in.input_ids", [1]), ("tap.thinker.model.norm", [1, 2]), ("tap.thinker.inputs_embeds", [1000000, 1000000, 0])):
    header[name] = {"dtype": "I64" if name[0] == "i" else "F32", "shape": shape}
at = 0
for entry in list(header.values())[1:]:
    entry["data_offsets"] = [at, at + 8 * (0 not in entry["shape"])]
    at = entry["data_offsets"][1]
text = json.dumps(header).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + bytes(at))
PY
equals "$(exit_of compare "$work/long" "$work/long")" 0 "a long shape: exit 0"
equals "$(sed -n 's/\(.*\)\(bar  \|rel 1e-5\).*/\1/p' "$work/out" | awk '{ print length }' | sort -u | wc -l)" 1 \
    "keeps the table in line"

if [ -d $shared ]; then
    equals "$(exit_of compare $shared/a-f32/text.safetensors $shared/a-f32/text.safetensors)" 0 "shared golden and itself"
    edit $shared/a-f32/text.safetensors "$work/edited" add thinker.model.layers.5.mlp.gate.weights 40 2e-5
    equals "$(exit_of compare --json $shared/a-f32/text.safetensors "$work/edited")" 1 "one weight off by 2e-5"
    equals "$(json first component <"$work/out") $(json first layer <"$work/out") $(json first position <"$work/out")" \
        "mlp.gate 5 20" "is located"
    equals "$(exit_of compare $shared/a-f32/text.safetensors $shared/a-bf16/text.safetensors)" 3 "float32, bfloat16"
    for case in omni audio image video av speak wav5; do
        equals "$(exit_of compare --json $shared/a-f32/$case.safetensors $shared/a-f32/$case.safetensors)" 0 "$case"
        equals "$(json taps <"$work/out" | grep -c '"other"')" 0 "$case: every tap has a place in the model"
    done
else
    skip_without_shared "shared goldens"
fi
