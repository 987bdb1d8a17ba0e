#!/usr/bin/env bash
# A checkpoint that thinks before it answers: its reasoning apart in JSON, as it stands in plain text, dimmed on a terminal;
# --think off asks with the template's closed thought. And one that speaks, which thinks nothing, whatever it says.
. tests/support/tap.sh
thinker=$work/thinker speaker=$work/speaker
for folder in e f; do
    to=$thinker
    [ $folder = e ] || to=$speaker
    python tests/support/make_thinker.py tests/golden/$folder "$to"
    result $? "a checkpoint made of tests/golden/$folder"
done
run() { "$tessera" run --ledger off --quiet --memory 512MiB --model "$thinker" --prompt "Why?" "$@"; }
chat() { "$tessera" chat --ledger off --quiet --memory 512MiB --model "$thinker" "$@"; }
said=$'<think>\nHm, yes!\n</think>\n\nFine.'
field() { python -c 'import json, sys; print(repr(json.loads(sys.stdin.readlines()[int(sys.argv[1])]).get(sys.argv[2])))' "$@" <"$work/out"; }
ids_as_text() { python -c 'import json, sys; print(*json.load(sys.stdin)["prompt_ids"])' <"$work/out" | "$tessera" detokenize --model "$thinker"; }
open=$'<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n'

# ---- run ----
equals "$(exit_of run --json)" 0 "run --json"
equals "$(field 0 reasoning) $(field 0 text) $(field 0 finish_reason)" "'Hm, yes!' 'Fine.' 'stop'" "the reasoning and the answer, apart"
equals "$(ids_as_text)" "${open%?}" "the prompt leaves it open"
for how in "" "--think on"; do
    # shellcheck disable=SC2086 -- words split, or none
    equals "$(exit_of run $how) $(cat "$work/out")" "0 $said" "run $how: the text as it was generated"
done
equals "$(exit_of run --json --max-new 2)" 0 "cut while it thinks"
equals "$(field 0 reasoning) $(field 0 text) $(field 0 finish_reason)" "'Hm' '' 'length'" "all of it is reasoning"
equals "$(exit_of run --json --think off)" 0 "run --think off"
equals "$(ids_as_text)" "$open"$'<think>\n\n</think>' "asks with a closed thought"
equals "$(field 0 reasoning) $(field 0 text)" "None 'Fine.'" "there is no reasoning"
equals "$(exit_of run --think off) $(cat "$work/out")" "0 Fine." "and none in plain text"

# ---- chat ----
printf 'Why?\nWhy?\n' | chat --json >"$work/out"
for turn in 0 1; do
    equals "$(field $turn reasoning) $(field $turn text)" "'Hm, yes!' 'Fine.'" "chat --json, question $((turn + 1))"
done
equals "$(printf 'Why?\nWhy?\n' | chat)" "$said"$'\n'"$said" "chat: the text as it was generated"
equals "$(printf 'Why?\nWhy?\n' | chat --think off)" $'Fine.\nFine.' "chat --think off"

# ---- a model that speaks ----
thinker=$speaker
equals "$(exit_of run --json)" 0 "a model that speaks"
equals "$(json text <"$work/out") $(field 0 reasoning)" "$said None" "says all of it"
equals "$(exit_of run --think off)" 2 "and refuses --think"

# ---- on a terminal ----
while read -r code text; do result "$code" "$text"; done < <(python3 tests/support/chat_terminal.py "$tessera" "$work" "$work/thinker" "$speaker")
wait $!
result $? "nothing kept the rest from being tried"
