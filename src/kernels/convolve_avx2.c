/* What convolutions need, for AVX2 and FMA. */
#include "kernels/vec_avx2.h"

#include "kernels/convolve_body.h"
