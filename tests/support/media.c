#include "media.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/whole_file.h"

uint8_t *media_read(const char *path, size_t *n_byte)
{
    char *bytes;
    tess_error err;
    if (tess_whole_file_read(path, "a media file", SIZE_MAX, &bytes, n_byte, &err) != TESS_OK)
        fail_msg("%s", err.message);
    return (uint8_t *)bytes;
}
