/* Writes a hollow checkpoint: config.json, index and shards with real headers, and holes instead of weights.
 *
 *     hollow [--config FILE] [--shards N] [--thinker-only] FOLDER
 *
 * By default the published configuration: 28,010 tensors, 70,519,637,090 bytes of tensor data in 15 shards
 * that take some 4 MB of disk. All weights read as zero.
 *
 * The cut, our own: tensors follow one another in the order of the network; the tensor whose first byte is
 * byte b of all B bytes goes to shard floor(N * b / B). It asks nothing about experts, so cuts fall within
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "model/manifest.h"

typedef struct shard {
    char name[64];
    FILE *header;
    char *text;
    size_t text_size;
    uint64_t data_bytes;
} shard;

typedef struct writer {
    const char *folder;
    int n_shard;
    shard *shard;
    uint64_t total, begin; /* bytes of all tensors, and before the present one */
    FILE *index;
    size_t n_tensor;
} writer;

static void give_up(const char *what)
{
    fprintf(stderr, "hollow: %s: %s\n", what, strerror(errno));
    exit(4);
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f) give_up(path);
    return f;
}

static uint64_t bytes_of(const tess_manifest_entry *entry)
{
    uint64_t n = tess_dtype_bytes(TESS_DTYPE_BF16);
    for (int i = 0; i < entry->n_dim; i++) n *= entry->dim[i];
    return n;
}

static tess_status add_up(void *arg, const tess_manifest_entry *entry)
{
    *(uint64_t *)arg += bytes_of(entry);
    return TESS_OK;
}

static tess_status put_tensor(void *arg, const tess_manifest_entry *entry)
{
    writer *w = arg;
    /* In 128 bits: a count of shards times 70 billion bytes is near the limit of 64 only for absurd counts.
     */
    int number = (int)((unsigned __int128)w->begin * (unsigned)w->n_shard / w->total);
    shard *s = &w->shard[number];
    char shape[256];
    tess_tensor_format_shape(entry->n_dim, entry->dim, shape, sizeof shape);
    uint64_t n = bytes_of(entry);
    fprintf(s->header, ",\"%s\":{\"dtype\":\"BF16\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
            entry->name, shape, s->data_bytes, s->data_bytes + n);
    fprintf(w->index, "%s\n    \"%s\": \"%s\"", w->n_tensor ? "," : "", entry->name, s->name);
    s->data_bytes += n;
    w->begin += n;
    w->n_tensor++;
    return TESS_OK;
}

static void begin_shards(writer *w)
{
    w->shard = calloc((size_t)w->n_shard, sizeof *w->shard);
    if (!w->shard) give_up("memory");
    for (int i = 0; i < w->n_shard; i++) {
        shard *s = &w->shard[i];
        snprintf(s->name, sizeof s->name, "model-%05d-of-%05d.safetensors", i + 1, w->n_shard);
        s->header = open_memstream(&s->text, &s->text_size);
        if (!s->header) give_up("memory");
        fputs("{\"__metadata__\":{\"format\":\"pt\"}", s->header);
    }
}

/* Header length, header padded to 8 bytes, and a hole as long as the tensors. */
static void end_shard(const writer *w, shard *s)
{
    putc('}', s->header);
    if (fclose(s->header)) give_up("memory");
    uint64_t length = (s->text_size + 7) / 8 * 8;
    FILE *f = create(w->folder, s->name);
    for (int i = 0; i < 8; i++) putc((int)(length >> (8 * i) & 0xff), f);
    fwrite(s->text, 1, s->text_size, f);
    for (uint64_t i = s->text_size; i < length; i++) putc(' ', f);
    if (fflush(f) || ftruncate(fileno(f), (off_t)(8 + length + s->data_bytes)) || fclose(f)) give_up(s->name);
    free(s->text);
}

static void write_config(const char *folder, const json_t *root)
{
    FILE *f = create(folder, "config.json");
    if (json_dumpf(root, f, JSON_INDENT(2)) || putc('\n', f) == EOF || fclose(f)) give_up("config.json");
}

static void write_all(const char *folder, int n_shard, const tess_config *config)
{
    writer w = {.folder = folder, .n_shard = n_shard};
    tess_manifest_visit(config, add_up, &w.total);
    w.index = create(folder, "model.safetensors.index.json");
    fprintf(w.index, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
            w.total);
    begin_shards(&w);
    tess_manifest_visit(config, put_tensor, &w);
    fputs("\n  }\n}\n", w.index);
    if (fclose(w.index)) give_up("model.safetensors.index.json");
    for (int i = 0; i < n_shard; i++) end_shard(&w, &w.shard[i]);
    free(w.shard);
    printf("%zu tensors, %" PRIu64 " bytes, %d shards in %s\n", w.n_tensor, w.total, n_shard, folder);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"shards", required_argument, NULL, 's'},
                                            {"thinker-only", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    const char *file = "tests/data/published_config.json";
    int n_shard = 15, choice;
    bool thinker_only = false;
    while ((choice = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (choice == 'c') file = optarg;
        if (choice == 's') n_shard = atoi(optarg);
        if (choice == 't') thinker_only = true;
        if (choice == '?') return 2;
    }
    if (optind + 1 != argc || n_shard < 1 || n_shard > 99999) {
        fputs("usage: hollow [--config FILE] [--shards N] [--thinker-only] FOLDER\n", stderr);
        return 2;
    }
    json_t *root = NULL;
    tess_error err;
    static tess_config config;
    tess_status status = tess_json_load(file, 1 << 22, &root, &err);
    if (status == TESS_OK && thinker_only) json_object_set_new(root, "enable_audio_output", json_false());
    if (status == TESS_OK) status = tess_config_parse(file, root, &config, &err);
    if (status != TESS_OK) {
        fprintf(stderr, "hollow: %s\n", err.message);
        return 3;
    }
    if (mkdir(argv[optind], 0777) && errno != EEXIST) give_up(argv[optind]);
    write_config(argv[optind], root);
    write_all(argv[optind], n_shard, &config);
    json_decref(root);
    return 0;
}
