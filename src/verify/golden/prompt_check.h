/* Whether a golden's ids are what its text becomes with a checkpoint's own tokenizer and chat template.
 *
 * A golden may say what was said (metadata `raw` or `messages`). Where the model's folder has tokenizer
 * files, the text is rendered and encoded anew; a difference from `in.input_ids` is a defect that no tap of
 * the network would show. */
#ifndef TESS_VERIFY_GOLDEN_PROMPT_CHECK_H
#define TESS_VERIFY_GOLDEN_PROMPT_CHECK_H

#include "tessera/tokenizer.h"
#include "tessera/trace.h"

typedef struct tess_prompt_check {
    bool is_checked;       /* there are a text and a tokenizer; else the rest is empty */
    tess_ids ids;          /* what the text becomes */
    const char *component; /* at fault if they are not the golden's: "tokenizer" or "chat_template" */
} tess_prompt_check;

/* `golden` is the path, for messages. Errors: TESS_EINPUT  messages that are none, a tokenizer that cannot be
 * read; TESS_EUNSUPPORTED  content that is not text; TESS_ENOMEM. Release in any case. */
tess_status tess_prompt_check_make(const char *model_dir, const char *golden, const tess_trace_inputs *inputs,
                                   tess_prompt_check *out, tess_error *err);
void tess_prompt_check_release(tess_prompt_check *check);

#endif
