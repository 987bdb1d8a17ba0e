#include "media/libraries.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

/* One function to find: its name, and where in a table its address goes. */
typedef struct symbol {
    const char *name;
    size_t offset;
} symbol;

/* Whether the dynamic linker had no memory. It says so in English, and in nothing but words. */
static bool is_want_of_memory(const char *why)
{
    static const char *const words[] = {"failed to map", "cannot map", "allocate", "out of memory"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(why, words[i])) return true;
    return false;
}

static tess_status refuse_library(const char *soname, const char *package, tess_error *err)
{
    const char *why = dlerror();
    if (!why) why = "no reason was given";
    if (is_want_of_memory(why))
        return tess_fail(err, TESS_ENOMEM, "no memory to open the library %s (%s)", soname, why);
    return tess_fail(err, TESS_EUNSUPPORTED,
                     "the library %s cannot be opened: install Debian's package %s (%s)", soname, package,
                     why);
}

static tess_status find_all(const char *soname, const char *package, const symbol *symbols, size_t n_symbol,
                            void *table, tess_error *err)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) return refuse_library(soname, package, err);
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

/* Defines a function, of which `head` is type and name, that finds FUNCTIONS in a library for a table. */
#define ENTRY(name) {#name, offsetof(table, name)},
#define DEFINE_OPEN(head, type, FUNCTIONS, soname, package)                                                  \
    head(type *out, tess_error *err)                                                                         \
    {                                                                                                        \
        typedef type table;                                                                                  \
        static const symbol symbols[] = {FUNCTIONS(ENTRY)};                                                  \
        return find_all(soname, package, symbols, COUNT_OF(symbols), out, err);                              \
    }
/* Debian's packages of FFmpeg's libraries are named as those are. */
#define DEFINE_OPEN_FFMPEG(head, type, FUNCTIONS, name, version)                                             \
    DEFINE_OPEN(head, type, FUNCTIONS, name ".so." VALUE_OF(version), name VALUE_OF(version))

DEFINE_OPEN(tess_status tess_jpeg_library_open, tess_jpeg_library, TESS_JPEG_FUNCTIONS,
            "libjpeg.so." VALUE_OF(JPEG_LIB_VERSION), "libjpeg62-turbo")
DEFINE_OPEN(tess_status tess_zlib_library_open, tess_zlib_library, TESS_ZLIB_FUNCTIONS, "libz.so.1", "zlib1g")
DEFINE_OPEN(tess_status tess_webp_library_open, tess_webp_library, TESS_WEBP_FUNCTIONS, "libwebp.so.7",
            "libwebp7")
DEFINE_OPEN(tess_status tess_webp_demux_library_open, tess_webp_demux_library, TESS_WEBP_DEMUX_FUNCTIONS,
            "libwebpdemux.so.2", "libwebpdemux2")
DEFINE_OPEN(tess_status tess_soxr_library_open, tess_soxr_library, TESS_SOXR_FUNCTIONS, "libsoxr.so.0",
            "libsoxr0")
/* It depends on libpulse0, which has the words for errors. */
DEFINE_OPEN(tess_status tess_pulse_library_open, tess_pulse_library, TESS_PULSE_FUNCTIONS,
            "libpulse-simple.so.0", "libpulse0")
DEFINE_OPEN(static tess_status open_alsa, tess_alsa_library, TESS_ALSA_FUNCTIONS, "libasound.so.2",
            "libasound2")
DEFINE_OPEN_FFMPEG(tess_status tess_format_library_open, tess_format_library, TESS_AVFORMAT_FUNCTIONS,
                   "libavformat", LIBAVFORMAT_VERSION_MAJOR)
DEFINE_OPEN_FFMPEG(tess_status tess_scale_library_open, tess_scale_library, TESS_SWSCALE_FUNCTIONS,
                   "libswscale", LIBSWSCALE_VERSION_MAJOR)
DEFINE_OPEN_FFMPEG(static tess_status open_avutil, tess_codec_library, TESS_AVUTIL_FUNCTIONS, "libavutil",
                   LIBAVUTIL_VERSION_MAJOR)
DEFINE_OPEN_FFMPEG(static tess_status open_avcodec, tess_codec_library, TESS_AVCODEC_FUNCTIONS, "libavcodec",
                   LIBAVCODEC_VERSION_MAJOR)

tess_status tess_codec_library_open(tess_codec_library *out, tess_error *err)
{
    tess_status status = open_avutil(out, err);
    if (status == TESS_OK) status = open_avcodec(out, err);
    if (status == TESS_OK) out->av_log_set_level(AV_LOG_QUIET);
    return status;
}

static void say_nothing(const char *file, int line, const char *function, int code, const char *format, ...)
{
    (void)file, (void)line, (void)function, (void)code, (void)format;
}

tess_status tess_alsa_library_open(tess_alsa_library *out, tess_error *err)
{
    tess_status status = open_alsa(out, err);
    if (status == TESS_OK) out->snd_lib_error_set_handler(say_nothing);
    return status;
}
