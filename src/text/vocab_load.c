/* The steps of loading a vocabulary, in order; each has a file of its own. */
#include "text/vocab.h"

#include <malloc.h>
#include <stdlib.h>

tess_status tess_vocab_load(const char *folder, tess_vocab *vocab, tess_error *err)
{
    *vocab = (tess_vocab){0};
    tess_token_index x = {.vocab = vocab};
    tess_tokenizer_json json;
    tess_status status = tess_tokenizer_json_read(folder, &json, err);
    if (status == TESS_OK) status = tess_vocab_load_tokens(folder, &json, vocab, &x, err);
    if (status == TESS_OK) status = tess_vocab_load_merges(folder, &json, vocab, &x, err);
    if (status == TESS_OK) status = tess_vocab_load_added(folder, &json, vocab, &x, err);
    tess_tokenizer_json_release(&json);
    free(x.slot);
    malloc_trim(0);
    if (status != TESS_OK) tess_vocab_release(vocab);
    return status;
}
