/* The three steps of loading a vocabulary, in order; each has a file of its own. */
#include "text/vocab.h"

#include <malloc.h>
#include <stdlib.h>

tess_status tess_vocab_load(const char *folder, tess_vocab *vocab, tess_error *err)
{
    *vocab = (tess_vocab){0};
    tess_token_index x = {.vocab = vocab};
    tess_status status = tess_vocab_load_tokens(folder, vocab, &x, err);
    if (status == TESS_OK) status = tess_vocab_load_merges(folder, vocab, &x, err);
    if (status == TESS_OK) status = tess_vocab_load_added(folder, vocab, &x, err);
    free(x.slot);
    malloc_trim(0);
    if (status != TESS_OK) tess_vocab_release(vocab);
    return status;
}
