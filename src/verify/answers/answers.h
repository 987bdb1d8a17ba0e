/* A list of known answers after checking: what the files of this folder share. */
#ifndef TESS_VERIFY_ANSWERS_ANSWERS_H
#define TESS_VERIFY_ANSWERS_ANSWERS_H

#include <jansson.h>

#include "tessera/checkpoint.h"
#include "tessera/dialog.h"
#include "tessera/known_answers.h"

typedef enum tess_known_kind {
    TESS_KNOWN_TENSORS,
    TESS_KNOWN_TOKENS,
    TESS_KNOWN_ROUTER,
    TESS_KNOWN_RANK,
    TESS_KNOWN_CHAT,
    TESS_N_KNOWN_KIND,
} tess_known_kind;
const char *tess_known_kind_name(tess_known_kind kind);

typedef enum tess_known_text { TESS_KNOWN_EQUALS, TESS_KNOWN_BEGINS, TESS_KNOWN_CONTAINS } tess_known_text;
const char *tess_known_text_name(tess_known_text how); /* as in the file: "equals", "begins", "contains" */

/* What a count of tensors counts. */
typedef enum tess_known_scope {
    TESS_KNOWN_ALL,       /* "all" */
    TESS_KNOWN_COMPONENT, /* "audio tower" */
    TESS_KNOWN_EXPERTS,   /* "thinker text experts": routed ones */
    TESS_KNOWN_TENSOR,    /* a tensor's name, which has a dot */
} tess_known_scope;

/* One answer. Texts and arrays belong to the parsed file, which is kept: a few kilobytes. Members that a kind
 * does not have are zero. */
typedef struct tess_known_answer {
    tess_known_kind kind;
    const char *name, *source;
    char field[32];           /* "answers[3]", for messages */
    const char *of;           /* tensors: what is counted, as the file says it */
    tess_known_scope scope;   /* tensors */
    tess_component component; /* tensors, of a component or its experts */
    int64_t n_tensor, n_parameter, n_byte;
    const char *prompt;     /* tokens, router, rank: raw text, not empty */
    const json_t *ids;      /* tokens: integers */
    int64_t last_id;        /* router: the prompt's last id, -1 if not said */
    int64_t layer;          /* router */
    const json_t *experts;  /* router: distinct integers of 0 or more, by falling weight */
    const json_t *weights;  /* router: as many numbers, or NULL */
    const char *token;      /* rank: its text */
    int64_t rank;           /* rank: 0 if not known */
    const json_t *seen;     /* rank: objects with rank, where and source; or NULL */
    tess_conversation talk; /* chat: at least one turn */
    tess_known_text how;
    const char *text; /* chat: what the answer equals, begins with or contains */
    int64_t max_new;
} tess_known_answer;

struct tess_known_answers {
    json_t *root;
    char *path;
    const char *checkpoint;
    const json_t *configuration; /* dotted keys of config.json to values */
    tess_known_answer *answer;
    size_t n_answer;
};

/* A check in progress: what the answers share, and the texts about the one at hand. */
typedef struct tess_known_check {
    const tess_known_answers *answers;
    const tess_engine_options *options;
    tess_tokenizer *tokenizer;   /* NULL until an answer needs one */
    tess_checkpoint *checkpoint; /* likewise; closed before an engine is opened */
    tess_checkpoint_summary summary;
    tess_engine *engine;
    tess_session *session;
    tess_text expected, found, beside;
} tess_known_check;

/* Each fills c->expected and c->found, and says whether they agree. */
typedef tess_status tess_known_checker(tess_known_check *c, const tess_known_answer *a,
                                       tess_known_verdict *verdict, tess_error *err);
tess_known_checker tess_known_check_tensors, tess_known_check_tokens,
    tess_known_check_router;                                     /* by reading */
tess_known_checker tess_known_check_rank, tess_known_check_chat; /* by running: c->session is there */

/* Appends to a text. */
tess_status tess_known_say(tess_text *text, tess_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The ids of an answer's prompt or messages, appended. Opens the tokenizer. */
tess_status tess_known_encode(tess_known_check *c, const tess_known_answer *a, tess_ids *ids,
                              tess_error *err);
/* A field of an answer does not fit this checkpoint: TESS_EINPUT. */
tess_status tess_known_refuse(const tess_known_check *c, const tess_known_answer *a, const char *key,
                              const char *expected, const char *found, tess_error *err);

/* The built-in list, data/known_answers.json as it is. */
const char *tess_known_answers_builtin(size_t *n_byte);

#endif
