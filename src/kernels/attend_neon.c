/* Attention for AArch64. */
#include "kernels/vec_neon.h"

#include "kernels/attend_body.h"
