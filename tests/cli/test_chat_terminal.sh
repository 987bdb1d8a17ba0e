#!/usr/bin/env bash
# chat on a terminal: typing, editing, pasting, history, Ctrl-C, Ctrl-D, another size, and the greeting.
. tests/support/tap.sh
while read -r code text; do result "$code" "$text"; done < <(python3 tests/support/chat_terminal.py "$tessera" "$work")
wait $!
result $? "nothing kept the rest from being tried"
