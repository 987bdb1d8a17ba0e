#!/usr/bin/env bash
# What tools/tidy looks for is found: by clang-tidy, and dead stores by clang, in a source and in a header of it.
# Release build only: nothing that is built takes part.
. tests/support/tap.sh
cat >"$work/header.h" <<'C'
static inline int twice(int number)
{
    int stored_in_header = number;
    stored_in_header = 7;
    return 2 * number;
}
C
cat >"$work/dead.c" <<'C'
#include "header.h"
int half_of_it(int number)
{
    int stored_in_source = number;
    stored_in_source = twice(number);
    return number / 2;
}
C
cat >"$work/branches.c" <<'C'
int same_either_way(int number)
{
    if (number > 3)
        return 5;
    else
        return 5;
}
C
echo 'int sound(int number) { return number + 1; }' >"$work/sound.c"
equals "$(exit_of tools/tidy "$work/sound.c")$(cat "$work/out")" 0 "a sound file passes"
equals "$(exit_of tools/tidy "$work/sound.c" "$work/dead.c")" 1 "dead stores fail"
contains "$(cat "$work/out")" "'stored_in_source' is never read" "the one in the source is named"
contains "$(cat "$work/out")" "'stored_in_header' is never read" "and the one in its header"
equals "$(exit_of tools/tidy "$work/sound.c" "$work/branches.c")" 1 "what clang-tidy finds fails"
contains "$(cat "$work/out")" "bugprone-branch-clone" "and is named"
equals "$(exit_of tools/tidy "$work/absent.c")" 1 "so does a file that is not there"
