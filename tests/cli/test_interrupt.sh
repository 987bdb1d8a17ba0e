#!/usr/bin/env bash
# Ctrl-C ends whatever a command is at with 130, a second one at once; Ctrl-D ends what is typed at the first try.
. tests/support/tap.sh
while read -r code text; do result "$code" "$text"; done < <(python3 tests/support/interrupts.py "$tessera" "$work")
wait $!
result $? "nothing kept the rest from being tried"
