/* Row operations for AArch64. */
#include "kernels/vec_neon.h"

#include "kernels/lanes_body.h"
