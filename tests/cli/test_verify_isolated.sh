#!/usr/bin/env bash
# Isolation feeds the experts the golden's own choice and weights, which it must have and which must be experts.
. tests/support/tap.sh
model=tests/golden/c
golden=tests/golden/c-f32/positions.safetensors # holds no single experts, whose rows go by rank
gate=thinker.model.layers.1.mlp.gate

isolated() { "$tessera" verify --quiet --ledger off --memory 1GiB --isolate --model $model --golden "$@"; }
edit() { python tests/support/edit_trace.py "$@"; }
# The values of a row of three in a golden.
row() { python - $golden "$1" "$2" <<'PY'
import json, struct, sys
path, name, row = sys.argv[1], "tap." + sys.argv[2], int(sys.argv[3])
with open(path, "rb") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    entry = json.loads(file.read(size))[name]
    code, width = ("q", 8) if entry["dtype"] == "I64" else ("f", 4)
    file.seek(8 + size + entry["data_offsets"][0] + row * 3 * width)
    print(*struct.unpack(f"<3{code}", file.read(3 * width)))
PY
}

equals "$(exit_of isolated $golden)" 0 "every module agrees on the golden's own input"

# bfloat16: a row may be a few steps off, an average row less, and most elements must be equal.
golden16=tests/golden/c-bf16/text.safetensors # 39 positions
attention=thinker.model.layers.1.self_attn
edit $golden16 "$work/share" scale $attention 1.0015
equals "$(exit_of isolated "$work/share" --json)" 1 "every element a little off: exit 1"
equals "$(json first tap <"$work/out")" tap.$attention "named"
contains "$(json first why <"$work/out")" "100.0 % of the elements differ, at most 40 %" "because so many are"
edit $golden16 "$work/row" scale $attention 1.04
equals "$(exit_of isolated "$work/row" --json)" 1 "every row more than 8 steps off: exit 1"
contains "$(json first why <"$work/out")" "bfloat16 steps off, over 8" "because of its worst row"
edit tests/golden/b-bf16/one.safetensors "$work/few" scale thinker.model.layers.3 1.0015
equals "$(exit_of "$tessera" verify --quiet --ledger off --isolate --model tests/golden/b --golden "$work/few")" 0 \
    "too few rows for an average: judged by the worst"

read -r one two _ <<<"$(row $gate.indices 4)"
read -r light heavy _ <<<"$(row $gate.weights 4)"
edit $golden "$work/order" set $gate.indices 12 "$two" set $gate.indices 13 "$one" \
    set $gate.weights 12 "$heavy" set $gate.weights 13 "$light"
equals "$(exit_of isolated "$work/order" --json)" 0 "the same experts in another order: weights stay with theirs"

read -r _ _ three <<<"$(row $gate.indices 4)"
for id in 11 10 9; do case " $one $two $three " in *" $id "*) ;; *) other=$id ;; esac; done
edit $golden "$work/other" set $gate.indices 12 "$other"
equals "$(exit_of isolated "$work/other" --json)" 1 "a choice that is not ours"
equals "$(json first component <"$work/out") $(json first layer <"$work/out")" "mlp.gate 1" "is the router's"

for id in 12 -1; do
    edit $golden "$work/none" set $gate.indices 14 $id
    equals "$(exit_of isolated "$work/none" --json)" 3 "expert $id of twelve: exit 3"
    equals "$(json error field <"$work/out") $(json error file <"$work/out")" "tap.$gate.indices $work/none" "named"
    equals "$(json error expected <"$work/out"), $(json error found <"$work/out")" "0 to 11, each once per token, $id" "with what is allowed"
done
edit $golden "$work/none" $(for token in 0 1 2 3 4 5; do for rank in 0 1 2; do
    echo "set $gate.indices $((3 * token + rank)) 7"; done; done)
equals "$(exit_of isolated "$work/none" --json)" 3 "an expert three times per token: exit 3"
equals "$(json error found <"$work/out")" "7 again" "named"
edit $golden "$work/none" set $gate.logits 30 nan
equals "$(exit_of isolated "$work/none" --json)" 1 "a golden that is not finite: exit 1"
equals "$(json first tap <"$work/out"), $(json failed 0 outcome <"$work/out")" "tap.$gate.logits, not finite" "named"
contains "$(json first why <"$work/out")" "in the reference" "as the golden's"
edit $golden "$work/none" drop $gate.indices
equals "$(exit_of isolated "$work/none" --json)" 3 "no choice to feed: exit 3"
equals "$(json error field <"$work/out")" "tap.$gate.indices" "named"
equals "$(exit_of "$tessera" verify --quiet --ledger off --memory 1GiB --model $model --golden "$work/none")" 0 \
    "a whole run needs none"
edit tests/golden/c-f32/text.safetensors "$work/none" drop $gate.indices
equals "$(exit_of "$tessera" verify --json --ledger off --memory 1GiB --model $model --golden "$work/none")" 0 \
    "nor do single experts' outputs, of which rows by rank are then not judged"
