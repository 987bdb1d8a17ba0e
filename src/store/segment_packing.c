#include "store/segment_packing.h"

#include <string.h>

static uint64_t round_up(uint64_t n_byte)
{
    return (n_byte + TESS_SEGMENT_ALIGN - 1) / TESS_SEGMENT_ALIGN * TESS_SEGMENT_ALIGN;
}

static bool can_pack(const tess_matrix *m)
{
    return tess_weights_can_pack(m->n_row, m->n_col);
}

static uint64_t plain_bytes(const tess_matrix *m)
{
    return (uint64_t)m->n_row * m->n_col * sizeof(uint16_t);
}

static uint64_t room_of(const tess_matrix *m)
{
    return round_up(can_pack(m) ? tess_packed_room(m->n_row, m->n_col) : plain_bytes(m));
}

uint64_t tess_segment_packed_bytes(const tess_matrix *matrix, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += room_of(&matrix[i]);
    return sum;
}

/* Where in the room a packed matrix stands. */
static void *bytes_of(unsigned char *room, const tess_matrix *m)
{
    return room + ((const unsigned char *)m->bytes - room);
}

typedef struct task {
    const tess_matrix *plain, *packed;
    int n;
    unsigned char *room;
    bool is_last; /* of the steps of packing; else the first */
} task;

/* A thread packs its share of rows of every matrix. */
static void pack_share(void *arg, int share, int n_share)
{
    const task *t = arg;
    for (int i = 0; i < t->n; i++) {
        const tess_matrix *m = &t->packed[i];
        if (m->format != TESS_FORMAT_PACKED) continue;
        int64_t begin, end;
        tess_share_range((int64_t)m->n_row, 1, share, n_share, &begin, &end);
        (t->is_last ? tess_packing_write_exceptions : tess_packing_write_rows)(
            bytes_of(t->room, m), t->plain[i].bytes, m->n_row, m->n_col, (size_t)begin, (size_t)end);
    }
}

/* Gives every matrix its place, and those that stay as they are their bytes. */
static void place(const tess_matrix *plain, int n, unsigned char *room, tess_matrix *packed)
{
    for (int i = 0; i < n; i++) {
        packed[i] = plain[i];
        if (!plain[i].bytes) continue;
        packed[i].bytes = room;
        if (can_pack(&plain[i]))
            packed[i].format = TESS_FORMAT_PACKED;
        else
            memcpy(room, plain[i].bytes, plain_bytes(&plain[i]));
        room += room_of(&plain[i]);
    }
}

bool tess_segment_pack(tess_pool *pool, const tess_matrix *plain, int n, unsigned char *room,
                       tess_matrix *packed)
{
    place(plain, n, room, packed);
    tess_pool_run(pool, pack_share, &(task){plain, packed, n, room, false});
    for (int i = 0; i < n; i++) {
        const tess_matrix *m = &packed[i];
        if (m->format != TESS_FORMAT_PACKED) continue;
        const size_t n_exception = tess_packing_place_exceptions(bytes_of(room, m), m->n_row, m->n_col);
        if (!tess_packing_pays(n_exception, m->n_row, m->n_col)) return false;
    }
    tess_pool_run(pool, pack_share, &(task){plain, packed, n, room, true});
    return true;
}
