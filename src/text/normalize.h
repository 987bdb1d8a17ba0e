/* Unicode normalisation form C, as the original's version of Unicode has it. */
#ifndef TESS_TEXT_NORMALIZE_H
#define TESS_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tessera/tokenizer.h"

/* True if the valid UTF-8 has no code point that normalising might touch; then it is its own NFC. */
bool tess_nfc_is_trivial(const uint8_t *text, size_t n);

/* Appends the NFC of valid UTF-8. Errors: TESS_ENOMEM. */
tess_status tess_nfc_append(const uint8_t *text, size_t n, tess_text *out, tess_error *err);

#endif
