/* What convolutions need, for AVX-512. */
#include "kernels/vec_avx512.h"

#include "kernels/convolve_body.h"
