#!/usr/bin/env bash
# The defaults of --memory and --threads in control groups of the system's own, where this user may make some.
. tests/support/tap.sh
model=demo/checkpoint

# in_group FOLDER COMMAND...: runs it in the group, as exit_of does.
in_group() {
    local folder=$1
    shift
    exit_of bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$folder" "$@"
}
make_group() { # make_group CONTROLLER: sets $group and $version, or fails
    local mount
    for mount in "/sys/fs/cgroup/$1" /sys/fs/cgroup; do
        group=$mount/tessera_test_$$
        [ "$mount" = /sys/fs/cgroup ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ] && continue
        mkdir "$group" 2>/dev/null || continue
        version=2
        [ "$mount" = /sys/fs/cgroup ] || version=1
        return 0
    done
    return 1
}
end_group() { # a group is busy for a moment after its last process
    for _ in 1 2 3 4 5 6 7 8 9 10; do rmdir "$group" 2>/dev/null && return; sleep 0.1; done
}

if [ -z "${TESS_SANITIZED:-}" ] && make_group memory && { echo $((32 << 20)) >"$group/memory.max" || echo $((32 << 20)) >"$group/memory.limit_in_bytes"; } 2>/dev/null; then
    equals "$(in_group "$group" "$tessera" plan --model $model --json)" 0 "a small group (version $version)"
    budget=$(json budget_bytes <"$work/out")
    [ "$budget" -gt $((16 << 20)) ] && [ "$budget" -le $((32 * 7 * 104857)) ]
    result $? "its default budget is below its limit: $budget"
    equals "$(in_group "$group" "$tessera" plan --model $model --context 30000)" 5 "a plan that does not fit it"
    contains "$(cat "$work/err")" "the default, 70 % of what is left" "says that nobody named the budget"
    contains "$(cat "$work/err")" "in control group $group" "and whose it is"
    end_group
else
    result 0 "memory groups # SKIP this user may make none, or a sanitizer needs more"
fi

if make_group cpu && { echo "100000 100000" >"$group/cpu.max" || { echo 100000 >"$group/cpu.cfs_period_us" && echo 100000 >"$group/cpu.cfs_quota_us"; }; } 2>/dev/null; then
    equals "$(in_group "$group" "$tessera" plan --model $model --json)" 0 "a group with one CPU's time (version $version)"
    equals "$(json threads <"$work/out")" 1 "has one thread"
    if [ "$(nproc)" -gt 1 ]; then
        contains "$(json thread_origin <"$work/out")" "CPU quota of control group $group" "and says why"
    fi
    equals "$(in_group "$group" "$tessera" plan --model $model --threads 3 --json)" 0 "threads that are named"
    equals "$(json threads <"$work/out") $(json thread_origin <"$work/out")" "3 null" "stay, and need no reason"
    end_group
else
    result 0 "CPU groups # SKIP this user may make none"
fi
rmdir /sys/fs/cgroup/tessera_test_$$ /sys/fs/cgroup/{memory,cpu}/tessera_test_$$ 2>/dev/null || :
