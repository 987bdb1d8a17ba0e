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

# Speech has no bar of its own in a whole bfloat16 run: module by module it has.
module_by_module() { # module_by_module NAME CHECKPOINT GOLDEN
    equals "$(exit_of "$tessera" verify --isolate --quiet --ledger off --memory 1GiB --model "$2" --golden "$3")" 0 \
        "$1: every module by itself agrees"
    describe
}

for f32 in tests/golden/[a-z]-f32/*.safetensors; do
    folder=${f32%/*} file=${f32##*/}
    model=${folder%-f32} bf16=${folder%-f32}-bf16/$file
    [ -f "$bf16" ] || bf16=
    name=${model##*/}/${file%.safetensors}
    case $file in
    codes*) golden "$name" "$model" "$f32" "" ;; # of code2wav alone
    *) golden "$name" "$model" "$f32" "$bf16" ;;
    esac
    case $file in
    codes* | speak*)
        for speech in "$f32" $bf16; do module_by_module "$name" "$model" "$speech"; done
        ;;
    esac
done
for f32 in tests/golden/demo/f32/*.safetensors; do
    file=${f32##*/}
    bf16=tests/golden/demo/bf16/$file
    [ -f "$bf16" ] || bf16=
    golden "demo/${file%.safetensors}" demo/checkpoint "$f32" "$bf16"
    case $file in speak*) for speech in "$f32" $bf16; do module_by_module "demo/${file%.safetensors}" demo/checkpoint "$speech"; done ;; esac
done
if [ -d $shared ]; then
    golden shared/text $shared/a $shared/a-f32/text.safetensors $shared/a-bf16/text.safetensors
    for kind in audio image video av; do golden shared/$kind $shared/a $shared/a-f32/$kind.safetensors ""; done
    golden shared/omni $shared/a $shared/a-f32/omni.safetensors $shared/a-bf16/omni.safetensors
    for kind in speak wav5 wav90; do golden shared/$kind $shared/a $shared/a-f32/$kind.safetensors ""; done
    for speech in $shared/a-f32/{speak,omni,wav5}.safetensors $shared/a-bf16/omni.safetensors; do
        module_by_module "${speech#"$shared"/}" $shared/a "$speech"
    done
else
    skip_without_shared "shared goldens"
fi
