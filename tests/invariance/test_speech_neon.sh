#!/usr/bin/env bash
# Speech on a second architecture, in an emulator: text, codes and samples of a greedy and a drawn answer, in both precisions,
# are the same bits, from a packed store that was made here as well. Skipped, and said so, where compiler or emulator are missing; with neon in TESS_REQUIRE_ISA that fails.
# Release build only: both programs are built here.
. tests/support/tap.sh
. tests/support/aarch64.sh
need_aarch64 "neon speech"
mkdir "$work/include" "$work/objects"
ln -s /usr/include/jansson*.h "$work/include/"
flags=(-std=c17 -Wall -Wextra -Werror -O2 -ffp-contract=off -fno-math-errno -D_GNU_SOURCE -DNDEBUG '-DTESS_VERSION="0"' '-DTESS_MODE="0"' -Iinclude -Isrc)
own=tests/invariance/speech_bits.c
# What a speech does not call is left out, and with it what wants other libraries.
# shellcheck disable=SC2016 -- the inner shell expands
printf '%s\n' src/{base,io,store,kernels,model,engine}/*.c tests/invariance/few_json.c $own | grep -v -e _avx2.c -e _avx512.c -e base/digest.c |
    xargs -P "$(nproc)" -I{} sh -c 'out=$0/$(echo {} | tr / _).o; "$@" -c -o "$out" {}' "$work/objects" \
        "$cross" "${flags[@]}" -I"$work/include" -ffunction-sections -fdata-sections &&
    "$cross" -static -Wl,--gc-sections -o "$work/there" "$work"/objects/*.o -lm -lpthread
result $? "speech is built for AArch64"
# shellcheck disable=SC2046 -- words split
gcc "${flags[@]}" -o "$work/here" $own "${tessera%/*}/libtessera.a" $(make -s app-libs)
result $? "and for this processor"
"$work/here" reference >"$work/a"
result $? "which speaks"
equals "$(grep -cE '^(f32|bf16) [0-9.]+: 12 tokens [0-9a-f]{16}, [0-9]+ frames [0-9a-f]{16}, [0-9]+ samples [0-9a-f]{16}$' "$work/a")" 3 "three answers"
"$tessera" pack --model tests/golden/f --out "$work/store" >/dev/null
result $? "a packed store of the model"
for isa in reference neon "neon $work/store"; do
    # shellcheck disable=SC2086 -- words split
    timeout 300 "$run" "$work/there" $isa >"$work/b"
    isa=${isa/ $work\/store/, packed}
    result $? "$isa on AArch64 speaks"
    while IFS= read -r line; do
        contains "$(cat "$work/b")" "$line" "$isa: $line"
    done <"$work/a"
done
