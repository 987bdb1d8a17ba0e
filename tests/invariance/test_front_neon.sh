#!/usr/bin/env bash
# The front end on a second architecture, in an emulator: the same bits of mel frames and patches. Skipped, and said so,
# where compiler or emulator are missing; with neon in TESS_REQUIRE_ISA that fails.
# Release build only: both programs are built here.
. tests/support/tap.sh
. tests/support/aarch64.sh
need_aarch64 "neon front end"
build() { # build COMPILER OUT
    "$1" -std=c17 -Wall -Wextra -Wconversion -Werror -O2 -ffp-contract=off -fno-math-errno -D_GNU_SOURCE -Isrc -Iinclude -static \
        -o "$2" tests/invariance/front_bits.c src/media/{fft,mel,image_size,resize,patches}.c src/kernels/angles.c \
        src/base/{error,fpenv}.c -lm
}
build gcc "$work/here" && build "$cross" "$work/there"
result $? "the front end is built for both"
"$work/here" >"$work/a" && timeout 300 "$run" "$work/there" >"$work/b"
result $? "and runs on both"
for what in sound picture smaller; do
    bits=$(grep "^$what " "$work/a")
    equals "$(grep "^$what " "$work/b")" "${bits:-none}" "$what: the same bits"
done
