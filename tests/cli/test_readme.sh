#!/usr/bin/env bash
# The worked example of README.md prints what README.md says: every "$ command" of its indented blocks, with the lines
# that follow it. Numbers are compared too, but for the plan, whose process differs from machine to machine.
# Release build only
. tests/support/tap.sh
here=$PWD
mkdir "$work/bin" "$work/at"
ln -s "$here/$tessera" "$work/bin/tessera"
ln -s "$here/demo" "$here/tests" "$work/at/"
"${TESS_BUILD:-build/release-gcc}/synthetic" --out "$work/at/Qwen3-Omni-30B-A3B-Instruct" --tokenizer demo/checkpoint >/dev/null
export PATH=$work/bin:$PATH

without_numbers() { sed -E 's/[0-9][0-9.,]*/N/g; s/ +/ /g'; }
check_example() { # check_example COMMAND EXPECTED
    local command=$1 expected=$2 found
    found=$(cd "$work/at" && eval "$command" 2>&1)
    case $command in
    *" plan "*) equals "$(without_numbers <<<"$found")" "$(without_numbers <<<"$expected")" "$command" ;;
    *) equals "$found" "$expected" "$command" ;;
    esac
}

n=0 command='' expected=''
end_example() {
    [ -n "$command" ] || return 0
    # blank lines between commands are README's, not the program's
    while [ "${expected%$'\n'}" != "$expected" ]; do expected=${expected%$'\n'}; done
    check_example "$command" "$expected"
    n=$((n + 1)) command='' expected=''
}
while IFS= read -r line; do
    case $line in
    '    $ '*) end_example && command=${line#'    $ '}
        ;;
    '    '*) [ -n "$command" ] && expected+=${line#'    '}$'\n' ;;
    '') [ -n "$command" ] && expected+=$'\n' ;;
    *) end_example ;;
    esac
done <README.md
end_example
[ $n -ge 8 ]
result $? "README.md has its examples: $n"
