#!/usr/bin/env bash
# Media from outside, through run, trace, chat and plan: what is said of them, in which order they are told, where they
# may come from, and what is refused, by which code and with which file's name. preprocess has a test of its own.
. tests/support/tap.sh
model=demo/checkpoint
images=tests/data/media/images
sounds=tests/data/media/audio
films=tests/data/media/video
photo=$images/420.jpg
other=$images/444.jpg
sound=$sounds/s16.wav
film=$films/sound.mp4
mute=$films/plain.mp4
run() { "$tessera" run --ledger off --memory "${memory:-512MiB}" --model "${of:-$model}" --max-new 4 "$@"; }
trace() { "$tessera" trace --ledger off --memory 512MiB --model $model "$@"; }
chat() { "$tessera" chat --ledger off --memory 512MiB --model $model --max-new 4 "$@"; }
plan() { "$tessera" plan --memory "${memory:-512MiB}" --model $model --quiet "$@"; }
messages() { printf '%s' "$1" >"$work/messages.json"; }

# ---- what is said ----
equals "$(exit_of run --image $photo --prompt "What is it?")" 0 "run with a picture"
equals "$(sed -n 1p "$work/err")" "$photo: 45 × 37, taken as 64 × 64, 4 tokens" "says what it is taken as"
equals "$(exit_of run --audio $sound --prompt "What is it?")" 0 "run with sound"
equals "$(sed -n 1p "$work/err")" "$sound: 0.08 s of mono sound at 16000 Hz, 7 frames, 1 token" "says how long it is"
equals "$(exit_of run --video $film --prompt "What is it?")" 0 "run with a film"
equals "$(sed -n 1p "$work/err")" "$film: 36 × 28, taken as 416 × 320, 0.40 s, 2 frames at 2 a second, 130 tokens" \
    "says how many frames were taken"
equals "$(exit_of run --video $film --use-audio-in-video --json --prompt "What is it?")" 0 "run with a film's sound"
equals "$(json parts 0 tokens <"$work/out") $(json parts 0 kind <"$work/out")" "136 video" "its sound is told with its frames"
equals "$(exit_of run --quiet --image $photo --prompt x)" 0 "--quiet"
equals "$(cat "$work/err")" "" "says nothing"
equals "$(exit_of run --json --image $photo --audio $sound --image $other --prompt "What?")" 0 "--json"
for pair in "parts 0 kind=image" "parts 0 source=$photo" "parts 0 width=45" "parts 0 taken_width=64" "parts 0 tokens=4" \
    "parts 0 seconds=null" "parts 1 kind=audio" "parts 1 frames=7" "parts 1 rate_hz=16000" "parts 1 width=null" "parts 2 source=$other"; do
    read -ra path <<<"${pair%%=*}"
    equals "$(json "${path[@]}" <"$work/out")" "${pair#*=}" "--json: ${pair%%=*}"
done
text_ids() { python -c 'import json, sys; print(*json.load(sys.stdin)["prompt_ids"])' <"$work/out"; }
said=$(text_ids)

# ---- order and turns ----
part() { printf '{"type": "%s", "%s": "%s"}' "$1" "$1" "$2"; }
messages "[{\"role\": \"user\", \"content\": [$(part image $photo), $(part audio $sound), $(part image $other), $(part text "What?")]}]"
equals "$(exit_of run --json --messages "$work/messages.json")" 0 "--messages with parts"
equals "$(text_ids)" "$said" "are the ids of the same options"
answer=$(json text <"$work/out")
messages "[{\"role\": \"user\", \"content\": [$(part text "What?"), $(part image $other), $(part audio $sound), $(part image $photo)]}]"
equals "$(exit_of run --json --messages "$work/messages.json")" 0 "--messages in another order"
[ "$(text_ids)" != "$said" ]
result $? "are other ids"
equals "$(json parts 0 source <"$work/out") $(json parts 2 source <"$work/out")" "$other $photo" "told in that order"
messages "[{\"role\": \"user\", \"content\": [$(part image $photo), $(part text "Who?")]}, {\"role\": \"assistant\", \"content\": \"Me.\"},
    {\"role\": \"user\", \"content\": [$(part image $other), $(part text "And this?")]}]"
equals "$(exit_of run --json --messages "$work/messages.json")" 0 "pictures in two turns"
equals "$(json parts 1 source <"$work/out")" $other "both are told"

golden_ids() { # golden_ids GOLDEN
    python - "$1" <<'P'
import json, struct, sys
with open(sys.argv[1], "rb") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    begin, end = json.loads(file.read(size))["in.input_ids"]["data_offsets"]
    file.seek(8 + size + begin)
    print(*struct.unpack(f"<{(end - begin) // 8}q", file.read(end - begin)))
P
}
for pair in "audio_alone=" "audio_behind=What is"; do
    golden=tests/golden/e-f32/${pair%%=*}.safetensors
    clip=$(part audio "$PWD/tests/golden/front/noise.wav")
    messages "[{\"role\": \"user\", \"content\": [$(part text "${pair#*=}"), $clip]}]"
    equals "$(of=tests/golden/e exit_of run --json --messages "$work/messages.json")" 0 "a text of \"${pair#*=}\" and a clip behind it"
    equals "$(text_ids)" "$(golden_ids $golden)" "are the original's ids"
done
equals "$(of=tests/golden/e exit_of run --json --audio tests/golden/front/noise.wav --prompt "")" 0 "a clip and an empty prompt"
equals "$(text_ids)" "$(golden_ids tests/golden/e-f32/audio_alone.safetensors)" "are the original's ids"

# ---- sources ----
equals "$(exit_of run --quiet --image $photo --prompt "What is it?")" 0 "a path"
equals "$("$tessera" run --ledger off --memory 512MiB --model $model --max-new 4 --quiet --image - --prompt "What is it?" <$photo)" \
    "$(cat "$work/out")" "standard input"
url="data:image/jpeg;base64,$(base64 -w 0 $photo)"
equals "$(run --quiet --image "$url" --prompt "What is it?")" "$(cat "$work/out")" "a data URL"
cp $photo "$work/--odd name.mp3"
equals "$(run --quiet --image "$work/--odd name.mp3" --prompt "What is it?")" "$(cat "$work/out")" "a name that lies about the kind"
equals "$(run --quiet --image $photo --audio $sound --image $other --prompt "What?")" "$answer" "the answer does not depend on how it was asked"

# It is read to its end once.
equals "$(exit_of run --image - --audio - --prompt x)" 2 "standard input as two media"
contains "$(cat "$work/err")" "standard input is one medium, and it is named 2 times" "is refused for that"
messages "[{\"role\": \"user\", \"content\": [$(part image -), $(part image -)]}]"
equals "$(exit_of run --messages "$work/messages.json" <$photo)" 3 "nor by --messages"
contains "$(cat "$work/err")" "standard input: messages[0].content[1]: found another" "and told where"
printf '/image -\nWhat is it?\n' | chat --quiet >"$work/out" 2>"$work/err"
equals "$? $(cat "$work/out")" "2 $(printf 'What is it?\n' | chat --quiet)" "chat reads questions from it, and no medium"

# ---- what is refused ----
: >"$work/empty.png"
head -c 300 $photo >"$work/cut.jpg"
head -c 20 $sound >"$work/cut.wav"
head -c 1500 $film >"$work/cut.mp4"
refused() { # refused EXIT PART TEXT OPTION...: by run and by trace, which leaves no file
    local code=$1 part=$2 text=$3
    shift 3
    equals "$(exit_of run "$@")" "$code" "$text: exit $code"
    contains "$(cat "$work/err")" "$part" "$text: $part"
    equals "$(exit_of trace --out "$work/none" "$@")" "$code" "$text: exit $code by trace"
    contains "$(cat "$work/err")" "$part" "$text: $part, by trace"
}
refused 3 "$work/empty.png: found nothing" "an empty picture" --image "$work/empty.png" --prompt x
refused 3 "$work/cut.jpg at byte" "a cut picture" --image "$work/cut.jpg" --prompt x
refused 3 "$work/cut.wav" "cut sound" --audio "$work/cut.wav" --prompt x
refused 3 "$work/cut.mp4" "a cut film" --video "$work/cut.mp4" --prompt x
refused 3 "$photo: found" "a picture for sound" --audio $photo --prompt x
refused 3 "$sound: found sound (WAV)" "sound for a picture" --image $sound --prompt x
refused 3 "$sound: found" "sound for a film" --video $sound --prompt x
for name in picture.heic:HEIC picture.avif:AVIF drawing.svg:SVG; do
    file=tests/data/media/refused/${name%:*}
    refused 3 "$file: found ${name#*:}, expected JPEG, PNG, WebP, GIF, BMP or TIFF" "${name#*:}" --image $file --prompt x
done
refused 3 "absent.png: found no such file" "no file" --image absent.png --prompt x
refused 3 "$work" "a folder" --image "$work" --prompt x
refused 3 "$mute: sound: found none" "a film without sound" --video $mute --use-audio-in-video --prompt x
refused 3 "$mute: sound: found none" "one film with sound and one without" --video $film --video $mute --use-audio-in-video --prompt x
refused 3 "for each image of the request: 1" "a placeholder more than media" --image $photo --prompt "<|image_pad|>"
refused 3 "for each audio of the request: 1" "likewise of sound" --audio $sound --prompt "a <|audio_pad|> b"
refused 3 "for each video of the request: 0" "a placeholder of another kind" --audio $sound --prompt "a <|video_pad|> b"
refused 3 "standard input: found nothing" "nothing on standard input" --image - --prompt x
refused 3 "data URL at byte 22" "a data URL that is none" --image "data:image/png;base64,@@@@" --prompt x
refused 2 "--raw leaves out" "--raw" --raw --image $photo --prompt x
refused 2 "there is no --video" "--use-audio-in-video without a film" --image $photo --use-audio-in-video --prompt x
refused 2 "there is no --video" "--fps without a film" --image $photo --fps 3 --prompt x
refused 2 "--fps: found 0" "no frame a second" --video $film --fps 0 --prompt x
messages "[{\"role\": \"user\", \"content\": [$(part image $photo)]}]"
refused 2 "--messages says what is asked" "media beside messages" --messages "$work/messages.json" --image $photo
messages "[{\"role\": \"user\", \"content\": [$(part image $photo), $(part image "$work/cut.jpg")]}]"
refused 3 "$work/cut.jpg at byte" "a cut picture in messages" --messages "$work/messages.json"
for role in system assistant; do
    messages "[{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"$role\", \"content\": [$(part text x), $(part image $photo)]}]"
    refused 3 "messages[1].content[1]" "a picture of the $role" --messages "$work/messages.json"
done
[ ! -e "$work/none" ]
result $? "a refused trace leaves no file"
equals "$(exit_of run --json --image "$work/cut.jpg" --prompt x)" 3 "--json: exit 3"
equals "$(json error file <"$work/out") $(json error offset <"$work/out")" "$work/cut.jpg 393" "the file and the byte are members"
equals "$(exit_of run --quiet --plain --image $photo --prompt "a <|image_pad|> b")" 0 "--plain: what text spells stays text"
equals "$(exit_of run --quiet --prompt "a <|image_pad|> b")" 0 "without media a placeholder is a token"

# ---- what is missing of a film or a sound is said, and what is there taken ----
containers=tests/data/media/containers
head -c 6000 $containers/film.mkv >"$work/cut.mkv"
head -c 9000 $containers/sound.au >"$work/cut.au"
said="cut.mkv: found 6000 bytes, expected 10949 as its header says; what is there is taken"
equals "$(exit_of run --json --video "$work/cut.mkv" --use-audio-in-video --audio "$work/cut.au" --prompt x)" 0 "a film and a sound that were cut off"
equals "$(grep -c "tessera run: .*$said" "$work/err")" 1 "the film says so once, its sound included"
contains "$(cat "$work/err")" "cut.au: found 1.12 s, expected 2.00 s as its header says; what is there is taken" "and the sound"
equals "$(json parts 0 loss <"$work/out") $(json parts 1 loss <"$work/out")" \
    "found 6000 bytes, expected 10949 as its header says found 1.12 s, expected 2.00 s as its header says" "--json says it too"
equals "$(exit_of run --quiet --audio "$work/cut.au" --prompt x) $(cat "$work/err")" "0 " "--quiet does not"
equals "$(exit_of plan --video "$work/cut.mkv")" 0 "plan of one"
printf '/video %s\n' "$work/cut.mkv" | "$tessera" chat --ledger off --memory 512MiB --model $model >/dev/null 2>"$work/err"
contains "$(tr -d '\n' <"$work/err")" "found 6000 bytes, expected 10949" "chat says it"
exit_of "$tessera" preprocess --model $model --out "$work/cut.safetensors" --video "$work/cut.mkv" >"$work/code"
contains "$(cat "$work/err")" "preprocess: $work/$said" "and preprocess"
equals "$(exit_of run --json --video $containers/film.mkv --prompt x) $(json parts 0 loss <"$work/out")" "0 null" "a whole one says nothing"

# ---- more than the context ----
# Nothing is decoded before that is told: the first picture has damaged pixels, which is told where there is room.
python tests/support/make_media.py png "$work/wide.png" 1024 1024
python -c 'import sys
bytes = bytearray(open(sys.argv[1], "rb").read())
bytes[-20] ^= 1
open(sys.argv[2], "wb").write(bytes)' "$work/wide.png" "$work/damaged.png"
many=(--image "$work/damaged.png")
for _ in $(seq 11); do many+=(--image "$work/wide.png"); done
refused 2 "found 12326 tokens (12 pictures 12288, text 38), expected at most the 12000 positions planned for; a larger one makes room" \
    "twelve pictures" "${many[@]}" --prompt "What is this?" --context 12000
equals "$(wc -l <"$work/err")" 1 "which is all that is said"
refused 2 "(12 pictures 12288, 1 sound 1, text 40)" "a sound that has no room beside them" \
    "${many[@]}" --audio $sound --prompt "What is this?" --context 12328
refused 3 "damaged.png" "with room for them" "${many[@]}" --audio $sound --prompt "What is this?" --context 12400
equals "$(exit_of plan "${many[@]}" --context 12000)" 2 "plan: exit 2"
contains "$(cat "$work/err")" "found 12304 tokens (12 pictures 12288, text 16), expected at most the 12000 positions" "plan: the sum"
equals "$(exit_of plan "${many[@]}" --context 12400)" 0 "plan decodes none"
for _ in $(seq 53); do many+=(--image "$work/wide.png"); done
refused 2 "(65 pictures 66560, text 144), expected at most 65536, the positions that this model has; fewer or smaller media take fewer" \
    "more than the model has" "${many[@]}" --prompt "What is this?"
printf '/image %s\nWhat?\n/image %s\nAnd?\n' "$work/wide.png" "$work/damaged.png" | chat --quiet --context 2000 >"$work/out" 2>"$work/err"
equals "$?" 2 "chat: exit 2"
contains "$(cat "$work/err")" "(2 pictures 2048, text " "counts what was said before"

# ---- plans; the budgets that they tell are tried by test_memory.sh ----
plan --image $photo --audio $sound >"$work/out"
for region in "media .*features .*always" "audio .*weights .*audio" "audio .*workspace" "vision .*weights .*vision" "vision .*workspace"; do
    grep -q "^$region" "$work/out"
    result $? "plan counts $region"
done
! plan | grep -q '^\(media\|audio\|vision\)'
result $? "without media there are none"

# ---- traces ----
equals "$(exit_of trace --quiet --image $photo --audio "$sound" --prompt "What?" --out "$work/media.safetensors")" 0 "trace"
"$tessera" compare --quiet "$work/media.safetensors" "$work/media.safetensors" >/dev/null
result $? "can be compared"
mkdir "$work/elsewhere"
mv "$work/media.safetensors" "$work/elsewhere"
equals "$(exit_of "$tessera" verify --ledger off --memory 512MiB --model $model --json --golden "$work/elsewhere/media.safetensors")" 0 \
    "verify finds its media wherever it lies"
equals "$(json verdict <"$work/out") $(json text_checked <"$work/out")" "equal true" "and prepares them again"
equals "$(exit_of trace --quiet --image "$url" --prompt "What?" --out "$work/url.safetensors")" 0 "trace with a data URL"
equals "$(exit_of "$tessera" verify --ledger off --memory 512MiB --model $model --json --golden "$work/url.safetensors")" 0 "is verified"
equals "$(json text_checked <"$work/out")" true "from the URL itself"
# Clips come one behind the other, and a long one in blocks: of either the frames are columns of one tensor.
python -c 'import random, struct, wave
random.seed(1)
with wave.open("'"$work"'/long.wav", "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(b"".join(struct.pack("<h", random.randint(-3000, 3000)) for _ in range(7 * 16000)))'
equals "$(exit_of trace --quiet --audio "$sound" --audio "$work/long.wav" --audio $sounds/s24.wav --prompt "What?" --out "$work/clips.safetensors")" 0 "trace with three clips"
equals "$(exit_of "$tessera" verify --ledger off --memory 512MiB --model $model --json --golden "$work/clips.safetensors")" 0 "is verified"
equals "$(json verdict <"$work/out") $(json text_checked <"$work/out")" "equal true" "from the files themselves"
python tests/support/edit_trace.py "$work/clips.safetensors" "$work/odd.safetensors" add in.input_features 20000 0.01
equals "$(exit_of "$tessera" verify --ledger off --memory 512MiB --model $model --json --golden "$work/odd.safetensors")" 1 "another frame is found"
equals "$(json first component <"$work/out") $(json first tap <"$work/out")" "preprocess in.input_features" "and named"
trace --quiet --image - --prompt "What?" --out "$work/piped.safetensors" <$photo
equals "$(exit_of "$tessera" verify --ledger off --model $model --golden "$work/piped.safetensors")" 0 "a picture that came by standard input is none to prepare again"
contains "$(tr -s '\n ' ' ' <"$work/out")" "a medium came by standard input" "which verify says"
equals "$(exit_of trace --quiet --video $film --use-audio-in-video --fps 5 --prompt "What?" --out "$work/film.safetensors")" 0 "trace with a film"
equals "$(exit_of "$tessera" verify --ledger off --memory 512MiB --model $model --json --golden "$work/film.safetensors")" 0 "is verified"
equals "$(json verdict <"$work/out") $(json text_checked <"$work/out")" "equal true" "at its rate, with its sound"

# Which file holds what the model cannot take.
python tests/support/edit_trace.py "$work/film.safetensors" "$work/odd.safetensors" set in.input_ids 0 99999
equals "$(exit_of trace --json --inputs "$work/odd.safetensors" --out "$work/none")" 3 "trace of an id that there is not"
equals "$(json error file <"$work/out") $(json error field <"$work/out")" "$work/odd.safetensors input_ids" "names the file"
contains "$(cat "$work/err")" "$work/odd.safetensors: input_ids: found id 99999 at place 0" "in words, too"
python tests/support/edit_trace.py "$work/film.safetensors" "$work/odd.safetensors" set in.video_grid_thw 1 13 set in.video_grid_thw 2 40
for command in "trace --out $work/none --inputs" "verify --golden"; do
    equals "$(exit_of "$tessera" $command "$work/odd.safetensors" --ledger off --memory 512MiB --model $model --json)" 3 "${command%% *} of a grid that is not even"
    equals "$(json error file <"$work/out") $(json error field <"$work/out")" "$work/odd.safetensors media[1]" "names the file"
done

# ---- chat ----
two=$(printf '/image %s\nWhat is it?\nAre you sure?\n' $photo | chat --quiet)
equals "$(wc -l <<<"$two")" 2 "chat: a picture and a question, and one more"
equals "$(sed -n 1p <<<"$two")" "$(run --quiet --image $photo --prompt "What is it?")" "the first answer is run's"
messages "[{\"role\": \"user\", \"content\": [$(part image $photo), $(part text "What is it?")]},
    {\"role\": \"assistant\", \"content\": $(sed -n 1p <<<"$two" | python -c 'import json, sys; print(json.dumps(sys.stdin.read()[:-1]))')},
    {\"role\": \"user\", \"content\": \"Are you sure?\"}]"
equals "$(sed -n 2p <<<"$two")" "$(run --quiet --messages "$work/messages.json")" "the second is that of the whole conversation"
printf '/image %s\n/audio %s\nWhat?\n/video %s\nAnd this?\n' $photo $sound $film | chat >"$work/out" 2>"$work/err"
equals "$? $(wc -l <"$work/out") $(grep -c 'tokens\?$' "$work/err")" "0 2 3" "pictures, sound and films of two turns"
# Pads that are spelled beside media fit none of them: the question is at fault, not the conversation.
printf '/image %s\n<|image_pad|>?\nWhat is it?\n' $photo | chat --quiet >"$work/out" 2>"$work/err"
equals "$? $(cat "$work/out")" "3 $(printf 'What is it?\n' | chat --quiet)" "a question that spells pads beside a picture is forgotten with it"
contains "$(cat "$work/err")" "The question is forgotten" "and said to be"

# ---- thinking and the Captioner ----
equals "$(exit_of run --think perhaps --prompt x)" 2 "--think takes on or off"
thinker=tests/golden/e
equals "$(of=$thinker exit_of run --json --think off --image $photo --prompt x)" 0 "--think with a picture"
closed=$(text_ids)
equals "$(of=$thinker exit_of run --json --think on --image $photo --prompt x)" 0 "--think on"
[ "$(text_ids)" != "$closed" ]
result $? "is another prompt"
equals "$(exit_of "$tessera" trace --ledger off --model $thinker --think off --prompt x --out "$work/closed.safetensors")" 0 "trace --think off"
equals "$(exit_of "$tessera" verify --ledger off --model $thinker --golden "$work/closed.safetensors")" 0 "which its messages do not tell, and its ids do"
cp -r $thinker "$work/Qwen3-Omni-Captioner"
caption() { of="$work/Qwen3-Omni-Captioner" exit_of run "$@"; }
equals "$(caption --audio $sound --prompt "")" 0 "the Captioner takes one clip"
equals "$(caption --audio $sound --prompt x)" 3 "and no text"
contains "$(cat "$work/err")" "exactly one clip and no text" "and says so"
equals "$(caption --audio $sound --audio $sound --prompt "")" 3 "nor two clips"
equals "$(caption --image $photo --prompt "")" 3 "nor a picture"
equals "$(caption --prompt "Hello")" 3 "nor text alone"

# ---- memory that the system does not give ----
in_address_space() { (ulimit -v "$1"; shift; exit_of "$tessera" "$@"); }
if [ "$(in_address_space 50000 version)" = 0 ]; then
    for kb in 30000 60000 100000; do
        for command in "run --memory 200MiB --ledger off --prompt x" "preprocess --out $work/t"; do
            # shellcheck disable=SC2086 -- words split
            equals "$(in_address_space $kb $command --model $model --video tests/data/media/video/plain.mp4)" 4 "${command%% *} in $kb KiB: exit 4"
            contains "$(cat "$work/err")" "no memory to open the library lib" "is told"
        done
    done
else
    skip "libraries without memory" "this build needs more to begin"
fi
