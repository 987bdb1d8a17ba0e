#!/usr/bin/env bash
# Help: every example it prints runs as printed; commands and options that are misspelled are guessed; what changes nothing
# in a command is not offered there.
. tests/support/tap.sh
commands=$("$tessera" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 10 ]
result $? "help lists the commands"
for word in help --help -h; do equals "$("$tessera" $word)" "$("$tessera" help)" "$word"; done
for word in --version -V -v; do equals "$("$tessera" $word)" "$("$tessera" version)" "$word"; done
for words in "version x" "--version x" "help run extra" "--help run extra"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of "$tessera" $words)$(cat "$work/out")" 2 "$words: a word too many: exit 2"
    contains "$(cat "$work/err")" "'${words##* }' is too much" "$words: which is named"
done
for words in "help help" "help version"; do
    # shellcheck disable=SC2086
    equals "$("$tessera" $words)" "$("$tessera" help)" "$words"
done
equals "$("$tessera" version --json | json version)" "$("$tessera" version | cut -d ' ' -f 2)" "the version as JSON"
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
equals "$("$tessera" help | awk 'length > 80')" "" "the overview: at most 80 columns"
# As a terminal's user would copy them, over several lines, and as one.
contains "$("$tessera" help chat)" $' \\\n      | tessera chat' "a long example goes over several lines"
run_example() { (cd "$work/at" && PATH=$work/bin:$PATH bash -o pipefail -c "$1"); }
for command in $commands; do
    "$tessera" help "$command" >"$work/help"
    for flag in --help -h; do
        "$tessera" "$command" $flag | cmp -s - "$work/help"
        result $? "$command $flag says the same"
    done
    contains "$(cat "$work/help")" "130  interrupted" "$command: exit codes"
    equals "$(awk 'length > 80' "$work/help")" "" "$command: at most 80 columns"
    examples=$(sed -e '1,/^Examples:/d; s/^  //' "$work/help" | sed -e ':more' -e '/\\$/{N;s/ \\\n */ /;bmore' -e '}')
    [ "$(wc -l <<<"$examples")" -ge 2 ]
    result $? "$command: two examples at least"
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
guess "did you mean '--help'?" --hlep
guess "did you mean '--version'?" --verison
guess "did you mean 'version'?" verison
guess "'tessera help' lists them" -x
guess "did you mean list?" ledger lst
guess "did you mean show?" ledger shwo 1
guess "did you mean export?" ledger exprot
guess "did you mean forget?" ledger forgt 1
guess "expected list, show, export or forget" ledger frobnicate
guess "'tessera help' lists them" frobnicate
for command in bench experts doctor fetch serve; do guess "the command '$command' is not part of this version" $command; done
guess '--resident: found "some", expected auto, plain or packed' run --model demo/checkpoint --resident some
guess "--temprature: no such option; did you mean --temperature?" run --temprature 1
guess "--max_new: no such option; did you mean --max-new?" run --max_new=5
guess "--to: could be --top-k, --top-p, --top" run --to 5
guess "--t: could be --think, --temperature, --top-k" run --t 5
guess "--model: no such option; did you mean --model?" run -model x
guess "-m: no such option" run -m x
guess "--frobnicate: no such option" run --frobnicate
guess "--raw takes no value" run --raw=yes
guess "a folder follows --speak with =" chat --model demo/checkpoint --speak spoken
guess "--model: a value is missing" run --model
equals "$(exit_of "$tessera" plan --modl x --json)" 2 "with --json as well: exit 2"
contains "$(json error message <"$work/out")" "did you mean --model?" "the guess is in the message"

# ---- words of another command, and what is typed where ----
for words in "image x.jpg:/image FILE joins" "audio x.wav:/audio FILE joins" "video x.mp4:/video FILE joins" \
    "prompt Hello:questions are asked in the chat" "messages x.json:run --messages"; do
    # shellcheck disable=SC2086 -- words split
    guess "${words#*:}" chat --model demo/checkpoint --${words%%:*}
done
for word in image audio video speak speaker reset help quit; do contains "$("$tessera" help chat)" "  /$word " "help chat: /$word"; done
for command in run trace; do
    contains "$("$tessera" help $command)" '{"type": "image", "image": "photo.jpg"}' "help $command: messages with parts"
done
for command in run chat trace plan preprocess; do
    for library in libjpeg-turbo libwebp zlib FFmpeg libsoxr; do contains "$("$tessera" help $command)" $library "help $command: $library"; done
    contains "$("$tessera" help $command | sed '1,/^Examples/d')" tests/data/media/ "help $command: an example with media"
done
contains "$("$tessera" help verify)" "--check-certificate certificate.json" "help verify: an example of certificates"
contains "$("$tessera" help verify | head -n 2 | tr -s ' \n' ' ')" "(--golden FILE... | --check-certificate FILE | --known-answers)" "its three forms"

# ---- what is offered, and what is taken in silence because every command with an engine takes it ----
offers() { "$tessera" help "$1" | grep -c -e "^  --$2 "; }
for option in seed ledger-text; do equals "$(offers plan $option)" 0 "plan: --$option changes nothing"; done
equals "$(offers trace seed)$(offers verify ledger-text)$(offers tokenize progress)$(offers compare quiet)" 0000 "nor do these"
equals "$(offers run seed)$(offers chat seed)$(offers verify seed)$(offers trace ledger-text)$(offers trace progress)" 11111 "these do"
equals "$(exit_of "$tessera" plan --model demo/checkpoint --memory 1GiB --seed 3)" 0 "a seed in a plan is taken all the same"
contains "$("$tessera" help plan)" "    5  " "plan can end with 5"
equals "$("$tessera" help tokenize | grep -c '^    [15]  ')" 0 "tokenize with neither 1 nor 5"

# ---- every option of every command ----
# misspell WORD: its last two letters have changed places, or, where that changes nothing, the last one is missing
misspell() { local n=${#1}; local other=${1:0:n-2}${1:n-1:1}${1:n-2:1}; [ "$other" != "$1" ] && echo "$other" || echo "$1x"; }
for command in $commands; do
    while read -r option argument; do
        wrong=$(misspell "$option")
        equals "$(exit_of "$tessera" "$command" "--$wrong")" 2 "$command --$wrong"
        contains "$(cat "$work/err")" "did you mean --" "$command --$wrong: a guess"
        [ "$argument" ] || continue
        twice=("--$option" 7 "--$option" 7)
        [ "$argument" != "[=DIR]" ] || twice=("--$option=7" "--$option=7")
        equals "$(exit_of "$tessera" "$command" "${twice[@]}")" 2 "$command: --$option twice"
        case "$command --$option" in
        "verify --golden" | "trace --taps" | *" --audio" | *" --image" | *" --video") equals "$(grep -c 'given twice' "$work/err")" 0 "$command: --$option may be repeated" ;;
        *) contains "$(cat "$work/err")" "--$option is given twice" "$command: --$option is named" ;;
        esac
    done < <("$tessera" help "$command" | sed -n '/^Options:/,/^$/s/\[=/ [=/; s/^  --\([a-z-]*\)\( [A-Z[][^ ]*\)\{0,1\} .*/\1\2/p')
done

# ---- options that change nothing in a combination ----
nothing() { # nothing OPTION WORD...: refused by that option's name
    equals "$(exit_of "$tessera" "${@:2}")$(cat "$work/out")" 2 "${*:2}: exit 2"
    contains "$(cat "$work/err")" "$1" "${*:2}: $1 is named"
}
model=demo/checkpoint
nothing --rehash inspect $model --rehash
nothing --rehash inspect $model --rehash --checksum --tensors '*.mlp.*'
nothing --last ledger export --last 0
nothing --yes ledger list --yes
nothing --prompt trace --model $model --list --prompt x
nothing --out trace --model $model --list --out x
nothing --generate trace --model $model --list --generate 0
nothing --last-logits trace --model $model --raw --prompt x --taps thinker.model.norm --last-logits --out "$work/none"
nothing --model compare --model $model x y
nothing --top-k run --model $model --prompt x --top-k 5
nothing --ledger-text run --model $model --prompt x --ledger off --ledger-text
nothing --plain tokenize --model $model --plain x
nothing --answers verify --model $model --answers x --golden x
nothing --sample verify --model $model --sample 1 --golden x

# ---- names that are empty, as an unset variable of a shell is ----
for words in "inspect" "plan" "compare" "compare x" "verify --model $model" "run --model" "trace --model $model --prompt x --out" \
    "inspect --ledger" "verify --model $model --golden" "tokenize --model" "chat --history"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of "$tessera" $words "" </dev/null)$(cat "$work/out")" 2 "$words with an empty name: exit 2"
    contains "$(sed 's/found ""/found an empty name/' "$work/err")" "found an empty name, expected" "$words: says so"
done
