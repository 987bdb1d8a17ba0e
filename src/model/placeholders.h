/* Placeholders: the tokens of a prompt that stand for rows of media; spec section 5.1.
 *
 * The chat template gives every medium one pad token of its kind; here it becomes as many as the medium has
 * rows, and with sound inside a video both kinds, by time. Media of one kind are used in the order of the
 * prompt. Threads: any.
 */
#ifndef TESS_MODEL_PLACEHOLDERS_H
#define TESS_MODEL_PLACEHOLDERS_H

#include "model/config.h"
#include "tessera/engine.h"

/* Media in the order of the prompt; the sound of a video follows it. */
typedef struct tess_media_list {
    const tess_features *const *item; /* [n] */
    int n;
} tess_media_list;

/* The media of a feed. */
tess_media_list tess_media_of_feed(const tess_feed *feed);

/* Tokens that a medium takes. */
int64_t tess_placeholder_count(const tess_thinker_config *config, const tess_features *features);
/* Of all media of a kind. */
int64_t tess_media_count_tokens(const tess_thinker_config *config, const tess_media_list *media,
                                tess_media_kind kind);
/* Those of a kind into out, which holds as many as there are; returns how many they are. */
int tess_media_gather(const tess_media_list *media, tess_media_kind kind, const tess_features **out);
/* The item behind `after` (-1: from the start) of this kind; -1 if there is none. */
int tess_media_find_next(const tess_media_list *media, tess_media_kind kind, int after);
/* The token that stands for a row of a kind: image_token_id and the like; and what it is called. */
int32_t tess_media_pad_token(const tess_thinker_config *config, tess_media_kind kind);
const char *tess_media_kind_name(tess_media_kind kind); /* "audio", "image", "video" */
/* The kind of the media, of those there are, whose rows a token stands for; -1: of none. */
int tess_media_find_kind(const tess_thinker_config *config, const tess_media_list *media, int32_t token);

/* The sizes of the smallest medium of a kind, without rows. */
tess_features tess_features_make_smallest(const tess_thinker_config *config, tess_media_kind kind);

/* Refuses a medium that these towers cannot take: TESS_EINPUT; field "media[2]". */
tess_status tess_media_check(const tess_thinker_config *config, const tess_media_list *media,
                             tess_error *err);
/* Refuses ids whose pad tokens are not as many as the rows of the media: TESS_EINPUT, field "input_ids". */
tess_status tess_placeholders_check(const tess_thinker_config *config, const int32_t *ids, int64_t n_tok,
                                    const tess_media_list *media, tess_error *err);

/* Puts ids with one pad token for each medium into out[capacity], pads repeated; *n_out tells how many. A
 * video whose sound is inside becomes vision_start, audio_start, both by time, audio_end, vision_end, and its
 * sound has no pad token of its own. out may be NULL with capacity 0: then it is only counted.
 * Errors: TESS_EINPUT, field "input_ids": more or fewer pad tokens of a kind than media, or sound inside a
 * video that does not stand between vision_start and vision_end. */
tess_status tess_placeholders_expand(const tess_thinker_config *config, const int32_t *ids, int64_t n_tok,
                                     const tess_media_list *media, int32_t *out, int64_t capacity,
                                     int64_t *n_out, tess_error *err);

#endif
