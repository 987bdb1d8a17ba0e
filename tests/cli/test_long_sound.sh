#!/usr/bin/env bash
# Ten minutes of sound, 7,800 tokens, with the least memory and with plenty: the same rows of the tower, states and token,
# bit for bit, and a peak within the budget. Its last eight seconds, a window of the tower, come out as behind eight others.
# An hour was measured: docs/PERFORMANCE.md.
# Release build only: a sanitizer's memory is not the program's.
. tests/support/tap.sh
model=demo/checkpoint
python tests/support/long_wav.py "$work/long.wav" 600
equals "$(exit_of "$tessera" plan --json --model $model --memory 512MiB --threads 1 --chunk 64 --audio "$work/long.wav")" 0 "planned"
smallest=$(json smallest_budget_bytes <"$work/out")
[ "$smallest" -le $((128 << 20)) ]
result $? "$smallest bytes are enough"
trace() { # trace OUT BUDGET THREADS CHUNK [SOUND]
    exit_of "$tessera" trace --json --quiet --ledger off --model $model --memory "$2" --threads "$3" --chunk "$4" --audio "${5:-$work/long.wav}" \
        --prompt "What?" --taps thinker.audio_tower,thinker.model.norm,thinker.lm_head,thinker.generated --last-logits --generate 1 --out "$1"
}
equals "$(trace "$work/plenty" 1GiB 1 512)" 0 "with plenty"
equals "$(trace "$work/hardly" "$smallest" 1 64)" 0 "with hardly enough"
equals "$(json prompt_tokens <"$work/out")" 7812 "7,800 of them and a question"
peak=$(json peak_rss_bytes <"$work/out")
[ "$peak" -gt 0 ] && [ "$peak" -le "$smallest" ]
result $? "its peak, $peak, is within"
equals "$(exit_of "$tessera" compare --json "$work/plenty" "$work/hardly")" 0 "compared"
equals "$(json verdict <"$work/out") $(json taps_compared <"$work/out")" "equal 4" "bit for bit"

{ head -c 44 "$work/long.wav"; tail -c $((16 * 32000)) "$work/long.wav"; } >"$work/end.wav"
printf '\x24\xd0\x07\x00' | dd of="$work/end.wav" bs=1 seek=4 conv=notrunc status=none  # of 16 s, little-endian
printf '\x00\xd0\x07\x00' | dd of="$work/end.wav" bs=1 seek=40 conv=notrunc status=none
equals "$(trace "$work/end" 1GiB 1 512 "$work/end.wav")" 0 "its last 16 seconds"
python - "$work/plenty" "$work/end" <<'P'
import json, struct, sys
last = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        tap = json.loads(file.read(size))["tap.thinker.audio_tower"]
        n_byte = 104 * 4 * tap["shape"][1]
        file.seek(8 + size + tap["data_offsets"][1] - n_byte)
        last.append(file.read(n_byte))
print("#", tap["shape"], len(last[0]))
sys.exit(last[0] != last[1] or not any(last[0]))
P
result $? "end with the same rows"
