#!/usr/bin/env bash
# The demo checkpoint hears and sees: of the files in demo/media, which it was not trained on, it says what the original
# says, in both precisions and within a budget that is hardly enough; `make demo` shows one of each kind.
. tests/support/tap.sh
model=demo/checkpoint
answers=tests/golden/demo/answers.json
run() { "$tessera" run --model $model --quiet --max-new 24 "$@"; }

names=$(python -c 'import json; print(*json.load(open("'$answers'"))["media"])')
for name in $names; do
    kept() { json media $name "$@" <$answers; }
    part() { kept messages 0 content "$@"; }
    kind=$(part 0 type)
    for dtype in f32:float32 bf16:bfloat16; do
        run --memory 512MiB --dtype ${dtype%:*} "--$kind" "$(part 0 "$kind")" --prompt "$(part 1 text)" --json >"$work/answer.json"
        equals "$(json prompt_ids <"$work/answer.json")" "$(kept prompt_ids)" "$name, ${dtype%:*}: the original's prompt ids"
        equals "$(json tokens <"$work/answer.json")" "$(kept ${dtype#*:} ids)" "$name, ${dtype%:*}: the original's greedy tokens"
        equals "$(json text <"$work/answer.json")" "$(kept ${dtype#*:} text)" "$name, ${dtype%:*}: its text"
    done
    kept messages >"$work/talk.json"
    equals "$(run --memory 512MiB --messages "$work/talk.json")" "$(kept float32 text)" "$name: the same from a file of messages"
done
equals "$(for kind in image audio video; do grep -c -- "--$kind demo/media/" tools/demo; done | tr '\n' ' ')" "1 1 1 " \
    "the demo shows one of each kind"
