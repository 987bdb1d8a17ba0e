#!/usr/bin/env bash
# --messages of run and trace from outside: the original's answers to conversations, what a trace notes, refusals.
. tests/support/tap.sh
model=demo/checkpoint
answers=tests/golden/demo/answers.json
run() { "$tessera" run --model $model --memory 512MiB --quiet "$@"; }
trace() { "$tessera" trace --model $model --memory 512MiB --quiet "$@"; }

# ---- the original's conversations ----
for name in france system turns nfc; do
    prompt() { json prompts $name "$@" <$answers; }
    prompt messages >"$work/talk.json"
    run --messages "$work/talk.json" --max-new "$(prompt generate)" --json >"$work/answer.json"
    equals "$(json prompt_ids <"$work/answer.json")" "$(prompt prompt_ids)" "$name: the original's prompt ids"
    equals "$(json tokens <"$work/answer.json")" "$(prompt float32 ids)" "$name: the original's greedy tokens"
    equals "$(json text <"$work/answer.json")" "$(prompt float32 text)" "$name: its text"
done
json prompts turns messages <$answers >"$work/talk.json"
golden=tests/golden/demo/f32/turns.safetensors
equals "$(exit_of trace --messages "$work/talk.json" --generate 24 --out "$work/ours")" 0 "trace --messages: exit 0"
equals "$(exit_of "$tessera" compare $golden "$work/ours")" 0 "agrees with the original's golden"
notes() { python3 -c 'import json, struct, sys
file = open(sys.argv[1], "rb"); size, = struct.unpack("<Q", file.read(8))
print(json.loads(file.read(size))["__metadata__"][sys.argv[2]])' "$@"; }
equals "$(notes "$work/ours" messages | json)" "$(json <"$work/talk.json")" "the messages are noted"
equals "$(exit_of "$tessera" verify --json --model $model --golden "$work/ours")" 0 "what was noted is what was run"
equals "$(json text_checked <"$work/out")" true "as verify checks it"

# ---- parts ----
question='What is the capital of France?'
cat >"$work/parts.json" <<'J'
[{"role": "user", "content": [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]}]
J
equals "$(run --messages "$work/parts.json")" "$(run --prompt "$question")" "a list of texts is their text"
equals "$(exit_of trace --messages "$work/parts.json" --taps thinker.lm_head --last-logits --out "$work/ours")" 0 "and traced"
equals "$(notes "$work/ours" messages)" \
    '[{"role":"user","content":[{"type":"text","text":"What is the capital "},{"type":"text","text":"of France?"}]}]' \
    "is noted as a list"

# ---- refusals ----
equals "$(exit_of run --messages "$work/talk.json" --prompt x)" 2 "--messages and --prompt"
equals "$(exit_of run --messages "$work/talk.json" --system x)" 2 "--messages and --system"
equals "$(exit_of run --messages "$work/talk.json" --raw)" 2 "--messages and --raw"
equals "$(exit_of trace --messages "$work/talk.json" --inputs $golden --out "$work/none")" 2 "--messages and --inputs"
contains "$(cat "$work/err")" "--messages" "is named"
equals "$(exit_of run --messages "$work/absent" --json)" 3 "no such file"
equals "$(json error file <"$work/out")" "$work/absent" "is named"
equals "$(exit_of run --messages "$work" --json)" 3 "a folder"
refusal() { # refusal TEXT FIELD MESSAGES
    printf '%s' "$3" >"$work/bad.json"
    equals "$(exit_of run --messages "$work/bad.json" --json)" 3 "$1: exit 3"
    equals "$(json error field <"$work/out")" "$2" "$1: $2"
    equals "$(exit_of trace --messages "$work/bad.json" --out "$work/none")" 3 "$1: exit 3 by trace"
}
refusal "no JSON" messages 'user: hello'
refusal "no list" messages '{"messages": []}'
refusal "nothing said" messages '[]'
refusal "an unknown role" 'messages[1].role' '[{"role": "user", "content": "x"}, {"role": "king", "content": "x"}]'
refusal "no content" 'messages[0].content' '[{"role": "user"}]'
refusal "a part without its type" 'messages[0].content[0].type' '[{"role": "user", "content": [{"text": "x"}]}]'
refusal "an unknown part" 'messages[0].content[1].type' '[{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "smell"}]}]'
refusal "tool calls" 'messages[0].tool_calls' '[{"role": "assistant", "content": "x", "tool_calls": [{}]}]'
refusal "one message too many" messages "[$(for _ in $(seq 4096); do printf '{"role": "user", "content": "x"}, '; done){}]"
equals "$("$tessera" run --model $model --messages "$work/bad.json" --json 2>/dev/null | json error found)" 4097 "and how many there are"
for kind in image audio video; do
    refusal "a part of type $kind" 'messages[0].content[1]' \
        '[{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "'$kind'", "'$kind'": "file"}]}]'
    contains "$(cat "$work/err")" "file: found no such file" "the file of the $kind is named"
done
[ ! -e "$work/none" ]
result $? "a refused trace leaves no file"

# ---- messages that are taken over find their media from where the trace lies ----
mkdir -p "$work/first/media" "$work/other/deep"
cp tests/data/media/images/420.jpg "$work/first/media/p.jpg"
trace --image "$work/first/media/p.jpg" --prompt "What?" --taps thinker.generated --generate 1 --out "$work/whole"
near() { # near NAME KEY PATH: the trace with its picture named by a path
    python3 tests/support/edit_trace.py "$work/whole" "$work/first/$1" meta messages \
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"$2\":\"$3\"},{\"type\":\"text\", \"text\":\"What?\"}]}]"
}
near golden image media/p.jpg
near keyed path ../first/media/p.jpg
near lost image media/none.jpg
near far image "data:image/png;base64,xyz"
for name in golden keyed; do
    equals "$(exit_of trace --inputs "$work/first/$name" --out "$work/other/deep/$name")" 0 "$name: traced into another folder"
    equals "$(exit_of "$tessera" verify --json --ledger off --model $model --golden "$work/other/deep/$name")" 0 "is verified there"
    equals "$(json text_checked <"$work/out")" true "with its picture"
done
ln -s "../other/led" "$work/first/link"
trace --inputs "$work/first/golden" --out "$work/first/link"
equals "$(exit_of "$tessera" verify --json --ledger off --model $model --golden "$work/other/led")$(json text_checked <"$work/out")" 0true "a link is another folder"
(cd "$work/first" && "$OLDPWD/$tessera" trace --model "$OLDPWD/$model" --ledger off --quiet --inputs golden --out ../other/seen)
equals "$(exit_of "$tessera" verify --json --ledger off --model $model --golden "$work/other/seen")$(json text_checked <"$work/out")" 0true "names without a folder"
trace --inputs "$work/first/lost" --out "$work/other/lost"
equals "$(notes "$work/other/lost" messages | json 0 content 0 image)" "$(realpath "$work/first")/media/none.jpg" "a picture that is not there is named where it was"
for name in golden lost far; do
    trace --inputs "$work/first/$name" --out "$work/first/again"
    equals "$(notes "$work/first/again" messages)" "$(notes "$work/first/$name" messages)" "$name: in its own folder the messages stay as they are"
done
trace --inputs "$work/first/far" --out "$work/other/far"
equals "$(notes "$work/other/far" messages)" "$(notes "$work/first/far" messages)" "and where no path is in them"

# ---- the ledger ----
run --ledger "$work/ledger.sqlite" --ledger-text --messages "$work/parts.json" >/dev/null
python3 - "$work/ledger.sqlite" <<'P'
import json, sqlite3, sys
kind, text = sqlite3.connect(sys.argv[1]).execute("SELECT prompt_kind, prompt_text FROM runs").fetchone()
sys.exit(not (kind == "messages" and json.loads(text)[0]["content"][1]["text"] == "of France?"))
P
result $? "the ledger keeps messages as messages"
