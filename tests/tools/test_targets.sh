#!/usr/bin/env bash
# `make help` lists the targets that there are for a person, and no other; `make demo` prints commands that can be typed
# again.
# Release build only
. tests/support/tap.sh
unset MAKEFLAGS MFLAGS
make --no-print-directory help >"$work/help"
result $? "make help"
for target in all demo check install bench clean golden help; do
    grep -q "^  $target  *[a-z]" "$work/help"
    result $? "lists $target"
done
while read -r target _; do
    grep -q "^$target:" Makefile tools/*.mk
    result $? "$target is a target"
done < <(sed 1d "$work/help")
equals "$(awk 'length > 80' "$work/help")" "" "its lines fit a screen"

[ "$(readlink build/tessera)" ] || ln -s release-gcc/tessera build/tessera
[ "$(readlink build/listen)" ] || ln -s release-gcc/listen build/listen
tools/demo >"$work/demo" 2>"$work/err"
result $? "the demo runs"
python -c 'import re, sys
wide = [l for l in re.sub("\\x1b\\[[0-9]*m", "", open(sys.argv[1], encoding="utf-8").read()).split("\n") if len(l) > 80 and not l.startswith("$ ")]
for l in wide: print("#", l)
sys.exit(bool(wide))' "$work/demo"
result $? "what it prints fits a screen"
contains "$(tail -n 4 "$work/demo")" "tessera chat --model demo/checkpoint" "it ends with what to do next"
sed -n 's/^\$ //p' "$work/demo" >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 8 ]
result $? "and prints its commands"
export XDG_DATA_HOME=$PWD/build/demo-data
while IFS= read -r command; do
    equals "$(exit_of bash -o pipefail -c "$command")" 0 "$command"
    grep -q -F "$(tail -n 1 "$work/out")" "$work/demo"
    result $? "and prints what it printed in the demo"
done <"$work/commands"
