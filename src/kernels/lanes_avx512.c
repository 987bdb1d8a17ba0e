/* Row operations for AVX-512. */
#include "kernels/vec_avx512.h"

#include "kernels/lanes_body.h"
