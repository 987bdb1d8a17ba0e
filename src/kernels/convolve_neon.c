/* What convolutions need, for AArch64. */
#include "kernels/vec_neon.h"

#include "kernels/convolve_body.h"
