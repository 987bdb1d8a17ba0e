/* Conversations: growing, messages from JSON and back, refusals by path, and what the template makes of them.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tessera.h"

#define GOLDEN "tests/golden/text/"

static tess_error err;

static tess_status parse(tess_conversation *c, const char *json)
{
    return tess_conversation_parse(c, "a.json", json, strlen(json), &err);
}

static void assert_renders(const tess_conversation *c, const char *expected)
{
    tess_text text = {0};
    assert_int_equal(tess_conversation_render(c, TESS_CHAT_GENERATE, &text, &err), TESS_OK);
    assert_string_equal(text.data, expected);
    tess_text_release(&text);
}

static void assert_writes(const tess_conversation *c, const char *expected)
{
    tess_text json = {0};
    assert_int_equal(tess_conversation_write(c, &json, &err), TESS_OK);
    assert_string_equal(json.data, expected);
    tess_text_release(&json);
}

static void test_growing(void **state)
{
    (void)state;
    tess_conversation c = {0};
    assert_int_equal(tess_conversation_render(&c, 0, &(tess_text){0}, &err), TESS_EINPUT);
    assert_int_equal(tess_conversation_say(&c, "system", "Be brief.", 9, &err), TESS_OK);
    assert_int_equal(tess_conversation_say(&c, "user", "a\0b", 3, &err), TESS_OK);
    assert_int_equal(c.turn[1].content[0].n_byte, 3);
    assert_memory_equal(c.turn[1].content[0].data, "a\0b", 4);
    assert_int_equal(tess_conversation_say(&c, "king", "x", 1, &err), TESS_EINPUT);
    assert_string_equal(err.field, "messages[2].role");
    assert_int_equal(tess_conversation_say(&c, "user", "ab\xff", 3, &err), TESS_EINPUT);
    assert_int_equal(err.offset, 2);
    assert_int_equal(c.count, 2);
    tess_conversation_truncate(&c, 1);
    assert_int_equal(tess_conversation_begin_list(&c, "user", &err), TESS_OK);
    assert_renders(&c, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<|im_end|>\n"
                       "<|im_start|>assistant\n");
    assert_int_equal(tess_conversation_add_text(&c, "Hi, ", 4, &err), TESS_OK);
    assert_int_equal(tess_conversation_add_text(&c, "\xc3", 1, &err), TESS_EINPUT);
    assert_int_equal(tess_conversation_add_text(&c, "you.", 4, &err), TESS_OK);
    assert_renders(&c, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi, you.<|im_end|>\n"
                       "<|im_start|>assistant\n");
    tess_conversation_release(&c);
    assert_int_equal(c.count, 0);
    assert_null(c.turn);
}

static void test_most(void **state)
{
    (void)state;
    tess_conversation c = {0};
    for (int i = 0; i < TESS_CONVERSATION_MAX_TURNS; i++)
        assert_int_equal(tess_conversation_say(&c, "user", "", 0, &err), TESS_OK);
    assert_int_equal(tess_conversation_say(&c, "user", "", 0, &err), TESS_EUSAGE);
    assert_int_equal(parse(&c, "[{\"role\":\"user\",\"content\":\"\"}]"), TESS_EINPUT);
    tess_conversation_truncate(&c, 1);
    tess_conversation_begin_list(&c, "user", &err);
    for (int i = 0; i < TESS_CONVERSATION_MAX_PARTS; i++)
        assert_int_equal(tess_conversation_add_text(&c, "", 0, &err), TESS_OK);
    assert_int_equal(tess_conversation_add_text(&c, "", 0, &err), TESS_EUSAGE);
    tess_conversation_release(&c);
}

/* Every case of the original's template, read from JSON as it stands there. */
static void test_originals(void **state)
{
    (void)state;
    tess_tokenizer *t;
    assert_int_equal(tess_tokenizer_open(GOLDEN, &t, &err), TESS_OK);
    json_t *root = json_load_file(GOLDEN "chat.json", 0, NULL);
    assert_non_null(root);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(root, "cases"), i, item)
    {
        char *json = json_dumps(json_object_get(item, "messages"), 0);
        tess_conversation c = {0};
        tess_text text = {0}, again = {0};
        tess_ids ids = {0};
        unsigned flags = 0;
        if (json_is_true(json_object_get(item, "add_generation_prompt"))) flags |= TESS_CHAT_GENERATE;
        if (json_is_false(json_object_get(item, "enable_thinking"))) flags |= TESS_CHAT_NO_THINKING;
        assert_int_equal(parse(&c, json), TESS_OK);
        assert_int_equal(tess_conversation_render(&c, flags, &text, &err), TESS_OK);
        assert_string_equal(text.data, json_string_value(json_object_get(item, "text")));
        assert_int_equal(tess_conversation_encode(&c, t, flags, &ids, &err), TESS_OK);
        const json_t *expected = json_object_get(item, "ids");
        assert_int_equal(ids.count, json_array_size(expected));
        for (size_t k = 0; k < ids.count; k++)
            assert_int_equal(ids.data[k], json_integer_value(json_array_get(expected, k)));
        /* written and read again it is the same */
        free(json);
        assert_int_equal(tess_conversation_write(&c, &again, &err), TESS_OK);
        tess_conversation_release(&c);
        assert_int_equal(parse(&c, again.data), TESS_OK);
        text.count = 0;
        assert_int_equal(tess_conversation_render(&c, flags, &text, &err), TESS_OK);
        assert_string_equal(text.data, json_string_value(json_object_get(item, "text")));
        tess_conversation_release(&c);
        tess_text_release(&text);
        tess_text_release(&again);
        tess_ids_release(&ids);
    }
    assert_true(i > 200);
    json_decref(root);
    tess_tokenizer_close(t);
}

/* A list that the conversation begins with as "system": each part is a block of its own, an empty list none.
 * A later one is one block. */
static void test_system_lists(void **state)
{
    (void)state;
#define LIST                                                                                                 \
    "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"Be "                                    \
    "brief.\"},{\"type\":\"text\",\"text\":\"And kind.\"}]}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
    static const char hi[] = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    tess_conversation c = {0};
    assert_int_equal(parse(&c, "[" LIST "," HI "]"), TESS_OK);
    assert_renders(&c, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>system\nAnd kind.<|im_end|>\n"
                       "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    tess_conversation_truncate(&c, 0);
    assert_int_equal(parse(&c, "[{\"role\":\"system\",\"content\":[]}," HI "]"), TESS_OK);
    assert_renders(&c, hi);
    tess_conversation_truncate(&c, 0);
    assert_int_equal(parse(&c, "[" HI "," LIST "]"), TESS_OK);
    assert_renders(&c, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>system\nBe brief.And kind.<|im_end|>\n"
                       "<|im_start|>assistant\n");
    tess_conversation_release(&c);
}

/* Media are held in their places, written as they were, and refused by name where they would be rendered. */
static void test_media(void **state)
{
    (void)state;
    tess_conversation c = {0};
    assert_int_equal(
        parse(&c, "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"a.png\"},"
                  "{\"type\":\"text\",\"text\":\"What is it?\"},{\"path\":\"b.wav\",\"type\":\"audio\"},"
                  "{\"type\":\"video\",\"video\":\"c.mp4\"}]}]"),
        TESS_OK);
    const tess_turn *turn = &c.turn[0];
    assert_int_equal(turn->n_content, 4);
    assert_true(turn->is_list);
    assert_int_equal(turn->content[0].kind, TESS_CONTENT_IMAGE);
    assert_string_equal(turn->content[0].data, "a.png");
    assert_int_equal(turn->content[1].kind, TESS_CONTENT_TEXT);
    assert_int_equal(turn->content[2].kind, TESS_CONTENT_AUDIO);
    assert_string_equal(turn->content[2].data, "b.wav");
    assert_int_equal(turn->content[3].kind, TESS_CONTENT_VIDEO);
    assert_writes(&c, "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"a.png\"},"
                      "{\"type\":\"text\",\"text\":\"What is it?\"},{\"type\":\"audio\",\"audio\":\"b.wav\"},"
                      "{\"type\":\"video\",\"video\":\"c.mp4\"}]}]");
    tess_text text = {0};
    assert_int_equal(tess_conversation_render(&c, 0, &text, &err), TESS_OK);
    assert_string_equal(text.data,
                        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?"
                        "<|audio_start|><|audio_pad|><|audio_end|><|vision_start|><|video_pad|><|vision_end|>"
                        "<|im_end|>\n");
    tess_conversation_truncate(&c, 0);
    tess_conversation_say(&c, "user", "x", 1, &err);
    tess_conversation_begin_list(&c, "assistant", &err);
    tess_conversation_add_text(&c, "y", 1, &err);
    tess_conversation_add_medium(&c, TESS_CONTENT_VIDEO, "c.mp4", &err);
    assert_int_equal(tess_conversation_render(&c, 0, &text, &err), TESS_EINPUT);
    assert_string_equal(err.field, "messages[1].content[1]");
    assert_non_null(strstr(err.message, "media stand in what the user says"));
    tess_text_release(&text);
    tess_conversation_release(&c);
}

static void test_members(void **state)
{
    (void)state;
    tess_conversation c = {0};
    static const char json[] = "[{\"role\":\"user\",\"content\":\"a\\u0000b\",\"name\":7},"
                               "{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"d\"},"
                               "{\"role\":\"assistant\",\"content\":\"e\",\"reasoning_content\":null,"
                               "\"tool_calls\":[]}]";
    assert_int_equal(parse(&c, json), TESS_OK);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.turn[0].content[0].n_byte, 3);
    assert_string_equal(c.turn[1].reasoning, "d");
    assert_null(c.turn[2].reasoning);
    assert_writes(&c, "[{\"role\":\"user\",\"content\":\"a\\u0000b\"},"
                      "{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"d\"},"
                      "{\"role\":\"assistant\",\"content\":\"e\"}]");
    assert_int_equal(parse(&c, "[{\"role\":\"user\",\"content\":\"f\"}]"), TESS_OK); /* appended */
    assert_int_equal(c.count, 4);
    tess_conversation_release(&c);
}

static void test_refusals(void **state)
{
    (void)state;
#define USER(content) "[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":" content "}]"
    static const struct {
        const char *json, *field, *found;
        tess_status status;
    } cases[] = {
        {"", "messages", "'[' or '{' expected", TESS_EINPUT},
        {"no JSON", "messages", "'[' or '{' expected", TESS_EINPUT},
        {"[] x", "messages", "end of file expected", TESS_EINPUT},
        {"{}", "messages", "an object", TESS_EINPUT},
        {"[]", "messages", "none", TESS_EINPUT},
        {"[1]", "messages[0]", "an integer", TESS_EINPUT},
        {"[{\"content\":\"x\"}]", "messages[0].role", "nothing", TESS_EINPUT},
        {"[{\"role\":5,\"content\":\"x\"}]", "messages[0].role", "an integer", TESS_EINPUT},
        {"[{\"role\":\"king\",\"content\":\"x\"}]", "messages[0].role", "\"king\"", TESS_EINPUT},
        {"[{\"role\":\"user\\u0000\",\"content\":\"x\"}]", "messages[0].role", "\"user\\u0000\"",
         TESS_EINPUT},
        {"[{\"role\":\"user\"}]", "messages[0].content", "nothing", TESS_EINPUT},
        {"[{\"role\":\"user\",\"role\":\"system\",\"content\":\"x\"}]", "messages", "duplicate object key",
         TESS_EINPUT},
        {USER("null"), "messages[1].content", "null", TESS_EINPUT},
        {USER("{}"), "messages[1].content", "an object", TESS_EINPUT},
        {USER("[\"x\"]"), "messages[1].content[0]", "a string", TESS_EINPUT},
        {USER("[{}]"), "messages[1].content[0].type", "nothing", TESS_EINPUT},
        {USER("[{\"text\":\"x\"}]"), "messages[1].content[0].type", "nothing", TESS_EINPUT},
        {USER("[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"image_url\"}]"), "messages[1].content[1].type",
         "\"image_url\"", TESS_EINPUT},
        {USER("[{\"type\":7,\"text\":\"x\"}]"), "messages[1].content[0].type", "an integer", TESS_EINPUT},
        {USER("[{\"type\":\"text\"}]"), "messages[1].content[0].text", "nothing", TESS_EINPUT},
        {USER("[{\"type\":\"text\",\"text\":1.5}]"), "messages[1].content[0].text", "a number", TESS_EINPUT},
        {USER("[{\"type\":\"audio\"}]"), "messages[1].content[0].audio", "nothing", TESS_EINPUT},
        {USER("[{\"type\":\"audio\",\"audio\":\"\"}]"), "messages[1].content[0].audio", "\"\"", TESS_EINPUT},
        {USER("[{\"type\":\"audio\",\"audio\":\"a\\u0000b\"}]"), "messages[1].content[0].audio",
         "\"a\\u0000b\"", TESS_EINPUT},
        {USER("[{\"type\":\"audio\",\"audio\":\"a\",\"path\":\"b\"}]"), "messages[1].content[0].path",
         "\"b\"", TESS_EINPUT},
        {USER("[{\"type\":\"video\",\"video\":\"a\",\"fps\":1}]"), "messages[1].content[0].fps", "1",
         TESS_EUNSUPPORTED},
        {USER("[{\"type\":\"image\",\"image\":\"a\",\"max_pixels\":5}]"), "messages[1].content[0].max_pixels",
         "5", TESS_EUNSUPPORTED},
        {USER("[{\"type\":\"audio\",\"path\":\"a\",\"audio_end\":2.5}]"), "messages[1].content[0].audio_end",
         "2.5", TESS_EUNSUPPORTED},
        {USER("\"x\",\"reasoning_content\":3"), "messages[1].reasoning_content", "an integer", TESS_EINPUT},
        {USER("\"x\",\"reasoning_content\":\"a\\u0000\""), "messages[1].reasoning_content", "\"a\\u0000\"",
         TESS_EINPUT},
        {USER("\"x\",\"tool_calls\":[{}]"), "messages[1].tool_calls", "", TESS_EUNSUPPORTED},
        {USER("\"x\",\"tool_calls\":{\"a\":1}"), "messages[1].tool_calls", "", TESS_EUNSUPPORTED},
        {USER("\"x\",\"tool_calls\":\"a\""), "messages[1].tool_calls", "", TESS_EUNSUPPORTED},
        {USER("\"\xff\""), "messages", "unable to decode byte 0xff", TESS_EINPUT},
    };
    tess_conversation c = {0};
    tess_conversation_say(&c, "user", "kept", 4, &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&err, 0, sizeof err);
        assert_int_equal(parse(&c, cases[i].json), cases[i].status);
        assert_string_equal(err.field, cases[i].field);
        if (!strstr(err.found, cases[i].found)) fail_msg("%s: %s", cases[i].json, err.message);
        assert_non_null(strstr(err.message, "a.json"));
        assert_int_equal(c.count, 1);
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    assert_int_equal(tess_conversation_parse(&c, "a.json", deep, sizeof deep, &err), TESS_EINPUT);
    assert_int_equal(
        tess_conversation_parse(&c, "a.json", "[]", (size_t)TESS_CONVERSATION_MAX_JSON_BYTES + 1, &err),
        TESS_EINPUT);
    assert_int_equal(parse(&c, USER("[{\"type\":\"text\",\"text\":null}]")), TESS_EINPUT);
    assert_int_equal(tess_conversation_parse(&c, "a.json", "no", 2, NULL), TESS_EINPUT);
    tess_conversation_release(&c);
}

static void test_load(void **state)
{
    (void)state;
    char path[] = "build/test_conversation_XXXXXX";
    int fd = mkstemp(path);
    static const char json[] = "[{\"role\":\"user\",\"content\":\"Hi\"}]\n";
    assert_true(fd >= 0 && write(fd, json, sizeof json - 1) == (ssize_t)sizeof json - 1);
    tess_conversation c = {0};
    assert_int_equal(tess_conversation_load(&c, path, &err), TESS_OK);
    assert_renders(&c, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    assert_int_equal(ftruncate(fd, (off_t)TESS_CONVERSATION_MAX_JSON_BYTES + 1), 0);
    assert_int_equal(tess_conversation_load(&c, path, &err), TESS_EINPUT);
    assert_string_equal(err.file, path);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(tess_conversation_load(&c, path, &err), TESS_EINPUT);
    close(fd);
    unlink(path);
    assert_int_equal(tess_conversation_load(&c, path, &err), TESS_EINPUT);
    assert_string_equal(err.file, path);
    assert_int_equal(tess_conversation_load(&c, "build", &err), TESS_EINPUT);
    assert_int_equal(c.count, 1);
    tess_conversation_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),      cmocka_unit_test(test_most),  cmocka_unit_test(test_originals),
        cmocka_unit_test(test_system_lists), cmocka_unit_test(test_media), cmocka_unit_test(test_members),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests_name("conversation", tests, NULL, NULL);
}
