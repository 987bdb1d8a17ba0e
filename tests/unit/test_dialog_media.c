/* A conversation's media: by path, by bytes and by features of the caller; prepared once, dropped, refused by
 * the part's place; and the prompt that they are part of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/media.h"
#include "../support/talking.h"

#define MODEL "tests/golden/e"
#define IMAGES "tests/data/media/images/"
#define FILMS "tests/data/media/video/"
static const tess_media_use use = {.model_dir = MODEL};
static tess_error err;
static tess_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    return tess_tokenizer_open(MODEL, &tokenizer, &err) == TESS_OK ? 0 : -1;
}

static int close_tokenizer(void **state)
{
    (void)state;
    tess_tokenizer_close(tokenizer);
    return 0;
}

static void begin(tess_conversation *c, const char *role)
{
    assert_int_equal(tess_conversation_begin_list(c, role, &err), TESS_OK);
}

static void add(tess_conversation *c, tess_content_kind kind, const char *source)
{
    assert_int_equal(tess_conversation_add_medium(c, kind, source, &err), TESS_OK);
}

static void say(tess_conversation *c, const char *text)
{
    assert_int_equal(tess_conversation_add_text(c, text, strlen(text), &err), TESS_OK);
}

static void prepare(tess_conversation *c)
{
    if (tess_conversation_prepare(c, &use, &err) != TESS_OK) fail_msg("%s", err.message);
}

/* ---- where media come from ---- */

/* A file's bytes are the file: the same features, told by the same digest. */
static void test_bytes(void **state)
{
    (void)state;
    size_t n_byte;
    uint8_t *bytes = media_read(IMAGES "420.jpg", &n_byte);
    tess_conversation c = {0};
    begin(&c, "user");
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    assert_int_equal(
        tess_conversation_add_medium_bytes(&c, TESS_CONTENT_IMAGE, "upload 1", bytes, n_byte, &err), TESS_OK);
    assert_null(tess_content_get_facts(&c.turn[0].content[1]));
    prepare(&c);
    const tess_content *path = &c.turn[0].content[0], *upload = &c.turn[0].content[1];
    assert_string_equal(tess_content_get_facts(path)->name, IMAGES "420.jpg");
    assert_string_equal(tess_content_get_facts(upload)->name, "upload 1");
    assert_memory_equal(path->features->digest, upload->features->digest, 32);
    assert_int_equal(upload->n_tok, 4);
    assert_int_equal(path->n_tok, 4);
    tess_conversation_release(&c);
    free(bytes);
}

/* An empty upload is empty: what it is called is no path. */
static void test_no_bytes(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    assert_int_equal(
        tess_conversation_add_medium_bytes(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg", NULL, 0, &err), TESS_OK);
    assert_int_equal(tess_conversation_prepare(&c, &use, &err), TESS_EINPUT);
    assert_string_equal(err.file, IMAGES "420.jpg");
    tess_conversation_release(&c);
}

/* Wrong bytes are refused by the name that they came with, and can be taken back. */
static void test_wrong_bytes(void **state)
{
    (void)state;
    static const char text[] = "no picture at all, and long enough to be looked at";
    tess_conversation c = {0};
    begin(&c, "user");
    add(&c, TESS_CONTENT_IMAGE, IMAGES "444.jpg");
    assert_int_equal(
        tess_conversation_add_medium_bytes(&c, TESS_CONTENT_IMAGE, "upload 2", text, sizeof text, &err),
        TESS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tess_conversation_prepare(&c, &use, &err), TESS_EINPUT);
        assert_string_equal(err.file, "upload 2");
        assert_null(c.turn[0].content[1].medium);
        assert_non_null(c.turn[0].content[0].medium); /* is open, and not decoded in vain */
        assert_false(c.turn[0].content[0].is_prepared);
    }
    tess_conversation_drop_part(&c);
    assert_int_equal(c.turn[0].n_content, 1);
    prepare(&c);
    say(&c, "What?");
    assert_int_equal(c.turn[0].n_content, 2);
    tess_conversation_drop_part(&c);
    tess_conversation_drop_part(&c);
    assert_int_equal(c.turn[0].n_content, 0);
    tess_conversation_release(&c);
}

/* Features of the caller are neither opened nor closed, and no facts are known of them. */
static void test_features(void **state)
{
    (void)state;
    test_medium clip, picture, film;
    test_medium_clip(&clip, 120, 1);
    test_medium_pictures(&picture, 1, 4, 6, 0, 2);
    test_medium_pictures(&film, 2, 4, 4, 2, 3);
    const test_medium *const all[] = {&clip, &picture, &film};
    static const tess_content_kind kinds[] = {TESS_CONTENT_AUDIO, TESS_CONTENT_IMAGE, TESS_CONTENT_VIDEO};
    tess_conversation c = {0};
    begin(&c, "user");
    for (int i = 0; i < 3; i++)
        assert_int_equal(tess_conversation_add_features(&c, &all[i]->features, &err), TESS_OK);
    prepare(&c);
    tess_prompt prompt;
    assert_int_equal(tess_prompt_make(&c, tokenizer, MODEL, TESS_CHAT_GENERATE, &prompt, &err), TESS_OK);
    assert_int_equal(prompt.n_media, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(c.turn[0].content[i].kind, kinds[i]);
        assert_null(tess_content_get_facts(&c.turn[0].content[i]));
        assert_ptr_equal(prompt.media[i], &all[i]->features);
    }
    tess_prompt_release(&prompt);
    assert_null(prompt.media);
    assert_null(tess_prompt_get_feed(&prompt).media);
    tess_conversation_release(&c);
}

static void test_folder(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    add(&c, TESS_CONTENT_IMAGE, "420.jpg");
    assert_int_equal(tess_conversation_prepare(&c, &use, &err), TESS_EINPUT);
    const tess_media_use seen = {.model_dir = MODEL, .folder = "tests/data/media/images"};
    assert_int_equal(tess_conversation_prepare(&c, &seen, &err), TESS_OK);
    tess_conversation_release(&c);
}

/* ---- preparing ---- */

/* What was prepared stays; a film's sound is a medium of its own behind it. */
static void test_once(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
    prepare(&c);
    const tess_features *mute = c.turn[0].content[0].features;
    int64_t n_tok = c.turn[0].content[0].n_tok;
    assert_int_equal(tess_conversation_say(&c, "assistant", "Yes.", 4, &err), TESS_OK);
    begin(&c, "user");
    add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
    const tess_media_use heard = {.model_dir = MODEL, .use_audio_in_video = true};
    assert_int_equal(tess_conversation_prepare(&c, &heard, &err), TESS_OK);
    assert_ptr_equal(c.turn[0].content[0].features, mute);
    assert_null(c.turn[0].content[0].sound);
    assert_non_null(c.turn[2].content[0].sound);
    assert_true(c.turn[2].content[0].n_tok > n_tok);
    tess_prompt prompt;
    assert_int_equal(tess_prompt_list_media(&c, &prompt, &err), TESS_OK);
    assert_int_equal(prompt.n_media, 3);
    assert_int_equal(prompt.media[2]->kind, TESS_MEDIA_AUDIO);
    assert_true(prompt.media[2]->is_inside_video);
    prompt.ids = (tess_ids){0};
    tess_prompt_release(&prompt);
    tess_conversation_release(&c);
}

/* The part that is refused is named where nothing else is, and those before it stay open. */
static void test_refused_parts(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    say(&c, "What?");
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    add(&c, TESS_CONTENT_IMAGE, "absent.png");
    assert_int_equal(tess_conversation_prepare(&c, &use, &err), TESS_EINPUT);
    assert_string_equal(err.file, "absent.png");
    assert_string_equal(err.field, "messages[0].content[2]");
    assert_non_null(tess_content_get_facts(&c.turn[0].content[1]));
    assert_false(c.turn[0].content[1].is_prepared);
    tess_conversation_truncate(&c, 0);
    begin(&c, "user");
    add(&c, TESS_CONTENT_VIDEO, FILMS "plain.mp4");
    const tess_media_use heard = {.model_dir = MODEL, .use_audio_in_video = true};
    assert_int_equal(tess_conversation_prepare(&c, &heard, &err), TESS_EINPUT);
    assert_string_equal(err.field, "sound");
    assert_null(c.turn[0].content[0].medium);
    prepare(&c); /* without its sound it is fine */
    tess_conversation_release(&c);
}

/* All media of a conversation have one room: what is held counts. */
static void test_budget(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    prepare(&c);
    const tess_medium_facts *facts = tess_content_get_facts(&c.turn[0].content[0]);
    const tess_media_use narrow = {.model_dir = MODEL,
                                   .max_bytes = facts->bytes_peak + facts->bytes_held - 1},
                         enough = {.model_dir = MODEL, .max_bytes = facts->bytes_peak + facts->bytes_held};
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    uint64_t held, most;
    assert_int_equal(tess_conversation_prepare(&c, &narrow, &err), TESS_EBUDGET);
    assert_non_null(strstr(err.message, "420.jpg"));
    assert_int_equal(err.smallest_budget_bytes, enough.max_bytes);
    assert_int_equal(tess_conversation_count_bytes(&c, &held, &most, &err), TESS_OK);
    assert_int_equal(held, 2 * facts->bytes_held);
    assert_int_equal(most, enough.max_bytes);
    assert_int_equal(tess_conversation_prepare(&c, &enough, &err), TESS_OK);
    assert_int_equal(tess_conversation_count_bytes(&c, &held, &most, &err), TESS_OK);
    assert_int_equal(held, 2 * facts->bytes_held);
    assert_int_equal(most, held);
    tess_conversation_release(&c);
}

/* What pictures of earlier turns hold is not free for a sound, which is prepared before others. */
static void test_held_beside_sound(void **state)
{
    (void)state;
    tess_conversation c = {0};
    uint64_t held, most;
    begin(&c, "user");
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    prepare(&c);
    add(&c, TESS_CONTENT_AUDIO, "tests/data/media/audio/tone.mp3");
    assert_int_equal(tess_conversation_count(&c, &use, &err), TESS_OK);
    assert_int_equal(tess_conversation_count_bytes(&c, &held, &most, &err), TESS_OK);
    const tess_media_use narrow = {.model_dir = MODEL, .max_bytes = most - 1},
                         enough = {.model_dir = MODEL, .max_bytes = most};
    assert_int_equal(tess_conversation_prepare(&c, &narrow, &err), TESS_EBUDGET);
    assert_int_equal(err.smallest_budget_bytes, most);
    assert_int_equal(tess_conversation_prepare(&c, &enough, &err), TESS_OK);
    tess_conversation_release(&c);
}

/* Media that are counted, whether asked to or because they had no room, have their places in a prompt: the
 * ids are those of prepared ones. */
static void test_counted(void **state)
{
    (void)state;
    size_t n_id[3];
    for (int i = 0; i < 3; i++) {
        tess_conversation c = {0};
        begin(&c, "user");
        add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
        add(&c, TESS_CONTENT_AUDIO, "tests/data/media/audio/tone.mp3");
        add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
        tess_media_use heard = {.model_dir = MODEL, .use_audio_in_video = true};
        if (i == 0) assert_int_equal(tess_conversation_prepare(&c, &heard, &err), TESS_OK);
        if (i == 1) assert_int_equal(tess_conversation_count(&c, &heard, &err), TESS_OK);
        heard.max_bytes = 1;
        if (i == 2) assert_int_equal(tess_conversation_prepare(&c, &heard, &err), TESS_EBUDGET);
        for (int k = 0; k < 3; k++) assert_int_equal(c.turn[0].content[k].is_prepared, i == 0);
        tess_prompt prompt;
        assert_int_equal(tess_prompt_make(&c, tokenizer, MODEL, TESS_CHAT_GENERATE, &prompt, &err), TESS_OK);
        n_id[i] = prompt.ids.count;
        tess_prompt_release(&prompt);
        tess_conversation_release(&c);
    }
    assert_int_equal(n_id[1], n_id[0]);
    assert_int_equal(n_id[2], n_id[0]);
}

/* ---- prompts ---- */

static tess_status make(const tess_conversation *c, unsigned flags, size_t *n_id)
{
    tess_prompt prompt;
    tess_status status = tess_prompt_make(c, tokenizer, MODEL, TESS_CHAT_GENERATE | flags, &prompt, &err);
    *n_id = 0;
    if (status != TESS_OK) return status;
    *n_id = prompt.ids.count;
    tess_prompt_release(&prompt);
    return TESS_OK;
}

/* Text that spells a placeholder is one too many beside media, wherever it stands; plain it is text. */
static void test_spelled_placeholders(void **state)
{
    (void)state;
    test_medium picture;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    static const char *const texts[] = {"a <|image_pad|> b", "<|vision_start|><|image_pad|><|vision_end|>",
                                        "<|audio_pad|>", "<|video_pad|>"};
    static const char *const found[] = {"2; text that", "2; text that", "1; text that", "1; text that"};
    size_t n_id, n_plain;
    for (size_t i = 0; i < 4; i++)
        for (int turn = 0; turn < 2; turn++) {
            tess_conversation c = {0};
            if (turn) {
                tess_conversation_say(&c, "system", texts[i], strlen(texts[i]), &err);
            }
            begin(&c, "user");
            assert_int_equal(tess_conversation_add_features(&c, &picture.features, &err), TESS_OK);
            say(&c, turn ? "What?" : texts[i]);
            assert_int_equal(make(&c, 0, &n_id), TESS_EINPUT);
            assert_string_equal(err.field, "input_ids");
            assert_ptr_equal(strstr(err.found, found[i]), err.found);
            assert_int_equal(make(&c, TESS_CHAT_PLAIN, &n_plain), TESS_OK);
            assert_true(n_plain > 20 + strlen(texts[i]) / 2); /* its letters are tokens */
            tess_conversation_release(&c);
        }
    /* without media it is a token like any other */
    tess_conversation c = {0};
    tess_conversation_say(&c, "user", texts[0], strlen(texts[0]), &err);
    assert_int_equal(make(&c, 0, &n_id), TESS_OK);
    tess_conversation_release(&c);
}

static void test_roles(void **state)
{
    (void)state;
    test_medium picture;
    size_t n_id;
    test_medium_pictures(&picture, 1, 4, 6, 0, 1);
    static const char *const roles[] = {"system", "assistant", "tool"};
    for (size_t i = 0; i < 3; i++) {
        tess_conversation c = {0};
        tess_conversation_say(&c, "user", "Hi", 2, &err);
        begin(&c, roles[i]);
        say(&c, "x");
        assert_int_equal(tess_conversation_add_features(&c, &picture.features, &err), TESS_OK);
        assert_int_equal(make(&c, 0, &n_id), TESS_EINPUT);
        assert_string_equal(err.field, "messages[1].content[1]");
        assert_string_equal(err.found, "image");
        tess_conversation_release(&c);
    }
}

/* ---- tokens ---- */

/* A PNG of WIDE x WIDE pixels whose header is whole and whose pixels are not: to decode it is to be refused.
 */
enum { WIDE = 1024 };
static const uint8_t damaged[] = {
    0x89,      'P', 'N', 'G', '\r', '\n', 0x1a, '\n', /* signature */
    0,         0,   0,   13,  'I',  'H',  'D',  'R',  0,   0,   WIDE >> 8, 0, 0, 0,
    WIDE >> 8, 0,   8,   0,   0,    0,    0,    0,    0,   0,   0, /* grey, no checksum */
    0,         0,   0,   4,   'I',  'D',  'A',  'T',  1,   2,   3,         4, 0, 0,
    0,         0,   0,   0,   0,    0,    'I',  'E',  'N', 'D', 0,         0, 0, 0};

static void add_damaged(tess_conversation *c)
{
    assert_int_equal(
        tess_conversation_add_medium_bytes(c, TESS_CONTENT_IMAGE, "damaged", damaged, sizeof damaged, &err),
        TESS_OK);
}

static void check_refused_tokens(tess_conversation *c, tess_media_use with, const char *field,
                                 const char *found)
{
    assert_int_equal(tess_conversation_prepare(c, &with, &err), TESS_EUSAGE);
    assert_string_equal(err.field, field);
    assert_string_equal(err.found, found);
    assert_int_equal(tess_conversation_count(c, &with, &err), TESS_EUSAGE);
    assert_string_equal(err.found, found);
}

/* More tokens than positions are told before a picture is decoded: the first one here cannot be. */
static void test_tokens_of_pictures(void **state)
{
    (void)state;
    tess_conversation c = {0};
    tess_media_use with = {.model_dir = MODEL, .n_context = 1500, .n_text_tok = 0};
    begin(&c, "user");
    add_damaged(&c);
    add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
    assert_int_equal(tess_conversation_count(&c, &with, &err), TESS_OK);
    const int64_t n_tok = c.turn[0].content[0].n_tok;
    assert_int_equal(n_tok, 1024);
    with.n_context = (int)n_tok + 4 + 10;
    with.n_text_tok = 11;
    check_refused_tokens(&c, with, "n_context", "1039 tokens (2 pictures 1028, text 11)");
    assert_non_null(strstr(err.message, "expected at most the 1038 positions planned for"));
    with.n_text_tok = 10;
    assert_int_equal(tess_conversation_prepare(&c, &with, &err), TESS_EINPUT);
    assert_string_equal(err.file, "damaged");
    tess_conversation_release(&c);
}

/* The model's own positions bound what is not bounded by a plan. */
static void test_tokens_of_a_model(void **state)
{
    (void)state;
    tess_conversation c = {0};
    tess_model_facts model;
    char found[96];
    assert_int_equal(tess_model_get_facts(MODEL, &model, &err), TESS_OK);
    begin(&c, "user");
    const int n = model.max_positions / 1024 + 1;
    for (int i = 0; i < n; i++) add_damaged(&c);
    snprintf(found, sizeof found, "%d tokens (%d pictures %d)", n * 1024, n, n * 1024);
    check_refused_tokens(&c, use, "n_tok", found);
    assert_non_null(strstr(err.expected, "fewer or smaller media"));
    tess_conversation_release(&c);
}

/* What a sound takes is known when it has been heard, and pictures wait for that; so do films for theirs. */
static void test_tokens_of_sounds(void **state)
{
    (void)state;
    tess_conversation c = {0};
    begin(&c, "user");
    add_damaged(&c);
    add(&c, TESS_CONTENT_AUDIO, "tests/data/media/audio/tone.mp3");
    add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
    tess_media_use with = {.model_dir = MODEL, .use_audio_in_video = true};
    assert_int_equal(tess_conversation_count(&c, &with, &err), TESS_OK);
    int64_t n_tok[3], n_all = 0;
    for (int k = 0; k < 3; k++) n_all += n_tok[k] = c.turn[0].content[k].n_tok + (k == 2 ? 2 : 0);
    tess_conversation_release(&c);
    char found[96];
    snprintf(found, sizeof found, "%lld tokens (1 picture %lld, 1 film %lld, 1 sound %lld)", (long long)n_all,
             (long long)n_tok[0], (long long)n_tok[2], (long long)n_tok[1]);
    for (int i = 0; i < 2; i++) {
        c = (tess_conversation){0};
        begin(&c, "user");
        add_damaged(&c);
        add(&c, TESS_CONTENT_AUDIO, "tests/data/media/audio/tone.mp3");
        add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
        with.n_context = (int)n_all - 1 + i;
        if (i == 0) {
            check_refused_tokens(&c, with, "n_context", found);
        } else {
            assert_int_equal(tess_conversation_prepare(&c, &with, &err), TESS_EINPUT);
            assert_string_equal(err.file, "damaged");
        }
        tess_conversation_release(&c);
    }
}

/* The sum is that of the prompt which is made: one position fewer is refused. */
static void test_tokens_of_a_prompt(void **state)
{
    (void)state;
    size_t n_id = 0;
    for (int i = 0; i < 3; i++) {
        tess_conversation c = {0};
        tess_ids ids = {0};
        begin(&c, "user");
        add(&c, TESS_CONTENT_IMAGE, IMAGES "420.jpg");
        add(&c, TESS_CONTENT_AUDIO, "tests/data/media/audio/tone.mp3");
        add(&c, TESS_CONTENT_VIDEO, FILMS "sound.mp4");
        say(&c, "What?");
        assert_int_equal(tess_conversation_encode(&c, tokenizer, TESS_CHAT_GENERATE, &ids, &err), TESS_OK);
        const tess_media_use with = {.model_dir = MODEL,
                                     .n_context = i ? (int)n_id - i + 1 : 0,
                                     .n_text_tok = (int64_t)ids.count - 3,
                                     .use_audio_in_video = true};
        assert_int_equal(tess_conversation_prepare(&c, &with, &err), i < 2 ? TESS_OK : TESS_EUSAGE);
        if (i == 0) assert_int_equal(make(&c, 0, &n_id), TESS_OK);
        tess_ids_release(&ids);
        tess_conversation_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes),
                                       cmocka_unit_test(test_no_bytes),
                                       cmocka_unit_test(test_wrong_bytes),
                                       cmocka_unit_test(test_features),
                                       cmocka_unit_test(test_folder),
                                       cmocka_unit_test(test_once),
                                       cmocka_unit_test(test_refused_parts),
                                       cmocka_unit_test(test_budget),
                                       cmocka_unit_test(test_counted),
                                       cmocka_unit_test(test_spelled_placeholders),
                                       cmocka_unit_test(test_roles),
                                       cmocka_unit_test(test_tokens_of_pictures),
                                       cmocka_unit_test(test_tokens_of_a_model),
                                       cmocka_unit_test(test_tokens_of_sounds),
                                       cmocka_unit_test(test_tokens_of_a_prompt),
                                       cmocka_unit_test(test_held_beside_sound)};
    return cmocka_run_group_tests_name("dialog_media", tests, open_tokenizer, close_tokenizer);
}
