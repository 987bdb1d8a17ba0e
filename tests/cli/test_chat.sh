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
printf '/image cat.png\n/help\n' | chat 2>"$work/err" >/dev/null
contains "$(cat "$work/err")" "/image is not part of this version" "media is refused by name"
equals "$(exit_of chat --context 8 --prompt x)" 2 "--prompt belongs to run"
printf 'What is the capital of France?\n' | chat --context 8 >"$work/out" 2>"$work/err"
equals "$?" 2 "a question that does not fit the context"
contains "$(cat "$work/err")" "--context" "says what to do"
printf 'Hello!\na\xffb\n' | chat --json >"$work/out" 2>/dev/null
equals "$? $(tail -n 1 "$work/out" | json error offset)" "3 1" "broken UTF-8, by its offset in the question"
