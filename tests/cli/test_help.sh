#!/usr/bin/env bash
# Help: every example it prints runs as printed; commands and options that are misspelled are guessed; what changes nothing
# in a command is not offered there.
. tests/support/tap.sh
commands=$("$tessera" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 10 ]
result $? "help lists the commands"
for word in help --help -h; do equals "$("$tessera" $word)" "$("$tessera" help)" "$word"; done
equals "$("$tessera" version)" "$("$tessera" --version)" "version"
equals "$(exit_of "$tessera")" 2 "no command: exit 2"
contains "$(cat "$work/err")" "Commands:" "and the overview"
for code in 0 1 2 3 4 5 130; do
    contains "$("$tessera" help)" "$(printf '\n  %3d  ' $code)" "exit code $code is explained"
done

# ---- examples: in a folder with the repository's data, where the published model's name leads to the demo's ----
mkdir "$work/bin" "$work/at"
ln -s "$PWD/$tessera" "$work/bin/tessera"
ln -s "$PWD/demo" "$PWD/tests" "$work/at/"
ln -s "$PWD/demo/checkpoint" "$work/at/Qwen3-Omni-30B-A3B-Instruct"
run_example() { (cd "$work/at" && PATH=$work/bin:$PATH bash -o pipefail -c "$1"); }
for command in $commands; do
    "$tessera" help "$command" >"$work/help"
    for flag in --help -h; do
        "$tessera" "$command" $flag | cmp -s - "$work/help"
        result $? "$command $flag says the same"
    done
    contains "$(cat "$work/help")" "130  interrupted" "$command: exit codes"
    examples=$(sed '1,/^Examples:/d; s/^  //' "$work/help")
    equals "$(wc -l <<<"$examples")" 2 "$command: two examples"
    while IFS= read -r example; do equals "$(exit_of run_example "$example")" 0 "$example"; done <<<"$examples"
done
equals "$(run_example "tessera tokenize --model demo/checkpoint Hello | tessera detokenize --model demo/checkpoint")" Hello "there and back"

# ---- guesses ----
guess() { # guess EXPECTED WORD...: exit 2, and what is said
    equals "$(exit_of "$tessera" "${@:2}")$(cat "$work/out")" 2 "${*:2}: exit 2"
    contains "$(cat "$work/err")" "$1" "${*:2}: $1"
}
guess "did you mean 'run'?" rnu
guess "did you mean 'verify'?" verfy
guess "did you mean 'verify'?" help verify-it
guess "'tessera help' lists them" frobnicate
guess "not part of this version" serve
guess "--temprature: no such option; did you mean --temperature?" run --temprature 1
guess "--max_new: no such option; did you mean --max-new?" run --max_new=5
guess "--to: could be --top-k, --top-p, --top" run --to 5
guess "--t: could be --temperature, --top-k" run --t 5
guess "--model: no such option; did you mean --model?" run -model x
guess "-m: no such option" run -m x
guess "--frobnicate: no such option" run --frobnicate
guess "--raw takes no value" run --raw=yes
guess "--model: a value is missing" run --model
equals "$(exit_of "$tessera" plan --modl x --json)" 2 "with --json as well: exit 2"
contains "$(json error message <"$work/out")" "did you mean --model?" "the guess is in the message"

# ---- what is offered, and what is taken in silence because every command with an engine takes it ----
offers() { "$tessera" help "$1" | grep -c -e "^  --$2 "; }
for option in seed ledger-text; do equals "$(offers plan $option)" 0 "plan: --$option changes nothing"; done
equals "$(offers trace seed)$(offers verify ledger-text)$(offers tokenize progress)$(offers compare quiet)" 0000 "nor do these"
equals "$(offers run seed)$(offers chat seed)$(offers verify seed)$(offers trace ledger-text)$(offers trace progress)" 11111 "these do"
equals "$(exit_of "$tessera" plan --model demo/checkpoint --memory 1GiB --seed 3)" 0 "a seed in a plan is taken all the same"
contains "$("$tessera" help plan)" "    5  " "plan can end with 5"
equals "$("$tessera" help tokenize | grep -c '^    [15]  ')" 0 "tokenize with neither 1 nor 5"
