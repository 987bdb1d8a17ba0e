#!/usr/bin/env bash
# verify from outside: goldens that agree, whole and module by module; defects and where they are said to be; text and
# chat template; identity; what is refused; the truth of bfloat16; the ledger.
. tests/support/tap.sh
golden=tests/golden/c-f32/text.safetensors
golden16=tests/golden/c-bf16/text.safetensors
edit() { python tests/support/edit_trace.py "$@"; }
verify() { "$tessera" verify --model "${folder:-tests/golden/c}" --threads 2 "$@"; }
places() { # the failed taps of the JSON in $work/out: component layer expert experts
    python -c 'import json
for f in json.load(open("'"$work"'/out"))["failed"]: print(f["component"], f["layer"], f["expert"], f["experts"])'
}

# ---- goldens of the original agree ----
for model in tests/golden/b tests/golden/c tests/golden/d demo/checkpoint ../shared/golden/a; do
    case $model in
    demo/*) goldens=(tests/golden/demo/f32/*.safetensors tests/golden/demo/bf16/*.safetensors) ;;
    ../shared/*)
        if [ ! -d ../shared/golden ]; then
            skip_without_shared "goldens of ../shared"
            continue
        fi
        goldens=("$model-f32/text.safetensors" "$model-bf16/text.safetensors")
        ;;
    *) goldens=("$model"-f32/*.safetensors "$model"-bf16/*.safetensors) ;;
    esac
    existing=()
    for file in "${goldens[@]}"; do [ -e "$file" ] && existing+=("$file"); done
    for isolate in "" --isolate; do
        equals "$(exit_of "$tessera" verify --json --model "$model" --golden "${existing[@]}" $isolate)" 0 \
            "$model ${isolate:-whole}: ${#existing[@]} goldens agree"
        equals "$(json taps_failed <"$work/out")" 0 "$model ${isolate:-whole}: no tap failed"
    done
done

# ---- what is said ----
equals "$(exit_of verify --golden $golden)" 0 "as text: exit 0"
contains "$(cat "$work/out")" "77 taps compared, 7 equal bit for bit, 0 failed: agree" "with the taps counted"
contains "$(cat "$work/out")" "thinker.model.layers.1.mlp.experts.7" "single experts' outputs are compared"
equals "$(exit_of verify --json --golden $golden)" 0 "as JSON: exit 0"
equals "$(json verdict <"$work/out") $(json taps_compared <"$work/out") $(json golden <"$work/out")" \
    "agree 77 $golden" "verdict, taps, golden"
equals "$(json first <"$work/out") $(json failed <"$work/out") $(json isolated <"$work/out")" "null [] false" \
    "first, failed, isolated"
equals "$(exit_of verify --json --golden $golden --golden $golden16 tests/golden/c-f32/stop.safetensors)" 0 \
    "several goldens of both dtypes: exit 0"
equals "$(json goldens 1 golden <"$work/out") $(json goldens 2 verdict <"$work/out")" "$golden16 agree" \
    "each with an object of its own, in the order given"
equals "$(json verdict <"$work/out") $(json taps_compared <"$work/out")" "agree 183" "and their sum"

# ---- defects, and where they are ----
python tests/support/zero_tensor.py tests/golden/c "$work/zeroed" thinker.model.layers.2.mlp.experts.5.down_proj.weight
equals "$(exit_of "$tessera" verify --json --model "$work/zeroed" --golden $golden --ignore-identity)" 1 \
    "an expert zeroed: exit 1"
equals "$(json first component <"$work/out") $(json first layer <"$work/out") $(json first expert <"$work/out")" \
    "mlp 2 5" "layer, component and expert are named"
equals "$(exit_of "$tessera" verify --json --model "$work/zeroed" --golden $golden --ignore-identity --isolate)" 1 \
    "isolated: exit 1"
equals "$(places)" $'mlp 2 5 [5]\nmlp 2 5 [5]' "and nothing else fails: the expert's output and its layer's"
edit $golden "$work/plain" $(for e in 0 1 2 3 4 5 6 7 8 9 10 11; do for l in 0 1 2 3; do
    echo "drop thinker.model.layers.$l.mlp.experts.$e"; done; done)
equals "$(exit_of "$tessera" verify --json --model "$work/zeroed" --golden "$work/plain" --ignore-identity --isolate)" 1 \
    "the golden without single experts: exit 1"
equals "$(json failed 0 layer <"$work/out") $(json failed 0 component <"$work/out")" "2 mlp" "the layer is named"
contains "$(json failed 0 experts <"$work/out")" 5 "the expert is among those that explain its tokens"
equals "$(exit_of "$tessera" verify --model "$work/zeroed" --golden $golden16 --ignore-identity --isolate)" 1 \
    "bfloat16, isolated: exit 1"
contains "$(cat "$work/out")" "thinker.model.layers.2.mlp (mlp, layer 2, expert 5" "and the place in the text"
contains "$(cat "$work/out")" "modules that fail by themselves:" "listed as modules that fail by themselves"

# A weight that is not finite ends the run, and what was heard is judged.
cp -r tests/golden/c "$work/nan"
python tests/support/set_weight.py "$work/nan" thinker.model.layers.1.self_attn.o_proj.weight 7 7fc0
equals "$(exit_of "$tessera" verify --json --model "$work/nan" --golden $golden --ignore-identity)" 1 \
    "a weight that is a NaN: exit 1"
equals "$(json first tap <"$work/out") $(json failed 0 outcome <"$work/out")" \
    "tap.thinker.model.layers.1.self_attn not finite" "first where the run ends"
equals "$(python -c 'import json, sys
print(sorted({f["outcome"] for f in json.load(sys.stdin)["failed"][1:]}))' <"$work/out")" "['missing']" \
    "all that follows is missing, single experts too"

equals "$(exit_of "$tessera" verify --json --model "$work/nan" --golden $golden16 --ignore-identity)" 1 \
    "in bfloat16, where the truth ends as well: exit 1"
equals "$(json first tap <"$work/out") $(json failed 0 outcome <"$work/out")" \
    "tap.thinker.model.layers.1.self_attn not finite" "first where the run ends"

# ---- several goldens of which one cannot be run: the others' results are not lost ----
for file in $golden $golden16; do
    edit $file "$work/beyond" set in.input_ids 0 99999
    equals "$(exit_of verify --golden $golden "$work/beyond")" 3 "an id beyond the vocabulary in the second: exit 3"
    contains "$(cat "$work/out")" "0 failed: agree" "what the first gave is printed"
    contains "$(cat "$work/err")" "$work/beyond: in.input_ids: found 99999" "and the reason, with the file"
    equals "$(exit_of verify --json --golden $golden "$work/beyond")" 3 "as JSON: exit 3"
    equals "$(json goldens 0 verdict <"$work/out") $(json error field <"$work/out")" "agree in.input_ids" "both in one object"
done
cp $golden "$work/"$'\xff'
equals "$(exit_of verify --json --golden "$work/"$'\xff')" 0 "a path that is no UTF-8: exit 0"
contains "$(json golden <"$work/out")" "$work/" "is told as far as it is text"
mkdir "$work/truths"
TMPDIR=$work/truths python - "$tessera" $golden16 >"$work/out" <<'PY'
import os, signal, subprocess, sys, time
tessera, golden = sys.argv[1:]
many = subprocess.Popen([tessera, "verify", "--quiet", "--json", "--ledger", "off", "--model", "tests/golden/c",
                         "--golden", "tests/golden/c-f32/text.safetensors"] + 150 * [golden], stdout=subprocess.PIPE)
while not any(files for _, _, files in os.walk(os.environ["TMPDIR"])): time.sleep(0.01)  # a truth is on its way
many.send_signal(signal.SIGINT)
print(many.communicate()[0].decode().strip())
sys.exit(many.returncode)
PY
equals "$?" 130 "interrupted: exit 130"
equals "$(json error code <"$work/out") $(json goldens 0 verdict <"$work/out")" "interrupted agree" "what was made so far is printed"
equals "$(ls "$work/truths")" "" "and no truth is left behind"

edit $golden "$work/asked" meta generate 0
equals "$(exit_of verify --json --golden "$work/asked")" 1 "tokens in a golden that asks for none: exit 1"
contains "$(json first why <"$work/out")" "metadata asks for none" "and what is wrong with it"
edit $golden "$work/empty" empty thinker.model.norm 4611686018427387904x0
equals "$(exit_of verify --json --golden "$work/empty" --memory 1GiB)" 1 "a tap of very many rows without columns: exit 1"
equals "$(json first tap <"$work/out") $(json first outcome <"$work/out")" "tap.thinker.model.norm shape" "named"
edit $golden "$work/endless" meta generate 1000000000
equals "$(exit_of verify --json --golden "$work/endless")" 3 "a thousand million tokens to generate: exit 3"
contains "$(json error expected <"$work/out")" "at most 16777216" "with what is allowed"
edit $golden "$work/named" rename thinker.model.norm talker.model.norm
equals "$(exit_of verify --json --golden "$work/named")" 1 "a tap of the talker in a golden of text: exit 1"
contains "$(json first tap <"$work/out"), $(json first why <"$work/out")" "tap.talker.model.norm, no module of this run" "named"

# ---- goldens that are not whole ----
failing() { # failing TEXT TAP OUTCOME EDIT...
    local text=$1 tap=$2 outcome=$3
    shift 3
    edit $golden "$work/edited" "$@"
    equals "$(exit_of verify --json --golden "$work/edited")" 1 "$text: exit 1"
    equals "$(json first tap <"$work/out") $(json first outcome <"$work/out")" "$tap $outcome" "$text: named"
}
failing "a tap that no run has" tap.thinker.model.layers.9 missing rename thinker.model.layers.3 thinker.model.layers.9
failing "another shape" tap.thinker.model.norm shape rows thinker.model.norm 0 5
failing "a NaN in the golden" tap.thinker.model.layers.1.mlp "not finite" set thinker.model.layers.1.mlp 3 nan
failing "an expert with a token less" tap.thinker.model.layers.0.mlp.experts.3 shape \
    rows thinker.model.layers.0.mlp.experts.3 0 2
failing "another answer" tap.thinker.generated different add thinker.generated 1 1

# ---- text ----
demo=tests/golden/demo/f32/turns.safetensors
talk() { "$tessera" verify --json --model "$1" --golden "$2" --ignore-identity; }
equals "$(exit_of talk demo/checkpoint $demo)" 0 "messages and ids that belong together: exit 0"
equals "$(json text_checked <"$work/out")" true "the text is checked"
messages=$(python -c 'import json, struct
file = open("'$demo'", "rb"); size = struct.unpack("<Q", file.read(8))[0]
print(json.loads(file.read(size))["__metadata__"]["messages"])')
edit $demo "$work/turns" meta messages "${messages/\"user\"/\"system\"}"
equals "$(exit_of talk demo/checkpoint "$work/turns")" 1 "a role rendered otherwise: exit 1"
equals "$(json first component <"$work/out") $(json first position <"$work/out") $(json taps_failed <"$work/out")" \
    "chat_template 1 1" "component chat_template, its position, and nothing else fails"
edit $demo "$work/turns" meta messages '[{"role":"user","content":""}]'
equals "$(exit_of talk demo/checkpoint "$work/turns")" 1 "messages that say nothing: exit 1"
equals "$(json first component <"$work/out")" chat_template "the ids are the tokenizer's all the same"
cp -r demo/checkpoint "$work/family"
python - "$work/family" <<'P'
import json, sys
place = sys.argv[1] + "/vocab.json"
vocabulary = json.load(open(place, encoding="utf-8"))
names = [name for name, number in sorted(vocabulary.items(), key=lambda item: item[1])]
json.dump({name: (number + 1) % len(names) for number, name in enumerate(names)}, open(place, "w", encoding="utf-8"))
P
equals "$(exit_of talk "$work/family" $demo)" 1 "a tokenizer with other ids: exit 1"
equals "$(json first component <"$work/out")" tokenizer "component tokenizer"
equals "$(exit_of talk "$work/family" tests/golden/demo/f32/raw_france.safetensors)" 1 "a raw prompt: exit 1"
equals "$(json first component <"$work/out")" tokenizer "component tokenizer"
python - "$work/family" <<'P'
import sys
place = sys.argv[1] + "/tokenizer_config.json"
text = open(place, encoding="utf-8").read().replace("im_start", "turn")
open(place, "w", encoding="utf-8").write(text)
P
equals "$(exit_of talk "$work/family" $demo)" 1 "a tokenizer without the template's tokens: exit 1"
equals "$(json first component <"$work/out")" tokenizer "component tokenizer"
for bad in '{}' '[]' '[1]' '[{"role":"user"}]' '[{"role":"king","content":"x"}]' 'no JSON'; do
    edit $demo "$work/turns" meta messages "$bad"
    equals "$(exit_of talk demo/checkpoint "$work/turns")" 3 "messages $bad: exit 3"
done
edit $golden "$work/edited" meta raw "text"
equals "$(exit_of verify --json --golden "$work/edited")" 0 "no tokenizer files: exit 0"
equals "$(json text_checked <"$work/out")" false "and the text counts as not checked"

# ---- identity, refusals ----
refusal() { # refusal EXIT TEXT FIELD EDIT...
    local code=$1 text=$2 field=$3
    shift 3
    edit $golden "$work/edited" "$@"
    equals "$(exit_of verify --json --golden "$work/edited")" "$code" "$text: exit $code"
    equals "$(json error field <"$work/out")" "$field" "$text: the field is named"
}
refusal 3 "another configuration" config_sha256 meta config_sha256 00
equals "$(exit_of verify --golden "$work/edited" --ignore-identity)" 0 "--ignore-identity verifies anyway"
refusal 3 "other weights" weights_sha256 meta weights_sha256 00
equals "$(exit_of verify --golden "$work/edited" --ignore-identity)" 0 "--ignore-identity verifies anyway"
edit $golden "$work/edited" unmeta config_sha256 unmeta weights_sha256
equals "$(exit_of verify --json --golden "$work/edited")" 0 "a golden that does not say which: exit 0"
equals "$(json identity config <"$work/out") $(json identity weights <"$work/out")" "unknown unknown" "unknown"
equals "$(exit_of verify --json --golden $golden)" 0 "a golden that says which: exit 0"
equals "$(json identity config <"$work/out") $(json identity weights <"$work/out")" "same same" "the same"
refusal 3 "an id that is no token" in.input_ids set in.input_ids 2 100000
refusal 3 "frames of sound without their number" in.audio_feature_lengths rename thinker.model.norm in.input_features
edit $golden "$work/edited" drop thinker.model.layers.1.self_attn
equals "$(exit_of verify --golden "$work/edited")" 0 "a tap less in the golden: exit 0"
equals "$(exit_of verify --json --golden "$work/edited" --isolate)" 3 "isolated it is needed: exit 3"
equals "$(json error field <"$work/out")" tap.thinker.model.layers.1.self_attn "and named"
python -c 'import json, struct
header = json.dumps({"in.input_ids": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]}}).encode()
open("'"$work"'/empty", "wb").write(struct.pack("<Q", len(header)) + header + bytes(16))'
equals "$(exit_of verify --golden "$work/empty")" 3 "nothing to compare: exit 3"
equals "$(exit_of verify --golden "$work/absent")" 3 "no such file: exit 3"
equals "$(exit_of verify)" 2 "no golden: exit 2"
equals "$(exit_of verify --golden $golden --dtype bf16)" 2 "another dtype than the golden's: exit 2"
equals "$(exit_of verify --golden $golden --context 5)" 2 "a context too small: exit 2"
cp $golden "$work/n_context"
equals "$(exit_of verify --golden "$work/n_context" --context 5 --json)" 2 "and of a file named like the field"
equals "$(json error message <"$work/out" | grep -c "^$work/n_context: --context: found")" 1 "the option is named, and the file"
equals "$(exit_of verify --golden $golden --memory 1MiB)" 5 "a budget too small: exit 5"

# ---- the truth of bfloat16 ----
mkdir "$work/tmp"
export TMPDIR=$work/tmp
equals "$(folder=tests/golden/b exit_of verify --json --golden tests/golden/b-bf16/text.safetensors)" 0 \
    "bfloat16 with a computed truth: exit 0"
equals "$(json ratio taps <"$work/out")" 22 "judged by its distance to it"
equals "$(ls "$work/tmp")" "" "which is removed afterwards"
for signal in TERM HUP INT; do
    "$tessera" verify --model tests/golden/b --golden tests/golden/b-bf16/*.safetensors \
        tests/golden/b-bf16/*.safetensors --isa reference >"$work/out" 2>"$work/err" &
    until [ -n "$(ls "$work/tmp")" ] || ! kill -0 $! 2>/dev/null; do :; done
    kill -$signal $! 2>/dev/null
    wait $!
    equals "$(ls "$work/tmp")" "" "removed after SIG$signal too"
done
equals "$(folder=tests/golden/b exit_of verify --golden tests/golden/b-bf16/text.safetensors \
    --truth tests/golden/b-f32/text.safetensors)" 0 "with the original's truth: exit 0"
equals "$(exit_of verify --golden $golden16 --truth $golden --isolate)" 2 "--truth with --isolate: exit 2"
equals "$(exit_of verify --golden $golden --truth $golden)" 2 "--truth without a bfloat16 golden: exit 2"
equals "$(TMPDIR=$work/none folder=tests/golden/b exit_of verify --golden tests/golden/b-bf16/text.safetensors)" 4 \
    "no place for the truth: exit 4"
unset TMPDIR

# The mean ratio of this run is within its bounds, because the computed truth lacks the expert as well.
few=tests/golden/c-bf16/positions.safetensors
equals "$(exit_of "$tessera" verify --json --model "$work/zeroed" --golden $few --ignore-identity)" 1 \
    "an expert missing from run and truth: exit 1"
equals "$(json first component <"$work/out") $(json first layer <"$work/out") $(json first expert <"$work/out")" "mlp 2 5" \
    "named by the module that fails by itself"
equals "$(python -c 'import json; print(0.87 < json.load(open("'"$work"'/out"))["ratio"]["mean"] < 1.15)')" True \
    "which the mean ratio does not see"
equals "$(json both_sides <"$work/out")" true "judged by both sides"
edit $few "$work/edited" drop thinker.model.layers.1.mlp.gate.weights
equals "$(exit_of verify --json --golden "$work/edited")" 0 "a golden without every module's input: exit 0"
equals "$(json both_sides <"$work/out")" false "judged as a whole run only"
equals "$(exit_of verify --golden "$work/edited")" 0 "as text"
contains "$(tr -s '\n ' ' ' <"$work/out")" "whole run only: the golden lacks tap.thinker.model.layers.1.mlp.gate.weights" "with the reason"

# ---- page and ledger ----
equals "$(exit_of verify --golden $golden --html "$work/report.html" --ledger "$work/ledger")" 0 "--html: exit 0"
contains "$(cat "$work/report.html")" "<svg" "a page with a drawing"
fact() { sed -n "s|^<dt>$2</dt><dd>\(.*\)</dd>\$|\1|p" "$1"; }
equals "$(fact "$work/report.html" "golden SHA-256")" "$(sha256sum <$golden | cut -d' ' -f1)" "the golden's digest"
equals "$(fact "$work/report.html" "configuration SHA-256")" \
    "$("$tessera" inspect --quiet --checksum --ledger off tests/golden/c | awk '$2 == "config_sha256" { print $1 }')" "the configuration's"
case $(fact "$work/report.html" made) in "$(date -u +%Y-)"*" UTC") result 0 "the date" ;; *) result 1 "the date" ;; esac
contains "$(fact "$work/report.html" machine)" "$(sed -n 's/^model name[ \t]*: //p' /proc/cpuinfo | head -n 1), $(getconf _NPROCESSORS_ONLN) core" "the machine"
equals "$(fact "$work/report.html" "instruction set")" \
    "$("$tessera" ledger show --json --ledger "$work/ledger" "$("$tessera" ledger list --json --ledger "$work/ledger" | json entries -1 id)" | json isa) in float32, 2 threads" \
    "the instruction set"
"$tessera" verify --quiet --ledger off --model demo/checkpoint --golden tests/golden/demo/f32/{france,raw_france}.safetensors --html "$work/said.html" >/dev/null
equals "$(fact "$work/said.html" prompt)" "user: What is the capital of France?
The capital of France is" "the prompts, of messages and of raw text"
equals "$(grep -c '<dt>machine' "$work/said.html")" 1 "the machine once"
equals "$(exit_of verify --golden $golden $golden16 --html "$work/both.html" --ledger off)" 0 "a page of two goldens"
contains "$(cat "$work/both.html")" 'href="#result-2"' "which leads to either"
contains "$(cat "$work/both.html")" 'id="result-2"' "and holds it"
contains "$(cat "$work/both.html")" "computed from the same weights" "and says where the truth is from"
equals "$("$tessera" ledger list --json --ledger "$work/ledger" | json entries 1 outcome)" agree "recorded in the ledger"
equals "$(exit_of verify --golden $golden --ledger off)" 0 "--ledger off: exit 0"
for option in --html --certificate --truth; do
    equals "$(exit_of verify --golden $golden $option "")$(grep -c -e "$option" "$work/err")" 21 "empty $option: exit 2, by name"
done
equals "$(exit_of verify --golden $golden --html "$work/no/report.html")" 4 "a page that cannot be written: exit 4"

# ---- memory: the smallest budget is told, works, and is kept, comparing included ----
for isolate in "" --isolate; do
    verify --json --golden $golden --memory 1MiB $isolate >"$work/out" 2>"$work/err"
    budget=$(json smallest_budget_bytes <"$work/out")
    equals "$(exit_of verify --json --golden $golden --memory "$budget" $isolate)" 0 "the smallest budget works ${isolate:-whole}"
    [ "${TESS_SANITIZED:-0}" = 1 ] && continue
    peak=$(json peak_rss_bytes <"$work/out")
    [ "$peak" -le "$budget" ]
    result $? "peak $peak of $budget bytes ${isolate:-whole}"
done
