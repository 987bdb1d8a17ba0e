/* What the talker is given to speak an answer: which of the thinker's rows, in which order, at which
 * positions; spec section 12.3. Numbers only: rows are made by the talker.
 *
 * The user's turns come as they stand, the rest of the conversation is left out. Behind them stand nine rows:
 * the start of the assistant's turn, four pads, the text's begin and the answer's first token, to which
 * control codes are added. The answer's other tokens are added to the codes' rows one by one while it is
 * spoken, then the text's end, then pads.
 *
 * QUIRK: a token's turn is told by the token behind the last <|im_start|> at or before it, which is the
 * prompt's second token where there is none. Threads: any.
 */
#ifndef TESS_MODEL_TALKER_PROMPT_H
#define TESS_MODEL_TALKER_PROMPT_H

#include "model/placeholders.h"

/* One row: the projected embedding of a token, or a projected state of the thinker in its place, and perhaps
 * the row of a code. */
typedef struct tess_talker_row {
    int32_t token;
    int32_t state; /* which of the states that the thinker kept, one per media token; -1: none */
    int32_t code;  /* row of the talker's embedding; -1: none */
} tess_talker_row;

enum { TESS_TALKER_START_ROWS = 9, TESS_TALKER_TURN_TOKENS = 4 };

/* Where the assistant's turn that is to be spoken begins: the prompt's last one. -1: there is none. */
int tess_talker_find_turn(const tess_config *config, const int32_t *ids, int n_prompt);

/* Rows of an answer's prompt; returns how many there are.
 *
 *   ids       [n_prompt] the thinker's prompt
 *   turn      the first tokens of the assistant's turn
 *   speaker   the speaker's code
 *   row       [n_prompt + TESS_TALKER_START_ROWS]
 *   row_ids   likewise: the ids by which rows get their positions */
int tess_talker_prompt_make(const tess_config *config, const int32_t *ids, int n_prompt,
                            const int32_t turn[TESS_TALKER_TURN_TOKENS], int32_t speaker,
                            tess_talker_row *row, int32_t *row_ids);

/* How many rows it will have. */
int tess_talker_count_rows(const tess_config *config, const int32_t *ids, int n_prompt);

/* Whether a token stands for a row of a medium: the thinker keeps its states there. */
bool tess_talker_wants_state(const tess_thinker_config *config, int32_t id);

/* The first place whose row is such a state; -1: there is none. */
int tess_talker_find_state(const tess_config *config, const int32_t *ids, int n_prompt);

/* Positions of the rows, out[s*stride + i]. `media`: those of the whole prompt; `list` holds as many, for the
 * call. What stands behind the last picture advances all streams, whatever it is.
 *
 * QUIRK: the n-th picture or clip of the user's turns gets the sizes of the n-th of all turns.
 *
 * QUIRK: sound inside a video is not told apart: such a block gets plain positions, unless a picture follows.
 *
 * DIFFERS: where the original fails because of the first of them, each medium gets its own sizes. */
tess_status tess_talker_positions_compute(const tess_config *config, const int32_t *ids, int n_prompt,
                                          const int32_t *row_ids, int n_row, const tess_media_list *media,
                                          const tess_features **list, float *out, size_t stride,
                                          tess_error *err);

#endif
