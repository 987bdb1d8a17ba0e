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
[ "$(plan --memory $((small - 600000)) --context 4096 --json | json expert_slots)" -lt 64 ]
result $? "fewer fit a tight budget"
[ "$(plan --context 64 --json | json smallest_budget_bytes)" -lt "$small" ]
result $? "fewer positions need less"
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
