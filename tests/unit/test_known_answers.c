/* Known answers: the demo checkpoint's own, from the original, are confirmed; each kind can be contradicted;
 * a list that is not one is refused by field; the built-in list is sound and of the published checkpoint
 * alone.
 */
#include "tessera/known_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/fault.h"
#include "../support/hollow.h"

#define DEMO "demo/checkpoint"
#define DEMO_LIST "tests/golden/demo/known_answers.json"

static char folder[64], list_path[256];
static tess_error err;

static int make_folder(void **state)
{
    (void)state;
    hollow_folder(folder);
    hollow_path(folder, "list.json", list_path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    hollow_remove(folder);
    return 0;
}

/* What a check found: how many of each verdict, and the one that differs. */
typedef struct tally {
    size_t n[3], n_different;
    char kind[16], name[96], found[512], expected[512], beside[512];
} tally;

static void count(void *context, const tess_known_finding *f)
{
    tally *t = context;
    t->n[f->verdict]++;
    assert_true(*f->source && *f->found && *f->name);
    assert_true((f->verdict == TESS_KNOWN_REPORTED) == !*f->expected);
    if (*f->beside) snprintf(t->beside, sizeof t->beside, "%s", f->beside);
    if (f->verdict != TESS_KNOWN_DIFFERENT) return;
    snprintf(t->kind, sizeof t->kind, "%s", f->kind);
    snprintf(t->name, sizeof t->name, "%s", f->name);
    snprintf(t->found, sizeof t->found, "%s", f->found);
    snprintf(t->expected, sizeof t->expected, "%s", f->expected);
}

static tess_engine_options demo(void)
{
    return (tess_engine_options){.model_dir = DEMO, .memory_bytes = 1u << 30, .n_thread = 1};
}

static tess_status check(const char *path, const tess_engine_options *options, tally *t)
{
    tess_known_answers *answers;
    *t = (tally){0};
    tess_status status = tess_known_answers_read(path, &answers, &err);
    if (status != TESS_OK) return status;
    status = tess_known_answers_check(answers, options, count, t, &t->n_different, &err);
    tess_known_answers_free(answers);
    return status;
}

static json_t *load(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

/* Writes the list and takes the reference. */
static void save(json_t *root)
{
    assert_int_equal(json_dump_file(root, list_path, 0), 0);
    json_decref(root);
}

/* The n-th answer of a kind, borrowed. */
static json_t *answer(const json_t *root, const char *kind, int n)
{
    json_t *answers = json_object_get(root, "answers");
    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *a = json_array_get(answers, i);
        if (!strcmp(json_string_value(json_object_get(a, "kind")), kind) && n-- == 0) return a;
    }
    fail_msg("no answer of kind %s", kind);
    return NULL;
}

static void test_demo(void **state)
{
    (void)state;
    static const char *const isa[] = {"reference", "auto"};
    for (int i = 0; i < 2; i++) {
        tess_engine_options options = demo();
        options.isa = isa[i];
        options.n_thread = 1 + i;
        tally t;
        if (check(DEMO_LIST, &options, &t) != TESS_OK) fail_msg("%s", err.message);
        if (t.n_different) fail_msg("%s: found %s, expected %s", t.name, t.found, t.expected);
        assert_int_equal(t.n[TESS_KNOWN_CONFIRMED], 17);
        assert_int_equal(t.n[TESS_KNOWN_REPORTED], 1);
        assert_non_null(strstr(t.beside, "rank 2 in the original ("));
    }
}

/* Of each kind one thing that is not so; exactly that answer is found to differ. */
static void contradict(const char *kind, int n, const char *key, json_t *value, const char *found)
{
    json_t *root = load(DEMO_LIST), *a = answer(root, kind, n);
    char name[96];
    snprintf(name, sizeof name, "%s", json_string_value(json_object_get(a, "name")));
    json_object_set_new(a, key, value);
    save(root);
    tally t;
    tess_engine_options options = demo();
    if (check(list_path, &options, &t) != TESS_OK) fail_msg("%s %s: %s", kind, key, err.message);
    if (t.n_different != 1 || t.n[TESS_KNOWN_DIFFERENT] != 1)
        fail_msg("%s %s: %zu differ", kind, key, t.n_different);
    assert_string_equal(t.kind, kind);
    assert_string_equal(t.name, name);
    if (!strstr(t.found, found)) fail_msg("%s %s: found %s", kind, key, t.found);
}

static void test_contradictions(void **state)
{
    (void)state;
    contradict("tensors", 0, "tensors", json_integer(1), "tensors, ");
    contradict("tensors", 0, "parameters", json_integer(1), "parameters");
    contradict("tensors", 3, "bytes", json_integer(1), "bytes");
    contradict("tensors", 0, "of", json_string("thinker.no.such"), "0 tensors");
    contradict("tokens", 0, "ids", json_pack("[i,i,i,i,i]", 341, 267, 271, 776, 259), "341 267 271 776 258");
    contradict("tokens", 0, "ids", json_pack("[i,i,i,i]", 341, 267, 271, 776), "776 258");
    contradict("tokens", 0, "ids", json_pack("[i,i,i,i,i,i]", 341, 267, 271, 776, 258, 1), "776 258");
    contradict("router", 1, "experts", json_pack("[i,i,i,i]", 8, 12, 9, 5), "8 (0.");
    contradict("router", 1, "experts", json_pack("[i,i,i,i]", 8, 9, 12, 4), "12 (0.");
    contradict("router", 0, "last_id", json_integer(257), "id 258");
    contradict("router", 0, "weights", json_pack("[f,f,f,f]", 0.29669983, 0.2530074, 0.2331431, 0.2171517),
               "0.2966978");
    contradict("rank", 0, "rank", json_integer(2), "rank 1, probability 0.935");
    contradict("rank", 1, "rank", json_integer(18), "rank 2, ");
    contradict("chat", 0, "equals", json_string("Paris"), "\"Paris.\"");
    contradict("chat", 1, "begins", json_string(" 4"), "\"4.\"");
    contradict("chat", 2, "contains", json_string("how can I help you?"), "\"Hello!");
}

/* Within the tolerance of the observation. */
static void test_weights_within_tolerance(void **state)
{
    (void)state;
    json_t *root = load(DEMO_LIST);
    json_t *weights = json_object_get(answer(root, "router", 0), "weights");
    double first = json_number_value(json_array_get(weights, 0));
    json_array_set_new(weights, 0, json_real(first + 8e-7));
    save(root);
    tally t;
    tess_engine_options options = demo();
    assert_int_equal(check(list_path, &options, &t), TESS_OK);
    assert_int_equal(t.n_different, 0);
}

static void refused(json_t *root, const char *field)
{
    save(root);
    tally t;
    tess_engine_options options = demo();
    tess_status status = check(list_path, &options, &t);
    if (status != TESS_EINPUT || strcmp(err.field, field))
        fail_msg("expected a refusal of %s, found status %d, field %s: %s", field, status, err.field,
                 err.message);
    assert_non_null(strstr(err.message, field));
}

/* An edit of answer n of a kind that must be refused at that key; value NULL removes it. */
static void refused_edit(const char *kind, int n, const char *key, json_t *value, const char *field)
{
    json_t *root = load(DEMO_LIST), *a = answer(root, kind, n);
    size_t i = 0;
    while (json_array_get(json_object_get(root, "answers"), i) != a) i++;
    if (value)
        json_object_set_new(a, key, value);
    else
        json_object_del(a, key);
    char place[96];
    snprintf(place, sizeof place, "answers[%zu].%s", i, field);
    refused(root, place);
}

static void test_refused_answers(void **state)
{
    (void)state;
    static const char *const kind[] = {"tensors", "tokens", "router", "rank", "chat"};
    for (int k = 0; k < 5; k++) {
        refused_edit(kind[k], 0, "source", NULL, "source");
        refused_edit(kind[k], 0, "source", json_string(""), "source");
        refused_edit(kind[k], 0, "source", json_integer(1), "source");
        refused_edit(kind[k], 0, "name", NULL, "name");
        refused_edit(kind[k], 0, "kind", json_string("rumour"), "kind");
        refused_edit(kind[k], 0, "kind", json_null(), "kind");
        refused_edit(kind[k], 0, "wieghts", json_array(), "wieghts");
    }
    refused_edit("tensors", 0, "tensors", json_real(3), "tensors");
    refused_edit("tensors", 0, "tensors", json_integer(-1), "tensors");
    refused_edit("tensors", 0, "bytes", NULL, "bytes");
    refused_edit("tensors", 0, "parameters", json_string("many"), "parameters");
    refused_edit("tensors", 0, "of", json_string("thinker txt"), "of");
    refused_edit("tensors", 0, "of", json_string("audio tower exports"), "of");
    refused_edit("tokens", 0, "prompt", json_string(""), "prompt");
    refused_edit("tokens", 0, "prompt", json_array(), "prompt");
    refused_edit("tokens", 0, "ids", json_array(), "ids");
    refused_edit("tokens", 0, "ids", json_pack("[i,s]", 1, "2"), "ids");
    refused_edit("tokens", 0, "ids", json_pack("[i]", -1), "ids");
    refused_edit("tokens", 0, "ids", json_pack("[I]", (json_int_t)1 << 40), "ids");
    refused_edit("router", 0, "layer", json_integer(-1), "layer");
    refused_edit("router", 0, "layer", json_integer(4), "layer");
    refused_edit("router", 0, "layer", json_string("0"), "layer");
    refused_edit("router", 0, "experts", json_pack("[i,i,i,i]", 0, 3, 12, 3), "experts");
    refused_edit("router", 1, "experts", json_pack("[i,i]", 0, 16), "experts");
    refused_edit("router", 0, "weights", json_pack("[f]", 1.0), "weights");
    refused_edit("router", 0, "weights", json_pack("[s,s,s,s]", "a", "b", "c", "d"), "weights");
    refused_edit("router", 0, "last_id", json_null(), "last_id");
    refused_edit("rank", 0, "rank", json_integer(0), "rank");
    refused_edit("rank", 0, "token", json_string("Paris, of course"), "token");
    refused_edit("rank", 1, "seen", json_object(), "seen");
    refused_edit("rank", 1, "seen", json_pack("[i]", 18), "seen[0]");
    refused_edit("rank", 1, "seen", json_pack("[{s:i,s:s}]", "rank", 18, "where", "here"), "seen[0].source");
    refused_edit("chat", 0, "messages", json_array(), "messages");
    refused_edit("chat", 0, "messages", json_pack("[{s:s}]", "role", "user"), "messages[0].content");
    refused_edit("chat", 0, "begins", json_string("P"), "equals");
    refused_edit("chat", 0, "equals", NULL, "equals");
    refused_edit("chat", 0, "equals", json_string(""), "equals");
    refused_edit("chat", 0, "max_new", json_integer(0), "max_new");
    refused_edit("chat", 0, "max_new", NULL, "max_new");
}

static void refused_text(const char *text)
{
    FILE *file = fopen(list_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    tess_known_answers *answers = NULL;
    assert_int_equal(tess_known_answers_read(list_path, &answers, &err), TESS_EINPUT);
    assert_null(answers);
    assert_string_equal(err.file, list_path);
}

static json_t *edited(const char *key, json_t *value)
{
    json_t *root = load(DEMO_LIST);
    json_object_set_new(root, key, value);
    return root;
}

static void test_refused_lists(void **state)
{
    (void)state;
    refused(edited("answers", json_array()), "answers");
    refused(edited("answers", json_string("none")), "answers");
    refused(edited("answers", json_pack("[i]", 1)), "answers[0]");
    refused(edited("format", json_string("known answers")), "format");
    refused(edited("version", json_integer(2)), "version");
    refused(edited("checkpoint", json_string("demo")), "checkpoint");
    refused(edited("remarks", json_string("none")), "remarks");
    json_t *root = load(DEMO_LIST);
    json_object_del(json_object_get(root, "checkpoint"), "source");
    refused(root, "checkpoint.source");
    root = load(DEMO_LIST);
    json_object_clear(json_object_get(json_object_get(root, "checkpoint"), "configuration"));
    refused(root, "checkpoint.configuration");
    refused_text("");
    refused_text("[]");
    refused_text("{\"format\": \"tessera known answers\", \"version\": 1");
    refused_text("{\"format\": \"tessera known answers\", \"format\": 1}");
    tess_known_answers *answers;
    assert_int_equal(tess_known_answers_read("tests/golden", &answers, &err), TESS_EINPUT);
    assert_int_equal(tess_known_answers_read("tests/golden/absent", &answers, &err), TESS_EINPUT);
}

/* The built-in list is refused for any other configuration, naming what differs. */
static void test_built_in_is_of_one_checkpoint(void **state)
{
    (void)state;
    tess_known_answers *answers;
    assert_int_equal(tess_known_answers_read(NULL, &answers, &err), TESS_OK);
    assert_string_equal(tess_known_answers_get_checkpoint(answers), "Qwen3-Omni-30B-A3B-Instruct");
    assert_int_equal(tess_known_answers_get_count(answers), 16);
    tess_known_answers_free(answers);
    tally t;
    tess_engine_options options = demo();
    assert_int_equal(check(NULL, &options, &t), TESS_EINPUT);
    assert_string_equal(err.field, "thinker_config.text_config.hidden_size");
    assert_string_equal(err.file, DEMO "/config.json");
    assert_non_null(strstr(err.found, "80"));
    assert_non_null(strstr(err.expected, "2048 as in Qwen3-Omni-30B-A3B-Instruct"));
    assert_int_equal(t.n[0] + t.n[1] + t.n[2], 0);
}

/* A checkpoint of the published dimensions without weights: its tensors are as many as the list says, and the
 * rest is asked for by name. */
static void test_built_in_totals(void **state)
{
    (void)state;
    hollow_write(folder, "tests/data/published_config.json", 15);
    tess_engine_options options = {.model_dir = folder, .memory_bytes = 1u << 30, .n_thread = 1};
    tally t;
    assert_int_equal(check(NULL, &options, &t), TESS_EINPUT);
    assert_non_null(strstr(err.file, "vocab.json"));
    assert_int_equal(t.n[TESS_KNOWN_CONFIRMED], 11);
    assert_int_equal(t.n_different, 0);
    json_t *config = hollow_load(folder, "config.json");
    json_object_set_new(config, "enable_audio_output", json_false());
    hollow_store(folder, "config.json", config);
    assert_int_equal(check(NULL, &options, &t), TESS_EINPUT);
    assert_string_equal(err.field, "enable_audio_output");
}

/* One allocation fails: that is told, or made up for. Whether it was reached. */
static bool check_without(long k)
{
    tess_engine_options options = demo();
    tally t;
    fault_alloc_at(k);
    tess_status status = check(list_path, &options, &t);
    bool reached = fault_alloc_end();
    if (status != TESS_OK && (!reached || status != TESS_ENOMEM))
        fail_msg("allocation %ld: %s", k, err.message);
    if (status == TESS_OK) assert_int_equal(t.n[TESS_KNOWN_CONFIRMED], 3);
    return reached;
}

/* Reading the list and counting tensors come first, the router last; the thousands between are those of
 * opening a tokenizer, which tests/fault lets fail one by one. */
static void test_without_memory(void **state)
{
    (void)state;
    enum { EDGE = 100, STRIDE = 199 };
    json_t *root = load(DEMO_LIST), *few = json_array();
    json_array_append(few, answer(root, "tensors", 0));
    json_array_append(few, answer(root, "tokens", 0));
    json_array_append(few, answer(root, "router", 0));
    json_object_set_new(root, "answers", few);
    save(root);
    long k = 1;
    while (k <= EDGE) assert_true(check_without(k++));
    while (check_without(k)) k += STRIDE;
    for (k -= STRIDE + EDGE; check_without(k); k++) continue;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_weights_within_tolerance),
        cmocka_unit_test(test_refused_answers),
        cmocka_unit_test(test_refused_lists),
        cmocka_unit_test(test_built_in_is_of_one_checkpoint),
        cmocka_unit_test(test_built_in_totals),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
