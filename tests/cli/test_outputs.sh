#!/usr/bin/env bash
# No output takes the place of a file that its command reads, whatever leads to it.
. tests/support/tap.sh
model=demo/checkpoint
here=$PWD
cp tests/data/media/images/420.jpg "$work/p.jpg"
cp tests/data/media/audio/s16.wav "$work/x.wav"
cp tests/data/media/video/sound.mp4 "$work/f.mp4"
ln -s p.jpg "$work/link.jpg"
ln "$work/p.jpg" "$work/hard.jpg"
mkdir "$work/inner"
before=$(cat "$work"/*.jpg "$work/x.wav" "$work/f.mp4" | sha256sum)
in_work() { (cd "$work" && exit_of "$here/$tessera" "$@"); }
# refused TEXT OPTION COMMAND...: exit 2 in the folder of the files, by the option, before anything is written
refused() {
    local text=$1 option=$2
    shift 2
    equals "$(in_work "$@")$(grep -c -e "$option: .* is a file that this command uses otherwise; name another" "$work/err")" 21 "$text"
}
common="--model $here/$model --memory 512MiB --ledger off --quiet"

for out in p.jpg ./p.jpg "$work/inner/../p.jpg" link.jpg hard.jpg; do
    # shellcheck disable=SC2086 -- words split
    refused "trace --image p.jpg --out $out" --out trace $common --image p.jpg --prompt x --out "$out"
done
# shellcheck disable=SC2086
{
    refused "--image by a link" --out trace $common --image link.jpg --prompt x --out p.jpg
    refused "trace --audio" --out trace $common --audio x.wav --prompt x --out x.wav
    refused "trace --video" --out trace $common --video f.mp4 --prompt x --out f.mp4
    refused "run --audio --speak" --speak run $common --audio x.wav --prompt x --speak x.wav
    refused "preprocess" --out preprocess --model "$here/$model" --audio x.wav --image p.jpg --out p.jpg
}
cat >"$work/inner/m.json" <<'J'
[{"role": "user", "content": [{"type": "image", "path": "./p.jpg"}, {"type": "audio", "audio": "x.wav"}, {"type": "text", "text": "x"}]}]
J
# shellcheck disable=SC2086
{
    refused "a picture of --messages" --out trace $common --messages inner/m.json --out p.jpg
    refused "--messages themselves" --out trace $common --messages inner/m.json --out inner/m.json
    refused "a sound of --messages" --speak run $common --messages inner/m.json --speak x.wav
    equals "$(in_work trace $common --messages inner/m.json --taps thinker.lm_head --last-logits --out inner/t.st)" 0 "another name is written"
    equals "$(in_work trace $common --image - --taps thinker.generated --prompt x --generate 1 --out - <"$work/p.jpg")" 3 "standard input is no file's name"
    for option in --html --certificate; do
        refused "verify $option" $option verify --model "$here/$model" --ledger off --golden inner/t.st $option p.jpg
    done
    refused "a trace's own picture" --out trace $common --inputs inner/t.st --out p.jpg
}
# A golden's media are seen from where it lies.
python3 tests/support/edit_trace.py "$work/inner/t.st" "$work/inner/near.st" meta messages \
    '[{"role":"user","content":[{"type":"image","image":"../p.jpg"}]}]'
refused "verify over a picture seen from the golden" --html verify --model "$here/$model" --ledger off --golden inner/near.st --html p.jpg
equals "$(cat "$work"/*.jpg "$work/x.wav" "$work/f.mp4" | sha256sum)" "$before" "no byte is lost"

# ---- a history, which is replaced with every line that is typed ----
for file in p.jpg inner/m.json; do
    equals "$(in_work chat --model "$here/$model" --ledger off --history $file)$(grep -c "$file is no history and would be lost; name another" "$work/err")" 21 "chat --history $file"
done
: >"$work/empty"
printf '_HiStOrY_V2_\nHello\n' >"$work/typed"
for file in empty typed none; do
    equals "$(in_work chat --model "$here/$model" --memory 512MiB --ledger off --history $file)" 0 "chat --history $file"
done
rm "$work/empty" "$work/typed"

# ---- the ledger ----
"$tessera" run --model $model --memory 512MiB --ledger "$work/l.sqlite" --quiet --raw --prompt x --max-new 1 >/dev/null
before=$(sha256sum <"$work/l.sqlite")
common="--model $here/$model --memory 512MiB --ledger l.sqlite --quiet"
# shellcheck disable=SC2086
refused "trace over its ledger" --out trace $common --raw --prompt x --out l.sqlite
refused "verify over its ledger" --html verify --model "$here/$model" --ledger l.sqlite --golden inner/t.st --html l.sqlite
mkdir -p "$work/data/tessera"
cp "$work/l.sqlite" "$work/data/tessera/ledger.sqlite"
refused "the user's own ledger" --out trace --model "$here/$model" --raw --prompt x --out data/tessera/ledger.sqlite
equals "$(sha256sum <"$work/l.sqlite")" "$before" "no byte of it is lost"

# ---- the model ----
mkdir "$work/blobs" "$work/linked"
cp -r $model "$work/own" && chmod -R u+w "$work/own"
for file in "$work/own"/*; do mv "$file" "$work/blobs"; ln -s "../blobs/${file##*/}" "$work/linked"; done
before=$(cat "$work/blobs"/* | sha256sum)
ln -s blobs/config.json "$work/config"
for out in blobs/config.json config linked/config.json; do
    equals "$(in_work trace --model linked --ledger off --raw --prompt x --out $out)$(grep -c 'is a file of the model' "$work/err")" 21 "a model's file as $out"
done
equals "$(cat "$work/blobs"/* | sha256sum)" "$before" "no byte of it is lost"
