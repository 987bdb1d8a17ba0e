#!/usr/bin/env bash
# Tables on a screen: they fit 80 columns, names keep layer and module, colours are for terminals that want them.
. tests/support/tap.sh
golden=tests/golden/demo/f32/turns.safetensors
export XDG_DATA_HOME=$work/data
defect=thinker.model.layers.2.mlp.experts.7.down_proj.weight
python tests/support/zero_tensor.py demo/checkpoint "$work/lost" $defect

# columns_of FILE PATTERN: the longest line of those that match, in characters
columns_of() { python -c 'import re, sys
print(max((len(line) for line in open(sys.argv[1], encoding="utf-8", errors="replace").read().split("\n") if re.search(sys.argv[2], line)), default=0))' "$@"; }
fits() { # fits PATTERN TEXT: lines of $work/out that match are there and fit
    local columns
    columns=$(columns_of "$work/out" "$1")
    [ "$columns" -gt 0 ] && [ "$columns" -le 80 ]
    result $? "$2: $columns columns"
}
# on_terminal COLUMNS COMMAND...: what it prints on a terminal of that width
on_terminal() { python -c 'import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
out = b""
while True:
    try: part = os.read(fd, 65536)
    except OSError: break
    if not part: break
    out += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(out.replace(b"\r\n", b"\n"))' "$@"; }
escape=$'\x1b['

# --- tables
verify() { "$tessera" verify --model "$work/lost" --golden "$1" --ignore-identity "${@:2}"; }
equals "$(exit_of verify $golden)" 1 "verify of a lost expert"
fits '^(tap|thinker.*(equal|ok|DIFFERENT)$| )' "a table of taps"
contains "$(cat "$work/out")" 'thinker…layers.2.mlp.gate.indices         -        -        - exact    equal' \
    "names are shortened in the middle"
contains "$(cat "$work/out")" 'thinker.model.layers.2.mlp         2.09e-01 1.50e+00 0.978298 rel 1e-5 DIFFERENT
    relative L2 2.09e-01 is over 1e-05' "why, on a line of its own"
equals "$(grep -c -F "$escape" "$work/out")" 0 "no colour in what is piped"
equals "$(exit_of verify tests/golden/demo/bf16/turns.safetensors)" 1 "a bfloat16 golden"
fits '^(tap|thinker.*(equal|ok|DIFFERENT|-)$| )' "a table with distances to the truth"
far=$work/$(printf 'a-long-name-%.0s' 1 2 3 4 5 6)
mkdir "$far"
cp $golden "$far/first.safetensors"
cp $golden "$far/second.safetensors"
equals "$(exit_of verify "$far/first.safetensors" --golden "$far/second.safetensors" --ledger off)" 1 "goldens far away"
fits '^different ' "their sum"
contains "$(tail -n 3 "$work/out")" 'second.safetensors' "their names are seen"

python - "$work/deep" <<'PY'
import json, struct, sys
names = ["in.input_ids", "tap.thinker.model.layers.47.mlp.gate.indices", "tap.thinker.model.layers.47.mlp.experts.127"]
header, at = {"__metadata__": {"dtype": "float32"}}, 0
for name in names:
    whole = name.endswith(("ids", "indices"))
    n = 8 if whole else 4
    header[name] = {"dtype": "I64" if whole else "F32", "shape": [1] if name[0] == "i" else [1, 1], "data_offsets": [at, at + n]}
    at += n
text = json.dumps(header).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + bytes(at))
PY
equals "$(exit_of "$tessera" compare "$work/deep" "$work/deep")" 0 "the deepest layer of the released model"
contains "$(cat "$work/out")" "thinker…layers.47.mlp.gate.indices " "keeps layer and module"
contains "$(cat "$work/out")" "thinker…layers.47.mlp.experts.127 " "and expert"

"$tessera" run --quiet --model demo/checkpoint --prompt "2+2" >"$work/out"
"$tessera" inspect --quiet --checksum demo/checkpoint >"$work/out"
equals "$(exit_of "$tessera" ledger list)" 0 "the ledger's list"
fits . "as a table"
equals "$(awk 'NR > 1 { print $2 }' "$work/out" | sort -u | tr '\n' ' ')" "checkpoint run verify " "says what each entry is"
n=$(wc -l <"$work/out")
for ((i = 1; i < n; i++)); do "$tessera" ledger show $i; done >"$work/out"
fits . "its entries"
contains "$(cat "$work/out")" 'thinker…layers.2.mlp.gate.indices' "taps of verifications"
equals "$(grep -c ' $' "$work/out")" 0 "without blanks at the ends"
equals "$(exit_of "$tessera" inspect demo/checkpoint)" 0 "inspect"
fits . "its tables"
equals "$(exit_of "$tessera" run --quiet --model demo/checkpoint --raw --prompt "The" --top 1088 --max-new 1)" 0 "run --top"
fits '^ +[0-9]' "its table"

# --- sentences
wide() { # wide COMMAND...: everything it prints on standard output fits
    "$tessera" "$@" >"$work/out" 2>"$work/err"
    fits . "$*"
}
answers=tests/golden/demo/known_answers.json
wide verify --model "$work/lost" --golden $golden --ignore-identity
contains "$(cat "$work/out")" 'first divergence: thinker.model.layers.2.mlp (mlp, layer 2, expert 7, from
    position 25 on): relative L2 2.09e-01 is over 1e-05' "the first divergence"
wide verify --model "$work/lost" --golden $golden --ignore-identity --isolate
wide verify --model demo/checkpoint --golden tests/golden/demo/bf16/turns.safetensors
wide verify --model demo/checkpoint --known-answers --answers $answers
contains "$(cat "$work/out")" 'source' "which has sources"
wide plan --model demo/checkpoint
wide plan --model demo/checkpoint --measure
"$tessera" trace --quiet --model demo/checkpoint --raw --prompt a --out "$work/one"
"$tessera" trace --quiet --model demo/checkpoint --raw --prompt "a b c" --out "$work/three"
wide compare "$work/one" "$work/three"
for command in inspect plan run chat trace compare verify tokenize detokenize ledger; do
    "$tessera" help $command | sed '/^Examples:/,$d' >"$work/out"
    fits . "help $command, but for the commands to be copied"
done
long="$work/$(printf 'a-folder-with-a-long-name/%.0s' 1 2 3)"
on_terminal 80 "$tessera" run --model "$long" --prompt x >"$work/out"
contains "$(tr -s '\n ' ' ' <"$work/out")" "found no such folder, expected the folder of a model" "a refusal on a terminal"
[ "$(grep -c '^    ' "$work/out")" -gt 0 ]
result $? "is broken at blanks"
equals "$("$tessera" run --model "$long" --prompt x 2>&1 | wc -l)" 1 "and elsewhere one line"

# --- weights
cp -r demo/checkpoint "$work/copy"
python tests/support/edit_trace.py $golden "$work/silent" unmeta weights_sha256
weights() { "$tessera" verify --model "$work/copy" --golden "$1" --ignore-identity 2>/dev/null | grep -E -A 2 '^(checkpoint|weights)' | tr -s '\n ' ' '; }
contains "$(weights $golden)" "weights unknown" "weights that were never hashed are unknown"
contains "$(weights $golden)" "weights: not hashed; 'tessera inspect --checksum' does" "and how they get known"
"$tessera" inspect --checksum "$work/copy" >"$work/sums" 2>&1
contains "$(weights $golden)" "weights the same" "the ledger's digest is used"
contains "$(weights "$work/silent")" "weights: SHA-256 $(sed -n 's/  weights_sha256//p' "$work/sums"); the golden does not say" \
    "or told where the golden has none"

# --- a terminal
on_terminal 80 "$tessera" inspect demo/checkpoint --tensors '*.layers.2.mlp.experts.7.*' >"$work/out"
fits . "tensors on a terminal"
contains "$(cat "$work/out")" "$defect  BF16 [80, 48]
    7680 bytes at" "with whole names"
equals "$("$tessera" inspect demo/checkpoint --tensors '*.layers.2.mlp.experts.7.*' | wc -l)" 3 "piped, a line each"

shown() { on_terminal "$1" env "${@:2}" "$tessera" verify --quiet --model "$work/lost" --golden $golden --ignore-identity; }
shown 80 TERM=xterm >"$work/out"
contains "$(cat "$work/out")" "${escape}1;31mDIFFERENT${escape}0m" "what is different has a colour"
contains "$(cat "$work/out")" "${escape}32mok${escape}0m" "and what agrees"
contains "$(cat "$work/out")" "${escape}33mrel 1e-5${escape}0m" "and the bar"
verify $golden --quiet >"$work/plain"
equals "$(sed 's/\x1b\[[0-9;]*m//g' "$work/out")" "$(cat "$work/plain")" "without them it is what is piped"
equals "$(shown 80 TERM=xterm NO_COLOR=1)" "$(cat "$work/plain")" "NO_COLOR"
equals "$(shown 80 TERM=dumb)" "$(cat "$work/plain")" "TERM=dumb"
equals "$(shown 80 -u TERM)" "$(cat "$work/plain")" "no TERM"
contains "$(shown 80 TERM=xterm NO_COLOR=)" "${escape}" "NO_COLOR that is empty counts as absent"
contains "$(shown 120 TERM=dumb)" "thinker.model.layers.2.mlp.gate.indices " "a wide terminal has whole names"
equals "$(shown 40 TERM=dumb)" "$(cat "$work/plain")" "a narrow one has the table of 80"

coloured() { # coloured TEXT COLOURED COMMAND...: what it prints on a terminal has this, and piped it has no colour
    local text=$1 wanted=$2
    shift 2
    contains "$(on_terminal 80 env TERM=xterm "$@")" "$wanted" "$text"
    equals "$("$@" 2>&1 | grep -c -F "$escape")" 0 "$text: not where it is piped"
}
"$tessera" verify --quiet --model demo/checkpoint --golden $golden --certificate "$work/certificate" >/dev/null
coloured "known answers" "${escape}32mok       ${escape}0m" \
    "$tessera" verify --quiet --model demo/checkpoint --known-answers --answers tests/golden/demo/known_answers.json
coloured "a certificate" "${escape}32mas certified${escape}0m" "$tessera" verify --quiet --check-certificate "$work/certificate"
coloured "inspect --check" "${escape}32mexactly what config.json implies${escape}0m" "$tessera" inspect demo/checkpoint --check
coloured "the ledger" "${escape}1;31mdifferent" "$tessera" ledger list

# ---- remarks about runs and media ----
films=tests/data/media/video
on_terminal 80 "$tessera" run --model demo/checkpoint --video $films/sound.mp4 --prompt Hi --progress never >"$work/out"
fits . "a film and the times of a run on a terminal"
contains "$(tr -s '\n ' ' ' <"$work/out")" "2 frames at 2 a second, 130 tokens" "what it is taken as, over two lines"
on_terminal 80 "$tessera" preprocess --model demo/checkpoint --video $films/sound.mp4 --out "$work/film.safetensors" --progress never >"$work/out"
fits . "a film that is preprocessed, on a terminal"
on_terminal 80 "$tessera" trace --model demo/checkpoint --prompt Hi --out "$work/a-trace-with-a-long-name.safetensors" --progress never >"$work/out"
fits . "what a trace says at its end"
equals "$("$tessera" preprocess --model demo/checkpoint --video $films/sound.mp4 --out "$work/film.safetensors" | wc -l)" 1 "a line for each medium where it is piped"

# ---- the progress bar ----
bar() { on_terminal 80 env "$1" "$tessera" run --model demo/checkpoint --ledger off --raw --prompt "The capital of France is" --max-new 2 "${@:2}"; }
contains "$(bar TERM=xterm)" "${escape}K" "a terminal gets a bar that erases itself"
for term in TERM=dumb TERM=; do
    equals "$(bar $term | grep -c "$(printf '\r')prefill\|$(printf '\033')")" 0 "$term gets none"
    bar $term --progress always >"$work/out"
    contains "$(cat "$work/out")" "prefill ████" "$term --progress always: it is drawn"
    equals "$(grep -c "$(printf '\033')" "$work/out")" 0 "without escapes"
    equals "$(tr '\r' '\n' <"$work/out" | grep -A1 '^prefill' | tail -1 | tr -d ' ' | cut -c1-8)" "" "and blanks take its place"
done
