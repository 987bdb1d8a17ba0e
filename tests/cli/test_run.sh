#!/usr/bin/env bash
# run from outside: the original's answers, JSON, sampling, refusals, interruption, a closed pipe.
. tests/support/tap.sh
model=demo/checkpoint
answers=tests/golden/demo/answers.json
run() { "$tessera" run --model $model --memory "${memory:-512MiB}" --quiet "$@"; }

# What can be asked by options: NAME.question, which ends with a newline that is not part of it, and NAME.options.
mkdir "$work/asked"
python - $answers "$work/asked" <<'P' >"$work/names"
import json, shlex, sys
for name, prompt in json.load(open(sys.argv[1]))["prompts"].items():
    options, question = ["--raw"], prompt.get("raw")
    if question is None:
        *before, last = [(turn["role"], turn["content"]) for turn in prompt["messages"]]
        if last[0] != "user" or [role for role, _ in before] not in ([], ["system"]): continue
        options, question = [word for _, text in before for word in ("--system", text)], last[1]
    with open(f"{sys.argv[2]}/{name}.question", "w") as file: file.write(question + "\n")
    with open(f"{sys.argv[2]}/{name}.options", "w") as file:
        file.write(f"options=({shlex.join([*options, '--max-new', str(prompt['generate'])])})")
    print(name)
P
while IFS= read -r name; do
    . "$work/asked/$name.options"
    run "${options[@]}" --json <"$work/asked/$name.question" >"$work/asked/$name.answer"
done <"$work/names"
while IFS= read -r line; do result "${line%% *}" "${line#* }"; done < <(python - $answers "$work" <<'P'
import json, sys
prompts = json.load(open(sys.argv[1]))["prompts"]
for name in open(f"{sys.argv[2]}/names").read().splitlines():
    text = open(f"{sys.argv[2]}/asked/{name}.answer").read()
    ours, theirs = json.loads(text or "{}"), prompts[name]
    wanted = [("prompt_ids", theirs["prompt_ids"], "the original's prompt ids"),
              ("tokens", theirs["float32"]["ids"], "the original's greedy tokens"),
              ("text", theirs["float32"]["text"], "its text")]
    for key, value, what in wanted:
        right = key in ours and ours[key] == value
        print(0 if right else 1, f"{name}: {what}" if right else f"{name}: {what}: found {ours.get(key)}, expected {value}")
P
)
equals "$(wc -l <"$work/names")" 21 "as many of the original's answers as options can ask for"

run --raw --prompt "The capital of France is" --max-new 2 --top 5 --rank " Paris" --json >"$work/j"
equals "$(json finish_reason <"$work/j")" length "an answer cut by --max-new"
equals "$(json prompt_tokens <"$work/j")" "$(json prompt_ids <"$work/j" | tr -cd , | wc -c | awk '{print $1 + 1}')" "prompt_tokens counts"
equals "$(json top 0 rank <"$work/j")" 1 "--top ranks from 1"
equals "$(json budget_bytes <"$work/j")" $((512 * 1024 * 1024)) "the budget is told"
equals "$(python -c 'import json,sys
want = ["text","tokens","prompt_ids","prompt_tokens","finish_reason","seed","seconds","bytes_read","peak_rss_bytes","budget_bytes"]
print(all(k in json.load(open(sys.argv[1])) for k in want))' "$work/j")" True "every promised key is there"
python - "$work/j" $answers <<'P'
import json, sys
ours, theirs = json.load(open(sys.argv[1]))["top"], json.load(open(sys.argv[2]))["prompts"]["raw_france"]["top"]
sys.exit(not all(a["id"] == b["id"] and abs(a["probability"] - b["probability"]) < 1e-5 for a, b in zip(ours, theirs)))
P
result $? "the likeliest tokens and their probabilities are the original's"

equals "$(run --prompt "What is the capital of France?")" "Paris." "text on standard output"
talk() { "$tessera" run --model $model --memory 512MiB "$@"; }
equals "$(exit_of talk --prompt "What can you do?" --max-new 2)" 0 "an answer that is cut"
equals "$(grep -c -- --max-new "$work/err")" 1 "says so in one line that names --max-new"
python3 - "$work/err" <<'P'
import re, sys
last = open(sys.argv[1]).read().splitlines()[-1]
found = re.fullmatch(r"\[loading [\d.]+ s; (\d+) prompt tokens in ([\d.]+) s \(([\d.e+]+)/s\), (\d+) new in ([\d.]+) s "
                     r"\(([\d.e+]+)/s\); .* read, .* peak\]", last)
print("#", last)
sys.exit(not found)
P
result $? "the last line has tokens per second, and loading apart"
equals "$(exit_of talk --prompt "What is the capital of France?" --context 20 --max-new 3) $(grep -c "was cut" "$work/err")" "0 0" "an answer that ends itself was not cut"
equals "$(exit_of run --prompt "What can you do?" --max-new 2 --ledger "$work/no/such/ledger") $(cat "$work/err")" "0 " "--quiet says nothing of that, nor of the ledger"
equals "$(python3 -c 'import json,sys; s = json.load(open(sys.argv[1]))["seconds"]; print(s["load"] > 0, sorted(s))' "$work/j")" "True ['decode', 'load', 'prefill']" "JSON tells the seconds of loading apart"
equals "$(printf 'What is the capital of France?\n' | run)" "Paris." "the question from standard input, less its newline"
equals "$(run --prompt "What is the capital of France?" --json | json finish_reason)" stop "an answer that ends itself"
hot=(--prompt "What can you do?" --temperature 3 --max-new 20 --json)
equals "$(run "${hot[@]}" --seed 5 | json tokens)" "$(run "${hot[@]}" --seed 5 --threads 1 --isa reference | json tokens)" "a seed repeats, whatever runs it"
[ "$(run "${hot[@]}" --seed 5 | json tokens)" != "$(run "${hot[@]}" --seed 6 | json tokens)" ]
result $? "another seed, another answer"
for seed in 0 9223372036854775808 18446744073709551615; do
    equals "$(run --raw --prompt x --max-new 1 --json --seed $seed | json seed)" $seed "the seed $seed is told as it was given"
done
equals "$(exit_of run --prompt x --seed 18446744073709551616)" 2 "a seed of more than 64 bits: exit 2"
equals "$(run "${hot[@]}" --top-k 1 | json tokens)" "$(run --prompt "What can you do?" --max-new 20 --json | json tokens)" "top-k 1 is greedy"

cold=(--raw --prompt "The capital of France is" --max-new 4)
equals "$(run "${cold[@]}" --temperature 1e-30)" " Paris." "a temperature near 0 gives the likeliest"
for temperature in 9e-31 3e-38 1.2e-38 1e-38 1e-39 1e-45 1e-300 1e+39; do
    equals "$(exit_of run "${cold[@]}" --temperature $temperature)$(cat "$work/out")" 2 \
        "temperature $temperature leaves no finite probabilities: exit 2, and no token"
    contains "$(cat "$work/err")" "--temperature: found $temperature, expected 0 (greedy), or 1e-30 to 3.4e" "the option is named, and what it takes"
done
equals "$(run "${cold[@]}" --temperature 1e-10 --repetition-penalty 1e-20 >"$work/out"; echo $?)" 0 "both near 0, as far as scores stay finite"
equals "$(exit_of run "${cold[@]}" --temperature 1e-11 --repetition-penalty 1e-20)$(cat "$work/out")" 2 "and no further"
contains "$(cat "$work/err")" "--temperature: found 1e-11, expected 0 (greedy), or at least 1e-10 with a repetition penalty of 1e-20" "which is told"
equals "$(exit_of run "${cold[@]}" --temperature 1 --repetition-penalty 1e-39)" 2 "a penalty too small: exit 2"
contains "$(cat "$work/err")" "--repetition-penalty" "the option is named"

equals "$(exit_of run --prompt x --frobnicate)" 2 "an unknown option"
equals "$(exit_of run --prompt x --max-new -1)" 2 "a negative count"
equals "$(memory=lots exit_of run --prompt x)" 2 "a size that is none"
equals "$(exit_of run --prompt x --dtype f16)" 2 "a dtype that is none"
equals "$(exit_of run --prompt x --isa neon)$(grep -c 'avx2\|reference' "$work/err")" 21 "an instruction set this CPU lacks; what it has is named"
equals "$(exit_of run --prompt x --top-k 5)" 2 "top-k without temperature"
equals "$(exit_of run --image cat.png --prompt x)" 3 "a picture that is not there"
contains "$(cat "$work/err")" "cat.png: found no such file" "and it is named"
equals "$(exit_of run --prompt x --context 2)" 2 "a context that the prompt does not fit"
equals "$(memory=1MiB exit_of run --prompt x --json)" 5 "a budget that cannot work"
smallest=$(json smallest_budget_bytes <"$work/out")
equals "$(memory=$smallest exit_of run --prompt x --max-new 4)" 0 "the smallest that is told works"
equals "$(memory=1x exit_of run --prompt x --json) $(json error field <"$work/out")" "2 --memory" "--memory=1x: the field is the option"
for word in --context=-1 --threads=1000 --isa=sse9 --chunk=x --expert-slots=x --dtype=f64 --direct=maybe --seed=-1 \
    --temperature=-1 --top-k=x --top-p=2 --repetition-penalty=0 --progress=maybe --no-such; do
    equals "$(exit_of run --prompt x --json "$word") $(json error field <"$work/out")" "2 ${word%%=*}" "$word: the field is the option"
done
equals "$(exit_of "$tessera" run --prompt x)" 2 "no model"
equals "$(exit_of "$tessera" run --model "$work" --prompt x)" 3 "a folder without a model"
cp -r $model "$work/damaged" && chmod -R u+w "$work/damaged"
python tests/support/damage.py "$work/damaged" rename code2wav.code_embedding.weight code2wav.lost
equals "$(exit_of "$tessera" run --model "$work/damaged" --prompt x --json)" 3 "a tensor missing of a component that text does not reach"
contains "$(cat "$work/out")" "code2wav.code_embedding.weight" "is named"
equals "$(exit_of run --prompt "")" 0 "an empty question through the template"
equals "$(exit_of run --raw --prompt "")" 2 "an empty raw prompt"
equals "$(exit_of run --raw --system s --prompt x)" 2 "a system text without a template"
printf 'a\xffb' >"$work/bytes"
equals "$(run --json <"$work/bytes" 2>/dev/null | json error offset)" 1 "broken UTF-8, by its offset"
equals "$(run --raw --json <"$work/bytes" 2>/dev/null | json error offset)" 1 "and without the template"

# A model that speaks does not think first: </think> in its answer, here in the place of "How", is text.
cp -r demo/checkpoint "$work/spells"
python - "$work/spells" <<'P'
import json, sys
path = sys.argv[1] + "/vocab.json"
with open(path, encoding="utf-8") as file:
    vocab = json.load(file)
vocab["\u0120(</think>)"] = vocab.pop("\u0120How")
with open(path, "w", encoding="utf-8") as file:
    json.dump(vocab, file)
path = sys.argv[1] + "/merges.txt"
with open(path, encoding="utf-8") as file:
    merges = file.read().split("\n")
with open(path, "w", encoding="utf-8") as file:
    file.write("\n".join(line for line in merges if line != "\u0120 How"))
P
equals "$("$tessera" run --ledger off --memory 512MiB --model "$work/spells" --quiet --json --max-new 6 --prompt Hello | json text)" \
    "Hello! (</think>) can I help" "</think> in what a speaking model says"
printf 'Hello\n' | "$tessera" chat --ledger off --memory 512MiB --model "$work/spells" --quiet --json --max-new 6 >"$work/out"
equals "$(json text <"$work/out")" "Hello! (</think>) can I help" "and in chat"

# An answer long enough to be stopped: drawn almost evenly, it ends by itself after some hundreds of tokens.
drawn=(--prompt "What can you do?" --temperature 100 --max-new 4000)
for seed in $(seq 40); do
    [ "$(run "${drawn[@]}" --seed "$seed" --json | json tokens | tr -cd , | wc -c)" -ge 400 ] && break
done
"$tessera" run --model $model --quiet "${drawn[@]}" --seed "$seed" --threads 1 --isa reference >"$work/long" 2>/dev/null &
pid=$!
for _ in $(seq 2000); do [ -s "$work/long" ] && break; sleep 0.005; done
kill -INT $pid
wait $pid
equals "$?" 130 "Ctrl-C ends the answer with 130"
[ -s "$work/long" ] && iconv -f utf-8 -t utf-8 "$work/long" >/dev/null 2>&1
result $? "what came so far has been printed, whole characters only"

run "${drawn[@]}" --seed "$seed" 2>"$work/err" | head -c 1 >/dev/null
equals "${PIPESTATUS[0]}" 4 "a closed pipe ends it with 4"
equals "$(cat "$work/err")" "" "and without a message"

# ---- media ----
media=tests/data/media
picture=$media/images/420.jpg
run_media() { "$tessera" run --model $model "$@"; }
equals "$(run_media --quiet --image - <$picture)" "$(run_media --quiet --image $picture --prompt "")" "a picture on standard input is asked about alone"
equals "$(run_media --quiet --image - --prompt "What is it?" <$picture)" "$(run_media --quiet --image $picture --prompt "What is it?")" "and with a prompt"
echo "What is it?" >"$work/question"
equals "$(run_media --quiet --image $picture <"$work/question")" "$(run_media --quiet --image $picture --prompt "What is it?")" "a question on standard input is asked about a picture"
refuse_media() { # refuse_media CODE SAID OPTION...
    equals "$(exit_of "$tessera" run --model $model --prompt x "${@:3}")$(cat "$work/out")" "$1" "${*:3}: exit $1"
    contains "$(cat "$work/err")" "$2" "${*:3}: $2"
}
refuse_media 3 "found a picture (JPEG), expected sound: WAV" --audio $picture
refuse_media 3 "found a picture (JPEG), expected a film: MP4" --video $picture
refuse_media 3 "found a film (MP4 or MOV), expected JPEG" --image $media/video/plain.mp4
refuse_media 3 "found sound (MP3), expected JPEG" --image $media/audio/tone.mp3
refuse_media 3 "found a URL, expected the path of a file: nothing is fetched" --image https://example.com/photo.jpg
refuse_media 3 "a silent film is only seen" --video $media/video/plain.mp4 --use-audio-in-video
refuse_media 2 "media included: --prompt" --messages "$work/question" --image $picture
refuse_media 5 "what is sure to do, the model included, is --memory" --video $media/video/plain.mp4 --memory 20MiB
contains "$(run_media --progress always --audio $media/audio/tone.mp3 --prompt x 2>&1)" "preparing " "a sound is prepared under the eyes"
equals "$(run_media --progress always --audio $media/audio/tone.mp3 --prompt x 2>&1 | grep -c ' 0[.]00 [a-z]*/s\|  0 B/s')" 0 "and no rate is told before there is one"
