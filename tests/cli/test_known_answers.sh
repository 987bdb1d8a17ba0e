#!/usr/bin/env bash
# verify --known-answers: what is printed, exit codes, memory.
. tests/support/tap.sh
list=tests/golden/demo/known_answers.json
known() { exit_of "$tessera" verify --model demo/checkpoint --known-answers "$@"; }
edit() { python -c 'import json, sys
root = json.load(open(sys.argv[1]))
answer = next(a for a in root["answers"] if a["kind"] == sys.argv[3])
answer[sys.argv[4]] = json.loads(sys.argv[5])
json.dump(root, open(sys.argv[2], "w"))' $list "$work/edited.json" "$@"; }

equals "$(known --answers $list)" 0 "the demo checkpoint's own answers"
contains "$(cat "$work/out")" 'ok         chat      chat: What is the capital of France?
           expected  equals "Paris."
           found     "Paris."
           source    the original' "an answer, what was expected and found, and its source"
contains "$(cat "$work/out")" '18 known answers: 17 confirmed, 0 DIFFERENT, 1 reported' "the sum"

# An expert that is lost changes none of them, and only a golden tells.
python tests/support/zero_tensor.py demo/checkpoint "$work/lost" thinker.model.layers.2.mlp.experts.7.down_proj.weight
equals "$(exit_of "$tessera" verify --model "$work/lost" --known-answers --answers $list)" 0 "a lost expert confirms them all"
contains "$(cat "$work/out")" '17 confirmed, 0 DIFFERENT' "17 of 17"
contains "$(tail -n 3 "$work/out")" "not that it is whole" "and what they cannot show is said"
contains "$(tail -n 3 "$work/out")" "tessera verify --golden FILE" "with what does"
equals "$(exit_of "$tessera" verify --model "$work/lost" --golden tests/golden/demo/f32/turns.safetensors --ignore-identity)" 1 "which finds it"

equals "$(known --answers $list --json)" 0 "as JSON"
equals "$(json verdict <"$work/out") $(json confirmed <"$work/out") $(json reported <"$work/out")" "agree 17 1" "verdict and counts"
equals "$(json answers 13 found <"$work/out" | cut -c 1-7) $(json answers 13 expected <"$work/out")" "rank 1, rank 1" "a rank"
equals "$(json answers 14 verdict <"$work/out") $(json answers 14 expected <"$work/out")" "reported null" "one that is not judged"
contains "$(json answers 14 beside <"$work/out")" "rank 2 in the original" "and what stands beside it"

equals "$(known --answers $list --dtype bf16 --threads 2 --isa reference)" 0 "in bfloat16"
edit chat equals '"London."'
equals "$(known --answers "$work/edited.json")" 1 "a wrong answer: exit 1"
contains "$(cat "$work/out")" 'DIFFERENT  chat      chat: What is the capital of France?
           expected  equals "London."
           found     "Paris."' "is named"
equals "$(known --answers "$work/edited.json" --json)" 1 "a wrong answer as JSON: exit 1"
equals "$(json verdict <"$work/out") $(json different <"$work/out")" "different 1" "says so"
edit router source '""'
equals "$(known --answers "$work/edited.json" --json)" 3 "an answer without a source: exit 3"
equals "$(json error field <"$work/out")" "answers[11].source" "names the field"
equals "$(known --answers "$work/absent.json")" 3 "no such list: exit 3"
echo '{"format": ' >"$work/broken.json"
equals "$(known --answers "$work/broken.json")" 3 "no JSON: exit 3"

edit rank token '"no token at all"'
equals "$(known --answers "$work/edited.json" --json)" 3 "one that cannot be checked: exit 3"
equals "$(json error field <"$work/out") $(json verdict <"$work/out") $(json confirmed <"$work/out")" "answers[13].token null 13" \
    "as JSON with what was found until then"
equals "$(json answers <"$work/out" | grep -o '"kind"' | wc -l)" 13 "answer by answer"
equals "$(known --answers "$work/edited.json")" 3 "and as text"
contains "$(tail -n 1 "$work/out")" "only 13 of 18 known answers: 13 confirmed" "which says how many"

# Files of strangers: nothing they hold reaches the terminal as a control sequence, and JSON stays JSON.
printf '{"format": "tessera known answers", "version": 1, "\\u001b[2Jblank": 1}' >"$work/escape.json"
equals "$(known --answers "$work/escape.json")" 3 "a key with a control sequence: exit 3"
equals "$(grep -c $'\x1b' "$work/err") $(grep -c 'x1b\[2Jblank' "$work/err")" "0 1" "is shown, and not obeyed"
cp "$work/broken.json" "$work/"$'no\xffutf.json'
equals "$(known --answers "$work/"$'no\xffutf.json' --json)" 3 "a name that is no UTF-8: exit 3"
equals "$(json error file <"$work/out")" "$work/no�utf.json" "and JSON with it"
contains "$(json error message <"$work/out")" "no�utf.json" "in the message too"
deep=$(printf '[%.0s' $(seq 70))
for text in '{"format": '"$deep" '{"version": 1e999}' '{"version": 99999999999999999999}' '{"format": "x", "format": "x"}' \
    '{"format": "a\u0000b"}' '{"format": 1}' '[]' '{"format": "tessera known answers", "version": "1"}' ''; do
    printf '%s' "$text" >"$work/broken.json"
    equals "$(known --answers "$work/broken.json" --json) $(json error code <"$work/out")" "3 bad_input" "refused: ${text:0:60}"
done

equals "$(known --json)" 3 "the built-in list is of another checkpoint: exit 3"
equals "$(json error field <"$work/out")" "thinker_config.text_config.hidden_size" "names what differs"
contains "$(cat "$work/err")" "--answers FILE" "says what helps"
equals "$(known --golden tests/golden/demo/f32/france.safetensors)" 2 "with --golden: exit 2"
equals "$(exit_of "$tessera" verify --model demo/checkpoint --answers $list)" 2 "--answers alone: exit 2"
equals "$(exit_of "$tessera" verify --known-answers)" 2 "without --model: exit 2"
equals "$(exit_of "$tessera" verify --model tests/golden --known-answers)" 3 "a folder without checkpoint: exit 3"

equals "$(known --answers $list --memory 1MiB --threads 2 --json)" 5 "a budget that cannot work: exit 5"
if [ -z "${TESS_SANITIZED:-}" ]; then
    smallest=$(tail -n 1 "$work/out" | json smallest_budget_bytes)
    equals "$(known --answers $list --memory "$smallest" --threads 2 --json)" 0 "the smallest budget it names works"
    [ "$(json peak_rss_bytes <"$work/out")" -le "$smallest" ]
    result $? "and bounds the peak"
fi
