/* The one list of kernels. Declarations, the dispatch table, the tests and the benchmarks come from it.
 *
 *   TESS_ISA_LIST(X)     X(isa, needed mask bits), weakest first
 *   TESS_KERNEL_LIST(X)  X(operation, types, isa), weakest instruction set first; the function is
 *                        tess_<operation>_<types>_<isa>, of type tess_<operation>_fn
 *
 * An instruction set that brings its own matmul brings its own pack: the layout between them is private.
 */
#ifndef TESS_KERNELS_KERNEL_LIST_H
#define TESS_KERNELS_KERNEL_LIST_H

#include "kernels/kernels.h"

#define TESS_EVERY_KERNEL(X, isa)                                                                            \
    X(pack, f32, isa)                                                                                        \
    X(matmul, bf16, isa)                                                                                     \
    X(matmul_packed, bf16, isa)                                                                              \
    X(matmul_columns, bf16, isa)                                                                             \
    X(matmul_columns_packed, bf16, isa)                                                                      \
    X(dot, f32, isa)                                                                                         \
    X(attend, f32, isa)                                                                                      \
    X(attend_narrow, bf16, isa)                                                                              \
    X(softmax, f32, isa)                                                                                     \
    X(rms_norm, bf16, isa)                                                                                   \
    X(layer_norm, bf16, isa)                                                                                 \
    X(add_bias, bf16, isa)                                                                                   \
    X(gelu_erf, f32, isa)                                                                                    \
    X(gelu_tanh, f32, isa)                                                                                   \
    X(swiglu, f32, isa)                                                                                      \
    X(rope, f32, isa)                                                                                        \
    X(add, f32, isa)                                                                                         \
    X(add_scaled, f32, isa)                                                                                  \
    X(add_layer_scale, bf16, isa)                                                                            \
    X(depthwise, bf16, isa)                                                                                  \
    X(snake, bf16, isa)                                                                                      \
    X(widen, bf16, isa)                                                                                      \
    X(round_bf16, f32, isa)                                                                                  \
    X(find_non_finite, f32, isa)

#if defined(__x86_64__)
#define TESS_ISA_LIST(X)                                                                                     \
    X(reference, 0u)                                                                                         \
    X(avx2, TESS_CPU_AVX2FMA)                                                                                \
    X(avx512, TESS_CPU_AVX2FMA | TESS_CPU_AVX512)
#define TESS_KERNEL_LIST(X)                                                                                  \
    TESS_EVERY_KERNEL(X, reference)                                                                          \
    TESS_EVERY_KERNEL(X, avx2)                                                                               \
    TESS_EVERY_KERNEL(X, avx512)
#elif defined(__aarch64__)
#define TESS_ISA_LIST(X)                                                                                     \
    X(reference, 0u)                                                                                         \
    X(neon, TESS_CPU_NEON)
#define TESS_KERNEL_LIST(X)                                                                                  \
    TESS_EVERY_KERNEL(X, reference)                                                                          \
    TESS_EVERY_KERNEL(X, neon)
#else
#define TESS_ISA_LIST(X) X(reference, 0u)
#define TESS_KERNEL_LIST(X) TESS_EVERY_KERNEL(X, reference)
#endif

#define TESS_DECLARE_KERNEL(op, types, isa) tess_##op##_fn tess_##op##_##types##_##isa;
TESS_KERNEL_LIST(TESS_DECLARE_KERNEL)
#undef TESS_DECLARE_KERNEL

#endif
