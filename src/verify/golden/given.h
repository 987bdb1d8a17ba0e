/* What a golden gives to its speech in place of what the run made: the answer, and the codes. */
#ifndef TESS_VERIFY_GOLDEN_GIVEN_H
#define TESS_VERIFY_GOLDEN_GIVEN_H

#include "tessera/verify.h"
#include "verify/trace/reader.h"

/* The answer's tokens, [*n] to be freed. Errors: TESS_EINPUT (there is none, or ids that the model does not
 * have), TESS_EIO, TESS_ENOMEM; what *ids is then is still to be freed. */
tess_status tess_given_answer(tess_trace_reader *reader, const tess_engine *engine, const tess_golden *golden,
                              int64_t **ids, int *n, tess_error *err);

/* Its codes [dim[0], dim[1]], codebooks and frames, to be freed; NULL: it has none. Errors: TESS_EINPUT
 * (another number of codebooks, codes that they do not have), TESS_EIO, TESS_ENOMEM; as above. */
tess_status tess_given_codes(tess_trace_reader *reader, const tess_engine *engine, const tess_golden *golden,
                             int64_t **codes, int64_t dim[2], tess_error *err);

#endif
