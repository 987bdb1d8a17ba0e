#!/usr/bin/env bash
# Every golden of the original, with text and media, re-run by the trace command and compared by the compare command:
# float32 ones must agree in all taps and tokens, bfloat16 ones must lie as far from the float32 truth as the original
# does, and values of a float32 run must not pass for bfloat16.
. tests/support/tap.sh
shared=../shared/golden

trace() { "$tessera" trace --quiet --memory 1GiB --model "$1" --inputs "$2" --dtype "$3" --out "$4" "${@:5}"; }
describe() { # the last line's numbers, for the log
    sed -n 's/^\([0-9]* taps compared.*\)/# \1/p; s/^\(worst.*\)/# \1/p; s/^\(distance.*\)/# \1/p' "$work/out"
}

golden() { # golden NAME CHECKPOINT FLOAT32 [BFLOAT16]
    local name=$1 model=$2 f32=$3 bf16=$4
    equals "$(exit_of trace "$model" "$f32" f32 "$work/f32")" 0 "$name: traced in float32"
    equals "$(exit_of "$tessera" compare "$f32" "$work/f32")" 0 "$name: agrees with the original in float32"
    describe
    [ -n "$bf16" ] || return
    equals "$(exit_of trace "$model" "$bf16" bf16 "$work/bf16")" 0 "$name: traced in bfloat16"
    equals "$(exit_of "$tessera" compare --truth "$f32" "$bf16" "$work/bf16")" 0 "$name: agrees in bfloat16"
    describe
    python tests/support/edit_trace.py "$work/f32" "$work/as16" meta dtype bfloat16
    equals "$(exit_of "$tessera" compare --truth "$f32" "$bf16" "$work/as16")" 1 "$name: a float32 run fails that"
}

without_speech() { # without_speech TEXT GOLDEN COMPARE_ARGUMENTS...: nothing but the taps of speech is missing or fails
    "$tessera" compare --json "${@:3}" 2>/dev/null | python -c 'import json, struct, sys
speech = ("tap.talker.", "tap.code2wav.")
with open(sys.argv[1], "rb") as file:
    names = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
own = [name for name in names if name.startswith("tap.") and not name.startswith(speech)]
expected = sum(".experts." not in name for name in own)  # those a comparison may lack
found = json.load(sys.stdin)
failed = [tap["tap"] for tap in found["failed"] if not tap["tap"].startswith(speech)]
print("#", found["taps_compared"], "compared,", len(found["failed"]), "of speech missing; worst", found["worst"])
sys.exit(bool(failed) or not 0 < expected <= found["taps_compared"])' "$2"
    result $? "$1"
}

spoken() { # spoken NAME CHECKPOINT FLOAT32 [BFLOAT16]
    local name=$1 model=$2 f32=$3 bf16=$4
    equals "$(exit_of trace "$model" "$f32" f32 "$work/f32" --speak 0)" 0 "$name: traced in float32 without speech"
    without_speech "$name: thinker and towers agree in float32" "$f32" "$f32" "$work/f32"
    [ -n "$bf16" ] || return
    equals "$(exit_of trace "$model" "$bf16" bf16 "$work/bf16" --speak 0)" 0 "$name: traced in bfloat16 without speech"
    without_speech "$name: thinker and towers agree in bfloat16" "$bf16" --truth "$f32" "$bf16" "$work/bf16"
}

for f32 in tests/golden/[a-z]-f32/*.safetensors; do
    folder=${f32%/*} file=${f32##*/}
    model=${folder%-f32} bf16=${folder%-f32}-bf16/$file
    [ -f "$bf16" ] || bf16=
    case $file in
    codes*) continue ;; # of code2wav alone
    speak*) kind=spoken ;;
    *) kind=golden ;;
    esac
    $kind "${model##*/}/${file%.safetensors}" "$model" "$f32" "$bf16"
done
for f32 in tests/golden/demo/f32/*.safetensors; do
    file=${f32##*/}
    bf16=tests/golden/demo/bf16/$file
    [ -f "$bf16" ] || bf16=
    golden "demo/${file%.safetensors}" demo/checkpoint "$f32" "$bf16"
done
if [ -d $shared ]; then
    golden shared/text $shared/a $shared/a-f32/text.safetensors $shared/a-bf16/text.safetensors
    for kind in audio image video av; do golden shared/$kind $shared/a $shared/a-f32/$kind.safetensors ""; done
    spoken shared/omni $shared/a $shared/a-f32/omni.safetensors $shared/a-bf16/omni.safetensors
else
    skip_without_shared "shared goldens"
fi
