#include "verify/golden/talker_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "model/talker_prompt.h"

/* The rows of the assistant's start. */
static const char *const start[TESS_TALKER_START_ROWS] = {
    "the turn's first token",
    "the turn's role",
    "the turn's line feed",
    "the code of no thinking",
    "the code that begins thinking",
    "the code that ends thinking",
    "the speaker's code",
    "the text's begin",
    "the answer's first token",
};

static void say_row(const tess_talker_config *config, const tess_talker_row *row, int n_row, int64_t position,
                    char *out, size_t size)
{
    if (position >= n_row) return;
    if (position >= n_row - TESS_TALKER_START_ROWS)
        snprintf(out, size, "%s", start[position - (n_row - TESS_TALKER_START_ROWS)]);
    else if (row[position].state >= 0)
        snprintf(out, size, "a medium's row: the thinker's state behind layer %d by hidden_projection",
                 config->accept_hidden_layer);
    else
        snprintf(out, size, "a row of text: its embedding by text_projection");
}

tess_status tess_talker_place_say(const tess_engine *engine, const tess_golden *golden,
                                  tess_compare_result *result, tess_error *err)
{
    const tess_config *config = &engine->model.config;
    const tess_trace_inputs *in = &golden->inputs;
    tess_tap_report *r = NULL;
    for (int i = 0; i < result->n_tap; i++)
        if (!strcmp(result->tap[i].name, "tap.talker.inputs_embeds")) r = &result->tap[i];
    if (!r || !config->has_talker || !tess_tap_has_failed(r) || r->position < 0) return TESS_OK;
    size_t n = (size_t)in->n_tok + TESS_TALKER_START_ROWS;
    tess_talker_row *row = malloc(n * sizeof *row);
    int32_t *row_ids = malloc(n * sizeof *row_ids);
    if (row && row_ids) {
        const int32_t turn[TESS_TALKER_TURN_TOKENS] = {0};
        int n_row = tess_talker_prompt_make(config, in->ids, in->n_tok, turn, 0, row, row_ids);
        say_row(&config->talker, row, n_row, r->position, r->where, sizeof r->where);
    }
    bool is_done = row && row_ids;
    free(row);
    free(row_ids);
    return is_done ? TESS_OK : tess_fail(err, TESS_ENOMEM, "no memory for the talker's prompt");
}
