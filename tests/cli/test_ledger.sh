#!/usr/bin/env bash
# The ledger from outside: what is recorded and shown, privacy, digests that are taken back, places that cannot be written.
. tests/support/tap.sh
model=demo/checkpoint
ledger() { "$tessera" ledger "$@"; }
# A sanitizer keeps what a chat, which plans more than once, has given back.
for_chat=64MiB
[ -z "${TESS_SANITIZED:-}" ] || for_chat=512MiB
run() { "$tessera" run --model "${folder:-$model}" --memory "${memory:-64MiB}" --quiet "$@"; }
aloud() { "$tessera" run --model $model --memory 64MiB "$@"; }
own=$XDG_DATA_HOME/tessera/ledger.sqlite
raw=(--raw --prompt "The capital of France is" --max-new 3)

# --- nothing there yet
equals "$(exit_of ledger list)" 0 "a ledger that does not exist yet is an empty one"
contains "$(cat "$work/err")" "$own" "and its place is told"
equals "$(ledger list --json | json entries)" "[]" "as JSON"
equals "$(exit_of ledger list --ledger "$work/none")" 3 "one that was named must exist"
[ ! -e "$own" ]
result $? "looking makes no file"
"$tessera" plan --model $model --json >/dev/null
[ ! -e "$XDG_DATA_HOME" ]
result $? "nor does planning"

# --- runs
run "${raw[@]}" --json >"$work/run" 2>"$work/err"
equals "$(cat "$work/err")" "" "recording says nothing"
equals "$(ledger list --json | json entries 1 kind)" run "a run is an entry"
ledger show 2 --json >"$work/entry"
for key in prompt_tokens bytes_read budget_bytes seed; do
    equals "$(json $key <"$work/entry")" "$(json $key <"$work/run")" "$key is what the run told"
done
equals "$(json finish <"$work/entry")" "$(json finish_reason <"$work/run")" "how it ended"
equals "$(json new_tokens <"$work/entry")" "$(json tokens <"$work/run" | tr -cd , | wc -c | awk '{print $1 + 1}')" "tokens of the answer"
equals "$(json prompt_sha256 <"$work/entry")" "$(printf 'The capital of France is' | sha256sum | cut -d' ' -f1)" "the prompt's SHA-256"
equals "$(json prompt_text <"$work/entry")" null "and not its text"
equals "$(json config_sha256 <"$work/entry")" "$(sha256sum <$model/config.json | cut -d' ' -f1)" "the configuration's"
grep -q "capital of France" "$own"*
equals "$?" 1 "the text is nowhere in the file"
equals "$(stat -c %a "$own")" 600 "which only its owner can read"

"$tessera" trace --model $model --memory 64MiB --quiet "${raw[@]:0:3}" --out "$work/t.safetensors" --taps '*.gate.indices'
ledger show 3 --json >"$work/trace"
python - "$work/trace" "$work/t.safetensors" <<'P'
import collections, json, struct, sys
data = open(sys.argv[2], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
want = collections.Counter()
for name, t in json.loads(data[8:8 + size]).items():
    if not name.endswith(".gate.indices"): continue
    begin, end = t["data_offsets"]
    layer = int(name.split(".layers.")[1].split(".")[0])
    for e in struct.unpack(f"<{(end - begin) // 8}q", data[8 + size + begin:8 + size + end]): want[layer, e] += 1
got = {(r["layer"], r["expert"]): r["count"] for r in json.load(open(sys.argv[1]))["routing"]}
sys.exit(not want or got != want)
P
result $? "the counts are those of the trace's own indices"
equals "$(json finish <"$work/trace")" done "a trace is a run as well"
"$tessera" trace --model $model --memory 64MiB --quiet --inputs "$work/t.safetensors" --out "$work/u.safetensors"
equals "$(ledger show 4 --json | json prompt_kind)" ids "and so is one of ids"
"$tessera" trace --model $model --memory 1GiB --chunk 4 --quiet "${raw[@]:0:3}" --out "$work/v.safetensors" --ledger off
"$tessera" trace --model $model --memory 1GiB --chunk 4 --quiet "${raw[@]:0:3}" --out "$work/w.safetensors"
cmp -s "$work/v.safetensors" "$work/w.safetensors"
result $? "recording changes no bit of a trace"
equals "$(ledger list --json | json entries 4 id)" 5 "--ledger off records nothing"

printf 'Who are you?\nWhat is 2+2?\n' | "$tessera" chat --model $model --memory $for_chat --quiet --system Brief. --ledger-text >/dev/null
equals "$(ledger show 6 --json | json prompt_text)" "Who are you?" "--ledger-text keeps the text"
equals "$(ledger show 7 --json | json prompt_text)$(ledger show 7 --json | json system_text)" "What is 2+2?Brief." "of every turn, and the system's"
equals "$(memory=1MiB exit_of run --prompt x)" 5 "a refused budget"
equals "$(ledger show 8 --json | json finish)$(ledger show 8 --json | json exit_code)" failed5 "is recorded as that"
equals "$(folder=$work exit_of run --prompt x)" 3 "a folder without a model"
equals "$(ledger list --json | json entries -1 id)" 8 "is no entry"
for words in "show 999" "forget 999"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of ledger $words)" 2 "$words: exit 2"
    contains "$(cat "$work/err")" "'tessera ledger list' shows all" "$words: says what shows those there are"
done
ledger list >"$work/list"
equals "$(head -1 "$work/list" | awk '{print $1, $2, $3}')$(wc -l <"$work/list")" "id kind time9" "the list, with a line of titles"
equals "$(ledger list --last 0 2>&1)" "" "--last 0 of some is none, and no word about an empty ledger"
equals "$(ledger list --last 2 | awk 'NR > 1 { print $1, $2, $5 }')" "$(tail -2 "$work/list" | awk '{ print $1, $2, $5 }')" "--last"
contains "$(ledger show 2)" "busiest" "an entry as text"

# --- digests
cp -r $model "$work/model"
chmod -R u+w "$work/model"
sum() { "$tessera" inspect --checksum "$work/model" "$@"; }
sum >"$work/first" 2>"$work/err"
contains "$(cat "$work/err")" "4 shards read and hashed, 4 recorded" "the first time all bytes are read"
sum >"$work/second" 2>"$work/err"
contains "$(cat "$work/err")" "digests of 4 shards taken from the ledger" "the second time none"
cmp -s "$work/first" "$work/second"
result $? "with the same output"
sum --ledger off >"$work/plain" 2>/dev/null
cmp -s "$work/first" "$work/plain"
result $? "which is that without a ledger"
equals "$(sum --rehash 2>&1 >/dev/null | grep -c 'read and hashed')" 1 "--rehash reads again"
equals "$(sum --json 2>/dev/null | json shards 0 digest_from)" ledger "where a digest is from, as JSON"
(cd "$work/model" && sha256sum ./*.safetensors | sed 's|\./||') >"$work/shards"
grep -q -v -x -F -f "$work/first" "$work/shards"
equals "$?" 1 "the shards' digests are sha256sum's"
touch -d '+3 seconds' "$work/model/model-00002-of-00004.safetensors"
equals "$(sum --json 2>/dev/null | json shards 1 digest_from)" bytes "a file with another time is read"
equals "$(sum 2>&1 >/dev/null | grep -c 'taken from')" 1 "once"
printf '\x80\x7f' | dd of="$work/model/model-00003-of-00004.safetensors" bs=1 seek=$(($(stat -c %s "$work/model/model-00003-of-00004.safetensors") - 2)) conv=notrunc 2>/dev/null
equals "$(exit_of sum)" 1 "an infinity is found"
equals "$(exit_of sum)" 1 "and still known when its digest is taken from the ledger"
contains "$(cat "$work/err")" "found 1 of" "with its place"
shared=../shared/data/qwen3_omni
if [ -d $shared ]; then
    mkdir "$work/published"
    cp $model/*.safetensors $model/model.safetensors.index.json $model/config.json "$work/published"
    cp $shared/*.json $shared/merges.txt "$work/published"
    "$tessera" inspect --checksum "$work/published" --json 2>/dev/null >"$work/sums"
    equals "$(python -c 'import json, sys
print(" ".join(f["published"] for f in json.load(open(sys.argv[1]))["files"]))' "$work/sums")" \
        "other published published not in the list published published" "published files are known by their digests"
else
    skip_without_shared "published files are known by their digests"
fi
folder=$work/model run "${raw[@]}" >/dev/null
last=$(ledger list --json | json entries -1 id)
equals "$(ledger show "$last" --json | json weights_sha256)" "$(sum --json 2>/dev/null | json weights_sha256)" "a run of hashed weights is known to be of them"
touch "$work/model/model-00001-of-00004.safetensors"
folder=$work/model run "${raw[@]}" >/dev/null
last=$(ledger list --json | json entries -1 id)
equals "$(ledger show "$last" --json | json weights_sha256)" null "and not once a shard looks new"

# --- export and forget
ledger export >"$work/lines"
equals "$(wc -l <"$work/lines")" "$(ledger list --json | python -c 'import json, sys; print(len(json.load(sys.stdin)["entries"]))')" "export: a line of JSON for every entry"
python - "$work/lines" <(ledger export --json) <<'P'
import json, sys
sys.exit([json.loads(line) for line in open(sys.argv[1])] != json.load(open(sys.argv[2]))["entries"])
P
result $? "--json: the same in one object"
contains "$(ledger forget 6)" "forgotten: 1 run, " "forget tells what went"
equals "$(exit_of ledger show 6)" 2 "it is gone"
equals "$(exit_of ledger forget 6)" 2 "and cannot go twice"
grep -q "Who are you" "$own"*
equals "$?" 1 "not even its text is left in the file"
# asked ANSWER WORD...: what the terminal shows and the exit code, the answer typed at the question
asked() {
    python - "$tessera" ledger forget "${@:2}" 3< <(printf '%s\n' "$1") <<'P'
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown, answer = b"", os.read(3, 100)
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    shown += piece
    if answer and shown.endswith(b"[y/N] "):
        os.write(terminal, answer)
        answer = b""
print(shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
P
}
for answer in n ""; do
    asked "$answer" --all >"$work/asked"
    contains "$(cat "$work/asked")" " 8 runs, " "on a terminal --all says how much goes"
    contains "$(cat "$work/asked")" "nothing is forgotten" "and asks; \"$answer\" is no"
done
equals "$(tail -n 1 "$work/asked" | tr -d ' ')" 130 "exit 130"
one=$(ledger list --json | python -c 'import json, sys
print(next(e["id"] for e in json.load(sys.stdin)["entries"] if e["kind"] == "checkpoint"))')
contains "$(asked n "$one")" "go on? [y/N]" "it asks for a checkpoint with runs as well"
equals "$(exit_of ledger forget "$one")" 2 "nor does it go with its runs where nobody can be asked"
contains "$(cat "$work/err")" "is a checkpoint, and its " "which is said"
run "${raw[@]}" --ledger "$work/few" >/dev/null
contains "$(asked n 2 --ledger "$work/few")" "forgotten: 1 run" "but not for a single run"
run "${raw[@]}" --ledger "$work/few" >/dev/null
contains "$(asked y --all --ledger "$work/few")" "forgotten: 1 checkpoint, 1 run" "y is yes"
run "${raw[@]}" --ledger "$work/few" >/dev/null
equals "$(asked n --all --yes --ledger "$work/few" | grep -c "y/N")" 0 "--yes does not ask"
equals "$(exit_of ledger list --yes)" 2 "--yes is for forget"
equals "$(exit_of ledger forget --all)" 2 "--all where nobody can be asked"
equals "$(ledger forget --all --yes --json | json forgotten runs)" 8 "--all --yes"
equals "$(ledger list --json | json entries)" "[]" "leaves nothing"
for _ in 1 2 3; do run "${raw[@]}" --ledger "$work/many" >/dev/null; done
equals "$(ledger list --ledger "$work/many" --last 2 --json | json entries | grep -o '"id": [0-9]*' | tr -d '\n')" '"id": 3"id": 4' "--last N are the latest"
mkfifo "$work/turns"
"$tessera" chat --model $model --memory $for_chat --quiet --ledger "$work/many" <"$work/turns" >"$work/said" 2>"$work/err" &
exec 7>"$work/turns"
echo "Who are you?" >&7
until [ -s "$work/said" ]; do sleep 0.05; done
until ledger show 5 --ledger "$work/many" --json 2>/dev/null | grep -q '"exit_code":0'; do sleep 0.05; done
equals "$(ledger forget --all --yes --json --ledger "$work/many" | json forgotten runs)" 4 "all is forgotten while a chat goes on"
echo "What is 2+2?" >&7
exec 7>&-
wait
equals "$(cat "$work/err")$(ledger list --ledger "$work/many" --json | json entries | grep -o '"kind": "run"' | wc -l)" 1 "whose next turn is recorded"
for words in "" "list all" "show" "show x" "show 0" "show 99999999999999999999" "forget" "forget --all 3" "list --all" "dance" "list --ledger off"; do
    # shellcheck disable=SC2086 -- words split
    equals "$(exit_of ledger $words)" 2 "wrong usage: ledger $words"
done

# --- places that cannot be written: the command goes on, and says it
answer=$(run "${raw[@]}" --ledger off)
goes_on() { # goes_on PART TEXT OPTIONS...
    local part=$1 text=$2
    shift 2
    equals "$(exit_of aloud "${raw[@]}" "$@")$(cat "$work/out")" "0$answer" "$text: the run goes on"
    contains "$(cat "$work/err")" "$part" "and says that it is not recorded"
    equals "$(grep -c recorded "$work/err")" 1 "once"
}
goes_on "is not recorded in the ledger" "a folder that does not exist" --ledger "$work/no/such/ledger"
goes_on "; --ledger FILE names another place, --ledger off none" "a folder for a file" --ledger "$work"
head -c 20000 /dev/urandom >"$work/noise"
goes_on "damaged" "a file of noise" --ledger "$work/noise"
equals "$(exit_of ledger list --ledger "$work/noise")" 3 "the ledger command refuses it"
run "${raw[@]}" --ledger "$work/newer" >/dev/null
python -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version = 40")' "$work/newer"
cp "$work/newer" "$work/before"
goes_on "schema 40" "a newer schema" --ledger "$work/newer"
equals "$(exit_of ledger list --ledger "$work/newer")$(grep -c 'schema 40' "$work/err")" 31 "the ledger command refuses it by name"
cmp -s "$work/newer" "$work/before"
result $? "and leaves it alone"
(unset XDG_DATA_HOME HOME && aloud "${raw[@]}" >"$work/out" 2>"$work/err")
contains "$?$(cat "$work/out" "$work/err")" "neither XDG_DATA_HOME nor HOME" "nobody's home: said"
(unset XDG_DATA_HOME && HOME=$work/home run "${raw[@]}" >/dev/null 2>&1)
[ -s "$work/home/.local/share/tessera/ledger.sqlite" ]
result $? "without XDG_DATA_HOME it lies in ~/.local/share"
(XDG_DATA_HOME=not/absolute HOME=$work/home2 run "${raw[@]}" >/dev/null 2>&1)
[ -s "$work/home2/.local/share/tessera/ledger.sqlite" ]
result $? "a relative XDG_DATA_HOME does not count"

# --- no room
run "${raw[@]}" --ledger "$work/full" >/dev/null
(ulimit -f 8 && exit_of aloud "${raw[@]}" --ledger "$work/full") >"$work/code"
equals "$(cat "$work/code" "$work/out")" "0
$answer" "files that may not grow: the run goes on"
contains "$(cat "$work/err")" "not recorded" "and says what is not recorded"
equals "$(exit_of ledger list --ledger "$work/full")" 0 "the ledger stays readable"
read_only() { # read_only LEDGER: it lies where nothing can be written
    goes_on "cannot write the ledger" "a read-only place" --ledger "$1"
    equals "$(ledger list --ledger "$1" --json | json entries 1 kind)" run "which can be read"
    equals "$(exit_of ledger forget --all --yes --ledger "$1")" 4 "and not forgotten"
}
mkdir "$work/small"
run "${raw[@]}" --ledger "$work/away" >/dev/null
if mount -t tmpfs -o size=56k none "$work/small" 2>/dev/null; then
    equals "$(exit_of aloud "${raw[@]}" --ledger "$work/small/ledger")$(cat "$work/out")" "0$answer" "a full disk: the run goes on"
    contains "$(cat "$work/err")" "what this command does is not recorded in the ledger: $work/small/ledger: cannot use it: the disk is full" \
        "and says what is not recorded"
    umount "$work/small"
    mount -t tmpfs none "$work/small" && cp "$work/away" "$work/small/ledger" && mount -o remount,ro "$work/small"
    read_only "$work/small/ledger"
    umount "$work/small"
else
    skip "a full disk" "no mounting here; tests/fault fills one at every write"
    cp "$work/away" "$work/small/ledger"
    chmod 400 "$work/small/ledger" && chmod 500 "$work/small"
    if [ "$(id -u)" = 0 ]; then
        skip "a read-only place" "no mounting here, and root may write everywhere"
    else
        read_only "$work/small/ledger"
    fi
    chmod 700 "$work/small"
fi
(ulimit -f 8 && sum --rehash --ledger "$work/full" 2>"$work/err" | tail -n 2 >"$work/out")
equals "$(cat "$work/out")" "$(sum --ledger off 2>/dev/null | tail -n 2)" "nor do checksums stop"
contains "$(cat "$work/err")" "not recorded" "and say what is not recorded"

golden=tests/golden/b-f32/text.safetensors
"$tessera" verify --model tests/golden/b --memory 1GiB --golden $golden --quiet --ledger "$work/verified" >/dev/null
last=$(ledger list --ledger "$work/verified" --json | json entries -1 id)
equals "$(ledger show "$last" --json --ledger "$work/verified" | json weights_sha256)" \
    "$("$tessera" inspect --checksum tests/golden/b --json --ledger off 2>/dev/null | json weights_sha256)" \
    "a verification names the weights it hashed"
(ulimit -f 40 && "$tessera" verify --model tests/golden/b --memory 1GiB --golden $golden $golden \
    --ledger "$work/full" 2>"$work/err"; echo $?) | tail -n 1 >"$work/code"
equals "$(cat "$work/code") $(grep -c "this verification is not recorded" "$work/err")" "0 2" \
    "nor does verify, which says it of every golden"

"$tessera" verify --model tests/golden/b --memory 1GiB --golden $golden --ledger "$work/verified" --certificate "$work/c.json" \
    >/dev/null 2>"$work/err"
contains "$(cat "$work/err")" "tessera verify: digests of 3 shards taken from the ledger" "digests that it did not hash itself are told"
contains "$(cat "$work/err")" "--ledger off reads again" "and what hashes them"
last=$(ledger list --ledger "$work/verified" --json | json entries -1 id)
equals "$(ledger show "$last" --json --ledger "$work/verified" | json certificate_sha256)" "$(sha256sum <"$work/c.json" | cut -d' ' -f1)" \
    "a verification names the certificate it is in"

# --- texts of goldens: in no file that verifying leaves behind, and not behind a kill and a forget either
"$tessera" verify --model $model --memory 64MiB --golden tests/golden/demo/f32/france.safetensors tests/golden/demo/f32/raw_france.safetensors \
    --quiet --ledger "$work/private" --certificate "$work/private.json" >/dev/null
grep -q "capital of France" tests/golden/demo/f32/france.safetensors
equals "$? $(grep -l "capital of" "$work"/private* | wc -l)" "0 0" "a golden's text is in neither ledger nor certificate"
"$tessera" run --model $model --memory 64MiB --quiet --ledger "$work/private" --ledger-text --raw --max-new 900 --chunk 1 \
    --prompt "nobody shall read $(printf 'The capital of France is Paris. %.0s' $(seq 200))" >/dev/null 2>&1 &
killed=$!
until grep -q "nobody shall read" "$work/private-wal" 2>/dev/null || ! kill -0 $killed 2>/dev/null; do sleep 0.01; done
kill -KILL $killed 2>/dev/null
wait $killed 2>/dev/null
grep -q "nobody shall read" "$work/private-wal"
result $? "a killed run leaves its kept text in the log"
last=$(ledger list --ledger "$work/private" --json | json entries -1 id)
ledger forget "$last" --ledger "$work/private" >/dev/null
equals "$(grep -l "nobody shall" "$work"/private* | wc -l)" 0 "and forgetting it leaves none of it"

# --- killed at any moment
sound() { # sound FILE: what SQLite says of it, and its dangling references
    python -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("PRAGMA integrity_check").fetchone()[0], db.execute("PRAGMA foreign_key_check").fetchall())' "$1"
}
long() { # long [COMMAND...]: a run that takes a while
    "$@" "$tessera" run --model $model --memory 64MiB --quiet --ledger "$work/killed" --raw --chunk 4 --max-new 5 \
        --prompt "$(printf 'The capital of France is Paris. %.0s' $(seq 60))"
}
seconds() { printf %09d "$1" | sed 's/......$/.&/'; } # of microseconds
run "${raw[@]}" --ledger "$work/killed" >/dev/null
rm -rf "$work/model" && cp -r $model "$work/model"
start=$(date +%s%N)
long >/dev/null
whole_us=$((($(date +%s%N) - start) / 1000))
moments=(1 2 3 4 5 6 7 8 9 10 11 12)
[ -z "${TESS_SANITIZED:-}" ] || moments=(2 5 8 11) # where a command starts takes longest
sound=0 lost=0
for moment in "${moments[@]}"; do
    ledger export --ledger "$work/killed" | grep '"kind":"run"' | grep -v '"finish":null' >"$work/before"
    (
        long timeout -s KILL "$(seconds $((whole_us * moment * moment / 144)))"
        timeout -s KILL "$(seconds $((whole_us * moment * moment / 700)))" \
            "$tessera" inspect --checksum --rehash "$work/model" --ledger "$work/killed" || : # no message of the shell's
    ) >/dev/null 2>&1
    [ "$(sound "$work/killed")" = "ok []" ] && sound=$((sound + 1))
    ledger export --ledger "$work/killed" >"$work/after"
    grep -v -q -x -F -f "$work/after" "$work/before" && lost=$((lost + 1))
done
cut=$(grep -c '"finish":null' "$work/after")
echo "# $cut runs were cut off, $(grep -c '"finish":"\(stop\|length\)"' "$work/after") were not"
equals "$sound $lost" "${#moments[@]} 0" "after ${#moments[@]} kills each of runs and checksums the file is sound, and every finished run as it was"
[ "$cut" -gt 0 ]
result $? "runs that were cut off show as that"
run "${raw[@]}" --ledger "$work/killed" >/dev/null 2>"$work/err"
equals "$(cat "$work/err")$(ledger list --last 1 --ledger "$work/killed" | awk 'NR > 1 { print $2, $5 }')" "run 5" "and the next run is recorded"
equals "$(sum --ledger "$work/killed" 2>/dev/null | tail -2)" "$(sum --ledger off 2>/dev/null | tail -2)" "digests recorded so far are right ones"

# --- locked by somebody else
python3 -c 'import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(60)' "$work/killed" >"$work/locked" &
holder=$!
until [ -s "$work/locked" ]; do sleep 0.05; done
goes_on "another process keeps it locked" "a ledger that stays locked" --ledger "$work/killed"
kill $holder

# --- several at once
for i in 1 2 3 4; do run "${raw[@]}" --ledger "$work/shared" >/dev/null 2>>"$work/errors" & done
wait
equals "$(ledger list --ledger "$work/shared" --json | json entries | grep -o '"outcome": "length"\|"outcome": "stop"' | wc -l)" 4 "four at once are all recorded"
equals "$(cat "$work/errors")" "" "without a word"

# --- media
eyes=tests/golden/e
entry() { ledger show "$1" --json --ledger "$work/media"; }
look() { "$tessera" run --model $eyes --memory 1GiB --quiet --max-new 2 --prompt "What?" --ledger "$work/media" "$@" >/dev/null 2>>"$work/errors"; }
look --image tests/golden/front/even.png
equals "$(entry 2 | json prompt_kind)" "chat with media" "a run with a picture says so"
equals "$(entry 2 | python -c 'import json, sys; print(sorted({r["component"] for r in json.load(sys.stdin)["routing"]}))')" "['thinker']" "and counts its experts"
look --image tests/golden/front/even.png --ledger-text
look --image tests/golden/front/square.png
look
equals "$(entry 3 | json prompt_sha256)" "$(entry 2 | json prompt_sha256)" "the same words and picture have the same digest"
equals "$(entry 3 | json prompt_text)" "What?" "of which the words can be kept"
equals "$(for i in 2 4 5; do entry $i | json prompt_sha256; done | sort -u | wc -l)" 3 "with another picture, or none, they have another"
equals "$(entry 5 | json prompt_kind) $(entry 5 | json prompt_sha256)" "chat $(printf 'What?' | sha256sum | cut -d' ' -f1)" "without media it is as it was"
printf '/image tests/golden/front/even.png\nWhat?\nWhat?\n' |
    "$tessera" chat --model $eyes --memory 1GiB --quiet --max-new 2 --ledger "$work/media" >/dev/null 2>>"$work/errors"
equals "$(entry 6 | json prompt_kind) $(entry 6 | json prompt_sha256)" "chat with media $(entry 2 | json prompt_sha256)" "a question of a chat with a picture"
equals "$(entry 7 | json prompt_kind)" chat "and the next, without"
"$tessera" trace --model $eyes --memory 1GiB --quiet --inputs $eyes-f32/omni.safetensors --out "$work/o.safetensors" --ledger "$work/media"
equals "$(entry 8 | json prompt_kind)" "ids with media" "a trace of a golden's inputs"
"$tessera" verify --model $eyes --memory 1GiB --quiet --golden $eyes-f32/omni.safetensors --ledger "$work/media" >/dev/null
equals "$(entry 10 | json kind) $(entry 10 | json verdict) $(entry 10 | json golden_sha256)" \
    "verification agree $(sha256sum $eyes-f32/omni.safetensors | cut -d' ' -f1)" "and a verification"
equals "$(entry 10 | python -c 'import json, sys
taps = [t for t in json.load(sys.stdin)["taps"] if t["component"] in ("audio_tower", "visual")]
print(len(taps), {t["position"] for t in taps}, {t["outcome"] for t in taps})')" "14 {None} {'agrees'}" "with every tap of the towers"
equals "$(cat "$work/errors")" "" "without a word"
ledger export --ledger "$work/media" | python -c 'import json, sys
print([json.loads(line).get("prompt_kind") for line in sys.stdin][1:3])' >"$work/kinds"
equals "$(cat "$work/kinds")" "['chat with media', 'chat with media']" "and all of it is exported"
