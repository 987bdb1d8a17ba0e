#!/usr/bin/env bash
# tokenize and detokenize from outside: outputs, JSON, exit codes, refusals.
. tests/support/tap.sh
model=tests/golden/text
published=../shared/data/qwen3_omni
tokenize() { "$tessera" tokenize --model $model "$@"; }
detokenize() { "$tessera" detokenize --model $model "$@"; }
exit_of() { "$@" >"$work/out" 2>"$work/err"; echo $?; } # standard input stays open to what is piped in

ids=$(tokenize "The capital of France is Paris.")
equals "$(detokenize $ids)" "The capital of France is Paris." "text to ids and back"
equals "$(detokenize "$ids")" "The capital of France is Paris." "ids as one word"
equals "$(printf '%s' "The capital of France is Paris." | tokenize)" "$ids" "standard input"
equals "$(echo "$ids" | detokenize | tail -c 1)" "." "detokenize adds no line end to a pipe"
equals "$(tokenize '')" "" "an empty text has no ids"
equals "$(detokenize '')" "" "no ids give no text"

printf 'a\n\xcc\x81b\n\n' >"$work/text"
tokenize <"$work/text" | detokenize | cmp -s - "$work/text"
result $? "standard input is taken as it is, line ends included"
printf 'e\xcc\x81 \xe1\x84\x80\xe1\x85\xa1' | tokenize | detokenize >"$work/nfc"
printf '\xc3\xa9 \xea\xb0\x80' | cmp -s - "$work/nfc"
result $? "what comes back is the NFC"

special='<|im_start|>user'
first() { echo "${1%% *}"; }
equals "$(first "$(tokenize "$special")")" 809 "special tokens are recognised"
[ "$(first "$(tokenize --no-special "$special")")" != 809 ]
result $? "--no-special takes them as text"
equals "$(tokenize --no-special "$special" | detokenize)" "$special" "and gives them back"
equals "$(tokenize "$special" | detokenize --skip-special)" "user" "--skip-special"
equals "$(tokenize '<think>x' | detokenize --skip-special)" "<think>x" "--skip-special keeps what is not special"

equals "$(tokenize --json "<|im_end|>a")" "{\"ids\":[810,$(tokenize a)]}" "tokenize --json"
equals "$(detokenize --json 810)" '{"text":"<|im_end|>"}' "detokenize --json"
printf '"a"\n""\n"\\u0000\\ud83d\\ude42 <|im_end|>"\n' >"$work/lines"
tokenize --jsonl <"$work/lines" >"$work/ids"
equals "$(sed -n 1,2p "$work/ids" | tr '\n' ' ')" "[$(tokenize a)] [] " "--jsonl: an array for each string"
equals "$(detokenize --jsonl <"$work/ids" | tail -1)" "\"\\u0000$(printf '\xf0\x9f\x99\x82') <|im_end|>\"" "--jsonl: and back"
equals "$(wc -l <"$work/ids")" 3 "--jsonl: as many lines"

equals "$(exit_of tokenize $'a\xff')" 3 "no UTF-8: exit 3"
grep -q 'byte 1' "$work/err"
result $? "no UTF-8: the offset is named"
equals "$(exit_of tokenize --json $'a\xff')" 3 "no UTF-8 with --json: exit 3"
equals "$(grep -o '"offset":[0-9]*' "$work/out")" '"offset":1' "no UTF-8 with --json: the offset"
equals "$(exit_of detokenize 1 99999)" 3 "an unknown id: exit 3"
grep -q '99999' "$work/err"
result $? "an unknown id is named"
equals "$(exit_of detokenize 1 x2)" 3 "no number: exit 3"
equals "$(exit_of detokenize -- -1)" 3 "a negative id: exit 3"
equals "$(exit_of tokenize a b)" 2 "two texts: exit 2"
equals "$(exit_of "$tessera" tokenize a)" 2 "no --model: exit 2"
equals "$(exit_of tokenize --nonsense a)" 2 "an unknown option: exit 2"
equals "$(exit_of tokenize --jsonl a)" 2 "--jsonl and a text: exit 2"
equals "$(exit_of "$tessera" tokenize --model "$work" a)" 3 "no tokenizer there: exit 3"
grep -q "$work/vocab.json" "$work/err"
result $? "no tokenizer there: the file is named"
for line in '"a' '7' '"\ud800"'; do
    equals "$(echo "$line" | exit_of tokenize --jsonl)" 3 "--jsonl $line: exit 3"
done
for line in '"a"' '[1.5]' '[-1]' '[99999]'; do
    equals "$(echo "$line" | exit_of detokenize --jsonl)" 3 "--jsonl of ids $line: exit 3"
done
echo "$ids" | detokenize --json >/dev/full 2>"$work/err"
equals $? 4 "a full disk: exit 4"
for command in tokenize detokenize; do
    "$tessera" $command --help >"$work/out"
    equals "$? $(grep -c '^Examples:\|^  --model DIR\|^  --jsonl\|^  tessera\|^  printf' "$work/out")" "0 5" "$command --help"
done

text="a published tokenizer: The capital of France is"
if [ -d $published ]; then
    equals "$("$tessera" tokenize --model $published "The capital of France is")" "785 6722 315 9625 374" "$text"
else
    skip_without_shared "$text"
fi
