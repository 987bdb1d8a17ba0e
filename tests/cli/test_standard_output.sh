#!/usr/bin/env bash
# A result that cannot be printed ends with 4 and one sentence that says so, but for a reader that went away.
. tests/support/tap.sh
model=demo/checkpoint
common="--model $model --memory 512MiB --ledger off"
"$tessera" run --model $model --memory 512MiB --raw --prompt x --max-new 1 --quiet >/dev/null # an entry in the ledger
commands=("run $common --raw --prompt x --max-new 3" "run $common --json --raw --prompt x --max-new 3"
    "run $common --raw --prompt x --max-new 0 --top 400" "run $common --json --nonsense"
    "chat $common" "chat $common --json" "plan $common" "plan $common --json" "ledger export" "ledger list --json"
    "inspect $model" "inspect $model --tensors * --json" "tokenize --model $model x" "tokenize --model $model --json x"
    "tokenize --model $model --jsonl" "detokenize --model $model --json 4" "trace $common --list" "trace $common --list --json"
    "compare tests/golden/demo/f32/turns.safetensors tests/golden/demo/f32/turns.safetensors --json"
    "verify $common --json --golden tests/golden/demo/f32/turns.safetensors" "help" "help run" "version --json")
set -f # "*" is a pattern of names
told() { grep -c "cannot write standard output: $1" "$work/err"; }
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086 -- words split
    {
        printf '"Hello"\n"Hello"\n' | "$tessera" $command >/dev/full 2>"$work/err"
        equals "${PIPESTATUS[1]} $(told 'No space left on device')" "4 1" "$command: a full disk"
        printf '"Hello"\n"Hello"\n' | "$tessera" $command >&- 2>"$work/err"
        equals "${PIPESTATUS[1]} $(told 'Bad file descriptor')" "4 1" "$command: a closed descriptor"
        mkfifo "$work/pipe"
        exec 7<>"$work/pipe" 8>"$work/pipe" 7<&-
        printf '"Hello"\n"Hello"\n' | "$tessera" $command >&8 2>"$work/err"
        equals "${PIPESTATUS[1]} $(told '')" "4 0" "$command: nobody reads"
        exec 8>&-
        rm "$work/pipe"
    }
done
