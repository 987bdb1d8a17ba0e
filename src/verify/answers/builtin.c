/* data/known_answers.json inside the program. The path is relative to the folder make runs in. */
#include "verify/answers/answers.h"

#include <stdint.h>

__asm__(".pushsection .rodata\n"
        "tess_known_answers_begin:\n"
        ".incbin \"data/known_answers.json\"\n"
        "tess_known_answers_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char tess_known_answers_begin[], tess_known_answers_end[];

const char *tess_known_answers_builtin(size_t *n_byte)
{
    *n_byte = (size_t)((uintptr_t)tess_known_answers_end - (uintptr_t)tess_known_answers_begin);
    return tess_known_answers_begin;
}
