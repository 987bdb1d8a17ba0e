#!/usr/bin/env bash
# Folders that others saved or tampered with: their templates, their tokenizer files, their names.
. tests/support/tap.sh
model=$work/model
mkdir "$model"
for file in demo/checkpoint/*; do ln -s "$PWD/$file" "$model"; done
ask() { exit_of "$tessera" "$@" --model "$model" --ledger off; }
question=(--prompt "What is the capital of France?" --max-new 2)

# A chat template that is not the published one.
equals "$(ask run "${question[@]}") $(grep -c template "$work/err")" "0 0" "no template: not a word"
plain=$(cat "$work/out")
printf '{{ boom }}' >"$model/chat_template.jinja"
equals "$(ask run "${question[@]}")" 0 "a foreign template file: answered by the published rules"
equals "$(cat "$work/out")" "$plain" "as without"
contains "$(cat "$work/err")" "chat_template.jinja: not the published chat template" "says so"
equals "$(ask run "${question[@]}" --quiet) $(grep -c template "$work/err")" "0 0" "--quiet does not"
equals "$(ask run --raw "${question[@]}") $(grep -c template "$work/err")" "0 0" "nor --raw, which uses none"
equals "$(echo "hello" | ask chat --max-new 1) $(grep -c template "$work/err")" "0 1" "chat says it once"
equals "$(ask trace "${question[@]:0:2}" --out "$work/t.safetensors") $(grep -c template "$work/err")" "0 1" "trace too"
equals "$(exit_of "$tessera" inspect "$model") $(grep -c template "$work/err")" "0 1" "inspect too"
golden=$(ls tests/golden/demo/f32/*.safetensors | head -1)
ask verify --golden "$golden" >/dev/null
equals "$(grep -c template "$work/err")" 1 "verify too"
rm "$model/chat_template.jinja" "$model/tokenizer_config.json"
python3 - demo/checkpoint/tokenizer_config.json "$model/tokenizer_config.json" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))
config["chat_template"] = "{{ boom }}"
json.dump(config, open(sys.argv[2], "w"))
PY
equals "$(ask run "${question[@]}") $(grep -c "tokenizer_config.json (chat_template): not the published" "$work/err")" "0 1" \
    "a template within tokenizer_config.json"

# Of generation_config.json the original's generate() takes nothing for the text: neither ends nor sampling.
first=$("$tessera" run "${question[@]:0:2}" --max-new 6 --model demo/checkpoint --ledger off --json | json tokens 0)
rm "$model/generation_config.json"
echo "{\"eos_token_id\": [$first], \"do_sample\": true, \"temperature\": 50.0, \"suppress_tokens\": [$first]}" >"$model/generation_config.json"
equals "$(ask run "${question[@]:0:2}" --max-new 6 --json) $(json tokens <"$work/out")" \
    "0 $("$tessera" run "${question[@]:0:2}" --max-new 6 --model demo/checkpoint --ledger off --json | json tokens)" \
    "generation_config.json changes no answer"

# What version 5 of the original saves: tokenizer.json alone.
saved=tests/golden/text/saved
equals "$(exit_of "$tessera" tokenize --model $saved "<|im_start|>The capital")" 0 "tokenizer.json alone is read"
ids=$(cat "$work/out")
equals "$ids" "$("$tessera" tokenize --model tests/golden/text "<|im_start|>The capital")" "to the ids of the other files"
# shellcheck disable=SC2086
equals "$("$tessera" detokenize --model $saved $ids)" "<|im_start|>The capital" "and back"

# Names that would steer a terminal.
esc=$(printf '\033')
mkdir "$work/names"
cp demo/checkpoint/config.json "$work/names"
python3 - "$work/names" <<'PY'
import json, struct, sys
header = json.dumps({"evil\x1b[2Jname\u202e\u009b": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
open(sys.argv[1] + "/model\x1b[31m.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + b"\0\0")
PY
for options in "" --check --tensors=* --checksum; do
    exit_of "$tessera" inspect "$work/names" ${options:+"$options"} >/dev/null
    equals "$(cat "$work/out" "$work/err" | grep -c -e "$esc" -e $'\u202e' -e $'\u009b')" 0 "inspect $options: no control character"
done
contains "$(cat "$work/out" "$work/err")" '\x1b' "it is spelled out"

equals "$(exit_of "$tessera" inspect "$work/names" --json --tensors '*')" 0 "inspect --json"
equals "$(grep -c -e "$esc" -e $'\u202e' -e $'\u009b' "$work/out")" 0 "no control character in JSON either"
equals "$(json tensor_list 0 name <"$work/out")" "evil${esc}[2Jname"$'\u202e\u009b' "which says the same"

# A model's text: as it is in a pipe, without control characters on a terminal.
ids=$("$tessera" tokenize --model $saved "a${esc}[2J"$'\n\tb\u202e')
# shellcheck disable=SC2086
equals "$("$tessera" detokenize --model $saved $ids)" "a${esc}[2J"$'\n\tb\u202e' "a pipe gets the text as it is"
# shellcheck disable=SC2086
equals "$(python3 -c 'import os, pty, sys
pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 4096))' "$tessera" detokenize --model $saved $ids </dev/null | tr -d "\r")" \
    $'a\\x1b[2J\n\tb\\u202e' "a terminal gets what is safe"
