#include "media/libraries.h"

#include <dlfcn.h>
#include <string.h>

/* One function to find: its name, and where in a table its address goes. */
typedef struct symbol {
    const char *name;
    size_t offset;
} symbol;

static tess_status find_all(const char *soname, const char *package, const symbol *symbols, size_t n_symbol,
                            void *table, tess_error *err)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *why = dlerror();
        return tess_fail(err, TESS_EUNSUPPORTED,
                         "the library %s cannot be opened: install Debian's package %s (%s)", soname, package,
                         why ? why : "no reason was given");
    }
    for (size_t i = 0; i < n_symbol; i++) {
        void *address = dlsym(handle, symbols[i].name);
        if (!address)
            return tess_fail(err, TESS_EUNSUPPORTED,
                             "the library %s has no function %s: install Debian's package %s", soname,
                             symbols[i].name, package);
        /* POSIX has objects and functions share a representation; ISO C has no cast between their pointers.
         */
        memcpy((char *)table + symbols[i].offset, &address, sizeof address);
    }
    return TESS_OK;
}

#define TEXT_OF(x) #x
#define VALUE_OF(x) TEXT_OF(x)
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#define ENTRY(name) {#name, offsetof(TABLE, name)},

#define TABLE tess_jpeg_library
tess_status tess_jpeg_library_open(tess_jpeg_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_JPEG_FUNCTIONS(ENTRY)};
    return find_all("libjpeg.so." VALUE_OF(JPEG_LIB_VERSION), "libjpeg62-turbo", symbols, COUNT_OF(symbols),
                    out, err);
}
#undef TABLE

#define TABLE tess_zlib_library
tess_status tess_zlib_library_open(tess_zlib_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_ZLIB_FUNCTIONS(ENTRY)};
    return find_all("libz.so.1", "zlib1g", symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE

#define TABLE tess_webp_library
tess_status tess_webp_library_open(tess_webp_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_WEBP_FUNCTIONS(ENTRY)};
    return find_all("libwebp.so.7", "libwebp7", symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE

#define TABLE tess_webp_demux_library
tess_status tess_webp_demux_library_open(tess_webp_demux_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_WEBP_DEMUX_FUNCTIONS(ENTRY)};
    return find_all("libwebpdemux.so.2", "libwebpdemux2", symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE

#define TABLE tess_codec_library
static tess_status open_avutil(tess_codec_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_AVUTIL_FUNCTIONS(ENTRY)};
    return find_all("libavutil.so." VALUE_OF(LIBAVUTIL_VERSION_MAJOR),
                    "libavutil" VALUE_OF(LIBAVUTIL_VERSION_MAJOR), symbols, COUNT_OF(symbols), out, err);
}

tess_status tess_codec_library_open(tess_codec_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_AVCODEC_FUNCTIONS(ENTRY)};
    tess_status status = open_avutil(out, err);
    if (status == TESS_OK)
        status =
            find_all("libavcodec.so." VALUE_OF(LIBAVCODEC_VERSION_MAJOR),
                     "libavcodec" VALUE_OF(LIBAVCODEC_VERSION_MAJOR), symbols, COUNT_OF(symbols), out, err);
    if (status == TESS_OK) out->av_log_set_level(AV_LOG_QUIET);
    return status;
}
#undef TABLE

#define TABLE tess_format_library
tess_status tess_format_library_open(tess_format_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_AVFORMAT_FUNCTIONS(ENTRY)};
    return find_all("libavformat.so." VALUE_OF(LIBAVFORMAT_VERSION_MAJOR),
                    "libavformat" VALUE_OF(LIBAVFORMAT_VERSION_MAJOR), symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE

#define TABLE tess_scale_library
tess_status tess_scale_library_open(tess_scale_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_SWSCALE_FUNCTIONS(ENTRY)};
    return find_all("libswscale.so." VALUE_OF(LIBSWSCALE_VERSION_MAJOR),
                    "libswscale" VALUE_OF(LIBSWSCALE_VERSION_MAJOR), symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE

#define TABLE tess_soxr_library
tess_status tess_soxr_library_open(tess_soxr_library *out, tess_error *err)
{
    static const symbol symbols[] = {TESS_SOXR_FUNCTIONS(ENTRY)};
    return find_all("libsoxr.so.0", "libsoxr0", symbols, COUNT_OF(symbols), out, err);
}
#undef TABLE
