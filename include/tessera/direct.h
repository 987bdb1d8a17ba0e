/* How a checkpoint's files are read: past the page cache, or by it. */
#ifndef TESSERA_DIRECT_H
#define TESSERA_DIRECT_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum tess_direct {
    TESS_DIRECT_AUTO, /* direct where the file system allows it, else buffered */
    TESS_DIRECT_ON,   /* direct, or opening fails */
    TESS_DIRECT_OFF,  /* buffered */
} tess_direct;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
