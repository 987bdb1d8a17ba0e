#!/usr/bin/env bash
# chat --speak from outside: a file for each turn, of the whole conversation with its media; played; commands; what fails
# beside the text.
. tests/support/tap.sh
model=demo/checkpoint
chat() { "$tessera" chat --model $model --memory 512MiB --ledger off --talker-max-new "${steps:-6}" "$@"; }
same() { # same FILE FILE TEXT
    [ -s "$1" ] && cmp -s "$1" "$2"
    result $? "$3"
}
# What run speaks in the place of an answer: spoken_by_run OUT MESSAGES [OPTION...]
spoken_by_run() {
    rm -f "$1"
    printf '%s' "$2" >"$work/messages"
    "$tessera" run --model $model --memory 512MiB --ledger off --quiet --talker-max-new 6 --messages "$work/messages" --speak "$1" "${@:3}" >/dev/null 2>&1
}
say() { printf '{"role": "%s", "content": "%s"}' "$1" "$2"; }
at=$work/spoken
set_of() { find "$1" -type f -printf '%f\n' | sort | tr '\n' ' '; }

# ---- one file for each turn ----
printf 'Hello!\nWhat is 2 + 2?\n' | chat --speak="$at" --json >"$work/out" 2>"$work/err"
equals "$? $(set_of "$at")" "0 turn-1.wav turn-2.wav " "the folder is made, with a file for each turn"
equals "$(sed -n 1p "$work/out" | json speech)" "{\"file\": \"$at/turn-1.wav\", \"frames\": 5, \"seconds\": 0.376875, \"finish_reason\": \"step limit\"}" "JSON tells of each"
contains "$(cat "$work/err")" "cut at its step limit of 6" "a limit is told"
equals "$(json text <<<"$(sed -n 1p "$work/out")") $(json text <<<"$(sed -n 2p "$work/out")")" \
    "$(printf 'Hello!\nWhat is 2 + 2?\n' | "$tessera" chat --model $model --ledger off --quiet | tr '\n' ' ' | sed 's/ $//')" "the text is that of a chat without speech"
first="[$(say user Hello!)]"
second="[$(say user Hello!), $(say assistant "Hello! How can I help you?"), $(say user "What is 2 + 2?")]"
spoken_by_run "$work/first.wav" "$first"
spoken_by_run "$work/second.wav" "$second"
same "$at/turn-1.wav" "$work/first.wav" "the first is what run speaks"
same "$at/turn-2.wav" "$work/second.wav" "the second what run speaks of the whole conversation"
cp "$at/turn-1.wav" "$work/kept.wav"
printf 'What is 2 + 2?\n' | chat --speak="$at/" --quiet >/dev/null
equals "$(set_of "$at")" "turn-1.wav turn-2.wav turn-3.wav " "a further chat goes on behind the files that are there"
same "$at/turn-1.wav" "$work/kept.wav" "and replaces none"
mkdir "$work/odd"
touch "$work/odd/turn-0.wav" "$work/odd/turn-7.wav" "$work/odd/turn-12.flac" "$work/odd/turn-99999999999999999999.wav" "$work/odd/turn-x.wav"
echo 'Hello!' | chat --speak="$work/odd" --quiet >/dev/null
[ -s "$work/odd/turn-8.wav" ]
result $? "behind the largest number of a .wav"
for options in "--context 256" "--expert-slots 20"; do
    rm -rf "$at"
    # shellcheck disable=SC2086 -- words split
    printf 'Hello!\nWhat is 2 + 2?\n' | chat $options --speak="$at" --quiet >/dev/null
    cmp -s "$at/turn-1.wav" "$work/first.wav" && cmp -s "$at/turn-2.wav" "$work/second.wav"
    result $? "the same with $options"
done
rm -rf "$at"
printf 'Hello!\n/reset\nHello!\n' | chat --speak="$at" --quiet --float >/dev/null 2>&1
same "$at/turn-1.wav" "$at/turn-2.wav" "the same conversation once more"
equals "$(head -c 22 "$at/turn-1.wav" | tail -c 2 | od -An -tx1)" " 03 00" "--float"

# ---- an answer that is cut ----
# Every token that is shown is spoken, as run speaks it, and the talk goes on behind it.
for options in "--max-new 4" "--max-new 1" "--max-new 4 --expert-slots 20" "--max-new 4 --talker-temperature 40 --seed 3"; do
    rm -rf "$at"
    # shellcheck disable=SC2086 -- words split
    printf 'Hello!\nWhat is 2 + 2?\n' | chat --speak="$at" $options --json >"$work/out" 2>/dev/null
    cut=$(sed -n 1p "$work/out" | json text)
    equals "$(sed -n 1p "$work/out" | json finish_reason)" length "cut by $options: \"$cut\""
    # shellcheck disable=SC2086
    spoken_by_run "$work/cut.wav" "$first" $options
    same "$at/turn-1.wav" "$work/cut.wav" "is what run speaks"
    # shellcheck disable=SC2086
    spoken_by_run "$work/on.wav" "[$(say user Hello!), $(say assistant "$cut"), $(say user "What is 2 + 2?")]" $options
    same "$at/turn-2.wav" "$work/on.wav" "and so is the turn behind it"
done

# ---- media of all turns ----
rm -rf "$at"
picture=tests/data/media/images/420.jpg sound=tests/data/media/audio/s16.wav
printf '/image %s\nWhat is it?\n/audio %s\nAnd that?\nHello!\n' $picture $sound | chat --speak="$at" --json >"$work/out" 2>/dev/null
answer() { sed -n "$1p" "$work/out" | json text; }
part() { printf '{"type": "%s", "%s": "%s"}' "$1" "$1" "$2"; }
talk="[{\"role\": \"user\", \"content\": [$(part image $picture), $(part text "What is it?")]}"
spoken_by_run "$work/seen.wav" "$talk]"
same "$at/turn-1.wav" "$work/seen.wav" "a picture's turn is spoken as by run"
talk+=", $(say assistant "$(answer 1)"), {\"role\": \"user\", \"content\": [$(part audio $sound), $(part text "And that?")]}"
talk+=", $(say assistant "$(answer 2)"), $(say user Hello!)]"
spoken_by_run "$work/heard.wav" "$talk"
same "$at/turn-3.wav" "$work/heard.wav" "and so is a turn behind a picture and a sound"
rm -rf "$at"
printf '/image %s\nWhat is it?\n/audio %s\nAnd that?\nHello!\n' $picture $sound | chat --expert-slots 20 --speak="$at" --json >/dev/null 2>"$work/err"
same "$at/turn-3.wav" "$work/heard.wav" "also where speech has the room of the experts"

# ---- commands ----
rm -rf "$at"
printf '%s\n' 'Hello!' /reset '/speaker Chelsie' 'Hello!' /reset '/speak off' 'Hello!' '/speak ON' /reset '/speaker ethan' 'Hello!' |
    chat --speak="$at" --json >"$work/out" 2>"$work/err"
equals "$? $(set_of "$at")" "0 turn-1.wav turn-2.wav turn-4.wav " "/speak off: a turn has no file"
equals "$(sed -n 3p "$work/out" | grep -c speech)" 0 "nor a speech in its JSON"
spoken_by_run "$work/chelsie.wav" "$first" --speaker chelsie
same "$at/turn-2.wav" "$work/chelsie.wav" "/speaker: another voice"
same "$at/turn-1.wav" "$at/turn-4.wav" "which does not stay"
contains "$(cat "$work/err")" "Chelsie speaks from here on." "is said"
printf '%s\n' '/speaker nobody' 'Hello!' | chat --speak="$at" --quiet >/dev/null 2>"$work/err"
equals $? 3 "/speaker nobody: exit 3"
contains "$(cat "$work/err")" "expected aiden, chelsie, ethan" "with the list"
echo "/speaker $(printf 'y%.0s' {1..100})" | chat --speak="$at" --quiet 2>"$work/err"
contains "$(cat "$work/err")" 'speaker: found "yyyyyyyy' "a long name is told as it was typed"
printf '%s\n' '/speak up' | chat --speak="$at" --quiet >/dev/null 2>"$work/err"
equals $? 2 "/speak up: exit 2"
contains "$(cat "$work/err")" "/speak on or /speak off" "says what there is"
for order in "/speak on" "/speaker ethan"; do
    echo "$order" | "$tessera" chat --model $model --ledger off --quiet 2>"$work/err"
    equals $? 2 "$order without --speak: exit 2"
    contains "$(cat "$work/err")" "begun with --speak" "says why"
done
contains "$(echo /help | chat --speak="$at" 2>&1)" "/speaker NAME" "/help tells"

# ---- nothing to say, refusals, failures ----
rm -rf "$at"
echo 'Hello!' | chat --speak="$at" --max-new 0 --json >"$work/out" 2>"$work/err"
equals "$? $(json speech finish_reason <"$work/out") $(set_of "$at")" "0 none " "an answer of nothing has no file"
contains "$(cat "$work/err")" "there was nothing to say" "and says so"
refuse() { # refuse CODE SAID OPTION...
    equals "$(exit_of chat --memory 1 "${@:3}")" "$1" "${*:3}: exit $1"
    contains "$(cat "$work/err")" "$2" "${*:3}: $2"
}
chat() { "$tessera" chat --model "${folder:-$model}" --ledger off --talker-max-new 6 "$@"; }
refuse 2 'found "", expected a name' --speak=
refuse 2 "a folder follows --speak with =" --speak spoken
refuse 2 "given twice" --speak=a --speak=b
refuse 2 "name a folder" --speak=-
refuse 4 "cannot make this folder" --speak="$work/no/such/folder"
refuse 4 "cannot open this folder: Not a directory" --speak=README.md
refuse 2 "--float is about files" --speak --float
refuse 3 "expected aiden, chelsie, ethan" --speak="$at" --speaker nobody
folder=tests/golden/e refuse 3 "enable_audio_output" --speak="$at"
equals "$(exit_of "$tessera" chat --model $model --ledger off --speaker ethan)" 2 "--speaker without --speak: exit 2"
[ "$(id -u)" = 0 ] || { # to whom every folder is open
    mkdir -m 555 "$work/closed"
    refuse 4 "cannot write into this folder" --speak="$work/closed"
}
rm -rf "$at"
(trap '' XFSZ; ulimit -f 16; printf '%s\n' 'Hello!' '/speak off' 'What is 2 + 2?' | "$tessera" chat --model $model --ledger off --quiet --speak="$at" --talker-max-new 12 >"$work/out" 2>"$work/err")
equals "$? $(tr '\n' ' ' <"$work/out")" "4 Hello! How can I help you? 4. " "a full disk stops speech and no text; exit 4"
contains "$(cat "$work/err")" "turn-1.wav: cannot write" "is told"
[ "$(stat -c %s "$at/turn-1.wav")" -gt 8000 ]
result $? "what was spoken until then is kept"

rm -rf "$at"
endless=(--talker-temperature 1000 --talker-top-k 0 --seed 2) # for more than 300 frames
for signal in TERM HUP; do
    echo 'Hello!' | "$tessera" chat --model $model --ledger off --quiet --speak="$at" "${endless[@]}" >/dev/null 2>&1 &
    for _ in $(seq 1000); do
        [ "$(find "$at" -name 'turn-1.wav.*' -size +8k 2>/dev/null)" ] && break
        sleep 0.02
    done
    kill -$signal $!
    wait $!
    equals "$? $(set_of "$at")" "$((128 + $(kill -l $signal))) " "SIG$signal in mid-speech leaves no part of a file"
done

# ---- played: by ALSA's plug-in that writes a file ----
cat >"$work/alsa" <<P
pcm.nowhere { type null }
pcm.!default { type file slave.pcm nowhere file "$work/heard" format raw }
P
export PULSE_SERVER=unix:$work/none
if [ "$(ldconfig -p | grep -c libasound.so.2)" = 0 ]; then
    skip "chat --speak plays" "libasound is not installed"
else
    echo 'Hello!' | ALSA_CONFIG_PATH=$work/alsa chat --speak --quiet >"$work/out" 2>"$work/err"
    equals "$? $(cat "$work/out")$(cat "$work/err")" "0 Hello! How can I help you?" "chat --speak"
    cmp -s "$work/heard" <(tail -c +45 "$work/first.wav")
    result $? "plays what a file would hold, to its end"
    echo 'Hello!' | ALSA_CONFIG_PATH=$work/alsa chat --speak --json >"$work/out" 2>/dev/null
    equals "$(json speech file <"$work/out") $(json speech frames <"$work/out")" "null 5" "JSON: no file"
    echo 'pcm.!default { type nonsense }' >"$work/alsa"
    echo 'Hello!' | ALSA_CONFIG_PATH=$work/alsa chat --speak --memory 1 >"$work/out" 2>"$work/err"
    equals "$?$(cat "$work/out")" 4 "nothing that plays: exit 4, before any work"
    contains "$(cat "$work/err")" "sound cannot be played" "says why"
    contains "$(cat "$work/err")" "--speak=DIR" "and what there is instead"
fi
