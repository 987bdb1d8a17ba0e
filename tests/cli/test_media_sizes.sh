#!/usr/bin/env bash
# Media that are long or large: what they are taken as, what a plan makes of them, and what is refused before it is worked
# on. Published dimensions are those of a checkpoint of holes.
. tests/support/tap.sh
model=demo/checkpoint
synthetic=${TESS_BUILD:-build/release-gcc}/synthetic
make_media() { python tests/support/make_media.py "$@"; }
inputs() { python tests/support/inputs.py "$@"; }
tessera() { exit_of "$tessera" "$@" --ledger off; }
preprocess() { exit_of "$tessera" preprocess --model "$model" --out "$work/out.safetensors" "$@"; }

# ---- a film of half a minute ----
# 144 tokens for two frames; a grid of two lasts two divided by the rate, as far as 768 frames go.
film=tests/data/media/large/thirty-seconds.mp4
said() { echo "$film: 32 × 32, taken as 384 × 384, 30.00 s, $1 frames at $2 a second, $3 tokens"; }
for case in 1:30:2,160:15:2.0 2:60:4,320:30:1.0; do
    IFS=: read -r fps frames tokens steps seconds <<<"$case"
    equals "$(preprocess --fps "$fps" --video $film)" 0 "$fps a second"
    equals "$(cat "$work/out")" "$(said "$frames" "$fps" "$tokens")" "$fps a second: what is said"
    equals "$(inputs values "$work/out.safetensors" in.video_grid_thw in.video_second_per_grid | tr '\n' ' ')" "$steps 24 24 $seconds " \
        "$fps a second: the grid, and how long one is"
    rm "$work/out.safetensors"
done
# How long a grid is at the higher rates test_medium tells. Here a run is stopped when it has said what it takes.
for case in 10:300:10:21,600 30:768:25.6:55,296; do
    [ -z "${TESS_SANITIZED:-}" ] || break # which takes its time
    IFS=: read -r fps frames rate tokens <<<"$case"
    "$tessera" run --model $model --ledger off --fps "$fps" --video $film --prompt "What?" >"$work/out" 2>"$work/err" &
    runs=$!
    until grep -q . "$work/err" || ! kill -0 $runs 2>/dev/null; do sleep 0.05; done
    kill -INT $runs
    wait $runs
    equals "$? $(head -n 1 "$work/err")" "130 $(said "$frames" "$rate" "$tokens")" "run at $fps a second"
done

# ---- large pictures ----
"$synthetic" --out "$work/released" >/dev/null
make_media png "$work/large.png" 8000 5750
make_media png "$work/twelve.png" 4000 3000
plan() { tessera plan --model "$work/released" --threads 2 "$@"; }
# A sanitizer's memory comes on top of the program's.
budget=${TESS_SANITIZED:+5GiB}
budget=${budget:-4GiB}
equals "$(plan --memory "$budget" --image "$work/large.png")" 0 "46 megapixels: planned in $budget"
equals "$(cat "$work/err")" "$work/large.png: 8000 × 5750, taken as 4224 × 3008, 12,408 tokens" "and taken as fewer"
contains "$(cat "$work/out")" "prompt of 12424 tokens" "which the plan counts"
equals "$(plan --memory 3GiB --image "$work/large.png" --json)" 5 "not in 3 GiB"
smallest=$(json smallest_budget_bytes <"$work/out")
equals "$(plan --memory "$smallest" --image "$work/large.png") $(plan --memory $((smallest - (1 << 20))) --image "$work/large.png")" "0 5" \
    "but in the $smallest bytes that are told, and no less"
many=()
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    many+=(--image "$work/twelve.png")
    case $n in
    1) equals "$(plan --memory "$budget" "${many[@]}")" 0 "a picture of 12 megapixels: planned in $budget" ;;
    2 | 5) # 11,750 tokens each
        equals "$(plan --memory 4GiB --json "${many[@]}") $(json error code <"$work/out")" "5 budget" "$n of them: not in 4 GiB"
        smallest=$(json smallest_budget_bytes <"$work/out")
        [ "$smallest" -gt $((n * 11750 * 48 * 2 * 4 * 128 * 4)) ]
        result $? "$n of them: $smallest bytes hold their keys and values"
        equals "$(plan --memory "$smallest" "${many[@]}")" 0 "$n of them: and are enough"
        ;;
    6 | 12)
        equals "$(plan --memory 4GiB "${many[@]}")" 2 "$n of them: more than the model has positions for"
        contains "$(cat "$work/err")" "($n pictures $((n * 11750)), text 16), expected at most 65536, the positions that this model has; fewer or smaller media take fewer" \
            "$n of them: told by their sum"
        ;;
    esac
done

# ---- three hours of sound ----
# 140,400 tokens, of which the model has room for 65,536; the file is a hole behind its header.
make_media wav "$work/hours.wav" 16000 zeros
python - "$work/hours.wav" <<'P'
import os, struct, sys
data = 3 * 3600 * 16000 * 2
with open(sys.argv[1], "r+b") as file:
    file.seek(4)
    file.write(struct.pack("<I", data + 36))
    file.seek(40)
    file.write(struct.pack("<I", data))
os.truncate(sys.argv[1], data + 44)
P
for command in plan "run --max-new 1 --prompt x" "trace --prompt x --out $work/none"; do
    [ -z "${TESS_SANITIZED:-}" ] || [ "$command" = plan ] || break
    # shellcheck disable=SC2086 -- words split
    equals "$(tessera $command --model $model --memory 256MiB --audio "$work/hours.wav")" 3 "three hours of sound: ${command%% *}"
    equals "$(cat "$work/err")" "tessera ${command%% *}: $work/hours.wav: length: found more, expected at most 504223 mel frames (5042.23 s)" "is told what there is room for"
done
equals "$(preprocess --memory 256MiB --audio "$work/hours.wav" --json)" 5 "preprocess has no limit but memory"
smallest=$(json smallest_budget_bytes <"$work/out")
[ "$smallest" -gt $((1080000 * 128 * 4)) ] && [ "$smallest" -lt $((1080000 * 150 * 4)) ]
result $? "and tells that its frames take $smallest bytes"
[ ! -e "$work/out.safetensors" ] && [ ! -e "$work/none" ]
result $? "and nothing is written"

# ---- a quarter of an hour of MP3 ----
if [ -n "${TESS_SANITIZED:-}" ]; then
    skip "peaks of a long MP3" "a sanitizer's memory is not the program's"
    exit
fi
# The frames of a short one again and again: 64 kbit/s, each 192 bytes and 24 ms, the first of them no sound but facts.
python - tests/data/media/audio/tone.mp3 "$work" <<'P'
import sys
data = open(sys.argv[1], "rb").read()
tag = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
frames = data[tag + 192:]
frames = frames[:len(frames) // 192 * 192]
for name, minutes in ("short", 2), ("long", 15):
    with open(f"{sys.argv[2]}/{name}.mp3", "wb") as file:
        file.write(frames * round(minutes * 60 / (len(frames) // 192 * 0.024)))
P
within() { # within TEXT BYTES: of what --json has said
    local peak
    peak=$(json peak_rss_bytes <"$work/out")
    [ "$peak" -gt 0 ] && [ "$peak" -le "$2" ]
    result $? "$1: its peak, $peak, is within the $2 bytes told"
}
equals "$(preprocess --memory 32MiB --audio "$work/long.mp3" --json)" 5 "a quarter of an hour of MP3 in 32 MiB"
smallest=$(json smallest_budget_bytes <"$work/out")
equals "$(preprocess --memory "$smallest" --audio "$work/long.mp3" --json) $(json parts 0 tokens <"$work/out")" "0 11703" "in what is told"
within "a quarter of an hour" "$smallest"
equals "$(tessera plan --model $model --threads 2 --audio "$work/short.mp3" --json)" 0 "two minutes of it: planned"
smallest=$(json smallest_budget_bytes <"$work/out")
equals "$(tessera run --model $model --threads 2 --memory "$smallest" --audio "$work/short.mp3" --prompt x --max-new 1 --json)" 0 "and run in the smallest budget"
within "two minutes" "$smallest"
