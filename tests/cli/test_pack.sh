#!/usr/bin/env bash
# pack and unpack from outside: a store is the same model, gives the published files back byte for byte, and is made of
# the same bytes by any number of threads; both go on after SIGKILL and are no model before; what they refuse.
. tests/support/tap.sh
synthetic=${TESS_BUILD:-build/release-gcc}/synthetic
pack() { "$tessera" pack --model "$1" --out "$2" "${@:3}"; }
unpack() { "$tessera" unpack --model "$1" --out "$2" "${@:3}"; }
inspect() { "$tessera" inspect --ledger off "$@"; }
digests() { (cd "$1" && find . -type f -printf '%P %s %T@\n' | sort && find . -type f -exec sha256sum {} + | sort); }

python3 tests/support/wide_config.py "$work/config.json"
$synthetic --config "$work/config.json" --filled --tails 10 --shards 3 --tokenizer demo/checkpoint --out "$work/wide" >/dev/null
result $? "a checkpoint with wide matrices"
printf '*.safetensors filter=lfs\n' >"$work/wide/.gitattributes"
printf '{"added_tokens": []}\n' >"$work/wide/odd name.json"
digests "$work/wide" >"$work/before"

# --- there and back
equals "$(exit_of pack "$work/wide" "$work/store")" 0 "pack: exit 0"
contains "$(cat "$work/out")" "published  22.8 MiB in 3 shards" "it says what was packed"
contains "$(cat "$work/out")" "82.8 % of it" "and how well"
equals "$(cat "$work/err")" "" "nothing on standard error"
equals "$(ls -A "$work/store" | grep -c part)" 0 "nothing unfinished is left"
equals "$(exit_of pack "$work/wide" "$work/watched" --progress always)" 0 "pack --progress always: exit 0"
grep -q "packing .* 100 %  22.7 MiB .*B/s" <(tr '\r' '\n' <"$work/err")
result $? "it shows how far it is, and how fast"
equals "$(exit_of unpack "$work/watched" "$work/watched.back" --progress always)" 0 "unpack --progress always: exit 0"
grep -q "unpacking .* 100 %  22.8 MiB .*B/s" <(tr '\r' '\n' <"$work/err")
result $? "so does it"
rm -r "$work/watched" "$work/watched.back"
equals "$(digests "$work/wide")" "$(cat "$work/before")" "the source is untouched"
equals "$(exit_of unpack "$work/store" "$work/back")" 0 "unpack: exit 0"
diff -r "$work/wide" "$work/back" >"$work/out"
result $? "the published files, byte for byte, hidden and odd ones too"
for checkpoint in demo/checkpoint tests/golden/d; do
    pack "$checkpoint" "$work/narrow" >/dev/null && unpack "$work/narrow" "$work/narrow.back" >/dev/null &&
        for file in "$checkpoint"/*.safetensors "$checkpoint"/*.json; do
            case $file in */model*.safetensors | *.json) cmp "$file" "$work/narrow.back/${file##*/}" || exit 1 ;; esac
        done
    result $? "$checkpoint and back"
    rm -rf "$work/narrow" "$work/narrow.back"
done
pack "$work/wide" "$work/one" --threads 1 >/dev/null
pack "$work/wide" "$work/seven" --threads 7 >/dev/null
cmp "$work/one/model.tessera" "$work/seven/model.tessera" && cmp "$work/one/model.tessera" "$work/store/model.tessera"
result $? "the same bytes by 1 thread, by 7 and by all"
mkdir "$work/links"
for file in "$work/wide"/*; do ln -s "$file" "$work/links"; done
ln -s "$work/wide/.gitattributes" "$work/links"
pack "$work/links" "$work/linked" >/dev/null && cmp "$work/linked/model.tessera" "$work/store/model.tessera" &&
    [ ! -L "$work/linked/config.json" ]
result $? "a source of symbolic links gives the same store, of files"

# --- the same model
for question in "--check" "--tensors *.mlp.gate.*" "--checksum"; do
    # shellcheck disable=SC2086 -- words
    inspect "$work/wide" $question >"$work/of.wide" 2>/dev/null
    # shellcheck disable=SC2086
    equals "$(inspect "$work/store" $question 2>/dev/null)" "$(cat "$work/of.wide")" "inspect $question says the same"
done
equals "$(inspect "$work/store" --json | json packed version)" 1 "inspect --json: what it is packed in"
equals "$(inspect "$work/wide" --json | json packed)" null "null for the published layout"
contains "$(inspect "$work/store")" "packed in model.tessera" "inspect shows it"
equals "$("$tessera" inspect --checksum --json "$work/store" 2>/dev/null | json weights_sha256)" \
    "$(inspect --checksum --json "$work/wide" 2>/dev/null | json weights_sha256)" "weights_sha256, which the ledger notes"
equals "$("$tessera" inspect --checksum --json "$work/store" 2>/dev/null | json shards 2 digest_from)" ledger \
    "and has the next time"
cp -r tests/golden/d "$work/d"
pack tests/golden/d "$work/d.store" >/dev/null
goldens=$(find tests/golden/d-f32 -name '*.safetensors' | sort | head -n 3)
# shellcheck disable=SC2086
equals "$(exit_of "$tessera" verify --model "$work/d.store" --golden $goldens --ledger off --quiet)" 0 \
    "verify: the store agrees with the original"
options=(--memory 1GiB --context 512 --quiet --ledger off)
answer() { "$tessera" run --model "$1" "${options[@]}" --prompt "Who are you?" --max-new 12 --json | json tokens; }
equals "$(answer "$work/store")" "$(answer "$work/wide")" "run: the same answer"
equals "$("$tessera" plan --model "$work/store" --memory 1GiB --json | json resident)" packed "plan: weights stay packed"
smallest() { "$tessera" plan --model "$1" --memory 1GiB --context 512 --json | json smallest_budget_bytes; }
if [ -z "${TESS_SANITIZED:-}" ]; then
    [ "$(smallest "$work/store")" -lt "$(smallest "$work/wide")" ]
    result $? "and the smallest budget is smaller"
else
    skip "the smallest budget" "a sanitizer's memory is not the program's"
fi

# --- what is whole, and what is something else
equals "$(exit_of pack "$work/wide" "$work/store" --json)" 0 "pack again: exit 0"
equals "$(json was_whole <"$work/out")" true "it was whole"
touch "$work/store/stamp"
equals "$(exit_of pack "$work/wide" "$work/store")" 3 "something else in the folder: exit 3"
contains "$(cat "$work/err")" '"stamp" in it' "it is named"
rm "$work/store/stamp"
equals "$(exit_of pack demo/checkpoint "$work/store")" 3 "a store of another checkpoint: exit 3"
cp -r "$work/wide" "$work/other"
python3 - "$work/other" <<'P'
import glob, sys
path = sorted(glob.glob(sys.argv[1] + "/*.safetensors"))[1]
with open(path, "r+b") as file:
    file.seek(-4000, 2)
    file.write(b"\x12\x34")
P
equals "$(exit_of pack "$work/other" "$work/store")" 3 "a store of other weights of the same shapes: exit 3"
contains "$(cat "$work/err")" "this tensor has other weights" "which tensor"
cmp "$work/one/model.tessera" "$work/store/model.tessera"
result $? "the store is as it was"
equals "$(exit_of unpack "$work/store" "$work/back" --json)" 0 "unpack again: exit 0"
equals "$(json was_whole <"$work/out")" true "all was there"
equals "$(exit_of unpack "$work/store" "$work/other")" 3 "unpack over other weights: exit 3"
contains "$(cat "$work/err")" "a file that differs" "and says so"
equals "$(exit_of pack "$work/wide" "$work/wide")" 3 "into the source: exit 3"
equals "$(exit_of pack "$work/store" "$work/twice")" 3 "packing a store: exit 3"
equals "$(exit_of unpack "$work/wide" "$work/twice")" 3 "unpacking what is not packed: exit 3"
equals "$(exit_of pack "$work/none" "$work/twice")" 3 "no source: exit 3"
equals "$(exit_of pack "$work/wide" "$work/none/deeper")" 4 "no folder for it: exit 4"
$synthetic --config tests/data/config_a.json --out "$work/hole" >/dev/null
python3 - "$work/hole/config.json" <<'P'
import json, sys
config = json.load(open(sys.argv[1]))
config["thinker_config"]["text_config"]["num_hidden_layers"] += 1
json.dump(config, open(sys.argv[1], "w"))
P
equals "$(exit_of pack "$work/hole" "$work/twice")" 3 "a source that lacks tensors: exit 3"
[ ! -e "$work/twice" ]
result $? "and of none of these a trace"
equals "$(exit_of "$tessera" pack --out x)" 2 "no --model: exit 2"
equals "$(exit_of "$tessera" unpack --model x)" 2 "no --out: exit 2"
equals "$(exit_of "$tessera" pack --model x --out y z)" 2 "a word too much: exit 2"
mkdir "$work/wide/original" "$work/wide/.cache"
printf 'x' >"$work/wide/adapter.safetensors"
equals "$(exit_of pack "$work/wide" "$work/less")" 0 "with more in the folder: exit 0"
contains "$(cat "$work/err")" "adapter.safetensors is left out: it is no shard of this checkpoint" "what is left out is named"
contains "$(cat "$work/err")" "original is left out: it is a folder" "a folder too"
rm -r "$work/wide/original" "$work/wide/.cache" "$work/wide/adapter.safetensors" "$work/less"

# --- killed
python3 tests/support/wide_config.py "$work/config.json" 6 512 48
$synthetic --config "$work/config.json" --filled --shards 2 --tokenizer demo/checkpoint --out "$work/large" >/dev/null
digests "$work/large" >"$work/before"
pack "$work/large" "$work/right" >/dev/null
is_as_it_looks() { # is_as_it_looks FOLDER WHOLE: neither inspect nor run takes it for whole, or it is
    local code
    inspect --check "$1" >/dev/null 2>&1
    code=$?
    [ $code = 0 ] && diff -r "$1" "$2" >/dev/null && return # killed when all was done
    [ $code = 1 ] || [ $code = 3 ] || { echo "# inspect --check: $code"; return 1; }
    "$tessera" run --model "$1" "${options[@]}" --prompt x --max-new 1 >/dev/null 2>&1
    [ $? = 3 ]
}
killed_after() { # killed_after SECONDS COMMAND...: whether it was killed; the shell says so too, which nobody needs
    { (exec timeout -s KILL "$@") >/dev/null 2>&1; } 2>/dev/null
    [ $? = 137 ]
}
killed=0 wrong=0
moments="0.02 0.04 0.05 0.06 0.08 0.1 0.12"
if [ -n "${TESS_SANITIZED:-}" ]; then moments="0.2 0.4"; fi # slow
for command in pack unpack; do
    from=$work/large whole=$work/right
    [ $command = pack ] || from=$work/right whole=$work/large
    for seconds in $moments; do
        killed_after $seconds "$tessera" $command --model "$from" --out "$work/$command.killed" || continue
        killed=$((killed + 1))
        [ ! -e "$work/$command.killed" ] || is_as_it_looks "$work/$command.killed" "$whole" || wrong=$((wrong + 1))
    done
    equals "$(exit_of "$tessera" $command --model "$from" --out "$work/$command.killed" --json)" 0 "$command after SIGKILL: exit 0"
    echo "# gone on with $(json found_bytes <"$work/out") of $(json published_bytes <"$work/out") bytes"
done
echo "# killed $killed times"
[ $killed -gt 2 ]
result $? "some calls were killed"
rm -f "$work/unpack.killed/model.safetensors.index.json"
touch "$work/unpack.killed/model-00002-of-00002.safetensors.part"
equals "$(exit_of inspect --check "$work/unpack.killed")" 3 "unpacking that has not ended: exit 3"
contains "$(cat "$work/err")" "'tessera unpack', run again, goes on" "and what to do"
unpack "$work/right" "$work/unpack.killed" >/dev/null
equals $wrong 0 "none was taken for whole before it was"
diff -r "$work/pack.killed" "$work/right" >"$work/out"
result $? "pack: the store that an undisturbed run makes"
diff -r "$work/unpack.killed" "$work/large" >"$work/out"
result $? "unpack: the published files"
equals "$(digests "$work/large")" "$(cat "$work/before")" "the source is untouched"
"$tessera" pack --model "$work/large" --out "$work/term" >/dev/null 2>"$work/err" &
sleep 0.1
kill -TERM $! 2>/dev/null
wait $!
code=$?
[ $code = 130 ] || [ $code = 0 ]
result $? "SIGTERM: exit 130, or 0 where it came too late"
[ $code = 0 ] || grep -q "the same command goes on with it" "$work/err"
result $? "and a word of how to go on"
mkdir "$work/busy"
(
    flock 9
    exit_of pack "$work/large" "$work/busy" >"$work/code"
) 9<"$work/busy"
equals "$(cat "$work/code")" 4 "a folder that another process writes into: exit 4"
contains "$(cat "$work/err")" "another process is writing into it" "and says so"
"$tessera" pack --model "$work/large" --out "$work/mine" >/dev/null 2>&1 &
while kill -0 $! 2>/dev/null && [ "$(stat -c %s "$work/mine/model.tessera.part" 2>/dev/null || echo 0)" -lt 60000000 ]; do
    sleep 0.01
done
{ kill -KILL $! && wait $!; } 2>/dev/null
equals "$(exit_of pack "$work/wide" "$work/mine")" 3 "what was begun with another checkpoint: exit 3"
cp -rp "$work/large" "$work/forged"
python3 - "$work/forged" <<'P'
import glob, os, sys
for path in glob.glob(sys.argv[1] + "/*.safetensors"):
    times = os.stat(path)
    with open(path, "r+b") as file: # the first bytes of each tensor's half: some are done by then
        begin = int.from_bytes(file.read(8), "little") + 8
        for at in range(begin, os.path.getsize(path) - 1, 10000):
            file.seek(at)
            file.write(b"\x3f")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
P
equals "$(exit_of pack "$work/forged" "$work/mine")" 3 "one of other bytes, of the same sizes and times: exit 3"
contains "$(cat "$work/err")" "has other weights" "and says so"

# --- a disk that is too full
full() { # full COMMAND: in a file system of 8 MB
    unshare -m sh -c "mount -t tmpfs -o size=8m tmpfs '$work/disk' && $1; code=\$?; ls -A '$work/disk'/* >'$work/left'; exit \$code"
}
mkdir "$work/disk"
if unshare -m mount -t tmpfs -o size=8m tmpfs "$work/disk" 2>/dev/null; then
    equals "$(exit_of full "'$tessera' pack --model '$work/large' --out '$work/disk/s'")" 4 "a disk that is too full: exit 4"
    contains "$(cat "$work/err")" "more are needed" "what is missing is said"
    equals "$(cat "$work/left")" "" "before anything is written"
    equals "$(exit_of full "'$tessera' unpack --model '$work/right' --out '$work/disk/s'")" 4 "unpack: exit 4"
    contains "$(cat "$work/err")" "more are needed" "what is missing is said"
    equals "$(cat "$work/left")" "" "before anything is written"
else
    skip "a disk that is too full" "no file system can be mounted here"
fi

# --- a flipped bit
places=$(python3 - "$work/store/model.tessera" <<'P'
import os, random, struct, sys
size = os.path.getsize(sys.argv[1])
data = struct.unpack_from("<Q", open(sys.argv[1], "rb").read(48), 32)[0]
pick = random.Random(3)
print(5, 20, 1000, 4090, 4100, data - 1, data, size - 1, *(pick.randrange(data, size) for _ in range(6)))
P
)
for place in $places; do
    rm -rf "$work/flipped" "$work/restored"
    cp -r "$work/store" "$work/flipped"
    python3 - "$work/flipped/model.tessera" "$place" <<'P'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 16]))
P
    code=$(exit_of inspect --checksum "$work/flipped")
    [ "$code" = 1 ] || [ "$code" = 3 ]
    result $? "byte $place: noticed by inspect --checksum"
    contains "$(cat "$work/err")" "model.tessera" "byte $place: the file is named"
    equals "$(exit_of unpack "$work/flipped" "$work/restored")" 3 "byte $place: not unpacked"
    grep -q "damaged\|another kind of file" "$work/err"
    result $? "byte $place: and said why"
done
grep -q "at byte [0-9]*: [a-z0-9_.]*: found a damaged segment" "$work/err"
result $? "tensor and place of a damaged segment are named"
cp "$work/store/model.tessera" "$work/flipped/model.tessera"
python3 - "$work/flipped/model.tessera" <<'P'
import struct, sys
with open(sys.argv[1], "r+b") as file:
    # All pieces of the text model's layers and tables are read by a run; the norm and the tables come first.
    file.seek(struct.unpack_from("<Q", file.read(48), 32)[0] + 100)
    file.write(b"\x5a\xa5")
P
equals "$(exit_of "$tessera" run --model "$work/flipped" "${options[@]}" --prompt "Who are you?" --max-new 2)" 3 \
    "run: a damaged segment is not computed with"
contains "$(cat "$work/err")" "thinker." "its tensor is named"
equals "$(exit_of "$tessera" verify --model "$work/flipped" --golden $goldens --ledger off --quiet)" 3 "nor verified"
truncate -s -4096 "$work/flipped/model.tessera"
equals "$(exit_of inspect --check "$work/flipped")" 3 "a store that is cut off: inspect --check ends with 3"
contains "$(cat "$work/err")" "it is cut off" "and says so"

# --- a store that is damaged is packed again where it is; what is wrong beside it
cp "$work/store/model.tessera" "$work/flipped/model.tessera"
python3 - "$work/flipped/model.tessera" <<'P'
import os, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(os.path.getsize(sys.argv[1]) // 2)
    file.write(b"\x5a\xa5")
P
equals "$(exit_of pack "$work/wide" "$work/flipped" --json)" 0 "pack over a damaged store: exit 0"
equals "$(json was_whole <"$work/out")" false "it was not whole"
diff -r "$work/flipped" "$work/store" >"$work/out"
result $? "and is right again"
rm "$work/flipped/vocab.json"
touch "$work/flipped/model.tessera.part"
equals "$(exit_of pack "$work/wide" "$work/flipped" --json)" 0 "pack where a small file is lost: exit 0"
equals "$(json was_whole <"$work/out")" false "it was not whole"
diff -r "$work/flipped" "$work/store" >"$work/out"
result $? "and is right again, and nothing unfinished is left"
rm "$work/flipped/vocab.json"
printf ' ' >>"$work/flipped/generation_config.json"
rm -rf "$work/restored"
equals "$(exit_of unpack "$work/flipped" "$work/restored")" 3 "unpack without a small file: exit 3"
contains "$(cat "$work/err")" "generation_config.json: found a file with other bytes" "it is named"
rm "$work/back/vocab.json" "$work/back/generation_config.json"
diff -r "$work/back" "$work/restored" >"$work/out"
result $? "all else is there"
cp "$work/wide"/*-00002-*.safetensors "$work/flipped"
equals "$(exit_of inspect --check "$work/flipped")" 3 "a store and published shards in one folder: exit 3"
contains "$(cat "$work/err")" "either a packed store or published shards" "and says so"
equals "$(exit_of pack "$work/wide" "$work/wide/inside")" 3 "into the source's folder: exit 3"
contains "$(cat "$work/err")" "one inside of it" "and says so"
ln "$work/mine/model.tessera.part" "$work/snapshot" 2>/dev/null && exit_of pack "$work/large" "$work/mine" >"$work/code"
equals "$(cat "$work/code")" 3 "an unfinished file with a second name is not written: exit 3"
cp -r "$work/wide" "$work/pointer"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n' >"$work/pointer/vocab.json"
equals "$(exit_of pack "$work/pointer" "$work/twice")" 3 "a small file that was never downloaded: exit 3"
contains "$(cat "$work/err")" "Git LFS pointer" "and says so"
