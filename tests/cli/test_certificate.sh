#!/usr/bin/env bash
# verify --certificate and --check-certificate: written, checked, come out again, refused.
. tests/support/tap.sh
model=tests/golden/c
f32=tests/golden/c-f32/text.safetensors
bf16=tests/golden/c-bf16/positions.safetensors
c=$work/c.json
small=24MiB
[ -z "${TESS_SANITIZED:-}" ] || small=1GiB
verify() { exit_of "$tessera" verify "$@"; }
check() { exit_of "$tessera" verify --check-certificate "$@"; }

equals "$(verify --model $model --golden $f32 $bf16 tests/golden/c-f32/stop.safetensors --certificate "$c")" 0 "a certificate of three goldens"
contains "$(cat "$work/out")" "3 goldens, 0 different" "the report is printed as without"
equals "$(json verdict <"$c") $(json checkpoint config_sha256 <"$c")" \
    "agree $(sha256sum $model/config.json | cut -d ' ' -f 1)" "says the verdict and the checkpoint"
equals "$(json cases 0 golden_sha256 <"$c")" "$(sha256sum $f32 | cut -d ' ' -f 1)" "the golden's digest"
equals "$(json cases 0 truth <"$c") $(json cases 1 truth <"$c") $(json cases 1 dtype <"$c")" "null computed bfloat16" "and by what truth"
equals "$(json references 0 transformers <"$c")" 5.23.0 "the original's version"
equals "$(json runs 0 dtype <"$c") $(json runs 1 dtype <"$c")" "float32 bfloat16" "how the engines ran"
equals "$(python -c 'import hashlib, json, sys
text = open(sys.argv[1], "rb").read()
digest = json.loads(text)["digest"].encode()
print(hashlib.sha256(text.replace(digest, b"0" * 64)).hexdigest() == digest.decode())' "$c")" True "the digest, by the rule"

equals "$(check "$c" --model $model)" 0 "checked: everything comes out again"
contains "$(cat "$work/out")" "3 of 3 cases run again: all came out as certified" "says so"
for options in "--threads 1" "--threads 3 --isa reference" "--memory $small --chunk 5" "--isa reference --chunk 1 --context 100"; do
    equals "$(check "$c" --json $options)" 0 "with $options, and the model the certificate names"
    equals "$(json verdict <"$work/out") $(json run_again <"$work/out" | grep -o confirmed | wc -l)" "confirmed 3" "all of it"
done
equals "$(check "$c" --sample 2 --seed 1 --json)" 0 "a sample"
first=$(json run_again <"$work/out")
equals "$(echo "$first" | json | grep -o confirmed | wc -l) $(json not_run <"$work/out" | grep -o safetensors | wc -l)" "2 1" "of two, one is left"
equals "$(check "$c" --sample 2 --seed 1 --json)$(json run_again <"$work/out")" "0$first" "the same again by the same seed"
equals "$(for seed in 1 2 3 4 5 6 7 8; do check "$c" --sample 1 --seed $seed --json >/dev/null
    json run_again 0 golden <"$work/out"; done | sort -u | wc -l)" 3 "other seeds take others"

equals "$(verify --model $model --golden $f32 --isolate --certificate "$work/i.json" --quiet)" 0 "of isolated modules"
equals "$(json cases 0 mode <"$work/i.json") $(check "$work/i.json")" "isolated 0" "comes out again, isolated"
exit_of "$tessera" trace --model $model --inputs $bf16 --dtype f32 --generate 0 --out "$work/truth.safetensors" >/dev/null
equals "$(verify --model $model --golden $bf16 --truth "$work/truth.safetensors" --certificate "$work/t.json")" 0 "by a given truth"
equals "$(json cases 0 truth <"$work/t.json") $(check "$work/t.json")" "$(sha256sum "$work/truth.safetensors" | cut -d ' ' -f 1) 0" "comes out again"
python - "$work/t.json" "$work/twice.json" <<'END'
import hashlib, json, sys
root = json.load(open(sys.argv[1]))
root["cases"] *= 2
root["references"] *= 2
text = json.dumps(root | {"digest": "0" * 64}, indent=1)
open(sys.argv[2], "w").write(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1))
END
equals "$(check "$work/twice.json" --json) $(json error field <"$work/out")" "3 cases" "two goldens for one truth: exit 3"
rm "$work/truth.safetensors"
equals "$(check "$work/t.json" --json)" 3 "without that truth: exit 3"
equals "$(json error field <"$work/out")" "cases[0].truth" "names it"

# A model in which one weight is another: what is found is certified, and is no certificate of the sound one.
python tests/support/zero_tensor.py $model "$work/model" thinker.model.layers.2.mlp.experts.4.down_proj.weight
equals "$(verify --model "$work/model" --golden $f32 --ignore-identity --certificate "$work/d.json")" 1 "a defect is certified as one"
equals "$(json verdict <"$work/d.json") $(check "$work/d.json")" "different 0" "and comes out again"
contains "$(cat "$work/out")" "says         different, 1 case" "which is not hidden"
equals "$(check "$c" --model "$work/model" --json)" 3 "other weights: exit 3"
equals "$(json error field <"$work/out")" weights_sha256 "names them"
equals "$(check "$c" --model tests/golden/b --json)" 3 "another configuration: exit 3"
equals "$(json error field <"$work/out")" config_sha256 "names it"

# A forged metric with a digest that is right: only running tells.
python - "$c" "$work/forged.json" <<'END'
import hashlib, json, re, sys
text = open(sys.argv[1]).read()
digest = json.loads(text)["digest"]
text = re.sub(r'"outcome": "agrees",(\s+)"measure": "rel_l2",(\s+)"error": [0-9.e-]+', r'"outcome": "agrees",\1"measure": "rel_l2",\2"error": 1.0e-9', text, count=1)
text = text.replace(digest, "0" * 64)
open(sys.argv[2], "w").write(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1))
END
equals "$(check "$work/forged.json")" 1 "a forged metric: exit 1"
contains "$(cat "$work/out")" ".error: certified 1.0000000000000001e-9, found" "is named with both values"
# What follows from configuration, weights and golden is compared with them, and nothing may be added.
forge() { # forge TEXT OTHER: the certificate with a right digest
    python - "$c" "$work/forged.json" "$@" <<'END'
import hashlib, json, sys
text = open(sys.argv[1]).read()
assert sys.argv[3] in text
text = text.replace(sys.argv[3], sys.argv[4], 1).replace(json.loads(text)["digest"], "0" * 64)
open(sys.argv[2], "w").write(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1))
END
}
forge '"layers": 4' '"layers": 48'
equals "$(check "$work/forged.json" --json)" 3 "a forged size: exit 3"
equals "$(json error field <"$work/out")" checkpoint.configuration.layers "names it"
forge '"parameters": ' '"parameters": 9'
equals "$(check "$work/forged.json" --json) $(json error field <"$work/out")" "3 checkpoint.parameters" "a forged total"
forge '"transformers": "5.23.0"' '"transformers": "9.9.9"'
equals "$(check "$work/forged.json" --json) $(json run_again 0 field <"$work/out")" "1 references[0].transformers" "a forged reference"
forge '"verdict": "agree"' '"verdict": "agree", "signed by": "the publisher"'
equals "$(check "$work/forged.json" --json) $(json error field <"$work/out")" "3 signed by" "a member that nothing checks"
forge '"made": "' '"made": "\u001b[2J'
equals "$(check "$work/forged.json" --sample 1) $(grep -c $'\x1b' "$work/out")" "0 0" "no control sequence reaches the terminal"
forge '"case": "text"' '"case": "\u001b[2J\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"'
equals "$(check "$work/forged.json" --json)" 1 "a long text in place of a name"
contains "$(json run_again 0 certified <"$work/out")" '"\u001B[2J\u00FC' "is told as far as it goes"
sed 's/"agree"/"equal"/' "$c" >"$work/altered.json"
equals "$(check "$work/altered.json" --json)" 3 "an altered certificate: exit 3"
equals "$(json error field <"$work/out")" digest "names the digest"
equals "$(check "$work/absent.json")" 3 "no such certificate: exit 3"
equals "$(check $f32)" 3 "something else: exit 3"
cp $f32 "$work/text.safetensors"
python tests/support/edit_trace.py "$work/text.safetensors" "$work/changed.safetensors" add thinker.model.norm 0 1e-3
mkdir "$work/moved"
cp "$c" "$work/moved/c.json"
cp "$work/changed.safetensors" "$work/moved/text.safetensors"
tessera=$(realpath "$tessera")
root=$PWD
cd "$work/moved" || exit 1
equals "$(check c.json --model "$root/$model" --json)" 3 "a golden that was changed: exit 3"
equals "$(json error field <"$work/out") $(json error file <"$work/out")" "cases[0].golden_sha256 text.safetensors" "names it"
cp "$root/$f32" "$root/$bf16" "$root/tests/golden/c-f32/stop.safetensors" .
equals "$(check c.json --model "$root/$model")" 0 "goldens beside the certificate are found"
cd "$root" || exit 1

equals "$(verify --model $model --golden $f32 --certificate "$work/no/c.json")" 4 "a place that is not there: exit 4"
equals "$(trap '' XFSZ; ulimit -f 4; exec 3>&1; "$tessera" verify --model $model --golden $f32 --ledger off --quiet \
    --certificate "$work/full.json" >/dev/null 2>&1; echo $?)" 4 "no room for it: exit 4"
mkdir "$work/folder"
equals "$(verify --model $model --golden $f32 --html "$work/folder")$(cat "$work/out")" 2 \
    "a folder in the place of the page: exit 2, before the work"
(trap '' XFSZ; ulimit -f 4; "$tessera" verify --model $model --golden $f32 --ledger off --quiet --html "$work/full.html" 2>&1;
    echo "exit $?") | cat >"$work/out"
contains "$(cat "$work/out")" "exit 4" "no room for the page: exit 4"
contains "$(cat "$work/out")" "0 failed: agree" "which does not cost the report"
equals "$(ls "$work" | grep -c full)" 0 "nothing half-written stays"
equals "$(verify --model $model --golden $f32 --check-certificate "$c")" 2 "with --golden: exit 2"
equals "$(verify --model $model --golden $f32 --sample 1)" 2 "--sample alone: exit 2"
equals "$(check "$c" --sample 0)" 2 "--sample 0: exit 2"

# ---- a screen ----
far=$work/a-folder-with-a-long-name/and-one-in-it-that-is-as-long-as-the-first
mkdir -p "$far"
cp $f32 "$far/golden-of-a-case-with-a-long-name.safetensors"
equals "$(verify --model $model --golden "$far"/*.safetensors --certificate "$far/c.json")" 0 "a golden far away"
equals "$(check "$far/c.json" --model $model)" 0 "comes out as certified"
equals "$(grep -c '^as certified  ….*: agree, ' "$work/out")" 1 "its path is shortened"
equals "$(grep '^as certified' "$work/out" | python -c 'import sys; print(max(len(l.rstrip("\n")) for l in sys.stdin) <= 80)')" True "to 80 columns"

# Media: counted, covered by the golden's digest, and prepared again where messages name them.
eyes=tests/golden/e
goldens=($eyes-f32/audio.safetensors $eyes-f32/omni.safetensors $eyes-bf16/video.safetensors)
equals "$(verify --model $eyes --golden "${goldens[@]}" --certificate "$work/m.json")" 0 "a certificate of goldens with media"
equals "$(json cases 0 media <"$work/m.json")" '{"clips": 1, "images": 0, "videos": 0, "prepared_again": true}' "a clip that was prepared again"
equals "$(json cases 1 media <"$work/m.json")" '{"clips": 1, "images": 1, "videos": 1, "prepared_again": false}' "one of each kind, as features alone"
equals "$(python -c 'import json, sys
for case in json.load(open(sys.argv[1]))["cases"]: print(len([t for t in case["taps"] if "_tower" in t["tap"] or ".visual" in t["tap"]]), end=" ")' "$work/m.json")" \
    "5 14 9 " "with every tap of the towers"
equals "$(grep -c '"media"' "$c")" 0 "a golden without media has none"
for options in "--threads 1 --isa reference --chunk 3" "--memory ${small/24/64}"; do
    equals "$(check "$work/m.json" --json $options)" 0 "checked with $options"
    equals "$(json run_again <"$work/out" | grep -o confirmed | wc -l)" 3 "all of it comes out again"
done
c=$work/m.json forge '"images": 1' '"images": 2'
equals "$(check "$work/forged.json" --json) $(json run_again 1 field <"$work/out")" "1 cases[1].media.images" "a forged count"
mkdir "$work/other"
cp "$work/m.json" "$work/other/m.json"
cp ${goldens[1]} ${goldens[2]} "$work/other"
python tests/support/edit_trace.py ${goldens[0]} "$work/other/audio.safetensors" add in.input_features 500 1e-4
cd "$work/other" || exit 1
equals "$(check m.json --model "$root/$eyes" --json) $(json error field <"$work/out")" "3 cases[0].golden_sha256" "another clip in a golden: exit 3"
cp "$root/${goldens[0]}" .
equals "$(check m.json --model "$root/$eyes" --json) $(json run_again 0 field <"$work/out")" "1 cases[0].text_checked" "without the clip's file it is not checked again, which is told"
cd "$root" || exit 1
