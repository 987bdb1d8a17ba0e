#!/usr/bin/env bash
# The report's pictures of a golden's media: their pixels, a cell for every token, and that an error planted in one row of a
# tower's tap is the cell that is marked and the place that is told in words.
. tests/support/tap.sh
f32=tests/golden/e-f32
page=$work/page.html
edit() { python tests/support/edit_trace.py "$@"; }
compare() { exit_of "$tessera" compare --html "$page" "$@"; }
drawn() { python tests/support/report_media.py "$page" "${1:-$golden}" 2 2>&1; }
cells() { grep -c -E 'class="(token|moment) ' "$page"; }
beyond() { grep -o -E 'beyond" [^>]*><title>[^<]*' "$page" | sed 's/.*<title>//'; }
says() { # says PART TEXT: the page, which is too long to be shown
    grep -q -F "$1" "$page"
    result $? "$2"
}
# What is told of the first divergence, on one line.
first() { sed -n '/^first divergence/,/^[0-9]* taps/p' "$work/out" | sed '$d' | tr -s '\n ' ' '; }

# Pixel for pixel; a golden and itself. An image's second frame is its first once more.
for line in "omni 3 15" "mixed 3 8" "video 10 0" "av 4 16" "audio_two 0 32" "tall 7 3" "image 10 0"; do
    read -r name tokens moments <<<"$line"
    golden=$f32/$name.safetensors
    equals "$(compare $golden $golden)" 0 "$name and itself"
    drawn >"$work/drawn"
    equals "$(grep -v -c -e '-, - differ' -e ', 0 differ' -e '^not drawn' "$work/drawn")" 0 "$name: every pixel is the input's"
    equals "$(grep '^not drawn' "$work/drawn" | grep -c -E "video|, 1, 1\)")" 0 "$name: every frame is drawn"
    equals "$(grep -c 'class="token ' "$page") $(grep -c 'class="moment ' "$page")" "$tokens $moments" "$name: a cell for every token"
    equals "$(beyond)" "" "$name: none is marked"
done

plant() { # plant NAME TAP INDEX VALUE: an error in the row of that element
    golden=$f32/$1.safetensors
    edit $golden "$work/off" add "$2" "$3" "$4"
    equals "$(compare $golden "$work/off")" 1 "$1: $2 off at element $3"
}
plant image thinker.visual.blocks.2 $((16 * 36 + 17 * 36 + 3)) 0.1
equals "$(beyond)" "row 2, column 2: 5.6e-3, beyond the bar" "marked: the token of that patch"
contains "$(first)" "first divergence: thinker.visual.blocks.2 (visual, layer 2, image 2, patch in row 3 of 4, column 4 of 6): " "and told"
plant image thinker.visual.merger $((4 * 28 + 5 * 28)) 0.1
equals "$(beyond)" "row 2, column 3: 1.9e-2, beyond the bar" "of a merger: the token of that row"
contains "$(first)" "first divergence: thinker.visual.merger (visual, image 2, token in row 2 of 2, column 3 of 3): " "and told"
plant video thinker.visual.merger_list.0 $((6 * 28 + 3 * 28)) 0.1
equals "$(beyond)" "row 2, column 1: 2.5e-2, beyond the bar" "of a second video: step and token"
contains "$(first)" "first divergence: thinker.visual.merger_list.0 (visual, video 2, step 2 of 2 (from 0.67 s on), token in row 2 of 2, column 1 of 1): " "and told"
plant audio_two thinker.audio_tower.layers.0 $((3 * 30 + 14 * 30 + 2)) 1
equals "$(beyond)" "1.08 s to 1.16 s: 9.1e-2, beyond the bar" "of a second clip's second chunk: the token in time"
contains "$(first)" "first divergence: thinker.audio_tower.layers.0 (audio_tower, layer 0, clip 2, 1.08 s to 1.16 s): " "and told"
plant audio_two thinker.audio_tower.conv_out $((2 * 13 * 30 + 3 * 30)) 1
equals "$(beyond)" "1.24 s to 1.32 s: 4.7e-1, beyond the bar" "of a chunk's step"
contains "$(first)" "first divergence: thinker.audio_tower.conv_out (audio_tower, clip 2, 1.24 s to 1.32 s): " "and told"
plant audio_two thinker.audio_tower.conv_out $((5 * 30)) 1
equals "$(beyond)" "" "of the padding of a short chunk: no token"
contains "$(first)" "first divergence: thinker.audio_tower.conv_out (audio_tower, clip 1, the padding behind its end): " "and told as that"
plant image in.pixel_values $((20 * 1536)) 0.5
contains "$(first)" "first divergence: in.pixel_values (preprocess, image 2, patch in row 1 of 4, column 3 of 6): " "of the inputs: the patch"
plant audio_two in.input_features $((7 * 240 + 100)) 0.5
contains "$(first)" "first divergence: in.input_features (preprocess, clip 2, 0.83 s to 0.84 s): " "or the moment"
plant image thinker.visual.blocks.0 7 nan
equals "$(beyond)" "row 1, column 1: –, beyond the bar" "a value that is no number"
says 'class="token odd beyond"' "has the colour of none"

golden=$f32/omni.safetensors
edit $golden "$work/off" add thinker.visual.blocks.3 0 0.1 add thinker.visual.blocks.1 $((11 * 36)) 0.1
compare $golden "$work/off" >/dev/null
equals "$(beyond)" "row 1, column 3: 7.3e-3, beyond the bar" "of two taps the first in model order is shown"

# verify says it too, and its JSON as it is without media.
edit $f32/omni.safetensors "$work/off" add thinker.audio_tower $((13 * 28)) 0.1
equals "$(exit_of "$tessera" verify --ledger off --quiet --memory 1GiB --model tests/golden/e --golden "$work/off" --html "$page")" 1 "verify"
equals "$(beyond | sed 's/: .*//')" "1.00 s to 1.08 s" "marks the token"
contains "$(first)" "thinker.audio_tower (audio_tower, clip 1, 1.00 s to 1.08 s)" "and tells it"
exit_of "$tessera" verify --ledger off --quiet --memory 1GiB --model tests/golden/e --golden "$work/off" --json >/dev/null
equals "$(json first <"$work/out" | python -c 'import json, sys
first = json.load(sys.stdin)
print(*(first[key] for key in ("tap", "component", "layer", "expert", "experts", "position")))')" \
    "tap.thinker.audio_tower audio_tower None None [] None" "in JSON a tower's row is no position"
# Isolated in bfloat16: the golden holds one row otherwise, which is many steps off.
edit tests/golden/e-bf16/image.safetensors "$work/off" add thinker.visual.merger $((4 * 28)) 8
equals "$(exit_of "$tessera" verify --ledger off --quiet --memory 1GiB --model tests/golden/e --golden "$work/off" --html "$page")" 1 "in bfloat16"
equals "$(beyond | sed 's/: .*//')" "row 1, column 1" "the side that failed is shown"
says "The error in bfloat16 steps of thinker.visual.merger; beyond the bar: 1 of 6 tokens." "with its measure"

# A picture larger than its drawing, of patches of six pixels, and more of them than are drawn.
python - "$work" <<'P'
import array, json, struct, sys
def write(path, tensors):
    header, data = {}, b""
    for name, (kind, shape, values) in tensors.items():
        raw = array.array({"F32": "f", "I64": "q"}[kind], values).tobytes()
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
width = 3 * 2 * 6 * 6
def picture(high, wide):
    patches = []
    for top in range(0, high, 2):
        for left in range(0, wide, 2):
            for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                patches += [2 * column / wide - 1] * (width // 3) + [2 * row / high - 1] * (width // 3) + [0.5] * (width // 3)
    return patches
def trace(path, grids):
    n = sum(t * h * w for t, h, w in grids)
    pixels = sum((picture(h, w) * t for t, h, w in grids), [])
    write(path, {"in.pixel_values": ("F32", [n, width], pixels), "in.image_grid_thw": ("I64", [len(grids), 3], sum(map(list, grids), [])),
                 "tap.thinker.visual.merger": ("F32", [n // 4, 2], [1.0] * (n // 2))})
trace(sys.argv[1] + "/large", [(1, 80, 60)])
trace(sys.argv[1] + "/many", [(1, 4, 4)] * 20)
P
edit "$work/large" "$work/off" add thinker.visual.merger $((2 * (39 * 30 + 29))) 0.5
equals "$(compare --metrics-only "$work/large" "$work/off")" 0 "a large picture, not judged"
equals "$(cells)" 300 "four tokens make a cell"
equals "$(grep -o 'title>row[^<]*: [1-9]\.[^<]*' "$page")" "title>rows 39 to 40, columns 29 to 30: 3.5e-1" "which has the largest error of them"
[ "$(stat -c %s "$page")" -lt 600000 ]
result $? "the page stays small: $(stat -c %s "$page") bytes"
python - "$page" <<'P'
import base64, re, struct, sys
bmp = base64.b64decode(re.search("data:image/bmp;base64,([^\"]*)", open(sys.argv[1]).read())[1])
at, wide, high = *struct.unpack("<10xI", bmp[:14]), *struct.unpack("<4xii", bmp[14:26])
line = (3 * wide + 3) // 4 * 4
pixel = lambda x, y: tuple(bmp[at + (high - 1 - y) * line + 3 * x :][:3][::-1])
# Patches of six pixels, boxes of two: a patch is three pixels wide.
want = lambda x, y: (round(127.5 * (2 * (x // 3) / 60)), round(127.5 * (2 * (y // 3) / 80)), 191)
bad = [(x, y) for y in range(high) for x in range(wide) if any(abs(a - b) > 1 for a, b in zip(pixel(x, y), want(x, y)))]
print("#", wide, high, len(bad))
sys.exit((wide, high) != (180, 240) or bool(bad))
P
result $? "the picture is made of the means of its pixels"
edit "$work/many" "$work/off" add thinker.visual.merger $((2 * 4 * 18)) 0.5
equals "$(compare "$work/many" "$work/off")" 1 "twenty pictures"
equals "$(grep -c '<figure class="medium">' "$page") $(beyond)" "16 row 1, column 1: 3.5e-1, beyond the bar" "of which sixteen are drawn, with the one that failed"
says "Of 20 clips, images and steps of videos the 16 that lie furthest off are drawn." "as is said"

# Without what the places follow from there are none, and the page says why; the comparison is what it was.
edit $f32/image.safetensors "$work/bare" drop thinker.visual.merger drop thinker.visual.merger_list.0 drop thinker.visual.merger_list.1 \
    drop thinker.visual.merger_list.2
edit "$work/bare" "$work/off" add thinker.visual.blocks.2 0 0.1
equals "$(compare "$work/bare" "$work/off")" 1 "no tap of a merger"
contains "$(first)" "thinker.visual.blocks.2 (visual, layer 2): " "no place is told"
says "no tap of a merger tells how many patches of the pictures make a token" "and the page says why"
edit $f32/image.safetensors "$work/off" set in.image_grid_thw 1 1000
equals "$(compare "$work/off" $f32/image.safetensors)" 1 "a grid of more patches than there are"
says "Not all of them can be shown: in.image_grid_thw: expected 1 to the patches" "is no picture"
