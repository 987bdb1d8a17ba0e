/* The spectrogram of what was heard, as an SVG: seconds to the right, hertz upwards, a line between frames,
 * above each what was heard in it, and the two symbols that it was heard as. Of a long file, the first 60
 * frames. */
#ifndef LISTEN_SPECTROGRAM_H
#define LISTEN_SPECTROGRAM_H

#include "base/error.h"
#include "tessera/tokenizer.h"
#include "voice.h"

/* tokenizer: NULL writes ids above the frames. The file appears whole. Errors: TESS_EIO, TESS_ENOMEM,
 * TESS_EUSAGE  the name is empty, or a folder's. */
tess_status spectrogram_write(const char *path, const float *samples, size_t n_sample,
                              const voice_token *tokens, size_t n_token, const tess_tokenizer *tokenizer,
                              tess_error *err);

#endif
