#include "verify/compare/codes.h"

#include <string.h>

#include "verify/compare/say.h"

#define PREDICTOR "tap.talker.code_predictor."

/* ---- where it begins ---- */

/* The other side chose the end in place of a code of the first codebook. */
static tess_status read_end(tess_comparison *c, const tess_tap_state *s, tess_code_difference *out,
                            tess_error *err)
{
    uint64_t frame = s->codes.n_frame;
    const void *code;
    tess_status status = tess_trace_reader_read(&c->hearing.reference, s->reference, frame, 1, &code, err);
    if (status != TESS_OK) return status;
    *out = (tess_code_difference){(int64_t)frame, 0, *(const int64_t *)code, TESS_NO_CODE};
    return TESS_OK;
}

static tess_status find_place(tess_comparison *c, const tess_tap_state *s, tess_code_difference *out,
                              tess_error *err)
{
    *out = c->is_isolated && s->codes.of_the_first.frame >= 0 ? s->codes.of_the_first : s->codes.first;
    return out->frame < 0 && s->codes.n_frame < s->reference->dim[1] ? read_end(c, s, out, err) : TESS_OK;
}

static void say_place(const tess_tap_state *s, const tess_code_difference *at, tess_tap_report *r)
{
    unsigned long long n_frame = s->codes.n_frame, n_expected = s->reference->dim[1];
    char end[80] = "";
    if (n_frame != n_expected)
        snprintf(end, sizeof end, "ends after %llu frames, expected %llu", n_frame, n_expected);
    if (at->expected == TESS_NO_CODE || at->found == TESS_NO_CODE)
        TESS_SAY(r, "%s", end);
    else
        TESS_SAY(r, "from frame %lld on, codebook %lld: found %lld, expected %lld%s%s", (long long)at->frame,
                 (long long)at->codebook, (long long)at->found, (long long)at->expected, *end ? "; " : "",
                 end);
}

/* ---- what can be at fault ---- */

/* Whether the talker's prompt was compared and agrees, so that what follows it must be at fault. */
static bool prompt_agrees(const tess_compare_result *so_far)
{
    bool is_there = false;
    for (int i = 0; i < so_far->n_tap; i++) {
        const tess_tap_report *r = &so_far->tap[i];
        if (strncmp(r->name, "tap.talker.", 11) || !strncmp(r->name, PREDICTOR, sizeof PREDICTOR - 1))
            continue;
        if (tess_tap_has_failed(r)) return false;
        is_there |= r->outcome <= TESS_OUTCOME_AGREES && !strcmp(r->name, "tap.talker.codec_head");
    }
    return is_there;
}

/* Whether one of both sides' codes was spoken before, so that a penalty for repetition weighs it. */
static tess_status find_repetition(tess_comparison *c, const tess_tap_state *s,
                                   const tess_code_difference *difference, bool *out, tess_error *err)
{
    uint64_t end = (uint64_t)difference->frame;
    *out = false;
    for (uint64_t at = 0; at < end;) {
        const void *piece;
        size_t n = tess_trace_reader_piece(s->reference, at, 1);
        if (n > end - at) n = (size_t)(end - at);
        tess_status status = tess_trace_reader_read(&c->hearing.reference, s->reference, at, n, &piece, err);
        if (status != TESS_OK) return status;
        const int64_t *code = piece;
        for (size_t i = 0; i < n; i++)
            *out |= code[i] == difference->expected || code[i] == difference->found;
        at += n;
    }
    return TESS_OK;
}

/* What of the text goes into the step of a frame: the answer's tokens but its last, which was not fed, then
 * its end, then pads. The first one stands in the prompt. */
static void say_text(const tess_comparison *c, int64_t frame, char *out, size_t size)
{
    const tess_tensor *answer = tess_safetensors_find(c->hearing.reference.st, "tap.thinker.generated");
    int64_t n_row = answer ? (int64_t)tess_tensor_count(answer) - 1 : -1;
    if (frame < n_row)
        snprintf(out, size, "token %lld of the answer", (long long)frame);
    else
        snprintf(out, size, "%s",
                 n_row < 0        ? "the text"
                 : frame == n_row ? "the end of the text"
                                  : "the pad behind the text");
}

/* The first codebook, in a frame whose forerunners agree. */
static tess_status say_step(tess_comparison *c, const tess_tap_state *s, const tess_code_difference *at,
                            char *out, size_t size, tess_error *err)
{
    char text[48];
    bool is_repeated;
    tess_status status = find_repetition(c, s, at, &is_repeated, err);
    say_text(c, at->frame, text, sizeof text);
    snprintf(out, size, "what is fed back (codes, %s)%s", text,
             is_repeated ? ", a position behind the prompt, or the penalty"
                         : " or a position behind the prompt; no penalty, for neither was spoken before");
    return status;
}

static tess_status say_fault(tess_comparison *c, const tess_tap_state *s, const tess_code_difference *at,
                             char *out, size_t size, tess_error *err)
{
    if (at->codebook == 0 && at->frame > 0) return say_step(c, s, at, out, size, err);
    if (s->codes.talker_frame >= 0) {
        snprintf(out, size,
                 "a step of the talker, which behind the reference's codes chooses another in frame %lld",
                 (long long)s->codes.talker_frame);
        return TESS_OK;
    }
    snprintf(out, size, "%s",
             at->codebook == 0 ? "how a code is chosen from its logits, as which are suppressed"
             : at->frame == 0 || c->is_isolated
                 ? "the code predictor, or the state behind the norm that it is given"
                 : "the code predictor, or the talker's step before it, which verify tells apart");
    return TESS_OK;
}

tess_status tess_codes_locate(tess_comparison *c, const tess_tap_state *s, const tess_compare_result *so_far,
                              tess_tap_report *r, tess_error *err)
{
    tess_code_difference at;
    tess_status status = find_place(c, s, &at, err);
    if (status != TESS_OK || at.frame < 0) return status;
    r->frame = at.frame;
    r->row = r->codebook = at.codebook;
    say_place(s, &at, r);
    if (!tess_tap_has_failed(r)) return TESS_OK;
    if (at.codebook == 0 || s->codes.talker_frame >= 0) r->component = "talker.codec_head";
    if (!prompt_agrees(so_far)) return TESS_OK;
    char fault[160];
    status = say_fault(c, s, &at, fault, sizeof fault, err);
    size_t used = strlen(r->why);
    snprintf(r->why + used, sizeof r->why - used, "; the talker's prompt agrees, so at fault is %s", fault);
    return status;
}

void tess_codes_say_first_run(tess_comparison *c, const tess_tap_state *s, tess_tap_report *r)
{
    static const char *const rows[] = {"the talker's state behind its norm", "the first code's embedding"};
    const tess_tap_state *codes = tess_comparison_find(c, "tap.talker.codes");
    if (!strcmp(s->reference->name, PREDICTOR "inputs_embeds") && r->row >= 0 && r->row < 2)
        snprintf(r->where, sizeof r->where, "%s", rows[r->row]);
    if (c->is_isolated || !codes || codes->codes.first.frame != 0 || codes->codes.first.codebook != 0) return;
    r->component = "talker.codec_head";
    r->frame = r->codebook = 0;
    size_t used = strlen(r->why);
    snprintf(r->why + used, sizeof r->why - used, "; the talker chose another first code");
}
