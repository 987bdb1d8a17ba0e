#!/usr/bin/env bash
# Every golden of the original, with text and media, re-run by the trace command and compared by the compare command:
# float32 ones must agree in all taps and tokens, bfloat16 ones must lie as far from the float32 truth as the original
# does, and values of a float32 run must not pass for bfloat16. verify says the same of them, whole and module by module,
# and where a golden has messages it renders, encodes and prepares them again.
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
verify() { "$tessera" verify --quiet --ledger off --memory 1GiB --model "$1" --golden "${@:2}"; }
module_by_module() { # module_by_module NAME CHECKPOINT GOLDEN...
    for golden in "${@:3}"; do
        equals "$(exit_of verify "$2" "$golden" --isolate)" 0 "$1: every module of ${golden%/*} by itself agrees"
        describe
    done
}
has_messages() { head -c 65536 "$1" | grep -qaE '"(messages|raw)"'; }
verified() { # verified NAME CHECKPOINT FLOAT32 [BFLOAT16]
    local checked=false
    if has_messages "$3"; then checked=true; fi
    equals "$(exit_of verify "$2" "$3" --json) $(json text_checked <"$work/out")" "0 $checked" "$1: verified in float32; prepared again: $checked"
    [ -n "$4" ] || return
    equals "$(exit_of verify "$2" "$4" --truth "$3")" 0 "$1: verified in bfloat16"
}
# What is aimed at: half of what whole runs are held to, for every tap, whatever its own bar. Takes the trace of golden().
aimed() { # aimed NAME FLOAT32
    "$tessera" compare --json "$2" "$work/f32" >"$work/out"
    python - "$work/out" <<'P'
import json, sys
taps = json.load(open(sys.argv[1], encoding="utf-8"))["taps"]
error, tap = max((tap["error"], tap["tap"]) for tap in taps)
print(f"# {len(taps)} taps, {tap} {error}")
sys.exit(not 0 < error <= 5e-6)
P
    result $? "$1: no tap is more than 5e-6 off"
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
    # shellcheck disable=SC2086 -- there may be no other
    module_by_module "$name" "$model" "$f32" $bf16
    case $file in
    codes*) ;;
    speak*) verified "$name" "$model" "$f32" "" ;;
    *) verified "$name" "$model" "$f32" "$bf16" ;;
    esac
done
# A sanitizer looks for what the code does, which the goldens above make it do as well.
[ -z "${TESS_SANITIZED:-}" ] || exit 0
for f32 in tests/golden/demo/f32/*.safetensors; do
    file=${f32##*/}
    bf16=tests/golden/demo/bf16/$file
    [ -f "$bf16" ] || bf16=
    golden "demo/${file%.safetensors}" demo/checkpoint "$f32" "$bf16"
    # shellcheck disable=SC2086 -- there may be no other
    module_by_module "demo/${file%.safetensors}" demo/checkpoint "$f32" $bf16
    case $file in speak*) bf16= ;; esac
    verified "demo/${file%.safetensors}" demo/checkpoint "$f32" "$bf16"
done
if [ -d $shared ]; then
    golden shared/text $shared/a $shared/a-f32/text.safetensors $shared/a-bf16/text.safetensors
    for kind in audio image video av omni speak wav5 wav90; do
        bf16=
        if [ $kind = omni ]; then bf16=$shared/a-bf16/$kind.safetensors; fi
        golden shared/$kind $shared/a $shared/a-f32/$kind.safetensors "$bf16"
        aimed shared/$kind $shared/a-f32/$kind.safetensors
    done
    for kind in audio image video av speak omni wav5; do module_by_module shared/$kind $shared/a $shared/a-f32/$kind.safetensors; done
    module_by_module shared/omni $shared/a $shared/a-bf16/omni.safetensors
else
    skip_without_shared "shared goldens"
fi
