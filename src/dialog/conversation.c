/* A conversation as it grows, and what the chat template makes of it. */
#include "dialog/conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

/* ---- growing ---- */

const char *tess_content_kind_name(tess_content_kind kind)
{
    static const char *const names[] = {"text", "image", "audio", "video"};
    return names[kind];
}

const char *tess_role_find(const char *role)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (!strcmp(role, roles[i])) return roles[i];
    return NULL;
}

/* One more than `most` messages, or parts of one. */
static tess_status refuse_more(const char *what, int most, tess_error *err)
{
    char expected[64];
    snprintf(expected, sizeof expected, "at most %d", most);
    return tess_refuse_option(err, what, expected, "one more");
}

static tess_status check_text(const char *text, size_t n_byte, tess_error *err)
{
    size_t invalid = tess_utf8_find_invalid((const uint8_t *)text, n_byte);
    if (invalid == n_byte) return TESS_OK;
    return tess_refuse(err, "", "text", (int64_t)invalid, "UTF-8", "byte 0x%02x",
                       (unsigned)(uint8_t)text[invalid]);
}

/* The array, moved perhaps, with room for one more item of `size` bytes; NULL without memory. */
static void *grow_array(void *array, size_t size, size_t count, size_t *capacity, tess_error *err)
{
    if (count < *capacity) return array;
    size_t wanted = count + count / 2 + 1;
    void *grown = realloc(array, wanted * size);
    if (grown)
        *capacity = wanted;
    else
        tess_fail(err, TESS_ENOMEM, "no memory for a conversation");
    return grown;
}

static tess_status copy_bytes(const char *bytes, size_t n_byte, char **out, tess_error *err)
{
    char *copy = n_byte < SIZE_MAX ? malloc(n_byte + 1) : NULL;
    if (!copy) return tess_fail(err, TESS_ENOMEM, "no memory for %zu bytes of a conversation", n_byte);
    if (n_byte) memcpy(copy, bytes, n_byte);
    copy[n_byte] = 0;
    *out = copy;
    return TESS_OK;
}

static void release_content(tess_content *content)
{
    tess_medium_close(content->sound); /* before the film it is of */
    tess_medium_close(content->medium);
    free(content->data);
}

static void release_turn(tess_turn *turn)
{
    for (size_t i = 0; i < turn->n_content; i++) release_content(&turn->content[i]);
    free(turn->content);
    free(turn->reasoning);
}

static tess_status add_part(tess_turn *turn, tess_content_kind kind, const char *data, size_t n_byte,
                            tess_error *err)
{
    if (turn->n_content == TESS_CONVERSATION_MAX_PARTS)
        return refuse_more("content", TESS_CONVERSATION_MAX_PARTS, err);
    tess_content part = {.kind = kind, .n_byte = n_byte};
    tess_status status = check_text(data, n_byte, err);
    if (status != TESS_OK) return status;
    tess_content *grown = grow_array(turn->content, sizeof part, turn->n_content, &turn->capacity, err);
    if (!grown) return TESS_ENOMEM;
    turn->content = grown;
    status = copy_bytes(data, n_byte, &part.data, err);
    if (status == TESS_OK) turn->content[turn->n_content++] = part;
    return status;
}

/* A turn without parts at the end; it counts once its first part is there. */
static tess_status prepare_turn(tess_conversation *c, const char *role, bool is_list, tess_error *err)
{
    const char *known = tess_role_find(role);
    if (!known) {
        char field[48];
        snprintf(field, sizeof field, "messages[%zu].role", c->count);
        return tess_refuse(err, "", field, -1, TESS_ROLES, "\"%.60s\"", role);
    }
    if (c->count == TESS_CONVERSATION_MAX_TURNS)
        return refuse_more("messages", TESS_CONVERSATION_MAX_TURNS, err);
    tess_turn *grown = grow_array(c->turn, sizeof *c->turn, c->count, &c->capacity, err);
    if (!grown) return TESS_ENOMEM;
    c->turn = grown;
    c->turn[c->count] = (tess_turn){.role = known, .is_list = is_list};
    return TESS_OK;
}

tess_status tess_conversation_say(tess_conversation *c, const char *role, const char *text, size_t n_byte,
                                  tess_error *err)
{
    tess_status status = prepare_turn(c, role, false, err);
    if (status != TESS_OK) return status;
    status = add_part(&c->turn[c->count], TESS_CONTENT_TEXT, text, n_byte, err);
    if (status == TESS_OK)
        c->count++;
    else
        release_turn(&c->turn[c->count]);
    return status;
}

tess_status tess_conversation_begin_list(tess_conversation *c, const char *role, tess_error *err)
{
    tess_status status = prepare_turn(c, role, true, err);
    if (status == TESS_OK) c->count++;
    return status;
}

static tess_turn *last_turn(tess_conversation *c)
{
    TESS_ASSERT(c->count > 0);
    return &c->turn[c->count - 1];
}

tess_status tess_conversation_add_text(tess_conversation *c, const char *text, size_t n_byte, tess_error *err)
{
    TESS_ASSERT(last_turn(c)->is_list);
    return add_part(last_turn(c), TESS_CONTENT_TEXT, text, n_byte, err);
}

tess_status tess_conversation_add_medium(tess_conversation *c, tess_content_kind kind, const char *source,
                                         tess_error *err)
{
    TESS_ASSERT(last_turn(c)->is_list && kind != TESS_CONTENT_TEXT);
    return add_part(last_turn(c), kind, source, strlen(source), err);
}

static tess_content *last_content(tess_conversation *c)
{
    tess_turn *turn = last_turn(c);
    return &turn->content[turn->n_content - 1];
}

tess_status tess_conversation_add_medium_bytes(tess_conversation *c, tess_content_kind kind, const char *name,
                                               const void *bytes, size_t n_byte, tess_error *err)
{
    tess_status status = tess_conversation_add_medium(c, kind, name, err);
    if (status != TESS_OK) return status;
    last_content(c)->bytes = bytes ? bytes : ""; /* nothing was given: what it is called names no file */
    last_content(c)->n_bytes = n_byte;
    return TESS_OK;
}

tess_status tess_conversation_add_features(tess_conversation *c, const tess_features *features,
                                           tess_error *err)
{
    static const tess_content_kind kinds[] = {[TESS_MEDIA_AUDIO] = TESS_CONTENT_AUDIO,
                                              [TESS_MEDIA_IMAGE] = TESS_CONTENT_IMAGE,
                                              [TESS_MEDIA_VIDEO] = TESS_CONTENT_VIDEO};
    tess_status status = tess_conversation_add_medium(c, kinds[features->kind], "", err);
    if (status != TESS_OK) return status;
    last_content(c)->features = features;
    last_content(c)->is_prepared = true;
    return TESS_OK;
}

void tess_conversation_drop_part(tess_conversation *c)
{
    tess_turn *turn = last_turn(c);
    TESS_ASSERT(turn->n_content > 0);
    release_content(&turn->content[--turn->n_content]);
}

tess_status tess_conversation_set_reasoning(tess_conversation *c, const char *reasoning, tess_error *err)
{
    char *copy = NULL;
    tess_status status = check_text(reasoning, strlen(reasoning), err);
    if (status == TESS_OK) status = copy_bytes(reasoning, strlen(reasoning), &copy, err);
    if (status != TESS_OK) return status;
    free(last_turn(c)->reasoning);
    last_turn(c)->reasoning = copy;
    return TESS_OK;
}

void tess_conversation_truncate(tess_conversation *c, size_t n_turn)
{
    TESS_ASSERT(n_turn <= c->count);
    while (c->count > n_turn) release_turn(&c->turn[--c->count]);
}

void tess_conversation_release(tess_conversation *c)
{
    tess_conversation_truncate(c, 0);
    free(c->turn);
    *c = (tess_conversation){0};
}

/* ---- the chat template ---- */

/* The conversation as the template takes it. */
typedef struct rendering {
    tess_message *message; /* [count] */
    tess_text *joined;     /* [count] contents of several parts, one after the other */
    tess_own_bytes **own;  /* [count] where media stand in them */
    size_t count;
} rendering;

static void release_rendering(rendering *r)
{
    for (size_t i = 0; i < r->count; i++) {
        tess_text_release(&r->joined[i]);
        free(r->own[i]);
    }
    free(r->joined);
    free(r->own);
    free(r->message);
}

static tess_status refuse_medium(size_t i, size_t k, tess_content_kind kind, tess_error *err)
{
    char field[64];
    snprintf(field, sizeof field, "messages[%zu].content[%zu]", i, k);
    return tess_refuse(err, "", field, -1, "text: media stand in what the user says", "%s",
                       tess_content_kind_name(kind));
}

/* What the template writes of a part. */
static const char *text_of(const tess_content *content, size_t *n_byte)
{
    static const char *const placeholder[] = {
        [TESS_CONTENT_TEXT] = NULL,
        [TESS_CONTENT_IMAGE] = "<|vision_start|><|image_pad|><|vision_end|>",
        [TESS_CONTENT_AUDIO] = "<|audio_start|><|audio_pad|><|audio_end|>",
        [TESS_CONTENT_VIDEO] = "<|vision_start|><|video_pad|><|vision_end|>"};
    const char *text = placeholder[content->kind];
    *n_byte = text ? strlen(text) : content->n_byte;
    return text ? text : content->data;
}

static tess_status join_part(const tess_content *content, tess_text *joined, tess_message *m,
                             tess_own_bytes *own, tess_error *err)
{
    size_t n_byte, begin = joined->count;
    const char *text = text_of(content, &n_byte);
    tess_status status = tess_text_append(joined, text, n_byte, err);
    if (status == TESS_OK && content->kind != TESS_CONTENT_TEXT)
        own[m->n_own++] = (tess_own_bytes){begin, joined->count};
    return status;
}

/* A run of a turn's parts as the next message. */
static tess_status lower_parts(const tess_turn *turn, size_t first, size_t n, rendering *r, tess_error *err)
{
    tess_message *m = &r->message[r->count];
    tess_text *joined = &r->joined[r->count];
    tess_own_bytes *own = r->own[r->count] = calloc(n + 1, sizeof *own);
    r->count++;
    if (!own) return tess_fail(err, TESS_ENOMEM, "no memory for a turn of %zu parts", n);
    *m = (tess_message){
        .role = turn->role, .reasoning = turn->reasoning, .from_list = turn->is_list, .own = own};
    if (n == 1) {
        m->content = text_of(&turn->content[first], &m->n_content);
        if (turn->content[first].kind != TESS_CONTENT_TEXT)
            own[m->n_own++] = (tess_own_bytes){0, m->n_content};
        return TESS_OK;
    }
    tess_status status = TESS_OK;
    for (size_t k = first; k < first + n && status == TESS_OK; k++)
        status = join_part(&turn->content[k], joined, m, own, err);
    m->content = joined->data;
    m->n_content = joined->count;
    return status;
}

/* QUIRK: each part of a list that a conversation begins with as "system" becomes a message of its own. */
static bool is_parted(const tess_conversation *c, size_t i)
{
    return i == 0 && c->turn[i].is_list && !strcmp(c->turn[i].role, "system");
}

static tess_status lower_turn(const tess_conversation *c, size_t i, rendering *r, tess_error *err)
{
    const tess_turn *turn = &c->turn[i];
    bool may_have_media = !strcmp(turn->role, "user");
    for (size_t k = 0; k < turn->n_content && !may_have_media; k++)
        if (turn->content[k].kind != TESS_CONTENT_TEXT)
            return refuse_medium(i, k, turn->content[k].kind, err);
    if (!is_parted(c, i)) return lower_parts(turn, 0, turn->n_content, r, err);
    tess_status status = TESS_OK;
    for (size_t k = 0; k < turn->n_content && status == TESS_OK; k++)
        status = lower_parts(turn, k, 1, r, err);
    return status;
}

static tess_status lower_turns(const tess_conversation *c, rendering *r, tess_error *err)
{
    *r = (rendering){0};
    if (!c->count) return TESS_OK; /* the template refuses it */
    size_t most = c->count + c->turn[0].n_content;
    r->message = calloc(most, sizeof *r->message);
    r->joined = calloc(most, sizeof *r->joined);
    r->own = calloc(most, sizeof *r->own);
    if (!r->message || !r->joined || !r->own)
        return tess_fail(err, TESS_ENOMEM, "no memory for %zu messages", c->count);
    tess_status status = TESS_OK;
    for (size_t i = 0; i < c->count && status == TESS_OK; i++) status = lower_turn(c, i, r, err);
    return status;
}

tess_status tess_conversation_render(const tess_conversation *c, unsigned flags, tess_text *text,
                                     tess_error *err)
{
    rendering r;
    tess_status status = lower_turns(c, &r, err);
    if (status == TESS_OK) status = tess_chat_render(r.message, r.count, flags, text, err);
    release_rendering(&r);
    return status;
}

tess_status tess_conversation_encode(const tess_conversation *c, const tess_tokenizer *tokenizer,
                                     unsigned flags, tess_ids *ids, tess_error *err)
{
    rendering r;
    tess_status status = lower_turns(c, &r, err);
    if (status == TESS_OK) status = tess_chat_encode(tokenizer, r.message, r.count, flags, ids, err);
    release_rendering(&r);
    return status;
}
