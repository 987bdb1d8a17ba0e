# For test scripts: TAP lines, exit codes, JSON. Source it from the repository's root; ends by printing the plan.
. tests/support/environment.sh
tessera=${TESS_BUILD:-build/release-gcc}/tessera
work=$(mktemp -d) || exit 1
# Commands record what they do in the user's ledger: not in that of whoever runs the test.
export XDG_DATA_HOME=$work/data
number=0
finish() {
    rm -rf "$work"
    echo "1..$number"
}
trap finish EXIT

result() { # result STATUS TEXT
    number=$((number + 1))
    if [ "$1" = 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}
skip() { # skip TEXT REASON: what cannot or need not be tested here
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}
skip_without_shared() { # skip_without_shared TEXT: ../shared is absent, which fails where it is required
    if [ -n "${TESS_REQUIRE_SHARED:-}" ]; then result 1 "$1: ../shared is absent"; else skip "$1" "../shared is absent"; fi
}
equals() { # equals FOUND EXPECTED TEXT
    [ "$1" = "$2" ]
    local status=$?
    [ $status = 0 ] || printf '# found    %q\n# expected %q\n' "$1" "$2"
    result $status "$3"
}
contains() { # contains FOUND PART TEXT
    case $1 in *"$2"*) result 0 "$3" ;; *) printf '# found   %q\n# without %q\n' "$1" "$2"; result 1 "$3" ;; esac
}
# Runs a command; its outputs lie in $work/out and $work/err, its exit code is printed.
exit_of() {
    "$@" >"$work/out" 2>"$work/err" </dev/null
    echo $?
}
# Python with nothing but its standard library, which it then does not search for anything else: that halves its start.
python() { python3 -IS "$@"; }
# The value at a path of keys in the JSON of standard input: json seconds decode
json() { python -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]: value = value[int(key)] if isinstance(value, list) else value[key]
print(value if isinstance(value, str) else json.dumps(value))' "$@"; }
