/* Filling in error records, and the one way to abort. */
#ifndef TESS_BASE_ERROR_H
#define TESS_BASE_ERROR_H

#include "tessera/error.h"

/* Fills `err` (may be NULL) with a sentence and returns `status`. */
tess_status tess_fail(tess_error *err, tess_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The shortest decimal number that reads back as `value`, for messages. */
void tess_spell_number(double value, char out[32]);

/* A file or request holds the wrong thing: TESS_EINPUT.
 * file, field: "" where they do not apply; offset: -1 likewise; expected: what would have been right.
 * The format says what was found. */
tess_status tess_refuse(tess_error *err, const char *file, const char *field, int64_t offset,
                        const char *expected, const char *found_format, ...)
    __attribute__((format(printf, 6, 7)));

/* The caller's option `option`, a member's name, is out of range: TESS_EUSAGE. Otherwise like tess_refuse().
 */
tess_status tess_refuse_option(tess_error *err, const char *option, const char *expected,
                               const char *found_format, ...) __attribute__((format(printf, 4, 5)));

/* The same for what is well-formed, but not built into this version: TESS_EUNSUPPORTED. */
tess_status tess_refuse_unsupported(tess_error *err, const char *field, const char *expected,
                                    const char *found_format, ...) __attribute__((format(printf, 4, 5)));
/* More tokens than there are positions: TESS_EUSAGE. An option `n_context` while the plan has fewer than the
 * model, `n_most`; else `n_tok`, the prompt's length. file: whose prompt it is, "" if nobody's. parts: what
 * the prompt's tokens are the sum of, "" if that is not told. n_before: positions that are taken; n_new:
 * tokens to generate. */
tess_status tess_refuse_context(tess_error *err, const char *file, int64_t n_prompt, const char *parts,
                                int n_before, int n_new, int n_context, int n_most);
/* The option `max_bytes` is too little for a file: TESS_EBUDGET, with n_byte as the smallest budget. what: a
 * sentence up to those bytes ("preparing it takes"). Whoever has nothing left says 1. */
tess_status tess_refuse_bytes(tess_error *err, const char *file, const char *what, uint64_t n_byte,
                              uint64_t max_bytes);

/* The system call described by `what` ("read", "open") failed with errno `code`: TESS_EIO, or TESS_ENOMEM. */
tess_status tess_fail_system(tess_error *err, int code, const char *file, int64_t offset, const char *what);

/* A broken invariant of ours: prints file and line and aborts. The only abort of the library. */
_Noreturn void tess_bug(const char *file, int line, const char *what);
#define TESS_BUG(what) tess_bug(__FILE__, __LINE__, what)

/* Contract checks on the caller: on in debug and sanitizer builds. */
#ifdef TESS_DEBUG
#define TESS_ASSERT(condition) ((condition) ? (void)0 : tess_bug(__FILE__, __LINE__, #condition))
#else
#define TESS_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
