#!/usr/bin/env bash
# The examples of README.md and of the walk through a defect in docs/VERIFICATION.md print what these documents say: every
# "$ command" of their indented blocks, with the lines that follow it. Numbers are compared too, but for the plan, whose
# process differs from machine to machine. "…" on a line of its own stands for lines, behind digits for more of them.
# Release build only
. tests/support/tap.sh
here=$PWD
mkdir "$work/bin"
ln -s "$here/$tessera" "$here/${tessera%/*}/listen" "$work/bin/"
"${TESS_BUILD:-build/release-gcc}/synthetic" --out "$work/synthetic" --tokenizer demo/checkpoint >/dev/null
export PATH=$work/bin:$PATH

matches() { python -c 'import re, sys
found, expected = open(sys.argv[1], encoding="utf-8").read(), open(sys.argv[2], encoding="utf-8").read()
lines = []
for line in expected.strip("\n").split("\n"):
    exact = re.sub(r"(?<=[0-9a-f]{8})…", "[0-9a-f]+", re.escape(line))
    lines.append("(?:.*\n)*?" if line == "…" else exact + "\n")
sys.exit(not re.fullmatch("".join(lines) if expected.strip() else "", found.strip("\n") + "\n" if found.strip() else ""))' "$@"; }
without_numbers() { sed -E -i 's/[0-9][0-9.,]*/N/g; s/ +/ /g' "$@"; }
check_example() { # check_example FOLDER COMMAND EXPECTED
    (cd "$1" && eval "$2" >"$work/found" 2>&1)
    printf '%s' "$3" >"$work/expected"
    case $2 in *" plan "*) without_numbers "$work/found" "$work/expected" ;; esac
    matches "$work/found" "$work/expected"
    local status=$?
    [ $status = 0 ] || diff "$work/found" "$work/expected" | sed 's/^/# /'
    result $status "$2"
}
# check_document FILE LEAST: all examples of a document, at least so many, in a folder of their own
check_document() {
    local n=0 command='' expected='' line at=$work/at-${1##*/}
    mkdir "$at"
    ln -s "$here/demo" "$here/tests" "$at/"
    ln -s "$work/synthetic" "$at/Qwen3-Omni-30B-A3B-Instruct"
    program_of "$1" >"$at/france.c"
    while IFS= read -r line; do
        case $line in
        '    $ '*)
            [ -z "$command" ] || check_example "$at" "$command" "$expected"
            command=${line#'    $ '} expected='' n=$((n + 1))
            ;;
        '    '*) [ -z "$command" ] || expected+=${line#'    '}$'\n' ;;
        '') [ -z "$command" ] || expected+=$'\n' ;;
        *)
            [ -z "$command" ] || check_example "$at" "$command" "$expected"
            command=''
            ;;
        esac
    done < <(cat "$1"; echo end)
    [ $n -ge "$2" ]
    result $? "$1 has its examples: $n"
}

# What is built against the library is built against what `make install` leaves, as for whoever reads this.
unset MAKEFLAGS MFLAGS
make --no-print-directory MODE=release CC=gcc DESTDIR="$work/root" PREFIX=/usr/local install >"$work/log" 2>&1 || cat "$work/log"
export PKG_CONFIG_PATH=$work/root/usr/local/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root LD_LIBRARY_PATH=$work/root/usr/local/lib
program_of() { sed -n '/^```c$/,/^```$/p' "$1" | sed '1d;$d'; }

check_document README.md 30
check_document docs/VERIFICATION.md 7

# The files that README.md asks for are enough.
mkdir "$work/least"
section=$(sed -n '/^## The published model/,/^## What works/p' README.md)
for file in $(grep -o '`[a-z_.]*\(json\|txt\)`' <<<"$section" | tr -d '`' | sort -u); do cp demo/checkpoint/"$file" "$work/least"; done
cp demo/checkpoint/model-*.safetensors "$work/least"
equals "$("$tessera" inspect --check "$work/least" 2>&1 | tail -n 1 | cut -d: -f2)" " exactly what config.json implies" "the files README.md asks for are a checkpoint"
equals "$("$tessera" run --quiet --model "$work/least" --prompt "What is the capital of France?" 2>&1)" Paris. "with which text is answered"
contains "$section" "$(grep -o 'revision [0-9a-f]\{40\}' data/known_answers.json | head -n 1)" "of the revision whose known answers are built in"

# What there is, is told: commands, the options for media, examples, the packages of libraries.
readme=$(cat README.md)
for command in $("$tessera" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    contains "$readme" "\`$command\`" "README.md: $command"
    [ "$command" = detokenize ] || contains "$readme" "tessera $command" "README.md: an example of $command"
done
later=$(grep '^| not yet' <<<"$readme" | grep -o '`[a-z]*`' | tr -d '`' | sort)
equals "$(tr '\n' ' ' <<<"$later")" "$(grep 'define CLI_RESERVED' apps/commands/commands.h | grep -o '"[a-z]*"' | tr -d '"' | sort | tr '\n' ' ')" \
    "README.md: what is not yet there"
for command in $later; do
    contains "$("$tessera" "$command" 2>&1)" "the command '$command' is not part of this version" "README.md: $command is refused by name"
done
for option in --image --audio --video --use-audio-in-video --fps --think --messages --html --certificate --check-certificate --ledger --speak --say --speaker; do
    contains "$readme" "$option" "README.md: $option"
done
for kind in JPEG PNG WebP GIF BMP TIFF WAV FLAC MP3 OGG AAC M4A AIFF CAF MP4 MOV WebM MKV AVI MPEG FLV ASF; do
    contains "$(grep '^| media' <<<"$readme")" "$kind" "README.md: $kind"
done
for example in answer picture taps compare; do [ -f examples/$example.c ]; result $? "examples/$example.c"; done
contains "$readme" '`picture.c`' "README.md: the example about a picture"
for library in libjpeg-turbo libwebp zlib FFmpeg libsoxr; do contains "$readme" "$library" "README.md: $library"; done
case $("$tessera" run --image x --prompt x --model "$work" 2>&1) in *"not part of this version"*) false ;; esac
equals "$?$(grep -c '^| not yet .*\(audio\|image\|video\)' README.md)" 00 "README.md: media are not among what is not yet there"

# Exit codes: those of the table are those of the program, all of them.
equals "$(sed -n '/^## Exit codes/,/^With/s/^| \([0-9]*\) .*/\1/p' README.md | tr '\n' ' ')" \
    "$(sed -n 's/^    CLI_[A-Z]* = \([0-9]*\),\{0,1\}$/\1/p' apps/cli/cli.h | tr '\n' ' ')" "README.md lists the exit codes"
