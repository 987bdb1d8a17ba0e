#include "talking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- media ---- */

static float value_at(uint32_t seed, uint64_t at)
{
    uint64_t x = (at + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed * UINT64_C(0xd1342543de82ef95);
    x = (x ^ (x >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (float)(x >> 40) / (float)(1 << 23) - 1.0f;
}

static tess_status read_rows(void *context, int64_t first, int64_t n, float *out, tess_error *err)
{
    (void)err;
    const test_medium *m = context;
    uint64_t width = (uint64_t)m->features.width;
    for (uint64_t i = 0; i < (uint64_t)n * width; i++)
        out[i] = value_at(m->seed, (uint64_t)first * width + i);
    return TESS_OK;
}

static void set_digest(test_medium *m)
{
    const int64_t told[4] = {m->seed, m->features.kind, m->features.n_frame,
                             (int64_t)m->features.n_step << 40 | (int64_t)m->features.n_high << 20 |
                                 m->features.n_wide};
    memcpy(m->features.digest, told, sizeof m->features.digest);
}

void test_medium_clip(test_medium *out, int n_frame, uint32_t seed)
{
    *out = (test_medium){
        {.kind = TESS_MEDIA_AUDIO, .width = 128, .n_frame = n_frame, .read = read_rows, .context = out},
        seed};
    set_digest(out);
}

void test_medium_pictures(test_medium *out, int n_step, int n_high, int n_wide, double fps, uint32_t seed)
{
    *out = (test_medium){{.kind = fps > 0 ? TESS_MEDIA_VIDEO : TESS_MEDIA_IMAGE,
                          .width = 3 * 2 * 16 * 16,
                          .n_step = n_step,
                          .n_high = n_high,
                          .n_wide = n_wide,
                          .seconds_per_grid = fps > 0 ? 2 / fps : 0,
                          .read = read_rows,
                          .context = out},
                         seed};
    set_digest(out);
}

/* ---- talking ---- */

void test_talk_open(test_talk *talk, const char *model)
{
    tess_error err;
    *talk = (test_talk){.model = model};
    if (tess_tokenizer_open(model, &talk->tokenizer, &err) != TESS_OK) fail_msg("%s", err.message);
}

void test_talk_close(test_talk *talk)
{
    tess_conversation_release(&talk->said);
    tess_tokenizer_close(talk->tokenizer);
}

static void begin_question(test_talk *talk)
{
    tess_conversation *c = &talk->said;
    if (c->count && !strcmp(c->turn[c->count - 1].role, "user")) return;
    assert_int_equal(tess_conversation_begin_list(c, "user", NULL), TESS_OK);
}

void test_talk_show(test_talk *talk, const test_medium *medium)
{
    begin_question(talk);
    assert_int_equal(tess_conversation_add_features(&talk->said, &medium->features, NULL), TESS_OK);
}

void test_talk_ask(test_talk *talk, const char *text)
{
    begin_question(talk);
    assert_int_equal(tess_conversation_add_text(&talk->said, text, strlen(text), NULL), TESS_OK);
}

void test_talk_answer(test_talk *talk, const char *text)
{
    assert_int_equal(tess_conversation_say(&talk->said, "assistant", text, strlen(text), NULL), TESS_OK);
}

void test_talk_make(const test_talk *talk, tess_prompt *out)
{
    tess_error err;
    if (tess_prompt_make(&talk->said, talk->tokenizer, talk->model, TESS_CHAT_GENERATE, out, &err) != TESS_OK)
        fail_msg("%s", err.message);
}

/* ---- outcomes ---- */

int test_outcome_take(tess_engine *engine, tess_session *session, const tess_feed *feed, test_outcome *out)
{
    tess_error err;
    int n_fed;
    tess_feed heard = *feed;
    test_recording_init(&out->heard, NULL);
    heard.listener = &out->heard.listener;
    if (tess_session_feed_rest(session, &heard, &n_fed, &err) != TESS_OK) fail_msg("%s", err.message);
    out->n_logit = (size_t)tess_engine_get_vocab_size(engine);
    out->logits = calloc(TEST_STEPS * out->n_logit, sizeof *out->logits);
    assert_non_null(out->logits);
    const tess_sampling greedy = TESS_SAMPLING_GREEDY;
    for (size_t i = 0; i < TEST_STEPS; i++) {
        if (tess_session_step(session, &greedy, NULL, NULL, &out->id[i], &err) != TESS_OK)
            fail_msg("%s", err.message);
        memcpy(out->logits + i * out->n_logit, tess_session_get_logits(session),
               out->n_logit * sizeof *out->logits);
    }
    return feed->n_tok - n_fed;
}

void test_outcome_release(test_outcome *outcome)
{
    test_recording_release(&outcome->heard);
    free(outcome->logits);
}

static void assert_rows_end(const test_tensor *whole, const test_tensor *part, int n_held, const char *what)
{
    bool by_column = strstr(whole->name, "position_ids") != NULL;
    size_t n_row = by_column ? 3 : 1, size = whole->is_integer ? 8 : 4;
    size_t n_whole = whole->count / n_row, n_part = part->count / n_row;
    int64_t held = whole->dim[by_column] - part->dim[by_column];
    if (held != n_held) fail_msg("%s: %s: %d rows less", what, part->name, (int)held);
    for (size_t r = 0; r < n_row; r++) {
        const char *a = (const char *)whole->values + ((r + 1) * n_whole - n_part) * size,
                   *b = (const char *)part->values + r * n_part * size;
        if (memcmp(a, b, n_part * size)) fail_msg("%s: %s differs", what, part->name);
    }
}

void test_outcome_assert_end(const test_outcome *whole, const test_outcome *part, int n_held,
                             const char *what)
{
    int n_compared = 0;
    for (size_t i = 0; i < part->heard.taps.count; i++) {
        const test_tensor *tap = &part->heard.taps.item[i];
        bool is_of_tower = strstr(tap->name, "audio_tower") || strstr(tap->name, "visual");
        if (is_of_tower && n_held) continue;
        assert_rows_end(test_tensors_get(&whole->heard.taps, tap->name), tap, n_held, what);
        n_compared++;
    }
    assert_true(n_compared > 20);
    if (memcmp(whole->id, part->id, sizeof whole->id)) fail_msg("%s: other tokens", what);
    assert_int_equal(whole->n_logit, part->n_logit);
    if (memcmp(whole->logits, part->logits, TEST_STEPS * whole->n_logit * sizeof *whole->logits))
        fail_msg("%s: other logits", what);
}
