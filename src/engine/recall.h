/* Which media a session holds, so that what it holds of a longer prompt need not be run again. */
#ifndef TESS_ENGINE_RECALL_H
#define TESS_ENGINE_RECALL_H

#include "engine/rooms.h"
#include "model/placeholders.h"

/* Notes the media of a feed whose tokens stand from `first` on; where there is no room for all, the last note
 * says from where on they are not known. */
void tess_recall_add(tess_recall *recall, const tess_thinker_config *config, const int32_t *ids, int n_tok,
                     const tess_media_list *media, int first);
/* Forgets media that begin at `n_tok` or behind; one that goes on behind it is not known any more. */
void tess_recall_truncate(tess_recall *recall, int n_tok);

/* first[n]: where the first token of each medium of a prompt stands; n_tok if nowhere. */
void tess_recall_find(const tess_thinker_config *config, const int32_t *ids, int n_tok,
                      const tess_media_list *media, int *first);

/* How many of the first n_same tokens, which are the same, can be kept: no further than a medium that is
 * another one, is not whole, or is held and not asked for. n_kept[kind] gets the media in them. */
int tess_recall_count(const tess_recall *recall, const tess_thinker_config *config, const int32_t *ids,
                      int n_tok, const tess_media_list *media, int n_same, int n_kept[3]);

#endif
