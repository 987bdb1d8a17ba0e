/* The memory plan.
 *
 * It starts from the smallest layout that can run at all: chunks of one position, one layer's weights at a
 * time, one block of rows of the head and of the embedding, as many experts as one layer routes to. Then it
 * spends what the budget leaves on what saves most reading per byte: longer prefill chunks (an eighth of it
 * at most), all layers' non-expert weights, the head, experts, and last the embedding, of which a token reads
 * one row.
 */
#include "engine/plan.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/defaults.h"
#include "engine/media.h"
#include "engine/speech_cost.h"
#include "model/code2wav_lengths.h"
#include "tessera/speech.h"

/* What the process may still grow by outside the arena: pages of libraries not yet touched, request text,
 * ids, buffers of files being written; and what a thread touches of its stack. */
#define PROCESS_ALLOWANCE_BYTES (3u << 20)
#define THREAD_ALLOWANCE_BYTES (96u << 10)
#define POSITION_ALLOWANCE_BYTES 64u
/* How far "resident when planning" differs between two runs (which library pages happen to be mapped); the
 * smallest budget that is told includes it, so that it holds for the next run too. The most that was seen
 * between the plan of one process and the run of another is 268 KiB, of 40 each. */
#define PROCESS_VARIATION_BYTES (512u << 10)
/* No machine has more, and sums with it do not overflow. */
#define MOST_OTHER_BYTES (1ull << 60)

enum { DEFAULT_CONTEXT = 4096, MAX_CHUNK = 512, MAX_SESSIONS = 1024 };

static int min_of(int a, int b)
{
    return a < b ? a : b;
}

/* ---- trying a choice ---- */

typedef struct planner {
    tess_model *model;
    tess_choice choice;
    tess_media_choice most_media; /* what towers could use */
    const tess_feed *expected;    /* [n_expected] */
    int n_expected;
    uint64_t budget, process;
    int most_expert_slots;
    double packed_share; /* of their bytes that packed weights keep */
    bool packs;          /* weights that stay */
} planner;

/* What a choice takes in the arena; `layout` (may be NULL) gets its regions. */
static uint64_t measure_choice(const planner *p, const tess_choice *choice, tess_layout *layout)
{
    tess_arena arena = tess_arena_measure();
    tess_layout measuring = tess_layout_begin(&arena);
    tess_rooms rooms;
    tess_rooms_init(&rooms, p->model, NULL, choice, &measuring);
    if (layout) *layout = measuring;
    return arena.overflowed || arena.used > UINT64_MAX / 2 ? UINT64_MAX / 2 : arena.used;
}

static bool fits(planner *p, const tess_choice *choice)
{
    return p->process + measure_choice(p, choice, NULL) <= p->budget;
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
    uint64_t least = measure_choice(p, &p->choice, NULL), left = p->budget - p->process - least;
    for (int n = most; n > 1; n = n > 16 ? n / 2 : n - 1) {
        tess_choice longer = p->choice;
        longer.thinker.n_row = n;
        longer.thinker.n_logit_rows = n < TESS_MAX_LOGIT_ROWS ? n : TESS_MAX_LOGIT_ROWS;
        if (measure_choice(p, &longer, NULL) - least <= left / 8 && upgrade(p, longer)) return;
    }
}

/* The most slots for experts that fit, up to n_total; n_slot is in p->choice. The layout grows with every
 * slot, so bisection finds them. */
static void add_expert_slots(planner *p, int *n_slot, int n_total)
{
    int fitting = *n_slot, failing = n_total + 1;
    while (fitting > 0 && failing - fitting > 1) {
        *n_slot = fitting + (failing - fitting) / 2;
        if (fits(p, &p->choice))
            fitting = *n_slot;
        else
            failing = *n_slot;
    }
    *n_slot = fitting;
}

/* Slots for experts, packed if that gives more of them, or if all stay either way. */
static void add_experts(planner *p, tess_decoder_choice *decoder, int n_total)
{
    const int n_before = decoder->n_expert_slot;
    add_expert_slots(p, &decoder->n_expert_slot, n_total);
    if (!p->packs || n_total == 0) return;
    const int n_plain = decoder->n_expert_slot;
    decoder->packs_experts = true;
    decoder->n_expert_slot = n_before;
    if (fits(p, &p->choice)) {
        add_expert_slots(p, &decoder->n_expert_slot, n_total);
        if (decoder->n_expert_slot > n_plain || decoder->n_expert_slot == n_total) return;
    }
    decoder->packs_experts = false;
    decoder->n_expert_slot = n_plain;
}

/* Takes other sizes for a tower if they fit. */
static bool resize_tower(planner *p, tess_tower_sizes *tower, tess_tower_sizes other)
{
    const tess_tower_sizes before = *tower;
    *tower = other;
    if (fits(p, &p->choice)) return true;
    *tower = before;
    return false;
}

/* A piece as long as all media of a kind reads every layer once; shorter ones read them again, unless they
 * stay. Towers have the room of the experts, so this costs no expert. */
static void enlarge_tower(planner *p, tess_tower_sizes *tower, int most, const tess_tower_weights *weights)
{
    const int least = tower->n_row;
    tess_tower_sizes larger = *tower;
    for (int n = most; n > least; n = n / 2 > least ? n / 2 : least) {
        larger.n_row = n;
        if (resize_tower(p, tower, larger)) break;
    }
    if (tower->n_row == most) return;
    larger = *tower;
    larger.n_layer_slot = weights->n_layer;
    larger.n_part_slot = weights->n_part;
    resize_tower(p, tower, larger);
}

static int count_experts(const tess_decoder_config *c)
{
    return tess_decoder_count_expert_layers(c) * c->n_expert;
}

/* Rows of the talker's prompt at a time. */
static void lengthen_speech_chunks(planner *p, int most)
{
    for (int n = most; n > 1; n = n / 2) {
        tess_choice longer = p->choice;
        longer.speech.talker.n_row = n;
        if (upgrade(p, longer)) return;
    }
}

/* Takes other sizes for speech if they fit. */
static void upgrade_speech(planner *p, tess_speech_choice speech)
{
    tess_choice more = p->choice;
    more.speech = speech;
    upgrade(p, more);
}

/* What each byte kept saves most reads: several frames of the vocoder at once read its weights for all of
 * them, the code predictor passes over its own for every code of a frame, the talker once a frame. A token is
 * spoken in some frames, so they come before the thinker's layers. */
static void spend_on_frames(planner *p)
{
    if (p->choice.speech.n_step == 0) return;
    const tess_speech_choice dense = tess_speech_choice_make_dense(p->model, &p->choice.speech);
    tess_speech_choice more = p->choice.speech;
    more.code2wav.n_frame = dense.code2wav.n_frame;
    upgrade_speech(p, more);
    more = p->choice.speech;
    more.predictor = dense.predictor;
    upgrade_speech(p, more);
    more = p->choice.speech;
    more.talker = dense.talker;
    more.n_projection_slot = dense.n_projection_slot;
    upgrade_speech(p, more);
}

static void spend_on_vocoder(planner *p)
{
    if (p->choice.speech.n_step == 0) return;
    tess_speech_choice more = p->choice.speech;
    more.code2wav = tess_speech_choice_make_dense(p->model, &more).code2wav;
    upgrade_speech(p, more);
}

/* Speech has the room of the thinker's experts while it is spoken. Where there is room for all weights of
 * both it has its own, and neither waits for the other. */
static void spend_on_talker(planner *p, int most_chunk)
{
    enum { MOST_ROWS = 64 }; /* more save no reading that is worth their room */
    if (p->choice.speech.n_step == 0) return;
    const int n_expert = count_experts(&p->model->config.talker.text);
    lengthen_speech_chunks(p, min_of(most_chunk, MOST_ROWS));
    add_experts(p, &p->choice.speech.talker, n_expert);
    bool all = p->choice.speech.talker.n_expert_slot == n_expert &&
               p->choice.thinker.n_expert_slot == count_experts(&p->model->config.thinker.text);
    tess_speech_choice more = p->choice.speech;
    more.stays = true;
    if (all) upgrade_speech(p, more);
}

/* The vocoder's weights and those of towers are not packed: their products are of many rows, which are as
 * fast with plain weights. */
static void pack_what_stays(planner *p)
{
    tess_choice packed = p->choice;
    packed.thinker.packs = packed.speech.talker.packs = packed.speech.predictor.packs = true;
    p->packs = p->packs && upgrade(p, packed);
}

static void spend_budget(planner *p, int most_chunk)
{
    const tess_decoder_config *c = &p->model->config.thinker.text;
    pack_what_stays(p);
    lengthen_chunks(p, most_chunk);
    spend_on_frames(p);
    tess_choice more = p->choice;
    more.thinker.n_layer_slot = c->n_layer;
    bool layers = upgrade(p, more);
    more = p->choice;
    more.thinker.n_head_slot = p->model->thinker.head.n_block;
    if (layers) upgrade(p, more);
    spend_on_vocoder(p);
    add_experts(p, &p->choice.thinker, p->most_expert_slots);
    more = p->choice;
    more.thinker.n_embedding_slot = p->model->thinker.embedding.n_block;
    upgrade(p, more);
    enlarge_tower(p, &p->choice.media.audio, p->most_media.audio.n_row, &p->model->audio);
    enlarge_tower(p, &p->choice.media.vision, p->most_media.vision.n_row, &p->model->vision);
    spend_on_talker(p, most_chunk);
}

/* ---- the plan as told ---- */

static void count_weights(const planner *p, tess_plan *plan)
{
    const tess_decoder_config *c = &p->model->config.thinker.text;
    const tess_decoder_weights *w = &p->model->thinker;
    plan->n_expert_layer = tess_decoder_count_expert_layers(c);
    plan->n_expert = plan->n_expert_layer ? c->n_expert : 0;
    plan->n_expert_used = plan->n_expert_layer ? c->n_expert_used : 0;
    plan->layer_bytes = tess_decoder_weights_count_layers(w, c);
    plan->head_bytes = tess_weights_count_bytes(w->head.block, w->head.n_block);
    plan->embedding_bytes = tess_weights_count_bytes(w->embedding.block, w->embedding.n_block);
    plan->embedding_block_bytes = w->embedding.block[0].n_byte;
    plan->expert_bytes = tess_decoder_weights_count_expert(w, c);
}

static void count_attention(const tess_model *model, tess_plan *plan)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    const tess_compute compute = tess_model_get_compute(model, NULL);
    uint64_t n_layer = (uint64_t)c->n_layer, d_head = (uint64_t)c->d_head;
    plan->position_bytes = tess_timeline_count_position(c, tess_compute_is_narrow(&compute));
    plan->n_together = tess_decoder_count_together(c);
    plan->position_operations = n_layer * 2 * 2 * (uint64_t)c->n_head * d_head;
}

static void count_towers(const planner *p, tess_plan *plan)
{
    for (int i = 0; i < p->n_expected; i++) {
        const tess_media_list media = tess_media_of_feed(&p->expected[i]);
        const tess_media_cost cost = tess_media_count_cost(p->model, &p->choice.media, &media);
        if (cost.operations <= plan->tower_operations) continue;
        plan->tower_bytes = cost.read_bytes;
        plan->tower_operations = cost.operations;
    }
}

static void count_speech(const planner *p, tess_plan *plan)
{
    const tess_speech_cost frame = tess_speech_count_cost(p->model, &p->choice.speech);
    if (p->choice.speech.n_step == 0) return;
    const double per_second =
        (double)TESS_SPEECH_RATE_HZ / (double)tess_code2wav_count_frame_samples(&p->model->config.code2wav);
    plan->speech_read_bytes = per_second * frame.read_bytes;
    plan->speech_weight_bytes =
        per_second * frame.weight_bytes * (p->choice.speech.predictor.packs ? p->packed_share : 1);
    plan->speech_operations = per_second * frame.operations;
}

static void count_reads(tess_plan *plan)
{
    uint64_t always = plan->embedding_resident ? 0 : plan->embedding_block_bytes;
    if (!plan->layers_resident) always += plan->layer_bytes;
    if (!plan->head_resident) always += plan->head_bytes;
    uint64_t routed = plan->expert_bytes * (uint64_t)plan->n_expert_used * (uint64_t)plan->n_expert_layer;
    plan->bytes_per_token_cold = always + routed;
    plan->bytes_per_token_warm = tess_plan_count_warm_bytes(plan);
}

/* The slots that would fit if all dense weights were read when they are needed. */
static int count_slots_instead(const planner *p)
{
    planner other = *p;
    other.choice.thinker.n_layer_slot = other.choice.thinker.n_head_slot =
        other.choice.thinker.n_embedding_slot = 1;
    add_expert_slots(&other, &other.choice.thinker.n_expert_slot, p->most_expert_slots);
    return other.choice.thinker.n_expert_slot;
}

static void describe_plan(const planner *p, tess_plan *plan)
{
    const tess_choice *choice = &p->choice;
    const tess_decoder_choice *thinker = &choice->thinker;
    tess_layout layout;
    plan->sum_bytes = p->process + measure_choice(p, choice, &layout);
    plan->region[0] =
        (tess_region){.name = "process", .holds = "program, tokenizer, an allowance", .n_byte = p->process};
    TESS_ASSERT(layout.n_region < TESS_PLAN_REGIONS);
    memcpy(plan->region + 1, layout.region, (size_t)layout.n_region * sizeof layout.region[0]);
    plan->n_region = layout.n_region + 1;
    plan->n_context = choice->n_context;
    plan->n_chunk = thinker->n_row;
    plan->n_thread = choice->n_thread;
    plan->n_session = choice->n_session;
    plan->n_expert_slot = thinker->n_expert_slot;
    plan->packs = thinker->packs;
    plan->packs_experts = thinker->packs_experts;
    plan->packed_share = p->packed_share;
    plan->is_stored_packed = tess_store_get_packed(p->model->store) != NULL;
    plan->stored_share =
        tess_decoder_weights_count_stored_share(&p->model->thinker, &p->model->config.thinker.text);
    plan->speech_stays = choice->speech.stays;
    plan->n_expert_total = count_experts(&p->model->config.thinker.text);
    plan->layers_resident = thinker->n_layer_slot == p->model->config.thinker.text.n_layer;
    plan->head_resident = thinker->n_head_slot == p->model->thinker.head.n_block;
    plan->embedding_resident = thinker->n_embedding_slot == p->model->thinker.embedding.n_block;
    count_weights(p, plan);
    count_speech(p, plan);
    count_attention(p->model, plan);
    count_towers(p, plan);
    count_reads(plan);
    plan->n_expert_slot_instead = count_slots_instead(p);
}

static tess_status refuse_budget(const planner *p, const char *origin, uint64_t smallest, tess_error *err)
{
    char expected[160];
    snprintf(expected, sizeof expected, "at least %llu for %d positions, %d threads and %d session%s",
             (unsigned long long)smallest, p->choice.n_context, p->choice.n_thread, p->choice.n_session,
             p->choice.n_session == 1 ? "" : "s");
    if (*origin)
        tess_refuse_option(err, "memory_bytes", expected, "%llu bytes (%s)", (unsigned long long)p->budget,
                           origin);
    else
        tess_refuse_option(err, "memory_bytes", expected, "%llu bytes", (unsigned long long)p->budget);
    if (err) {
        err->status = TESS_EBUDGET;
        err->smallest_budget_bytes = smallest;
    }
    return TESS_EBUDGET;
}

/* ---- options ---- */

/* A count with a default, within 1 … most. */
static tess_status choose_count(const char *option, int wanted, int otherwise, int most, const char *limit,
                                int *out, tess_error *err)
{
    int n = wanted ? wanted : otherwise;
    char expected[64];
    snprintf(expected, sizeof expected, "1 to %d%s", most, limit);
    if (n < 1 || n > most) return tess_refuse_option(err, option, expected, "%d", n);
    *out = n;
    return TESS_OK;
}

static tess_status choose_threads(int wanted, int *out, char *origin, tess_error *err)
{
    int otherwise = 0;
    if (!wanted) {
        tess_system_cpus cpus;
        tess_system_get_cpus("", &cpus);
        otherwise = tess_default_threads(&cpus, TESS_POOL_MAX_THREADS, origin);
    }
    return choose_count("n_thread", wanted, otherwise, TESS_POOL_MAX_THREADS, "", out, err);
}

static tess_status choose_counts(const tess_engine_options *options, const tess_decoder_config *c,
                                 tess_choice *out, char *thread_origin, int *most_chunk,
                                 int *most_expert_slots, tess_error *err)
{
    int context = options->n_needed > DEFAULT_CONTEXT ? options->n_needed : DEFAULT_CONTEXT;
    int n_expert = count_experts(c);
    tess_status status = choose_count("n_context", options->n_context, min_of(context, c->max_positions),
                                      c->max_positions, " (max_position_embeddings)", &out->n_context, err);
    if (status == TESS_OK) status = choose_threads(options->n_thread, &out->n_thread, thread_origin, err);
    if (status == TESS_OK)
        status = choose_count("n_session", options->n_session, 1, MAX_SESSIONS, "", &out->n_session, err);
    if (status == TESS_OK)
        status = choose_count("n_chunk", options->n_chunk, MAX_CHUNK, INT_MAX, "", most_chunk, err);
    if (status == TESS_OK)
        status = choose_count("n_expert_slot", options->n_expert_slot, INT_MAX, INT_MAX, "",
                              most_expert_slots, err);
    *most_chunk = min_of(*most_chunk, out->n_context);
    *most_expert_slots = min_of(*most_expert_slots, n_expert);
    return status;
}

/* Least sizes for speech, where it was asked for. */
static tess_status choose_speech(planner *p, int n_step, tess_error *err)
{
    const int most = p->model->config.talker.text.max_positions - TESS_TALKER_START_ROWS;
    if (!p->model->can_speak) return TESS_OK;
    tess_status status =
        choose_count("n_speech_step", n_step, 0, most, ", the positions that the talker has", &n_step, err);
    if (status == TESS_OK)
        p->choice.speech = tess_speech_choice_make_least(
            p->model, n_step, p->choice.media.n_medium ? p->choice.n_context : 0, p->choice.n_thread);
    return status;
}

/* What a speech keeps of its codes, outside of the arena. */
static uint64_t count_code_bytes(const planner *p)
{
    return (uint64_t)p->choice.speech.n_step * ((uint64_t)p->model->config.talker.n_code_group + 1) *
           sizeof(int32_t);
}

static tess_status choose_media(planner *p, tess_error *err)
{
    const tess_thinker_config *config = &p->model->config.thinker;
    for (int i = 0; i < p->n_expected; i++) {
        const tess_media_list media = tess_media_of_feed(&p->expected[i]);
        tess_media_choice least, most;
        tess_status status = tess_media_check(config, &media, err);
        if (status == TESS_OK)
            status = tess_media_choose(config, &media, p->choice.n_thread, &least, &most, err);
        if (status != TESS_OK) return status;
        tess_media_choice_join(&p->choice.media, &least);
        tess_media_choice_join(&p->most_media, &most);
    }
    return TESS_OK;
}

/* What is written to memory packed is written again, so little is not worth it. */
static tess_status choose_packing(planner *p, tess_resident resident, tess_error *err)
{
    static const double most_share[] = {
        [TESS_RESIDENT_AUTO] = 0.9, [TESS_RESIDENT_PLAIN] = 0, [TESS_RESIDENT_PACKED] = 1};
    if ((unsigned)resident > TESS_RESIDENT_PACKED)
        return tess_refuse_option(err, "resident", "TESS_RESIDENT_AUTO, PLAIN or PACKED", "%d",
                                  (int)resident);
    /* What is stored packed stays as it is. */
    p->packed_share =
        tess_store_get_packed(p->model->store)
            ? 1
            : tess_decoder_weights_count_packed_share(&p->model->thinker, &p->model->config.thinker.text);
    p->packs = p->packed_share < most_share[resident];
    return TESS_OK;
}

/* The budget, where it came from unless the caller named it, and the most there could be. */
static void choose_budget(const tess_engine_options *options, tess_plan *plan)
{
    tess_system_memory memory;
    tess_system_get_memory("", &memory);
    plan->machine_bytes = memory.most_bytes;
    plan->budget_bytes =
        options->memory_bytes ? options->memory_bytes : tess_default_budget(&memory, plan->budget_origin);
}

uint64_t tess_budget_get_default(void)
{
    tess_system_memory memory;
    char origin[TESS_ORIGIN_BYTES];
    tess_system_get_memory("", &memory);
    return tess_default_budget(&memory, origin);
}

tess_status tess_model_plan(tess_model *model, const tess_engine_options *options, tess_plan *plan,
                            tess_choice *choice, tess_error *err)
{
    const tess_decoder_config *c = &model->config.thinker.text;
    planner p = {.model = model,
                 .expected = options->expected,
                 .n_expected = options->expected ? options->n_expected : 0};
    int most_chunk = 0;
    memset(plan, 0, sizeof *plan);
    tess_status status =
        choose_counts(options, c, &p.choice, plan->thread_origin, &most_chunk, &p.most_expert_slots, err);
    if (status == TESS_OK) status = choose_packing(&p, options->resident, err);
    if (status == TESS_OK) status = choose_media(&p, err);
    if (status == TESS_OK) status = choose_speech(&p, options->n_speech_step, err);
    if (status != TESS_OK) return status;
    choose_budget(options, plan);
    p.budget = plan->budget_bytes;
    if (options->other_bytes > MOST_OTHER_BYTES)
        return tess_refuse_option(err, "other_bytes", "at most 2^60", "%llu",
                                  (unsigned long long)options->other_bytes);
    malloc_trim(0);
    p.choice.thinker = tess_decoder_choice_make_least(c, p.most_expert_slots);
    p.process = tess_system_resident_bytes() + count_code_bytes(&p) + options->other_bytes +
                PROCESS_ALLOWANCE_BYTES + (uint64_t)p.choice.n_thread * THREAD_ALLOWANCE_BYTES +
                (uint64_t)p.choice.n_context * POSITION_ALLOWANCE_BYTES;
    uint64_t least = p.process + measure_choice(&p, &p.choice, NULL), peak = tess_system_peak_bytes();
    if (least < peak) least = peak;
    plan->smallest_budget_bytes = least + PROCESS_VARIATION_BYTES;
    if (p.budget >= least) spend_budget(&p, most_chunk);
    describe_plan(&p, plan);
    *choice = p.choice;
    return p.budget >= least ? TESS_OK
                             : refuse_budget(&p, plan->budget_origin, plan->smallest_budget_bytes, err);
}

tess_status tess_plan_make(const tess_engine_options *options, tess_plan *out, tess_error *err)
{
    tess_model *model = malloc(sizeof *model);
    if (!model) return tess_fail(err, TESS_ENOMEM, "no memory for a model");
    tess_status status = tess_model_open(options, model, err);
    if (status == TESS_OK) {
        tess_choice choice;
        status = tess_model_plan(model, options, out, &choice, err);
        tess_model_close(model);
    }
    free(model);
    return status;
}
