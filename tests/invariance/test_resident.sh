#!/usr/bin/env bash
# Packed weights give the bits of plain ones, packed as they enter memory or stored so: every tap of text and speech and
# the sound, for budgets that hold all experts, some and hardly any, in both precisions, on every instruction set; within
# the budget; and what cannot be packed stays plain.
. tests/support/tap.sh
build=${TESS_BUILD:-build/release-gcc}
wide=$work/wide

# Columns enough for packing, which the checkpoints of the other tests have not.
python3 tests/support/wide_config.py "$work/config.json"
"$build/synthetic" --out "$wide" --config "$work/config.json" --filled --tails 10 --tokenizer demo/checkpoint >"$work/log" 2>&1
result $? "a checkpoint with wide matrices"
sed 's/^/# /' "$work/log"

"$tessera" pack --model "$wide" --out "$work/store" >/dev/null
result $? "and its packed store"

model=$wide
options=(--context 512 --quiet --ledger off)
plan() { "$tessera" plan --model "$model" "${options[@]}" --speak x.wav --talker-max-new 8 --json "$@"; }
trace() { # trace NAME OPTIONS
    rm -f "$work/$1"
    "$tessera" trace --model "$model" "${options[@]}" --prompt "Who are you?" --generate 6 --speak 8 --seed 1 --out "$work/$1" "${@:2}"
}
smallest=$(plan | json smallest_budget_bytes)
all=$(plan --memory 1GiB --resident plain | python3 -c 'import json, sys; print(sum(r["bytes"] for r in json.load(sys.stdin)["regions"]))')
echo "# smallest $smallest, everything $all"
tight=$((smallest + (2 << 20))) # a trace takes more than an answer
some=$((smallest + (all - smallest) / 3)) # of the experts stay
stored=$(($(model=$work/store plan | json smallest_budget_bytes) + (2 << 20)))

sets="reference avx2 avx512 neon" budgets="$tight $((smallest + (all - smallest) / 6)) $some 1GiB" stored="$stored $some"
if [ -n "${TESS_SANITIZED:-}" ]; then # slow, and with megabytes of its own, more or less of them
    tight=$((tight + (6 << 20)))
    sets="avx2 neon" budgets="$tight $some" stored=$some
fi
for dtype in f32 bf16; do
    for isa in $sets; do
        plan --memory 1GiB --isa $isa >"$work/out" 2>&1 || continue # this machine lacks it
        equals "$(exit_of trace plain --memory 1GiB --dtype $dtype --isa $isa --resident plain)" 0 "$dtype, $isa: traced plain"
        for memory in $budgets; do
            trace packed --memory "$memory" --dtype $dtype --isa $isa --resident packed --threads 2 >"$work/out" 2>&1
            python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
            result $? "$dtype, $isa, $memory: packed gives the same bits"
        done
        for memory in $stored; do
            model=$work/store trace packed --memory "$memory" --dtype $dtype --isa $isa --threads 2 >"$work/out" 2>&1
            python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
            result $? "$dtype, $isa, $memory: a packed store gives the same bits"
        done
    done
done

# --- media: a picture and a sound, towers and all
media=(--image tests/data/media/images/420.jpg --audio tests/data/media/audio/s16.wav)
equals "$(exit_of trace plain --memory 1GiB --resident plain "${media[@]}")" 0 "media: traced plain"
least=$(plan "${media[@]}" | json smallest_budget_bytes)
for memory in $((least + (2 << 20))) 1GiB; do
    trace packed --memory "$memory" --resident packed "${media[@]}" >"$work/out" 2>&1
    python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
    result $? "media, $memory: packed gives the same bits"
    model=$work/store trace packed --memory "$memory" "${media[@]}" >"$work/out" 2>&1
    python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
    result $? "media, $memory: a packed store gives the same bits"
done

# --- what auto does, and what the plan says of it
json() { python3 -c 'import json, sys; r = json.load(sys.stdin); print(*(r[k] for k in sys.argv[1:]))' "$@"; }
equals "$(plan --memory 1GiB | json resident experts_resident)" "packed packed" "auto packs what can be packed"
equals "$(plan --memory 1GiB --resident plain | json resident experts_resident)" "plain plain" "plain does not"
equals "$(plan --memory "$smallest" | json experts_resident)" "plain" "where as few fit either way, experts stay plain"
plain=$(plan --memory $some --resident plain | json expert_slots) packed=$(plan --memory $some --resident packed | json expert_slots)
echo "# experts that stay: $plain plain, $packed packed"
[ "$packed" -gt "$plain" ]
result $? "more experts stay packed than plain"
equals "$("$tessera" plan --model tests/golden/d --json --memory 64MiB --resident packed | json resident experts_resident)" "plain plain" \
    "narrow matrices stay plain, whatever is asked for"
equals "$("$tessera" plan --model "$model" "${options[@]}" --memory 1GiB | grep -c packed)" 5 "the table says what is packed"

# --- within the budget
run() { "$tessera" run --model "$model" "${options[@]}" --prompt "Who are you?" --max-new 20 --json "$@"; }
if [ -z "${TESS_SANITIZED:-}" ]; then
    for memory in "$smallest" $some; do
        equals "$(exit_of run --memory "$memory" --resident packed)" 0 "a run in $memory bytes"
        peak=$(json peak_rss_bytes <"$work/out")
        echo "# peak $peak"
        [ "$peak" -le "$memory" ]
        result $? "its peak is within"
    done
else
    skip "peaks" "a sanitizer's memory is not the program's"
fi

# --- weights that cannot be packed
for pattern in 'experts\.(3|4)\.' 'layers\.1\.self_attn\.q_proj' 'thinker.model.layers.*_proj'; do
    rm -rf "$work/spread"
    cp -r "$wide" "$work/spread"
    python3 tests/support/spread_weights.py "$work/spread" "$pattern"
    model=$work/spread
    equals "$(exit_of trace plain --memory 1GiB --resident plain)" 0 "$pattern spread: traced plain"
    for memory in $tight $some 1GiB; do
        trace packed --memory "$memory" --resident packed >"$work/out" 2>&1
        python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
        result $? "$pattern spread, $memory: packed gives the same bits"
    done
    rm -rf "$work/spread.store"
    "$tessera" pack --model "$work/spread" --out "$work/spread.store" >/dev/null
    model=$work/spread.store trace packed --memory $some >"$work/out" 2>&1
    python tests/support/same_tensors.py "$work/plain" "$work/packed" >>"$work/out" 2>&1
    result $? "$pattern spread, $some: a packed store gives the same bits"
done
run --memory 1GiB >"$work/ran"
equals "$(json resident experts_resident <"$work/ran")" "plain plain" "auto looks at the weights: nearly all cannot be packed"
