#!/usr/bin/env bash
# chat from outside: turns, commands, a system text, and that a turn is what one run with the same history says.
. tests/support/tap.sh
model=demo/checkpoint
chat() { "$tessera" chat --model $model --memory 256MiB --quiet "$@"; }

equals "$(printf 'What is the capital of France?\nWhat is the capital of Italy?\n' | chat)" "$(printf 'Paris.\nRome.')" "two turns"
equals "$(printf 'What is 2 + 2?\n' | chat --json | json finish_reason)" stop "JSON, one object per answer"
one=$("$tessera" run --model $model --quiet --system "Be brief." --prompt "Who are you?")
equals "$(printf 'Who are you?\n' | chat --system "Be brief.")" "$one" "a system text"
equals "$(printf 'What is the capital of Italy?\n/reset\nWhat is the capital of France?\n' | chat 2>/dev/null | tail -n 1)" "Paris." "/reset"
equals "$(printf '/quit\nWhat is the capital of France?\n' | chat)" "" "/quit"
photo=tests/data/media/images/420.jpg
printf '/image %s\nWhat is it?\n/help\n' $photo | "$tessera" chat --model $model --memory 256MiB 2>"$work/err" >"$work/out"
equals "$? $(wc -l <"$work/out")" "0 1" "a question with a picture"
equals "$(cat "$work/out")" "$("$tessera" run --model $model --quiet --image $photo --prompt "What is it?")" "is answered as by run"
contains "$(cat "$work/err")" "$photo: 45 × 37, taken as 64 × 64, 4 tokens" "what it is taken as is said"
contains "$(cat "$work/err")" "/image FILE, /audio FILE and /video FILE" "/help lists media"
equals "$(awk 'length > 80' "$work/err")" "" "at most 80 columns"
refused() { # refused CODE SAID LINE [MEMORY]: a pipe whose first line is refused ends with its code, and the rest is asked
    printf '%s\nWhat is the capital of France?\n' "$3" | "$tessera" chat --model $model --memory "${4:-256MiB}" >"$work/out" 2>"$work/err"
    equals "$? $(cat "$work/out")" "$1 Paris." "$3: exit $1, and the next question is asked"
    contains "$(cat "$work/err")" "$2" "$3: $2"
}
refused 3 "cat.png: found no such file" "/image cat.png"
refused 3 "found a URL" "/image https://example.com/cat.png"
refused 2 "Say which file: /image" "/image"
[ -n "${TESS_SANITIZED:-}" ] || # whose memory is not the program's
    refused 5 "what is sure to do, the model included, is --memory" "/image $photo" 20MiB
equals "$(exit_of chat --context 8 --prompt x)" 2 "--prompt belongs to run"
printf 'What is the capital of France?\n' | chat --context 8 >"$work/out" 2>"$work/err"
equals "$?" 2 "a question that does not fit the context"
contains "$(cat "$work/err")" "--context" "says what to do"
long=$(printf 'word %.0s' $(seq 40))
printf 'Hello!\n%s\nWhat is the capital of Italy?\n' "$long" | chat --context 64 --max-new 8 --json >"$work/out" 2>/dev/null
equals "$? $(wc -l <"$work/out") $(sed -n 2p "$work/out" | json error code) $(sed -n 3p "$work/out" | json text)" "2 3 usage Rome." "the others are asked"
printf 'Hello!\na\xffb\n' | chat --json >"$work/out" 2>/dev/null
equals "$? $(tail -n 1 "$work/out" | json error offset)" "3 1" "broken UTF-8, by its offset in the question"
contains "$(cat "$work/out")" "Hello" "the question before it was asked"
printf 'What is the capital of France?\na\xffb\nWhat is the capital of Italy?\n' | chat >"$work/out" 2>"$work/err"
equals "$? $(tr '\n' ' ' <"$work/out")" "3 Paris. Rome. " "a question that is no UTF-8 is left out, and the others are asked"
contains "$(cat "$work/err")" "line 2, byte 1: found byte 0xff" "it is named by its line and the byte in it"
equals "$(printf 'What is the capital of France?\r\nWhat is the capital of Italy?\r\n' | chat)" "$(printf 'Paris.\nRome.')" "line ends of Windows"
asked() { # asked FORMAT: what a chat asked that read it, as JSON
    # shellcheck disable=SC2059 -- a format is meant
    printf "$1" | "$tessera" chat --model $model --memory 256MiB --max-new 1 --ledger "$work/ledger" --ledger-text >/dev/null 2>"$work/err"
    "$tessera" ledger export --ledger "$work/ledger" | python3 -c 'import json, sys
print(json.dumps([entry["prompt_text"] for entry in map(json.loads, sys.stdin) if entry.get("kind") == "run"]))'
    rm -f "$work/ledger"
}
equals "$(asked 'a\0b\n')" '["a\u0000b"]' "a NUL is part of the question, as in run"
equals "$(asked '  \t\n\n\r\n \nHi')" '["Hi"]' "lines of blanks are no turns"
equals "$(asked '/usr/bin holds what?\n/images of Paris\n/rest\n/quitting\n/reset the clock\n')" \
    '["/usr/bin holds what?", "/images of Paris", "/rest", "/quitting", "/reset the clock"]' "commands are whole words, and nothing else is taken for one"
equals "$(asked 'Hi\n/quit \nHo\n')" '["Hi"]' "a blank after a command does not matter"
equals "$(grep -c -- --max-new "$work/err")" 1 "an answer that is cut says so"
