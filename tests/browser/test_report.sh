#!/usr/bin/env bash
# The HTML report in headless Chromium: what is rendered, light, dark, narrow, on paper, and as large as the released
# model makes it. Leaves pictures in the build folder.
# Release build only: it is the browser that is watched.
. tests/support/tap.sh
build=${TESS_BUILD:-build/release-gcc}
golden=tests/golden/c-f32/text.safetensors
if ! command -v chromium >"$work/out"; then
    result 1 "chromium is installed: tools/ensure_packages check"
    exit
fi

# A page with measure.js at its end; Chromium prints what became of it. No window is narrower than 500 pixels: a page for
# a telephone stands in a frame, if `framed` is set.
framed=
render() { # render PAGE NAME WIDTH,HEIGHT FLAG...: $work/NAME.json and NAME.png
    local page=$1 name=$2 size=$3
    shift 3
    { sed 's|</body></html>||' "$page"; echo '<script>'; cat tests/browser/measure.js; echo '</script></body></html>'; } \
        >"$work/$name.html"
    if [ "$framed" ]; then
        mv "$work/$name.html" "$work/$name.inner"
        python tests/browser/frame.py "$work/$name.inner" "${size%,*}" "${size#*,}" >"$work/$name.html"
    fi
    mkdir -p "$work/home-$name"
    HOME=$work/home-$name timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
        --host-resolver-rules="MAP * ~NOTFOUND" --user-data-dir="$work/home-$name/profile" --hide-scrollbars \
        --window-size="$size" "$@" --screenshot="$work/$name.png" --dump-dom "file://$work/$name.html" >"$work/$name.dom" 2>"$work/$name.err"
    python -c 'import re, sys
found = re.findall(r"<script type=\"application/json\" id=\"facts\">(.*?)</script>", sys.stdin.read(), re.S)
print(found[-1] if found else "{}")' <"$work/$name.dom" >"$work/$name.json"
    [ -s "$work/$name.png" ] || tail -n 5 "$work/$name.err" | sed 's/^/# /'
}
fact() { # fact NAME KEY EXPECTED TEXT
    equals "$(json "$2" <"$work/$1.json" 2>"$work/err")" "$3" "$4"
}
looks_right() { # looks_right NAME TEXT: what must hold of every page in every light
    fact "$1" outside "[]" "$2: nothing lies outside the window"
    fact "$1" empty "[]" "$2: nothing is empty"
    fact "$1" cut "[]" "$2: no drawing is cut"
    fact "$1" overlapping "[]" "$2: no labels overlap"
    fact "$1" faint "[]" "$2: all text has a contrast of 4.5 or more"
    fact "$1" sideways false "$2: the page does not scroll sideways"
    fact "$1" described true "$2: drawings and page have names"
    fact "$1" requests 0 "$2: nothing is requested"
}
pages_of() { grep -a -o '/Type /Page\b' "$1" | wc -l; }

python tests/support/zero_tensor.py tests/golden/c "$work/defect" thinker.model.layers.2.mlp.experts.4.down_proj.weight
"$tessera" trace --quiet --memory 1GiB --model "$work/defect" --inputs $golden --out "$work/run"
equals "$(exit_of "$tessera" compare --json --html "$work/page" $golden "$work/run")" 1 "an expert zeroed: exit 1"
cp "$work/out" "$work/compared"
taps=$(json taps <"$work/compared" | python -c 'import json, sys; print(len(json.load(sys.stdin)))')
other=$(json tokens other <"$work/compared")
"$tessera" verify --ledger off --quiet --memory 1GiB --model "$work/defect" --golden $golden --isolate --ignore-identity --json \
    --html "$work/isolated" >"$work/verified" 2>"$work/err"
equals $? 1 "the same by verify --isolate: exit 1"
long=$work/$(printf 'a_name_that_never_breaks_%.0s' 1 2 3 4).safetensors
cp tests/golden/demo/f32/turns.safetensors "$long"
"$tessera" verify --ledger off --quiet --model demo/checkpoint --golden "$long" tests/golden/demo/f32/turns.safetensors \
    --html "$work/names-page" >"$work/out" 2>"$work/err"
result $? "a page of two goldens with long names"
# Media: a patch of the image's middle token is off, and the clip's last token.
media=tests/golden/e-f32/omni.safetensors
python tests/support/edit_trace.py $media "$work/off" add thinker.visual.blocks.1 $((5 * 36 + 3)) 0.01 \
    add thinker.audio_tower.layers.1 $((14 * 30)) 1
equals "$(exit_of "$tessera" compare --html "$work/media-page" $media "$work/off")" 1 "a patch and a token off: exit 1"
# Speech: two codes and a sample are off; and a minute of it.
speech=tests/golden/f-f32/speak.safetensors
python tests/support/edit_trace.py $speech "$work/off" add talker.codes $((3 * 19 + 7)) 1 add talker.codes $((3 * 19 + 9)) 2 \
    add code2wav.waveform 300 0.01
equals "$(exit_of "$tessera" compare --html "$work/speech-page" $speech "$work/off")" 1 "codes and a sample off: exit 1"
python tests/support/make_speech.py "$work/long" "$work/off" 750 560
equals "$(exit_of "$tessera" compare --html "$work/minute-page" "$work/long" "$work/off")" 1 "a minute of speech: exit 1"
TESS_PAGE=$work/large-page "$build/tests/browser/test_large_report" >"$work/out" 2>&1
equals "$(sed 's/src="data:audio/sound="/' "$work/speech-page" >"$work/speech-rest"
grep -c -E 'https?:|src=|@import|url\(' "$work/page" "$work/isolated" "$work/media-page" "$work/large-page" "$work/speech-rest" | tr '\n' ' ' | sed "s|$work/||g")" \
    "page:0 isolated:0 media-page:0 large-page:0 speech-rest:0 " "the pages name nothing outside themselves"

render "$work/page" light 1200,2600 --no-pdf-header-footer --print-to-pdf="$work/light.pdf" &
render "$work/isolated" dark 1200,2600 --force-dark-mode &
wait
render "$work/media-page" media 1200,2600 --no-pdf-header-footer --print-to-pdf="$work/media.pdf" &
render "$work/media-page" media-dark 1200,2600 --force-dark-mode &
wait
render "$work/page" narrow 500,1600 &
render "$work/large-page" large 1200,1700 --no-pdf-header-footer --print-to-pdf="$work/large.pdf" &
wait
render "$work/speech-page" speech 1200,3600 --no-pdf-header-footer --print-to-pdf="$work/speech.pdf" &
render "$work/speech-page" speech-dark 1200,3600 --force-dark-mode &
wait
render "$work/minute-page" minute 1200,2600
framed=yes
render "$work/names-page" small 420,2600 &
render "$work/page" smallest 320,2600 &
wait
render "$work/speech-page" speech-small 420,3600 &
render "$work/speech-page" speech-smallest 320,3600 &
wait
render "$work/media-page" media-small 420,2600 &
render "$work/media-page" media-smallest 320,2600 &
wait
framed=
render "$work/large-page" large-dark 1200,1700 --force-dark-mode

fact light taps "$taps" "a circle for every tap"
fact light rings "$(json taps_failed <"$work/compared")" "a ring around every tap that failed"
fact light layers 4 "a bar for every layer"
fact light cells 48 "a cell for every layer and expert"
fact light fault '["layer 2, expert 4: 7 tokens, 4.0e-1, at fault"]' "the expert zeroed is at fault"
fact light outlined 1 "and outlined"
fact light token_rows 39 "a row for every position"
fact light outlined_rows "$other" "rows are outlined where the likeliest token differs"
fact light tap_rows "$taps" "a row for every tap"
fact light dark false "light by default"
fact dark dark true "dark where that is preferred"
fact dark rings 1 "by itself only one module fails"
fact dark fault '["layer 2, expert 4: 7 tokens, 1.0e0, at fault"]' "its expert, judged by its own output"
fact dark outlined 1 "is outlined in the dark as well"
fact large cells 6144 "48 layers by 128 experts"
fact large outlined 1 "one of them outlined"
fact large token_rows 64 "64 positions of many"
fact large cell_width 7 "cells are wide enough to be told apart"
for name in media media-dark media-small media-smallest; do
    fact $name tokens 3 "$name: a cell for every token of the image, none where no tap was compared"
    fact $name moments 15 "$name: and of the clip"
    fact $name pictures 6 "$name: spectrogram, image, and both frames of two steps"
    fact $name repeated 1 "$name: the image once more below the errors"
    fact $name marked 2 "$name: what is beyond the bar is outlined"
done
fact media beyond '["1.08 s to 1.09 s: 7.0e-2, beyond the bar", "row 1, column 2: 6.3e-4, beyond the bar"]' "the places that are off"
fact media captions '["clip 1: 1.09 s, 15 tokens. The relative L2 error of thinker.audio_tower.layers.1; beyond the bar: 1 of 15 tokens.", "image 1: 6 \u00d7 2 patches, 3 \u00d7 1 tokens. The relative L2 error of thinker.visual.blocks.1; beyond the bar: 1 of 3 tokens.", "video 1: 2 \u00d7 4 patches, 2 steps of 2 s with 1 \u00d7 2 tokens. No tap of its tower was compared."]' "each with its sizes and what is drawn of it"
for name in speech speech-dark speech-small speech-smallest; do
    fact $name codes $((16 + 4)) "$name: codes by codebook, and beside those that differ"
    fact $name first_code "[true]" "$name: the first that differs is outlined"
    fact $name waves 3 "$name: both waveforms and their difference"
    fact $name spectra 3 "$name: and their spectra"
    fact $name leaves 1 "$name: where the waveform leaves its bar is marked"
    fact $name players 2 "$name: both sides can be heard"
    fact $name players_outside 0 "$name: in the window"
    fact $name heard "[0.018, 0.018]" "$name: and the browser knows how long"
done
fact speech other_codes '["codebook 3, frame 7: expected 29, found 30", "codebook 3, frame 9: expected 29, found 31"]' "both codes are told"
fact minute codes 32 "a minute: codes before and behind where they leave"
fact minute heard "[20, 20]" "a minute: twenty seconds of both sides"
for name in light dark narrow small smallest large large-dark media media-dark media-small media-smallest speech speech-dark speech-small speech-smallest minute; do looks_right $name $name; done
equals "$(json scrolling <"$work/small.json" | grep -c reference)" 0 "small: the verdicts of all goldens are in view"
equals "$(json scrolling <"$work/light.json")" "[]" "light: and everything is"
for name in light large media speech; do
    [ "$(pages_of "$work/$name.pdf")" -gt 0 ]
    result $? "$name: prints on $(pages_of "$work/$name.pdf") pages"
    grep -a -q -E '/MediaBox \[0 0 84[12][.0-9]* 59[0-9]' "$work/$name.pdf"
    result $? "$name: prints on wide A4"
done
for name in light dark narrow large large-dark media media-dark media-small speech speech-dark speech-small minute; do
    [ "$(head -c 8 "$work/$name.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] && cp "$work/$name.png" "$build/report-$name.png"
    result $? "$build/report-$name.png"
done
