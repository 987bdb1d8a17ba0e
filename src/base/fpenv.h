/* The floating-point environment results are promised for: round to nearest, subnormals kept. */
#ifndef TESS_BASE_FPENV_H
#define TESS_BASE_FPENV_H

#include <stdint.h>

typedef struct tess_fpenv {
    uint64_t control;
} tess_fpenv;

/* Sets the environment for the calling thread and returns what it was. */
tess_fpenv tess_fpenv_enter(void);
void tess_fpenv_leave(tess_fpenv saved);

#endif
