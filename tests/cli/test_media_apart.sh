#!/usr/bin/env bash
# Media that differ are told apart, and what is the same is the same: in a chat that is asked of A, B and A again each
# answer is as if it were the first; a film's sound goes its own way beside the picture; whichever way up a picture is
# stored, it is one picture.
. tests/support/tap.sh
model=demo/checkpoint
images=tests/data/media/images
tracks=tests/data/media/tracks
run() { "$tessera" run --ledger off --memory 256MiB --model $model --max-new 12 --quiet "$@"; }
preprocess() { "$tessera" preprocess --model $model --out "$work/out.safetensors" "$@"; }
inputs() { python tests/support/inputs.py "$@"; }

# ---- A, B, A ----
# Both take as many tokens, so that ids do not tell them apart, and are answered differently.
python - "$work" <<'P'
import math, struct, sys, wave
for name, begin, end in (("rise", 300, 1200), ("fall", 1200, 300)):
    phase, samples = 0, []
    for i in range(16000):
        phase += 2 * math.pi * begin * (end / begin) ** (i / 16000) / 16000
        samples.append(int(8000 * math.sin(phase)))
    with wave.open(f"{sys.argv[1]}/{name}.wav", "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(struct.pack("<16000h", *samples))
P
a_b_a() { # a_b_a KIND A B QUESTION OPTION...
    local kind=$1 a=$2 b=$3 question=$4 answers
    shift 4
    printf "/$kind %s\n$question\n/reset\n" "$a" "$b" "$a" |
        "$tessera" chat --ledger off --memory 256MiB --model $model --max-new 12 --quiet "$@" >"$work/answers" 2>"$work/err"
    mapfile -t answers <"$work/answers"
    [ "${answers[0]}" != "${answers[1]}" ]
    result $? "$kind: of another, another answer"
    equals "${answers[2]}" "${answers[0]}" "$kind: the third answer is the first"
    for i in 0 1; do
        run --json "--$kind" "$([ $i = 0 ] && echo "$a" || echo "$b")" --prompt "$question" "$@" >"$work/json"
        equals "${answers[$i]}" "$(json text <"$work/json")" "$kind: answer $i is run's"
        json prompt_ids <"$work/json" >"$work/ids$i"
    done
    cmp -s "$work/ids0" "$work/ids1"
    result $? "$kind: by the same ids"
}
a_b_a image $images/palette1.png $images/palette2.png "What is in the picture?"
a_b_a audio "$work/rise.wav" "$work/fall.wav" "Does the tone rise or fall?"
a_b_a video $tracks/low.mp4 $tracks/high.mp4 "What is it?" --use-audio-in-video
preprocess --video $tracks/low.mp4 >"$work/said"
mv "$work/out.safetensors" "$work/low.safetensors"
preprocess --video $tracks/high.mp4 >"$work/said"
inputs same "$work/out.safetensors" "$work/low.safetensors"
result $? "these two films differ in their sound alone"

# ---- what is recorded of a request ----
# The prompt's digest is of all that the answer depends on: pixels, sound, the rate of frames.
asked() { # asked OPTION...: the digest of one question about media
    "$tessera" run --memory 256MiB --model $model --max-new 1 --quiet --ledger "$work/ledger" --prompt "What?" "$@" >"$work/out" 2>"$work/err"
    "$tessera" ledger export --ledger "$work/ledger" | python -c 'import json, sys
print(*(entry["prompt_sha256"] for entry in map(json.loads, sys.stdin) if entry.get("kind") == "run"))'
    rm -f "$work/ledger"
}
short=tests/data/media/video/frames1.mp4 # one frame, which is given twice at any rate
for options in "--image $images/palette1.png" "--image $images/palette2.png" "--audio $work/rise.wav" "--audio $work/fall.wav" \
    "--video $short --fps 1" "--video $short --fps 2" "--video $tracks/low.mp4" "--video $tracks/low.mp4 --use-audio-in-video" \
    "--video $tracks/high.mp4 --use-audio-in-video"; do
    # shellcheck disable=SC2086 -- words split
    asked $options
done >"$work/digests"
equals "$(grep -cE '^[0-9a-f]{64}$' "$work/digests") $(sort -u "$work/digests" | wc -l)" "9 9" "nine requests that differ have nine digests"
equals "$(asked --video $tracks/high.mp4)" "$(sed -n 7p "$work/digests")" "the sound that is not asked for makes no other"

# ---- sound that is longer or shorter than the picture ----
# Either is taken as far as it goes: of the picture 1 s, two frames and 130 tokens; of the sound what there is.
for case in low:102:14 longer:230:30 shorter:44:6; do
    IFS=: read -r name frames tokens <<<"$case"
    film=$tracks/$name.mp4
    preprocess --use-audio-in-video --json --video $film >"$work/json"
    equals "$(for path in "0 frames" "0 tokens" "1 frames" "1 tokens"; do
        # shellcheck disable=SC2086 -- words split
        json parts $path <"$work/json"
    done | tr '\n' ' ')" "2 130 $frames $tokens " "$name: frames and tokens of the picture and of the sound"
    equals "$(inputs values "$work/out.safetensors" in.audio_feature_lengths) $(inputs values "$work/out.safetensors" in.video_grid_thw)" \
        "$frames 1 20 26" "$name: their sizes as inputs"
    cp "$work/out.safetensors" "$work/both.safetensors"
    preprocess --audio $film >"$work/said"
    cmp <(inputs values "$work/both.safetensors" in.input_features) <(inputs values "$work/out.safetensors" in.input_features)
    result $? "$name: the sound is the whole track"
    run --use-audio-in-video --json --video $film --prompt "What?" >"$work/json"
    equals "$(json parts 0 tokens <"$work/json")" $((130 + tokens)) "$name: run counts both"
done

# ---- which way up ----
table() { run --top 5 --image "$1" --prompt "What is in the picture?" 2>&1; }
preprocess --image $images/upright1.png >"$work/said"
mv "$work/out.safetensors" "$work/first.safetensors"
first=$(table $images/upright1.png)
contains "$first" "square" "there is an answer"
for way in 2 3 4 5 6 7 8; do
    file=$images/upright$way.png
    said=$(preprocess --image $file)
    inputs same "$work/out.safetensors" "$work/first.safetensors"
    result $? "stored by EXIF's way $way: the pixels of way 1"
    equals "$said" "$file: $(cut -d' ' -f 2- "$work/said")" "way $way: told as it is upright"
    equals "$(table $file)" "$first" "way $way: the answer of way 1, with the probabilities of others"
done
python - $images/upright3.png "$work/plain.png" <<'P'
import struct, sys
picture = open(sys.argv[1], "rb").read()
at = picture.index(b"eXIf") - 4
open(sys.argv[2], "wb").write(picture[:at] + picture[at + 12 + struct.unpack(">I", picture[at:at + 4])[0]:])
P
plain=$(table "$work/plain.png")
contains "$plain" "A black" "there is an answer without EXIF data"
[ "$plain" != "$first" ]
result $? "and it is another"
