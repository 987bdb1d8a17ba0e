#!/usr/bin/env bash
# The layer check on a house of a few files: what it lets pass, and each kind of include that it must refuse.
cd "$(dirname "$0")/../.." || exit 2
. tests/support/tap.sh

house=$work/house
mkdir -p "$house"/{include/tessera,tools,src/{base,kernels,io,model,verify/{trace,compare,ledger}},apps/{cli,commands}}
cp tools/check_layers tools/layers.txt "$house/tools"
file() { # file PATH INCLUDE...
    local path=$house/$1
    shift
    printf '#include "%s"\n' "$@" >"$path"
}
lay() {
    file include/tessera/error.h tessera/error.h
    file src/base/json.c base/json.h tessera/error.h
    file src/kernels/cpu.c kernels/kernels.h
    file src/io/file.c io/file.h base/json.h
    file src/model/moe.c model/moe.h store/bank.h kernels/kernels.h tessera/engine.h
    file src/verify/trace/reader.c verify/trace/reader.h engine/engine.h tessera/engine.h
    file src/verify/compare/rules.c verify/compare/rules.h verify/trace/reader.h
    file src/verify/ledger/sql.c verify/compare/rules.h verify/trace/reader.h base/json.h
    file apps/main.c cli/cli.h commands/commands.h
    file apps/cli/cli.c cli/cli.h tessera.h base/json.h
    file apps/commands/cmd_run.c commands/commands.h cli/cli.h reports/verify_report.h
}
refuses() { # refuses PATH INCLUDE TEXT
    lay
    mkdir -p "$(dirname "$house/$1")"
    file "$1" "$2"
    equals "$(exit_of "$house/tools/check_layers")" 1 "$3: fails"
    contains "$(cat "$work/out")" "$1:1: \"$2\"" "$3: is named"
    rm "$house/$1"
}

lay
equals "$(exit_of "$house/tools/check_layers")" 0 "a house in order passes"
refuses src/model/moe.c verify/trace/reader.h "up a floor"
refuses src/verify/trace/reader.c verify/compare/rules.h "up between rooms of one folder"
refuses src/verify/ledger/sql.c verify/report/page.h "sideways between rooms of one folder"
refuses src/verify/ledger/sql.c verify/page.h "a room that is not there"
refuses src/verify/ledger/sql.c schema.h "no folder"
refuses src/verify/sql.c base/json.h "a file outside the rooms"
refuses src/other/new.c base/json.h "a folder that is not listed"
refuses src/kernels/cpu.c base/json.h "out of the rooms allowed"
refuses src/base/json.c tessera/engine.h "a public header of a higher floor"
refuses src/io/file.c tessera.h "all public headers from below"
refuses include/tessera/error.h base/json.h "a public header on the library's"
refuses apps/cli/cli.c commands/commands.h "up inside apps"
refuses apps/cli/cli.c engine/engine.h "apps past the public headers"
