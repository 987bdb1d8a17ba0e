#include "synthetic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verify/trace/writer.h"

static double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / (double)(1ull << 52) - 1;
}

test_tensor *test_trace_add(test_trace *trace, const char *name, bool is_integer, int n_dim,
                            const int64_t *dim)
{
    test_tensors *all = &trace->tensors;
    all->item = realloc(all->item, (all->count + 1) * sizeof *all->item);
    assert_non_null(all->item);
    test_tensor *t = &all->item[all->count++];
    *t = (test_tensor){.is_integer = is_integer, .n_dim = n_dim, .count = 1};
    snprintf(t->name, sizeof t->name, "%s", name);
    for (int i = 0; i < n_dim; i++) {
        t->dim[i] = dim[i];
        t->count *= (size_t)dim[i];
    }
    t->values = calloc(t->count + 1, is_integer ? sizeof(int64_t) : sizeof(float));
    assert_non_null(t->values);
    return t;
}

static void add_noise(test_trace *trace, const char *name, int64_t width, uint64_t seed)
{
    test_tensor *t = test_trace_add(trace, name, false, 2, (int64_t[]){SYNTHETIC_TOKENS, width});
    for (size_t i = 0; i < t->count; i++) t->values[i] = (float)noise(&seed);
}

/* Who is chosen by each token: the first with the larger weight. */
static const int64_t chosen[SYNTHETIC_TOKENS][2] = {{0, 1}, {1, 2}, {3, 0}, {2, 4}, {5, 3}, {4, 1}};

static void add_router(test_trace *trace, int layer)
{
    char name[96];
    snprintf(name, sizeof name, "tap.thinker.model.layers.%d.mlp.gate.logits", layer);
    add_noise(trace, name, SYNTHETIC_EXPERTS, 77 + (uint64_t)layer);
    size_t logits = trace->tensors.count - 1;
    snprintf(name, sizeof name, "tap.thinker.model.layers.%d.mlp.gate.indices", layer);
    test_tensor *indices = test_trace_add(trace, name, true, 2, (int64_t[]){SYNTHETIC_TOKENS, 2});
    snprintf(name, sizeof name, "tap.thinker.model.layers.%d.mlp.gate.weights", layer);
    memcpy(indices->integers, chosen, sizeof chosen);
    test_tensor *weights = test_trace_add(trace, name, false, 2, (int64_t[]){SYNTHETIC_TOKENS, 2});
    for (int t = 0; t < SYNTHETIC_TOKENS; t++) {
        float *row = trace->tensors.item[logits].values + t * SYNTHETIC_EXPERTS;
        row[chosen[t][0]] = 3.0f;
        row[chosen[t][1]] = 2.0f;
        weights->values[2 * t] = 0.73105858f;
        weights->values[2 * t + 1] = 0.26894142f;
    }
}

void test_trace_make(test_trace *out)
{
    *out = (test_trace){.dtype = "float32"};
    int64_t n = SYNTHETIC_TOKENS;
    test_tensor *t = test_trace_add(out, "in.input_ids", true, 1, &n);
    for (int i = 0; i < SYNTHETIC_TOKENS; i++) t->integers[i] = 3 + i;
    add_noise(out, "tap.thinker.inputs_embeds", SYNTHETIC_WIDTH, 1);
    t = test_trace_add(out, "tap.thinker.position_ids", false, 2, (int64_t[]){3, n});
    for (size_t i = 0; i < t->count; i++) t->values[i] = (float)(i % SYNTHETIC_TOKENS);
    for (int layer = 0; layer < 2; layer++) {
        static const char *const parts[] = {".self_attn", ".mlp", ""};
        char name[96];
        for (int p = 0; p < 3; p++) {
            snprintf(name, sizeof name, "tap.thinker.model.layers.%d%s", layer, parts[p]);
            add_noise(out, name, SYNTHETIC_WIDTH, 10 + 3 * (uint64_t)layer + (uint64_t)p);
        }
        add_router(out, layer);
    }
    add_noise(out, "tap.thinker.model.norm", SYNTHETIC_WIDTH, 5);
    add_noise(out, "tap.thinker.lm_head", SYNTHETIC_VOCAB, 6);
    t = test_trace_add(out, "tap.thinker.generated", true, 1, (int64_t[]){4});
    for (int i = 0; i < 4; i++) t->integers[i] = 2 * i;
}

void test_trace_release(test_trace *trace)
{
    test_tensors_release(&trace->tensors);
}

void test_trace_copy(const test_trace *from, test_trace *to)
{
    *to = *from;
    to->tensors = (test_tensors){0};
    for (size_t i = 0; i < from->tensors.count; i++) {
        const test_tensor *t = &from->tensors.item[i];
        test_tensor *copy = test_trace_add(to, t->name, t->is_integer, t->n_dim, t->dim);
        memcpy(copy->values, t->values, t->count * (t->is_integer ? sizeof(int64_t) : sizeof(float)));
    }
}

void test_trace_remove(test_trace *trace, const char *name)
{
    test_tensor *t = test_tensors_get(&trace->tensors, name);
    free(t->values);
    *t = trace->tensors.item[--trace->tensors.count];
}

void test_trace_blur(test_trace *trace, const char *name, double relative)
{
    test_tensor *t = test_tensors_get(&trace->tensors, name);
    uint64_t seed = 99;
    for (size_t i = 0; i < t->count; i++)
        t->values[i] = (float)((double)t->values[i] * (1 + relative * noise(&seed)));
}

static void must(tess_status status, const tess_error *err)
{
    if (status != TESS_OK) fail_msg("%s", err->message);
}

void test_trace_save(const test_trace *trace, const char *path)
{
    tess_error err;
    tess_trace_writer *w;
    must(tess_trace_writer_new(&w, &err), &err);
    const char *const notes[][2] = {
        {"dtype", trace->dtype}, {"config_sha256", trace->config}, {"weights_sha256", trace->weights}};
    for (int i = 0; i < 3; i++)
        if (*notes[i][1]) must(tess_trace_writer_note(w, notes[i][0], notes[i][1], &err), &err);
    for (size_t i = 0; i < trace->tensors.count; i++) {
        const test_tensor *t = &trace->tensors.item[i];
        must(tess_trace_writer_declare(w, t->name, t->is_integer, t->n_dim, t->dim, &err), &err);
    }
    must(tess_trace_writer_open(w, path, &err), &err);
    for (size_t i = 0; i < trace->tensors.count; i++) {
        const test_tensor *t = &trace->tensors.item[i];
        must(tess_trace_writer_put(w, t->name, 0, t->values, t->count, &err), &err);
    }
    must(tess_trace_writer_commit(w, &err), &err);
}
