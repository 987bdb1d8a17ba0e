/* Known answers that stored bytes alone decide: counts of tensors, ids of a text, and a router's choice. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpenv.h"
#include "engine/plan.h"
#include "model/topk.h"
#include "store/shard_reader.h"
#include "verify/answers/answers.h"

/* ---- tensors ---- */

static tess_status say_totals(tess_text *text, tess_tensor_totals totals, tess_error *err)
{
    return tess_known_say(text, err, "%zu tensor%s, %llu parameters, %llu bytes", totals.n_tensor,
                          totals.n_tensor == 1 ? "" : "s", (unsigned long long)totals.n_parameter,
                          (unsigned long long)totals.n_byte);
}

static tess_tensor_totals count_tensors(const tess_known_check *c, const tess_known_answer *a)
{
    tess_tensor_totals totals = {0};
    switch (a->scope) {
    case TESS_KNOWN_ALL:
        return c->summary.all;
    case TESS_KNOWN_COMPONENT:
        return c->summary.component[a->component];
    case TESS_KNOWN_EXPERTS:
        return c->summary.experts[a->component];
    case TESS_KNOWN_TENSOR:
        for (size_t i = 0; i < tess_checkpoint_get_tensor_count(c->checkpoint); i++) {
            const tess_tensor *t = tess_checkpoint_get_tensor(c->checkpoint, i);
            if (strcmp(t->name, a->of)) continue;
            totals.n_tensor++;
            totals.n_parameter += tess_tensor_count(t);
            totals.n_byte += t->n_byte;
        }
    }
    return totals;
}

tess_status tess_known_check_tensors(tess_known_check *c, const tess_known_answer *a,
                                     tess_known_verdict *verdict, tess_error *err)
{
    if (!c->checkpoint) {
        tess_status status =
            tess_checkpoint_open(c->options->model_dir, c->options->direct, &c->checkpoint, err);
        if (status != TESS_OK) return status;
        tess_checkpoint_summarise(c->checkpoint, &c->summary);
    }
    tess_tensor_totals found = count_tensors(c, a);
    tess_tensor_totals expected = {(size_t)a->n_tensor, (uint64_t)a->n_parameter, (uint64_t)a->n_byte};
    bool is_equal = found.n_tensor == expected.n_tensor && found.n_parameter == expected.n_parameter &&
                    found.n_byte == expected.n_byte;
    *verdict = is_equal ? TESS_KNOWN_CONFIRMED : TESS_KNOWN_DIFFERENT;
    tess_status status = say_totals(&c->expected, expected, err);
    return status == TESS_OK ? say_totals(&c->found, found, err) : status;
}

/* ---- tokens ---- */

tess_status tess_known_check_tokens(tess_known_check *c, const tess_known_answer *a,
                                    tess_known_verdict *verdict, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status = tess_known_encode(c, a, &ids, err);
    size_t n = json_array_size(a->ids);
    bool is_equal = status == TESS_OK && ids.count == n;
    for (size_t i = 0; i < ids.count && status == TESS_OK; i++) {
        is_equal = is_equal && ids.data[i] == json_integer_value(json_array_get(a->ids, i));
        status = tess_known_say(&c->found, err, "%s%d", i ? " " : "", ids.data[i]);
    }
    for (size_t i = 0; i < n && status == TESS_OK; i++)
        status = tess_known_say(&c->expected, err, "%s%lld", i ? " " : "",
                                (long long)json_integer_value(json_array_get(a->ids, i)));
    tess_ids_release(&ids);
    *verdict = is_equal ? TESS_KNOWN_CONFIRMED : TESS_KNOWN_DIFFERENT;
    return status;
}

/* ---- router ----
 *
 * The router's matrix is applied to the embedding row itself, without the norm and the attention that come
 * before it in the model: float32 logits, softmax over all experts, the k largest, divided by their sum. That
 * needs two tensors and no run, which is why it can be checked on any machine. */

/* Largest difference of a weight that passes, as the source has it. */
#define WEIGHT_TOLERANCE 1e-6

typedef struct routing {
    tess_store *store;
    tess_kernels kernels;
    const tess_tensor *embedding, *gate;
    tess_shard_reader *embedding_reader, *gate_reader;
    size_t n_expert, d_model;
    void *window;   /* that one row is read into */
    float *x, *row; /* [d_model] */
    float *probs;   /* [n_expert] */
    tess_candidate *candidates;
} routing;

static tess_status find_matrix(routing *r, const tess_known_check *c, const tess_known_answer *a,
                               const char *name, const tess_tensor **out, tess_error *err)
{
    const tess_tensor *t = tess_store_find(r->store, name);
    char found[128];
    if (!t) {
        snprintf(found, sizeof found, "%lld, and the checkpoint has no %s", (long long)a->layer, name);
        return tess_known_refuse(c, a, "layer", "a layer with experts", found, err);
    }
    char shape[80];
    tess_tensor_format_shape(t->n_dim, t->dim, shape, sizeof shape);
    if (t->dtype != TESS_DTYPE_BF16 || t->n_dim != 2 || !t->dim[0] || !t->dim[1])
        return tess_refuse(err, tess_store_get_shard_path(r->store, t->shard), name, (int64_t)t->offset,
                           "BF16 [rows, columns]", "%s %s", tess_dtype_name(t->dtype), shape);
    *out = t;
    return TESS_OK;
}

static tess_status open_routing(routing *r, const tess_known_check *c, const tess_known_answer *a,
                                tess_error *err)
{
    char name[96];
    snprintf(name, sizeof name, "thinker.model.layers.%lld.mlp.gate.weight", (long long)a->layer);
    tess_status status = tess_kernels_choose(c->options->isa, &r->kernels, err);
    if (status == TESS_OK)
        status = tess_store_open(c->options->model_dir, c->options->direct, &r->store, err);
    if (status == TESS_OK)
        status = find_matrix(r, c, a, "thinker.model.embed_tokens.weight", &r->embedding, err);
    if (status == TESS_OK) status = find_matrix(r, c, a, name, &r->gate, err);
    if (status != TESS_OK) return status;
    r->n_expert = (size_t)r->gate->dim[0];
    r->d_model = (size_t)r->gate->dim[1];
    if (r->embedding->dim[1] != r->d_model)
        return tess_refuse(err, tess_store_get_shard_path(r->store, r->gate->shard), name,
                           (int64_t)r->gate->offset, "as many columns as the embedding", "%zu", r->d_model);
    r->window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(r->d_model * sizeof(uint16_t)));
    r->x = malloc(r->d_model * sizeof *r->x);
    r->row = malloc(r->d_model * sizeof *r->row);
    r->probs = malloc(r->n_expert * sizeof *r->probs);
    r->candidates = malloc(r->n_expert * sizeof *r->candidates);
    if (!r->window || !r->x || !r->row || !r->probs || !r->candidates)
        return tess_fail(err, TESS_ENOMEM, "no memory for a router of %zu experts", r->n_expert);
    status = tess_shard_reader_new(r->store, r->embedding->shard, &r->embedding_reader, err);
    return status == TESS_OK ? tess_shard_reader_new(r->store, r->gate->shard, &r->gate_reader, err) : status;
}

static void close_routing(routing *r)
{
    tess_shard_reader_free(r->embedding_reader);
    tess_shard_reader_free(r->gate_reader);
    free(r->window);
    free(r->x);
    free(r->row);
    free(r->probs);
    free(r->candidates);
    tess_store_close(r->store);
}

static tess_status read_row(routing *r, const tess_tensor *t, size_t row, float *out, tess_error *err)
{
    const size_t n_byte = r->d_model * sizeof(uint16_t);
    const size_t i = (size_t)(t - tess_safetensors_get(tess_store_get_shard(r->store, t->shard), 0));
    tess_shard_reader *reader = t == r->gate ? r->gate_reader : r->embedding_reader;
    const void *stored;
    uint64_t damage;
    tess_status status =
        tess_shard_reader_read(reader, t->offset + row * n_byte, n_byte, r->window, &stored, err);
    if (status != TESS_OK) return status;
    if (tess_shard_reader_is_damaged(reader, i, &damage))
        return tess_store_refuse_damage(r->store, t, damage, err);
    r->kernels.widen(out, stored, r->d_model);
    return TESS_OK;
}

/* Fills probs, over all experts, and candidates, the k likeliest first. */
static tess_status route(routing *r, size_t id, int k, tess_error *err)
{
    tess_status status = read_row(r, r->embedding, id, r->x, err);
    for (size_t e = 0; e < r->n_expert && status == TESS_OK; e++) {
        status = read_row(r, r->gate, e, r->row, err);
        if (status == TESS_OK) r->probs[e] = r->kernels.dot(r->row, r->x, r->d_model);
    }
    if (status != TESS_OK) return status;
    if (r->kernels.find_non_finite(r->probs, r->n_expert) < r->n_expert)
        return tess_fail(err, TESS_ENONFINITE, "the router's logits are not finite");
    r->kernels.softmax(r->probs, r->n_expert);
    for (size_t e = 0; e < r->n_expert; e++)
        r->candidates[e] = (tess_candidate){.value = r->probs[e], .id = (int32_t)e};
    tess_select_top(r->candidates, (int)r->n_expert, k);
    return TESS_OK;
}

/* Whether the expected experts are the chosen ones in this order. Two whose weights are as good as equal may
 * stand the other way round: the order of sums is not the source's. */
static tess_status judge_routing(tess_known_check *c, const tess_known_answer *a, const routing *r,
                                 bool *is_equal, tess_error *err)
{
    size_t k = json_array_size(a->experts);
    float sum = 0;
    for (size_t i = 0; i < k; i++) sum += r->candidates[i].value;
    tess_status status = TESS_OK;
    for (size_t i = 0; i < k && status == TESS_OK; i++) {
        const char *comma = i ? ", " : "";
        json_int_t expert = json_integer_value(json_array_get(a->experts, i));
        double chosen = (double)(r->candidates[i].value / sum), own = (double)(r->probs[expert] / sum);
        double weight = a->weights ? json_number_value(json_array_get(a->weights, i)) : own;
        *is_equal =
            *is_equal && fabs(own - chosen) <= WEIGHT_TOLERANCE && fabs(own - weight) <= WEIGHT_TOLERANCE;
        status = tess_known_say(&c->found, err, "%s%d (%.9f)", comma, r->candidates[i].id, chosen);
        if (status != TESS_OK) return status;
        status = a->weights
                     ? tess_known_say(&c->expected, err, "%s%lld (%.9f)", comma, (long long)expert, weight)
                     : tess_known_say(&c->expected, err, "%s%lld", comma, (long long)expert);
    }
    return status;
}

static tess_status check_experts(const tess_known_check *c, const tess_known_answer *a, const routing *r,
                                 tess_error *err)
{
    char expected[80];
    snprintf(expected, sizeof expected, "ids of the layer's %zu experts", r->n_expert);
    for (size_t i = 0; i < json_array_size(a->experts); i++)
        if ((uint64_t)json_integer_value(json_array_get(a->experts, i)) >= r->n_expert)
            return tess_known_refuse(c, a, "experts", expected, "another id", err);
    return TESS_OK;
}

static tess_status check_last_id(tess_known_check *c, const tess_known_answer *a, const routing *r,
                                 int32_t last, bool *is_equal, tess_error *err)
{
    if ((uint64_t)last >= r->embedding->dim[0]) {
        char found[48];
        snprintf(found, sizeof found, "a prompt that ends with id %d", last);
        return tess_known_refuse(c, a, "prompt", "ids that the embedding has", found, err);
    }
    *is_equal = a->last_id < 0 || last == a->last_id;
    if (a->last_id < 0) return TESS_OK;
    tess_status status = tess_known_say(&c->expected, err, "id %lld: experts ", (long long)a->last_id);
    return status == TESS_OK ? tess_known_say(&c->found, err, "id %d: experts ", last) : status;
}

static tess_status check_routing(tess_known_check *c, const tess_known_answer *a, routing *r, int32_t last,
                                 tess_known_verdict *verdict, tess_error *err)
{
    bool is_equal = true;
    tess_status status = open_routing(r, c, a, err);
    if (status == TESS_OK) status = check_experts(c, a, r, err);
    if (status == TESS_OK) status = check_last_id(c, a, r, last, &is_equal, err);
    if (status == TESS_OK) status = route(r, (size_t)last, (int)json_array_size(a->experts), err);
    if (status == TESS_OK) status = judge_routing(c, a, r, &is_equal, err);
    *verdict = is_equal ? TESS_KNOWN_CONFIRMED : TESS_KNOWN_DIFFERENT;
    return status;
}

tess_status tess_known_check_router(tess_known_check *c, const tess_known_answer *a,
                                    tess_known_verdict *verdict, tess_error *err)
{
    tess_ids ids = {0};
    tess_status status = tess_known_encode(c, a, &ids, err);
    int32_t last = status == TESS_OK && ids.count ? ids.data[ids.count - 1] : 0;
    if (status == TESS_OK && !ids.count)
        status = tess_known_refuse(c, a, "prompt", "a text of at least one token", "one of none", err);
    tess_ids_release(&ids);
    if (status != TESS_OK) return status;
    routing r = {0};
    tess_fpenv saved = tess_fpenv_enter();
    status = check_routing(c, a, &r, last, verdict, err);
    tess_fpenv_leave(saved);
    close_routing(&r);
    return status;
}
