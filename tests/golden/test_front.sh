#!/usr/bin/env bash
# Small files by way of `preprocess`: patches of every kind of picture byte for byte, mel frames of every kind of sound.
. tests/support/tap.sh
front=tests/golden/front
out=$work/out.safetensors
preprocess() { "$tessera" preprocess --quiet --model demo/checkpoint --out "$out" "$@"; }

for file in "$front"/*.png; do
    name=${file##*/} name=${name%.png}
    equals "$(exit_of preprocess --image "$file")" 0 "$name.png"
    found=$(python tests/support/patches.py "$out" $front/front.json "$name" 2>&1)
    result $? "$name.png: the original's patches, bit for bit $found"
done
for file in "$front"/*.wav; do
    name=${file##*/}
    [ -f "${file%.wav}.safetensors" ] || continue # heard by goldens of e
    equals "$(exit_of preprocess --audio "$file")" 0 "$name"
    worst=$(python tests/support/inputs.py near "$out" "${file%.wav}.safetensors" 2e-5)
    result $? "$name: the original's frames, max abs $worst"
done

# In noise and in a tone the original's own float32 transform is further off than 2e-5: verify knows how far it may be,
# element by element, and finds what is not its rounding. Elements are [128 bands, 100 frames].
mkdir "$work/e" && ln -s "$PWD/$front" "$work/front"
verify() { exit_of "$tessera" verify --quiet --json --ledger off --memory 512MiB --model tests/golden/e --golden "$1"; }
moved() { # moved NAME BAND FRAME BY
    python tests/support/edit_trace.py tests/golden/e-f32/audio_$1.safetensors "$work/e/golden" add in.input_features $(($2 * 100 + $3)) $4
    verify "$work/e/golden"
}
for name in white tone; do
    preprocess --audio $front/$name.wav >/dev/null
    found=$(python - "$out" tests/golden/e-f32/audio_$name.safetensors <<'END'
import sys
sys.path.insert(0, "tests/support")
words, sys.argv = sys.argv[1:], ["", ""]
import inputs
ours, theirs = (inputs.read(path)["in.input_features"][1] for path in words)
print(max(abs(a - b) for a, b in zip(ours, theirs)) > 2e-5)
END
    )
    equals "$found" True "$name: a frame is off by more than 2e-5"
    equals "$(verify tests/golden/e-f32/audio_$name.safetensors)" 0 "$name: verify allows what the original rounds"
    equals "$(json text_checked <"$work/out")" true "$name: of the file itself"
done
equals "$(moved white 100 30 1e-5)" 1 "noise: an element off by half of 2e-5 is found"
equals "$(json first tap <"$work/out")" in.input_features "and named"
contains "$(json first why <"$work/out")" "times as far off as its bar" "by its own bar"
equals "$(moved tone 42 50 1e-5)" 1 "tone: so is it where the tone is"
contains "$(json first where <"$work/out")" "clip 1, 0.50 s to 0.51 s" "with the moment"
equals "$(moved tone 100 50 5e-5)" 0 "tone: far from it, the original may be off by more"
equals "$(moved tone 100 50 1e-2)" 1 "and not by any amount"
