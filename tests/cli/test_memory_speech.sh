#!/usr/bin/env bash
# The peak resident set of a long speech is that of a short one, whatever it is written as, and within the smallest budget.
# Release build only: a sanitizer's memory is not the program's.
. tests/support/tap.sh
model=demo/checkpoint

# All that a frame leaves are its keys and values (256 bytes of the demo's talker) and its 17 codes; its sound would be
# 7680 bytes. A talker whose codes are all as likely never ends by itself, for the 50 that it draws from are the first.
python tests/support/zero_tensor.py $model "$work/endless" talker.codec_head.weight
spoken() { # spoken STEPS FORM: bytes of the peak, that many steps being spoken
    "$tessera" run --model "$work/endless" --context 64 --talker-max-new "$1" --speak "$work/said.$2" --json --quiet --ledger off --prompt a \
        --threads 1 --memory 512MiB >"$work/out"
    equals "$(json speech frames <"$work/out")" $(($1 - 1)) "$1 steps of .$2"
    peak=$(json peak_rss_bytes <"$work/out")
}
for form in wav opus flac mp3; do
    spoken 20 $form
    short=$peak
    for steps in 980 $([ $form != wav ] || echo 4096); do
        spoken "$steps" $form
        echo "# $form: $short bytes for 19 frames, $peak for $((steps - 1))"
        [ $((peak - short)) -le $((steps * (256 + 17 * 4) + 700000)) ]
        result $? "are no more than they must be"
    done
done
smallest=$("$tessera" plan --model "$work/endless" --context 64 --threads 1 --speak x.wav --quiet --json | json smallest_budget_bytes)
equals "$(exit_of "$tessera" run --model "$work/endless" --context 64 --threads 1 --speak "$work/said.wav" --json --quiet --prompt a --memory "$smallest")" 0 \
    "more than five minutes in the smallest budget"
peak=$(json peak_rss_bytes <"$work/out")
echo "# peak $peak of $smallest"
[ "$peak" -gt 0 ] && [ "$peak" -le "$smallest" ]
result $? "its peak is within"
equals "$(json speech frames <"$work/out")" 4095 "all of it"
equals "$(stat -c %s "$work/said.wav")" $((44 + 2 * (4095 * 1920 - 555))) "and every sample of it, which the original's windows lose at their boundaries"
