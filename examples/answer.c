/* Asks a question and prints the answer as it comes.
 *
 *   cc answer.c $(pkg-config --cflags --libs tessera) -o answer
 *   ./answer MODEL "What is the capital of France?"
 */
#include <stdio.h>
#include <string.h>
#include <tessera.h>

static bool print_text(void *context, const char *text, size_t n_byte)
{
    (void)context;
    bool is_whole = fwrite(text, 1, n_byte, stdout) == n_byte;
    return fflush(stdout) == 0 && is_whole;
}

/* The question, as the chat template spells it. */
static tess_status encode_question(const tess_tokenizer *tokenizer, const char *question, tess_ids *ids,
                                   tess_error *err)
{
    tess_conversation talk = {0};
    tess_status status = tess_conversation_say(&talk, "user", question, strlen(question), err);
    if (status == TESS_OK) status = tess_conversation_encode(&talk, tokenizer, TESS_CHAT_GENERATE, ids, err);
    tess_conversation_release(&talk);
    return status;
}

static tess_status answer_prompt(tess_engine *engine, const tess_tokenizer *tokenizer, const tess_ids *ids,
                                 tess_error *err)
{
    tess_session *session;
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    tess_answer answer = {0};
    const tess_feed feed = {.ids = ids->data, .n_tok = (int)ids->count};
    const tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                         .max_new = 256,
                                         .stop_ids = stop_ids,
                                         .n_stop_id = tess_stop_ids_get(engine, tokenizer, stop_ids),
                                         .on_text = print_text};
    tess_status status = tess_session_new(engine, &session, err);
    if (status != TESS_OK) return status;
    status = tess_session_feed(session, &feed, err);
    if (status == TESS_OK) status = tess_answer_generate(session, tokenizer, &request, &answer, err);
    tess_answer_release(&answer);
    tess_session_free(session);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "Usage: %s MODEL QUESTION\n", argv[0]);
        return 2;
    }
    tess_error err;
    tess_tokenizer *tokenizer = NULL;
    tess_engine *engine = NULL;
    tess_ids ids = {0};
    tess_status status = tess_tokenizer_open(argv[1], &tokenizer, &err);
    if (status == TESS_OK) status = encode_question(tokenizer, argv[2], &ids, &err);
    /* memory_bytes 0: 70 % of what is available */
    const tess_engine_options options = {.model_dir = argv[1], .n_needed = (int)ids.count + 256};
    if (status == TESS_OK) status = tess_engine_open(&options, &engine, &err);
    if (status == TESS_OK) status = answer_prompt(engine, tokenizer, &ids, &err);
    if (status == TESS_OK) putchar('\n');
    if (status != TESS_OK) fprintf(stderr, "%s\n", err.message);
    tess_engine_close(engine);
    tess_ids_release(&ids);
    tess_tokenizer_close(tokenizer);
    return status != TESS_OK;
}
