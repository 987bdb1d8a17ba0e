/* Splitting text into the words that BPE works on. */
#ifndef TESS_TEXT_PRETOKENIZE_H
#define TESS_TEXT_PRETOKENIZE_H

#include <stddef.h>
#include <stdint.h>

/* The end of the word that begins at `at` < n, in valid UTF-8. Words follow each other without gaps: the next
 * begins where this one ends. The whole text must be given, for a run of white space is cut differently when
 * something follows. */
size_t tess_word_get_end(const uint8_t *text, size_t n, size_t at);

#endif
