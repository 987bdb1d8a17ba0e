#!/usr/bin/env bash
# The listener hears tones that are made here by its definition (demo/README.md), draws them, and says what it does not
# hear: noise, silence, a voice that lacks a tone or an end, another kind of file.
. tests/support/tap.sh
listen=${tessera%/*}/listen
make_tones() { # make_tones FILE EXPRESSION [KEY=VALUE...]: a list of ids, -1 for a frame of silence; parts of the header
    python - "$@" <<'P'
import array, math, random, struct, sys
random.seed(1)
settings = dict(pair.split("=") for pair in sys.argv[3:])
rate, loud = int(settings.get("rate", 24000)), float(settings.get("loud", 0.25))
low, high, both, noise = (float(settings.get(key, default)) for key, default in
                          (("low", 1), ("high", 1), ("both", 0), ("noise", 0)))
samples = []
for token in eval(sys.argv[2]):
    for symbol in (token // 64, token % 64):
        for i in range(960):
            t, value = i / 24000, 0
            if token >= 0:
                value = low * math.sin(2 * math.pi * (300 + 150 * (symbol // 8)) * t)
                value += high * math.sin(2 * math.pi * (1650 + 150 * (symbol % 8)) * t)
                value += both * math.sin(2 * math.pi * (1650 + 150 * ((symbol + 3) % 8)) * t)
            ramp = min(1, i / 120, (959 - i) / 120)
            samples.append(loud * value * ramp + noise * random.uniform(-1, 1))
data = array.array("h", (round(32767 * s) for s in samples)).tobytes()
data = data[:len(data) - int(settings.get("cut", 0))]
size = int(settings.get("size", len(data)))
head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", (size + 36) % 2**32, b"WAVE", b"fmt ", 16, int(settings.get("format", 1)),
                   int(settings.get("channels", 1)), rate, rate * 2, 2, int(settings.get("bits", 16)), b"data", size)
open(sys.argv[1], "wb").write(head + data)
P
}
# OUT "-": whatever is heard, ERR: a part of what it says.
hear() { # hear CODE OUT ERR EXPRESSION [KEY=VALUE...] [-- OPTION...]
    local -a settings=()
    for word in "${@:5}"; do [ "$word" = -- ] && break || settings+=("$word"); done
    make_tones "$work/tones.wav" "$4" "${settings[@]}"
    local -a options=("${@:5+${#settings[@]}}")
    equals "$(exit_of "$listen" "${options[@]:1}" "$work/tones.wav")" "$1" "${*:4}: exit $1"
    [ "$2" = - ] || equals "$(cat "$work/out")" "$2" "${*:4}: what is heard"
    contains "$(cat "$work/err")" "$3" "${*:4}: ${3:-silent}"
}

# ---- heard ----
each=$(python -c 'print(*(64 * s + 63 - s for s in range(64)))')
hear 0 "$each" "64 tokens heard, the least lead" "[64 * s + 63 - s for s in range(64)] + [-1]"
hear 0 "4095 0 1056" "3 tokens heard" "[4095, 0, 1056, -1]" cut=1110
for setting in loud=0.02 noise=0.01 high=0.05 low=0.05 size=4294967295; do
    hear 0 "17 1000 17" "3 tokens heard" "[17, 1000, 17, -1]" $setting
done
ids=$("$tessera" tokenize --model demo/checkpoint "A toy of 3 <tiles> & more." | tr -s ' \n' ' ' | sed 's/ $//')
hear 0 "A toy of 3 <tiles> & more." "tokens heard" "[*map(int, '$ids'.split()), -1]" -- --model demo/checkpoint
hear 0 "$ids" "tokens heard" "[*map(int, '$ids'.split()), -1]" -- --model demo/checkpoint --ids

# ---- not heard ----
hear 1 "" "nothing heard" "[-1, -1]"
hear 1 "" "nothing heard" "[]"
for n in 1 9 100; do hear 1 - "unsure of token" "[-1] * $n" noise=0.3; done
hear 1 "5 6" "behind 2 tokens: found the end of the file, expected a frame of silence" "[5, 6]"
hear 1 "5" "behind 1 token: found the end of the file" "[5, 6]" cut=1110
hear 1 "5 6" "behind 2 tokens: found sound behind the silence" "[5, 6, -1, 7, -1]"
python - "$work/tones.wav" <<'P'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[44 + 2 * 2880:44 + 2 * 3840] = bytes(1920)
open(sys.argv[1], "wb").write(data)
P
equals "$(exit_of "$listen" "$work/tones.wav") $(cat "$work/out")" "1 5" "a token without its second half"
contains "$(cat "$work/err")" "behind 1 token: found half a token" "is told"
hear 1 - "unsure of token" "[63, 63, -1]" high=0
hear 1 - "unsure of token" "[63, 63, -1]" low=0
hear 1 "5 6" "unsure of token 0, from 0.00 s on: lead" "[5, 6, -1]" both=0.9
hear 1 "A" "token 1: found id 1057, expected one that the tokenizer has" \
    "[$("$tessera" tokenize --model demo/checkpoint A | tr -d '\n'), 1057, -1]" -- --model demo/checkpoint

# ---- other files ----
hear 3 "" "samples a second: found 16000, expected 24000" "[5, -1]" rate=16000
hear 3 "" "channels: found 2, expected 1" "[5, -1]" channels=2
hear 3 "" "format: found 3, expected 1" "[5, -1]" format=3
hear 3 "" "bits of a sample: found 24, expected 16" "[5, -1]" bits=24
hear 3 "" "bytes of samples: found 7000, expected 6570, as follow" "[5, -1]" cut=1110 size=7000
hear 3 "" "bytes of samples: found 7679, expected an even number" "[5, -1]" cut=1
refuse() { # refuse CODE SAID OPTION...
    equals "$(exit_of "$listen" "${@:3}") $(cat "$work/out")" "$1 " "${*:3}: exit $1"
    contains "$(cat "$work/err")" "$2" "${*:3}: $2"
}
head -c 30 "$work/tones.wav" >"$work/short.wav"
refuse 3 "found 30 bytes, expected a WAV file of at least 44" "$work/short.wav"
: >"$work/empty.wav"
refuse 3 "found 0 bytes" "$work/empty.wav"
refuse 3 "header" demo/media/picture.png
refuse 3 'samples a second: found 16000' demo/media/tone.wav
refuse 3 "$work/absent.wav" "$work/absent.wav"
refuse 2 "a WAV file is missing"
refuse 2 "other.wav: a word that belongs to no option" "$work/tones.wav" other.wav
refuse 2 "--loud: no such option" --loud "$work/tones.wav"
refuse 2 "--svg: a value is missing" "$work/tones.wav" --svg
make_tones "$work/tones.wav" "[5, 6, -1]"
refuse 3 "$work" --model "$work" "$work/tones.wav"
refuse 4 "no/such" --svg "$work/no/such.svg" "$work/tones.wav"
equals "$("$listen" "$work/tones.wav" 2>"$work/err" >/dev/full; echo $?)" 4 "a full disk: exit 4"
contains "$("$listen" --help)" "Usage: listen" "--help"

# ---- drawn ----
drawn() { python - "$work/drawn.svg" <<'P'
import sys, xml.etree.ElementTree as tree
name = "{http://www.w3.org/2000/svg}"
root = tree.parse(sys.argv[1]).getroot()
texts = [text.text for text in root.iter(name + "text")]
bold = [text.text for text in root.iter(name + "text") if text.get("font-weight") == "bold"]
print(*bold, "|", "seconds" in texts and "hertz" in texts, len(list(root.iter(name + "path"))) > 10)
P
}
for ids in "[5, 6, -1]" "[i for i in range(70)] + [-1]" "[-1]" "[]"; do
    make_tones "$work/tones.wav" "$ids"
    "$listen" --svg "$work/drawn.svg" "$work/tones.wav" >"$work/out" 2>"$work/err"
    equals "$(drawn)" "$(tr ' ' '\n' <"$work/out" | head -n 60 | tr '\n' ' ' | sed 's/^ *$//')| True True" "$ids is drawn, the first 60 frames"
done
ids=$("$tessera" tokenize --model demo/checkpoint "a <b> & c" | tr -s ' \n' ' ')
make_tones "$work/tones.wav" "[*map(int, '$ids'.split()), -1]"
"$listen" --model demo/checkpoint --svg "$work/drawn.svg" "$work/tones.wav" >"$work/out" 2>"$work/err"
equals "$(drawn | tr -d ' ')" "a␣<b>␣&␣c|TrueTrue" "text stands in it as it is"
