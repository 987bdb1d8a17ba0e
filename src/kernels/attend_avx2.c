/* Attention for AVX2 and FMA. */
#include "kernels/vec_avx2.h"

#include "kernels/attend_body.h"
