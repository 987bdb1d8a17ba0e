/* Row operations for AVX2 and FMA. */
#include "kernels/vec_avx2.h"

#include "kernels/lanes_body.h"
