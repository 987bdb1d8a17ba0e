#!/usr/bin/env bash
# The emulated AVX-512 kernels (emulated_avx512.h): they need no AVX-512, a processor without it tests them, and a wrong
# one is found.
# Release build only: a processor with AVX-512 has no emulated kernels in sanitized ones.
cd "$(dirname "$0")/../.." || exit 2
. tests/support/tap.sh
build=${TESS_BUILD:-build/release-gcc}
[ "$(uname -m)" = x86_64 ] || {
    echo "ok $((++number)) - emulated kernels # SKIP not tested: this processor cannot run them"
    exit 0
}

# A register or a mask that only AVX-512 has.
wide_in() { objdump -d --no-show-raw-insn "$@" | grep -cE '%(zmm|k[0-7]\b|[xy]mm(1[6-9]|[23][0-9]))'; }
equals "$(wide_in "$build"/emulated/*.o)" 0 "the emulated kernels use nothing of AVX-512"
[ "$(wide_in "$build"/src/kernels/*_avx512.o)" -gt 100 ]
result $? "the native kernels do, so that the search can find it"
equals "$(nm "$build"/emulated/*.o | grep -c ' T tess_.*_emulated$')" \
    "$(nm "$build"/src/kernels/*_avx512.o | grep -c ' T tess_.*_avx512$')" "there are as many as native ones"

# The rest links the comparison anew, which sanitizers' builds do with flags of their own.
[ -z "${TESS_SANITIZED:-}" ] || exit 0

# link OUT OBJECT...: test_variants as the processor of $work/mask.c sees it
link() {
    local out=$1
    shift
    gcc -Wl,--wrap=tess_cpu_mask -o "$out" "$build/tests/kernels/test_variants.o" "$work/mask.o" "$@" \
        "$build/libtessera.a" -lm
}
on_processor() { # on_processor EXPRESSION: what it says of itself, `mask` being what it can
    cat >"$work/mask.c" <<END
#include "kernels/kernels.h"
unsigned __real_tess_cpu_mask(void);
unsigned __wrap_tess_cpu_mask(void)
{
    const unsigned mask = __real_tess_cpu_mask();
    return $1;
}
END
    gcc -std=c17 -Isrc -c -o "$work/mask.o" "$work/mask.c" && link "$work/test" "$build"/emulated/*.o
}
tests() { TESS_REQUIRE_ISA="avx2 avx512" exit_of "$work/test" quick; }
said() { sed -n "s/^# instruction set $1: //p" "$work/out"; }

on_processor "mask & ~(unsigned)TESS_CPU_AVX512"
equals "$(tests)" 0 "a processor with AVX2 only passes where AVX2 and AVX-512 are required"
equals "$(said avx2), $(said avx512)" "natively, emulated" "and says how each ran"
equals "$(grep -c 'avx512.*natively' "$work/out")" 0 "AVX-512 did not run natively there"
on_processor "mask & 0u"
equals "$(tests)" 1 "one with neither fails"
equals "$(said avx2), $(said avx512)" "not tested, not tested" "and says that they were not tested"
equals "$(TESS_REQUIRE_ISA='' exit_of "$work/test" quick)" 0 "but passes where they are not required"

# The defect: a multiply-add that rounds its product.
on_processor "mask"
mkdir -p "$work/wrong/kernels" && cp src/kernels/* "$work/wrong/kernels"
sed -i 's/return _mm512_fmadd_ps(a, b, c);/return _mm512_add_ps(_mm512_mul_ps(a, b), c);/' \
    "$work/wrong/kernels/vec_avx512.h"
! cmp -s src/kernels/vec_avx512.h "$work/wrong/kernels/vec_avx512.h"
result $? "a defect is planted in the AVX-512 kernels"
gcc -std=c17 -O1 -ffp-contract=off -fno-math-errno -D_GNU_SOURCE -mavx2 -mfma -Wno-psabi -I"$work/wrong" \
    -include tests/kernels/emulated_avx512.h -c -o "$work/wrong.o" "$work/wrong/kernels/lanes_avx512.c"
link "$work/test" "$work/wrong.o" "$build"/emulated/{attend,convolve,matmul}_avx512.o
equals "$(tests)" 1 "the emulated comparison finds it"
equals "$(sed -n 's/^not ok [0-9]* - \([^:]*\): \([a-z]*\),.*/\1 \2/p' "$work/out" | sort | tr '\n' ';')" \
    "$(printf 'avx512 %s emulated;' attend attend_narrow dot gelu_erf gelu_tanh layer_norm)" "in the kernels that have it, and nowhere else"
