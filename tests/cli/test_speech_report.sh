#!/usr/bin/env bash
# Speech in reports: what is told of codes and waveforms that differ, and what the page draws and plays of them, by compare
# and by verify, up to the length of real answers.
. tests/support/tap.sh
golden=tests/golden/f-f32/speak.safetensors
page=$work/page.html
edit() { python tests/support/edit_trace.py "$@"; }
compare() { exit_of "$tessera" compare --html "$page" "$@"; }
verify() { exit_of "$tessera" verify --ledger off --quiet --memory 1GiB --model tests/golden/f --golden "$@"; }
drawn() { python tests/support/report_speech.py "$page" "$@" 2>&1; }
told() { tr -s '\n ' ' ' <"$work/out"; }
says() { # says PART TEXT: the page, which is too long to be shown
    grep -q -F "$1" "$page"
    result $? "$2"
}
small() { # small MOST TEXT
    [ "$(stat -c %s "$page")" -lt "$1" ]
    result $? "$2: $(stat -c %s "$page") bytes"
}

equals "$(compare $golden $golden)" 0 "a golden and itself"
equals "$(drawn $golden $golden)" "codes: 16 x 19, 0 differ, 0 told, 0 runs, 16 cells
player: both sides, the same in 16 bits: 441 samples, 0 differ
waveform: 441 columns, 0 off
waveform: 441 columns, 0 off
spectrum: 4x67, 0 off
spectrum: 4x67, 0 off
marked: 0" "codes, waveforms, spectra and sound are the traces'; a sound that is the same is there once"
equals "$(grep -c -E 'https?:|@import|url\(' "$page") $(grep -o 'src="[a-z]*:' "$page" | sort -u)" '0 src="data:' "nothing comes from outside"
small 200000 "the page stays small"

edit $golden "$work/off" add talker.codes $((3 * 19 + 7)) 1 add talker.codes $((3 * 19 + 8)) 2 add talker.codes $((1 * 19 + 9)) 1 \
    add code2wav.waveform 300 0.01
equals "$(compare $golden "$work/off")" 1 "three codes and a sample off"
contains "$(told)" "talker.codes - - - exact DIFFERENT from frame 7 on, codebook 3: found 30, expected 29" "text: the first frame and its codebook"
contains "$(told)" "code2wav.waveform 4.77e-03 1.00e-02 0.999989 rel 2e-5 DIFFERENT relative L2 4.77e-03 is over 2e-05, from sample 300 on (0.013 s, frame 13) " \
    "and of the waveform sample, time and frame"
contains "$(told)" "first divergence: talker.codes (code_predictor): from frame 7 on, codebook 3: found 30, expected 29" "codes come first"
equals "$(drawn $golden "$work/off")" "codes: 16 x 19, 3 differ, 3 told, 2 runs, 20 cells
player: reference: 441 samples, 0 differ
player: trace: 441 samples, 0 differ
waveform: 441 columns, 0 off
waveform: 441 columns, 0 off
spectrum: 4x67, 0 off
spectrum: 4x67, 0 off
spectrum: 4x67, 0 off
marked: 1" "drawn: what differs, the place, and the difference's spectrum"
says "3 of 304 codes differ, the first in frame 7, codebook 3." "the page counts the codes"
says "<title>codebook 3, frames 7 to 8: 2 of 2 differ, the first in frame 7: expected " "and tells them"
says "from here on: 0.013 s, sample 300, frame 13" "and marks where the waveform leaves its bar"
equals "$(verify "$work/off" --html "$page")" 1 "verify"
contains "$(told)" "relative L2 4.77e-03 is over 2e-05, from sample 300 on (0.013 s, frame 13) " "tells the same"
says "3 of 304 codes differ, the first in frame 7, codebook 3." "and draws it"
says 'aria-label="trace" src="data:audio/wav;base64,' "the run can be heard"
equals "$(exit_of "$tessera" compare --json $golden "$work/off")" 1 "as JSON"
equals "$(json speech codes <"$work/out")" \
    '[{"tap": "tap.talker.codes", "codebooks": 16, "frames": 19, "frames_trace": 19, "different": 3, "first_frame": 7, "first_codebook": 3}]' "codes"
equals "$(json speech waveforms <"$work/out")" \
    '[{"tap": "tap.code2wav.waveform", "samples": 441, "samples_trace": 441, "frames": 19, "first_sample": 300, "first_seconds": 0.0125, "first_frame": 13}]' "and waveforms"
equals "$(verify "$work/off" --isolate --html "$page")" 1 "module by module"
says "from here on: 0.013 s, sample 300, frame 13" "as well"

# A run that stops speaking earlier is compared as far as it goes.
edit tests/golden/f-f32/speak_stop.safetensors "$work/short" meta speak 5
equals "$(verify "$work/short" --html "$page")" 1 "a run that ends before its golden"
contains "$(told)" "first divergence: talker.codes (talker.codec_head): ends after 4 frames, expected 9" "where it ends is told"
says "the trace has no frame from 4 on" "and drawn"
says "; the trace ends after 81: " "the waveform, too"
contains "$(told)" "found 81 samples, expected 201, from sample 81 on (0.003 s, frame 4) " "and told with its place"

# A golden of a speech without a sound, which is no reason to wait for it.
edit $golden "$work/silent" empty code2wav.waveform 0
equals "$(timeout 60 "$tessera" verify --ledger off --quiet --memory 1GiB --model tests/golden/f --isolate --golden "$work/silent" >"$work/out" 2>&1; echo $?)" 1 \
    "module by module, a golden without a sample"
contains "$(told)" "code2wav.waveform (code2wav): found 441 samples, expected 0, from sample 0 on (0.000 s) " "is told with both lengths"

# Codes of fewer codebooks, or more, than the model has.
codes=tests/golden/f-f32/codes.safetensors
for few in 15 1; do
    edit $codes "$work/few" rows in.codes 0 $few
    equals "$(verify "$work/few")" 3 "$few codebooks: verify refuses"
    contains "$(cat "$work/err")" "few: codes: found $few, expected 16 codebooks" "by what there must be"
    equals "$(exit_of "$tessera" trace --ledger off --memory 1GiB --model tests/golden/f --inputs "$work/few" --out "$work/none")" 3 "and trace"
done
# A code that its codebook does not have, below it or above: what was found where, and which there are.
for code in -1 80 -2147483648 2147483647; do
    edit $codes "$work/odd" set in.codes 20 $code
    said="odd: codes: found $code of quantizer 1 in frame 7, expected codes of 0 to 79"
    equals "$(verify "$work/odd")" 3 "code $code: verify refuses"
    contains "$(cat "$work/err")" "$said" "by file, place and range"
    equals "$(exit_of "$tessera" trace --ledger off --memory 1GiB --model tests/golden/f --inputs "$work/odd" --out "$work/none" --json)" 3 "code $code: trace refuses"
    equals "$(for key in file field found expected; do json error $key <"$work/out"; done)" \
        "$(printf '%s\n' "$work/odd" codes "$code of quantizer 1 in frame 7" "codes of 0 to 79")" "and so does its JSON"
    [ ! -e "$work/none" ]
    result $? "no trace is left"
done
for code in 2147483648 -2147483649; do
    edit $codes "$work/odd" set in.codes 20 $code
    equals "$(verify "$work/odd")" 3 "code $code, more than any codebook has: verify refuses"
    contains "$(cat "$work/err")" "in.codes: found $code, expected a code of 0 or more, and less than 2147483648" "by its place in the file"
done
edit $codes "$work/few" empty in.codes 16x0
equals "$(verify "$work/few")" 3 "no frame"
contains "$(cat "$work/err")" "in.codes: found I64 [16, 0], expected I64 [codebooks, frames]" "is told by its shape"

# A value that is no number is in no drawing.
edit $golden "$work/off" set code2wav.waveform 100 nan
equals "$(compare $golden "$work/off")" 1 "a sample that is no number"
contains "$(told)" "values that are not finite: 1, from sample 100 on (0.004 s, frame 4) " "is told with its place"
says 'class="odd"' "and marked"
equals "$(grep -c -i -E '[" ,]-?(nan|inf)[" ,.]' "$page")" 0 "nothing is drawn of it"

# A minute, which leaves the reference after three quarters of it.
python tests/support/make_speech.py "$work/long" "$work/other" 750 560
equals "$(compare "$work/long" "$work/other")" 1 "a minute"
contains "$(told)" "relative L2 7.14e-01 is over 2e-05, from sample 1074645 on (44.777 s, frame 560) " "leaves its bar where it says something else, not where it rounds otherwise"
equals "$(drawn "$work/long" "$work/other")" "codes: 16 x 750, 3036 differ, 3036 told, 16 runs, 32 cells
player: reference, the first 20.0 s of 60.0: 480000 samples, 0 differ
player: trace, the first 20.0 s of 60.0: 480000 samples, 0 differ
waveform: 512 columns, 0 off
waveform: 512 columns, 0 off
marked: 1" "a minute is drawn whole, and its first 20 s are heard"
says "the page holds the first 20 s at most of either side in 16 bits" "the limit is stated"
small 3000000 "the page stays small"
