#!/usr/bin/env bash
# A file system that refuses direct reads: the same answer, and one remark. A library in front of the C library's
# refuses them here, at open or only at a read.
# Release build only: a sanitizer's library must come first.
. tests/support/tap.sh
model=demo/checkpoint
cat >"$work/refuse.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = flags & O_CREAT ? va_arg(list, int) : 0;
    va_end(list);
    if (flags & O_DIRECT && !getenv("REFUSE_FROM")) {
        errno = EINVAL;
        return -1;
    }
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}
ssize_t pread(int fd, void *out, size_t n, off_t offset)
{
    static int count;
    const char *from = getenv("REFUSE_FROM");
    if (from && fcntl(fd, F_GETFL) & O_DIRECT && ++count >= atoi(from)) {
        errno = EINVAL;
        return -1;
    }
    return ((ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread"))(fd, out, n, offset);
}
C
${CC:-cc} -shared -fPIC -o "$work/refuse.so" "$work/refuse.c" -ldl
result $? "a library that refuses direct reads"
refused() { LD_PRELOAD=$work/refuse.so "$tessera" "$@"; }
said() { grep -c "direct reads of .* are refused" "$work/err"; }
export -f refused

run=(run --model $model --ledger off --prompt "What is the capital of France?")
if [ "$(exit_of "$tessera" "${run[@]}" --direct on)" = 0 ]; then
    equals "$(exit_of "$tessera" "${run[@]}") $(cat "$work/out") $(said)" "0 Paris. 0" "nothing is refused: no remark"
fi
equals "$(exit_of refused "${run[@]}") $(cat "$work/out") $(said)" "0 Paris. 1" "refused at open: the answer, and one remark"
contains "$(cat "$work/err")" "$model/model-00001-of-" "which names a file"
contains "$(cat "$work/err")" "page cache, which is dropped behind every read" "and the way taken"
for from in 5 60; do
    equals "$(REFUSE_FROM=$from exit_of refused "${run[@]}") $(cat "$work/out") $(said)" "0 Paris. 1" "refused from read $from on: likewise"
done
equals "$(exit_of refused "${run[@]}" --quiet) $(said)" "0 0" "--quiet"
equals "$(exit_of refused "${run[@]}" --direct off) $(said)" "0 0" "--direct off: nothing was refused"
equals "$(exit_of refused "${run[@]}" --direct on)" 4 "--direct on: refused"
equals "$(exit_of refused trace --model $model --ledger off --prompt hi --out "$work/t.safetensors") $(said)" "0 1" "trace"
equals "$(exit_of refused verify --model $model --ledger off --golden tests/golden/demo/f32/turns.safetensors) $(said)" "0 1" "verify"
equals "$(exit_of refused chat --model $model --ledger off) $(said)" "0 1" "chat"
equals "$(exit_of refused inspect --ledger off --checksum $model) $(said)" "0 1" "inspect --checksum"
equals "$(exit_of refused plan --model $model --ledger off --measure) $(said)" "0 1" "plan --measure"
equals "$(exit_of refused plan --model $model --ledger off --measure --quiet) $(said)" "0 0" "plan --measure --quiet"
equals "$(exit_of refused plan --model $model --ledger off) $(said)" "0 0" "plan reads no weights"
