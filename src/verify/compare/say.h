/* The reason in a tap's report. */
#ifndef TESS_VERIFY_COMPARE_SAY_H
#define TESS_VERIFY_COMPARE_SAY_H

#include <stdio.h>

#include "tessera/compare.h"

/* It is cut where the room ends, being for people. */
#define TESS_SAY(report, ...) ((void)snprintf((report)->why, sizeof(report)->why, __VA_ARGS__))

#endif
