#!/usr/bin/env bash
# Where tests work and by which interpreter: a wrapper that stands for python3 is left behind, and memory is used only
# where it has room and lets programs run.
# Release build only: no program of ours takes part.
. tests/support/tap.sh
python=$(command -v python3)
mkdir "$work/wrapped"
printf '#!/bin/sh\necho called >>%q\nexec %q "$@"\n' "$work/calls" "$python" >"$work/wrapped/python3"
chmod +x "$work/wrapped/python3"
anew() { # anew PATH COMMAND: a command after the decision was made anew
    env -u TESS_DISK_TMPDIR TMPDIR="$work" PATH="$1" bash -c ". tests/support/environment.sh; $2"
}

anew "$work/wrapped:$PATH" 'for i in 1 2 3; do python3 -c ""; done'
equals "$(wc -l <"$work/calls")" 1 "a wrapper of python3 is asked once"
equals "$(anew "$PATH" 'echo "$PATH"')" "$PATH" "without a wrapper PATH stays as it is"
equals "$(anew "$PATH" 'echo $TESS_DISK_TMPDIR')" "$work" "the folder on disk is what TMPDIR was"
equals "$(anew "$PATH" 'TMPDIR=/elsewhere; . tests/support/environment.sh; echo $TMPDIR')" /elsewhere "what was decided is not decided again"
here=$(anew "$PATH" 'echo $TMPDIR')
[ "$here" = /dev/shm ] || [ "$here" = "$work" ]
result $? "files go to memory or to disk: $here"

usable() { exit_of memory_is_usable "$1"; }
equals "$(usable "$work/absent")" 1 "a folder that is absent is not used"
mkdir "$work/mounted"
mounted() { # mounted OPTIONS STATUS TEXT
    if mount -t tmpfs -o "$1" none "$work/mounted" 2>/dev/null; then
        equals "$(usable "$work/mounted") $(ls "$work/mounted")" "$2 " "$3"
        umount "$work/mounted"
    else
        skip "$3" "no mounting here"
    fi
}
mounted size=2g 0 "memory with room is used"
mounted size=64m 1 "memory without room is not"
mounted size=2g,noexec 1 "nor one where programs cannot run"
mounted size=2g,ro 1 "nor one that cannot be written"
