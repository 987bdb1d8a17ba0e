/* Whether a golden's ids are what its text becomes with a checkpoint's own tokenizer and chat template.
 *
 * A golden may say what was said (metadata `raw` or `messages`). Where the model's folder has tokenizer
 * files, the text is rendered and encoded anew, and media are prepared anew; a difference from `in.input_ids`
 * or from their tensors is a defect that no tap of the network would show. */
#ifndef TESS_VERIFY_GOLDEN_PROMPT_CHECK_H
#define TESS_VERIFY_GOLDEN_PROMPT_CHECK_H

#include "tessera/dialog.h"
#include "tessera/tokenizer.h"
#include "tessera/trace.h"

typedef struct tess_prompt_check {
    bool is_checked; /* there are a text and a tokenizer, and all media are at hand */
    tess_conversation talk;
    tess_prompt prompt;    /* what the text becomes */
    const char *component; /* at fault if its ids are not the golden's: "tokenizer" or "chat_template" */
    char *unchecked;       /* why it is not checked although there are a text and a tokenizer */
} tess_prompt_check;

/* `golden` is the path, for messages. Errors: TESS_EINPUT  messages that are none, a tokenizer that cannot be
 * read, media that cannot be decoded; TESS_ENOMEM. Release in any case. */
tess_status tess_prompt_check_make(const char *model_dir, const char *golden, const tess_trace_inputs *inputs,
                                   tess_prompt_check *out, tess_error *err);
void tess_prompt_check_release(tess_prompt_check *check);

#endif
