#!/usr/bin/env bash
# The peak resident set stays within --memory, at the smallest budget and at others, for run, trace and plan's word.
# Release build only: a sanitizer's memory is not the program's.
. tests/support/tap.sh
model=demo/checkpoint

within() { # within BYTES TEXT: the peak of the last --json output in $work/out
    local peak
    peak=$(json peak_rss_bytes <"$work/out")
    echo "# peak $peak of $1"
    [ "$peak" -gt 0 ] && [ "$peak" -le "$1" ]
    result $? "$2"
}

for context in 64 4096; do
    for threads in 1 2 5; do
        smallest=$("$tessera" plan --model $model --context $context --threads $threads --json | json smallest_budget_bytes)
        budgets=("$smallest" $((smallest + 3000000)) $((1 << 26)) $((1 << 30)))
        if [ $threads = 5 ]; then budgets=("$smallest"); fi # more threads than CPUs wait for each other
        for memory in "${budgets[@]}"; do
            [ "$memory" -ge "$smallest" ] || continue
            options=(--model $model --context $context --threads $threads --json)
            equals "$(exit_of "$tessera" run "${options[@]}" --memory "$memory" --raw --prompt "The capital of France is" --max-new 40)" 0 \
                "run: $context positions, $threads threads, $memory bytes"
            within "$memory" "its peak is within"
        done
        equals "$(exit_of "$tessera" trace "${options[@]}" --memory "$smallest" --prompt "Who are you?" --out "$work/t.safetensors")" 0 \
            "trace of every tap in the smallest budget"
        within "$smallest" "its peak is within"
    done
done

long=$(printf 'The capital of France is Paris. %.0s' $(seq 300))
smallest=$("$tessera" plan --model $model --context 4096 --threads 2 --json | json smallest_budget_bytes)
equals "$(exit_of "$tessera" run --model $model --threads 2 --context 4096 --raw --prompt "$long" --max-new 5 --memory "$smallest" --json)" 0 "a long prompt in the smallest budget"
within "$smallest" "its peak is within"

# Speech: the smallest budget has it in the room that phases share, a large one in its own.
for options in "--threads 1" "--threads 5" "--speak $work/said.opus" "--image tests/data/media/images/420.jpg"; do
    case $options in *--speak*) ;; *) options+=" --speak $work/said.wav" ;; esac
    # shellcheck disable=SC2086 -- words split
    "$tessera" plan --model $model --context 256 --talker-max-new 8 $options --json --quiet >"$work/plan"
    smallest=$(json smallest_budget_bytes <"$work/plan")
    for memory in "$smallest" $((1 << 30)); do
        # shellcheck disable=SC2086
        equals "$(exit_of "$tessera" run --model $model --context 256 --talker-max-new 8 $options --json --quiet --prompt "Who are you?" --memory "$memory")" 0 \
            "spoken in $memory bytes: $options"
        within "$memory" "its peak is within"
        equals "$(json speech frames <"$work/out")" 7 "all of it"
    done
done
phases() { # phases MEMORY: those in which the talker works
    "$tessera" plan --model $model --context 256 --speak x.wav --quiet --json --memory "$1" |
        python -c 'import json, sys; print(*{r["phase"] for r in json.load(sys.stdin)["regions"] if r.get("component") == "talker"})'
}
smallest=$("$tessera" plan --model $model --context 256 --speak x.wav --quiet --json | json smallest_budget_bytes)
equals "$(phases "$smallest") $(phases 1GiB)" "speech always" "where there is little room the talker has the experts', else its own"

# chat, with media and speech in every turn.
"$tessera" chat --model $model --context 512 --talker-max-new 8 --speak="$work/spoken" --memory 1 --json </dev/null >"$work/out" 2>/dev/null
for memory in $(($(json smallest_budget_bytes <"$work/out") + 100000)) $((60 << 20)) $((1 << 30)); do
    rm -f "$work/ledger"
    printf '/image tests/data/media/images/420.jpg\nWhat is it?\nWho are you?\n' | "$tessera" chat --model $model --context 512 --talker-max-new 8 \
        --speak="$work/spoken" --ledger "$work/ledger" --memory "$memory" --quiet >/dev/null 2>&1
    peaks=$("$tessera" ledger export --ledger "$work/ledger" | grep '"kind":"run"' | grep -o '"peak_rss_bytes":[0-9]*' | cut -d: -f2)
    for peak in $peaks; do
        [ "$peak" -le "$memory" ]
        result $? "chat: a peak of $peak of $memory bytes"
    done
    [ "$(wc -w <<<"$peaks")" = 2 ]
    result $? "two turns"
done

# What a refusal tells is the smallest for this very request: it works, every time, and a MiB less does not.
told() { # told OPTION...: the number of MiB after --memory in the refusal of one byte
    equals "$(exit_of "$tessera" run --model $model --memory 1 --quiet "$@")" 5 "one byte is too little: $*"
    mib=$(sed -n 's/.*the smallest that works is --memory \([0-9.]*\)MiB.*/\1/p' "$work/err")
}
for options in "" "--speak $work/said.wav --talker-max-new 4" "--ledger off" "--context 1033 --ledger off" "--threads 5 --context 64"; do
    # shellcheck disable=SC2086 -- words split
    told --prompt Hi --max-new 4 $options
    for less in 0 0 0 1 1 1; do
        # shellcheck disable=SC2086
        code=$(exit_of "$tessera" run --model $model --quiet --prompt Hi --max-new 4 $options \
            --memory "$(python -c "print(f'{$mib - $less:.1f}')")MiB")
        equals "$code" $((5 * less)) "$mib MiB were told${options:+ with $options}, $less less: exit $((5 * less))"
    done
done

# Media are prepared before the model is there, and may take more: the plan with them tells a budget that is enough.
media=tests/data/media
for options in "--image $media/images/420.jpg" "--audio $media/audio/tone.mp3" "--video $media/video/plain.mp4" \
    "--video $media/video/sound.mp4 --use-audio-in-video --image $media/images/rgb.jpg"; do
    # shellcheck disable=SC2086 -- words split
    smallest=$("$tessera" plan --model $model $options --json 2>/dev/null | json smallest_budget_bytes)
    # shellcheck disable=SC2086
    equals "$(exit_of "$tessera" run --model $model $options --prompt x --json --memory "$smallest")" 0 "run $options in the smallest budget"
    within "$smallest" "its peak is within"
    for memory in 1 5MiB $((smallest * 2 / 3)); do
        # shellcheck disable=SC2086
        equals "$(exit_of "$tessera" run --model $model $options --prompt x --memory "$memory")" 5 "run $options in $memory: exit 5"
        contains "$(cat "$work/err")" "what is sure to do, the model included, is --memory" "which says what is enough for all"
        told=$(sed -n 's/.*the model included, is --memory \([0-9.]*MiB\)$/\1/p' "$work/err")
        # shellcheck disable=SC2086
        equals "$(exit_of "$tessera" run --model $model $options --prompt x --json --memory "$told")" 0 "and is: $told"
        within "$(python -c "print(int(${told%MiB} * 1048576))")" "its peak is within"
    done
done

# Pictures that take more to prepare than the model does, since they are interlaced, and are few tokens: what the first refusal tells is enough, for
# all media and for the model; plan tells the same.
python tests/support/make_media.py png "$work/large.png" 5000 4000 interlaced
python tests/support/make_media.py wav "$work/minute.wav" 960000 zeros
mkdir "$work/coarse"
ln -s "$PWD/$model"/* "$work/coarse"
rm "$work/coarse/preprocessor_config.json"
sed 's/"max_pixels": 12845056/"max_pixels": 65536/' $model/preprocessor_config.json >"$work/coarse/preprocessor_config.json"
film=tests/data/media/large/twenty-seconds.mp4
for options in "--image $work/large.png --image $work/large.png" "--image $work/large.png --audio $work/minute.wav --image $work/large.png" \
    "--audio $work/minute.wav --audio $work/minute.wav" "--video $film --fps 0.1 --image $work/large.png"; do
    common="--model $work/coarse --context 3000 --threads 2 --json $options"
    # shellcheck disable=SC2086 -- words split
    planned=$("$tessera" plan $common 2>/dev/null | json smallest_budget_bytes)
    for memory in 1 60MiB 100MiB; do
        for command in run "trace --taps thinker.lm_head --last-logits --out $work/t.safetensors" plan; do
            prompt="--prompt x"
            [ "$command" = plan ] && prompt=
            # shellcheck disable=SC2086
            code=$(exit_of "$tessera" $command $common $prompt --memory "$memory")
            [ "$code" = 0 ] && continue # a clip may have room
            equals "$code" 5 "${command%% *} $options in $memory: exit 5"
            told=$(json smallest_budget_bytes <"$work/out")
            echo "# told $told, planned $planned"
            [ $((told - planned)) -lt 2000000 ] && [ $((planned - told)) -lt 2000000 ]
            result $? "tells what plan tells, but for the ledger and what differs from run to run"
            # shellcheck disable=SC2086
            equals "$(exit_of "$tessera" $command $common $prompt --memory "$told")" 0 "which is enough"
            [ "$command" = plan ] || within "$told" "its peak is within"
        done
    done
done
# A chat knows no media when it plans; what it tells is enough whatever it spends the rest on.
for memory in 20MiB 100MiB; do
    printf '/image %s\nx\n' "$work/large.png" | "$tessera" chat --model "$work/coarse" --json --ledger off --memory $memory >"$work/out" 2>"$work/err"
    equals "$?" 5 "chat: a large picture in $memory: exit 5"
    told=$(head -n 1 "$work/out" | json smallest_budget_bytes)
    printf '/image %s\nx\n' "$work/large.png" | "$tessera" chat --model "$work/coarse" --json --ledger off --memory "$told" >"$work/out" 2>"$work/err"
    equals "$? $(wc -l <"$work/out") $(json finish_reason <"$work/out")" "0 1 stop" "and $told bytes are enough"
done
printf '/image %s\nx\n' "$work/large.png" | "$tessera" chat --model "$work/coarse" --json --ledger off --memory 200MiB --media-memory 95MiB >"$work/out" 2>"$work/err"
equals "$? $(json finish_reason <"$work/out")" "0 stop" "--media-memory keeps room for media"
printf '/image %s\n' "$work/large.png" "$work/large.png" "$work/large.png" "$work/large.png" |
    "$tessera" chat --model $model --ledger off --context 50200 --memory 400MiB --media-memory 215MiB >/dev/null 2>"$work/err"
equals "$? $(grep -c 'joins your next question' "$work/err")" "0 4" "chat: pictures that are held count once"

# A process that has loaded nothing; the time program counts a child of its own, so the shell's size does not matter.
for words in "--version" "run --help" "inspect --help"; do
    # shellcheck disable=SC2086 -- words split
    peak=$(python - "$tessera" $words <<'P'
import os, sys
# vfork-less child: VmHWM of the child is read by itself through a stopped process
import subprocess, signal, ctypes
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_TRACEME, PTRACE_CONT, PTRACE_SETOPTIONS, PTRACE_O_TRACEEXIT = 0, 7, 0x4200, 0x40
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
pid = os.fork()
if pid == 0:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(pid, 0)
libc.ptrace(PTRACE_SETOPTIONS, pid, None, PTRACE_O_TRACEEXIT)
libc.ptrace(PTRACE_CONT, pid, None, None)
os.waitpid(pid, 0)
print(next(int(line.split()[1]) * 1024 for line in open(f"/proc/{pid}/status") if line.startswith("VmHWM")))
libc.ptrace(PTRACE_CONT, pid, None, None)
os.waitpid(pid, 0)
P
    )
    echo "# peak $peak"
    [ "$peak" -le $((12 * 1024 * 1024)) ]
    result $? "tessera $words stays under 12 MiB"
done
