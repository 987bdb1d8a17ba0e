#include "base/guard.h"

#ifdef TESS_DEBUG

#include "base/error.h"

static _Thread_local int depth;

void tess_guard_begin(void)
{
    depth++;
}

void tess_guard_end(void)
{
    TESS_ASSERT(depth > 0);
    depth--;
}

bool tess_guard_is_on(void)
{
    return depth > 0;
}

int tess_guard_pause(void)
{
    int paused = depth;
    depth = 0;
    return paused;
}

void tess_guard_resume(int paused)
{
    depth = paused;
}

void tess_guard_check(const char *file, int line)
{
    if (depth > 0) tess_bug(file, line, "memory is allocated while decoding");
}

#endif
