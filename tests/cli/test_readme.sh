#!/usr/bin/env bash
# The examples of README.md and of the walk through a defect in docs/VERIFICATION.md print what these documents say: every
# "$ command" of their indented blocks, with the lines that follow it. Numbers are compared too, but for the plan, whose
# process differs from machine to machine. "…" on a line of its own stands for lines, behind digits for more of them.
# Release build only
. tests/support/tap.sh
here=$PWD
mkdir "$work/bin"
ln -s "$here/$tessera" "$work/bin/tessera"
"${TESS_BUILD:-build/release-gcc}/synthetic" --out "$work/synthetic" --tokenizer demo/checkpoint >/dev/null
export PATH=$work/bin:$PATH

matches() { python -c 'import re, sys
found, expected = open(sys.argv[1], encoding="utf-8").read(), open(sys.argv[2], encoding="utf-8").read()
lines = []
for line in expected.strip("\n").split("\n"):
    exact = re.sub(r"(?<=[0-9a-f]{8})…", "[0-9a-f]+", re.escape(line))
    lines.append("(?:.*\n)*?" if line == "…" else exact + "\n")
sys.exit(not re.fullmatch("".join(lines) if expected.strip() else "", found.strip("\n") + "\n" if found.strip() else ""))' "$@"; }
without_numbers() { sed -E -i 's/[0-9][0-9.,]*/N/g; s/ +/ /g' "$@"; }
check_example() { # check_example FOLDER COMMAND EXPECTED
    (cd "$1" && eval "$2" >"$work/found" 2>&1)
    printf '%s' "$3" >"$work/expected"
    case $2 in *" plan "*) without_numbers "$work/found" "$work/expected" ;; esac
    matches "$work/found" "$work/expected"
    local status=$?
    [ $status = 0 ] || diff "$work/found" "$work/expected" | sed 's/^/# /'
    result $status "$2"
}
# check_document FILE LEAST: all examples of a document, at least so many, in a folder of their own
check_document() {
    local n=0 command='' expected='' line at=$work/at-${1##*/}
    mkdir "$at"
    ln -s "$here/demo" "$here/tests" "$at/"
    ln -s "$work/synthetic" "$at/Qwen3-Omni-30B-A3B-Instruct"
    while IFS= read -r line; do
        case $line in
        '    $ '*)
            [ -z "$command" ] || check_example "$at" "$command" "$expected"
            command=${line#'    $ '} expected='' n=$((n + 1))
            ;;
        '    '*) [ -z "$command" ] || expected+=${line#'    '}$'\n' ;;
        '') [ -z "$command" ] || expected+=$'\n' ;;
        *)
            [ -z "$command" ] || check_example "$at" "$command" "$expected"
            command=''
            ;;
        esac
    done < <(cat "$1"; echo end)
    [ $n -ge "$2" ]
    result $? "$1 has its examples: $n"
}
check_document README.md 8
check_document docs/VERIFICATION.md 7
