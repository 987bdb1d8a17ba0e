/* Media of a conversation: preparing them, and the prompt they are part of. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "dialog/conversation.h"

#define DEFAULT_FPS 2.0
#define DEFAULT_MAX_BYTES (4ull << 30)

/* ---- the media of a conversation ---- */

static bool is_waiting(const tess_content *content)
{
    return content->kind != TESS_CONTENT_TEXT && !content->is_prepared;
}

static bool any_is_waiting(const tess_conversation *c)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++)
            if (is_waiting(&c->turn[i].content[k])) return true;
    return false;
}

static size_t count_media(const tess_conversation *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++)
            n += c->turn[i].content[k].kind != TESS_CONTENT_TEXT;
    return n;
}

/* Those that are open, the sound of a film behind it. */
typedef struct media_list {
    tess_medium **medium;
    int n;
} media_list;

typedef enum selection { ALL, SOUNDS } selection;

static void append_medium(media_list *list, tess_medium *medium, bool takes_pictures)
{
    if (medium && (takes_pictures || tess_medium_get_facts(medium)->kind == TESS_MEDIA_AUDIO))
        list->medium[list->n++] = medium;
}

/* With sounds alone stand the pictures that are prepared: what they hold counts. */
static tess_status list_open(const tess_conversation *c, selection which, media_list *out, tess_error *err)
{
    const size_t most = 2 * count_media(c) + 1;
    *out = (media_list){.medium = most <= INT_MAX ? malloc(most * sizeof *out->medium) : NULL};
    if (!out->medium) return tess_fail(err, TESS_ENOMEM, "no memory for a list of media");
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            const tess_content *content = &c->turn[i].content[k];
            const bool takes_pictures = which == ALL || content->is_prepared;
            append_medium(out, content->medium, takes_pictures);
            append_medium(out, content->sound, takes_pictures);
        }
    return TESS_OK;
}

tess_status tess_conversation_count_bytes(const tess_conversation *c, uint64_t *held, uint64_t *most,
                                          tess_error *err)
{
    media_list list;
    const tess_status status = list_open(c, ALL, &list, err);
    if (status != TESS_OK) return status;
    tess_media_count_bytes(list.medium, list.n, held, most);
    free(list.medium);
    return TESS_OK;
}

/* ---- opening ---- */

typedef struct preparing {
    const tess_media_use *use;
    tess_preprocessor preprocessor;
    tess_medium_options options;
    uint64_t max_bytes;
    int n_context, max_positions;
    tess_error *err;
} preparing;

/* Frames of 10 ms that a clip of as many tokens as there are positions has, 13 tokens a second. */
static int64_t most_frames(int max_positions)
{
    return (int64_t)max_positions * 100 / 13 + 100;
}

static tess_status begin_preparing(preparing *p, tess_error *err)
{
    const tess_media_use *use = p->use;
    tess_model_facts model;
    tess_status status = tess_model_get_facts(use->model_dir, &model, err);
    if (status == TESS_OK) status = tess_preprocessor_load(use->model_dir, &p->preprocessor, err);
    if (status == TESS_OK)
        status = tess_preprocessor_check(&p->preprocessor, use->model_dir, model.num_mel_bins,
                                         model.patch_size, model.spatial_merge_size,
                                         model.temporal_patch_size, model.in_channels, err);
    if (status != TESS_OK) return status;
    p->max_positions = model.max_positions;
    p->n_context =
        use->n_context && use->n_context < model.max_positions ? use->n_context : model.max_positions;
    p->max_bytes = use->max_bytes ? use->max_bytes : DEFAULT_MAX_BYTES;
    p->options = TESS_MEDIUM_OPTIONS_DEFAULT;
    p->options.progress = use->progress;
    p->options.max_bytes = p->max_bytes;
    p->options.preprocessor = &p->preprocessor;
    p->options.fps = use->fps != 0 ? use->fps : DEFAULT_FPS;
    p->options.most_mel_frames = most_frames(model.max_positions);
    return TESS_OK;
}

/* The source as it is seen from here, to be freed. */
static char *find_source(const preparing *p, const char *source)
{
    const char *folder = p->use->folder;
    if (!folder || *source == '/' || !tess_source_is_path(source)) return strdup(source);
    size_t size = strlen(folder) + strlen(source) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, source);
    return path;
}

static tess_status open_medium(const preparing *p, tess_media_kind kind, tess_content *content)
{
    if (content->bytes)
        return tess_medium_open_memory(kind, content->data, content->bytes, content->n_bytes, &p->options,
                                       &content->medium, p->err);
    char *source = find_source(p, content->data);
    if (!source) return tess_fail(p->err, TESS_ENOMEM, "no memory for a path");
    tess_status status = tess_medium_open(kind, source, &p->options, &content->medium, p->err);
    free(source);
    return status;
}

static bool is_counted(const tess_medium *medium)
{
    return tess_medium_get_facts(medium)->n_frame > 0;
}

/* Takes over what is known of a medium, once that is all. */
static void take_sizes(const preparing *p, tess_content *content)
{
    const tess_medium *sound = content->sound;
    if (!is_counted(content->medium) || (sound && !is_counted(sound))) return;
    content->features = tess_medium_get_features(content->medium);
    content->n_tok = tess_features_count_tokens(content->features, &p->preprocessor);
    if (sound)
        content->n_tok += tess_features_count_tokens(tess_medium_get_features(sound), &p->preprocessor);
}

/* A film and its sound are open together, or neither is. */
static void close_content(tess_content *content)
{
    tess_medium_close(content->sound);
    tess_medium_close(content->medium);
    content->medium = content->sound = NULL;
    content->features = NULL;
}

static tess_status open_content(const preparing *p, tess_content *content)
{
    static const tess_media_kind kinds[] = {[TESS_CONTENT_IMAGE] = TESS_MEDIA_IMAGE,
                                            [TESS_CONTENT_AUDIO] = TESS_MEDIA_AUDIO,
                                            [TESS_CONTENT_VIDEO] = TESS_MEDIA_VIDEO};
    const tess_media_kind kind = kinds[content->kind];
    tess_status status = content->medium ? TESS_OK : open_medium(p, kind, content);
    if (status != TESS_OK) return status;
    if (kind == TESS_MEDIA_VIDEO && p->use->use_audio_in_video && !content->sound)
        status = tess_medium_open_sound(content->medium, &content->sound, p->err);
    if (status != TESS_OK)
        close_content(content);
    else
        take_sizes(p, content);
    return status;
}

static bool is_standard_input(const tess_content *content)
{
    return content->kind != TESS_CONTENT_TEXT && !content->bytes && !strcmp(content->data, "-");
}

/* The first that is read to its end leaves nothing for another. */
static tess_status check_standard_input(const tess_conversation *c, tess_error *err)
{
    int n = 0;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            n += is_standard_input(&c->turn[i].content[k]);
            if (n < 2) continue;
            char field[64];
            snprintf(field, sizeof field, "messages[%zu].content[%zu]", i, k);
            return tess_refuse(err, "standard input", field, -1, "one medium that comes by it", "another");
        }
    return TESS_OK;
}

/* A medium does not know its place. */
static void name_part(tess_error *err, size_t turn, size_t part)
{
    if (err && !*err->field)
        snprintf(err->field, sizeof err->field, "messages[%zu].content[%zu]", turn, part);
}

static tess_status open_all(preparing *p, tess_conversation *c)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            if (!is_waiting(&c->turn[i].content[k])) continue;
            const tess_status status = open_content(p, &c->turn[i].content[k]);
            if (status == TESS_OK) continue;
            name_part(p->err, i, k);
            return status;
        }
    return TESS_OK;
}

/* ---- tokens ---- */

/* Tokens before and behind what a film and its sound become together. */
enum { SOUND_MARKS = 2 };

/* What a prompt is the sum of, by kind of content; media whose sizes are not known yet are not in it. */
typedef struct token_sum {
    int n_medium[TESS_CONTENT_VIDEO + 1];
    int64_t n_tok[TESS_CONTENT_VIDEO + 1];
} token_sum;

/* "12 pictures 141000, text 33". */
static void spell_sum(const token_sum *sum, char *out, size_t size)
{
    static const struct {
        tess_content_kind kind;
        const char *name;
    } names[] = {
        {TESS_CONTENT_IMAGE, "picture"}, {TESS_CONTENT_VIDEO, "film"}, {TESS_CONTENT_AUDIO, "sound"}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && used < size; i++) {
        const int n = sum->n_medium[names[i].kind];
        if (n)
            used += (size_t)snprintf(out + used, size - used, "%s%d %s%s %lld", used ? ", " : "", n,
                                     names[i].name, n == 1 ? "" : "s", (long long)sum->n_tok[names[i].kind]);
    }
    const int64_t n_text = sum->n_tok[TESS_CONTENT_TEXT];
    if (n_text && used < size) snprintf(out + used, size - used, ", text %lld", (long long)n_text);
}

static tess_status refuse_tokens(const preparing *p, const token_sum *sum)
{
    char parts[112] = "";
    int64_t n_tok = 0;
    for (int kind = TESS_CONTENT_TEXT; kind <= TESS_CONTENT_VIDEO; kind++) n_tok += sum->n_tok[kind];
    if (n_tok <= p->n_context) return TESS_OK;
    spell_sum(sum, parts, sizeof parts);
    return tess_refuse_context(p->err, "", n_tok, parts, 0, 0, p->n_context, p->max_positions);
}

/* ---- preparing ---- */

/* Names the part that a medium has failed in, which is of no further use. */
static void drop_failed(tess_conversation *c, const tess_medium *medium, tess_error *err)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            tess_content *content = &c->turn[i].content[k];
            if (content->medium != medium && content->sound != medium) continue;
            name_part(err, i, k);
            close_content(content);
            return;
        }
}

/* Counts or prepares what is open: all, or sounds alone. */
static tess_status work_on(const preparing *p, tess_conversation *c, bool prepares, selection which)
{
    media_list list;
    int failed = 0;
    tess_status status = list_open(c, which, &list, p->err);
    if (status != TESS_OK) return status;
    if (prepares)
        status = tess_media_prepare(list.medium, list.n, p->max_bytes, p->use->progress, &failed, p->err);
    else
        for (; failed < list.n; failed++) {
            status = tess_medium_count(list.medium[failed], p->use->progress, p->err);
            if (status != TESS_OK) break;
        }
    if (status != TESS_OK && status != TESS_EBUDGET) drop_failed(c, list.medium[failed], p->err);
    free(list.medium);
    return status;
}

/* Takes over the sizes that are known by now, and refuses media of more tokens than there are positions. */
static tess_status check_tokens(const preparing *p, tess_conversation *c)
{
    token_sum sum = {.n_tok[TESS_CONTENT_TEXT] = p->use->n_text_tok};
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            tess_content *content = &c->turn[i].content[k];
            if (content->kind == TESS_CONTENT_TEXT) continue;
            if (is_waiting(content)) take_sizes(p, content);
            if (!content->features) continue;
            sum.n_medium[content->kind]++;
            sum.n_tok[content->kind] += content->n_tok + (content->sound ? SOUND_MARKS : 0);
        }
    return refuse_tokens(p, &sum);
}

/* Sounds come first, whose length nothing else tells: a picture is decoded when all tokens have room. */
static tess_status work_in_order(const preparing *p, tess_conversation *c, bool prepares)
{
    tess_status status = check_tokens(p, c);
    if (status == TESS_OK) status = work_on(p, c, prepares, SOUNDS);
    /* How much is enough is told with pictures. */
    if (status == TESS_OK || status == TESS_EBUDGET) status = check_tokens(p, c);
    return status == TESS_OK ? work_on(p, c, prepares, ALL) : status;
}

static tess_status work(tess_conversation *c, const tess_media_use *use, bool prepares, tess_error *err)
{
    preparing p = {.use = use, .err = err};
    if (!any_is_waiting(c)) return TESS_OK;
    tess_status status = check_standard_input(c, err);
    if (status == TESS_OK) status = begin_preparing(&p, err);
    if (status == TESS_OK) status = open_all(&p, c);
    if (status == TESS_OK) status = work_in_order(&p, c, prepares);
    if (status != TESS_OK && status != TESS_EBUDGET) return status;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            tess_content *content = &c->turn[i].content[k];
            if (!is_waiting(content)) continue;
            take_sizes(&p, content);
            content->is_prepared = prepares && status == TESS_OK;
        }
    return status;
}

tess_status tess_conversation_prepare(tess_conversation *c, const tess_media_use *use, tess_error *err)
{
    return work(c, use, true, err);
}

tess_status tess_conversation_count(tess_conversation *c, const tess_media_use *use, tess_error *err)
{
    return work(c, use, false, err);
}

const tess_medium_facts *tess_content_get_facts(const tess_content *content)
{
    return content->medium ? tess_medium_get_facts(content->medium) : NULL;
}

/* ---- prompts ---- */

tess_status tess_prompt_list_media(const tess_conversation *c, tess_prompt *out, tess_error *err)
{
    out->n_media = 0;
    out->media = malloc((2 * count_media(c) + 1) * sizeof *out->media);
    if (!out->media) return tess_fail(err, TESS_ENOMEM, "no memory for a list of media");
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->turn[i].n_content; k++) {
            const tess_content *content = &c->turn[i].content[k];
            if (content->kind == TESS_CONTENT_TEXT) continue;
            TESS_ASSERT(content->features);
            out->media[out->n_media++] = content->features;
            if (content->sound) out->media[out->n_media++] = tess_medium_get_features(content->sound);
        }
    return TESS_OK;
}

static tess_status expand_ids(tess_prompt *prompt, const char *model_dir, tess_error *err)
{
    tess_ids *ids = &prompt->ids;
    int64_t n, n_id = (int64_t)ids->count;
    const tess_features *const *media = prompt->media;
    tess_status status =
        tess_model_expand_media(model_dir, ids->data, n_id, media, prompt->n_media, NULL, 0, &n, err);
    if (status != TESS_OK) return status;
    int32_t *expanded = n < INT32_MAX ? malloc((size_t)(n + 1) * sizeof *expanded) : NULL;
    if (!expanded) return tess_fail(err, TESS_ENOMEM, "no memory for a prompt of %lld tokens", (long long)n);
    status =
        tess_model_expand_media(model_dir, ids->data, n_id, media, prompt->n_media, expanded, n, &n, err);
    tess_ids_release(ids);
    *ids = (tess_ids){.data = expanded, .count = (size_t)n, .capacity = (size_t)n + 1};
    return status;
}

tess_status tess_prompt_make(const tess_conversation *c, const tess_tokenizer *tokenizer,
                             const char *model_dir, unsigned flags, tess_prompt *out, tess_error *err)
{
    tess_prompt prompt = {0};
    tess_status status = tess_conversation_encode(c, tokenizer, flags, &prompt.ids, err);
    if (status == TESS_OK) status = tess_prompt_list_media(c, &prompt, err);
    if (status == TESS_OK && prompt.n_media > 0) status = expand_ids(&prompt, model_dir, err);
    if (status == TESS_OK)
        *out = prompt;
    else
        tess_prompt_release(&prompt);
    return status;
}

void tess_prompt_release(tess_prompt *prompt)
{
    tess_ids_release(&prompt->ids);
    free(prompt->media);
    *prompt = (tess_prompt){0};
}

tess_feed tess_prompt_get_feed(const tess_prompt *prompt)
{
    return (tess_feed){.ids = prompt->ids.data,
                       .n_tok = (int)prompt->ids.count,
                       .media = prompt->n_media ? prompt->media : NULL,
                       .n_media = prompt->n_media};
}
