#!/usr/bin/env bash
# preprocess from outside: the original's inputs from its files, what is said of each medium, and what is refused.
. tests/support/tap.sh
model=demo/checkpoint
images=tests/data/media/images
shared=../shared/golden/front
out=$work/out.safetensors
preprocess() { "$tessera" preprocess --model $model --out "$out" "$@"; }
inputs() { python tests/support/inputs.py "$@"; }
make_media() { python tests/support/make_media.py "$@"; }

# ---- the original's inputs ----
if [ -d $shared ]; then
    for file in $shared/i*.png; do
        equals "$(exit_of preprocess --image "$file")" 0 "${file##*/}"
        inputs same "$out" "${file%.png}.safetensors"
        result $? "${file##*/}: the original's patches, bit for bit"
    done
    for file in $shared/m*.wav; do
        equals "$(exit_of preprocess --audio "$file")" 0 "${file##*/}"
        worst=$(inputs near "$out" "${file%.wav}.safetensors" 2e-5)
        result $? "${file##*/}: the original's frames, max abs $worst"
    done
else
    skip_without_shared "the original's inputs"
fi

# ---- what is said ----
make_media wav "$work/second.wav" 16000
make_media wav "$work/half.wav" 8000
make_media png "$work/photo.png" 1260 840
equals "$(preprocess --image "$work/photo.png")" "$work/photo.png: 1260 × 840, taken as 1248 × 832, 1,014 tokens" "a picture"
equals "$(inputs shapes "$out")" $'in.image_grid_thw 1x3\nin.pixel_values 4056x1536' "its tensors"
equals "$(inputs values "$out" in.image_grid_thw)" "1 52 78" "its grid"
equals "$(preprocess --audio "$work/second.wav")" "$work/second.wav: 1.00 s of mono sound at 16000 Hz, 100 frames, 13 tokens" "sound"
equals "$(inputs shapes "$out")" $'in.audio_feature_lengths 1\nin.input_features 128x100' "its tensors"
preprocess --json --image $images/420.jpg --audio "$work/half.wav" >"$work/json"
for pair in "parts 0 kind=image" "parts 0 source=$images/420.jpg" "parts 0 seconds=null" "parts 1 kind=audio" "parts 1 frames=50" \
    "parts 1 seconds=0.5" "parts 1 tokens=7" "parts 1 width=null" "parts 1 rate_hz=16000" "out=$out"; do
    read -ra path <<<"${pair%%=*}"
    equals "$(json "${path[@]}" <"$work/json")" "${pair#*=}" "--json: ${pair%%=*}"
done
equals "$(wc -l <"$work/json")" 1 "--json prints one line"

# ---- several ----
one() { "$tessera" preprocess --quiet --model $model --out "$work/$1.safetensors" "${@:2}" >"$work/said"; }
one a --image $images/420.jpg && one b --image "$work/photo.png" && one c --audio "$work/second.wav" && one d --audio "$work/half.wav"
preprocess --image $images/420.jpg --audio "$work/second.wav" --image "$work/photo.png" --audio "$work/half.wav" >"$work/said"
equals "$(cut -d: -f 1 "$work/said" | tr '\n' ' ')" "$images/420.jpg $work/second.wav $work/photo.png $work/half.wav " "in the order given"
inputs joined "$out" "$work"/{a,b,c,d}.safetensors
result $? "several are each alone, one after the other"

# ---- sources ----
preprocess --image - <$images/420.jpg >"$work/said"
inputs same "$out" "$work/a.safetensors"
result $? "standard input"
preprocess --image "data:image/jpeg;base64,$(base64 -w 0 $images/420.jpg)" >"$work/said"
inputs same "$out" "$work/a.safetensors"
result $? "a data URL"
cp $images/420.jpg "$work/sound.mp3"
preprocess --image "$work/sound.mp3" >"$work/said"
inputs same "$out" "$work/a.safetensors"
result $? "the bytes decide, not the name"

mkfifo "$work/pipe"
sleep 20 >"$work/pipe" &
equals "$(exit_of timeout --preserve-status -s INT 1 bash -c 'exec "$@" <"$0"' "$work/pipe" "$tessera" preprocess --model $model --image - --out "$out")" 130 \
    "Ctrl-C ends the wait for standard input"
kill $!

# ---- lengths: frames are samples // 160 ----
for n in 160 161 200 201 319 320 368 400 799 800 801 48001; do
    make_media wav "$work/n.wav" $n
    equals "$(exit_of preprocess --audio "$work/n.wav")" 0 "$n samples"
    equals "$(inputs values "$out" in.audio_feature_lengths)" $((n / 160)) "$n samples: $((n / 160)) frames"
done
for n in 479840 480000 480160 496000 4800000; do # around and far beyond half a minute: nothing is cut
    make_media wav "$work/n.wav" $n zeros
    contains "$(preprocess --audio "$work/n.wav" | tr -d ,)" "$((n / 160)) frames" "$n samples: $((n / 160)) frames"
done
contains "$(preprocess --audio "$work/n.wav")" "30,000 frames, 3,900 tokens" "five minutes: their tokens"
rm "$out" "$work/n.wav"
make_media wav "$work/zeros.wav" 19200 zeros
equals "$(exit_of preprocess --audio "$work/zeros.wav")" 0 "1.2 s of zeros"
equals "$(inputs values "$out" in.input_features | tr ' ' '\n' | sort -u)" "-1.5" "1.2 s of zeros: the floor everywhere"

# ---- films: what is said, an even count, the time of a step by the rate really sampled ----
films=tests/data/media/video
equals "$(preprocess --video $films/plain.mp4)" "$films/plain.mp4: 36 × 28, taken as 416 × 320, 2.00 s, 4 frames at 2 a second, 260 tokens" "a film"
equals "$(inputs shapes "$out")" $'in.pixel_values_videos 1040x1536\nin.video_grid_thw 1x3\nin.video_second_per_grid 1' "its tensors"
for case in 1:2:2.0 2:4:1.0 10:20:0.2; do
    IFS=: read -r fps frames seconds <<<"$case"
    contains "$(preprocess --fps "$fps" --video $films/plain.mp4)" " $frames frames at $fps a second" "two seconds at $fps a second"
    equals "$(inputs values "$out" in.video_grid_thw)" "$((frames / 2)) 20 26" "$fps a second: the grid"
    equals "$(printf %.4f "$(inputs values "$out" in.video_second_per_grid)")" "${seconds}000" "$fps a second: the time of a step"
done
for name in frames1 frames2 frames3 short; do
    contains "$(preprocess --video $films/$name.mp4)" " 2 frames at" "$name: at least two frames"
done
contains "$(preprocess --video $films/turned90.mp4)" "28 × 36, taken as 320 × 416" "turned, then taken"
contains "$(preprocess --video - <$films/plain.mp4)" "4 frames" "a film on standard input"
preprocess --json --fps 4 --video $films/ntsc.webm >"$work/json"
equals "$(json parts 0 fps <"$work/json")" 4.0 "--json: the rate"
preprocess --use-audio-in-video --video $films/sound.mp4 >"$work/said"
equals "$(cut -d: -f 1 "$work/said" | uniq -c | tr -s ' ')" " 2 $films/sound.mp4" "a film and its sound"
contains "$(tail -n 1 "$work/said")" "sound at" "the sound is said"
equals "$(inputs values "$out" in.use_audio_in_video)" 1 "in.use_audio_in_video"
cp "$out" "$work/film.safetensors"
preprocess --use-audio-in-video --audio "$work/second.wav" --video $films/sound.mp4 --audio "$work/half.wav" >"$work/said"
frames=$(inputs values "$work/film.safetensors" in.audio_feature_lengths)
equals "$(inputs values "$out" in.audio_feature_lengths)" "100 $frames 50" "a film's sound stands where the film does"
preprocess --audio $films/sound.mp4 >"$work/said"
equals "$(inputs values "$out" in.audio_feature_lengths)" "$frames" "the sound alone"

# ---- sizes ----
for size in 1x1:64x64 31x31:64x64 33x33:64x64 100x30:128x32 1280x720:1280x704 1920x1080:1920x1088 200x1:800x32; do
    given=${size%:*} taken=${size#*:}
    make_media png "$work/size.png" "${given%x*}" "${given#*x}"
    contains "$(preprocess --image "$work/size.png")" "taken as ${taken%x*} × ${taken#*x}," "$given is taken as $taken"
done

# ---- refusals: exit code, and what the message names ----
refuse() { # refuse CODE PART TEXT ARGUMENT...
    rm -f "$out"
    equals "$(exit_of preprocess "${@:4}")" "$1" "$3: exit $1"
    contains "$(cat "$work/err")" "$2" "$3: says \"$2\""
    [ ! -e "$out" ]
    result $? "$3: no file"
}
for n in 0 1 159; do
    make_media wav "$work/n.wav" $n
    refuse 3 "$work/n.wav" "$n samples" --audio "$work/n.wav"
done
refuse 3 "at least 160 samples" "159 samples" --audio "$work/n.wav"
make_media wav "$work/nan.wav" 16000 nan
refuse 3 "nan.wav: sample 8000 (at 0.500 s)" "a NaN" --audio "$work/nan.wav"
make_media wav "$work/huge.wav" 16000 huge
refuse 3 "huge.wav: sample 8000" "a sample nobody can square" --audio "$work/huge.wav"
refuse 3 "nowhere.png" "no such file" --image nowhere.png
refuse 3 "a regular file" "a device" --audio /dev/null
: >"$work/empty.png"
refuse 3 "empty.png" "an empty picture" --image "$work/empty.png"
head -c 700 $images/420.jpg >"$work/cut.jpg"
refuse 3 "cut.jpg" "a picture that is cut off" --image "$work/cut.jpg"
echo "no medium at all, only words" >"$work/words.wav"
refuse 3 "words.wav" "words for sound" --audio "$work/words.wav"
refuse 3 "words.wav" "words for a picture" --image "$work/words.wav"
refuse 3 "words.wav" "words for a film" --video "$work/words.wav"
refuse 3 "420.jpg" "a picture for sound" --audio $images/420.jpg
make_media png "$work/strip.png" 4000 19
refuse 3 "4000 x 19 pixels, 210.5 to 1" "too long a strip" --image "$work/strip.png"
model=$work refuse 3 "found no such file, expected the file that says how sounds" "no preprocessor_config.json" --image "$work/photo.png"
mkdir "$work/other"
sed 's/"n_fft": 400/"n_fft": 512/' $model/preprocessor_config.json >"$work/other/preprocessor_config.json"
model=$work/other refuse 3 "n_fft: found 512, expected 400" "another transform" --image "$work/photo.png"
refuse 3 "plain.mp4: sound: found none" "the sound of a silent film" --use-audio-in-video --video $films/plain.mp4
refuse 3 "plain.mp4" "a silent film for sound" --audio $films/plain.mp4
refuse 3 "plain.mp4" "one film with sound and one without" --use-audio-in-video --video $films/sound.mp4 --video $films/plain.mp4
python - "$work" <<'P2'
import struct, sys, zlib
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
picture = open(sys.argv[1] + "/photo.png", "rb").read()
for name, kind, head in (("bomb", b"zTXt", b"Raw profile type exif\0\0"), ("packet", b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")):
    text = chunk(kind, head + zlib.compress(b"0" * ((1 << 20) + 1)))
    open(f"{sys.argv[1]}/{name}.png", "wb").write(picture[:33] + text + picture[33:])
P2
refuse 3 "bomb.png at byte 64: text: found more" "EXIF data that unpack to more than a MiB" --image "$work/bomb.png"
refuse 3 "packet.png at byte 63: text: found more" "XMP that unpacks to more" --image "$work/packet.png"
refuse 2 "no medium" "nothing to do"
refuse 2 "there is no --video" "sound of no film" --image "$work/photo.png" --use-audio-in-video
refuse 2 "--fps: found 0" "no frames a second" --video "$work/photo.png" --fps 0
refuse 2 "--image: found \"\"" "a picture without a name" --image ""
refuse 2 "media go after" "a word" --image "$work/photo.png" word
equals "$(exit_of "$tessera" preprocess --out "$out" --image x)" 2 "no --model: exit 2"
equals "$(exit_of "$tessera" preprocess --model $model --image x)" 2 "no --out: exit 2"
cp "$work/photo.png" "$work/both.png"
equals "$(exit_of "$tessera" preprocess --model $model --image "$work/both.png" --out "$work/both.png")" 2 "--out is the picture: exit 2"
cmp -s "$work/both.png" "$work/photo.png"
result $? "and it is as it was"
equals "$(exit_of preprocess --json --image nowhere.png)" 3 "with --json: exit 3"
equals "$(json error file <"$work/out")" nowhere.png "with --json: the file"

# ---- memory: counted before it is decoded ----
make_media png "$work/vast.png" 30000 30000 interlaced
[ "$(stat -c %s "$work/vast.png")" -lt 200000 ]
result $? "900 megapixels in a small file"
refuse 5 "vast.png: --memory" "900 megapixels within 1 GiB" --memory 1GiB --image "$work/vast.png"
"$tessera" plan --model $model --quiet --json --image "$work/vast.png" >"$work/json"
held=$(json smallest_budget_bytes <"$work/json")
make_media png "$work/vast.png" 30000 30000
"$tessera" plan --model $model --quiet --json --image "$work/vast.png" >"$work/json"
[ $((held - $(json smallest_budget_bytes <"$work/json"))) -gt 2600000000 ]
result $? "not where its rows come one after the other"
make_media png "$work/large.png" 5000 4000
refuse 5 "large.png: --memory" "20 megapixels within 64 MiB" --memory 64MiB --image "$work/large.png"
preprocess --json --memory 64MiB --image "$work/large.png" >"$work/json" 2>"$work/err"
smallest=$(json smallest_budget_bytes <"$work/json")
equals "$(exit_of preprocess --json --memory "$smallest" --image "$work/large.png")" 0 "the smallest that is told works"
if [ -z "${TESS_SANITIZED:-}" ]; then
    peak=$(json peak_rss_bytes <"$work/out")
    [ "$peak" -le "$smallest" ]
    result $? "and holds: $peak of $smallest bytes"
fi
for memory in 64MiB "$smallest"; do
    preprocess --json --memory "$memory" --image "$work/large.png" --image "$work/large.png" >"$work/json" 2>"$work/err"
    both=$(json smallest_budget_bytes <"$work/json")
    [ "$both" -gt $((smallest + 30000000)) ] && [ "$both" -lt $((smallest + 50000000)) ]
    result $? "two of them need more than one, for the first stays, and in $memory that is told at once"
done
equals "$(exit_of preprocess --memory "$both" --image "$work/large.png" --image "$work/large.png")" 0 "and the smallest that is told works"
mkdir "$work/coarse"
sed 's/"patch_size": 16/"patch_size": 128/' $model/preprocessor_config.json >"$work/coarse/preprocessor_config.json"
timeout 60 "$tessera" preprocess --model "$work/coarse" --out "$out" --image $images/420.jpg 2>"$work/err"
equals "$?" 0 "patches of more numbers than are written at a time"
rm "$out"
make_media wav "$work/long.wav" 4800000 zeros
equals "$(exit_of preprocess --memory 50MiB --audio "$work/long.wav")" 5 "five minutes within 50 MiB: exit 5"
told=$(sed -n 's/.*the smallest that works is --memory \(.*MiB\)$/\1/p' "$work/err")
equals "$(exit_of preprocess --memory "$told" --audio "$work/long.wav")" 0 "and the smallest that is told works: $told"
for film in plain.mp4 mpeg4.avi ntsc.webm animated.gif; do
    equals "$(exit_of preprocess --memory 50MiB --video $films/$film)" 5 "$film within 50 MiB: exit 5"
    contains "$(cat "$work/err")" "preparing it takes" "though its frames are too large to be counted one by one"
    told=$(sed -n 's/.*the smallest that works is --memory \(.*MiB\)$/\1/p' "$work/err")
    equals "$(exit_of preprocess --memory "$told" --video $films/$film)" 0 "and the smallest that is told works: $told"
done
