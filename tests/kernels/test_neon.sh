#!/usr/bin/env bash
# The kernels and their comparison with the reference, built for AArch64 and run in an emulator: the same bits
# as the reference on a second architecture. Skipped, and said so, where compiler or emulator are missing;
# with neon in TESS_REQUIRE_ISA that fails.
# Release build only: what runs in the emulator is built here and is the same for all.
cd "$(dirname "$0")/../.." || exit 2
missing() {
    case " ${TESS_REQUIRE_ISA:-} " in
    *" neon "*) echo "not ok 1 - neon kernels: $1" ;;
    *) echo "ok 1 - neon kernels # SKIP not tested: $1" ;;
    esac
    echo "1..1"
    exit 0
}
CROSS=${CROSS_CC:-aarch64-linux-gnu-gcc}
command -v "$CROSS" >/dev/null || missing "no compiler $CROSS"
RUN=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || missing "no qemu-aarch64"

. tests/support/environment.sh
DIR=$(mktemp -d) || exit 2
trap 'rm -rf "$DIR"' EXIT
SOURCES=$(ls src/kernels/*.c | grep -v -e _avx2.c -e _avx512.c)
# shellcheck disable=SC2086
"$CROSS" -std=c17 -Wall -Wextra -Wshadow -Wconversion -Werror -O2 -ffp-contract=off -fno-math-errno -D_GNU_SOURCE \
    -static -Isrc -o "$DIR/test_variants" tests/kernels/test_variants.c $SOURCES -lm ||
    { echo "not ok 1 - neon kernels: they do not compile"; echo "1..1"; exit 0; }
TESS_REQUIRE_ISA=neon timeout 300 "$RUN" "$DIR/test_variants" quick >"$DIR/out"
STATUS=$?
sed -e '/^1\.\./d' -e 's/natively/emulated/' "$DIR/out"
N=$(grep -c -e '^ok' -e '^not ok' "$DIR/out")
# 0: all passed, 1: the failures are in the lines above; anything else is a crash or a timeout
[ $STATUS -le 1 ] || echo "not ok $((++N)) - neon kernels: the emulated run ended with status $STATUS"

# The reference itself gives the same bits on both architectures.
TESS_REQUIRE_ISA='' "${TESS_BUILD:-build/release-gcc}/tests/kernels/test_variants" quick >"$DIR/native"
HERE=$(grep '^# digest' "$DIR/native") THERE=$(grep '^# digest' "$DIR/out")
[ -n "$HERE" ] && [ "$HERE" = "$THERE" ] || printf not\ 
echo "ok $((++N)) - reference: here ${HERE##* }, on AArch64 ${THERE##* }"
echo "1..$N"
