#include "store/bank.h"

#include <string.h>

#include "base/checked.h"
#include "io/file.h"
#include "store/segment_packing.h"

/* Weights of one segment that adjoin in a shard: one read. */
typedef struct run {
    uint64_t offset, n_byte;
    int file;
} run;

static bool lies_before(const tess_weight *a, const tess_weight *b)
{
    return a->file != b->file ? a->file < b->file : a->offset < b->offset;
}

/* Groups the weights of a segment into runs. run_of[i] is the run of weight i, -1 for one without bytes. */
static int find_runs(const tess_weight *weight, int n_weight, run *runs, int *run_of)
{
    int order[TESS_BANK_WEIGHTS], n = 0, n_run = 0;
    for (int i = 0; i < n_weight; i++) {
        run_of[i] = -1;
        if (!weight[i].n_byte) continue;
        int k = n++;
        for (; k > 0 && lies_before(&weight[i], &weight[order[k - 1]]); k--) order[k] = order[k - 1];
        order[k] = i;
    }
    for (int k = 0; k < n; k++) {
        const tess_weight *w = &weight[order[k]];
        run *last = n_run ? &runs[n_run - 1] : NULL;
        if (last && last->file == w->file && last->offset + last->n_byte == w->offset)
            last->n_byte += w->n_byte;
        else
            runs[n_run++] = (run){w->offset, w->n_byte, w->file};
        run_of[order[k]] = n_run - 1;
    }
    return n_run;
}

static const tess_weight *weights_of(const tess_bank_layout *layout, int segment)
{
    return layout->weight + (size_t)segment * (size_t)layout->n_weight;
}

/* The bytes that the weights of a segment are read into. */
static uint64_t window_bytes(const tess_weight *weight, int n_weight)
{
    run runs[TESS_BANK_WEIGHTS];
    int run_of[TESS_BANK_WEIGHTS];
    int n_run = find_runs(weight, n_weight, runs, run_of);
    uint64_t n_byte = 0;
    for (int r = 0; r < n_run; r++) n_byte += tess_window_bytes(runs[r].n_byte);
    return n_byte;
}

uint64_t tess_bank_slot_bytes(const tess_weight *weight, int n_segment, int n_weight)
{
    uint64_t most = 0;
    for (int s = 0; s < n_segment; s++) {
        uint64_t n_byte = window_bytes(weight + (size_t)s * (size_t)n_weight, n_weight);
        if (n_byte > most) most = n_byte;
    }
    return most;
}

uint64_t tess_bank_segment_bytes(const tess_bank_layout *layout, int segment)
{
    uint64_t sum = 0;
    for (int i = 0; i < layout->n_weight; i++) sum += weights_of(layout, segment)[i].n_byte;
    return sum;
}

/* A weight's matrix, whose bytes are at `bytes`. */
static tess_matrix matrix_of(const tess_weight *weight, const void *bytes)
{
    return (tess_matrix){.bytes = bytes,
                         .n_row = (size_t)weight->n_row,
                         .n_col = (size_t)weight->n_col,
                         .format = weight->format};
}

uint64_t tess_bank_packed_bytes(const tess_bank_layout *layout, int segment)
{
    tess_matrix matrix[TESS_BANK_WEIGHTS];
    for (int i = 0; i < layout->n_weight; i++) matrix[i] = matrix_of(&weights_of(layout, segment)[i], NULL);
    return tess_segment_packed_bytes(matrix, layout->n_weight);
}

static uint64_t most_packed_bytes(const tess_bank_layout *layout)
{
    uint64_t most = 0;
    for (int s = 0; s < layout->n_segment; s++) {
        const uint64_t n_byte = tess_bank_packed_bytes(layout, s);
        if (n_byte > most) most = n_byte;
    }
    return most;
}

static uint64_t slot_bytes(const tess_bank *bank, int slot)
{
    const tess_bank_layout *layout = &bank->layout;
    if (slot >= layout->n_slot) return bank->spare_bytes;
    if (!bank->is_fitted) return bank->slot_bytes;
    return layout->packing.is_on ? tess_bank_packed_bytes(layout, slot)
                                 : window_bytes(weights_of(layout, slot), layout->n_weight);
}

static unsigned char *take_slots(const tess_bank *bank, tess_arena *arena)
{
    const uint64_t n_slot = (uint64_t)bank->layout.n_slot,
                   align = bank->layout.packing.is_on ? TESS_SEGMENT_ALIGN : TESS_IO_ALIGN;
    uint64_t sum = 0;
    if (!bank->is_fitted) return tess_arena_take(arena, n_slot, bank->slot_bytes, align);
    for (int i = 0; i < bank->layout.n_slot; i++) sum += slot_bytes(bank, i);
    return tess_arena_take(arena, 1, sum, align);
}

static void init_sizes(tess_bank *bank, const tess_bank_layout *layout)
{
    const bool packs = layout->packing.is_on;
    *bank = (tess_bank){.layout = *layout, .is_fitted = layout->n_slot == 0};
    if (bank->is_fitted) bank->layout.n_slot = layout->n_segment;
    TESS_ASSERT(layout->n_weight <= TESS_BANK_WEIGHTS && (packs || layout->n_lease <= bank->layout.n_slot));
    bank->spare_bytes = tess_bank_slot_bytes(layout->weight, layout->n_segment, layout->n_weight);
    bank->slot_bytes = packs ? most_packed_bytes(layout) : bank->spare_bytes;
    bank->n_spare = packs ? layout->n_lease : 0;
    bank->n_group = (layout->n_segment + layout->group_size - 1) / layout->group_size;
    bank->quota = (bank->layout.n_slot - (packs ? 0 : layout->n_lease)) / bank->n_group;
}

void tess_bank_init(tess_bank *bank, tess_store *store, const tess_bank_layout *layout, tess_arena *arena)
{
    init_sizes(bank, layout);
    const int n_slot = bank->layout.n_slot, n_segment = layout->n_segment;
    bank->store = store;
    bank->slot = TESS_TAKE(arena, tess_bank_slot, n_slot + bank->n_spare);
    if (layout->packing.is_on) bank->segment = TESS_TAKE(arena, tess_bank_segment, n_segment);
    bank->slot_of = TESS_TAKE(arena, int32_t, n_segment);
    bank->n_held = TESS_TAKE(arena, int32_t, bank->n_group);
    tess_matrix *matrix =
        TESS_TAKE(arena, tess_matrix, (uint64_t)(n_slot + bank->n_spare) * (uint64_t)layout->n_weight);
    unsigned char *memory = take_slots(bank, arena);
    unsigned char *spare = NULL;
    if (bank->n_spare)
        spare = tess_arena_take(arena, (uint64_t)bank->n_spare, bank->spare_bytes, TESS_IO_ALIGN);
    if (!arena->base) return;
    for (int i = 0; i < n_slot + bank->n_spare; i++) {
        if (i == n_slot) memory = spare;
        bank->slot[i] = (tess_bank_slot){
            .memory = memory, .matrix = matrix + (size_t)i * (size_t)layout->n_weight, .segment = -1};
        memory += slot_bytes(bank, i);
    }
    for (int i = 0; i < n_segment; i++) {
        bank->slot_of[i] = -1;
        if (bank->segment) bank->segment[i] = (tess_bank_segment){0};
    }
    memset(bank->n_held, 0, (size_t)bank->n_group * sizeof *bank->n_held);
}

bool tess_bank_is_resident(const tess_bank *bank, int segment)
{
    return bank->slot_of[segment] >= 0;
}

static int group_of(const tess_bank *bank, int segment)
{
    return segment / bank->layout.group_size;
}

/* An empty slot, or the least recently used one of a group above its quota (the asking group may trade in its
 * own at quota), or the least recently used of all; NULL where all are leased. */
static tess_bank_slot *choose_slot(tess_bank *bank, int segment)
{
    tess_bank_slot *over = NULL, *any = NULL;
    if (bank->is_fitted) return &bank->slot[segment];
    for (int i = 0; i < bank->layout.n_slot; i++) {
        tess_bank_slot *slot = &bank->slot[i];
        if (slot->segment < 0) return slot;
        if (slot->n_lease) continue;
        int group = group_of(bank, slot->segment);
        int spare = bank->n_held[group] - bank->quota + (group == group_of(bank, segment));
        if (!any || slot->last_use < any->last_use) any = slot;
        if (spare > 0 && (!over || slot->last_use < over->last_use)) over = slot;
    }
    return over ? over : any;
}

/* The least recently used of the spare slots. */
static tess_bank_slot *choose_spare(tess_bank *bank)
{
    tess_bank_slot *oldest = NULL;
    for (int i = bank->layout.n_slot; i < bank->layout.n_slot + bank->n_spare; i++) {
        tess_bank_slot *slot = &bank->slot[i];
        if (slot->n_lease) continue;
        if (slot->segment < 0) return slot;
        if (!oldest || slot->last_use < oldest->last_use) oldest = slot;
    }
    return oldest;
}

static bool is_spare(const tess_bank *bank, const tess_bank_slot *slot)
{
    return slot - bank->slot >= bank->layout.n_slot;
}

static void evict_segment(tess_bank *bank, tess_bank_slot *slot)
{
    if (slot->segment < 0) return;
    bank->slot_of[slot->segment] = -1;
    if (!is_spare(bank, slot)) bank->n_held[group_of(bank, slot->segment)]--;
    slot->segment = -1;
}

static void settle_segment(tess_bank *bank, tess_bank_slot *slot, int segment)
{
    slot->segment = segment;
    bank->slot_of[segment] = (int32_t)(slot - bank->slot);
    if (!is_spare(bank, slot)) bank->n_held[group_of(bank, segment)]++;
}

/* Lends what was read for a weight, `bytes`, as a matrix. */
static tess_status lend_weight(const tess_bank *bank, const tess_weight *weight, const unsigned char *bytes,
                               tess_matrix *out, tess_error *err)
{
    *out = matrix_of(weight, bytes);
    return bytes ? tess_store_check_weight(bank->store, weight, bytes, err) : TESS_OK;
}

/* Reads a segment, as it is in the files, into a slot that is empty. */
static tess_status fill_slot(tess_bank *bank, tess_bank_slot *slot, int segment, tess_error *err)
{
    const tess_weight *weight = weights_of(&bank->layout, segment);
    run runs[TESS_BANK_WEIGHTS];
    int run_of[TESS_BANK_WEIGHTS];
    const unsigned char *data[TESS_BANK_WEIGHTS];
    int n_run = find_runs(weight, bank->layout.n_weight, runs, run_of);
    unsigned char *window = slot->memory;
    for (int r = 0; r < n_run; r++) {
        const void *start;
        tess_status status = tess_file_read_window(tess_store_get_file(bank->store, runs[r].file),
                                                   runs[r].offset, runs[r].n_byte, window, &start, err);
        if (status != TESS_OK) return status;
        data[r] = start;
        window += tess_window_bytes(runs[r].n_byte);
    }
    tess_status status = TESS_OK;
    for (int i = 0; i < bank->layout.n_weight && status == TESS_OK; i++) {
        const unsigned char *bytes =
            run_of[i] < 0 ? NULL : data[run_of[i]] + (weight[i].offset - runs[run_of[i]].offset);
        status = lend_weight(bank, &weight[i], bytes, &slot->matrix[i], err);
    }
    return status;
}

/* ---- packing ---- */

/* The slot that a segment is worth, or NULL. */
static tess_bank_slot *choose_worth(tess_bank *bank, int segment)
{
    const tess_bank_segment *known = &bank->segment[segment];
    if (known->stays_plain) return NULL;
    tess_bank_slot *slot = choose_slot(bank, segment);
    const bool is_worth = slot && (slot->segment < 0 || slot->last_use < known->last_use);
    return is_worth ? slot : NULL;
}

/* Packs a segment, which has been read into a spare slot. Returns the slot where it is to be found. */
static tess_bank_slot *pack_segment(tess_bank *bank, tess_bank_slot *spare, int segment)
{
    tess_bank_slot *slot = choose_worth(bank, segment);
    if (!slot) return spare;
    evict_segment(bank, slot);
    if (tess_segment_pack(bank->layout.packing.pool, spare->matrix, bank->layout.n_weight, slot->memory,
                          slot->matrix)) {
        bank->n_packed++;
        return slot;
    }
    bank->segment[segment].stays_plain = true;
    return spare;
}

/* ---- leases ---- */

static tess_status bring_segment(tess_bank *bank, int segment, tess_bank_slot **out, tess_error *err)
{
    const bool packs = bank->layout.packing.is_on;
    tess_bank_slot *slot = packs ? choose_spare(bank) : choose_slot(bank, segment);
    if (!slot) TESS_BUG("more leases than the plan reserved");
    evict_segment(bank, slot);
    tess_status status = fill_slot(bank, slot, segment, err);
    if (status != TESS_OK) return status;
    if (packs) slot = pack_segment(bank, slot, segment);
    settle_segment(bank, slot, segment);
    bank->n_miss++;
    *out = slot;
    return TESS_OK;
}

tess_status tess_bank_lease(tess_bank *bank, int segment, const tess_matrix **matrix, tess_error *err)
{
    TESS_ASSERT(segment >= 0 && segment < bank->layout.n_segment);
    tess_bank_slot *slot;
    if (tess_bank_is_resident(bank, segment)) {
        slot = &bank->slot[bank->slot_of[segment]];
        bank->n_hit++;
    } else {
        tess_status status = bring_segment(bank, segment, &slot, err);
        if (status != TESS_OK) return status;
    }
    slot->last_use = ++bank->clock;
    if (bank->layout.packing.is_on) bank->segment[segment].last_use = bank->clock;
    slot->n_lease++;
    *matrix = slot->matrix;
    return TESS_OK;
}

void tess_bank_release(tess_bank *bank, int segment)
{
    int slot = bank->slot_of[segment];
    TESS_ASSERT(slot >= 0 && bank->slot[slot].n_lease > 0);
    bank->slot[slot].n_lease--;
}
