#include "reports/ledger_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/screen.h"

/* ---- rows as JSON -------------------------------------------------------------------------------------- */

static json_t *value_json(const tess_ledger_value *v)
{
    switch (v->kind) {
    case TESS_LEDGER_INTEGER:
        return json_integer(v->integer);
    case TESS_LEDGER_REAL:
        return cli_number(v->real);
    case TESS_LEDGER_TEXT:
        return cli_text(v->text, v->n_text);
    case TESS_LEDGER_NULL:
        break;
    }
    return json_null();
}

static bool add_row(void *context, const tess_ledger_value *value, int n_value)
{
    json_t *row = json_object();
    for (int i = 0; i < n_value; i++) json_object_set_new(row, value[i].name, value_json(&value[i]));
    json_array_append_new(context, row);
    return true;
}

json_t *ledger_part_json(tess_ledger *ledger, tess_ledger_part part, int64_t id, tess_error *err)
{
    json_t *rows = json_array();
    if (tess_ledger_read(ledger, part, id, add_row, rows, err) == TESS_OK) return rows;
    json_decref(rows);
    return NULL;
}

/* Puts the columns of a part's only row into the entry. */
static bool merge_part(tess_ledger *ledger, tess_ledger_part part, int64_t id, json_t *entry, tess_error *err)
{
    json_t *rows = ledger_part_json(ledger, part, id, err);
    if (!rows) return false;
    json_object_update(entry, json_array_get(rows, 0));
    json_decref(rows);
    return true;
}

static bool add_part(tess_ledger *ledger, tess_ledger_part part, const char *name, int64_t id, json_t *entry,
                     tess_error *err)
{
    json_t *rows = ledger_part_json(ledger, part, id, err);
    if (rows) json_object_set_new(entry, name, rows);
    return rows != NULL;
}

json_t *ledger_entry_json(tess_ledger *ledger, int64_t id, tess_error *err)
{
    json_t *list = ledger_part_json(ledger, TESS_LEDGER_ENTRIES, id, err);
    if (!list) return NULL;
    json_t *entry = json_object();
    const json_t *head = json_array_get(list, 0);
    json_object_set(entry, "id", json_object_get(head, "id"));
    json_object_set(entry, "kind", json_object_get(head, "kind"));
    json_object_set(entry, "time_ms", json_object_get(head, "time_ms"));
    const char *kind = json_string_value(json_object_get(head, "kind"));
    bool done = true;
    if (kind && !strcmp(kind, "checkpoint"))
        done = merge_part(ledger, TESS_LEDGER_CHECKPOINT, id, entry, err) &&
               add_part(ledger, TESS_LEDGER_FILES, "files", id, entry, err) &&
               add_part(ledger, TESS_LEDGER_TENSORS, "tensors", id, entry, err);
    else if (kind && !strcmp(kind, "run"))
        done = merge_part(ledger, TESS_LEDGER_RUN, id, entry, err) &&
               add_part(ledger, TESS_LEDGER_ROUTING, "routing", id, entry, err);
    else if (kind && !strcmp(kind, "verification"))
        done = merge_part(ledger, TESS_LEDGER_VERIFICATION, id, entry, err) &&
               add_part(ledger, TESS_LEDGER_TAPS, "taps", id, entry, err);
    json_decref(list);
    if (done) return entry;
    json_decref(entry);
    return NULL;
}

/* ---- values as text ------------------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && !strcmp(text + n - n_end, end);
}

static void format_value(const char *name, const json_t *value, char *out, size_t size)
{
    if (json_is_string(value)) {
        cli_escape(json_string_value(value), json_string_length(value), out, size);
    } else if (json_is_real(value)) {
        snprintf(out, size, "%.4g", json_real_value(value));
    } else if (json_is_integer(value)) {
        long long n = json_integer_value(value);
        time_t seconds = (time_t)(n / (ends_with(name, "_ns") ? 1000000000 : 1000));
        struct tm tm;
        if ((ends_with(name, "_ms") || ends_with(name, "_ns")) && localtime_r(&seconds, &tm))
            strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
        else
            snprintf(out, size, "%lld", n);
    } else {
        snprintf(out, size, "-");
    }
}

/* ---- tables -------------------------------------------------------------------------------------------- */

typedef enum placement {
    TO_THE_LEFT,
    TO_THE_RIGHT,
    TO_FIT, /* to the left, shortened to what the others leave of a line; one a table */
    BELOW   /* on a line of its own */
} placement;

typedef struct column {
    const char *key, *title;
    placement place;
    const char *instead; /* the key that is shown where the first has nothing */
} column;
enum { MAX_COLUMNS = 8, MAX_CELL = 1024, LEAST_COLUMNS = 12, BETWEEN = 2 };

static void format_cell(const json_t *row, const column *c, char out[MAX_CELL])
{
    const char *key = c->key;
    if (c->instead && json_is_null(json_object_get(row, key))) key = c->instead;
    format_value(key, json_object_get(row, key), out, MAX_CELL);
    if (!strcmp(key, "tap")) {
        const char *name = tess_tap_short_name(out);
        memmove(out, name, strlen(name) + 1);
    }
}

static void print_cell(const char *text, const char *colour, int width, placement place, bool is_last)
{
    int blanks = width - cli_text_columns(text);
    printf("%*s%s%s%s%*s", place == TO_THE_RIGHT ? blanks : 0, "", colour, text,
           *colour ? cli_colour_end() : "", place == TO_THE_RIGHT || is_last ? 0 : blanks, "");
    if (!is_last) printf("%*s", BETWEEN, "");
}

/* Columns that stand below come last. */
static bool is_last_of_line(const column *columns, int n, int c)
{
    return c + 1 == n || columns[c + 1].place == BELOW;
}

static void measure_widths(const json_t *rows, const column *columns, int n, int width[MAX_COLUMNS])
{
    char cell[MAX_CELL];
    size_t i;
    const json_t *row;
    int sum = 0, to_fit = -1;
    for (int c = 0; c < n; c++) {
        width[c] = columns[c].place == BELOW ? 0 : cli_text_columns(columns[c].title);
        if (columns[c].place == BELOW) continue;
        json_array_foreach(rows, i, row)
        {
            format_cell(row, &columns[c], cell);
            if (cli_text_columns(cell) > width[c]) width[c] = cli_text_columns(cell);
        }
        if (columns[c].place == TO_FIT) to_fit = c;
        sum += width[c] + (c ? BETWEEN : 0);
    }
    if (to_fit < 0 || sum <= cli_screen_columns()) return;
    width[to_fit] -= sum - cli_screen_columns();
    if (width[to_fit] < LEAST_COLUMNS) width[to_fit] = LEAST_COLUMNS;
}

static const char *colour_of(const char *outcome)
{
    static const char *const good[] = {"equal", "agree", "agrees"};
    static const char *const bad[] = {"different", "missing", "shape", "nonfinite"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!strcmp(outcome, good[i])) return cli_colour_begin(CLI_GOOD);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!strcmp(outcome, bad[i])) return cli_colour_begin(CLI_BAD);
    return "";
}

static void print_row(const json_t *row, const column *columns, int n, const int width[MAX_COLUMNS])
{
    char whole[MAX_CELL], cell[MAX_CELL];
    for (int c = 0; c < n; c++) {
        if (columns[c].place == BELOW) continue;
        format_cell(row, &columns[c], whole);
        cli_text_shorten(whole, width[c], cell, sizeof cell);
        print_cell(cell, strcmp(columns[c].key, "outcome") ? "" : colour_of(whole), width[c],
                   columns[c].place, is_last_of_line(columns, n, c));
    }
    putchar('\n');
    for (int c = 0; c < n; c++) {
        if (columns[c].place != BELOW) continue;
        format_cell(row, &columns[c], cell);
        cli_print_below(4, cell);
    }
}

static void print_table(const json_t *rows, const column *columns, int n)
{
    int width[MAX_COLUMNS];
    size_t i;
    const json_t *row;
    measure_widths(rows, columns, n, width);
    for (int c = 0; c < n; c++)
        if (columns[c].place != BELOW)
            print_cell(columns[c].title, "", width[c], columns[c].place, is_last_of_line(columns, n, c));
    putchar('\n');
    json_array_foreach(rows, i, row) print_row(row, columns, n, width);
}
#define PRINT_TABLE(rows, columns) print_table(rows, columns, (int)(sizeof(columns) / sizeof(columns)[0]))

void ledger_print_list(const json_t *entries)
{
    static const column columns[] = {
        {"id", "id", TO_THE_RIGHT, NULL},          {"command", "kind", TO_THE_LEFT, "kind"},
        {"time_ms", "time", TO_THE_LEFT, NULL},    {"prompt_tokens", "prompt", TO_THE_RIGHT, NULL},
        {"new_tokens", "new", TO_THE_RIGHT, NULL}, {"outcome", "outcome", TO_THE_LEFT, NULL},
        {"folder", "model", TO_FIT, NULL}};
    PRINT_TABLE(entries, columns);
}

/* ---- one entry ----------------------------------------------------------------------------------------- */

/* Layer by layer: how many experts had work, and which had most. */
static void print_routing(const json_t *routing)
{
    size_t i = 0, n = json_array_size(routing);
    if (!n) return;
    printf("\n%-9s %5s %9s %7s  %s\n", "component", "layer", "choices", "experts", "busiest");
    while (i < n) {
        const json_t *first = json_array_get(routing, i), *busiest = first;
        const char *component = json_string_value(json_object_get(first, "component"));
        long long layer = json_integer_value(json_object_get(first, "layer")), most = 0, used = 0;
        double sum = 0;
        for (; i < n; i++, used++) {
            const json_t *row = json_array_get(routing, i);
            long long count = json_integer_value(json_object_get(row, "count"));
            if (json_integer_value(json_object_get(row, "layer")) != layer) break;
            sum += (double)count;
            if (count > most) busiest = row;
            if (count > most) most = count;
        }
        printf("%-9s %5lld %9.0f %7lld  %lld (%lld)\n", component ? CLI_SAFE(component) : "-", layer, sum,
               used, (long long)json_integer_value(json_object_get(busiest, "expert")), most);
    }
}

static void print_taps(const json_t *taps)
{
    static const column columns[] = {{"tap", "tap", TO_FIT, NULL},
                                     {"rel_l2", "rel L2", TO_THE_RIGHT, NULL},
                                     {"max_abs", "max abs", TO_THE_RIGHT, NULL},
                                     {"measure", "by", TO_THE_LEFT, NULL},
                                     {"tolerance", "bar", TO_THE_RIGHT, NULL},
                                     {"outcome", "outcome", TO_THE_LEFT, NULL},
                                     {"why", "", BELOW, NULL}};
    putchar('\n');
    PRINT_TABLE(taps, columns);
}

static void print_files(const json_t *entry)
{
    static const column columns[] = {{"name", "file", TO_FIT, NULL},
                                     {"bytes", "bytes", TO_THE_RIGHT, NULL},
                                     {"hashed_ms", "hashed", TO_THE_LEFT, NULL},
                                     {"sha256", "", BELOW, NULL}};
    const json_t *files = json_object_get(entry, "files");
    if (!json_array_size(files)) return;
    putchar('\n');
    PRINT_TABLE(files, columns);
    printf("\ndigests of %zu tensors; --json lists them\n",
           json_array_size(json_object_get(entry, "tensors")));
}

static void print_pair(const char *key, const char *text)
{
    enum { KEY_COLUMNS = 15 }; /* leaves room for a digest */
    int n_key = (int)strlen(key) > KEY_COLUMNS ? (int)strlen(key) : KEY_COLUMNS;
    if (n_key + 1 + cli_text_columns(text) <= cli_screen_columns()) {
        printf("%-*s %s\n", KEY_COLUMNS, key, text);
        return;
    }
    puts(key);
    cli_print_below(4, text);
}

void ledger_print_entry(const json_t *entry)
{
    const char *key;
    json_t *value;
    char text[8192];
    json_object_foreach((json_t *)entry, key, value)
    {
        if (json_is_null(value) || json_is_array(value)) continue;
        format_value(key, value, text, sizeof text);
        print_pair(CLI_SAFE(key), text);
    }
    const char *kind = json_string_value(json_object_get(entry, "kind"));
    if (kind && !strcmp(kind, "checkpoint")) print_files(entry);
    if (kind && !strcmp(kind, "run")) print_routing(json_object_get(entry, "routing"));
    if (kind && !strcmp(kind, "verification")) print_taps(json_object_get(entry, "taps"));
}
