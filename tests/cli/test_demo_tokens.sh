#!/usr/bin/env bash
# The demo's tokens keep their ids, whatever the checkpoint learns next: goldens, answers and the voice count on them. The
# files are what they are, and the tokens of the original's answers are those of their texts.
. tests/support/tap.sh
model=demo/checkpoint
answers=tests/golden/demo/answers.json
while read -r sum name; do
    equals "$(sha256sum <$model/"$name")" "$sum  -" "$name"
done <<'S'
474d463e446ba8d447a5c74d8513eae54551864598b4084322e3e1ed912ac38e vocab.json
22a6f18121977470dcdf4e64b5e82c84ce6e2dbff73553e8a6ee4c2dde65e431 merges.txt
e14d5af69c20899c36520cae5d67d62ae58cb63e98dcc525821769b302ee8fda tokenizer_config.json
S
at=1024
for token in '<|endoftext|>' '<|im_start|>' '<|im_end|>' '<|object_ref_start|>' '<|object_ref_end|>' '<|box_start|>' '<|box_end|>' \
    '<|quad_start|>' '<|quad_end|>' '<|vision_start|>' '<|vision_end|>' '<|vision_pad|>' '<|image_pad|>' '<|video_pad|>' \
    '<tool_call>' '</tool_call>' '<|fim_prefix|>' '<|fim_middle|>' '<|fim_suffix|>' '<|fim_pad|>' '<|repo_name|>' \
    '<|file_sep|>' '<tool_response>' '</tool_response>' '<think>' '</think>' '<|audio_start|>' '<|audio_end|>' '<tts_pad>' \
    '<tts_text_bos>' '<tts_text_eod>' '<tts_text_bos_single>' '<|audio_pad|>'; do
    all="$all$token" ids="$ids${ids:+ }$at" at=$((at + 1))
done
equals "$("$tessera" tokenize --model $model "$all")" "$ids" "the special tokens follow the vocabulary in their order"

python - $answers "$work/texts" "$work/ids" <<'P'
import json, sys
answers = json.load(open(sys.argv[1], encoding="utf-8"))
with open(sys.argv[2], "w", encoding="utf-8") as texts, open(sys.argv[3], "w", encoding="utf-8") as ids:
    for kept in (*answers["prompts"].values(), *answers["media"].values()):
        for dtype in ("float32", "bfloat16"):
            said = [i for i in kept[dtype]["ids"] if i < 1024]
            print(json.dumps(kept[dtype]["text"]), file=texts)
            print(json.dumps(said, separators=(",", ":")), file=ids)
P
equals "$(($(wc -l <"$work/texts") > 40))" 1 "the original's answers"
"$tessera" detokenize --model $model --jsonl <"$work/ids" >"$work/out"
python -c 'import json, sys; sys.exit(any(json.loads(a) != json.loads(b) for a, b in zip(open(sys.argv[1], encoding="utf-8"), open(sys.argv[2], encoding="utf-8"), strict=True)))' "$work/out" "$work/texts"
result $? "are told by these ids"
"$tessera" tokenize --model $model --jsonl <"$work/texts" | tr -d ' ' | cmp -s - "$work/ids"
result $? "and give them"
