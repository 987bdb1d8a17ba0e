/* Inspection: a store opened with every problem kept, and the questions the public header lists. */
#include "tessera/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "io/file.h"
#include "model/manifest.h"
#include "store/checksum.h"

/* One kept problem; its texts follow it in the same allocation. */
typedef struct kept_problem {
    struct kept_problem *next;
    tess_problem problem;
    char text[];
} kept_problem;

struct tess_checkpoint {
    char *dir;
    tess_store *store;
    tess_config *config;
    tess_status config_status;
    tess_error config_error;
    kept_problem *first, **last;
    size_t n_problem;
    bool no_memory; /* a problem could not be kept */
};

/* --- problems of opening -------------------------------------------------------------------------------- */

static void keep_problem(void *arg, const tess_problem *problem)
{
    tess_checkpoint *c = arg;
    const char *const from[] = {problem->file, problem->tensor, problem->found, problem->expected,
                                problem->message};
    size_t n_byte = 0;
    for (int i = 0; i < 5; i++) n_byte += strlen(from[i]) + 1;
    kept_problem *kept = malloc(sizeof *kept + n_byte);
    if (!kept) {
        c->no_memory = true;
        return;
    }
    kept->next = NULL;
    kept->problem = *problem;
    const char **const to[] = {&kept->problem.file, &kept->problem.tensor, &kept->problem.found,
                               &kept->problem.expected, &kept->problem.message};
    char *at = kept->text;
    for (int i = 0; i < 5; i++) {
        *to[i] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    *c->last = kept;
    c->last = &kept->next;
    c->n_problem++;
}

void tess_checkpoint_report_opening(const tess_checkpoint *c, tess_problem_report *report, void *context,
                                    size_t *n_problem)
{
    for (const kept_problem *p = c->first; p; p = p->next) report(context, &p->problem);
    *n_problem = c->n_problem;
}

/* --- opening -------------------------------------------------------------------------------------------- */

static tess_status open_parts(tess_checkpoint *c, const char *dir, tess_direct direct, tess_error *err)
{
    const tess_problem_sink sink = {.report = keep_problem, .arg = c};
    c->dir = strdup(dir);
    c->config = calloc(1, sizeof *c->config);
    if (!c->dir || !c->config) return tess_fail(err, TESS_ENOMEM, "%s: no memory to inspect it", dir);
    tess_status status = tess_store_open_collecting(dir, direct, &sink, &c->store, err);
    if (status != TESS_OK) return status;
    if (c->no_memory) return tess_fail(err, TESS_ENOMEM, "%s: no memory to list its problems", dir);
    c->config_status = tess_config_load(dir, c->config, &c->config_error);
    if (c->config_status != TESS_ENOMEM) return TESS_OK;
    if (err) *err = c->config_error;
    return TESS_ENOMEM;
}

tess_status tess_checkpoint_open(const char *dir, tess_direct direct, tess_checkpoint **out, tess_error *err)
{
    tess_checkpoint *c = calloc(1, sizeof *c);
    if (!c) return tess_fail(err, TESS_ENOMEM, "%s: no memory to inspect it", dir);
    c->last = &c->first;
    tess_status status = open_parts(c, dir, direct, err);
    if (status != TESS_OK)
        tess_checkpoint_close(c);
    else
        *out = c;
    return status;
}

void tess_checkpoint_close(tess_checkpoint *c)
{
    if (!c) return;
    while (c->first) {
        kept_problem *next = c->first->next;
        free(c->first);
        c->first = next;
    }
    tess_store_close(c->store);
    free(c->config);
    free(c->dir);
    free(c);
}

tess_status tess_checkpoint_get_config_status(const tess_checkpoint *c, tess_error *err)
{
    if (c->config_status != TESS_OK && err) *err = c->config_error;
    return c->config_status;
}

tess_status tess_checkpoint_get_config_sha256(const tess_checkpoint *c, char out[65], tess_error *err)
{
    char *path = tess_path_join(c->dir, "config.json");
    if (!path) return tess_fail(err, TESS_ENOMEM, "%s: no memory to read config.json", c->dir);
    tess_status status = tess_sha256_file(path, out, err);
    free(path);
    return status;
}

/* --- what is there -------------------------------------------------------------------------------------- */

size_t tess_checkpoint_get_tensor_count(const tess_checkpoint *c)
{
    return tess_store_get_count(c->store);
}

const tess_tensor *tess_checkpoint_get_tensor(const tess_checkpoint *c, size_t i)
{
    return tess_store_get(c->store, i);
}

int tess_checkpoint_get_shard_count(const tess_checkpoint *c)
{
    return tess_store_get_shard_count(c->store);
}

void tess_checkpoint_get_shard(const tess_checkpoint *c, int shard, tess_shard_info *out)
{
    const tess_safetensors *st = tess_store_get_shard(c->store, shard);
    *out = (tess_shard_info){.name = tess_store_get_shard_name(c->store, shard),
                             .path = tess_store_get_shard_path(c->store, shard),
                             .is_usable = st != NULL};
    if (!st) return;
    const tess_packed_store *packed = tess_store_get_packed(c->store);
    const tess_file *file = tess_store_get_file(c->store, packed ? 0 : shard);
    out->is_refused_direct = tess_file_is_refused_direct(file);
    out->n_tensor = tess_safetensors_get_count(st);
    out->stored_bytes = tess_file_get_size(file);
    out->n_byte = packed ? tess_packed_store_get_table(packed)->shard[shard].n_byte : out->stored_bytes;
    out->mtime_ns = tess_file_get_mtime_ns(file);
}

bool tess_checkpoint_get_packed(const tess_checkpoint *c, tess_packed_info *out)
{
    const tess_packed_store *packed = tess_store_get_packed(c->store);
    if (!packed) return false;
    const tess_packed_table *t = tess_packed_store_get_table(packed);
    const tess_file *file = tess_packed_store_get_file(packed);
    *out = (tess_packed_info){
        .path = tess_file_get_path(file), .version = TESS_PACKED_VERSION, .n_byte = tess_file_get_size(file)};
    tess_packed_table_count_forms(t, &out->n_packed, &out->n_plain);
    return true;
}

/* The length of the part of a tensor's name that all matrices of its routed expert share, 0 if it is none. */
static size_t expert_prefix(const char *name)
{
    static const char mark[] = ".mlp.experts.";
    const char *found = strstr(name, mark);
    if (!found) return 0;
    const char *number = found + sizeof mark - 1;
    size_t n_digit = strspn(number, "0123456789");
    return n_digit && number[n_digit] == '.' ? (size_t)(number + n_digit - name) : 0;
}

typedef void expert_visitor(void *context, const char *expert, int first_shard, int last_shard);

/* Matrices of one expert are neighbours in the order of names. */
static void visit_experts(const tess_checkpoint *c, expert_visitor *visit, void *context)
{
    size_t n = tess_store_get_count(c->store);
    for (size_t i = 0; i < n;) {
        const tess_tensor *t = tess_store_get_by_name(c->store, i++);
        size_t prefix = expert_prefix(t->name);
        int first = t->shard, last = t->shard;
        if (!prefix || prefix >= 256) continue;
        for (; i < n; i++) {
            const tess_tensor *next = tess_store_get_by_name(c->store, i);
            if (strncmp(next->name, t->name, prefix + 1) != 0) break;
            first = next->shard < first ? next->shard : first;
            last = next->shard > last ? next->shard : last;
        }
        char expert[256];
        snprintf(expert, sizeof expert, "%.*s", (int)prefix, t->name);
        visit(context, expert, first, last);
    }
}

typedef struct straddling_visit {
    expert_visitor *visit;
    void *context;
} straddling_visit;

static void visit_if_straddling(void *context, const char *expert, int first_shard, int last_shard)
{
    const straddling_visit *v = context;
    if (first_shard != last_shard) v->visit(v->context, expert, first_shard, last_shard);
}

void tess_checkpoint_visit_straddling(const tess_checkpoint *c, expert_visitor *visit, void *context)
{
    straddling_visit v = {visit, context};
    visit_experts(c, visit_if_straddling, &v);
}

static void count_expert(void *context, const char *expert, int first_shard, int last_shard)
{
    tess_checkpoint_summary *s = context;
    (void)expert;
    s->n_expert++;
    s->n_straddling += first_shard != last_shard;
}

static void add_tensor(tess_tensor_totals *totals, const tess_tensor *t)
{
    totals->n_tensor++;
    totals->n_parameter += tess_tensor_count(t);
    totals->n_byte += t->n_byte;
}

void tess_checkpoint_summarise(const tess_checkpoint *c, tess_checkpoint_summary *out)
{
    *out = (tess_checkpoint_summary){0};
    for (size_t i = 0; i < tess_store_get_count(c->store); i++) {
        const tess_tensor *t = tess_store_get_by_name(c->store, i);
        tess_component component = tess_component_of(t->name);
        add_tensor(&out->component[component], t);
        if (expert_prefix(t->name)) add_tensor(&out->experts[component], t);
        add_tensor(&out->all, t);
        out->n_tensor_of[t->dtype]++;
    }
    visit_experts(c, count_expert, out);
}

/* --- what is wrong -------------------------------------------------------------------------------------- */

typedef struct counting_report {
    tess_problem_report *report;
    void *context;
    size_t n;
} counting_report;

static void count_problem(void *arg, const tess_problem *problem)
{
    counting_report *r = arg;
    r->n++;
    r->report(r->context, problem);
}

tess_status tess_checkpoint_check(const tess_checkpoint *c, tess_problem_report *report, void *context,
                                  size_t *n_problem, tess_error *err)
{
    tess_status status = tess_checkpoint_get_config_status(c, err);
    if (status != TESS_OK) return status;
    size_t n_opening = 0;
    counting_report counting = {.report = report, .context = context};
    const tess_problem_sink sink = {.report = count_problem, .arg = &counting};
    tess_checkpoint_report_opening(c, report, context, &n_opening);
    status = tess_manifest_check(c->config, c->store, &sink, err);
    if (status == TESS_OK) *n_problem = n_opening + counting.n;
    return status;
}

/* --- checksums ------------------------------------------------------------------------------------------ */

tess_status tess_checkpoint_refuse_damage(const tess_checkpoint *c, const tess_tensor_checksum *checksum,
                                          tess_error *err)
{
    return tess_store_refuse_damage(c->store, checksum->tensor, checksum->damage_offset, err);
}

tess_status tess_checkpoint_checksum_tensor(const tess_checkpoint *c, const tess_tensor *tensor,
                                            const tess_progress *progress, tess_tensor_checksum *out,
                                            tess_error *err)
{
    return tess_checksum_tensor(c->store, tensor, progress, out, err);
}

static tess_status sum_shards(const tess_checkpoint *c, tess_pool *pool,
                              const tess_checksum_listener *listener, tess_tensor_checksum *sum,
                              bool *is_damaged, tess_error *err)
{
    uint64_t done = 0, total = 0;
    int n_shard = tess_store_get_shard_count(c->store);
    tess_shard_info info;
    for (int i = 0; i < n_shard; i++) {
        tess_checkpoint_get_shard(c, i, &info);
        total += info.n_byte;
    }
    for (int i = 0; i < n_shard; i++) {
        char sha256[65];
        tess_checkpoint_get_shard(c, i, &info);
        if (!info.is_usable) continue;
        tess_status status = TESS_OK;
        if (listener && listener->recall && listener->recall(listener->context, i, sum, sha256))
            total -= info.n_byte; /* what is not read is no part of the progress */
        else
            status = tess_checksum_shard(c->store, i, pool, listener, &done, total, sum, sha256, err);
        if (status != TESS_OK) return status;
        for (size_t t = 0; t < info.n_tensor; t++) {
            *is_damaged |= sum[t].is_damaged;
            if (listener && listener->tensor) listener->tensor(listener->context, &sum[t]);
        }
        if (listener && listener->shard) listener->shard(listener->context, i, sha256);
        sum += info.n_tensor;
    }
    return TESS_OK;
}

tess_status tess_checkpoint_checksum(const tess_checkpoint *c, const tess_checksum_listener *listener,
                                     char weights_sha256[65], tess_error *err)
{
    tess_tensor_checksum *sum = calloc(tess_store_get_count(c->store) + 1, sizeof *sum);
    if (!sum) return tess_fail(err, TESS_ENOMEM, "%s: no memory for its checksums", c->dir);
    tess_pool *pool = NULL;
    char hex[65] = "";
    bool is_damaged = false;
    tess_status status = tess_pool_new(TESS_CHECKSUM_THREADS, &pool, err);
    if (status == TESS_OK) status = sum_shards(c, pool, listener, sum, &is_damaged, err);
    /* In a sound checkpoint every tensor is readable; of another there is no identity. */
    if (status == TESS_OK && c->n_problem == 0 && !is_damaged) tess_checksum_weights(c->store, sum, hex);
    tess_pool_free(pool);
    free(sum);
    if (status == TESS_OK) memcpy(weights_sha256, hex, sizeof hex);
    return status;
}
