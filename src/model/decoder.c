#include "model/decoder.h"

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static bool has_dense_layer(const tess_decoder_config *c)
{
    for (int layer = 0; layer < c->n_layer; layer++)
        if (!c->is_moe[layer]) return true;
    return false;
}

/* Rows and widths of the buffers that experts and dense layers share. */
static void take_mlp_buffers(tess_workspace *w, const tess_decoder_config *c, const tess_decoder_sizes *sizes,
                             tess_arena *arena)
{
    uint64_t used = (uint64_t)c->n_expert_used, n_assigned = (uint64_t)sizes->n_chunk * used;
    bool dense = has_dense_layer(c);
    int n_row = max_int(w->n_expert_rows, dense ? sizes->n_chunk : 0),
        d_ff = max_int(c->d_expert, dense ? c->d_ff : 0);
    w->router_logits = TESS_TAKE(arena, float, (uint64_t)sizes->n_chunk *(uint64_t)c->n_expert);
    w->router_probs = TESS_TAKE(arena, float, (uint64_t)sizes->n_chunk *(uint64_t)c->n_expert);
    w->candidates = TESS_TAKE(arena, tess_candidate, (uint64_t)sizes->n_chunk * (uint64_t)c->n_expert);
    w->router_weights = TESS_TAKE(arena, float, n_assigned);
    w->router_indices = TESS_TAKE(arena, int64_t, n_assigned);
    w->expert_begin = TESS_TAKE(arena, int32_t, c->n_expert + 1);
    w->assigned_token = TESS_TAKE(arena, int32_t, n_assigned);
    w->assigned_weight = TESS_TAKE(arena, float, n_assigned);
    w->leased = TESS_TAKE(arena, const void *const *, sizes->n_lease);
    w->expert_packed =
        TESS_TAKE(arena, float, (uint64_t)w->n_expert_rows *tess_packed_floats((size_t)c->d_model));
    w->expert_output = TESS_TAKE(arena, float, (uint64_t)w->n_expert_rows *(uint64_t)c->d_model);
    w->gate = TESS_TAKE(arena, float, (uint64_t)n_row *(uint64_t)d_ff);
    w->up = TESS_TAKE(arena, float, (uint64_t)n_row *(uint64_t)d_ff);
    w->hidden_packed = TESS_TAKE(arena, float, (uint64_t)n_row *tess_packed_floats((size_t)d_ff));
}

static void take_workspace(tess_workspace *w, const tess_decoder_config *c, const tess_decoder_sizes *sizes,
                           tess_arena *arena)
{
    uint64_t n = (uint64_t)sizes->n_chunk, d_model = (uint64_t)c->d_model;
    uint64_t n_q = (uint64_t)c->n_head * (uint64_t)c->d_head;
    w->n_chunk = sizes->n_chunk;
    w->n_logit_rows = sizes->n_logit_rows;
    w->n_lease = sizes->n_lease;
    w->n_expert_rows = max_int(sizes->n_chunk, c->n_expert_used);
    w->packed_stride = tess_packed_floats((size_t)max_int(c->d_model, c->n_head * c->d_head));
    w->residual = TESS_TAKE(arena, float, n *d_model);
    w->normed = TESS_TAKE(arena, float, n *d_model);
    w->output = TESS_TAKE(arena, float, n *d_model);
    w->query = TESS_TAKE(arena, float, n *n_q);
    w->mixed = TESS_TAKE(arena, float, n *n_q);
    w->packed = TESS_TAKE(arena, float, n * w->packed_stride);
    w->cosines = TESS_TAKE(arena, float, n *(uint64_t)c->d_head / 2);
    w->sines = TESS_TAKE(arena, float, n *(uint64_t)c->d_head / 2);
    w->scores = TESS_TAKE(arena, float,
                          (uint64_t)sizes->n_thread *(uint64_t)(c->n_head / c->n_kv_head) *
                              (uint64_t)sizes->n_context);
    w->logits = TESS_TAKE(arena, float, (uint64_t)sizes->n_logit_rows *(uint64_t)c->n_vocab);
    w->norm = TESS_TAKE(arena, uint16_t, d_model);
    take_mlp_buffers(w, c, sizes, arena);
}

void tess_decoder_init(tess_decoder *decoder, const tess_decoder_sizes *sizes, tess_arena *arena)
{
    tess_rope_init(&decoder->rope, decoder->config, arena);
    take_workspace(&decoder->work, decoder->config, sizes, arena);
}

typedef struct pack_task {
    tess_decoder *decoder;
    const float *in;
    size_t n_col;
    int n;
} pack_task;

static void pack_part(void *arg, int part, int n_part)
{
    pack_task *task = arg;
    tess_decoder *t = task->decoder;
    size_t width = tess_packed_floats(task->n_col);
    int64_t begin, end;
    tess_part_range(task->n, 1, part, n_part, &begin, &end);
    for (size_t i = (size_t)begin; i < (size_t)end; i++)
        t->kernels->pack(t->work.packed + i * width, task->in + i * task->n_col, task->n_col);
}

void tess_decoder_pack(tess_decoder *decoder, const float *x, size_t n_col, int n)
{
    pack_task task = {.decoder = decoder, .in = x, .n_col = n_col, .n = n};
    if (n == 1)
        pack_part(&task, 0, 1);
    else
        tess_pool_run(decoder->pool, pack_part, &task);
}
