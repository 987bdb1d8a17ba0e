/* Fuzzing packed stores, whose checksums would refuse nearly every change at once: they are made right again,
 * so that what lies behind them is reached.
 *
 * The input is such a file without the zeros that fill its blocks: a byte of flags, the superblock's 48
 * bytes, the table, the pieces without the zeros at their end. Flags:
 *
 *   1   the checksums of superblock and table stay as they are
 *   2   those of pieces and of tensors that are done, too
 *   4   so do the sizes and places that follow from the table and the pieces, and from the file's size
 *   8   the index of the seed's checkpoint is beside it
 *   16  it is not finished: its table is read, and packing the seed's checkpoint goes on with it
 *
 * A store is opened or refused with a word, the same with and without collecting. Of one that was opened,
 * every piece is found and read; what is intact gives, row by row, the bytes that its shard has, however they
 * are asked for, and products read nothing outside of it; what is not is named, and zeros in its shard.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xxh3.h"
#include "store/packing.h"
#include "store/shard_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEEPS_TABLE = 1, KEEPS_PIECES = 2, KEEPS_PLACES = 4, HAS_INDEX = 8, IS_UNFINISHED = 16 };
enum { MOST_BYTES = 1 << 16, MOST_PIECES = MOST_BYTES / sizeof(tess_packed_piece), MOST_TENSORS = 16 };

static const char seed[] = "fuzz/corpus/packed/whole";
static const char index_name[] = "model.safetensors.index.json";
static const char index_text[] =
    "{\"weight_map\":{\"a.exception\":\"model-00001-of-00002.safetensors\","
    "\"b.table\":\"model-00001-of-00002.safetensors\",\"c.norm\":\"model-00002-of-00002.safetensors\","
    "\"d.kernel\":\"model-00002-of-00002.safetensors\",\"e.narrow\":\"model-00002-of-00002.safetensors\"}}";

static void require(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_packed: %s\n", what);
    abort();
}

/* ---- the file ---- */

static _Alignas(TESS_IO_ALIGN) unsigned char file_bytes[MOST_BYTES];
static size_t file_size;

/* Points into the file's table, if its counts can be those of a table of so many bytes. The texts, which are
 * its end, give or take what is missing. */
static bool find_table(uint64_t n_byte, bool keeps, tess_packed_table *out)
{
    tess_packed_counts *counts = (tess_packed_counts *)(void *)(file_bytes + TESS_IO_ALIGN), others = *counts;
    uint64_t n_other;
    others.n_text_byte = 0;
    if (n_byte < sizeof others || !tess_packed_table_count_bytes(&others, &n_other) || n_other > n_byte)
        return false;
    if (!keeps) counts->n_text_byte = n_byte - n_other;
    *out = tess_packed_table_at(counts, n_byte);
    return true;
}

static int compare_places(const void *a, const void *b)
{
    const tess_packed_piece *x = *(const tess_packed_piece *const *)a,
                            *y = *(const tess_packed_piece *const *)b;
    return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : (x > y) - (x < y);
}

/* Pieces follow each other in the order that they claim; the last one of a finished file ends with it. */
static void repair_places(const tess_packed_table *t, uint64_t begin, bool is_finished)
{
    tess_packed_piece *order[MOST_PIECES];
    size_t n = 0;
    for (uint32_t i = 0; i < t->counts->n_piece; i++)
        if (is_finished || t->piece[i].n_byte) order[n++] = &t->piece[i];
    qsort(order, n, sizeof *order, compare_places);
    for (size_t i = 0; i < n; i++) {
        const uint64_t left = file_size - begin, wanted = order[i]->n_byte / 64 * 64;
        order[i]->offset = begin;
        order[i]->n_byte = (is_finished && i + 1 == n) || wanted > left ? left : wanted;
        begin += order[i]->n_byte;
    }
}

static void repair_hashes(const tess_packed_table *t)
{
    for (uint32_t i = 0; i < t->counts->n_piece; i++) {
        tess_packed_piece *p = &t->piece[i];
        if (p->offset <= file_size && p->n_byte <= file_size - p->offset)
            p->hash = tess_xxh3(file_bytes + p->offset, p->n_byte);
    }
    for (uint32_t i = 0; i < t->counts->n_tensor; i++) {
        tess_packed_tensor *w = &t->tensor[i];
        const uint32_t n_piece = t->counts->n_piece;
        if (w->check && w->first_piece <= n_piece && w->n_piece <= n_piece - w->first_piece)
            w->check = tess_packed_tensor_check(t, w);
    }
}

/* Makes the file of an input. */
static void lay_out(unsigned flags, const uint8_t *data, size_t size)
{
    tess_packed_superblock s = {0};
    tess_packed_table table;
    const bool keeps_places = flags & KEEPS_PLACES, is_finished = !(flags & IS_UNFINISHED);
    memset(file_bytes, 0, sizeof file_bytes);
    memcpy(&s, data, size < sizeof s ? size : sizeof s);
    data += size < sizeof s ? size : sizeof s;
    size -= size < sizeof s ? size : sizeof s;
    if (size > MOST_BYTES / 2) size = MOST_BYTES / 2;
    const size_t n_table = s.table_bytes < size ? (size_t)s.table_bytes : size;
    const size_t begin = (size_t)tess_packed_data_offset(n_table);
    memcpy(file_bytes + TESS_IO_ALIGN, data, n_table);
    memcpy(file_bytes + begin, data + n_table, size - n_table);
    file_size = begin + (size - n_table + 63) / 64 * 64;
    if (s.file_bytes > file_size && s.file_bytes <= MOST_BYTES) file_size = (size_t)s.file_bytes;
    const bool has_table = find_table(n_table, keeps_places, &table);
    if (!keeps_places) {
        s.is_whole = is_finished;
        s.table_bytes = n_table;
        s.data_offset = begin;
        s.file_bytes = file_size;
        if (has_table) repair_places(&table, begin, is_finished);
    }
    if (has_table && !(flags & KEEPS_PIECES)) repair_hashes(&table);
    if (!(flags & KEEPS_TABLE)) s.table_hash = tess_xxh3(file_bytes + TESS_IO_ALIGN, begin - TESS_IO_ALIGN);
    if (!(flags & KEEPS_TABLE))
        tess_packed_superblock_write(&s, file_bytes);
    else
        memcpy(file_bytes, &s, sizeof s);
}

/* ---- folders ---- */

static char base[64]; /* with the folders "store", "source" and "made" */

static void name_path(char out[192], const char *folder, const char *name)
{
    snprintf(out, 192, "%s/%s%s%s", base, folder, *name ? "/" : "", name);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[192];
    name_path(path, folder, name);
    FILE *f = fopen(path, "wb");
    require(f && fwrite(bytes, 1, n, f) == n && !fclose(f), "cannot write a file");
}

static void remove_file(const char *folder, const char *name)
{
    char path[192];
    name_path(path, folder, name);
    unlink(path);
}

static void remove_folders(void)
{
    static const char *const folders[] = {"store", "source", "made"};
    static const char *const files[] = {TESS_PACKED_FILE, TESS_PACKED_FILE ".part", index_name,
                                        "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    char path[192];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) remove_file(folders[i], files[k]);
        name_path(path, folders[i], "");
        rmdir(path);
    }
    rmdir(base);
}

static void make_folders(void)
{
    const char *room = getenv("TMPDIR");
    char path[192];
    if (!room) room = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    snprintf(base, sizeof base, "%.40s/tess-fuzz-XXXXXX", room);
    require(mkdtemp(base) != NULL, "no folder");
    atexit(remove_folders);
    static const char *const folders[] = {"store", "source", "made"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        name_path(path, folders[i], "");
        require(mkdir(path, 0700) == 0, "no folder");
    }
}

/* ---- a store that was opened ---- */

static const tess_kernels *get_kernels(void)
{
    static tess_kernels kernels;
    if (!kernels.name) tess_kernels_init(&kernels, tess_cpu_mask());
    return &kernels;
}

static void *take(size_t n_byte)
{
    void *room = malloc(n_byte ? n_byte : 1);
    require(room != NULL, "no memory");
    return room;
}

/* A window of exactly so many bytes, so that a byte more is noticed. */
static void *take_window(size_t n_byte)
{
    void *window = aligned_alloc(TESS_IO_ALIGN, tess_window_bytes(n_byte) + TESS_IO_ALIGN);
    require(window != NULL, "no memory");
    return window;
}

/* Multiplies by zeros, whose bits nobody asks for: what is read counts. */
static void multiply(const tess_matrix *m)
{
    const tess_kernels *k = get_kernels();
    float *x = calloc(tess_packed_floats(m->n_col) + m->n_row, sizeof *x),
          *packed = take(tess_packed_floats(m->n_col) * sizeof *packed),
          *y = take((m->n_row + m->n_col) * sizeof *y),
          *scratch = take(tess_columns_floats(m->n_row, 1) * sizeof *scratch);
    require(x != NULL, "no memory");
    k->pack(packed, x, m->n_col);
    tess_matrix_multiply(k, m, y, m->n_row, 0, m->n_row, packed, 1, TESS_ROUND_BF16);
    tess_matrix_multiply_columns(k, m, y, m->n_col, 0, m->n_col, x, 1, TESS_DOT_LANES, scratch);
    free(x);
    free(packed);
    free(y);
    free(scratch);
}

/* Whether rows read as a product reads them are the published ones. */
static void check_rows(const tess_matrix *m, const unsigned char *published)
{
    float *row = take(m->n_col * sizeof *row);
    for (size_t r = 0; r < m->n_row; r++) {
        tess_matrix_read_row(get_kernels(), m, r, row);
        for (size_t c = 0; c < m->n_col; c++) {
            uint32_t bits;
            uint16_t wanted;
            memcpy(&bits, &row[c], sizeof bits);
            memcpy(&wanted, published + 2 * (r * m->n_col + c), sizeof wanted);
            require(bits == (uint32_t)wanted << 16, "a row differs from its shard's");
        }
    }
    free(row);
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i]) return false;
    return true;
}

/* One piece, as a bank lends it. Returns whether it is intact. */
static bool check_piece(const tess_store *store, const tess_tensor *t, const tess_weight *w,
                        const unsigned char *published)
{
    tess_file *file = tess_store_get_file(store, w->file);
    tess_error err;
    const void *bytes = NULL;
    require(w->n_byte > 0 && w->n_byte <= tess_file_get_size(file) &&
                w->offset <= tess_file_get_size(file) - w->n_byte,
            "a piece outside of the file");
    void *window = take_window(w->n_byte);
    require(tess_file_read_window(file, w->offset, w->n_byte, window, &bytes, &err) == TESS_OK, "read");
    /* To the byte: a read behind the piece must not find the window's end. */
    void *exact = aligned_alloc(64, w->n_byte);
    require(exact != NULL, "no memory");
    memcpy(exact, bytes, w->n_byte);
    free(window);
    const tess_status status = tess_store_check_weight(store, w, exact, &err);
    const tess_matrix m = {exact, (size_t)w->n_row, (size_t)w->n_col, w->format};
    if (status == TESS_OK) {
        check_rows(&m, published);
        if (t->n_dim == 2) multiply(&m);
    } else {
        require(status == TESS_EINPUT && !strcmp(err.field, t->name) && *err.file, "damage without a name");
        require(is_zero(published, tess_weight_plain_bytes(w)), "damage is read");
    }
    free(exact);
    return status == TESS_OK;
}

/* All pieces of a tensor. */
static void check_tensor(const tess_store *store, const tess_tensor *t, const unsigned char *published,
                         bool is_damaged)
{
    uint64_t n_row, n_col;
    tess_weight w;
    tess_error err;
    require(tess_tensor_count_rows(t, &n_row, &n_col), "a tensor without rows");
    const uint64_t block_rows = tess_store_get_block_rows(store, t);
    bool is_intact = true;
    for (uint64_t first = 0; first < n_row; first += block_rows < n_row ? block_rows : n_row) {
        const uint64_t n = n_row - first < block_rows ? n_row - first : block_rows;
        require(tess_store_locate(store, t, first, n, &w, &err) == TESS_OK, "a piece is not found");
        is_intact = check_piece(store, t, &w, published + first * n_col * 2) && is_intact;
        if (n > 1)
            require(tess_store_locate(store, t, first + 1, n - 1, &w, &err) == TESS_EINPUT, "half a piece");
    }
    require(is_intact == !is_damaged, "a shard's reader says something else");
}

/* The bytes of a shard, read in parts of so many bytes. */
static unsigned char *read_shard(tess_shard_reader *reader, size_t part)
{
    const size_t n = (size_t)tess_shard_reader_get_size(reader);
    tess_error err;
    const void *bytes;
    unsigned char *all = take(n);
    void *window = take_window(part);
    for (size_t at = 0; at < n; at += part) {
        const size_t run = n - at < part ? n - at : part;
        require(tess_shard_reader_read(reader, at, run, window, &bytes, &err) == TESS_OK, "read of a shard");
        memcpy(all + at, bytes, run);
    }
    require(tess_shard_reader_read(reader, n, 1, window, &bytes, &err) == TESS_EINPUT, "behind the end");
    free(window);
    return all;
}

static void check_shard(const tess_store *store, int shard)
{
    static const size_t parts[] = {1, 3, 255, 1024};
    const tess_safetensors *st = tess_store_get_shard(store, shard);
    tess_shard_reader *reader;
    tess_error err;
    uint64_t offset;
    require(tess_shard_reader_new(store, shard, &reader, &err) == TESS_OK, "no reader");
    const size_t n = (size_t)tess_shard_reader_get_size(reader);
    unsigned char *published = read_shard(reader, n ? n : 1);
    for (size_t i = n > 4096; i < sizeof parts / sizeof *parts; i++) { /* bytes one by one of few */
        unsigned char *again = read_shard(reader, parts[i]);
        require(!memcmp(published, again, n), "other parts, other bytes");
        free(again);
    }
    for (size_t i = 0; i < tess_safetensors_get_count(st); i++) {
        const tess_tensor *t = tess_safetensors_get(st, i);
        require(t->offset <= n && t->n_byte <= n - t->offset, "a tensor outside of its shard");
        require(tess_store_get(store, tess_store_get_place(store, t)) == t, "not found by its place");
        check_tensor(store, t, published + t->offset, tess_shard_reader_is_damaged(reader, i, &offset));
    }
    free(published);
    tess_shard_reader_free(reader);
}

static void count_problem(void *arg, const tess_problem *problem)
{
    require(*problem->found && *problem->expected && *problem->message, "a problem without words");
    ++*(size_t *)arg;
}

static void require_refusal(tess_status status, const tess_error *err)
{
    require(status == TESS_EINPUT || status == TESS_EUNSUPPORTED, tess_status_name(status));
    require(strstr(err->message, base) != NULL, "a refusal without the file's name");
}

static void try_store(const char *folder)
{
    char path[192];
    tess_store *strict = NULL, *collected = NULL;
    tess_error err;
    size_t n_problem = 0;
    const tess_problem_sink sink = {count_problem, &n_problem};
    name_path(path, folder, "");
    const tess_status status = tess_store_open(path, TESS_DIRECT_OFF, &strict, &err);
    if (status != TESS_OK) require_refusal(status, &err);
    const tess_status with_sink = tess_store_open_collecting(path, TESS_DIRECT_OFF, &sink, &collected, &err);
    require(with_sink == status && n_problem == 0, "collecting finds something else");
    for (int i = 0; collected && i < tess_store_get_shard_count(collected); i++)
        require(tess_store_get_shard(collected, i) != NULL, "half a store");
    for (int i = 0; strict && i < tess_store_get_shard_count(strict); i++) check_shard(strict, i);
    tess_store_close(strict);
    tess_store_close(collected);
}

/* ---- one that is not finished ---- */

typedef struct source {
    tess_store *store;
    tess_packing_item item[MOST_TENSORS];
    tess_packing_file file;
    tess_packing_order order;
} source;

static void unpack_seed(const tess_store *packed)
{
    for (int i = 0; i < tess_store_get_shard_count(packed); i++) {
        tess_shard_reader *reader;
        require(tess_shard_reader_new(packed, i, &reader, NULL) == TESS_OK, "no reader");
        unsigned char *bytes = read_shard(reader, 4096);
        write_file("source", tess_store_get_shard_name(packed, i), bytes,
                   (size_t)tess_shard_reader_get_size(reader));
        free(bytes);
        tess_shard_reader_free(reader);
        /* As noted in the corpus, where packing has seen the same files. */
        char path[192];
        name_path(path, "source", tess_store_get_shard_name(packed, i));
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        require(utimensat(AT_FDCWD, path, times, 0) == 0, "a time");
    }
    write_file("source", index_name, index_text, sizeof index_text - 1);
}

/* The order in which the seed's tensors are stored. */
static void list_items(source *s, const tess_packed_table *t)
{
    const size_t n = t->counts->n_tensor;
    require(n <= MOST_TENSORS, "a seed with so many tensors");
    for (size_t i = 0; i < n; i++) {
        size_t place = 0;
        const tess_packed_tensor *w = &t->tensor[i];
        for (size_t k = 0; k < n; k++)
            place += t->piece[t->tensor[k].first_piece].offset < t->piece[w->first_piece].offset;
        s->item[place] = (tess_packing_item){tess_store_get(s->store, i), w->rows_per_piece, place == 0};
    }
    s->file = (tess_packing_file){.name = index_name, .n_byte = t->file->n_byte};
    memcpy(s->file.sha256, t->file->sha256, sizeof s->file.sha256);
    s->order = (tess_packing_order){s->store, s->item, &s->file, 1};
}

static source seed_source; /* of the process, which leaves it to the end */

static void close_source(void)
{
    tess_store_close(seed_source.store);
}

static const tess_packing_order *get_order(void)
{
    source *s = &seed_source;
    if (s->store) return &s->order;
    static uint8_t bytes[MOST_BYTES];
    char path[192];
    tess_store *packed;
    FILE *f = fopen(seed, "rb");
    require(f != NULL, "no seed");
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    lay_out(bytes[0], bytes + 1, n - 1);
    write_file("store", TESS_PACKED_FILE, file_bytes, file_size);
    name_path(path, "store", "");
    require(tess_store_open(path, TESS_DIRECT_OFF, &packed, NULL) == TESS_OK, "the seed is refused");
    unpack_seed(packed);
    name_path(path, "source", "");
    require(tess_store_open(path, TESS_DIRECT_OFF, &s->store, NULL) == TESS_OK, "the seed's source");
    list_items(s, tess_packed_store_get_table(tess_store_get_packed(packed)));
    tess_store_close(packed);
    atexit(close_source);
    return &s->order;
}

static void go_on(const tess_packing_order *order, const char *path)
{
    tess_packing *packing;
    tess_packing_facts facts;
    tess_error err;
    tess_status status = tess_packing_open(order, path, NULL, &packing, &err);
    if (status != TESS_OK) {
        require_refusal(status, &err);
        return;
    }
    require(tess_packing_run(packing, 1, NULL, &err) == TESS_OK, "packing does not go on");
    require(tess_packing_commit(packing, &facts, &err) == TESS_OK, "packing does not end");
    try_store("made");
}

static void try_unfinished(void)
{
    char part[192], path[192];
    tess_file *file;
    tess_packed_table table;
    tess_error err;
    const tess_packing_order *order = get_order();
    write_file("made", TESS_PACKED_FILE ".part", file_bytes, file_size);
    name_path(path, "made", TESS_PACKED_FILE);
    name_path(part, "made", TESS_PACKED_FILE ".part");
    require(tess_file_open(part, TESS_DIRECT_OFF, &file, &err) == TESS_OK, "no file");
    const tess_status status = tess_packed_table_read(file, false, &table, &err);
    tess_file_close(file);
    if (status == TESS_OK)
        free(table.counts);
    else
        require_refusal(status, &err);
    go_on(order, path);
    remove_file("made", TESS_PACKED_FILE);
    remove_file("made", TESS_PACKED_FILE ".part");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    if (!*base) make_folders();
    const unsigned flags = data[0];
    if (flags & IS_UNFINISHED) {
        (void)get_order(); /* which lays out the seed */
        lay_out(flags, data + 1, size - 1);
        try_unfinished();
        return 0;
    }
    lay_out(flags, data + 1, size - 1);
    write_file("store", TESS_PACKED_FILE, file_bytes, file_size);
    if (flags & HAS_INDEX)
        write_file("store", index_name, index_text, sizeof index_text - 1);
    else
        remove_file("store", index_name);
    try_store("store");
    return 0;
}
