/* Fuzzing messages as JSON: refused with a word, or a conversation that is written and read again the same,
 * and rendered unless it holds media. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tessera/dialog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_messages: %s\n", what);
    abort();
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool is_same_turn(const tess_turn *a, const tess_turn *b)
{
    if (a->role != b->role || a->is_list != b->is_list || a->n_content != b->n_content) return false;
    for (size_t i = 0; i < a->n_content; i++) {
        const tess_content *x = &a->content[i], *y = &b->content[i];
        if (x->kind != y->kind || x->n_byte != y->n_byte || memcmp(x->data, y->data, x->n_byte + 1))
            return false;
    }
    return is_same_text(a->reasoning, b->reasoning);
}

/* Only what the user says may hold media. */
static bool has_misplaced_media(const tess_conversation *c)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; strcmp(c->turn[i].role, "user") && k < c->turn[i].n_content; k++)
            if (c->turn[i].content[k].kind != TESS_CONTENT_TEXT) return true;
    return false;
}

static void check_writing(const tess_conversation *c)
{
    tess_text json = {0};
    tess_conversation again = {0};
    tess_error err;
    require(tess_conversation_write(c, &json, &err) == TESS_OK, "not written");
    if (json.count <= TESS_CONVERSATION_MAX_JSON_BYTES) {
        require(tess_conversation_parse(&again, "again", json.data, json.count, &err) == TESS_OK,
                err.message);
        require(again.count == c->count, "another number of turns");
        for (size_t i = 0; i < c->count; i++)
            require(is_same_turn(&c->turn[i], &again.turn[i]), "another turn");
    }
    tess_conversation_release(&again);
    tess_text_release(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tess_conversation c = {0};
    tess_text text = {0};
    tess_error err = {0};
    if (tess_conversation_parse(&c, "messages", (const char *)data, size, &err) != TESS_OK) {
        require(err.message[0] != 0 && err.field[0] != 0, "a refusal without a word or a field");
        require(c.count == 0, "a refusal that leaves something");
    } else {
        check_writing(&c);
        tess_status status = tess_conversation_render(&c, TESS_CHAT_GENERATE, &text, &err);
        require(status == (has_misplaced_media(&c) ? TESS_EINPUT : TESS_OK), "rendered otherwise");
        size_t n = text.count;
        require(tess_utf8_find_invalid((const uint8_t *)text.data, n) == n, "a broken character");
    }
    tess_text_release(&text);
    tess_conversation_release(&c);
    return 0;
}
