#!/usr/bin/env bash
# Media at the released dimensions in 4 GiB: half a minute of sound, a picture of two megapixels, twenty seconds of
# film. All layers are planned; few are run, of towers and text, in the smallest budget that the plan tells: what is
# too tight shows there. Checkpoints are holes, which cost no disk.
. tests/support/tap.sh
synthetic=${TESS_BUILD:-build/release-gcc}/synthetic
film=tests/data/media/large/twenty-seconds.mp4
python tests/support/make_media.py wav "$work/sound.wav" 480000 zeros
python tests/support/make_media.py png "$work/picture.png" 1664 1248

"$synthetic" --out "$work/released" >/dev/null
check_plan() { # check_plan OPTION FILE TOKENS POSITIONS TOWER_BYTES: prints what is wrong
    equals "$(exit_of "$tessera" plan --model "$work/released" --memory 4GiB --threads 2 --json "$1" "$2")" 0 "$1: planned in 4 GiB"
    python - "$work/out" "$@" <<'P'
import json, sys
plan = json.load(open(sys.argv[1]))
option, tokens, positions, tower_bytes = sys.argv[2], *map(int, sys.argv[4:7])
regions = {(r["component"], r["name"]): r["bytes"] for r in plan["regions"]}
always = sum(r["bytes"] for r in plan["regions"] if r["phase"] == "always")
phases = {r["phase"]: 0 for r in plan["regions"] if r["phase"] != "always"}
for r in plan["regions"]:
    phases[r["phase"]] = phases.get(r["phase"], 0) + r["bytes"]
most = always + max(n for phase, n in phases.items() if phase != "always")
wrong = []
if not most <= plan["budget_bytes"] == 4 << 30:
    wrong.append(f"{most} of {plan['budget_bytes']} bytes")
if plan["smallest_budget_bytes"] > 4 << 30:
    wrong.append(f"smallest {plan['smallest_budget_bytes']}")
if plan["prompt_tokens"] != tokens + 16 or plan["context"] != positions:
    wrong.append(f"{plan['prompt_tokens']} tokens, {plan['context']} positions")
# Keys and values of 4 heads of 128, and three positions and an id.
cache = positions * 48 * 2 * 4 * 128 * 4
if not cache <= regions["thinker", "kv_cache"] <= cache + positions * 16 + (1 << 16):
    wrong.append(f"kv_cache {regions['thinker', 'kv_cache']}")
# A row of a picture has three more of DeepStack.
features = tokens * (1 if option == "--audio" else 4) * 2048 * 4
if not features <= regions["media", "features"] <= features + (1 << 20):
    wrong.append(f"features {regions['media', 'features']}")
if plan["bytes_towers"] % tower_bytes or not plan["bytes_towers"] or plan["bytes_towers"] > 20 * tower_bytes:
    wrong.append(f"towers read {plan['bytes_towers']}, of {tower_bytes}")
if not 0 < plan["seconds_towers"] < plan["seconds_first_token"] or plan["bytes_first_token"] < plan["bytes_towers"]:
    wrong.append("the estimate is without towers")
if plan["expert_slots"] < 8:
    wrong.append(f"{plan['expert_slots']} experts")
print("#", option, *wrong)
sys.exit(bool(wrong))
P
    result $? "$1: what it takes and what its towers read"
}
check_plan --audio "$work/sound.wav" 390 4096 1295854336
check_plan --image "$work/picture.png" 2028 4096 1077262816
check_plan --video "$film" 14400 14416 1077262816

if [ -n "${TESS_SANITIZED:-}" ]; then
    skip "peaks" "a sanitizer's memory is not the program's"
    exit
fi
# Of a picture that comes by rows only those are there which are still needed, and of a GIF its colours' numbers: as RGB
# either would take 192 MB more.
cp -r demo/checkpoint "$work/small"
sed -i 's/"max_pixels": [0-9]*/"max_pixels": 65536/' "$work/small/preprocessor_config.json"
python tests/support/make_media.py png "$work/wide.png" 8000 8000
python tests/support/make_media.py gif "$work/wide.gif" 8000 8000 1
for line in "png 0" "gif 64000000"; do
    read -r kind held <<<"$line"
    small() { exit_of "$tessera" "$@" --model "$work/small" --ledger off --quiet --threads 2 --json --image "$work/wide.$kind"; }
    without=$("$tessera" plan --model "$work/small" --ledger off --quiet --threads 2 --json --image "$work/picture.png" | json smallest_budget_bytes)
    small plan >/dev/null
    smallest=$(json smallest_budget_bytes <"$work/out")
    [ "$smallest" -le $((without + held + (8 << 20))) ]
    result $? "$kind: $smallest bytes are enough, $without for a smaller one"
    equals "$(small run --max-new 1 --prompt x --memory "$smallest")" 0 "$kind: run in them"
    peak=$(json peak_rss_bytes <"$work/out")
    [ "$peak" -gt 0 ] && [ "$peak" -le "$smallest" ]
    result $? "$kind: its peak, $peak, is within"
done

if [ ! -d ../shared/data/qwen3_omni ]; then
    skip_without_shared "peaks"
    exit
fi
python - "$work" <<'P'
import json, sys
config = json.load(open(sys.argv[1] + "/released/config.json"))
thinker = config["thinker_config"]
thinker["vision_config"].update(depth=1, deepstack_visual_indexes=[0])
thinker["audio_config"].update(encoder_layers=2, num_hidden_layers=2)
json.dump(config, open(sys.argv[1] + "/few.json", "w"))
P
"$synthetic" --config "$work/few.json" --layers 1 --tokenizer ../shared/data/qwen3_omni --out "$work/few" >/dev/null
check_run() { # check_run BUDGET OPTION FILE
    equals "$(exit_of "$tessera" run --model "$work/few" --memory "$1" --ledger off --quiet --threads 2 --max-new 1 --json "$2" "$3" --prompt "What is this?")" 0 "$2: run in $1 bytes"
    local peak
    peak=$(json peak_rss_bytes <"$work/out")
    echo "# peak $peak of $1"
    [ "$peak" -gt 0 ] && [ "$peak" -le "$1" ]
    result $? "$2: its peak is within"
}
python tests/support/make_media.py png "$work/smaller.png" 1024 768
for medium in "--audio $work/sound.wav" "--image $work/smaller.png"; do
    # shellcheck disable=SC2086 -- words split
    smallest=$("$tessera" plan --model "$work/few" --ledger off --quiet --threads 2 --json $medium | json smallest_budget_bytes)
    # shellcheck disable=SC2086
    check_run "$smallest" $medium
done
