#!/usr/bin/env bash
# The tool that writes synthetic checkpoints: the same bytes from any number of threads, complete in every combination
# of components, sparse where hollow, refusals, weights spread as stated, and routing that follows its knobs.
. tests/support/tap.sh
build=${TESS_BUILD:-build/release-gcc}
synthetic() { "$build/synthetic" "$@"; }
tiny="--config demo/checkpoint/config.json --tokenizer demo/checkpoint"
digest() { (cd "$1" && cat -- *.safetensors | sha256sum | cut -c 1-64); }
# shellcheck disable=SC2086 -- $tiny is meant to split

# --- the same seed, the same bytes
equals "$(exit_of synthetic --out "$work/a" $tiny --filled --seed 5 --shards 3 --threads 1)" 0 "filled: exit 0"
contains "$(cat "$work/out")" "623 tensors, 3869282 bytes, 3 shards in $work/a: 3869282 bytes of weights" "and what was written"
synthetic --out "$work/b" $tiny --filled --seed 5 --shards 3 --threads 7 >/dev/null
diff -r "$work/a" "$work/b" >/dev/null
result $? "seven threads write what one writes"
synthetic --out "$work/c" $tiny --filled --seed 6 --shards 3 >/dev/null
[ "$(digest "$work/a")" != "$(digest "$work/c")" ]
result $? "another seed writes something else"
synthetic --out "$work/d" $tiny --filled --seed 5 --shard-bytes 300kB >/dev/null
equals "$(find "$work/d" -name '*.safetensors' | wc -l)" 13 "--shard-bytes: as many shards as it takes"
weights() { "$tessera" inspect --quiet --ledger off --checksum "$1" | grep weights_sha256; }
equals "$(weights "$work/d")" "$(weights "$work/a")" "with the same weights"
# The one seed whose weights are known: a change of the generator changes every checkpoint measured on so far.
equals "$(weights "$work/a" | cut -c 1-16)" 6f077a9feb2bf16c "the weights of seed 5"

# --- whole, and no infinite or undefined weight
equals "$(exit_of "$tessera" inspect --check "$work/a")" 0 "a filled checkpoint is whole"
equals "$(exit_of "$tessera" inspect --ledger off --checksum "$work/a")" 0 "and finite"
whole() { # whole CONFIG TENSORS FILLED OPTION...: a checkpoint is complete, and that many tensors are not all zero
    local config=$1 n_tensor=$2 n_filled=$3
    shift 3
    rm -rf "$work/w"
    synthetic --out "$work/w" --config "$config" "$@" >/dev/null
    contains "$("$tessera" inspect --check "$work/w" | head -n 1)" "$n_tensor tensors in" "$*: $n_tensor tensors"
    equals "$(exit_of "$tessera" inspect --check "$work/w")" 0 "$*: whole"
    equals "$(python3 - "$work/w" <<'PY'
import json, struct, sys
from pathlib import Path
n = 0
for path in Path(sys.argv[1]).glob("*.safetensors"):
    raw = path.read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    for name, e in json.loads(raw[8:start]).items():
        if name != "__metadata__": n += any(raw[start + e["data_offsets"][0]:start + e["data_offsets"][1]])
print(n)
PY
)" "$n_filled" "$*: $n_filled of them filled"
}
whole tests/golden/b/config.json 565 565 --filled
whole tests/golden/b/config.json 565 0 --hollow
whole tests/golden/b/config.json 82 14 --filled --layers 1 --components text
whole demo/checkpoint/config.json 623 395 --filled --components text,code2wav
whole demo/checkpoint/config.json 618 516 --filled --components text --layers 9
whole tests/data/config_a.json 171 102 --filled --components audio,vision --layers 2
whole tests/golden/c/config.json 581 132 --filled --components talker,code_predictor --shards 400

# --- hollow: the released dimensions in a few megabytes
equals "$(exit_of synthetic --out "$work/p/" --layers 2)" 0 "hollow, two layers of the released dimensions: exit 0"
equals "$(exit_of "$tessera" inspect --check "$work/p")" 0 "whole"
[ "$(du -sk "$work/p" | cut -f 1)" -lt 4000 ]
result $? "in less than 4 MB of disk"
equals "$(json talker_config accept_hidden_layer <"$work/p/config.json")" 2 "the talker listens to a layer there is"

# --- refusals
mkdir "$work/full" && touch "$work/full/file"
refused() { # refused CODE PART TEXT OPTION...: exit code, part of the message, and nothing left behind
    local code=$1 part=$2 text=$3
    shift 3
    equals "$(exit_of synthetic "$@")" "$code" "$text: exit $code"
    contains "$(cat "$work/err")" "$part" "$text: the message"
}
refused 2 "--out is missing" "no folder"
refused 2 "--layrs" "a misspelt option" --out "$work/x" --layrs 3
refused 2 "a value is missing" "no value" --out
refused 2 'found "0", expected a whole number from 1 to 1024' "no layer" --out "$work/x" --layers 0
refused 2 'found "401", expected a whole number from 1 to 400' "too many shards" --out "$work/x" --shards 401
refused 2 "more than 400 shards" "too small shards" --out "$work/x" --shard-bytes 1MB
refused 2 'found "12 parsecs"' "no size" --out "$work/x" --shard-bytes "12 parsecs"
refused 2 'found "1", expected a number from 0 to 0.99' "all skew" --out "$work/x" --router-skew 1
refused 2 'found "text,sound"' "no such component" --out "$work/x" --components text,sound
refused 2 "exclude each other" "hollow and filled" --out "$work/x" --hollow --filled
refused 2 "belongs to no option" "a stray word" --out "$work/x" more
refused 3 "files in it" "a folder with something in it" --out "$work/full"
refused 3 "a file" "a file in the way" --out "$work/full/file"
ln -s nowhere "$work/link"
refused 3 "a link" "a link that leads nowhere in the way" --out "$work/link"
refused 3 "architectures" "no configuration" --out "$work/x" --config demo/checkpoint/generation_config.json
refused 3 "talker_config" "speech that the configuration lacks" --out "$work/x" --config tests/golden/b/config.json --components talker
refused 3 "vocab.json" "no tokenizer" --out "$work/x" --config tests/golden/b/config.json --tokenizer "$work/full"
refused 4 "$work/none/x" "a folder that cannot be made" --out "$work/none/x"
equals "$(bash -c "ulimit -f 500; '$build/synthetic' --out '$work/x' --filled $tiny" 2>"$work/err"; echo $?)" 4 "no room: exit 4"
contains "$(cat "$work/err")" "model-00001-of-00001.safetensors" "no room: the file"
# A pipe for a vocabulary holds the tool until the signal is there.
mkdir "$work/tokenizer" && cp demo/checkpoint/merges.txt "$work/tokenizer" && mkfifo "$work/tokenizer/vocab.json"
"$build/synthetic" --out "$work/x" --filled --config demo/checkpoint/config.json --tokenizer "$work/tokenizer" 2>"$work/err" &
pid=$!
while [ ! -e "$work/x.$pid.part" ]; do sleep 0.01; done
kill -INT $pid && cat demo/checkpoint/vocab.json >"$work/tokenizer/vocab.json"
wait $pid
equals $? 130 "Ctrl-C: exit 130"
equals "$(cat "$work/err")" "synthetic: interrupted" "and says so"
equals "$(find "$work" -maxdepth 1 -name 'x*')" "" "nothing is left of any of these"

# --- weights spread as stated
python3 - "$work" <<'PY'
import json, random, struct, sys
config = json.load(open("demo/checkpoint/config.json"))
config["enable_audio_output"] = False
thinker = config["thinker_config"]
thinker["text_config"].update(hidden_size=256, moe_intermediate_size=256, num_experts=32, num_experts_per_tok=4)
thinker["audio_config"].update(output_dim=256)
thinker["vision_config"].update(out_hidden_size=256)
json.dump(config, open(f"{sys.argv[1]}/wide.json", "w"))
random.seed(3)
ids = [random.randrange(1000) for _ in range(256)]
header = json.dumps({"in.input_ids": {"dtype": "I64", "shape": [256], "data_offsets": [0, 2048]}}).ljust(80).encode()
open(f"{sys.argv[1]}/ids.safetensors", "wb").write(struct.pack("<Q", 80) + header + struct.pack("<256q", *ids))
PY
synthetic --out "$work/wide" --config "$work/wide.json" --filled --layers 1 --shards 1 >/dev/null
python3 - "$work/wide/model-00001-of-00001.safetensors" >"$work/out" <<'PY'
import collections, json, math, re, struct, sys
raw = open(sys.argv[1], "rb").read()
start = 8 + struct.unpack("<Q", raw[:8])[0]
entropies, outside, mantissas, negative = [], [], collections.Counter(), 0
for name, e in json.loads(raw[8:start]).items():
    if not re.search(r"experts\.\d+\.(gate|up|down)_proj", name): continue
    data = raw[start + e["data_offsets"][0]:start + e["data_offsets"][1]]
    n = len(data) // 2
    pairs = collections.Counter(zip(data[0::2], data[1::2]))
    exponents = collections.Counter()
    for (low, high), count in pairs.items():
        exponents[high % 128 * 2 + low // 128] += count
        mantissas[low % 128] += count
        negative += count if high >= 128 else 0
    shares = sorted((count / n for count in exponents.values()), reverse=True)
    entropies.append(-sum(p * math.log2(p) for p in shares))
    outside.append(1e4 * (1 - sum(shares[:15])))
total = sum(mantissas.values())
mantissa = -sum(c / total * math.log2(c / total) for c in mantissas.values())
print("entropy", 2.6 < min(entropies) <= max(entropies) < 2.9)
print("outside", 3 < min(outside) < 20, 60 < max(outside) < 130)
print("mantissa", mantissa > 6.97, "sign", abs(negative / total - 0.5) < 0.001)
print("#", min(entropies), max(entropies), min(outside), max(outside), mantissa, negative / total)
PY
contains "$(cat "$work/out")" "entropy True" "exponents of a tensor: between 2.6 and 2.9 bits"
contains "$(cat "$work/out")" "outside True True" "outside the 15 most frequent: from some to a hundred in 10,000"
contains "$(cat "$work/out")" "mantissa True sign True" "mantissa and sign are noise"

# --- it runs
for dtype in f32 bf16; do
    equals "$(exit_of "$tessera" run --model "$work/a" --dtype $dtype --max-new 4 --memory 64MiB --top 1 --prompt "A and B")" 0 "a run in $dtype"
done
equals "$(exit_of "$tessera" plan --model "$work/a" --memory 64MiB)" 0 "a plan"

# --- routing follows its knobs
routing() { # routing SKEW REPEAT: tenths of per cent of choices to the top quarter, and of experts kept
    rm -rf "$work/r"
    synthetic --out "$work/r" --config "$work/wide.json" --filled --layers 2 --router-skew "$1" --router-repeat "$2" >/dev/null
    "$tessera" trace --quiet --model "$work/r" --memory 256MiB --inputs "$work/ids.safetensors" --out "$work/t.safetensors" \
        --taps 'thinker.model.layers.*.mlp.gate.indices' >/dev/null
    python3 tests/support/routing.py "$work/t.safetensors" 32 | awk '$1 == "mean" { print int(1000 * $2), int(1000 * $3) }'
}
read -r even_top even_kept < <(routing 0 0)
read -r skew_top _ < <(routing 0.6 0)
read -r repeat_top repeat_kept < <(routing 0 0.8)
echo "# top quarter $even_top $skew_top $repeat_top, kept $even_kept $repeat_kept"
[ "$even_top" -lt 450 ] && [ "$even_kept" -lt 250 ]
result $? "without skew and repetition: nearly even, nearly independent"
[ "$skew_top" -gt $((even_top + 200)) ]
result $? "skew: the top quarter is chosen more often"
[ "$repeat_kept" -gt $((even_kept + 150)) ] && [ "$repeat_top" -lt "$skew_top" ]
result $? "repetition: more experts are kept, and not because the same are chosen always"
