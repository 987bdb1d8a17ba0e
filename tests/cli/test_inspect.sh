#!/usr/bin/env bash
# inspect from outside: what it shows, what --check accepts and names, checksums, exit codes. Checkpoints are
# hollow: of a tiny configuration to damage, and of the published one.
. tests/support/tap.sh
synthetic=${TESS_BUILD:-build/release-gcc}/synthetic
inspect() { "$tessera" inspect "$@"; }
q=thinker.model.layers.0.self_attn.q_proj.weight
shard1=model-00001-of-00003.safetensors shard3=model-00003-of-00003.safetensors

$synthetic --config tests/data/config_a.json --shards 3 --out "$work/a" >/dev/null

# --- what it shows
equals "$(exit_of inspect "$work/a")" 0 "inspect: exit 0"
contains "$(cat "$work/out")" "all                     593       3,827,073       7,654,146    7.30 MiB  100.0 %" "the totals"
contains "$(cat "$work/out")" "  routed experts        144         110,592         221,184" "the routed experts"
contains "$(cat "$work/out")" "dtypes  BF16 593" "the dtypes"
equals "$(cat "$work/err")" "" "nothing on standard error"
equals "$(exit_of inspect --model "$work/a" --json)" 0 "--model and --json: exit 0"
equals "$(wc -l <"$work/out")" 1 "one line of JSON"
equals "$(json components 0 name <"$work/out")" "thinker text" "the component's name"
equals "$(json bytes <"$work/out")" 7654146 "bytes"
equals "$(json parameters <"$work/out")" 3827073 "parameters"
equals "$(json dtypes <"$work/out")" '{"BF16": 593}' "dtypes"
equals "$(json problems <"$work/out")" '[]' "no problems"
equals "$(json shards 2 file <"$work/out")" $shard3 "shards by name"

equals "$(exit_of inspect "$work/a" --tensors '*.conv2d?.bias')" 0 "--tensors: exit 0"
equals "$(awk '{print $1, $2, $3}' "$work/out")" \
    "$(printf 'thinker.audio_tower.conv2d%d.bias BF16 [16]\n' 1 2 3)" "name, dtype, shape, in the order of places"
equals "$(exit_of inspect "$work/a" --tensors $q --json)" 0 "--tensors --json: exit 0"
equals "$(json tensor_list 0 shape <"$work/out")" "[32, 32]" "the shape"
equals "$(json tensor_list 0 shard <"$work/out")" $shard1 "the shard"
equals "$(exit_of inspect "$work/a" --tensors nothing)" 0 "a pattern that fits nothing: exit 0"
contains "$(cat "$work/err")" "no tensor matches 'nothing'" "and a remark"
inspect "$work/a" --tensors '*' 2>"$work/err" | head -n 1 >/dev/null
codes="${PIPESTATUS[0]}"
equals "$(cat "$work/err")" "" "a reader that goes away: no message"
[ "$codes" = 4 ] || [ "$codes" = 0 ]
result $? "and exit 4, or 0 if all fitted into the pipe"

# --- usage
equals "$(exit_of inspect)" 2 "no folder: exit 2"
equals "$(exit_of inspect "$work/a" b)" 2 "two folders: exit 2"
equals "$(exit_of inspect --direct maybe "$work/a")" 2 "--direct maybe: exit 2"
equals "$(exit_of inspect --help)" 0 "--help: exit 0"
equals "$(exit_of inspect "$work/none")" 3 "no such folder: exit 3"
equals "$(exit_of inspect --check --json "$work/none")" 3 "with --check too"
equals "$(json error code <"$work/out")" bad_input "an error object"
mkdir "$work/empty"
equals "$(exit_of inspect "$work/empty")" 3 "an empty folder: exit 3"
contains "$(cat "$work/err")" config.json "naming config.json"

# --- what --check finds
equals "$(exit_of inspect --check "$work/a")" 0 "--check of a whole checkpoint: exit 0"
contains "$(cat "$work/out")" "593 tensors in 3 shards, 7,654,146 bytes: exactly what config.json implies" "and says so"
equals "$(inspect --check --json "$work/a" | json complete)" true "complete"

damaged() { # damaged KIND TENSOR FOUND EXPECTED TEXT DAMAGE...: one damage, found by --check with exit 1
    local kind=$1 tensor=$2 found=$3 expected=$4 text=$5
    shift 5
    rm -rf "$work/d" && cp -r "$work/a" "$work/d"
    python tests/support/damage.py "$work/d" "$@"
    equals "$(exit_of inspect --check --json "$work/d")" 1 "$text: exit 1"
    python - "$work/out" "$kind" "$tensor" "$found" "$expected" <<'PY'
import json, sys
out, kind, tensor, found, expected = sys.argv[1:]
problems = json.load(open(out))["problems"]
fits = [p for p in problems if p["kind"] == kind and (p["tensor"] or "") == tensor
        and found in (p["found"] or "") and expected in (p["expected"] or "")]
if not fits: print("#", *problems[:5], sep="\n# ")
sys.exit(not fits)
PY
    result $? "$text: kind, tensor, found, expected"
    exit_of inspect --check "$work/d" >/dev/null
    contains "$(cat "$work/out")" "$(echo "$kind" | cut -c 1-10)" "$text: named as text too"
    [ "$(exit_of inspect "$work/d")" = 0 ]
    result $? "$text: plain inspect shows what it can"
}
damaged shape $q "BF16 [16, 64]" "BF16 [32, 32]" "wrong shape" shape $q 16,64
damaged dtype $q "F16 [32, 32]" "BF16 [32, 32]" "wrong dtype" dtype $q F16
damaged header $q 'dtype "Q4"' 'such as "BF16"' "unknown dtype" dtype $q Q4
damaged missing $q "no such tensor" "BF16 [32, 32]" "renamed tensor" rename $q thinker.extra
damaged extra thinker.extra "BF16 [32, 32]" "config.json" "extra tensor" rename $q thinker.extra
damaged missing $q "no such tensor" "as the index says" "missing tensor" remove $q
damaged offsets thinker.model.layers.0.self_attn.k_proj.weight "a gap" "where thinker.model.layers.0.input_layernorm.weight ends" \
    "gap" remove $q
damaged offsets $q "an overlap" "where thinker.model.layers.0.input_layernorm.weight ends" "overlap" offsets $q 65598,67646
damaged offsets $q "data offset 65601" "multiple of the element size 2" "odd offset" offsets $q 65601,67649
damaged offsets $q "2 bytes" "2048 bytes for BF16 [32, 32]" "offsets against shape" offsets $q 65600,65602
damaged truncated code2wav.decoder.6.conv.bias "a file of" "where this tensor ends" "truncated shard" truncate $shard3 -1
damaged header "header length" "9999999999" "in a file of" "header length beyond the file" length $shard1 9999999999
damaged header "header length" "a file of 5 bytes" "10 bytes or more" "a stump of a shard" truncate $shard1 5
damaged duplicate $q "a second time" "every name once" "duplicate name" duplicate $q
damaged misplaced $q "$shard1" "$shard3" "tensor in another shard" entry $q $shard3
damaged unlisted $q "one that is not" "listed in the index" "tensor not in the index" unlist $q
damaged shard "" "no such file" "1 tensors of the index" "missing shard" entry thinker.new model-00004-of-00003.safetensors
damaged path $q "../a/$shard1" "own folder" "path outside" entry $q ../a/$shard1
damaged path $q "/etc/passwd" "own folder" "absolute path" entry $q /etc/passwd
damaged shape thinker.lm_head.weight "[1024, 32]" "[2048, 32]" "another configuration" config thinker_config.text_config.vocab_size 2048
damaged missing thinker.model.layers.6.input_layernorm.weight "no such tensor" "BF16 [32]" "one layer more" \
    config thinker_config.text_config.num_hidden_layers 7
damaged extra talker.codec_head.weight "[3072, 32]" "config.json" "speech that the configuration switches off" \
    config enable_audio_output false

# --- config.json
unusable() { # unusable FIELD TEXT DAMAGE...
    local field=$1 text=$2
    shift 2
    rm -rf "$work/d" && cp -r "$work/a" "$work/d"
    python tests/support/damage.py "$work/d" "$@"
    equals "$(exit_of inspect --check --json "$work/d")" 3 "$text: --check exits 3"
    equals "$(json error field <"$work/out")" "$field" "$text: the field"
    equals "$(exit_of inspect "$work/d")" 0 "$text: plain inspect shows what it can"
    contains "$(cat "$work/err")" "$field" "$text: and names the field"
}
unusable thinker_config.text_config.num_experts "missing hyper-parameter" unconfig thinker_config.text_config.num_experts
unusable code2wav_config.rms_norm_eps "mistyped hyper-parameter" config code2wav_config.rms_norm_eps '"1e-5"'
unusable thinker_config.text_config.hidden_act "unknown activation" config thinker_config.text_config.hidden_act '"relu"'
rm "$work/d/config.json"
equals "$(exit_of inspect --check "$work/d")" 3 "no config.json: --check exits 3"

# --- checksums
python - "$work/a" <<'PY'
import random, struct, sys
random.seed(5)
for i in (1, 2, 3):
    with open(f"{sys.argv[1]}/model-0000{i}-of-00003.safetensors", "r+b") as f:
        start = 8 + struct.unpack("<Q", f.read(8))[0]
        f.seek(0, 2)
        size = f.tell() - start
        f.seek(start)
        finite = int.from_bytes(b"\x7f\xff" * (size // 2), "big")  # the exponent's last bit is never set
        f.write((int.from_bytes(random.randbytes(size), "big") & finite).to_bytes(size, "big"))
PY
equals "$(exit_of inspect --checksum "$work/a")" 0 "--checksum: exit 0"
equals "$(grep 'safetensors$' "$work/out")" "$(cd "$work/a" && sha256sum model-*.safetensors)" "shards as sha256sum has them"
equals "$(cat "$work/out")" "$(python - "$work/a" <<'PY'
import hashlib, json, struct, sys
from pathlib import Path
folder, lines, sha = Path(sys.argv[1]), [], lambda b: hashlib.sha256(b).hexdigest()
for path in sorted(folder.glob("*.safetensors")):
    raw = path.read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    header.pop("__metadata__")
    for name, e in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        digest = sha(raw[start + e["data_offsets"][0]:start + e["data_offsets"][1]])
        print(f"{digest}  {name}")
        lines.append(f"{name} {e['dtype']} [{', '.join(map(str, e['shape']))}] {digest}\n".encode())
    print(f"{sha(raw)}  {path.name}")
words = {"config.json": "other", "generation_config.json": "published", "preprocessor_config.json": "published"}
for path in sorted(path for path in folder.iterdir() if path.suffix != ".safetensors"):
    print(f"{sha(path.read_bytes())}  {path.name}  {words.get(path.name, 'not in the list')}")
print(f"{sha(b''.join(sorted(lines)))}  weights_sha256")
print(f"{sha((folder / 'config.json').read_bytes())}  config_sha256")
PY
)" "every tensor, shard, file and identity as Python's hashlib has them"
weights=$(awk '/weights_sha256/ {print $1}' "$work/out")
equals "$(inspect --checksum --json "$work/a" | json weights_sha256)" "$weights" "weights_sha256 in JSON"
equals "$(inspect --checksum --rehash --direct off "$work/a" | awk '/weights_sha256/ {print $1}')" "$weights" "the same with buffered reads"
equals "$(inspect --checksum --tensors $q "$work/a")" "$(grep " $q\$" "$work/out")" "--checksum --tensors sums only these"
# A small file that only somebody else may read costs nothing of the rest.
cp -r "$work/a" "$work/e" && cp "$tessera" "$work/program" && echo secret >"$work/e/a_secret" && chmod 0 "$work/e/a_secret"
as_user=()
[ "$(id -u)" != 0 ] || { as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups) && chmod 755 "$work"; }
equals "$(exit_of "${as_user[@]}" "$work/program" inspect --checksum --ledger off "$work/e")" 4 "a file that cannot be read: exit 4"
contains "$(cat "$work/err")" "e/a_secret: cannot open: Permission denied" "names it"
equals "$(tail -n 2 "$work/out")" "$(inspect --checksum --ledger off "$work/a" 2>/dev/null | tail -n 2)" "and all else is hashed"
equals "$(exit_of inspect --checksum --rehash --progress always "$work/a")" 0 "--progress always: exit 0"
contains "$(cat "$work/err")" "checksums" "a progress line"

rm -rf "$work/d" && cp -r "$work/a" "$work/d"
python tests/support/damage.py "$work/d" poke $q 17 c07f # a NaN
python tests/support/damage.py "$work/d" poke $q 40 80ff # minus infinity
python tests/support/damage.py "$work/d" poke code2wav.decoder.6.conv.bias 0 807f
equals "$(exit_of inspect --checksum "$work/d")" 1 "NaN and infinity: exit 1"
contains "$(cat "$work/err")" "$q: found 2 of 1024 weights NaN or infinite, the first is element 17" "tensor, count and element"
contains "$(cat "$work/err")" "code2wav.decoder.6.conv.bias: found 1 of 1" "each tensor"
equals "$(exit_of inspect --checksum --json --tensors $q "$work/d")" 1 "one tensor, with --json: exit 1"
equals "$(json problems 0 kind <"$work/out")" non_finite "the problem's kind"
equals "$(json tensor_list 0 non_finite <"$work/out")" 2 "the count"
python tests/support/damage.py "$work/d" truncate $shard3 -1
equals "$(exit_of inspect --checksum "$work/d")" 1 "a truncated shard: exit 1"
contains "$(cat "$work/out")" "unreadable  code2wav.decoder.6.conv.bias" "the tensor is called unreadable"
contains "$(cat "$work/out")" "unknown  weights_sha256" "and the identity unknown"

# --- checkpoints that the original implementation saved, and what it says of them in its goldens
whole() { # whole FOLDER TENSORS [GOLDEN]
    equals "$(exit_of inspect --check --checksum "$1")" 0 "$1 is whole, its weights finite"
    contains "$(cat "$work/out")" "$2 tensors in " "$1: $2 tensors"
    [ -z "$3" ] || equals "$(awk '/_sha256$/ {print $2, $1}' "$work/out")" "$(python - "$3" <<'PY'
import json, struct, sys
with open(sys.argv[1], "rb") as file:
    metadata = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]
for key in ("weights_sha256", "config_sha256"): print(key, metadata[key])
PY
)" "$1: the identity in its golden"
}
whole tests/golden/b 565 tests/golden/b-f32/text.safetensors
whole tests/golden/c 581 tests/golden/c-f32/text.safetensors
whole tests/golden/d 137 tests/golden/d-f32/text.safetensors
whole demo/checkpoint 623
if [ -d ../shared/golden/a ]; then
    whole ../shared/golden/a 593
else
    skip_without_shared "../shared/golden/a is whole"
fi

# --- the published configuration
$synthetic --out "$work/p" >/dev/null
equals "$(exit_of inspect --check "$work/p")" 0 "the hollow published checkpoint is whole"
contains "$(cat "$work/out")" "28,010 tensors in 15 shards, 70,519,637,090 bytes: exactly" "28,010 tensors, 15 shards, 70,519,637,090 bytes"
inspect --json "$work/p" >"$work/out"
equals "$(python -c 'import json, sys
for c in json.load(sys.stdin)["components"]: print(c["name"], c["tensors"], c["parameters"], c["bytes"])' <"$work/out")" \
    "thinker text 18867 30532646912 61065293824
audio tower 525 647927168 1295854336
vision tower 351 538631408 1077262816
talker 7951 3183026176 6366052352
code predictor 86 141570304 283140608
code2wav 230 216016577 432033154" "components as in the published inventory"
[ "$(json straddling_experts 0 <"$work/out")" != "" ]
result $? "at least one expert straddles two shards"
[ "$(du -sk "$work/p" | cut -f 1)" -lt 20000 ]
result $? "it takes less than 20 MB of disk"
timeout --preserve-status -s INT 1 "$tessera" inspect --checksum --quiet "$work/p" >/dev/null 2>"$work/err"
equals $? 130 "Ctrl-C while summing: exit 130"
python tests/support/damage.py "$work/p" rename thinker.model.layers.29.mlp.experts.85.up_proj.weight thinker.stray
python tests/support/damage.py "$work/p" shape talker.model.layers.19.mlp.experts.127.down_proj.weight 384,1024
python tests/support/damage.py "$work/p" entry thinker.visual.pos_embed.weight model-00009-of-00015.safetensors
python tests/support/damage.py "$work/p" truncate model-00003-of-00015.safetensors -4
rm "$work/p/model-00006-of-00015.safetensors"
equals "$(exit_of inspect --check "$work/p")" 1 "damaged in five places: exit 1"
for name in thinker.model.layers.29.mlp.experts.85.up_proj.weight thinker.stray thinker.visual.pos_embed.weight \
    talker.model.layers.19.mlp.experts.127.down_proj.weight model-00003-of-00015 model-00006-of-00015; do
    contains "$(cat "$work/out")" $name "$name is named"
done
rm -rf "$work/p"
$synthetic --components text,audio,vision --shards 16 --out "$work/t" >/dev/null
equals "$(exit_of inspect --check "$work/t")" 0 "a thinker-only checkpoint is whole"
contains "$(cat "$work/out")" "19,743 tensors in 16 shards, 63,438,410,976 bytes" "19,743 tensors, 63,438,410,976 bytes"

# ---- what was fetched in part ----
cp -r demo/checkpoint "$work/part"
truncate -s -100 "$work/part/model-00002-of-00004.safetensors"
equals "$(exit_of "$tessera" inspect --check "$work/part")" 1 "a shard that is cut off: exit 1"
contains "$(cat "$work/err")" "fetch it again" "what to do is said"
equals "$(exit_of "$tessera" inspect --check "$work/part" --quiet)$(cat "$work/err")" 1 "but not with --quiet"
equals "$(exit_of "$tessera" run --model "$work/part" --prompt x)" 3 "run: exit 3"
contains "$(cat "$work/err")" "'tessera inspect --check' lists all" "and says who tells more"
rm "$work/part/model-00002-of-00004.safetensors"
equals "$(exit_of "$tessera" inspect --check "$work/part")" 1 "a shard that is absent: exit 1"
contains "$(cat "$work/out")" ": 1 problem" "is one problem, whatever total_size says"
contains "$(cat "$work/err")" "fetch it again" "what to do is said"
equals "$(exit_of "$tessera" plan --model "$work/part")" 3 "plan: exit 3"
contains "$(cat "$work/err")" "'tessera inspect --check' lists all" "and says who tells more"
equals "$(exit_of "$tessera" inspect --check demo/checkpoint)$(cat "$work/err")" 0 "nothing of that for a whole one"
