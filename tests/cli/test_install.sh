#!/usr/bin/env bash
# What `make install` leaves: a program, an archive, a shared library with a versioned name that exports the public headers'
# functions and nothing else, and pkg-config data with which the examples and the one in engine.h are built and run.
. tests/support/tap.sh
build=${TESS_BUILD:-build/release-gcc}
case $build in *release-gcc) ;; *) skip "installing" "needs the release build" && exit ;; esac
root=$work/root prefix=/opt/tessera
at=$root$prefix
unset MAKEFLAGS MFLAGS
make --no-print-directory MODE=release CC=gcc DESTDIR="$root" PREFIX=$prefix install >"$work/log" 2>&1
result $? "make install DESTDIR=… PREFIX=…" || cat "$work/log"
equals "$("$at/bin/tessera" --version)" "$("$tessera" --version)" "the program runs from there"
version=$("$tessera" --version | cut -d' ' -f2)
equals "$(readelf -d "$at/lib/libtessera.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" "libtessera.so.${version%.*}" "a versioned soname"
[ -f "$at/lib/libtessera.so.${version%.*}" ] && [ -f "$at/lib/libtessera.a" ]
result $? "by which it is found, beside the archive"

# ---- what is exported ----
gcc -std=c17 -I"$at/include" -aux-info "$work/prototypes" -fsyntax-only -x c "$at/include/tessera.h"
sed -n 's|^/\* [^ ]*/include/[^ ]* \*/ extern [^(]*\b\(tess_[a-z0-9_]*\) (.*|\1|p' "$work/prototypes" | sort -u >"$work/declared"
nm -D --defined-only "$at/lib/libtessera.so" | awk '{ print $3 }' | sort -u >"$work/exported"
[ "$(wc -l <"$work/declared")" -gt 100 ]
result $? "public headers declare functions"
equals "$(comm -13 "$work/declared" "$work/exported" | tr '\n' ' ')" "" "nothing is exported that no public header declares"
equals "$(comm -23 "$work/declared" "$work/exported" | tr '\n' ' ')" "" "everything is exported that one declares"

# ---- programs against it ----
export PKG_CONFIG_PATH=$at/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
equals "$(pkg-config --modversion tessera)" "$version" "pkg-config knows the version"
read -ra flags < <(pkg-config --cflags --libs tessera)
compile() { # compile SOURCE PROGRAM [FLAG...]
    gcc -std=c17 -Wall -Wextra -Werror "$1" -o "$2" "${@:3}" 2>"$work/err"
    result $? "$(basename "$1"): compiles" || sed 's/^/# /' "$work/err"
}
with_library() { LD_LIBRARY_PATH=$at/lib "$@"; }
for source in "$at"/share/doc/tessera/examples/*.c; do
    name=$(basename "$source" .c)
    compile "$source" "$work/$name" "${flags[@]}" -lm
done
equals "$(ls "$at/share/doc/tessera/examples" | tr '\n' ' ')" "$(cd examples && ls ./*.c | sed 's|./||' | tr '\n' ' ')" "every example is installed"
equals "$(with_library "$work/answer" demo/checkpoint "What is the capital of France?")" "Paris." "answer: the demo's answer"
equals "$(with_library "$work/answer" "$work" x 2>/dev/null)$?" 1 "answer: an error ends it with 1"
photo=tests/data/media/images/420.jpg
asked() { # asked KIND FILE: the example asks what run asks
    equals "$(with_library "$work/picture" demo/checkpoint "$1" "$2" "What is it?")" \
        "$("$tessera" run --quiet --model demo/checkpoint "--$1" "$2" --prompt "What is it?")" "picture: the answer about ${2##*/} is run's"
}
asked image $photo
asked audio tests/data/media/audio/tone.mp3
asked video tests/data/media/video/plain.mp4
equals "$(with_library "$work/picture" demo/checkpoint image nosuch.jpg x 2>"$work/err")$?" 1 "picture: an error ends it with 1"
contains "$(cat "$work/err")" "nosuch.jpg: found no such file" "and says which file"
equals "$(with_library "$work/picture" demo/checkpoint photo $photo x 2>/dev/null)$?" 2 "picture: a wrong word ends it with 2"
layers=$(with_library "$work/taps" demo/checkpoint "The capital of France is")
equals "$(wc -l <<<"$layers")" "$("$tessera" trace --model demo/checkpoint --list --taps 'thinker.model.layers.?,thinker.model.layers.??' | wc -l)" \
    "taps: a line for every layer"
contains "$layers" "thinker.model.layers.0 " "taps: by name"
golden=tests/golden/c-f32/text.safetensors
equals "$(with_library "$work/compare" $golden $golden)" equal "compare: a golden with itself"
python tests/support/edit_trace.py $golden "$work/far" scale thinker.model.layers.1.mlp 1.5
equals "$(with_library "$work/compare" $golden "$work/far" | tr '\n' ' ')" "different first: tap.thinker.model.layers.1.mlp " \
    "compare: the first difference"

# The program in the comment at the top of engine.h.
sed -n '/^\*\/\|^ \*\//q; s/^ \*     //p; s/^ \*$//p' "$at/include/tessera/engine.h" >"$work/top.c"
contains "$(cat "$work/top.c")" "int main(void)" "engine.h begins with a program"
compile "$work/top.c" "$work/top" "${flags[@]}"
equals "$(with_library "$work/top" | wc -l)" 8 "which prints eight ids"
equals "$(with_library ldd "$work/top" | grep -c "libtessera.so.${version%.*} => $at/lib")" 1 "by the shared library"

# The archive, with what pkg-config says for static linking.
read -ra static < <(pkg-config --cflags --libs --static tessera)
compile "$at/share/doc/tessera/examples/compare.c" "$work/static" "${static[@]/#-ltessera/-l:libtessera.a}"
equals "$("$work/static" $golden $golden)" equal "by the archive as well"
