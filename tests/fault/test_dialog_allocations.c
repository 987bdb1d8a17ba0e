/* Every allocation of reading messages, of rendering them, of preparing media and of an answer fails once:
 * reported as such, the conversation as it was before, nothing leaked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/media.h"
#include "../support/talking.h"
#include "tessera.h"

static const char model[] = "demo/checkpoint";
static const char messages[] =
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"assistant\",\"content\":\"Yes.\",\"reasoning_content\":\"Why not.\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is the capital \"},"
    "{\"type\":\"text\",\"text\":\"of France?\"}]}]";
static const char media_model[] = "tests/golden/e";
static tess_tokenizer *tokenizer, *media_tokenizer;
static uint8_t *picture;
static size_t n_picture;
static test_medium clip;
static tess_engine *engine;
static tess_session *session;
static tess_error err;

static int open_all(void **state)
{
    (void)state;
    const tess_engine_options options = {.model_dir = model, .memory_bytes = 1u << 30, .n_thread = 1};
    return tess_tokenizer_open(model, &tokenizer, &err) == TESS_OK &&
                   tess_engine_open(&options, &engine, &err) == TESS_OK &&
                   tess_session_new(engine, &session, &err) == TESS_OK
               ? 0
               : -1;
}

static int close_all(void **state)
{
    (void)state;
    tess_session_free(session);
    tess_engine_close(engine);
    tess_tokenizer_close(tokenizer);
    return 0;
}

/* Says something, takes messages after it, and adds to them: a failure leaves what was there. */
static tess_status converse(void)
{
    tess_conversation c = {0};
    tess_text json = {0};
    tess_ids ids = {0};
    size_t n = 0, n_part = 0;
    tess_status status = tess_conversation_say(&c, "user", "Hello", 5, &err);
    if (status == TESS_OK) {
        n = 1;
        status = tess_conversation_parse(&c, "here", messages, sizeof messages - 1, &err);
    }
    if (status == TESS_OK) {
        n = 4;
        n_part = 2;
        status = tess_conversation_add_text(&c, " Say", 4, &err);
    }
    if (status == TESS_OK) {
        n_part = 3;
        status = tess_conversation_set_reasoning(&c, "no", &err);
    }
    assert_int_equal(c.count, n);
    if (n == 4) assert_int_equal(c.turn[3].n_content, n_part);
    if (status == TESS_OK) status = tess_conversation_write(&c, &json, &err);
    if (status == TESS_OK) status = tess_conversation_encode(&c, tokenizer, TESS_CHAT_PLAIN, &ids, &err);
    if (status == TESS_OK) {
        tess_ids_release(&ids);
        status = tess_conversation_encode(&c, tokenizer, TESS_CHAT_GENERATE, &ids, &err);
    }
    if (status != TESS_OK) assert_int_equal(ids.count, 0);
    tess_conversation_release(&c);
    tess_text_release(&json);
    tess_ids_release(&ids);
    return status;
}

/* A picture by path and one by bytes, a clip of the caller's: what could not be prepared is as if nobody had
 * tried. */
static tess_status show(void)
{
    const tess_media_use use = {.model_dir = media_model};
    tess_conversation c = {0};
    tess_prompt prompt = {0};
    tess_status status = tess_conversation_begin_list(&c, "user", &err);
    if (status == TESS_OK)
        status = tess_conversation_add_medium(&c, TESS_CONTENT_IMAGE, "tests/golden/front/square.png", &err);
    if (status == TESS_OK)
        status =
            tess_conversation_add_medium_bytes(&c, TESS_CONTENT_IMAGE, "bytes", picture, n_picture, &err);
    if (status == TESS_OK) status = tess_conversation_add_features(&c, &clip.features, &err);
    if (status == TESS_OK) status = tess_conversation_prepare(&c, &use, &err);
    if (status == TESS_OK)
        status = tess_prompt_make(&c, media_tokenizer, media_model, TESS_CHAT_GENERATE, &prompt, &err);
    assert_int_equal(prompt.n_media, status == TESS_OK ? 3 : 0);
    for (size_t k = 0; c.count && k < c.turn[0].n_content && k < 2; k++) {
        const tess_content *content = &c.turn[0].content[k];
        assert_int_equal(content->features != NULL, content->medium != NULL);
    }
    tess_prompt_release(&prompt);
    tess_conversation_release(&c);
    return status;
}

static bool hear_text(void *context, const char *text, size_t n_byte)
{
    (void)text;
    *(size_t *)context += n_byte;
    return true;
}

static tess_status answer(void)
{
    static const int32_t prompt[] = {5, 6, 7, 8};
    static const char *const stops[] = {"never said", "nor this"};
    size_t n_heard = 0;
    int n_fed;
    tess_status status =
        tess_session_feed_rest(session, &(tess_feed){.ids = prompt, .n_tok = 4}, &n_fed, &err);
    if (status != TESS_OK) return status;
    tess_answer answer;
    tess_answer_request request = {.sampling = TESS_SAMPLING_GREEDY,
                                   .max_new = 12,
                                   .stop_texts = stops,
                                   .n_stop_text = 2,
                                   .on_text = hear_text,
                                   .context = &n_heard};
    status = tess_answer_generate(session, tokenizer, &request, &answer, &err);
    if (status == TESS_OK) {
        assert_int_equal(answer.ids.count, 12);
        assert_int_equal(answer.text.count, n_heard);
    }
    tess_answer_release(&answer);
    return status;
}

static void test_converse(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(converse, &err) > 15);
}

static void test_show(void **state)
{
    (void)state;
    picture = media_read("tests/golden/front/wide.png", &n_picture);
    test_medium_clip(&clip, 30, 1);
    assert_int_equal(tess_tokenizer_open(media_model, &media_tokenizer, &err), TESS_OK);
    assert_int_equal(show(), TESS_OK); /* libraries are loaded once */
    assert_true(fault_alloc_each(show, &err) > 20);
    tess_tokenizer_close(media_tokenizer);
    free(picture);
}

static void test_answer(void **state)
{
    (void)state;
    assert_true(fault_alloc_each(answer, &err) > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_converse), cmocka_unit_test(test_show),
                                       cmocka_unit_test(test_answer)};
    return cmocka_run_group_tests_name("dialog_allocations", tests, open_all, close_all);
}
