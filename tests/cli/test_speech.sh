#!/usr/bin/env bash
# run --speak and --say from outside: files and pipes, what is refused and when, what stays of a speech that is cut, and
# that neither the text nor a sample depends on how it is run.
. tests/support/tap.sh
model=demo/checkpoint
run() { "$tessera" run --model $model --memory "${memory:-512MiB}" --ledger off --quiet --talker-max-new "${steps:-6}" "$@"; }
text() { "$tessera" run --model $model --memory 512MiB --ledger off --quiet "$@"; }
said=$work/said.wav
behind=(--expert-slots 20) # with fewer than all, speech has the room of the text's experts behind it
small=13MiB
[ -z "${TESS_SANITIZED:-}" ] || small=512MiB # whose memory is not the program's
same() { # same FILE FILE TEXT
    cmp -s "$1" "$2"
    result $? "$3"
}
differ() { # differ FILE FILE TEXT
    [ -s "$1" ] && [ -s "$2" ] && ! cmp -s "$1" "$2"
    result $? "$3"
}
samples_of() { tail -c +45 "$1"; }
# Samples of a file of 16 bits whose header is right; else what is wrong.
measure() { python -c 'import struct, sys
data = open(sys.argv[1], "rb").read()
head = struct.unpack("<4sI4s4sIHHIIHH4sI", data[:44])
n = len(data)
right = (b"RIFF", n - 8, b"WAVE", b"fmt ", 16, 1, 1, 24000, 48000, 2, 16, b"data", n - 44)
print((n - 44) // 2 if head == right else head)' "$1"; }

# ---- a file, and what is said of it ----
equals "$(exit_of run --prompt "Hello!" --speak "$said" --json)" 0 "an answer that reaches the step limit is none that failed"
equals "$(json speech <"$work/out")" "{\"file\": \"$said\", \"frames\": 5, \"seconds\": 0.376875, \"finish_reason\": \"step limit\"}" \
    "JSON says what was spoken and why it ended"
tokens=$(json tokens <"$work/out")
equals "$(measure "$said")" $((5 * 1920 - 555)) "WAV of 24 kHz and 16 bits, five frames"
equals "$(text --prompt "Hello!" --json | json tokens)" "$tokens" "the text is the same without speech"
"$tessera" run --model $model --ledger off --prompt "Hello!" --speak "$said" --talker-max-new 6 >"$work/out" 2>"$work/err"
contains "$(cat "$work/err")" "cut at its step limit of 6, after 0.4 s; --talker-max-new N allows more" "a limit is told with what allows more"
contains "$(cat "$work/err")" "[spoken 0.38 s to $said in " "and how long it took"

# ---- progress ----
# Lines of the bar as they were drawn: seconds spoken, and how long one of them takes, once there is something to time.
# So many frames that the line, which is drawn ten times a second at most, is drawn again.
"$tessera" run --model $model --ledger off --memory 512MiB --threads 1 --prompt "Hello!" --speak "$work/told.wav" --talker-max-new 300 \
    --talker-temperature 1000 --talker-top-k 0 --seed 2 --progress always >"$work/out" 2>"$work/err"
equals "$?" 0 "--progress always"
tr '\r' '\n' <"$work/err" | sed 's/\x1b\[K//; s/ *$//' | grep '^speaking' >"$work/bar"
equals "$(grep -vcE '^speaking [0-9]+\.[0-9] s of sound(  real-time factor [0-9]+\.[0-9]{2})?$' "$work/bar")" 0 "the bar tells seconds of sound and the real-time factor"
python - "$work/bar" <<'P'
import sys
lines = [line.split() for line in open(sys.argv[1])]
spoken, factors = [float(line[1]) for line in lines], [float(line[7]) for line in lines if len(line) > 7]
print("#", len(lines), "lines, the last", *lines[-1])
sys.exit(not (len(lines) >= 2 and spoken == sorted(set(spoken)) and 0 < spoken[-1] <= 299 * 0.08 + 0.05 and factors and min(factors) > 0))
P
result $? "seconds grow up to those of the file, and no time is counted as none"
text --speak "$work/told.wav" --prompt "Hello!" --talker-max-new 6 --progress always >/dev/null 2>"$work/err"
equals "$(grep -c speaking "$work/err")" 0 "--quiet has no bar"
drawn=(--prompt "What can you do?" --temperature 2 --seed 5 --max-new 12)
run "${drawn[@]}" --speak "$work/drawn.wav" --json >"$work/out"
equals "$(json tokens <"$work/out")" "$(text "${drawn[@]}" --json | json tokens)" "a text that is drawn is the same, too"
run "${drawn[@]}" "${behind[@]}" --speak "$work/behind.wav" --json >"$work/out"
equals "$(json tokens <"$work/out")" "$(text "${drawn[@]}" --json | json tokens)" "also where it is spoken behind the text"
same "$work/drawn.wav" "$work/behind.wav" "and so is the speech"

# ---- the same samples ----
hello() { rm -f "$work/again.wav" && run --prompt "Hello!" --speak "$work/again.wav" "$@" >/dev/null; }
for options in "--threads 1" "${behind[*]}" "--threads 3" "--isa reference" "--chunk 1 --threads 2" "--speaker ETHAN" "--speaker Ethan --seed 0"; do
    # shellcheck disable=SC2086 -- words split
    hello $options
    same "$said" "$work/again.wav" "the same request once more: $options"
done
for memory in $small 1GiB; do
    hello --context 256
    same "$said" "$work/again.wav" "in $memory"
done
unset memory
# The demo's voice says the same in every way: only where all codes are about as likely do settings show.
babble=(--talker-temperature 40)
endless=(--talker-temperature 1000 --talker-top-k 0 --seed 2) # for more than 300 frames, although it may end in any
hello "${babble[@]}"
mv "$work/again.wav" "$work/babble.wav"
for options in "--seed 1" "--speaker chelsie" "--talker-top-k 2" "--dtype bf16"; do
    # shellcheck disable=SC2086
    hello "${babble[@]}" $options
    differ "$work/babble.wav" "$work/again.wav" "another one: $options"
done
hello --talker-temperature 0
differ "$work/babble.wav" "$work/again.wav" "another one: --talker-temperature 0"
hello "${babble[@]}" --speaker chelsie
hello "${babble[@]}"
same "$work/babble.wav" "$work/again.wav" "a voice does not stay from the one before"
hello
steps=4 hello
cmp -s -n $((3 * 3840 - 1110)) <(samples_of "$work/again.wav") <(samples_of "$said")
result $? "a shorter speech is the beginning of a longer one"

# ---- what is drawn from ----
# By the settings that the original is published with (tests/golden/test_scores.c); help tells them.
"$tessera" run --help | tr -s ' \n' ' ' >"$work/help"
for option in "--talker-temperature X 0 is greedy in all codebooks; default 0.9" "--talker-top-k N of the first codebook; default 50" \
    "--talker-top-p X likewise; default 1" "--talker-repetition-penalty X likewise; default 1.05" "--talker-max-new N most frames of 80 ms, and one; default 4096"; do
    contains "$(cat "$work/help")" " $option " "help: $option"
done
# Text, talker and predictor draw from generators of their own (tests/unit/test_speech_streams.c).
tokens=$(text "${drawn[@]}" --json | json tokens)
for options in "--talker-temperature 0" "--talker-temperature 1000 --talker-top-k 0" "--talker-top-k 2" "--speaker aiden"; do
    # shellcheck disable=SC2086 -- words split
    run "${drawn[@]}" --speak "$work/other.wav" --json $options >"$work/out"
    equals "$(json tokens <"$work/out")" "$tokens" "the text is the same with $options"
    rm "$work/other.wav"
done

# ---- forms ----
equals "$(run --prompt "Hello!" --speak - 2>"$work/err" >"$work/piped"; cat "$work/err")" "Hello! How can I help you?" "--speak -: the text goes to standard error"
same "$said" "$work/piped" "and a file as standard output gets the same file"
run --prompt "Hello!" --speak - 2>/dev/null | cat >"$work/piped"
cmp -s <(samples_of "$work/piped") <(samples_of "$said")
result $? "a pipe gets the same samples"
equals "$(head -c 44 "$work/piped" | od -An -tx4 -j40 | tr -d ' ')" ffffffff "behind a header that says that their number is not known"
hello --float
python - "$work/again.wav" "$said" <<'P'
import array, sys
whole, short = (open(path, "rb").read() for path in sys.argv[1:])
at = whole.index(b"data") + 8
floats, integers = array.array("f", whole[at:]), array.array("h", short[44:])
sys.exit(not (whole[20:22] == b"\3\0" and len(floats) == len(integers) > 0 and
              all(abs(f * 32767 - i) < 0.51 for f, i in zip(floats, integers))))
P
result $? "--float: the samples that the integers were rounded from"
for form in flac:fLaC mp3:ID3 opus:OggS ogg:OggS; do
    equals "$(exit_of run --prompt "Hello!" --speak "$work/said.${form%:*}")" 0 ".${form%:*}"
    equals "$(head -c 3 "$work/said.${form%:*}")" "$(head -c 3 <<<"${form#*:}")" "is what it says"
done

long=$work/$(printf 'é%.0s' {1..125})x.wav # 255 bytes
run --prompt "Hello!" --speak "$long" >/dev/null
same "$said" "$long" "a name as long as names can be"

# ---- what is short and hard to say ----
for asked in "--prompt 1次" "--say 1次"; do
    for limit in 3 4096; do
        # shellcheck disable=SC2086 -- words split
        equals "$("$tessera" run --model $model --memory 512MiB --ledger off $asked --speak "$work/hard.wav" --talker-max-new $limit --talker-temperature 0 --json 2>"$work/err" >"$work/out"; echo $?)" 0 \
            "$asked, greedily, in at most $limit steps"
        frames=$(json speech frames <"$work/out") ended=$(json speech finish_reason <"$work/out")
        [ "$frames" -gt 0 ] && [ "$(measure "$work/hard.wav")" = $((frames * 1920 - 555)) ]
        result $? "is spoken: $frames frames"
        case $ended in
        "step limit") equals "$frames $(grep -c "cut at its step limit of $limit," "$work/err")" "$((limit - 1)) 1" "cut, and said so" ;;
        *) equals "$ended $limit" "stop 4096" "to its end" ;;
        esac
        python -c 'import array, sys
samples = array.array("h", open(sys.argv[1], "rb").read()[44:])
sys.exit(not max(map(abs, samples)) > 3000)' "$work/hard.wav"
        result $? "in a voice that is heard"
    done
done

# ---- libraries ----
# Of media and sound they are opened when they are needed and not before.
opened() { # opened OPTION...: those that a run of these options loads, by the loader's own account
    LD_DEBUG=files "$tessera" run --model $model --memory 512MiB --ledger off --quiet --prompt "Hello!" --max-new 3 --talker-max-new 3 "$@" 2>&1 |
        grep -a 'calling init: ' | sed 's/.*\///' | grep -E '^lib(av|sw|pulse|asound|soxr|jpeg|webp)' | cut -d. -f1 | sort -u | tr '\n' ' '
}
[ "$(LD_DEBUG=files "$tessera" run --model $model --memory 512MiB --ledger off --quiet --prompt x --max-new 1 2>&1 | grep -ac 'calling init: .*/libc.so')" = 1 ]
result $? "the loader tells which libraries it loads"
equals "$(opened)" "" "a text loads none of media and sound"
for form in wav "wav --float"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(opened --speak "$work/opened".$form)" "" "neither does .$form"
done
contains "$(opened --speak "$work/opened.flac")" "libavcodec libavformat " ".flac loads FFmpeg's"

# ---- refused, before any work: the budget is not looked at ----
refuse() { # refuse CODE SAID OPTION...
    equals "$(exit_of run --memory 1 --prompt x "${@:3}")$(cat "$work/out")" "$1" "${*:3}: exit $1"
    contains "$(cat "$work/err")" "$2" "${*:3}: $2"
}
run() { "$tessera" run --model "${folder:-$model}" --ledger off --quiet "$@"; }
refuse 4 "cannot create: No such file or directory" --speak "$work/no/such/said.wav"
refuse 2 "expected one that ends in .wav, .flac, .mp3, .opus or .ogg" --speak "$work/said.txt"
refuse 2 "--speak" --speak ""
refuse 2 "$work" --speak "$work"
refuse 2 "--float: found a format that has no 32-bit floats" --speak "$work/x.mp3" --float
equals "$(exit_of run --memory 512MiB --raw --prompt "The capital" --speak "$said")$(cat "$work/out")" 3 "a text without the template: exit 3, before any of the answer"
contains "$(cat "$work/err")" "ends in a turn of the assistant's; without --raw it is one" "says what helps"
refuse 3 'speaker: found "nobody", expected aiden, chelsie, ethan' --speak "$said" --speaker nobody
refuse 3 'speaker: found "", expected aiden, chelsie, ethan' --speak "$said" --speaker ""
refuse 2 "nothing is spoken without --speak" --speaker ethan
refuse 2 "nothing is spoken without --speak" --talker-temperature 0
refuse 2 "--talker-temperature: found -1, expected 0 (greedy) or more" --speak "$said" --talker-temperature -1
refuse 2 "--talker-top-p: found 2" --speak "$said" --talker-top-p 2
refuse 2 "expected a whole number of 1 or more" --speak "$said" --talker-max-new 0
refuse 2 "the steps of speech: found 65536, expected 1 to 65527" --speak "$said" --talker-max-new 65536
refuse 2 "is a file that this command uses otherwise" --audio "$said" --speak "$said"
folder=tests/golden/e refuse 3 "enable_audio_output: found false, expected true" --speak "$said"
equals "$(run --memory 1 --prompt x --speak - --json 2>/dev/null | json error message)" "--speak - and --json both want standard output" "--speak - with --json"
equals "$(run --memory 1 --prompt x --speak "$said" --speaker nobody --json 2>/dev/null | json error expected)" "aiden, chelsie, ethan" "the list is in the JSON"
for flags in "--prompt <|audio_pad|>" "--system <|video_pad|> --prompt <|image_pad|>"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of run $flags --speak "$said")$(cat "$work/out")" 3 "$flags, without a medium: refused before any text"
    contains "$(cat "$work/err")" "which stands for nothing, expected pad tokens that stand for media" "says why"
done
for file in /dev/stdout "$work/both.wav"; do
    run --memory 1 --prompt x --speak "$file" 2>"$work/err" | cat >"$work/out"
    "$tessera" run --model $model --ledger off --memory 1 --prompt x --speak "$file" >"$work/both.wav" 2>>"$work/err"
    equals "$?" 2 "$file, where the text goes: exit 2"
    contains "$(cat "$work/err")" "$file is standard output, which the answer goes to; name another file, or -" "says so"
done
equals "$(ls "$work" | grep -c part)" 0 "and nothing is left of any"

# ---- nothing to say ----
run() { "$tessera" run --model $model --memory 512MiB --ledger off --talker-max-new "${steps:-6}" "$@"; }
equals "$(exit_of run --prompt "Hello!" --max-new 0 --speak "$work/none.wav" --json)" 0 "an answer of nothing"
contains "$(cat "$work/err")" "there was nothing to say: no sound was made" "says so"
equals "$(json speech <"$work/out")" '{"file": null, "frames": 0, "seconds": 0.0, "finish_reason": "none"}' "also in the JSON"
[ ! -e "$work/none.wav" ]
result $? "and makes no file"
cp "$said" "$work/older.wav"
run --quiet --prompt "Hello!" --max-new 0 --speak "$work/older.wav"
same "$said" "$work/older.wav" "an older one stays"

equals "$(steps=1 run --prompt "Hello!" --speak "$work/none.wav" --json 2>"$work/err" | json speech)" \
    '{"file": null, "frames": 0, "seconds": 0.0, "finish_reason": "step limit"}' "a limit of one step, in which nothing sounds"
equals "$(grep -c "nothing to say" "$work/err") $(grep -c "cut at its step limit of 1" "$work/err")" "0 1" "is told as the limit that it is"

# ---- cut ----
equals "$(exit_of run --prompt x --speak /dev/full)" 4 "a full disk"
contains "$(cat "$work/err")" "/dev/full: cannot write" "is told"
(trap '' XFSZ; ulimit -f 16; steps=40 run --quiet --prompt "Hello!" --speak "$work/full.wav" >/dev/null 2>"$work/err")
equals "$?" 4 "a disk that gets full"
contains "$(cat "$work/err")" "full.wav: cannot write" "is told"
n=$(measure "$work/full.wav")
steps=12 run --quiet --prompt "Hello!" --speak "$work/longer.wav" >/dev/null
steps=40 run --quiet "${endless[@]}" --prompt "Hello!" --speak "$work/long.wav" >/dev/null
[ "$n" -gt 5000 ] && cmp -s -n $((2 * n)) <(samples_of "$work/full.wav") <(samples_of "$work/longer.wav")
result $? "what was spoken until then is kept: $n samples"
steps=60 run --prompt "Hello!" --speak - 2>"$work/err" | head -c 1 >/dev/null
equals "${PIPESTATUS[0]}" 4 "a closed pipe ends it with 4"
equals "$(grep -c tessera "$work/err")" 0 "and without a message"
mkfifo "$work/fifo.wav" "$work/fifo.opus"
stop_waiting() { # stop_waiting SIGNAL FILE TEXT
    (exec timeout --foreground -k 60 -s "$1" 2 "$tessera" run --model $model --memory 512MiB --ledger off --quiet --prompt "Hello!" --speak "$2" --talker-max-new 60 "${endless[@]}" >/dev/null 2>"$work/err")
    equals "$?" 124 "$3: SIG$1 ends it" # 137: it had to be killed
}
for signal in INT TERM; do
    stop_waiting $signal "$work/fifo.wav" "a pipe without a reader"
    for form in wav opus; do
        { head -c 45056 /dev/zero && exec sleep 600; } 1<>"$work/fifo.$form" & # reads nothing and leaves little room
        stop_waiting $signal "$work/fifo.$form" "a pipe that nobody reads, .$form"
        kill $!
        wait $! 2>/dev/null
    done
done
interrupt() { # interrupt OPTION...: Ctrl-C in mid-speech
    rm -f "$work/cut.wav"
    "$tessera" run --model $model --memory 512MiB "$@" "${endless[@]}" --ledger off --prompt "Hello!" --speak "$work/cut.wav" --json >"$work/out" 2>"$work/err" &
    local pid=$!
    for _ in $(seq 1000); do
        [ "$(find "$work" -name 'cut.wav*' -size +60k)" ] && break
        sleep 0.02
    done
    kill -INT $pid
    wait $pid
    equals "$?" 130 "Ctrl-C in mid-speech: exit 130"
    equals "$(json speech finish_reason <"$work/out") $(json finish_reason <"$work/out")" "interrupted stop" "the text is whole, the speech is not"
    n=$(measure "$work/cut.wav")
    [ "$n" -gt 10000 ] && cmp -s -n 20000 <(samples_of "$work/cut.wav") <(samples_of "$work/long.wav")
    result $? "what was spoken is kept: $n samples"
}
interrupt
interrupt "${behind[@]}"

# ---- reading aloud ----
run() { "$tessera" run --model "${folder:-$model}" --memory "${memory:-512MiB}" --ledger off --quiet --talker-max-new "${steps:-6}" "$@"; }
question=$("$tessera" help run | tr -s ' \n' ' ' | sed -n 's/.*as the answer to "\([^"]*\)".*/\1/p')
grep -q "\"$question\"" README.md
result $? "README.md tells the question that help tells: $question"
run --prompt "$question" --speak "$work/made.wav" --json >"$work/made"
equals "$(exit_of run --say "$(json text <"$work/made")" --speak "$work/read.wav" --json)" 0 "--say"
same "$work/made.wav" "$work/read.wav" "what is read aloud sounds as if it had been generated"
equals "$(json text <"$work/out") $(json finish_reason <"$work/out") $(json prompt_ids <"$work/out")" \
    "$(json text <"$work/made") stop $(json prompt_ids <"$work/made")" "JSON: the text, as the answer to the same prompt"
steps=9 run --prompt "$question" --max-new 5 --speak "$work/made.wav" --json >"$work/short"
steps=9 run --say "$(json text <"$work/short")" --speak "$work/again.wav"
same "$work/made.wav" "$work/again.wav" "of an answer that --max-new cuts every token is spoken: $(json text <"$work/short")"
run --prompt "$question" --speak "$work/made.wav" >/dev/null
run "${behind[@]}" --say "$(json text <"$work/made")" --speak "$work/again.wav"
same "$work/made.wav" "$work/again.wav" "also in the room of the experts"
equals "$(exit_of run --say "a <|im_end|> b" --speak "$work/read.wav" --json) $(json tokens <"$work/out" | grep -c 1026) $(json speech frames <"$work/out")" "0 0 5" \
    "control tokens in it are text"
equals "$(exit_of run --say "" --speak "$work/empty.wav" --json) $(json speech finish_reason <"$work/out")" "0 none" "--say '' has nothing to say"
[ ! -e "$work/empty.wav" ]
result $? "and makes no file"
equals "$(exit_of run --say "Hello")" 2 "--say without --speak"
contains "$(cat "$work/err")" "--speak OUT.wav is missing" "says what is missing"
equals "$(exit_of run --say $'a\xff' --speak "$work/read.wav")" 3 "broken UTF-8"
contains "$(cat "$work/err")" "byte 1: --say: found byte 0xff" "by its place"
for options in "--prompt x" "--messages x" "--raw" "--system x" "--image x" "--plain" "--top 3" "--max-new 5" "--temperature 1"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of run --say Hello --speak "$work/read.wav" $options)" 2 "--say with $options"
    contains "$(cat "$work/err")" "--say is read aloud" "is refused"
done
folder=tests/golden/e
equals "$(exit_of run --say Hello --speak "$work/read.wav")" 3 "a checkpoint without a talker"
