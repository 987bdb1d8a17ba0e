/* The memory plan.
 *
 * It starts from the smallest layout that can run at all: chunks of one position, one layer's weights at a
 * time, one block of rows of the head and of the embedding, as many experts as one layer routes to. Then it
 * spends what the budget leaves on what saves most reading per byte: longer prefill chunks (an eighth of it
 * at most), all layers' non-expert weights, the head, experts, and last the embedding, of which a token reads
 * one row.
 */
#include "engine/plan.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "engine/layout.h"
#include "model/manifest.h"

/* Blocks of rows: an embedding is read for one row, a head for all. */
#define EMBEDDING_BLOCK_BYTES (64u << 10)
#define HEAD_BLOCK_BYTES (1u << 20)

/* What the process may still grow by outside the arena: pages of libraries not yet touched, request text,
 * ids, buffers of files being written; and what a thread touches of its stack. */
#define PROCESS_ALLOWANCE_BYTES (3u << 20)
#define THREAD_ALLOWANCE_BYTES (64u << 10)
#define POSITION_ALLOWANCE_BYTES 64u
/* How far "resident when planning" differs between two runs (which library pages happen to be mapped); the
 * smallest budget that is told includes it, so that it holds for the next run too. */
#define PROCESS_VARIATION_BYTES (1u << 20)

enum { DEFAULT_CONTEXT = 4096, MAX_CHUNK = 512, MAX_LOGIT_ROWS = 16 };

const char *tess_cpu_describe(void)
{
    unsigned mask = tess_cpu_mask();
    if (mask & TESS_CPU_AVX512) return "reference avx2 avx512";
    if (mask & TESS_CPU_AVX2FMA) return "reference avx2";
    if (mask & TESS_CPU_NEON) return "reference neon";
    return "reference";
}

tess_status tess_kernels_choose(const char *isa, tess_kernels *out, tess_error *err)
{
    unsigned mask;
    if (!tess_isa_from_name(isa ? isa : "auto", &mask))
        return tess_fail(err, TESS_EUSAGE,
                         "--isa: found \"%s\", expected auto, reference, avx2, avx512 or neon", isa);
    if (!tess_isa_available(mask))
        return tess_fail(err, TESS_EUSAGE, "--isa: found \"%s\", but this CPU and build have: %s", isa,
                         tess_cpu_describe());
    tess_kernels_init(out, mask);
    return TESS_OK;
}

uint64_t tess_peak_rss_bytes(void)
{
    return tess_system_peak_bytes();
}

tess_status tess_model_open(const tess_engine_options *options, tess_model *out, tess_error *err)
{
    tess_model model = {.precision = options->precision};
    tess_status status = tess_kernels_choose(options->isa, &model.kernels, err);
    if (status == TESS_OK) status = tess_config_load(options->model_dir, &model.config, err);
    if (status == TESS_OK) status = tess_store_open(options->model_dir, options->direct, &model.store, err);
    /* none missing, none extra: also of components that a text prompt does not reach */
    if (status == TESS_OK) status = tess_manifest_check(&model.config, model.store, NULL, err);
    if (status == TESS_OK)
        status = tess_thinker_weights_find(model.store, &model.config.thinker.text, EMBEDDING_BLOCK_BYTES,
                                           HEAD_BLOCK_BYTES, &model.weights, err);
    if (status != TESS_OK)
        tess_model_close(&model);
    else
        *out = model;
    return status;
}

void tess_model_close(tess_model *model)
{
    tess_thinker_weights_release(&model->weights);
    tess_store_close(model->store);
    model->store = NULL;
}

tess_decoder tess_model_make_thinker(const tess_model *model, tess_pool *pool)
{
    return (tess_decoder){.config = &model->config.thinker.text,
                          .kernels = &model->kernels,
                          .pool = pool,
                          .rounding =
                              model->precision == TESS_PRECISION_BF16 ? TESS_ROUND_BF16 : TESS_ROUND_NONE};
}

/* ---- trying a choice ---- */

typedef struct planner {
    tess_model *model;
    tess_choice choice;
    uint64_t budget, process;
    uint64_t region[TESS_REGIONS];
} planner;

static uint64_t measure(planner *p, const tess_choice *choice)
{
    tess_arena arena = tess_arena_measure();
    tess_parts parts = {.thinker = tess_model_make_thinker(p->model, NULL)};
    tess_parts_init(&parts, p->model->store, &p->model->weights, choice, &arena, p->region);
    return arena.overflowed || arena.used > UINT64_MAX / 2 ? UINT64_MAX / 2 : arena.used;
}

static bool fits(planner *p, const tess_choice *choice)
{
    return p->process + measure(p, choice) <= p->budget;
}

/* Takes the changed choice if it fits. */
static bool upgrade(planner *p, tess_choice changed)
{
    if (!fits(p, &changed)) return false;
    p->choice = changed;
    return true;
}

static void lengthen_chunks(planner *p, int most)
{
    uint64_t least = measure(p, &p->choice), left = p->budget - p->process - least;
    for (int n = most; n > 1; n = n > 16 ? n / 2 : n - 1) {
        tess_choice longer = p->choice;
        longer.n_chunk = n;
        longer.n_logit_rows = n < MAX_LOGIT_ROWS ? n : MAX_LOGIT_ROWS;
        if (measure(p, &longer) - least <= left / 8 && upgrade(p, longer)) return;
    }
}

/* The most expert slots that fit: the layout grows with every slot, so bisection finds them. */
static void add_expert_slots(planner *p, int n_total)
{
    int fitting = p->choice.n_expert_slot, failing = n_total + 1;
    while (fitting > 0 && failing - fitting > 1) {
        tess_choice more = p->choice;
        more.n_expert_slot = fitting + (failing - fitting) / 2;
        if (fits(p, &more))
            fitting = more.n_expert_slot;
        else
            failing = more.n_expert_slot;
    }
    p->choice.n_expert_slot = fitting;
}

static int count_experts(const tess_decoder_config *c)
{
    int n = 0;
    for (int layer = 0; layer < c->n_layer; layer++) n += c->is_moe[layer] ? c->n_expert : 0;
    return n;
}

static void spend_budget(planner *p, int most_chunk)
{
    const tess_decoder_config *c = &p->model->config.thinker.text;
    lengthen_chunks(p, most_chunk);
    tess_choice more = p->choice;
    more.n_layer_slot = c->n_layer;
    bool layers = upgrade(p, more);
    more = p->choice;
    more.n_head_slot = p->model->weights.head.n_block;
    if (layers) upgrade(p, more);
    add_expert_slots(p, count_experts(c));
    more = p->choice;
    more.n_embedding_slot = p->model->weights.embedding.n_block;
    upgrade(p, more);
}

/* ---- the plan as told ---- */

static uint64_t bytes_of(const tess_part *part, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += part[i].n_byte;
    return sum;
}

static void count_reads(const planner *p, tess_plan *plan)
{
    const tess_decoder_config *c = &p->model->config.thinker.text;
    const tess_thinker_weights *w = &p->model->weights;
    uint64_t always = p->choice.n_embedding_slot < w->embedding.n_block ? w->embedding.part[0].n_byte : 0;
    if (!plan->layers_resident) always += bytes_of(w->layer, c->n_layer * TESS_LAYER_PARTS);
    if (!plan->head_resident) always += bytes_of(w->head.part, w->head.n_block);
    uint64_t experts = bytes_of(w->expert, c->n_layer * c->n_expert * TESS_EXPERT_PARTS);
    uint64_t routed = c->n_expert ? experts / (uint64_t)c->n_expert * (uint64_t)c->n_expert_used : 0;
    double missing = 1 - (plan->n_expert_total ? (double)plan->n_expert_slot / plan->n_expert_total : 0);
    plan->bytes_per_token_cold = always + routed;
    plan->bytes_per_token_warm = always + (uint64_t)((double)routed * missing);
}

static void describe(planner *p, tess_plan *plan)
{
    const tess_choice *choice = &p->choice;
    measure(p, choice); /* fills the regions */
    plan->region[0].name = "process";
    plan->region[0].n_byte = p->process;
    plan->n_region = 1;
    for (tess_region r = 0; r < TESS_REGIONS; r++) {
        plan->region[plan->n_region].name = tess_region_name(r);
        plan->region[plan->n_region++].n_byte = p->region[r];
    }
    plan->n_context = choice->n_context;
    plan->n_chunk = choice->n_chunk;
    plan->n_thread = choice->n_thread;
    plan->n_expert_slot = choice->n_expert_slot;
    plan->n_expert_total = count_experts(&p->model->config.thinker.text);
    plan->layers_resident = choice->n_layer_slot == p->model->config.thinker.text.n_layer;
    plan->head_resident = choice->n_head_slot == p->model->weights.head.n_block;
    plan->embedding_resident = choice->n_embedding_slot == p->model->weights.embedding.n_block;
    count_reads(p, plan);
}

static tess_status refuse_budget(const planner *p, uint64_t smallest, tess_error *err)
{
    tess_fail(err, TESS_EBUDGET,
              "a memory budget of %llu bytes cannot work: the smallest for %d positions and %d threads is "
              "%llu bytes "
              "(--memory %lluMiB); fewer positions (--context) need less",
              (unsigned long long)p->budget, p->choice.n_context, p->choice.n_thread,
              (unsigned long long)smallest, (unsigned long long)((smallest + (1u << 20) - 1) >> 20));
    if (err) err->smallest_budget_bytes = smallest;
    return TESS_EBUDGET;
}

static tess_status choose_context(const tess_engine_options *options, const tess_decoder_config *c, int *out,
                                  tess_error *err)
{
    int n = options->n_context;
    if (n == 0) {
        n = options->n_needed > DEFAULT_CONTEXT ? options->n_needed : DEFAULT_CONTEXT;
        if (n > c->max_positions) n = c->max_positions;
    }
    if (n < 1 || n > c->max_positions)
        return tess_fail(err, TESS_EUSAGE, "--context: found %d, expected 1 to %d (max_position_embeddings)",
                         n, c->max_positions);
    *out = n;
    return TESS_OK;
}

static tess_status choose_threads(const tess_engine_options *options, int *out, tess_error *err)
{
    int n = options->n_thread;
    if (n == 0) {
        n = tess_system_cpus();
        if (n > TESS_POOL_MAX_THREADS) n = TESS_POOL_MAX_THREADS;
    }
    if (n < 1 || n > TESS_POOL_MAX_THREADS)
        return tess_fail(err, TESS_EUSAGE, "--threads: found %d, expected 1 to %d", n, TESS_POOL_MAX_THREADS);
    *out = n;
    return TESS_OK;
}

static uint64_t choose_budget(const tess_engine_options *options)
{
    if (options->memory_bytes) return options->memory_bytes;
    uint64_t available = tess_system_available_bytes();
    return available ? available / 10 * 7 : 1ull << 30;
}

tess_status tess_model_plan(tess_model *model, const tess_engine_options *options, tess_plan *plan,
                            tess_choice *choice, tess_error *err)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    planner p = {.model = model, .budget = choose_budget(options)};
    tess_status status = choose_context(options, c, &p.choice.n_context, err);
    if (status == TESS_OK) status = choose_threads(options, &p.choice.n_thread, err);
    if (status != TESS_OK) return status;
    malloc_trim(0);
    p.choice.n_chunk = p.choice.n_logit_rows = 1;
    p.choice.n_layer_slot = p.choice.n_head_slot = p.choice.n_embedding_slot = 1;
    p.choice.n_expert_slot = count_experts(c) ? c->n_expert_used : 0;
    p.process = tess_system_resident_bytes() + options->other_bytes + PROCESS_ALLOWANCE_BYTES +
                (uint64_t)p.choice.n_thread * THREAD_ALLOWANCE_BYTES +
                (uint64_t)p.choice.n_context * POSITION_ALLOWANCE_BYTES;
    uint64_t least = p.process + measure(&p, &p.choice), peak = tess_system_peak_bytes();
    if (least < peak) least = peak;
    memset(plan, 0, sizeof *plan);
    plan->budget_bytes = p.budget;
    plan->smallest_budget_bytes = least + PROCESS_VARIATION_BYTES;
    if (p.budget >= least) {
        int most = options->n_chunk ? options->n_chunk : MAX_CHUNK;
        spend_budget(&p, most < p.choice.n_context ? most : p.choice.n_context);
    }
    describe(&p, plan);
    *choice = p.choice;
    return p.budget >= least ? TESS_OK : refuse_budget(&p, plan->smallest_budget_bytes, err);
}

tess_status tess_plan_make(const tess_engine_options *options, tess_plan *out, tess_error *err)
{
    tess_model model;
    tess_status status = tess_model_open(options, &model, err);
    if (status != TESS_OK) return status;
    tess_choice choice;
    status = tess_model_plan(&model, options, out, &choice, err);
    tess_model_close(&model);
    return status;
}
