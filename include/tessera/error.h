/* Errors: one status list, one caller-owned record.
 *
 * Every function that can fail returns a tess_status and takes a `tess_error *` last, which may be NULL.
 * On failure the record says what, where, what was found and what was expected; outputs are untouched.
 * A record is plain memory: copy it, keep it, share it between threads only after the call returned.
 */
#ifndef TESSERA_ERROR_H
#define TESSERA_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum tess_status {
    TESS_OK = 0,
    TESS_EUSAGE, /* the caller asked for something that does not exist or is out of range */
    TESS_EINPUT, /* a file or request holds something else than it must: see file, field, found, expected */
    TESS_EUNSUPPORTED, /* well-formed, but not built into this version */
    TESS_ENONFINITE,   /* a NaN or infinity appeared; `field` names the tensor */
    TESS_EIO,          /* the system failed to read or write; see os_errno, offset */
    TESS_ENOMEM,       /* the system refused memory */
    TESS_EBUDGET,      /* the memory budget cannot work; see smallest_budget_bytes */
    TESS_EINTERRUPTED, /* a callback asked to stop */
} tess_status;

typedef struct tess_error {
    tess_status status;
    int os_errno;                   /* 0 where the system did not say */
    int64_t offset;                 /* byte offset in `file`, -1 where it has no meaning */
    uint64_t smallest_budget_bytes; /* only with TESS_EBUDGET */
    char file[256];                 /* "" where no file is concerned */
    char field[160];                /* tensor, JSON field or option concerned, "" if none */
    char found[192];
    char expected[192];
    char message[1024]; /* one complete sentence for a person, naming all of the above */
} tess_error;

/* The word for a status as it appears in JSON: "bad_input", "io", …; a static string. */
const char *tess_status_name(tess_status status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
