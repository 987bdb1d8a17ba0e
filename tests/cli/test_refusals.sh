#!/usr/bin/env bash
# Refusals name what the user did, and what would be right.
. tests/support/tap.sh
model=demo/checkpoint
run() { exit_of "$tessera" run --model "${folder:-$model}" --ledger off --quiet "$@"; }
says() { contains "$(cat "$work/err")" "$1" "$2"; }

equals "$(run --prompt hi --max-new 2147483647)" 2 "--max-new too large"
says "--max-new: found 2147483647, expected at most 2147483638 after a prompt of 9 tokens" "names the option and the limit"
python3 -c 'print("a b " * 40000)' >"$work/long"
"$tessera" run --model $model --ledger off --raw --max-new 1 <"$work/long" 2>"$work/err" >/dev/null
equals $? 2 "a prompt too long for the model"
says "the prompt: found 80001 tokens, expected at most 65536, the positions that this model has" "says so"
equals "$(grep -c -e --context "$work/err")" 0 "and does not propose --context"
equals "$(run --prompt "a b c d" --raw --context 3)" 2 "a prompt too long for --context"
says "--context: found " "names that"

for command in run plan tokenize; do
    equals "$(exit_of "$tessera" $command --model /no/such/folder)" 3 "$command: no such folder: exit 3"
    says "/no/such/folder: found no such folder" "says so"
    equals "$(exit_of "$tessera" $command --model $model/config.json)" 3 "$command: a file in its place: exit 3"
    says "config.json: found a file, expected the folder of a model" "says so"
done

for option in "1.0000001 --temperature 1" 1.5; do
    # shellcheck disable=SC2086
    equals "$(run --prompt hi --top-p $option)" 2 "--top-p $option"
    says "found ${option%% *}, expected" "is shown as it was typed"
done

equals "$(run --prompt hi --system $'abc\xffd')" 3 "a wrong byte in --system"
says "byte 3: --system: found byte 0xff, expected UTF-8" "is told by the option and its place there"
echo hi | "$tessera" chat --model $model --ledger off --quiet --system $'abc\xffd' >/dev/null 2>"$work/err"
says "byte 3: --system: found byte 0xff, expected UTF-8" "chat says the same"
equals "$(run --prompt $'ab\xff')" 3 "a wrong byte in --prompt"
says "byte 2: --prompt: found byte 0xff" "likewise"
printf 'a\xff' | "$tessera" run --model $model --ledger off --raw >/dev/null 2>"$work/err"
equals $? 3 "a wrong byte in standard input"
says "byte 1: standard input: found byte 0xff" "likewise"

for option in --threads --context --chunk --expert-slots; do
    equals "$(run --prompt hi $option 0)" 2 "$option 0"
    says "$option: found \"0\", expected a whole number of 1 or more" "is not the default in disguise"
done
for option in "--memory 99999999999999999999 8000000TiB" "--memory 8000001TiB 8000000TiB" "--memory 1e30 8000000TiB" \
    "--seed 18446744073709551616 18446744073709551615" "--threads 999999999999 256" "--threads 257 256" \
    "--context 2147483648 2147483647" "--max-new 99999999999999999999999 2147483647" "--top-k 2147483648 2147483647"; do
    read -r name value most <<<"$option"
    equals "$(run --prompt hi "$name" "$value")" 2 "$name $value"
    says "$name: found \"$value\", which is too large, expected at most $most" "says so, and what is taken"
done
for value in 1e3 -1 "" 0x10 0b; do
    equals "$(run --prompt hi --seed "$value")" 2 "--seed \"$value\""
    says "--seed: found \"$value\", expected a whole number of 0 or more" "is no number that is too large"
done
"$tessera" inspect $model --tensors mlp >"$work/out" 2>"$work/err"
says "names are matched as a whole, as by '*mlp*'" "a pattern that is a part of a name"
equals "$(exit_of "$tessera" compare tests/golden/demo/f32/turns.safetensors tests/golden/demo/bf16/turns.safetensors)" 3 "two dtypes"
says "--metrics-only measures without judging" "names what measures them"

# ---- what is no checkpoint, and what would be ----
for command in "inspect" "inspect --check" "plan" "run --prompt x --model" "trace --list --model" "verify --golden x --model"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of "$tessera" $command docs)" 3 "$command docs: exit 3"
    says "docs/config.json: found no such file: docs is no checkpoint, expected the folder of a checkpoint" "says what it is"
    # shellcheck disable=SC2086
    equals "$(exit_of "$tessera" $command demo)" 3 "$command demo: exit 3"
    says ", as in demo/checkpoint" "names the one inside"
done
golden=tests/golden/demo/f32/turns.safetensors
for words in "README.md $golden" "$golden README.md" "$golden demo/checkpoint/config.json"; do
    # shellcheck disable=SC2086
    equals "$(exit_of "$tessera" compare $words)" 3 "compare $words: exit 3"
    says "found no safetensors file" "says that it is none"
    equals "$(grep -c 'header length' "$work/err")" 0 "and not what a header would be"
done
contains "$("$tessera" compare README.md README.md 2>&1)" 'it begins with "# Tesser"' "a text shows how it begins"
head -c 4000 /dev/zero | tr '\0' '\377' >"$work/noise"
equals "$(exit_of "$tessera" compare $golden "$work/noise")" 3 "bytes of any kind: exit 3"
says "found no safetensors file, expected a safetensors file" "without showing them"

# ---- ranges in words ----
for value in -1 -0.5; do
    equals "$(run --prompt hi --temperature $value)" 2 "--temperature $value"
    says "--temperature: found $value, expected 0 (greedy) or more" "in words"
    equals "$(run --prompt hi --repetition-penalty $value)" 2 "--repetition-penalty $value"
    says "expected more than 0" "in words"
done
equals "$(run --prompt hi --temperature 5e-324)" 2 "--temperature 5e-324"
says "--temperature: found 5e-324, expected" "is shown as it was typed"
for value in 1.2e-38 1e-31 1e+31; do
    for option in "" "--temperature 1"; do
        # shellcheck disable=SC2086
        equals "$(run --prompt hi --max-new 1 --repetition-penalty $value $option)$(cat "$work/out")" 2 "--repetition-penalty $value $option"
        says "--repetition-penalty: found $value, expected 1e-30 to 1e30" "names the range"
    done
done

# What a clone without `git lfs` leaves.
for name in config.json vocab.json merges.txt tokenizer_config.json model-00002-of-00004.safetensors; do
    folder=$work/lfs
    rm -rf "$folder" && mkdir "$folder"
    for file in "$model"/*; do ln -s "$PWD/$file" "$folder"; done
    rm "$folder/$name"
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 4998765432\n' 7 >"$folder/$name"
    equals "$(run --prompt hi)" 3 "$name is a Git LFS pointer: exit 3"
    says "$name: found a Git LFS pointer, expected the file of 4998765432 bytes" "says so"
done

# Tensors under other names.
for change in "name.removeprefix('thinker.')" "'base.' + name"; do
    folder=$work/renamed
    rm -rf "$folder" && mkdir "$folder"
    cp $model/*.json $model/merges.txt "$folder"
    python3 - $model "$folder" "$change" <<'PY'
import json, pathlib, struct, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors")):
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + n])
    renamed = {name if name == "__metadata__" else eval(sys.argv[3]): value for name, value in header.items()}
    text = json.dumps(renamed).encode()
    (pathlib.Path(sys.argv[2]) / path.name).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + n:])
path = pathlib.Path(sys.argv[2]) / "model.safetensors.index.json"
index = json.loads(path.read_text())
index["weight_map"] = {eval(sys.argv[3]): shard for name, shard in index["weight_map"].items()}
path.write_text(json.dumps(index))
PY
    equals "$(run --prompt hi)" 3 "renamed tensors: exit 3"
    says "thinker.model.embed_tokens.weight: found no such tensor, but one named $(python3 -c "
name = 'thinker.model.embed_tokens.weight'
print($change)")" "names the one that is there"
done
equals "$(exit_of "$tessera" run demo/checkpoint)" 2 "a folder as a word"
contains "$(cat "$work/err")" "goes after --model" "says where it goes"
