#!/usr/bin/env bash
# trace from outside: which taps, from which inputs, into which file, and what is refused.
. tests/support/tap.sh
model=tests/golden/c
golden=tests/golden/c-f32/text.safetensors
demo=demo/checkpoint
out=$work/out.safetensors
trace() { "$tessera" trace --quiet --memory "${memory:-1GiB}" --model $model "$@"; }
# header FILE: {"NAME": [dtype, shape], …, "__metadata__": {…}}, data checked for gaps and alignment.
header() { python -c 'import json, struct, sys
with open(sys.argv[1], "rb") as file:
    size, = struct.unpack("<Q", file.read(8))
    header, at, end = json.loads(file.read(size)), 0, file.seek(0, 2) - 8 - size
metadata = header.pop("__metadata__")
for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, stop = entry["data_offsets"]
    assert begin == at and begin % (8 if entry["dtype"] == "I64" else 4) == 0, name
    at = stop
assert at == end and size % 8 == 0
print(json.dumps({**{name: [entry["dtype"], entry["shape"]] for name, entry in header.items()}, "__metadata__": metadata}))' "$1"; }
names() { header "$1" | python -c 'import json, sys; print(*sorted(name for name in json.load(sys.stdin) if name != "__metadata__"))'; }
leftovers() { find "$work" -name '*.part' | wc -l; }

equals "$(exit_of trace --list)" 0 "--list: exit 0"
contains "$(cat "$work/out")" "tap.thinker.model.layers.2.mlp.gate.indices" "every tap is listed"
equals "$(LC_ALL=C sort "$work/out")" "$(names tests/golden/c-f32/omni.safetensors | tr ' ' '\n' | grep '^tap\.')" "and they are those of a golden with media"
equals "$(trace --list --json --taps 'thinker.lm*,tap.thinker.model.norm')" \
    '{"taps":["tap.thinker.model.norm","tap.thinker.lm_head"]}' "--list with --taps and --json"

equals "$(exit_of trace --inputs $golden --out "$out")" 0 "a golden's inputs: exit 0"
equals "$(wc -c <"$work/out")" 0 "nothing on standard output"
equals "$(header "$out" | json __metadata__ dtype)" float32 "dtype is noted"
equals "$(header "$out" | json __metadata__ generate)" 12 "how many tokens were asked for is noted"
equals "$(header "$out" | json __metadata__ config_sha256)" "$(sha256sum <$model/config.json | cut -d' ' -f1)" \
    "the configuration's digest is noted"
equals "$(header "$out" | json tap.thinker.generated)" '["I64", [12]]' "the generated tokens are there"
equals "$(header "$out" | json tap.thinker.position_ids)" '["F32", [3, 39]]' "positions are [3, n]"
equals "$(exit_of "$tessera" compare $golden "$out")" 0 "and agrees with the golden"

equals "$(exit_of trace --inputs "$out" --out "$work/again")" 0 "a trace's inputs are inputs too"
cmp -s "$out" "$work/again"
result $? "and give the same file"
equals "$(exit_of trace --inputs $golden --out "$work/again" --threads 1 --isa reference --chunk 1)" 0 "another way to run"
equals "$(exit_of "$tessera" compare --json "$out" "$work/again")" 0 "gives"
equals "$(json verdict <"$work/out")" equal "the same bits"

equals "$(exit_of trace --inputs tests/golden/c-f32/stop.safetensors --out "$out" --generate 200)" 0 "more than it says"
header "$out" | python -c 'import json, sys
dtype, (length,) = json.load(sys.stdin)["tap.thinker.generated"]
sys.exit(not (dtype == "I64" and length < 200))'
result $? "stops at the end token, and the file is whole"

equals "$(exit_of trace --inputs $golden --out "$out" --taps 'thinker.model.layers.?,thinker.lm_head' --last-logits --generate 0)" 0 \
    "--taps, --last-logits, --generate 0"
equals "$(names "$out")" "in.input_ids tap.thinker.lm_head tap.thinker.model.layers.0 tap.thinker.model.layers.1 \
tap.thinker.model.layers.2 tap.thinker.model.layers.3" "only those"
equals "$(header "$out" | json tap.thinker.lm_head)" '["F32", [1, 300]]' "lm_head of the last position only"

equals "$(exit_of trace --inputs tests/golden/c-f32/positions.safetensors --out "$out")" 0 "positions of its own"
equals "$(header "$out" | json in.position_ids 0)" F32 "are kept as inputs"

model=$demo
equals "$(exit_of trace --raw --prompt "The capital of France is" --taps thinker.lm_head --last-logits --out "$out" --json)" \
    0 "--raw --prompt"
equals "$(json out <"$work/out")" "$out" "--json names the file"
equals "$(json prompt_tokens <"$work/out")" "$("$tessera" tokenize --model $demo "The capital of France is" | wc -w)" \
    "the prompt's tokens"
equals "$(header "$out" | json __metadata__ raw)" "The capital of France is" "the text is noted"
equals "$(exit_of trace --system 'Say "little".' --prompt "What is the capital of France?" --taps thinker.generated \
    --generate 8 --out "$out")" 0 "a question by the chat template"
equals "$(header "$out" | json __metadata__ messages)" \
    '[{"role":"system","content":"Say \"little\"."},{"role":"user","content":"What is the capital of France?"}]' \
    "the messages are noted"
printf 'The capital of France is\n' | trace --raw --taps thinker.lm_head --out "$work/again"
equals "$(header "$work/again" | json __metadata__ raw)" "The capital of France is" "a prompt by standard input"

# ---- speech ----
equals "$(exit_of trace --prompt "What is the capital of France?" --generate 24 --speak 24 --out "$out")" 0 "--generate and --speak"
equals "$(exit_of "$tessera" compare tests/golden/demo/f32/speak_france.safetensors "$out" --json)" 0 "agree with what the original speaks"
[ "$(json taps_compared <"$work/out")" -gt 60 ]
result $? "in $(json taps_compared <"$work/out") taps"
equals "$(exit_of trace --prompt "Hello!" --generate 6 --speak 5 --out "$out")" 0 "--generate 6 --speak 5"
equals "$(for name in thinker.generated talker.codes code2wav.waveform; do header "$out" | json tap.$name 1; done | tr '\n' ' ')" "[6] [16, 4] [7125] " \
    "six tokens, five codes of which the last has no frame, and their sound"
equals "$(header "$out" | json __metadata__ generate) $(header "$out" | json __metadata__ speak)" "6 5" "both are noted"
"$tessera" run --model $model --ledger off --quiet --prompt "Hello!" --speak "$work/said.wav" --float --talker-temperature 0 --talker-max-new 5 >"$work/text"
python - "$out" "$work/said.wav" <<'P'
import json, struct, sys
data, wave = (open(path, "rb").read() for path in sys.argv[1:])
size, = struct.unpack("<Q", data[:8])
begin, end = json.loads(data[8:8 + size])["tap.code2wav.waveform"]["data_offsets"]
sys.exit(data[8 + size + begin:8 + size + end] != wave[wave.index(b"data") + 8:])
P
result $? "which is that of run, bit for bit"
equals "$(exit_of trace --inputs "$out" --out "$work/again")" 0 "a trace's inputs say both"
cmp -s "$out" "$work/again"
result $? "and give the same file"
for few in "--speak 5" "--generate 1 --speak 5"; do
    rm -f "$work/again"
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of trace --prompt "Hello!" $few --out "$work/again")" 2 "$few: exit 2"
    contains "$(cat "$work/err")" "expected at least 2: what is spoken is an answer without its last token" "says what --generate must be"
    [ ! -e "$work/again" ]
    result $? "and leaves no file"
done
model=tests/golden/c

mkdir "$work/there"
ln -s "there/trace" "$work/link"
equals "$(exit_of trace --inputs $golden --taps thinker.lm_head --out "$work/link")" 0 "through a link to a file yet to come"
chmod 600 "$work/there/trace"
equals "$(exit_of trace --inputs $golden --taps thinker.lm_head --out "$work/link")" 0 "through a link to a file"
equals "$(readlink "$work/link")" there/trace "the link stays"
equals "$(stat -c %a "$work/there/trace")" 600 "and the file is no more open than it was"

rm -f "$out"
equals "$(exit_of trace --inputs $golden)" 2 "no --out: exit 2"
equals "$(exit_of trace --inputs $golden --out "")$(grep -c -e --out "$work/err")" 21 "an empty --out: exit 2, by name"
equals "$(exit_of trace --inputs "" --out "$out")$(grep -c -e --inputs "$work/err")" 21 "empty --inputs: exit 2, by name"
equals "$(exit_of trace --inputs $golden --prompt x --out "$out")" 2 "two prompts: exit 2"
equals "$(exit_of trace --inputs $golden --out "$out" --taps 'thinker.lm_head,nonsense*')" 2 "a glob that fits nothing: exit 2"
contains "$(cat "$work/err")" "nonsense*" "the glob is named"
equals "$(exit_of trace --inputs $golden --out "$out" --taps 'a,,b')" 2 "an empty glob: exit 2"
equals "$(exit_of trace --inputs $golden --out "$out" --context 20)" 2 "a context too short: exit 2"
python3 tests/support/edit_trace.py $golden "$work/speaks" meta speak lots
equals "$(exit_of trace --inputs "$work/speaks" --out "$out" --json)" 3 "a file that says what it cannot"
equals "$(json error field <"$work/out")" speak "is told by the file's field, not by the option"
equals "$(memory=1MiB exit_of trace --inputs $golden --out "$out")" 5 "a budget too small: exit 5"
equals "$(exit_of trace --inputs "$work/absent" --out "$out")" 3 "no inputs: exit 3"
equals "$(exit_of trace --inputs $model/model-00001-of-00003.safetensors --out "$out")" 3 "no trace: exit 3"
equals "$(exit_of trace --inputs $golden --out "$out" --speak 3)" 3 "speech: exit 3"
equals "$(exit_of trace --inputs $golden --out "$work/no/such/folder")" 4 "a folder that is not there: exit 4"
equals "$(exit_of trace --inputs $golden --out /dev/null)" 2 "no regular file: exit 2"
for position in -1.5e16 3e38 1e6001 nan; do
    python tests/support/edit_trace.py tests/golden/c-f32/positions.safetensors "$work/edited" set in.position_ids 3 $position
    equals "$(exit_of trace --json --inputs "$work/edited" --out "$out")" 3 "a position of $position: exit 3"
    equals "$(json error field <"$work/out")" in.position_ids "and its tensor is named"
done
python tests/support/edit_trace.py $golden "$work/edited" set in.input_ids 3 300
equals "$(exit_of trace --json --inputs "$work/edited" --out "$out")" 3 "an id that is none: exit 3"
equals "$(json error field <"$work/out")" input_ids "and its tensor is named"
python tests/support/edit_trace.py $golden "$work/edited" rename in.input_ids in.pixel_values
equals "$(exit_of trace --json --inputs "$work/edited" --out "$out")" 3 "inputs of another kind: exit 3"
equals "$(json error field <"$work/out")" in.input_ids "what is missing is named"
[ ! -e "$out" ]
result $? "a refused trace leaves no file"
(ulimit -f 8; trap '' XFSZ; exit_of trace --inputs $golden --out "$out" >"$work/code")
equals "$(cat "$work/code")" 4 "no room for the file: exit 4"
[ ! -e "$out" ]
result $? "and no file"
trace --inputs $golden --out "$out" --json >&- 2>"$work/err"
equals "$?" 4 "a result that cannot be printed: exit 4"
equals "$(exit_of "$tessera" tokenize --model $demo x)" 0 "an open output"
"$tessera" tokenize --model $demo x >&- 2>"$work/err"
equals "$?" 4 "a closed one: exit 4"
contains "$(cat "$work/err")" "cannot write standard output" "and a message"
"$tessera" tokenize --model $demo <&- 2>"$work/err"
equals "$?" 4 "a closed input: exit 4"
rm -f "$out"

interrupted() { # interrupted SIGNAL TEXT OPTION...: once the temporary file is there
    local signal=$1 text=$2 pid
    shift 2
    "$tessera" trace --quiet --model $demo --threads 1 --isa reference --out "$out" "$@" 2>"$work/err" &
    pid=$!
    for _ in $(seq 2000); do [ "$(leftovers)" = 0 ] || break; sleep 0.005; done
    equals "$(leftovers)" 1 "$text: under way"
    kill -$signal $pid
    wait $pid
    equals "$?" 130 "$text: SIG$signal ends it with 130"
    [ ! -e "$out" ]
    result $? "$text: and leaves no file"
}
"$tessera" trace --quiet --ledger off --model $demo --raw --prompt x --generate 4000 --context 4096 --out "$out" <&- >&- 2>&- &
pid=$!
for _ in $(seq 2000); do [ "$(leftovers)" = 0 ] || break; sleep 0.005; done
equals "$(readlink /proc/$pid/fd/{0,1,2} | sort -u)" /dev/null "no file takes the place of a closed standard stream"
kill -TERM $pid
wait $pid
long=$(printf 'The capital of France is Paris. %.0s' $(seq 400))
interrupted INT "reading the prompt" --raw --prompt "$long" --chunk 1
interrupted TERM "reading the prompt" --raw --prompt "$long" --chunk 1
interrupted INT "generating" --raw --prompt "x" --generate 4000 --context 4096
interrupted TERM "generating" --raw --prompt "x" --generate 4000 --context 4096
interrupted HUP "generating" --raw --prompt "x" --generate 4000 --context 4096
equals "$(leftovers)" 0 "no temporary file stays anywhere"

# An output that would replace what is read is refused, and nothing is lost.
cp -r demo/checkpoint "$work/own" && chmod -R u+w "$work/own"
cp tests/golden/c-f32/text.safetensors "$work/golden.safetensors"
before=$(cat "$work"/own/* "$work/golden.safetensors" | sha256sum)
for out in model-00001-of-00004.safetensors config.json; do
    equals "$(exit_of "$tessera" trace --model "$work/own" --raw --prompt hi --out "$work/own/$out")" 2 "--out that is the model's $out"
done
ln -s golden.safetensors "$work/link.safetensors"
for out in golden.safetensors ./golden.safetensors link.safetensors; do
    equals "$(cd "$work" && exit_of "$OLDPWD/$tessera" trace --model "$OLDPWD/tests/golden/c" --inputs golden.safetensors --out $out)" 2 "--out that is --inputs, as $out"
done
contains "$(cat "$work/err")" "name another" "says what to do"
equals "$(exit_of "$tessera" compare "$work/golden.safetensors" tests/golden/c-f32/text.safetensors --html "$work/golden.safetensors")" 2 "--html that is compared"
equals "$(exit_of "$tessera" verify --model tests/golden/c --golden "$work/golden.safetensors" --html "$work/golden.safetensors")" 2 "--html that is the golden"
equals "$(exit_of "$tessera" verify --model tests/golden/c --golden "$work/golden.safetensors" --html "$work/new" --certificate "$work/./new")" 2 "--html and --certificate of one name"
equals "$(cat "$work"/own/* "$work/golden.safetensors" | sha256sum)" "$before" "no byte is lost"
