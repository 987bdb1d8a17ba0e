/* tests/data/published_config.json inside the program. The path is relative to the folder make runs in. */
#include "sidecar.h"

#include <stdint.h>

__asm__(".pushsection .rodata\n"
        "synthetic_released_begin:\n"
        ".incbin \"tests/data/published_config.json\"\n"
        "synthetic_released_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char synthetic_released_begin[], synthetic_released_end[];

const char *sidecar_released_config(size_t *n_byte)
{
    *n_byte = (size_t)((uintptr_t)synthetic_released_end - (uintptr_t)synthetic_released_begin);
    return synthetic_released_begin;
}
