#!/usr/bin/env bash
# plan from outside: keys, sums, what more memory buys, refusals.
. tests/support/tap.sh
model=demo/checkpoint
plan() { "$tessera" plan --model $model "$@"; }

plan --memory 64MiB --json >"$work/plan"
python - "$work/plan" <<'P'
import json, sys
plan = json.load(open(sys.argv[1]))
want = ["budget_bytes", "smallest_budget_bytes", "regions", "expert_slots", "bytes_per_token_cold", "seconds_first_token", "seconds_per_token"]
ok = all(key in plan for key in want) and plan["budget_bytes"] == 64 << 20
ok = ok and sum(region["bytes"] for region in plan["regions"]) <= plan["budget_bytes"]
ok = ok and "process" in [region["name"] for region in plan["regions"]]
sys.exit(not ok)
P
result $? "keys, and regions that fit the budget"
equals "$(plan --memory 64MiB --json | json expert_slots)" 64 "all experts fit"
small=$(plan --json | json smallest_budget_bytes)
[ "$(plan --memory "$small" --context 4096 --json | json expert_slots)" -lt 64 ]
result $? "fewer fit a tight budget"
[ "$(plan --context 64 --json | json smallest_budget_bytes)" -lt "$small" ]
result $? "fewer positions need less"
cache() { plan --memory 64MiB --json "$@" | python3 -c 'import json, sys; print(*(r["bytes"] for r in json.load(sys.stdin)["regions"] if r["name"] == "kv_cache"))'; }
wide=$(cache --context 4096) narrow=$(cache --context 4096 --dtype bf16)
echo "# keys and values: $wide in float32, $narrow in bfloat16"
[ $((100 * narrow)) -lt $((52 * wide)) ]
result $? "keys and values take half the room in bfloat16"
equals "$(exit_of plan --memory 2MiB --json)" 5 "a budget that cannot work"
smallest=$(json smallest_budget_bytes <"$work/out")
equals "$(json error code <"$work/out")" budget "and its code"
equals "$(exit_of plan --memory "$smallest")" 0 "the smallest it tells works"
contains "$(plan --memory 64MiB)" "smallest" "the table names the smallest"
equals "$(exit_of plan --measure --memory 64MiB --json)" 0 "--measure"
equals "$(json disk_rate_measured <"$work/out")" true "says that it measured"
equals "$(exit_of plan --context 100000000)" 2 "more positions than the model has"
equals "$(exit_of plan --chunk x)" 2 "a chunk that is no number"
equals "$("$tessera" plan --model tests/golden/b --json | json error 2>/dev/null || echo none)" none "a model without a tokenizer is planned"
equals "$(exit_of plan --threads 1000)" 2 "more threads than a pool has"
equals "$(exit_of plan --memory 0)" 2 "no memory at all is no size"

# Where the defaults come from, and a budget that is not there.
contains "$(plan)" "the default, 70 % of" "a default budget says so"
contains "$(plan)" "in the affinity mask)" "and so do threads"
contains "$(taskset -c "$(taskset -pc $$ | sed 's/.*[:,-] *//')" "$tessera" plan --model $model)" "threads 1 (CPUs in the affinity mask)" "one CPU, one thread"
case $(plan --memory 64MiB --threads 1 2>&1) in *"the default"* | *"affinity"* | *"more than"*) result 1 "what is named needs no reason" ;; *) result 0 "what is named needs no reason" ;; esac
contains "$(plan --memory 900TiB 2>&1)" "the budget is more than the" "more than the machine has"
equals "$(plan --memory 900TiB --json 2>&1 >/dev/null | wc -l) $(plan --memory 900TiB --quiet 2>&1 >/dev/null | wc -l)" "1 0" "is remarked on, unless --quiet"

# Units in any case; short ones are binary.
for size in 67108864 67108864B 67108864b 65536k 65536K 65536KiB 65536kib 64m 64M 64MiB 64MIB 0.0625g .0625GiB 67.108864e6 67108.864kB 67108.864KB 67.108864mb 67.108864MB 0.067108864gb; do
    equals "$(plan --memory $size --json | json budget_bytes)" $((64 << 20)) "--memory $size"
done
for size in 64x 64Mi 64MBit 64iB m "" -1 0x4000000 1e30 " 64m" 64.m.m infg 1..5g 99999999999t 0.0000000001k; do
    equals "$(exit_of plan --memory "$size")" 2 "--memory '$size' is no size"
done
contains "$(cat "$work/err")" "such as 512MiB" "and is told one"

# The estimate is for a prompt of a stated length.
equals "$(plan --memory 64MiB --json | json prompt_tokens)" 16 "a prompt of 16 tokens, unless another is named"
contains "$(plan --memory 64MiB --prompt-tokens 300)" "for a prompt of 300 tokens" "which is said"
contains "$(plan --memory 64MiB)" "every expert equally likely" "and so is what is assumed"
equals "$(plan --prompt-tokens 5000 --json | json context)" 5000 "the context provides for it"
equals "$(exit_of plan --prompt-tokens 0)" 2 "a prompt of no tokens"
equals "$(exit_of plan --prompt-tokens 65 --context 64)" 2 "a prompt above the context"
contains "$(cat "$work/err")" "--prompt-tokens: found 65, expected at most the 64 positions planned for" "is refused by the option's name"
equals "$(exit_of plan --image tests/data/media/images/420.jpg --context 10)" 2 "media above the context"
contains "$(cat "$work/err")" "--context: found 20 tokens (1 picture 4, text 16), expected at most the 10 positions planned for" "are told with what they are the sum of"
# Against a run, whose prompt repeats itself and so needs no more experts than expected.
prompt="The capital of France is Paris. Who are you? One, two, three, four"
tokens=$("$tessera" tokenize --model $model "$prompt" | wc -w)
for memory in "$small" $((small + 300000)) 67108864; do
    read=$("$tessera" run --model $model --context 4096 --memory "$memory" --ledger off --quiet --json --raw --max-new 1 --prompt "$prompt" | json bytes_read)
    told=$(plan --memory "$memory" --context 4096 --ledger off --prompt-tokens "$tokens" --json | json bytes_first_token)
    echo "# $tokens tokens in $memory bytes: read $read, told $told"
    [ "$read" -gt $((told / 2)) ] && [ "$read" -lt $((told * 2)) ]
    result $? "a prompt of $tokens tokens reads about what the plan tells"
done
# More memory may hold fewer experts, and then the plan says why.
for memory in $(seq "$small" 60000 $((small + 600000))); do plan --memory "$memory" >"$work/plan" 2>/dev/null; grep "if dense weights did not stay" "$work/plan"; done >"$work/instead"
[ -s "$work/instead" ]
result $? "how many experts would stay instead of dense weights"

# Nothing but dense layers: there is no expert to measure by.
for way in none dense; do
    python3 tests/support/without_experts.py $model "$work/$way" $way
    equals "$(exit_of "$tessera" plan --model "$work/$way" --measure --memory 64MiB --json)" 0 "a model without experts ($way) is measured"
    python3 - "$work/out" <<'P'
import json, sys
plan = json.load(open(sys.argv[1]))
keys = ("seconds_first_token", "seconds_per_token", "seconds_next_token", "disk_bytes_per_second")
sys.exit(not all(isinstance(plan[key], float) and plan[key] > 0 for key in keys))
P
    result $? "by its other weights"
    equals "$(exit_of "$tessera" plan --model "$work/$way" --memory 64MiB)" 0 "and planned"
done
equals "$(plan --memory 64MiB --threads 2 | awk 'length > 80' | wc -l)" 0 "no line is wider than 80 columns"
media=tests/data/media
equals "$(plan --threads 2 --quiet --image $media/images/420.jpg --audio $media/audio/s16.wav --video $media/video/sound.mp4 | awk 'length > 80' | wc -l)" \
    0 "nor with media"

# ---- speech ----
plan --memory 1GiB --speak "$work/none.wav" --json >"$work/plan"
equals "$(python - "$work/plan" <<'P'
import json, sys
plan = json.load(open(sys.argv[1]))
spoken = sorted({(r.get("component"), r["name"], r["phase"]) for r in plan["regions"] if r.get("component") not in (None, "thinker")})
print(spoken == sorted((c, n, "always") for c, names in (("talker", "layers experts workspace"), ("code predictor", "weights workspace"),
      ("code2wav", "weights workspace")) for n in names.split()), sum(r["bytes"] for r in plan["regions"]) <= plan["budget_bytes"])
P
)" "True True" "--speak: regions of talker, code predictor and code2wav"
[ ! -e "$work/none.wav" ]
result $? "nothing is written"
[ "$(json smallest_budget_bytes <"$work/plan")" -gt "$(plan --memory 1GiB --json | json smallest_budget_bytes)" ]
result $? "speech needs more"
longer=$(plan --memory 1GiB --speak x.wav --talker-max-new 20000 --json | json smallest_budget_bytes)
[ "$longer" -gt "$(json smallest_budget_bytes <"$work/plan")" ]
result $? "a longer one still more"
contains "$(plan --speak x.wav --threads 2 --memory 1GiB)" "for each second of speech (0 B read)" "how long a second of speech takes"
equals "$(plan --memory 1GiB --json | json bytes_spoken_second) $(plan --memory 1GiB --json | json seconds_spoken_second)" "0 0.0" "nothing without --speak"
# At the released dimensions the code predictor's layers are 159 MB, passed over for fifteen codes of 12.5 frames a
# second. They stay as soon as 2 GiB are given, whatever else does not.
spoken() { "$tessera" plan --model "$work/released" --ledger off --quiet --threads 2 --speak x.wav --json --memory "$1" | json bytes_spoken_second; }
if [ -n "${TESS_SANITIZED:-}" ]; then
    skip "what is read for a second of speech" "a sanitizer's memory is not the program's"
else
    "${TESS_BUILD:-build/release-gcc}/synthetic" --out "$work/released" >/dev/null
    [ "$(spoken 1400MiB)" -gt 30000000000 ] && [ "$(spoken 2GiB)" -lt 6000000000 ] && [ "$(spoken 4GiB)" -lt 4000000000 ] &&
        [ "$(spoken 8GiB)" -lt 1500000000 ] && [ "$(spoken 12GiB)" -eq 0 ]
    result $? "what is read for a second of speech falls as the budget grows, the most wasteful first"
fi
equals "$(plan --speak x.wav --threads 2 --memory 1GiB | awk 'length > 80' | wc -l)" 0 "no line is wider than 80 columns with it"
contains "$(plan --speak x.wav --threads 2 --memory 1GiB)" "code predictor workspace always" "the table shows it"
equals "$(exit_of plan --speak x.txt)" 2 "a name that says no format of sound"
equals "$(exit_of plan --speak x.wav --speaker nobody --json) $(json error expected <"$work/out")" "3 aiden, chelsie, ethan" "an unknown speaker"
equals "$(exit_of plan --speak x.wav --talker-max-new 65536)" 2 "more steps than the talker has positions"
equals "$(exit_of plan --speaker ethan)" 2 "a speaker without speech"
equals "$(exit_of "$tessera" plan --model tests/golden/e --speak x.wav)" 3 "a checkpoint without a talker"
contains "$(cat "$work/err")" enable_audio_output "which is named"

# ---- what --measure measures ----
cp -r $model "$work/sparse" && chmod -R u+w "$work/sparse"
python - "$work"/sparse/model-*.safetensors <<'P'
import os, struct, sys
for path in sys.argv[1:]:
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        begin, = struct.unpack("<Q", file.read(8))
        file.truncate(8 + begin)
        file.truncate(size)
P
equals "$(exit_of "$tessera" plan --model "$work/sparse" --measure --memory 64MiB)" 0 "--measure of sparse files"
contains "$(cat "$work/err")" "of weights are holes in sparse files" "says that they are"
contains "$(cat "$work/out")" "(measured, but the disk on holes)" "beside the rate"
[ "$("$tessera" plan --model "$work/sparse" --measure --memory 64MiB --json --quiet | json hole_bytes)" -gt 3000000 ]
result $? "and how much of them"
equals "$(exit_of plan --measure --memory 64MiB)" 0 "--measure of whole files"
equals "$(cat "$work/err")" "" "says nothing"
equals "$(plan --measure --memory 64MiB --json | json hole_bytes)" 0 "as they have no holes"
