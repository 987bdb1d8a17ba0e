/* What a plan makes a prompt and a token cost, in bytes read and in seconds.
 *
 * Routing is taken as uniform and independent: of E experts of a layer, n tokens that choose k each are
 * expected to need E (1 - (1 - k/E)^n) different ones. Real prompts repeat themselves and need fewer.
 *
 * A step needs the union of its tokens' experts once. What the layer's share of the bank still holds of it is
 * not read; a union that is larger than the share runs through it from one end to the other, so that nothing
 * is left of what the next step asks for first. Reading and computing are not overlapped: their times add.
 *
 * Products read a weight once for many tokens; attention reads the keys and values of all positions before a
 * token for that token and a few beside it. In a long prompt they come from memory, which then may count more
 * than arithmetic: the two wait for it one after the other.
 *
 * Towers come before the prompt. That they are read into memory which the experts have afterwards is counted
 * once, as the experts'.
 *
 * Where weights that stay are packed, products read three quarters of their bytes; they are packed once, as
 * they come.
 *
 * What stays is read into memory that the process has not had, and that memory takes time as well: where the
 * machine is a virtual one that has given it back to its host, more than the reading (docs/PERFORMANCE.md).
 */
#include <math.h>

#include "engine/plan.h"

static double expected_union(const tess_plan *plan, double n_tok)
{
    double n_expert = plan->n_expert;
    if (n_expert == 0) return 0;
    return n_expert * (1 - pow(1 - plan->n_expert_used / n_expert, n_tok));
}

/* Experts that one layer may keep. */
static double count_share(const tess_plan *plan)
{
    return plan->n_expert_layer ? (double)plan->n_expert_slot / plan->n_expert_layer : 0;
}

/* The experts of a layer that are held when n tokens have run. */
static double count_held(const tess_plan *plan, double n_tok)
{
    return fmin(expected_union(plan, n_tok), count_share(plan));
}

/* The experts of a layer that a step of n tokens reads when n_before have run. */
static double count_misses(const tess_plan *plan, double n_before, double n)
{
    double share = count_share(plan), needed = expected_union(plan, n);
    if (plan->n_expert == 0) return 0;
    if (needed > share) return needed;
    return needed * (1 - count_held(plan, n_before) / plan->n_expert);
}

/* Memory is read while what came of it is computed. */
static double count_seconds(const tess_rates *rates, double n_byte, double n_operation)
{
    return fmax(n_byte / rates->memory_bytes, n_operation / rates->operations);
}

/* Of a weight's bytes, those that it has in memory. */
static double share_of(const tess_plan *plan, bool is_packed)
{
    return is_packed ? plan->packed_share : 1;
}

/* Packing weights of so many bytes. */
static double count_packing(const tess_rates *rates, bool is_packed, double n_byte)
{
    return is_packed ? n_byte / rates->pack_bytes : 0;
}

typedef struct cost {
    double read_bytes, seconds;
} cost;

/* One step of n tokens behind n_past, the last of them with logits if it ends a prompt. The bank is as it is
 * when n_before tokens have run. */
static cost add_step(const tess_plan *plan, const tess_rates *rates, cost sum, double n_before, double n_past,
                     double n, bool has_logits)
{
    double experts = plan->n_expert_layer * (double)plan->expert_bytes;
    double head = has_logits ? (double)plan->head_bytes : 0;
    double read = count_misses(plan, n_before, n) * experts;
    if (!plan->layers_resident) read += (double)plan->layer_bytes;
    if (!plan->head_resident) read += head;
    if (!plan->embedding_resident) read += n * (double)plan->embedding_block_bytes;
    double weights = share_of(plan, plan->packs && plan->layers_resident) * (double)plan->layer_bytes +
                     share_of(plan, plan->packs && plan->head_resident) * head +
                     share_of(plan, plan->packs_experts) * expected_union(plan, n) * experts;
    double fresh = (count_held(plan, n_before + n) - count_held(plan, n_before)) * experts;
    /* A bf16 weight is two bytes and two operations per token. */
    double products =
        (n * ((double)plan->layer_bytes + plan->n_expert_used * experts) + head) / plan->stored_share;
    double pairs = n * (n_past + (n + 1) / 2); /* of a token and a position that it sees */
    double reads = pairs / fmin(n, plan->n_together);
    sum.read_bytes += read;
    sum.seconds +=
        read / rates->disk_bytes + share_of(plan, plan->packs_experts) * fresh / rates->fresh_bytes +
        count_packing(rates, plan->packs_experts, fresh) + count_seconds(rates, weights, products) +
        count_seconds(rates, reads * (double)plan->position_bytes, pairs * (double)plan->position_operations);
    return sum;
}

uint64_t tess_plan_count_warm_bytes(const tess_plan *plan)
{
    const tess_rates rates = {1, 1, 1, 1, 1};
    return (uint64_t)add_step(plan, &rates, (cost){0}, INFINITY, 0, 1, true).read_bytes;
}

static double count_resident_bytes(const tess_plan *plan)
{
    return (plan->layers_resident ? (double)plan->layer_bytes : 0) +
           (plan->head_resident ? (double)plan->head_bytes : 0) +
           (plan->embedding_resident ? (double)plan->embedding_bytes : 0);
}

/* Tokens until a layer has met 95 % of the experts it may keep. */
static int count_tokens_to_fill(const tess_plan *plan)
{
    double n_expert = plan->n_expert, goal = 0.95 * fmin(count_share(plan), n_expert);
    if (goal <= 0) return 0;
    return (int)ceil(log(1 - goal / n_expert) / log(1 - plan->n_expert_used / n_expert));
}

static double count_tower_seconds(const tess_plan *plan, const tess_rates *rates)
{
    double read = (double)plan->tower_bytes;
    return read / rates->disk_bytes + count_seconds(rates, read, plan->tower_operations);
}

/* The vocoder's weights are little beside its arithmetic, the others' arithmetic beside their weights. */
static double count_speech_seconds(const tess_plan *plan, const tess_rates *rates)
{
    return plan->speech_read_bytes / rates->disk_bytes + plan->speech_weight_bytes / rates->memory_bytes +
           plan->speech_operations / rates->operations;
}

void tess_plan_estimate(const tess_plan *plan, const tess_rates *rates, int n_prompt, tess_estimate *out)
{
    double loaded = count_resident_bytes(plan), towers = count_tower_seconds(plan, rates);
    cost prompt = {.read_bytes = loaded + (double)plan->tower_bytes,
                   .seconds = loaded / rates->disk_bytes +
                              share_of(plan, plan->packs) * loaded / rates->fresh_bytes +
                              count_packing(rates, plan->packs, loaded) + towers};
    for (int done = 0, n; done < n_prompt; done += n) {
        n = n_prompt - done < plan->n_chunk ? n_prompt - done : plan->n_chunk;
        prompt = add_step(plan, rates, prompt, done, done, n, done + n == n_prompt);
    }
    int n_fill = count_tokens_to_fill(plan), n_full = n_fill > n_prompt ? n_fill : n_prompt;
    cost next = add_step(plan, rates, (cost){0}, n_prompt, n_prompt, 1, true);
    cost later = add_step(plan, rates, (cost){0}, INFINITY, n_full, 1, true);
    *out = (tess_estimate){.load_bytes = (uint64_t)loaded,
                           .first_token_bytes = (uint64_t)prompt.read_bytes,
                           .next_token_bytes = (uint64_t)next.read_bytes,
                           .first_token_seconds = prompt.seconds,
                           .next_token_seconds = next.seconds,
                           .full_token_seconds = later.seconds,
                           .tower_seconds = towers,
                           .speech_seconds = count_speech_seconds(plan, rates),
                           .n_tok_to_fill = n_full - n_prompt};
}
