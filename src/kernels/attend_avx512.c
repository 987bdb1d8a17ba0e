/* Attention for AVX-512. */
#include "kernels/vec_avx512.h"

#include "kernels/attend_body.h"
