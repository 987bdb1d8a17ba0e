#include "libraries.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const char *hidden = "", *replaced = "";
static libraries_lookup *look_up;
static void *real_handle; /* of the library that is stood in for */

void libraries_hide(const char *beginning)
{
    hidden = beginning;
}

void libraries_stand_in(const char *soname, libraries_lookup *lookup)
{
    replaced = soname;
    look_up = lookup;
}

/* The linker sends calls of dlopen() to __wrap_dlopen(), and __real_dlopen() is the original. */
void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);

void *__wrap_dlopen(const char *name, int flags)
{
    if (*hidden && !strncmp(name, hidden, strlen(hidden))) return NULL;
    if (!look_up || strcmp(name, replaced)) return __real_dlopen(name, flags);
    real_handle = __real_dlopen(name, flags);
    return &real_handle;
}

void *__wrap_dlsym(void *handle, const char *name)
{
    if (handle != &real_handle) return __real_dlsym(handle, name);
    return look_up(name, real_handle ? __real_dlsym(real_handle, name) : NULL);
}
