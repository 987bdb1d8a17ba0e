/* The chat template equals the published one's text, and what it does not do is refused. */
#include "tessera/chat.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/scratch.h"

#define GOLDEN "tests/golden/text/"
enum { MOST_MESSAGES = 16 };

/* A message of the golden; content given as a list is joined into `joined`. */
static tess_message read_message(const json_t *item, char joined[256])
{
    const json_t *content = json_object_get(item, "content");
    tess_message m = {.role = json_string_value(json_object_get(item, "role")),
                      .reasoning = json_string_value(json_object_get(item, "reasoning_content")),
                      .content = json_string_value(content),
                      .n_content = json_string_length(content)};
    if (!json_is_array(content)) return m;
    size_t i;
    const json_t *part;
    joined[0] = 0;
    json_array_foreach(content, i, part) strcat(joined, json_string_value(json_object_get(part, "text")));
    m.content = joined;
    m.n_content = strlen(joined);
    m.from_list = true;
    return m;
}

/* The messages of a case, which `joined` must outlive. */
static size_t read_messages(const json_t *item, tess_message messages[MOST_MESSAGES],
                            char joined[MOST_MESSAGES][256])
{
    const json_t *list = json_object_get(item, "messages"), *message;
    size_t i;
    assert_true(json_array_size(list) <= MOST_MESSAGES);
    json_array_foreach(list, i, message) messages[i] = read_message(message, joined[i]);
    return i;
}

static void check_ids(const tess_ids *ids, const json_t *item)
{
    const json_t *expected = json_object_get(item, "ids");
    assert_int_equal(ids->count, json_array_size(expected));
    for (size_t k = 0; k < ids->count; k++)
        assert_int_equal(ids->data[k], json_integer_value(json_array_get(expected, k)));
}

static void check_case(const tess_tokenizer *t, const json_t *item)
{
    tess_message messages[MOST_MESSAGES];
    static char joined[MOST_MESSAGES][256];
    size_t i = read_messages(item, messages, joined);
    unsigned flags = 0;
    if (json_is_true(json_object_get(item, "add_generation_prompt"))) flags |= TESS_CHAT_GENERATE;
    if (json_is_false(json_object_get(item, "enable_thinking"))) flags |= TESS_CHAT_NO_THINKING;
    tess_text text = {0};
    tess_ids ids = {0};
    tess_error err;
    assert_int_equal(tess_chat_render(messages, i, flags, &text, &err), TESS_OK);
    assert_string_equal(text.data, json_string_value(json_object_get(item, "text")));
    assert_int_equal(tess_chat_encode(t, messages, i, flags, &ids, &err), TESS_OK);
    check_ids(&ids, item);
    tess_text_release(&text);
    tess_ids_release(&ids);
}

static void renders_as_the_original(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    assert_int_equal(tess_tokenizer_open(GOLDEN, &t, &err), TESS_OK);
    json_t *root = json_load_file(GOLDEN "chat.json", 0, NULL);
    assert_non_null(root);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(root, "cases"), i, item) check_case(t, item);
    assert_true(i > 200);
    json_decref(root);
    tess_tokenizer_close(t);
}

/* plain.json says what the original makes of control tokens that are to stay text, the places included where
 * the template cuts a content at one. */
static void keeps_control_tokens_as_text(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    assert_int_equal(tess_tokenizer_open(GOLDEN, &t, &err), TESS_OK);
    json_t *root = json_load_file(GOLDEN "plain.json", 0, NULL);
    assert_non_null(root);
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(root, "cases"), i, item)
    {
        tess_message messages[MOST_MESSAGES];
        static char joined[MOST_MESSAGES][256];
        size_t n = read_messages(item, messages, joined);
        tess_ids ids = {0};
        assert_int_equal(tess_chat_encode(t, messages, n, TESS_CHAT_GENERATE | TESS_CHAT_PLAIN, &ids, &err),
                         TESS_OK);
        check_ids(&ids, item);
        tess_ids_release(&ids);
    }
    assert_true(i > 100);
    json_decref(root);
    /* Nobody can spell the marks around them: what is no UTF-8 is refused. */
    tess_ids ids = {0};
    tess_message forged = {.role = "user", .content = "a\xfe<|im_end|>\xff", .n_content = 13};
    assert_int_equal(tess_chat_encode(t, &forged, 1, TESS_CHAT_PLAIN, &ids, &err), TESS_EINPUT);
    assert_int_equal(err.offset, 1);
    tess_tokenizer_close(t);
}

static void refuses_what_it_does_not_do(void **state)
{
    (void)state;
    tess_text text = {0};
    tess_error err;
    assert_int_equal(tess_text_append(&text, "kept", 4, &err), TESS_OK);
    tess_message messages[] = {{.role = "user", .content = "Hi", .n_content = 2}, {.role = "narrator"}};
    assert_int_equal(tess_chat_render(messages, 2, 0, &text, &err), TESS_EINPUT);
    assert_string_equal(err.field, "messages[1].role");
    assert_string_equal(err.found, "\"narrator\"");
    messages[1] = (tess_message){.role = "assistant", .has_tool_calls = true};
    assert_int_equal(tess_chat_render(messages, 2, 0, &text, &err), TESS_EUNSUPPORTED);
    assert_int_equal(tess_chat_render(messages, 1, TESS_CHAT_TOOLS, &text, &err), TESS_EUNSUPPORTED);
    assert_int_equal(tess_chat_render(messages, 0, 0, &text, &err), TESS_EINPUT);
    assert_string_equal(text.data, "kept");
    tess_text_release(&text);
}

static char folder[SCRATCH_BYTES];

static void write_file(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    scratch_write(path, content, strlen(content));
}

static void copy_file(const char *name)
{
    char from[256], *content = malloc(1 << 20);
    assert_non_null(content);
    snprintf(from, sizeof from, GOLDEN "%s", name);
    FILE *f = fopen(from, "r");
    assert_non_null(f);
    content[fread(content, 1, (1 << 20) - 1, f)] = 0;
    fclose(f);
    write_file(name, content);
    free(content);
}

static void needs_the_turn_tokens(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_ids ids = {0};
    tess_error err;
    write_file("tokenizer_config.json",
               "{\"added_tokens_decoder\": {\"808\": {\"content\": \"<|im_start|>\"}}}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    tess_message hi = {.role = "user", .content = "Hi", .n_content = 2};
    assert_int_equal(tess_chat_encode(t, &hi, 1, TESS_CHAT_GENERATE, &ids, &err), TESS_EINPUT);
    assert_string_equal(err.field, "chat template");
    assert_string_equal(err.found, "none with <|im_end|>");
    tess_tokenizer_close(t);
}

static void warns_of_an_unknown_template(void **state)
{
    (void)state;
    tess_tokenizer *t;
    tess_error err;
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_null(tess_tokenizer_get_warning(t));
    tess_tokenizer_close(t);
    write_file("chat_template.json", "abc");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    const char *warning = tess_tokenizer_get_warning(t);
    assert_non_null(warning);
    assert_non_null(strstr(warning, "/chat_template.json"));
    assert_non_null(strstr(warning, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    tess_tokenizer_close(t);
    write_file("chat_template.jinja", "{{ boom }}");
    assert_int_equal(tess_tokenizer_open(folder, &t, &err), TESS_OK);
    assert_non_null(strstr(tess_tokenizer_get_warning(t), "/chat_template.jinja"));
    tess_tokenizer_close(t);
}

/* The key of tokenizer_config.json counts where there is no file. */
static void warns_of_an_unknown_template_inside(void **state)
{
    (void)state;
    static const struct {
        const char *json, *sha256;
    } cases[] = {
        {"{\"chat_template\": \"abc\"}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"{\"chat_template\": [{\"name\": \"default\", \"template\": \"abc\"}]}", "SHA-256"},
        {"{\"chat_template\": null}", NULL},
        {"{}", NULL},
    };
    char path[256];
    tess_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tess_text warning = {0};
        snprintf(path, sizeof path, "%s/chat_template.json", folder);
        unlink(path);
        snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
        unlink(path);
        write_file("tokenizer_config.json", cases[i].json);
        assert_int_equal(tess_template_check(folder, &warning, &err), TESS_OK);
        if (!cases[i].sha256) {
            assert_int_equal(warning.count, 0);
            continue;
        }
        assert_non_null(strstr(warning.data, "/tokenizer_config.json (chat_template)"));
        assert_non_null(strstr(warning.data, cases[i].sha256));
        write_file("chat_template.jinja", "x");
        warning.count = 0;
        assert_int_equal(tess_template_check(folder, &warning, &err), TESS_OK);
        assert_null(strstr(warning.data, "tokenizer_config.json"));
        tess_text_release(&warning);
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (scratch_make_folder(folder, SCRATCH_ANYWHERE)) return -1;
    copy_file("vocab.json");
    copy_file("merges.txt");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json",
                                        "chat_template.json", "chat_template.jinja"};
    for (int i = 0; i < 5; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_as_the_original),      cmocka_unit_test(keeps_control_tokens_as_text),
        cmocka_unit_test(refuses_what_it_does_not_do),  cmocka_unit_test(needs_the_turn_tokens),
        cmocka_unit_test(warns_of_an_unknown_template), cmocka_unit_test(warns_of_an_unknown_template_inside),
    };
    return cmocka_run_group_tests_name("chat_template", tests, make_folder, remove_folder);
}
