/* Damaged checkpoints: index, shards and tensors against each other and against the configuration. Each fault
 * is listed by an inspection with its kind and name, and refused by an opening that is to run. */
#include "tessera/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/hollow.h"
#include "model/manifest.h"

static const char index_name[] = "model.safetensors.index.json";
static const char some_tensor[] = "thinker.model.layers.0.self_attn.q_proj.weight";
static char folder[64];

typedef struct seen {
    size_t n;
    size_t of_kind[TESS_PROBLEM_NONFINITE + 1];
    tess_problem_kind kind; /* looked for, with this name and these parts of texts */
    const char *tensor, *file, *found, *expected;
    bool is_found;
} seen;

static void notice(void *arg, const tess_problem *p)
{
    seen *s = arg;
    s->n++;
    s->of_kind[p->kind]++;
    if (p->kind == s->kind && !strcmp(p->tensor, s->tensor) && strstr(p->file, s->file) &&
        strstr(p->found, s->found) && strstr(p->expected, s->expected))
        s->is_found = true;
}

static void print_problem(void *arg, const tess_problem *p)
{
    (void)arg;
    print_message("# %s: %s\n", tess_problem_kind_name(p->kind), p->message);
}

static seen inspect(const char *dir)
{
    seen s = {.tensor = "", .file = "", .found = "", .expected = ""};
    tess_checkpoint *c;
    tess_error err;
    size_t n = 0;
    if (tess_checkpoint_open(dir, TESS_DIRECT_OFF, &c, &err) != TESS_OK) fail_msg("%s", err.message);
    if (tess_checkpoint_check(c, notice, &s, &n, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(n, s.n);
    tess_checkpoint_close(c);
    return s;
}

/* What a run does first: open, and compare with the configuration. */
static tess_status open_to_run(const char *dir, tess_error *err)
{
    tess_config *config = calloc(1, sizeof *config);
    tess_store *store = NULL;
    assert_non_null(config);
    tess_status status = tess_config_load(dir, config, err);
    if (status == TESS_OK) status = tess_store_open(dir, TESS_DIRECT_OFF, &store, err);
    if (status == TESS_OK) status = tess_manifest_check(config, store, NULL, err);
    tess_store_close(store);
    free(config);
    return status;
}

/* The problem is in the list, the list has n_all problems, and a run is refused. */
static void must_find(size_t n_all, tess_problem_kind kind, const char *tensor, const char *file,
                      const char *found, const char *expected)
{
    seen s = {.kind = kind, .tensor = tensor, .file = file, .found = found, .expected = expected};
    tess_checkpoint *c;
    tess_error err;
    size_t n = 0;
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_OFF, &c, &err), TESS_OK);
    assert_int_equal(tess_checkpoint_check(c, notice, &s, &n, &err), TESS_OK);
    if (!s.is_found || s.n != n_all) tess_checkpoint_check(c, print_problem, NULL, &n, &err);
    tess_checkpoint_close(c);
    if (!s.is_found) fail_msg("%s %s is not in the list", tess_problem_kind_name(kind), tensor);
    assert_int_equal(s.n, n_all);
    if (open_to_run(folder, &err) != TESS_EINPUT)
        fail_msg("%s: accepted to run", tess_problem_kind_name(kind));
    assert_true(*err.found && *err.expected && *err.message);
}

static int make(void **state)
{
    (void)state;
    hollow_folder(folder);
    hollow_write(folder, "tests/data/config_a.json", 3);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    hollow_remove(folder);
    return 0;
}

static void test_whole(void **state)
{
    (void)state;
    tess_error err;
    if (open_to_run(folder, &err) != TESS_OK) fail_msg("%s", err.message);
    assert_int_equal(inspect(folder).n, 0);
    tess_checkpoint *c;
    tess_checkpoint_summary s;
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, NULL), TESS_OK);
    tess_checkpoint_summarise(c, &s);
    assert_int_equal(s.all.n_tensor, 593);
    assert_int_equal(s.all.n_byte, 7654146);
    assert_int_equal(s.n_expert, 60);
    assert_int_equal(s.component[TESS_COMPONENT_OTHER].n_tensor, 0);
    for (size_t i = 0, shard = 0; i < 593; i++) { /* by shard and offset */
        const tess_tensor *t = tess_checkpoint_get_tensor(c, i);
        assert_true((size_t)t->shard == shard || (size_t)t->shard == ++shard);
    }
    tess_checkpoint_close(c);
}

static void see_straddling(void *context, const char *expert, int first, int last)
{
    assert_int_equal(last, first + 1);
    assert_non_null(strstr(expert, ".mlp.experts."));
    ++*(size_t *)context;
}

static void test_experts_in_two_shards(void **state)
{
    (void)state;
    hollow_write(folder, "tests/data/config_a.json", 60);
    tess_checkpoint *c;
    tess_checkpoint_summary s;
    size_t n = 0;
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_AUTO, &c, NULL), TESS_OK);
    tess_checkpoint_summarise(c, &s);
    tess_checkpoint_visit_straddling(c, see_straddling, &n);
    assert_true(n >= 1 && n < 60);
    assert_int_equal(s.n_straddling, n);
    tess_checkpoint_close(c);
    assert_int_equal(inspect(folder).n, 0);
    assert_int_equal(open_to_run(folder, NULL), TESS_OK);
}

static void test_one_file_without_index(void **state)
{
    (void)state;
    char single[64], from[256], to[256], name[64];
    hollow_folder(single);
    hollow_write(single, "tests/data/config_a.json", 1);
    hollow_shard_name(1, 1, name);
    hollow_path(single, name, from);
    hollow_path(folder, "model.safetensors", to);
    assert_int_equal(rename(from, to), 0);
    hollow_remove(single);
    hollow_path(folder, index_name, from);
    assert_int_equal(unlink(from), 0);
    assert_int_equal(inspect(folder).n, 0);
    assert_int_equal(open_to_run(folder, NULL), TESS_OK);
    assert_int_equal(unlink(to), 0);
    tess_error err;
    assert_int_equal(open_to_run(folder, &err), TESS_EINPUT);
    assert_string_equal(err.file, folder);
    assert_non_null(strstr(err.expected, "model.safetensors.index.json or model.safetensors"));
    /* An inspection looks at the shards that lie there. */
    seen s = inspect(folder);
    assert_int_equal(s.of_kind[TESS_PROBLEM_INDEX], 1);
    assert_int_equal(s.n, 1);
}

static void test_symbolic_links_are_fine(void **state)
{
    (void)state;
    char path[256], moved[256], name[64];
    hollow_shard_name(2, 3, name);
    hollow_path(folder, name, path);
    hollow_path(folder, "elsewhere", moved);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_int_equal(inspect(folder).n, 0);
}

/* --- index ---------------------------------------------------------------------------------------------- */

static void set_entry(const char *tensor, json_t *value)
{
    json_t *root = hollow_load(folder, index_name);
    json_t *map = json_object_get(root, "weight_map");
    if (value)
        json_object_set_new(map, tensor, value);
    else
        json_object_del(map, tensor);
    hollow_store(folder, index_name, root);
}

static void test_path_outside(void **state)
{
    (void)state;
    static const char *const paths[] = {"../x.safetensors",
                                        "/etc/passwd",
                                        "..",
                                        ".",
                                        "",
                                        "sub/x.safetensors",
                                        "./model-00001-of-00003.safetensors"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        set_entry(some_tensor, json_string(paths[i]));
        must_find(1, TESS_PROBLEM_PATH, some_tensor, index_name, paths[i], "own folder");
    }
    char very_long[300];
    memset(very_long, 'x', sizeof very_long - 1);
    very_long[sizeof very_long - 1] = 0;
    set_entry(some_tensor, json_string(very_long));
    must_find(1, TESS_PROBLEM_PATH, some_tensor, index_name, "xxx", "own folder");
}

static void test_index_entries(void **state)
{
    (void)state;
    set_entry(some_tensor, json_integer(5));
    must_find(1, TESS_PROBLEM_INDEX, some_tensor, index_name, "an integer", "file name");
    set_entry(some_tensor, json_string("model-00003-of-00003.safetensors"));
    must_find(1, TESS_PROBLEM_MISPLACED, some_tensor, "model-00001", "model-00001", "model-00003");
    set_entry(some_tensor, NULL);
    must_find(1, TESS_PROBLEM_UNLISTED, some_tensor, "model-00001", "one that is not", "listed");
    set_entry(some_tensor, json_string("model-00001-of-00003.safetensors"));
    assert_int_equal(inspect(folder).n, 0);
    set_entry("thinker.no.such.weight", json_string("model-00002-of-00003.safetensors"));
    must_find(1, TESS_PROBLEM_MISSING, "thinker.no.such.weight", "model-00002", "no such tensor",
              "in this shard");
}

static void test_total_size(void **state)
{
    (void)state;
    json_t *root = hollow_load(folder, index_name);
    json_object_set_new(json_object_get(root, "metadata"), "total_size", json_integer(7654147));
    hollow_store(folder, index_name, root);
    seen s = inspect(folder);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.of_kind[TESS_PROBLEM_INDEX], 1);
    assert_int_equal(open_to_run(folder, NULL), TESS_OK); /* advice only */
    root = hollow_load(folder, index_name);
    json_object_set_new(json_object_get(root, "metadata"), "total_size", json_real(7654146.0));
    hollow_store(folder, index_name, root);
    assert_int_equal(inspect(folder).n, 0);
}

static void write_index(const char *text)
{
    char path[256];
    hollow_path(folder, index_name, path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_unusable_index(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"weight_map\": []}",
                                        "{\"weight_map\": {",
                                        "{\"weight_map\": {}} x",
                                        "{\"metadata\": 99999999999999999999, \"weight_map\": {}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_index(texts[i]);
        seen s = inspect(folder);
        assert_int_equal(s.of_kind[TESS_PROBLEM_INDEX], 1);
        assert_int_equal(s.n, 1); /* the shards are found without it */
        tess_error err;
        assert_int_equal(open_to_run(folder, &err), TESS_EINPUT);
        assert_non_null(strstr(err.file, index_name));
    }
    FILE *f;
    char path[256];
    hollow_path(folder, index_name, path);
    assert_non_null(f = fopen(path, "w"));
    fputs("{\"weight_map\": ", f);
    for (int i = 0; i < 100000; i++) fputs("{\"a\":", f);
    fclose(f);
    tess_error err;
    assert_int_equal(open_to_run(folder, &err), TESS_EINPUT);
}

static void test_index_names_twice(void **state)
{
    (void)state;
    json_t *root = hollow_load(folder, index_name);
    char *map = json_dumps(json_object_get(root, "weight_map"), JSON_COMPACT), *text;
    assert_int_not_equal(asprintf(&text, "{\"weight_map\":{\"%s\":\"model-00001-of-00003.safetensors\",%s}",
                                  some_tensor, map + 1),
                         -1);
    write_index(text);
    must_find(1, TESS_PROBLEM_DUPLICATE, some_tensor, index_name, "a second time", "every name once");
    free(text);
    assert_int_not_equal(asprintf(&text, "{\"weight_map\":%s,\"weight_map\":%s}", map, map), -1);
    write_index(text);
    seen s = inspect(folder);
    assert_int_equal(s.of_kind[TESS_PROBLEM_DUPLICATE], 1 + 593);
    assert_int_equal(open_to_run(folder, NULL), TESS_EINPUT);
    free(text);
    free(map);
    json_decref(root);
}

/* --- shards --------------------------------------------------------------------------------------------- */

static void test_missing_shard(void **state)
{
    (void)state;
    char path[256], name[64];
    hollow_shard_name(2, 3, name);
    hollow_path(folder, name, path);
    assert_int_equal(unlink(path), 0);
    /* One problem: its tensors are not listed one by one, nor that the sum lacks them. */
    must_find(1, TESS_PROBLEM_SHARD, "", name, "no such file", "tensors of the index");
    assert_int_equal(mkdir(path, 0700), 0);
    must_find(1, TESS_PROBLEM_SHARD, "", name, "something else", "a regular file");
    rmdir(path);
}

static void test_truncated_shard(void **state)
{
    (void)state;
    char path[256], name[64];
    struct stat info;
    hollow_shard_name(3, 3, name);
    hollow_path(folder, name, path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size - 1), 0);
    must_find(1, TESS_PROBLEM_TRUNCATED, "code2wav.decoder.6.conv.bias", name, "a file of",
              "where this tensor ends");
    assert_int_equal(truncate(path, 100), 0);
    must_find(1, TESS_PROBLEM_HEADER, "header length", name, "", "in a file of 100 bytes");
    assert_int_equal(truncate(path, 0), 0);
    must_find(1, TESS_PROBLEM_HEADER, "header length", name, "a file of 0 bytes", "10 bytes or more");
    assert_int_equal(truncate(path, info.st_size), 0);
    must_find(1, TESS_PROBLEM_HEADER, "header length", name, "0", "2 to");
}

static void test_tensor_in_two_shards(void **state)
{
    (void)state;
    json_t *header = hollow_load_header(folder, "model-00002-of-00003.safetensors");
    const char *name;
    json_t *entry = NULL;
    json_object_foreach(header, name, entry) if (strncmp(name, "__", 2) != 0) break;
    json_object_set_new(header, some_tensor, json_deep_copy(entry));
    json_object_del(header, name);
    hollow_store_header(folder, "model-00002-of-00003.safetensors", header);
    seen s = inspect(folder);
    assert_int_equal(s.of_kind[TESS_PROBLEM_DUPLICATE], 1);
    assert_int_equal(s.of_kind[TESS_PROBLEM_MISSING], 1);
    assert_int_equal(s.n, 2);
    assert_int_equal(open_to_run(folder, NULL), TESS_EINPUT);
}

/* --- tensors -------------------------------------------------------------------------------------------- */

typedef enum edit { RENAME, RESHAPE, RETYPE, DIMENSION, REMOVE } edit;

static void edit_tensor(edit what)
{
    json_t *header = hollow_load_header(folder, "model-00001-of-00003.safetensors");
    json_t *entry = json_object_get(header, some_tensor);
    assert_non_null(entry);
    if (what == RENAME) {
        json_object_set(header, "thinker.model.layers.0.self_attn.other.weight", entry);
        json_object_del(header, some_tensor);
        hollow_store_header(folder, "model-00001-of-00003.safetensors", header);
        set_entry("thinker.model.layers.0.self_attn.other.weight",
                  json_string("model-00001-of-00003.safetensors"));
        set_entry(some_tensor, NULL);
        return;
    }
    if (what == RESHAPE) json_object_set_new(entry, "shape", json_pack("[i, i]", 16, 64));
    if (what == DIMENSION) json_object_set_new(entry, "shape", json_pack("[i]", 1024));
    if (what == RETYPE) json_object_set_new(entry, "dtype", json_string("F16"));
    if (what == REMOVE) json_object_del(header, some_tensor);
    hollow_store_header(folder, "model-00001-of-00003.safetensors", header);
}

static void test_misshapen(void **state)
{
    (void)state;
    edit_tensor(RESHAPE);
    must_find(1, TESS_PROBLEM_SHAPE, some_tensor, "model-00001", "BF16 [16, 64]", "BF16 [32, 32]");
}

static void test_wrong_rank(void **state)
{
    (void)state;
    edit_tensor(DIMENSION);
    must_find(1, TESS_PROBLEM_SHAPE, some_tensor, "model-00001", "BF16 [1024]", "BF16 [32, 32]");
}

static void test_wrong_dtype(void **state)
{
    (void)state;
    edit_tensor(RETYPE);
    must_find(1, TESS_PROBLEM_DTYPE, some_tensor, "model-00001", "F16 [32, 32]", "BF16 [32, 32]");
}

static void test_missing_and_extra(void **state)
{
    (void)state;
    edit_tensor(RENAME);
    must_find(2, TESS_PROBLEM_MISSING, some_tensor, "", "no such tensor", "BF16 [32, 32]");
    must_find(2, TESS_PROBLEM_EXTRA, "thinker.model.layers.0.self_attn.other.weight", "model-00001",
              "BF16 [32, 32]", "by config.json");
}

static void test_removed(void **state)
{
    (void)state;
    edit_tensor(REMOVE);
    /* The gap it leaves, the index's claim, and the sum of sizes. */
    must_find(3, TESS_PROBLEM_MISSING, some_tensor, "model-00001", "no such tensor", "as the index says");
    seen s = inspect(folder);
    assert_int_equal(s.of_kind[TESS_PROBLEM_OFFSETS], 1);
}

static void test_unusable_config(void **state)
{
    (void)state;
    json_t *root = hollow_load(folder, "config.json");
    json_object_del(json_object_get(json_object_get(root, "thinker_config"), "text_config"), "hidden_size");
    hollow_store(folder, "config.json", root);
    tess_checkpoint *c;
    tess_error err;
    size_t n = 7;
    assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_OFF, &c, &err), TESS_OK);
    assert_int_equal(tess_checkpoint_get_config_status(c, &err), TESS_EINPUT);
    assert_string_equal(err.field, "thinker_config.text_config.hidden_size");
    assert_int_equal(tess_checkpoint_check(c, print_problem, NULL, &n, &err), TESS_EINPUT);
    assert_int_equal(n, 7);
    assert_int_equal(tess_checkpoint_get_tensor_count(c), 593); /* shown nevertheless */
    tess_checkpoint_close(c);
}

/* --- everything at once --------------------------------------------------------------------------------- */

static int make_small(void **state)
{
    (void)state;
    hollow_folder(folder);
    json_t *root = json_load_file("tests/data/config_a.json", 0, NULL);
    json_t *thinker = json_object_get(root, "thinker_config"),
           *text = json_object_get(thinker, "text_config");
    json_object_set_new(root, "enable_audio_output", json_false());
    json_object_set_new(text, "num_hidden_layers", json_integer(1));
    json_object_set_new(text, "num_experts", json_integer(2));
    json_t *audio = json_object_get(thinker, "audio_config"),
           *vision = json_object_get(thinker, "vision_config");
    json_object_set_new(audio, "encoder_layers", json_integer(1));
    json_object_set_new(audio, "num_hidden_layers", json_integer(1));
    json_object_set_new(vision, "depth", json_integer(1));
    json_object_set_new(vision, "deepstack_visual_indexes", json_array());
    char base[64], path[256];
    hollow_folder(base);
    hollow_store(base, "small.json", root);
    hollow_path(base, "small.json", path);
    hollow_write(folder, path, 2);
    hollow_remove(base);
    return 0;
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    int n_failed = 0;
    bool reached = true;
    for (int k = 1; reached; k++) {
        tess_checkpoint *c = NULL;
        tess_error err;
        size_t n = 0;
        seen s = {.tensor = "", .file = "", .found = "", .expected = ""};
        fault_alloc_at(k);
        tess_status status = tess_checkpoint_open(folder, TESS_DIRECT_OFF, &c, &err);
        if (status == TESS_OK) status = tess_checkpoint_check(c, notice, &s, &n, &err);
        reached = fault_alloc_end();
        if (status != TESS_OK && status != TESS_ENOMEM) fail_msg("allocation %d: %s", k, err.message);
        if (status == TESS_OK && n) {
            tess_checkpoint_check(c, print_problem, NULL, &n, &err);
            fail_msg("allocation %d: taken for a damaged checkpoint", k);
        }
        n_failed += status == TESS_ENOMEM;
        tess_checkpoint_close(c);
    }
    print_message("# %d allocations failed in turn\n", n_failed);
    assert_true(n_failed > 300);
}

static void flip(const char *path, long limit, unsigned *seed, long *at, int *bit)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    *at = rand_r(seed) % limit;
    *bit = rand_r(seed) % 8;
    fseek(f, *at, SEEK_SET);
    int c = getc(f);
    fseek(f, *at, SEEK_SET);
    putc(c ^ 1 << *bit, f);
    fclose(f);
}

static void unflip(const char *path, long at, int bit)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int c = getc(f);
    fseek(f, at, SEEK_SET);
    putc(c ^ 1 << bit, f);
    fclose(f);
}

/* Flipped bits in index, configuration and headers: found or harmless, never a crash; what an inspection
 * finds is what a run refuses. */
static void test_random_bits_flipped(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        long limit;
    } file[] = {{"config.json", 3000},
                {"model.safetensors.index.json", 4000},
                {"model-00001-of-00002.safetensors", 3000},
                {"model-00002-of-00002.safetensors", 3000}};
    unsigned seed = 20250101;
    int n_found = 0;
    for (int i = 0; i < 2000; i++) {
        char path[256];
        long at;
        int bit;
        hollow_path(folder, file[i % 4].name, path);
        flip(path, file[i % 4].limit, &seed, &at, &bit);
        tess_error err;
        tess_status run = open_to_run(folder, &err);
        tess_checkpoint *c = NULL;
        size_t n = 0;
        seen s = {.tensor = "", .file = "", .found = "", .expected = ""};
        assert_int_equal(tess_checkpoint_open(folder, TESS_DIRECT_OFF, &c, &err), TESS_OK);
        tess_status status = tess_checkpoint_check(c, notice, &s, &n, &err);
        bool is_clean = status == TESS_OK && n == s.of_kind[TESS_PROBLEM_INDEX] && run == TESS_OK;
        if ((run == TESS_OK) != is_clean)
            fail_msg("%s byte %ld bit %d: run %d, inspection %d with %zu problems", path, at, bit, run,
                     status, n);
        n_found += run != TESS_OK;
        tess_checkpoint_close(c);
        unflip(path, at, bit);
    }
    print_message("# %d of 2000 flipped bits were refused\n", n_found);
    assert_true(n_found > 1000);
    assert_int_equal(open_to_run(folder, NULL), TESS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, make, drop),
        cmocka_unit_test_setup_teardown(test_experts_in_two_shards, make, drop),
        cmocka_unit_test_setup_teardown(test_one_file_without_index, make, drop),
        cmocka_unit_test_setup_teardown(test_symbolic_links_are_fine, make, drop),
        cmocka_unit_test_setup_teardown(test_path_outside, make, drop),
        cmocka_unit_test_setup_teardown(test_index_entries, make, drop),
        cmocka_unit_test_setup_teardown(test_total_size, make, drop),
        cmocka_unit_test_setup_teardown(test_unusable_index, make, drop),
        cmocka_unit_test_setup_teardown(test_index_names_twice, make, drop),
        cmocka_unit_test_setup_teardown(test_missing_shard, make, drop),
        cmocka_unit_test_setup_teardown(test_truncated_shard, make, drop),
        cmocka_unit_test_setup_teardown(test_tensor_in_two_shards, make, drop),
        cmocka_unit_test_setup_teardown(test_misshapen, make, drop),
        cmocka_unit_test_setup_teardown(test_wrong_rank, make, drop),
        cmocka_unit_test_setup_teardown(test_wrong_dtype, make, drop),
        cmocka_unit_test_setup_teardown(test_missing_and_extra, make, drop),
        cmocka_unit_test_setup_teardown(test_removed, make, drop),
        cmocka_unit_test_setup_teardown(test_unusable_config, make, drop),
        cmocka_unit_test_setup_teardown(test_each_allocation_fails, make_small, drop),
        cmocka_unit_test_setup_teardown(test_random_bits_flipped, make_small, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
