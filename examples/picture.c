/* Asks about a picture, a sound or a film, and prints the answer.
 *
 *   cc picture.c $(pkg-config --cflags --libs tessera) -o picture
 *   ./picture MODEL image photo.jpg "What is in it?"
 */
#include <stdio.h>
#include <string.h>
#include <tessera.h>

enum { MOST_NEW = 256 };

/* What the word on the command line means; -1: nothing. */
static int find_kind(const char *word)
{
    if (!strcmp(word, "image")) return TESS_CONTENT_IMAGE;
    if (!strcmp(word, "audio")) return TESS_CONTENT_AUDIO;
    return strcmp(word, "video") ? -1 : TESS_CONTENT_VIDEO;
}

/* One turn with the medium and the question behind it; the medium is decoded. */
static tess_status ask_about(tess_conversation *talk, const char *model_dir, tess_content_kind kind,
                             const char *path, const char *question, tess_error *err)
{
    const tess_media_use use = {.model_dir = model_dir};
    tess_status status = tess_conversation_begin_list(talk, "user", err);
    if (status == TESS_OK) status = tess_conversation_add_medium(talk, kind, path, err);
    if (status == TESS_OK) status = tess_conversation_add_text(talk, question, strlen(question), err);
    return status == TESS_OK ? tess_conversation_prepare(talk, &use, err) : status;
}

static tess_status answer_feed(tess_engine *engine, const tess_tokenizer *tokenizer, const tess_feed *feed,
                               tess_answer *answer, tess_error *err)
{
    tess_session *session;
    int32_t stop_ids[TESS_STOP_MAX_IDS];
    const tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                         .max_new = MOST_NEW,
                                         .stop_ids = stop_ids,
                                         .n_stop_id = tess_stop_ids_get(engine, tokenizer, stop_ids)};
    tess_status status = tess_session_new(engine, &session, err);
    if (status != TESS_OK) return status;
    status = tess_session_feed(session, feed, err);
    if (status == TESS_OK) status = tess_answer_generate(session, tokenizer, &request, answer, err);
    tess_session_free(session);
    return status;
}

/* The plan provides for the media of the prompt: it is made with the prompt at hand. */
static tess_status answer_prompt(const char *model_dir, const tess_tokenizer *tokenizer,
                                 const tess_prompt *prompt, tess_answer *answer, tess_error *err)
{
    tess_engine *engine;
    const tess_feed feed = tess_prompt_get_feed(prompt);
    const tess_engine_options options = {
        .model_dir = model_dir, .n_needed = feed.n_tok + MOST_NEW, .expected = &feed, .n_expected = 1};
    tess_status status = tess_engine_open(&options, &engine, err);
    if (status != TESS_OK) return status;
    status = answer_feed(engine, tokenizer, &feed, answer, err);
    tess_engine_close(engine);
    return status;
}

int main(int argc, char **argv)
{
    int kind = argc == 5 ? find_kind(argv[2]) : -1;
    if (kind < 0) {
        fprintf(stderr, "Usage: %s MODEL image|audio|video FILE QUESTION\n", argv[0]);
        return 2;
    }
    tess_error err;
    tess_tokenizer *tokenizer = NULL;
    tess_conversation talk = {0};
    tess_prompt prompt = {0};
    tess_answer answer = {0};
    tess_status status = tess_tokenizer_open(argv[1], &tokenizer, &err);
    if (status == TESS_OK)
        status = ask_about(&talk, argv[1], (tess_content_kind)kind, argv[3], argv[4], &err);
    if (status == TESS_OK)
        status = tess_prompt_make(&talk, tokenizer, argv[1], TESS_CHAT_GENERATE, &prompt, &err);
    if (status == TESS_OK) status = answer_prompt(argv[1], tokenizer, &prompt, &answer, &err);
    if (status == TESS_OK && answer.text.count) fwrite(answer.text.data, 1, answer.text.count, stdout);
    if (status == TESS_OK) putchar('\n');
    if (status != TESS_OK) fprintf(stderr, "%s\n", err.message);
    tess_answer_release(&answer);
    tess_prompt_release(&prompt);
    tess_conversation_release(&talk);
    tess_tokenizer_close(tokenizer);
    return status != TESS_OK;
}
