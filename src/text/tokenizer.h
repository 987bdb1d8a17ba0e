/* What a tokenizer is made of; shared by the files that implement include/tessera/tokenizer.h. */
#ifndef TESS_TEXT_TOKENIZER_H
#define TESS_TEXT_TOKENIZER_H

#include "tessera/tokenizer.h"
#include "text/vocab.h"

/* An added token as it is looked for. */
typedef struct tess_pattern {
    char *text;
    size_t n;
    int32_t id;
} tess_pattern;

/* Patterns by first byte, of one first byte the longest first. */
typedef struct tess_matcher {
    tess_pattern *pattern;
    size_t n_patterns;
    uint16_t first[257]; /* patterns that begin with byte b: first[b] .. first[b + 1] - 1 */
} tess_matcher;

struct tess_tokenizer {
    tess_vocab vocab;
    tess_matcher original;   /* looked for in the text as it is */
    tess_matcher normalized; /* looked for in its NFC */
    tess_text warning;       /* about the chat template file; empty if there is nothing to say */
};

#endif
