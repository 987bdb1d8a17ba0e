/* Checking known answers: is this the checkpoint they are of, then one after the other. */
#include "verify/answers/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* ---- is it the list's checkpoint? ---- */

/* The value at a dotted path of keys; NULL if there is none. */
static const json_t *find_value(const json_t *root, const char *path)
{
    char key[128];
    while (root) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof key) return NULL;
        memcpy(key, path, n);
        key[n] = 0;
        root = json_object_get(root, key);
        if (!path[n]) return root;
        path += n + 1;
    }
    return NULL;
}

static tess_status compare_configuration(const tess_known_answers *answers, const char *path,
                                         const json_t *config, tess_error *err)
{
    const char *first = NULL;
    size_t n = 0, n_other = 0;
    for (void *i = json_object_iter((json_t *)answers->configuration); i;
         i = json_object_iter_next((json_t *)answers->configuration, i), n++) {
        if (tess_json_is_same(find_value(config, json_object_iter_key(i)), json_object_iter_value(i)))
            continue;
        if (!first)
            first = json_object_iter_key(i);
        else
            n_other++;
    }
    if (!first) return TESS_OK;
    char expected[192], found[80], wanted[80];
    tess_json_spell(json_object_get(answers->configuration, first), wanted, sizeof wanted);
    tess_json_spell(find_value(config, first), found, sizeof found);
    snprintf(expected, sizeof expected, "%s as in %.60s, which these known answers are of", wanted,
             answers->checkpoint);
    return tess_refuse(err, path, first, -1, expected, "%s; %zu of %zu values differ", found, n_other + 1, n);
}

static tess_status check_configuration(const tess_known_check *c, tess_error *err)
{
    enum { MAX_CONFIG_BYTES = 4 << 20 };
    char *path = NULL;
    json_t *config = NULL;
    if (asprintf(&path, "%s/config.json", c->options->model_dir) < 0)
        return tess_fail(err, TESS_ENOMEM, "no memory to read config.json");
    tess_status status = tess_json_load(path, MAX_CONFIG_BYTES, &config, err);
    if (status == TESS_OK) status = compare_configuration(c->answers, path, config, err);
    json_decref(config);
    free(path);
    return status;
}

/* ---- the order of things ---- */

static const struct {
    tess_known_checker *check;
    bool runs; /* needs the model to run */
} checkers[TESS_N_KNOWN_KIND] = {
    [TESS_KNOWN_TENSORS] = {tess_known_check_tensors, false},
    [TESS_KNOWN_TOKENS] = {tess_known_check_tokens, false},
    [TESS_KNOWN_ROUTER] = {tess_known_check_router, false},
    [TESS_KNOWN_RANK] = {tess_known_check_rank, true},
    [TESS_KNOWN_CHAT] = {tess_known_check_chat, true},
};

static tess_status check_one(tess_known_check *c, const tess_known_answer *a, tess_known_report *report,
                             void *context, size_t *n_different, tess_error *err)
{
    c->expected.count = c->found.count = c->beside.count = 0;
    tess_known_verdict verdict = TESS_KNOWN_REPORTED;
    tess_status status = checkers[a->kind].check(c, a, &verdict, err);
    if (status != TESS_OK) return status;
    *n_different += verdict == TESS_KNOWN_DIFFERENT;
    tess_known_finding finding = {.kind = tess_known_kind_name(a->kind),
                                  .name = a->name,
                                  .expected = c->expected.count ? c->expected.data : "",
                                  .found = c->found.count ? c->found.data : "",
                                  .beside = c->beside.count ? c->beside.data : "",
                                  .source = a->source,
                                  .verdict = verdict};
    report(context, &finding);
    return TESS_OK;
}

/* Positions the longest prompt and its answer need; 0 if no answer runs the model. */
static tess_status measure_context(tess_known_check *c, int *n_needed, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status = TESS_OK;
    *n_needed = 0;
    for (size_t i = 0; i < c->answers->n_answer && status == TESS_OK; i++) {
        const tess_known_answer *a = &c->answers->answer[i];
        if (!checkers[a->kind].runs) continue;
        ids.count = 0;
        status = tess_known_encode(c, a, &ids, err);
        int n = (int)ids.count + (int)a->max_new;
        if (n > *n_needed) *n_needed = n;
    }
    tess_ids_release(&ids);
    return status;
}

static tess_status check_group(tess_known_check *c, bool runs, tess_known_report *report, void *context,
                               size_t *n_different, tess_error *err)
{
    tess_status status = TESS_OK;
    for (size_t i = 0; i < c->answers->n_answer && status == TESS_OK; i++)
        if (checkers[c->answers->answer[i].kind].runs == runs)
            status = check_one(c, &c->answers->answer[i], report, context, n_different, err);
    return status;
}

static tess_status check_by_running(tess_known_check *c, tess_known_report *report, void *context,
                                    size_t *n_different, tess_error *err)
{
    tess_engine_options options = *c->options;
    tess_status status = measure_context(c, &options.n_needed, err);
    if (status != TESS_OK || !options.n_needed) return status;
    status = tess_engine_open(&options, &c->engine, err);
    if (status == TESS_OK) status = tess_session_new(c->engine, &c->session, err);
    if (status == TESS_OK) status = check_group(c, true, report, context, n_different, err);
    tess_session_free(c->session);
    tess_engine_close(c->engine);
    return status;
}

tess_status tess_known_answers_check(const tess_known_answers *answers, const tess_engine_options *options,
                                     tess_known_report *report, void *context, size_t *n_different,
                                     tess_error *err)
{
    tess_known_check c = {.answers = answers, .options = options};
    *n_different = 0;
    tess_status status = check_configuration(&c, err);
    if (status == TESS_OK) status = check_group(&c, false, report, context, n_different, err);
    tess_checkpoint_close(c.checkpoint);
    c.checkpoint = NULL;
    if (status == TESS_OK) status = check_by_running(&c, report, context, n_different, err);
    tess_tokenizer_close(c.tokenizer);
    tess_text_release(&c.expected);
    tess_text_release(&c.found);
    tess_text_release(&c.beside);
    return status;
}
