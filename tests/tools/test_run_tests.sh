#!/usr/bin/env bash
# What runs the tests must not take a failure for a success: tests that print ok, not ok and SKIP, that die, print nothing
# or not all they planned, are run and counted.
# Release build only: no program of ours takes part.
. tests/support/tap.sh
unset TESS_REQUIRE_SHARED TESS_REQUIRE_ISA
export TESS_CHECK=$work/check

fake() { # fake NAME LINE...: a test of these shell commands
    printf '%s\n' "${@:2}" >"$work/test_$1.sh"
}
counted() { # counted EXIT "PASSED FAILED SKIPPED" TEXT NAME...: the fakes are run, and their counts added up
    local code=$1 counts=$2 text=$3
    shift 3
    rm -rf "$TESS_CHECK"
    equals "$(exit_of tools/run_tests "$work" fake "${@/#/$work/test_}")" "$code" "$text: exit $code"
    equals "$(awk '{ for (i = 1; i <= 3; i++) sum[i] += $i } END { print sum[1], sum[2], sum[3] }' "$TESS_CHECK/counts")" "$counts" \
        "$text: $counts"
}
fake good 'echo "ok 1 - one"' 'echo "ok 2 - two"' 'echo "1..2"'
fake bad 'echo "1..2"' 'echo "ok 1 - one"' 'echo "not ok 2 - two"'
fake skips 'echo "1..3"' 'echo "ok 1 - one # SKIP for a reason"' 'echo "not ok 2 - two # SKIP"' 'echo "ok 3"'
fake only_skips 'echo "1..1"' 'echo "ok 1 - one # SKIP for a reason"'
fake silent 'true'
fake plans_nothing 'echo "1..0"'
fake dies 'echo "1..2"' 'echo "ok 1 - one"' 'kill -SEGV $$'
fake dies_at_the_end 'echo "1..1"' 'echo "ok 1 - one"' 'exit 3'
fake stops_early 'echo "1..2"' 'echo "ok 1 - one"'
fake has_no_plan 'echo "ok 1 - one"'
fake hangs 'echo "1..1"' 'echo "ok 1 - one"' 'sleep 600'
fake kills_runner 'echo "1..1"' 'echo "ok 1 - one"' 'kill -KILL "$(cut -d " " -f 4 "/proc/$PPID/stat")"'
fake lacks_shared 'echo "ok 1 - goldens # SKIP ../shared is absent"' 'echo "1..1"'
fake lacks_isa 'echo "ok 1 - avx512 kernels # SKIP not tested: this processor lacks it"' 'echo "1..1"'
fake sanitized 'echo "ok 1 - ${TESS_SANITIZED:-no} # $TESS_BUILD"' 'echo "1..1"'
fake unsanitized '# Release build only: a fake.' 'echo "not ok 1"' 'echo "1..1"'
fake clock 'date +%s%N >"$TESS_CHECK/$(basename "$0")"' 'echo "ok 1"' 'echo "1..1"'

counted 0 "2 0 0" "passes" good.sh
counted 1 "1 1 0" "a failure" bad.sh
counted 0 "1 0 2" "skips are no passes, however they are printed" skips.sh
contains "$(cat "$TESS_CHECK/skips")" "one # SKIP for a reason" "and are told with their reasons"
counted 0 "0 0 1" "nothing but a skip" only_skips.sh
counted 1 "0 1 0" "no line at all" silent.sh
counted 1 "0 1 0" "nothing planned, nothing done" plans_nothing.sh
counted 1 "1 1 0" "a test that dies" dies.sh
counted 1 "1 1 0" "a test that ends with a status of its own" dies_at_the_end.sh
counted 1 "1 1 0" "fewer results than planned" stops_early.sh
counted 1 "1 1 0" "no plan" has_no_plan.sh
counted 1 "0 1 0" "a test that is not there" absent
TESS_TEST_SECONDS=1 counted 1 "1 1 0" "a test that hangs" hangs.sh
contains "$(cat "$TESS_CHECK/fake/"*)" "stopped after 1 seconds" "is told so"
TESS_JOBS=1 counted 1 "0 2 0" "a runner that is killed, and whom it would have run next" kills_runner.sh good.sh
counted 1 "5 3 2" "several at once" good.sh bad.sh skips.sh dies.sh silent.sh
equals "$(wc -l <"$TESS_CHECK/times") $(ls "$TESS_CHECK/fake" | wc -l)" "5 5" "each with its time and what it printed"
contains "$(cat "$work/out")" "not ok 2 - two" "failures are shown"

counted 0 "0 0 1" "../shared where nobody asks for it" lacks_shared.sh
TESS_REQUIRE_SHARED=1 counted 1 "0 1 0" "../shared where it is required" lacks_shared.sh
TESS_REQUIRE_SHARED=1 counted 0 "0 0 1" "a skip for another reason" only_skips.sh
TESS_REQUIRE_ISA="avx2" counted 0 "0 0 1" "an instruction set that is not required" lacks_isa.sh
TESS_REQUIRE_ISA="avx2 avx512" counted 1 "0 1 0" "one that is" lacks_isa.sh
for how in "" 1; do
    output=$(TESS_REQUIRE_SHARED=$how bash -c '. tests/support/tap.sh; skip_without_shared goldens')
    equals "${output%% -*}" "$([ "$how" ] && echo "not ")ok 1" "scripts say so themselves, required: '$how'"
done

ln -s "$work" "$work/asan-gcc"
equals "$(exit_of tools/run_tests "$work/asan-gcc" asan "$work"/test_{,un}sanitized.sh -- "$work" plain "$work/test_sanitized.sh")" 0 \
    "two builds in one run"
equals "$(cat "$TESS_CHECK"/asan/* "$TESS_CHECK"/plain/* | grep -c "1 # $work/asan-gcc\|no # $work$")" 2 \
    "each test knows its build, and whether it is sanitized"
ln -s test_clock.sh "$work/test_watch.sh"
for seconds in "30 4" "4 30"; do
    read -r clock watch <<<"$seconds"
    printf '%s\n' "$clock.5 fake test_clock.sh" "$watch.5 fake test_watch.sh" >"$TESS_CHECK/durations"
    TESS_JOBS=1 exit_of tools/run_tests "$work" fake "$work"/test_{clock,watch}.sh >/dev/null
    [ $(($(cat "$TESS_CHECK/test_clock.sh") < $(cat "$TESS_CHECK/test_watch.sh"))) = $((clock > watch)) ]
    result $? "the longest begins first: $seconds"
done

summary() { # summary COUNTS...: the exit code and the last line for these counts
    printf '%s\n' "$@" >"$TESS_CHECK/counts"
    equals "$(exit_of tools/check_summary "$TESS_CHECK") $(tail -n 1 "$work/out")" "$expected" "the end for ${*}"
}
seq 20 | sed 's/$/.5 release test/' >"$TESS_CHECK/times"
expected="0 5 passed, 0 failed" summary "2 0 0" "3 0 0"
expected="0 2 passed, 0 failed, 4 skipped" summary "2 0 3" "0 0 1"
expected="1 2 passed, 1 failed" summary "2 1 0"
expected="1 0 passed, 0 failed" summary "0 0 0"
expected="1 0 passed, 0 failed, 1 skipped" summary "0 0 1"
equals "$(grep -c ' s  release test' "$work/out") $(grep -m 1 ' s  release' "$work/out" | tr -s ' ')" "10  20.5 s release test" "the ten slowest, slowest first"
