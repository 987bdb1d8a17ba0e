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
