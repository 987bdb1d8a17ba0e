#!/usr/bin/env bash
# For a big-endian machine nothing compiles that reads or writes a format's bytes, or hashes them.
# Release build only
. tests/support/tap.sh
compiles() { # compiles FILE OPTION...
    local file=$1
    shift
    ${CC:-gcc} -std=c17 -D_GNU_SOURCE -Iinclude -Isrc $(pkg-config --cflags jansson) -DTESS_VERSION='"0"' -DTESS_MODE='"release"' -w -fsyntax-only "$@" "$file" 2>"$work/err"
}
big=(-U__BYTE_ORDER__ -D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__)
for file in $(grep -rlE 'tess_(file_read|file_read_window|safetensors_read|output_write|sha256_add)\(' src --include=*.c); do
    compiles "$file"
    result $? "$file compiles"
    compiles "$file" "${big[@]}"
    equals "$? $(grep -c "the formats are little-endian" "$work/err")" "1 1" "but not for a big-endian machine"
done
[ $number -ge 12 ]
result $? "files that touch such bytes were found"
