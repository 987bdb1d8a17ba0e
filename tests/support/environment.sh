# Where tests work and with which interpreter, decided once. Sourced by tools/run_tests and by test scripts, which may
# as well run alone. Afterwards
#   python3            is the interpreter itself and not a wrapper, which looks for one at each of hundreds of calls;
#   TMPDIR             is in memory where there is room, so that nobody waits for a disk;
#   TESS_DISK_TMPDIR   is the folder for temporary files as it was: for tests of direct reads and of syncing.
prepare_python() {
    local interpreter
    interpreter=$(python3 -c 'import sys; print(sys.executable)') || return
    [ "$interpreter" -ef "$(command -v python3)" ] || [ ! "${interpreter%/*}/python3" -ef "$interpreter" ] ||
        PATH=${interpreter%/*}:$PATH
}
# Room for what two tests keep at a time, and for programs, which some tests copy there and run.
memory_is_usable() { # memory_is_usable FOLDER
    local probe status
    [ -w "$1" ] && [ $(($(stat -f -c '%a * %S >> 20' "$1"))) -ge 1024 ] && probe=$(mktemp -p "$1") || return 1
    printf '#!/bin/sh\n' >"$probe" && chmod 700 "$probe" && "$probe"
    status=$?
    rm -f "$probe"
    return $((status != 0))
}
if [ -z "${TESS_DISK_TMPDIR:-}" ]; then
    prepare_python
    export PATH TESS_DISK_TMPDIR=${TMPDIR:-/tmp}
    if memory_is_usable /dev/shm 2>/dev/null; then export TMPDIR=/dev/shm; else export TMPDIR=$TESS_DISK_TMPDIR; fi
fi
