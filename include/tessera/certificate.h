/* Certificates: what a verification found, in a file that says of what, by what and with what, and that
 * anybody with the checkpoint and the goldens can have come out again.
 *
 * A certificate is JSON and carries the SHA-256 of its own bytes, taken with the digest's 64 digits as zeros.
 * That shows a slip of the disk or of an editor; it is no signature. What a certificate says, and what it
 * does not, is in docs/VERIFICATION.md.
 */
#ifndef TESSERA_CERTIFICATE_H
#define TESSERA_CERTIFICATE_H

#include "tessera/verify.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- writing ---- */

/* How an engine ran. */
typedef struct tess_certified_run {
    tess_precision precision;
    const char *isa; /* static */
    int n_thread, n_context, n_chunk;
    uint64_t budget_bytes;
} tess_certified_run;
tess_certified_run tess_certified_run_of(const tess_engine *engine);

/* One golden and what it was found to be. */
typedef struct tess_certified_case {
    const tess_golden *golden;
    const tess_compare_result *result;
    const char *truth; /* file by which a bfloat16 golden was judged; NULL: computed, or none was needed */
} tess_certified_case;

typedef struct tess_certifying {
    const char *model_dir;
    const char *weights_sha256;    /* of the checkpoint, 64 digits */
    bool isolated;                 /* how all cases were run */
    const tess_certified_run *run; /* [n_run] one per engine that was opened */
    int n_run;
    const tess_certified_case *cases; /* [n_case] */
    int n_case;
} tess_certifying;

/* Writes a certificate, under a temporary name and renamed. Goldens and truths are hashed now.
 * Errors: TESS_EINPUT the checkpoint or a golden is not readable any more; TESS_EUSAGE a path that is not
 * UTF-8, which JSON cannot hold, or so many results that the file would pass 64 MiB; TESS_EIO, TESS_ENOMEM.
 * After an error there is no new file. */
tess_status tess_certificate_write(const tess_certifying *what, const char *path, tess_error *err);

/* Whether a certificate could be written to `path`: asked before a long run, it saves the run. Leaves nothing
 * behind. */
tess_status tess_certificate_probe(const char *path, tess_error *err);

/* ---- reading and checking ---- */

typedef struct tess_certificate tess_certificate;

/* Reads a certificate, and checks its digest and every field that is needed to have it come out again.
 * Errors: TESS_EINPUT with err->field: altered, malformed, or of another version; TESS_EIO, TESS_ENOMEM. */
tess_status tess_certificate_read(const char *path, tess_certificate **out, tess_error *err);
void tess_certificate_free(tess_certificate *certificate); /* NULL is fine */

/* Texts live as long as the certificate. */
const char *tess_certificate_get_digest(const tess_certificate *certificate);
const char *tess_certificate_get_date(const tess_certificate *certificate);      /* "2026-01-31T12:00:00Z" */
const char *tess_certificate_get_version(const tess_certificate *certificate);   /* of the engine */
const char *tess_certificate_get_verdict(const tess_certificate *certificate);   /* "equal", … */
const char *tess_certificate_get_model_dir(const tess_certificate *certificate); /* as it was given */
bool tess_certificate_is_isolated(const tess_certificate *certificate);
int tess_certificate_get_case_count(const tess_certificate *certificate);
const char *tess_certificate_get_golden(const tess_certificate *certificate, int i); /* as it was given */

/* Whether the checkpoint in `model_dir`, whose weights have this digest, is the certified one: TESS_EINPUT
 * with err->field "config_sha256", "weights_sha256", or what else is said of it as "checkpoint.tensors", if
 * not. weights_sha256 NULL: the configuration alone is compared, which takes no hashing of weights. */
tess_status tess_certificate_check_model(const tess_certificate *certificate, const char *model_dir,
                                         const char *weights_sha256, tess_error *err);

/* Finds the golden of case i, and its truth if one was given (else *truth is NULL): at the path it was given
 * by, else from the certificate's folder, by that path or by its last part. The bytes must be the certified
 * ones. The caller frees both. TESS_EINPUT: there is no such file, or it is another (err->field). */
tess_status tess_certificate_find_golden(const tess_certificate *certificate, int i, char **golden,
                                         char **truth, tess_error *err);

/* What differs first between a certificate and a run of the same: a field, and both its values as JSON. */
typedef struct tess_certificate_difference {
    char field[192], certified[96], found[96];
} tess_certificate_difference;

/* Compares case i with a new run of it, and what is said of its golden with the golden. Everything must be
 * the same, each metric to the last bit, because results do not depend on budget, threads or instruction set;
 * the mean ratio of bfloat16, which goes through the system's logarithm, to one part in 10^12. *is_same
 * false: *difference says where. */
tess_status tess_certificate_compare(const tess_certificate *certificate, int i, const tess_golden *golden,
                                     const tess_compare_result *result, bool *is_same,
                                     tess_certificate_difference *difference, tess_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
