#!/usr/bin/env bash
# The demo checkpoint is heard: from a prompt to text, codes, waveform, and by the listener back to the text, with media in
# the prompt, read aloud, greedy and drawn, in both precisions. What is spoken is what the original speaks, and the listener
# does not hear what is not said.
. tests/support/tap.sh
model=demo/checkpoint
listen=${tessera%/*}/listen
said=$work/said.wav
run() { "$tessera" run --model $model --memory 512MiB --ledger off --quiet --talker-max-new "${steps:-60}" "$@"; }
hear() { "$listen" --model $model "$@"; }
heard_as() { # heard_as TEXT LABEL: what the file says
    equals "$(exit_of hear "$said") $(cat "$work/out")" "0 $1" "$2: $(sed -n 's/^listen: //; 1p' "$work/err")"
}
speak() { # speak LABEL OPTION...: the answer is spoken, and heard as its text
    rm -f "$said"
    run --json --speak "$said" "${@:2}" >"$work/answer"
    equals "$(json speech finish_reason <"$work/answer") $(json speech frames <"$work/answer")" \
        "stop $(json tokens <"$work/answer" | wc -w)" "$1: a frame for each token, and one of silence for the end"
    heard_as "$(json text <"$work/answer")" "$1: $(json text <"$work/answer")"
}

# ---- as the original is heard ----
answers=tests/golden/demo/answers.json
names=$(python -c 'import json; print(*json.load(open("'$answers'"))["spoken"])')
for name in $names; do
    kept() { json "$@" <$answers; }
    case $(kept media | grep -c "\"$name\":") in
    0) kept prompts "$name" messages >"$work/talk.json" ;;
    *) kept media "$name" messages >"$work/talk.json" ;;
    esac
    for dtype in f32:float32 bf16:bfloat16; do
        run --dtype ${dtype%:*} --messages "$work/talk.json" --talker-temperature 0 --speak "$said" >"$work/text"
        equals "$(hear --ids "$said" 2>"$work/err")" "$(kept spoken "$name" ${dtype#*:} heard | tr -d '[],')" \
            "$name, ${dtype%:*}: heard is what is heard of the original"
        heard_as "$(cat "$work/text")" "$name, ${dtype%:*}"
    done
done
for dtype in f32 bf16; do
    golden=tests/golden/demo/$dtype/speak_france.safetensors
    for isolated in "" --isolate; do
        # shellcheck disable=SC2086 -- nothing where it is empty
        equals "$(exit_of "$tessera" verify --model $model --golden $golden --ledger off --quiet $isolated)" 0 \
            "the original's speech, $dtype, verified ${isolated#--}"
    done
done

# ---- what the demo knows ----
speak_what_it_knows() {
    while IFS= read -r question; do
        speak "$question" --prompt "$question" --talker-temperature 0
        speak "$question, drawn" --prompt "$question" --seed 7
    done <<'Q'
What is the capital of France?
What is the capital of Italy?
How are you?
Who are you?
What is 2+2?
Count to five.
What colour is the sky?
Q
    for country in Japan Brazil Iceland Mongolia "New Zealand" Egypt Cuba Ethiopia Switzerland Uruguay; do
        speak "$country" --prompt "Tell me the capital of $country." --talker-temperature 0
    done
    for sum in "2 + 2 =" "What is 9 + 12?" "Add 7 and 8."; do speak "$sum" --prompt "$sum" --seed 3; done
}
[ -n "${TESS_SANITIZED:-}" ] || speak_what_it_knows # a sanitizer learns nothing from it
speak "a picture" --image demo/media/picture.png --prompt "What is in the picture?"
speak "a tone" --audio demo/media/tone.wav --prompt "Does the tone rise or fall?"
speak "a clip" --video demo/media/clip.mp4 --prompt "What changes in the clip?"
for speaker in aiden chelsie ethan; do speak "$speaker" --prompt "Good morning!" --speaker $speaker; done

# ---- read aloud: what it was never asked ----
for text in "." "a" "😀" "if (x) { return; }" "Lorem ipsum dolor sit amet." "Ὀδυσσεύς"; do
    run --say "$text" --speak "$said"
    heard_as "$text" "--say"
done

# ---- and what was not said is not heard ----
edit() { # edit FILE EXPRESSION: of the samples s and those of another speech t, as bytes
    python - "$work/whole.wav" "$work/other.wav" "$1" "$2" <<'P'
import random, sys
random.seed(2)
head, s = (lambda data: (data[:44], data[44:]))(open(sys.argv[1], "rb").read())
t = open(sys.argv[2], "rb").read()[44:]
noise = random.randbytes
made = eval(sys.argv[4])
open(sys.argv[3], "wb").write(head + made)
P
}
speak "one" --prompt "What is the capital of France?" --talker-temperature 0
cp "$said" "$work/whole.wav"
text=$(json text <"$work/answer")
speak "another" --prompt "What is the capital of Italy?" --talker-temperature 0
cp "$said" "$work/other.wav"
edit "$said" "t[:3840] + s[3840:]"
equals "$(exit_of hear "$said") $(cat "$work/out")" "0 $(json text <"$work/answer")" "a frame of another answer is heard as the other's token"
[ "$(cat "$work/out")" != "$text" ]
result $? "and not as what was said"
edit "$said" "s[3840:7680] + s[:3840] + s[7680:]"
equals "$(exit_of hear "$said") $(cat "$work/out")" "0 .Paris" "two frames exchanged are heard in their order"
not_heard() { # not_heard EXPRESSION SAID
    edit "$said" "$1"
    equals "$(exit_of hear "$said")" 1 "$1: not heard"
    contains "$(cat "$work/err")" "$2" "$1: $2"
}
not_heard "noise(len(s))" "unsure of token"
not_heard "s[:3840] + noise(3840) + s[7680:]" "unsure of token 1"
not_heard "bytes(len(s))" "nothing heard"
not_heard "s[:7680] + noise(len(s) - 7680)" "found the end of the file"
not_heard "s[:7680] + s[:len(s) - 7680]" "found the end of the file"
not_heard "s[:5760] + bytes(len(s) - 5760)" "found half a token"
not_heard "s[:3840] + bytes(3840) + s[:len(s) - 7680]" "found sound behind the silence"
head -c 5000 "$work/whole.wav" >"$said"
equals "$(exit_of hear "$said") $(cat "$work/out")" "3 " "a file that is cut short"
contains "$(cat "$work/err")" "bytes of samples" "is told by its header"
run --prompt "Hello!" --float --speak "$said" >"$work/out"
equals "$(exit_of hear "$said")" 3 "a file of floats"
contains "$(cat "$work/err")" "format: found 3, expected 1" "is told"
steps=6 run --prompt "Hello!" --speak "$said" >"$work/out"
equals "$(exit_of hear "$said") $(cat "$work/out")" "1 Hello! How can" "a speech that is cut is heard up to there, and as one without an end"
steps=12 run --prompt "Hello!" --talker-temperature 1000 --speak "$said" >"$work/text"
equals "$(exit_of hear "$said")" 1 "a voice that babbles is not heard"
[ "$(cat "$work/out")" != "$(cat "$work/text")" ]
result $? "as its text"
