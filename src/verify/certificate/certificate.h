/* The parts of a certificate that writing and checking share. */
#ifndef TESS_VERIFY_CERTIFICATE_CERTIFICATE_H
#define TESS_VERIFY_CERTIFICATE_CERTIFICATE_H

#include <jansson.h>

#include "base/digest.h"
#include "tessera/certificate.h"

#define TESS_CERTIFICATE_FORMAT "tessera certificate"
/* How every certificate begins; the digest's digits follow, and a quote. */
#define TESS_CERTIFICATE_HEAD                                                                                \
    "{\n \"format\": \"" TESS_CERTIFICATE_FORMAT "\",\n \"version\": 1,\n \"digest\": \""
/* Larger ones are neither written nor read. */
enum { TESS_CERTIFICATE_MOST_BYTES = 64 << 20 };
enum { TESS_CERTIFICATE_HEAD_BYTES = sizeof TESS_CERTIFICATE_HEAD - 1, TESS_SHA256_DIGITS = 64 };

/* The digest of a certificate's bytes; what stands in the place of its digits does not matter. */
void tess_certificate_digest(const char *bytes, size_t n_byte, char hex[TESS_SHA256_HEX]);

/* A case as the certificate holds it, from what a run found. `path` is how the golden is named in it,
 * `truth_sha256` NULL where no truth was given. NULL: no memory. */
json_t *tess_certificate_case_json(const tess_golden *golden, const tess_compare_result *result,
                                   const char *path, const char *golden_sha256, bool isolated,
                                   const char *truth_path, const char *truth_sha256);

/* What the checkpoint in `model_dir` is; `folder` is how it is named. */
tess_status tess_certificate_checkpoint_json(const char *model_dir, const char *folder,
                                             const char *weights_sha256, json_t **out, tess_error *err);
/* What a golden says of its making. Not the text it was made from, for which its digest stands. */
tess_status tess_certificate_reference_json(const char *path, json_t **out, tess_error *err);

/* Whether two objects of one kind differ, and where first; `name` is what they are in a certificate. */
bool tess_certificate_find_difference(const json_t *certified, const json_t *found, const char *name,
                                      tess_certificate_difference *out);

#endif
