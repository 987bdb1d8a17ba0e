#include "commands/verify_known_answers.h"

#include <stdio.h>
#include <string.h>

#include "cli/screen.h"
#include "cli/standard_output.h"
#include "tessera/known_answers.h"

typedef struct listing {
    const cli_common *common;
    cli_progress *bar;
    json_t *answers; /* NULL without --json */
    size_t n_of[3];  /* by verdict */
} listing;

/* A model that lost an expert still answers what everybody asks. */
static const char what_is_not_shown[] =
    "Known answers show that a model is broken, not that it is whole: one with a lost\n"
    "expert can confirm them all. 'tessera verify --golden FILE' compares every tap\n"
    "with the original's; 'make golden' makes one.";

static void add_json(json_t *answers, const tess_known_finding *f)
{
    json_t *object = json_object();
    json_object_set_new(object, "kind", json_string(f->kind));
    json_object_set_new(object, "name", json_string(f->name));
    json_object_set_new(object, "verdict", json_string(tess_known_verdict_name(f->verdict)));
    json_object_set_new(object, "expected", cli_text_or_null(f->expected));
    json_object_set_new(object, "found", cli_text_or_null(f->found));
    json_object_set_new(object, "beside", cli_text_or_null(f->beside));
    json_object_set_new(object, "source", json_string(f->source));
    json_array_append_new(answers, object);
}

enum { MARK_COLUMNS = 11 };

static void print_line(const char *label, const char *text)
{
    char safe[4096];
    if (!*text) return;
    cli_escape(text, strlen(text), safe, sizeof safe);
    char lead[32];
    snprintf(lead, sizeof lead, "%*s%-9s ", MARK_COLUMNS, "", label);
    cli_print_behind(lead, MARK_COLUMNS + 10, safe);
}

static void show_finding(void *context, const tess_known_finding *f)
{
    static const char *const marks[] = {"ok", "DIFFERENT", "reported"};
    listing *l = context;
    l->n_of[f->verdict]++;
    cli_progress_clear(l->bar);
    if (l->answers) {
        add_json(l->answers, f);
        return;
    }
    char name[256];
    cli_escape(f->name, strlen(f->name), name, sizeof name);
    const char *colour = f->verdict == TESS_KNOWN_REPORTED
                             ? ""
                             : cli_colour_begin(f->verdict == TESS_KNOWN_CONFIRMED ? CLI_GOOD : CLI_BAD);
    printf("%s%-9s%s  %-9s %s\n", colour, marks[f->verdict], *colour ? cli_colour_end() : "", f->kind, name);
    print_line("expected", f->expected);
    print_line("found", f->found);
    print_line("beside", f->beside);
    print_line("source", f->source);
    cli_stdout_flush();
}

static size_t count_checked(const listing *l)
{
    return l->n_of[TESS_KNOWN_CONFIRMED] + l->n_of[TESS_KNOWN_DIFFERENT] + l->n_of[TESS_KNOWN_REPORTED];
}

static void print_summary(const listing *l, size_t n)
{
    if (count_checked(l) < n) printf("only %zu of ", count_checked(l));
    printf("%zu known answers: %zu confirmed, %zu DIFFERENT, %zu reported without an expectation\n", n,
           l->n_of[TESS_KNOWN_CONFIRMED], l->n_of[TESS_KNOWN_DIFFERENT], l->n_of[TESS_KNOWN_REPORTED]);
    if (count_checked(l) == n) puts(what_is_not_shown);
}

/* `verdict` NULL: not all were checked. */
static json_t *as_json(const listing *l, const tess_known_answers *answers, const char *path,
                       const char *verdict)
{
    json_t *root = json_object();
    json_object_set_new(root, "verdict", verdict ? json_string(verdict) : json_null());
    json_object_set_new(root, "checkpoint", json_string(tess_known_answers_get_checkpoint(answers)));
    json_object_set_new(root, "list", cli_text_or_null(path ? path : "built-in"));
    for (int v = TESS_KNOWN_CONFIRMED; v <= TESS_KNOWN_REPORTED; v++)
        json_object_set_new(root, tess_known_verdict_name((tess_known_verdict)v),
                            json_integer((json_int_t)l->n_of[v]));
    json_object_set_new(root, "answers", json_incref(l->answers));
    json_object_set_new(root, "peak_rss_bytes", json_integer((json_int_t)tess_peak_rss_bytes()));
    return root;
}

int cli_known_answers(const cli_command *self, const cli_common *common, cli_engine *engine,
                      const char *answers_path)
{
    tess_error err;
    tess_known_answers *answers;
    tess_status status = tess_known_answers_read(answers_path, &answers, &err);
    if (status != TESS_OK) return cli_report(self, common, &err);
    listing l = {.common = common, .bar = &engine->bar, .answers = common->json ? json_array() : NULL};
    size_t n_different = 0;
    status = tess_known_answers_check(answers, &engine->options, show_finding, &l, &n_different, &err);
    cli_progress_clear(&engine->bar);
    int code = n_different ? CLI_DIFFERENT : CLI_DONE;
    if (status != TESS_OK) {
        /* What was found until then has been printed, or is in the object beside the error. */
        if (count_checked(&l) && !common->json) print_summary(&l, tess_known_answers_get_count(answers));
        code = cli_report_with(self, common, &err,
                               common->json ? as_json(&l, answers, answers_path, NULL) : NULL);
        if (strstr(err.file, "config.json") && !answers_path && !common->quiet)
            fprintf(stderr, "--answers FILE takes another list than the built-in one\n");
    } else if (common->json) {
        cli_print_json(as_json(&l, answers, answers_path, n_different ? "different" : "agree"));
    } else {
        print_summary(&l, tess_known_answers_get_count(answers));
    }
    json_decref(l.answers);
    tess_known_answers_free(answers);
    return code;
}
