/* Tensors of a sound shard follow one another, so one pass hashes both the file and them. Tensors that
 * overlap others, in a damaged shard, are left to a second pass, and those that go beyond the end are not
 * read.
 */
#include "store/checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "store/shard_reader.h"

/* Large enough that starting three threads on it costs nothing, small enough for a small machine. */
static const size_t CHUNK_BYTES = 4 << 20;

static tess_status no_memory(tess_error *err)
{
    return tess_fail(err, TESS_ENOMEM, "no memory to compute a checksum");
}

/* --- weights that are no numbers ------------------------------------------------------------------------ */

/* A float is a NaN or an infinity if all bits of its exponent are set; E4M3 has no infinity and one NaN. */
static uint64_t float_mask(tess_dtype dtype)
{
    switch (dtype) {
    case TESS_DTYPE_F8_E4M3:
        return 0x7f;
    case TESS_DTYPE_F8_E5M2:
        return 0x7c;
    case TESS_DTYPE_F16:
        return 0x7c00;
    case TESS_DTYPE_BF16:
        return 0x7f80;
    case TESS_DTYPE_F32:
        return 0x7f800000;
    case TESS_DTYPE_F64:
        return 0x7ff0000000000000;
    default:
        return 0;
    }
}

static bool is_nonfinite(const unsigned char *element, unsigned item, uint64_t mask)
{
    uint64_t bits = 0;
    memcpy(&bits, element, item);
    return (bits & mask) == mask;
}

/* The case that matters, in a form that compilers vectorise. */
static size_t count_bf16(const unsigned char *bytes, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        found += (bits & 0x7f80) == 0x7f80;
    }
    return found;
}

static void scan_elements(tess_tensor_checksum *c, uint64_t first_element, const unsigned char *bytes,
                          size_t n)
{
    unsigned item = tess_dtype_bytes(c->tensor->dtype);
    uint64_t mask = float_mask(c->tensor->dtype);
    if (!mask || (c->tensor->dtype == TESS_DTYPE_BF16 && count_bf16(bytes, n) == 0)) return;
    for (size_t i = 0; i < n; i++)
        if (is_nonfinite(bytes + i * item, item, mask) && c->n_nonfinite++ == 0)
            c->first_nonfinite = first_element + i;
}

/* One tensor while its bytes pass by. */
typedef struct summing {
    tess_sha256 sha;
    uint64_t done;          /* bytes seen */
    unsigned char split[8]; /* the begin of an element that the last piece ended in */
} summing;

static void begin_summing(summing *s)
{
    tess_sha256_init(&s->sha);
    s->done = 0;
}

static void add_piece(summing *s, tess_tensor_checksum *c, const unsigned char *bytes, size_t n)
{
    unsigned item = tess_dtype_bytes(c->tensor->dtype);
    uint64_t begin = s->done;
    s->done += n;
    tess_sha256_add(&s->sha, bytes, n);
    if (!item) return;
    size_t held = (size_t)(begin % item), missing = held ? item - held : 0;
    if (missing) {
        size_t take = missing < n ? missing : n;
        memcpy(s->split + held, bytes, take);
        if (take < missing) return;
        scan_elements(c, begin / item, s->split, 1);
        bytes += take;
        n -= take;
        begin += take;
    }
    scan_elements(c, begin / item, bytes, n / item);
    memcpy(s->split, bytes + n / item * item, n % item);
}

/* --- one shard ------------------------------------------------------------------------------------------ */

typedef struct pass {
    tess_shard_reader *reader;
    uint64_t size;
    const tess_tensor *tensor; /* of the shard, by offset */
    size_t n_tensor;
    tess_tensor_checksum *out; /* [n_tensor] */
    bool *is_apart;            /* [n_tensor] left to the second pass */
    unsigned char *window[2];  /* two chunks in turn */
    const unsigned char *data[2];
    uint64_t chunk; /* number of the chunk being hashed */
    tess_sha256 file_sha;
    summing tensor_sum;
    size_t at; /* the tensor being summed, or to be next */
    bool is_begun;
    tess_status read_status;
    tess_error read_error;
} pass;

static uint64_t chunk_begin(uint64_t chunk)
{
    return chunk * CHUNK_BYTES;
}

static size_t chunk_size(const pass *p, uint64_t chunk)
{
    uint64_t begin = chunk_begin(chunk);
    if (begin >= p->size) return 0;
    return (size_t)(p->size - begin < CHUNK_BYTES ? p->size - begin : CHUNK_BYTES);
}

static void read_chunk(pass *p, uint64_t chunk)
{
    size_t n = chunk_size(p, chunk);
    const void *data = NULL;
    p->read_status = TESS_OK;
    if (n)
        p->read_status = tess_shard_reader_read(p->reader, chunk_begin(chunk), n, p->window[chunk % 2], &data,
                                                &p->read_error);
    p->data[chunk % 2] = data;
}

/* Gives every tensor its part of the chunk. */
static void sum_tensors(pass *p, const unsigned char *data, uint64_t begin, uint64_t end)
{
    for (; p->at < p->n_tensor; p->at++) {
        const tess_tensor *t = &p->tensor[p->at];
        if (p->is_apart[p->at]) continue;
        uint64_t t_end = t->offset + t->n_byte, from, to;
        if (!p->is_begun) begin_summing(&p->tensor_sum);
        p->is_begun = true;
        from = t->offset > begin ? t->offset : begin;
        to = t_end < end ? t_end : end;
        if (to > from) add_piece(&p->tensor_sum, &p->out[p->at], data + (from - begin), (size_t)(to - from));
        if (t_end > end) return;
        p->is_begun = false;
        tess_sha256_finish(&p->tensor_sum.sha, p->out[p->at].sha256);
        p->out[p->at].is_readable = true;
    }
}

/* Share 0 reads ahead, share 1 hashes the file, share 2 the tensors; none touches what another writes. */
static void sum_share(void *arg, int share, int n_share)
{
    pass *p = arg;
    uint64_t begin = chunk_begin(p->chunk);
    size_t n = chunk_size(p, p->chunk);
    const unsigned char *data = p->data[p->chunk % 2];
    for (int i = share; i < TESS_CHECKSUM_THREADS; i += n_share) {
        if (i == 0)
            read_chunk(p, p->chunk + 1);
        else if (i == 1)
            tess_sha256_add(&p->file_sha, data, n);
        else
            sum_tensors(p, data, begin, begin + n);
    }
}

/* Tensors that begin before the one ahead of them has ended wait for the second pass; what goes beyond the
 * end of the file is never read. */
static void sort_out(pass *p)
{
    uint64_t end = 0;
    for (size_t i = 0; i < p->n_tensor; i++) {
        const tess_tensor *t = &p->tensor[i];
        p->out[i] = (tess_tensor_checksum){.tensor = t};
        p->is_apart[i] = t->dtype == TESS_DTYPE_NONE || t->offset < end || t->offset > p->size ||
                         t->n_byte > p->size - t->offset;
        if (!p->is_apart[i]) end = t->offset + t->n_byte;
    }
}

static tess_status run_pass(pass *p, tess_pool *pool, const tess_checksum_listener *listener, uint64_t *done,
                            uint64_t total, char sha256[65], tess_error *err)
{
    tess_sha256_init(&p->file_sha);
    read_chunk(p, 0);
    for (p->chunk = 0; chunk_size(p, p->chunk) && p->read_status == TESS_OK; p->chunk++) {
        tess_pool_run(pool, sum_share, p);
        *done += chunk_size(p, p->chunk);
        tess_status status = tess_progress_tell(listener ? listener->progress : NULL, TESS_ACTIVITY_CHECKSUMS,
                                                *done, total, err);
        if (status != TESS_OK) return status;
    }
    if (p->read_status != TESS_OK) {
        if (err) *err = p->read_error;
        return p->read_status;
    }
    tess_sha256_finish(&p->file_sha, sha256);
    return TESS_OK;
}

/* What a packed store says of a tensor's bytes must be so. */
static void judge_tensor(const tess_store *store, const tess_shard_reader *reader, size_t i,
                         tess_tensor_checksum *sum)
{
    const tess_packed_store *packed = tess_store_get_packed(store);
    char recorded[TESS_SHA256_HEX];
    if (!packed) return;
    const tess_packed_table *t = tess_packed_store_get_table(packed);
    const size_t place = tess_store_get_place(store, sum->tensor);
    tess_sha256_spell(t->tensor[place].sha256, recorded);
    sum->damage_offset = t->piece[t->tensor[place].first_piece].offset;
    sum->is_damaged = tess_shard_reader_is_damaged(reader, i, &sum->damage_offset) ||
                      (sum->is_readable && strcmp(recorded, sum->sha256) != 0);
}

static void release_pass(pass *p)
{
    tess_shard_reader_free(p->reader);
    free(p->is_apart);
    free(p->window[0]);
    free(p->window[1]);
}

tess_status tess_checksum_shard(const tess_store *store, int shard, tess_pool *pool,
                                const tess_checksum_listener *listener, uint64_t *done, uint64_t total,
                                tess_tensor_checksum *tensor, char sha256[65], tess_error *err)
{
    const tess_safetensors *st = tess_store_get_shard(store, shard);
    pass p = {.n_tensor = tess_safetensors_get_count(st), .out = tensor};
    tess_status status = tess_shard_reader_new(store, shard, &p.reader, err);
    if (status != TESS_OK) return status;
    p.size = tess_shard_reader_get_size(p.reader);
    p.tensor = p.n_tensor ? tess_safetensors_get(st, 0) : NULL;
    p.is_apart = calloc(p.n_tensor + 1, sizeof *p.is_apart);
    for (int i = 0; i < 2; i++) p.window[i] = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(CHUNK_BYTES));
    if (!p.is_apart || !p.window[0] || !p.window[1]) {
        status = no_memory(err);
    } else {
        sort_out(&p);
        status = run_pass(&p, pool, listener, done, total, sha256, err);
    }
    for (size_t i = 0; i < p.n_tensor && status == TESS_OK; i++)
        if (p.is_apart[i]) status = tess_checksum_tensor(store, &p.tensor[i], NULL, &tensor[i], err);
    for (size_t i = 0; i < p.n_tensor && status == TESS_OK; i++)
        if (!p.is_apart[i]) judge_tensor(store, p.reader, i, &tensor[i]);
    release_pass(&p);
    return status;
}

/* --- one tensor ----------------------------------------------------------------------------------------- */

static tess_status sum_tensor(tess_shard_reader *reader, const tess_tensor *t, const tess_progress *progress,
                              summing *s, unsigned char *window, tess_tensor_checksum *out, tess_error *err)
{
    begin_summing(s);
    while (s->done < t->n_byte) {
        uint64_t left = t->n_byte - s->done;
        size_t n = (size_t)(left < CHUNK_BYTES ? left : CHUNK_BYTES);
        const void *data;
        tess_status status = tess_shard_reader_read(reader, t->offset + s->done, n, window, &data, err);
        if (status != TESS_OK) return status;
        add_piece(s, out, data, n);
        status = tess_progress_tell(progress, TESS_ACTIVITY_CHECKSUMS, s->done, t->n_byte, err);
        if (status != TESS_OK) return status;
    }
    tess_sha256_finish(&s->sha, out->sha256);
    return TESS_OK;
}

tess_status tess_checksum_tensor(const tess_store *store, const tess_tensor *tensor,
                                 const tess_progress *progress, tess_tensor_checksum *out, tess_error *err)
{
    tess_tensor_checksum checksum = {.tensor = tensor};
    tess_shard_reader *reader;
    tess_status status = tess_shard_reader_new(store, tensor->shard, &reader, err);
    if (status != TESS_OK) return status;
    const uint64_t size = tess_shard_reader_get_size(reader);
    if (tensor->dtype == TESS_DTYPE_NONE || tensor->offset > size || tensor->n_byte > size - tensor->offset) {
        tess_shard_reader_free(reader);
        *out = checksum;
        return TESS_OK;
    }
    summing s;
    unsigned char *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(CHUNK_BYTES));
    status = window ? sum_tensor(reader, tensor, progress, &s, window, &checksum, err) : no_memory(err);
    free(window);
    checksum.is_readable = true;
    if (status == TESS_OK) {
        const tess_safetensors *st = tess_store_get_shard(store, tensor->shard);
        judge_tensor(store, reader, (size_t)(tensor - tess_safetensors_get(st, 0)), &checksum);
        *out = checksum;
    }
    tess_shard_reader_free(reader);
    return status;
}

/* --- all weights ---------------------------------------------------------------------------------------- */

static void add_line(tess_sha256 *sha, const tess_tensor_checksum *c)
{
    char rest[320];
    size_t used = (size_t)snprintf(rest, sizeof rest, " %s ", tess_dtype_name(c->tensor->dtype));
    tess_tensor_format_shape(c->tensor->n_dim, c->tensor->dim, rest + used, sizeof rest - used);
    used = strlen(rest);
    used += (size_t)snprintf(rest + used, sizeof rest - used, " %s\n", c->sha256);
    tess_sha256_add(sha, c->tensor->name, strlen(c->tensor->name));
    tess_sha256_add(sha, rest, used);
}

void tess_checksum_weights(const tess_store *store, const tess_tensor_checksum *checksum,
                           char sha256[TESS_SHA256_HEX])
{
    tess_sha256 sha;
    tess_sha256_init(&sha);
    for (size_t i = 0; i < tess_store_get_count(store); i++) {
        const tess_tensor *t = tess_store_get_by_name(store, i);
        add_line(&sha, &checksum[tess_store_get_place(store, t)]);
    }
    tess_sha256_finish(&sha, sha256);
}
