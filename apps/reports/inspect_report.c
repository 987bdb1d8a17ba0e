#include "reports/inspect_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/screen.h"

enum { MOST_STRADDLING_SHOWN = 8 };

void inspect_format_count(uint64_t count, char *out, size_t size)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t used = 0;
    for (int i = 0; i < n && used + 2 < size; i++) {
        if (i && (n - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
}

/* A text of the file as a JSON value; null where it was cut inside a character. */
static json_t *count_json(uint64_t count)
{
    return json_integer((json_int_t)count);
}

/* --- summary -------------------------------------------------------------------------------------------- */

static void print_totals(const char *name, const tess_tensor_totals *t, uint64_t all_bytes)
{
    char tensors[32], parameters[32], bytes[32], size[32];
    inspect_format_count(t->n_tensor, tensors, sizeof tensors);
    inspect_format_count(t->n_parameter, parameters, sizeof parameters);
    inspect_format_count(t->n_byte, bytes, sizeof bytes);
    cli_format_bytes(t->n_byte, size, sizeof size);
    double share = all_bytes ? 100.0 * (double)t->n_byte / (double)all_bytes : 0;
    printf("%-18s %8s %15s %15s %11s %6.1f %%\n", name, tensors, parameters, bytes, size, share);
}

static void print_components(const tess_checkpoint_summary *s)
{
    printf("%-18s %8s %15s %15s %11s %8s\n", "component", "tensors", "parameters", "bytes", "size", "share");
    for (int i = 0; i < TESS_N_COMPONENT; i++) {
        if (!s->component[i].n_tensor) continue;
        print_totals(tess_component_name((tess_component)i), &s->component[i], s->all.n_byte);
        if (s->experts[i].n_tensor) print_totals("  routed experts", &s->experts[i], s->all.n_byte);
    }
    print_totals("all", &s->all, s->all.n_byte);
    printf("\ndtypes ");
    for (int i = 0; i < TESS_N_DTYPE; i++) {
        char count[32];
        if (!s->n_tensor_of[i]) continue;
        inspect_format_count(s->n_tensor_of[i], count, sizeof count);
        printf(" %s %s", tess_dtype_name((tess_dtype)i), count);
    }
    puts("\n");
}

static void print_shards(const tess_checkpoint *checkpoint)
{
    enum { REST = 1 + 8 + 1 + 15 };
    static const char unusable[] = "  cannot be used";
    int n = tess_checkpoint_get_shard_count(checkpoint), width = 5;
    int most = cli_screen_columns() - REST - (int)strlen(unusable);
    char whole[256], name[256];
    tess_shard_info info;
    for (int i = 0; i < n; i++) {
        tess_checkpoint_get_shard(checkpoint, i, &info);
        cli_escape(info.name, strlen(info.name), whole, sizeof whole);
        int length = cli_text_columns(whole);
        if (length > width) width = length < most ? length : most;
    }
    printf("%-*s %8s %15s\n", width, "shard", "tensors", "bytes");
    for (int i = 0; i < n; i++) {
        char tensors[32], bytes[32];
        tess_checkpoint_get_shard(checkpoint, i, &info);
        cli_escape(info.name, strlen(info.name), whole, sizeof whole);
        cli_text_shorten(whole, width, name, sizeof name);
        inspect_format_count(info.n_tensor, tensors, sizeof tensors);
        inspect_format_count(info.n_byte, bytes, sizeof bytes);
        printf("%s%*s %8s %15s%s%s%s\n", name, width - cli_text_columns(name), "", tensors, bytes,
               info.is_usable ? "" : cli_colour_begin(CLI_BAD), info.is_usable ? "" : unusable,
               info.is_usable ? "" : cli_colour_end());
    }
}

static void print_packed(const tess_checkpoint *checkpoint, const tess_checkpoint_summary *s)
{
    char bytes[32], size[32], packed[32], plain[32];
    tess_packed_info info;
    if (!tess_checkpoint_get_packed(checkpoint, &info)) return;
    const char *slash = strrchr(info.path, '/');
    inspect_format_count(info.n_byte, bytes, sizeof bytes);
    inspect_format_count(info.n_packed, packed, sizeof packed);
    inspect_format_count(info.n_plain, plain, sizeof plain);
    cli_format_bytes(info.n_byte, size, sizeof size);
    printf("\npacked in %s: %s bytes, %s, %.1f %% of all;\n  %s pieces packed, %s as they are\n",
           slash ? slash + 1 : info.path, bytes, size,
           100 * (double)info.n_byte / (double)(s->all.n_byte ? s->all.n_byte : 1), packed, plain);
}

typedef struct straddling_print {
    const tess_checkpoint *checkpoint;
    size_t n;
} straddling_print;

static void join_names(const char *first, const char *last, char *out, size_t size)
{
    char a[512], b[512];
    cli_escape(first, strlen(first), a, sizeof a);
    cli_escape(last, strlen(last), b, sizeof b);
    snprintf(out, size, "%s, %s", a, b);
}

static void print_straddling(void *context, const char *expert, int first, int last)
{
    straddling_print *p = context;
    tess_shard_info a, b;
    if (p->n++ >= MOST_STRADDLING_SHOWN) return;
    tess_checkpoint_get_shard(p->checkpoint, first, &a);
    tess_checkpoint_get_shard(p->checkpoint, last, &b);
    char name[512], shards[1056];
    cli_escape(expert, strlen(expert), name, sizeof name);
    join_names(a.name, b.name, shards, sizeof shards);
    if (cli_text_columns(name) + cli_text_columns(shards) + 4 <= cli_screen_columns()) {
        printf("  %s: %s\n", name, shards);
        return;
    }
    printf("  %s:\n", name);
    cli_print_below(4, shards);
}

void inspect_print_summary(const tess_checkpoint *checkpoint)
{
    tess_checkpoint_summary s;
    tess_checkpoint_summarise(checkpoint, &s);
    print_components(&s);
    print_shards(checkpoint);
    print_packed(checkpoint, &s);
    if (s.n_straddling) {
        straddling_print p = {.checkpoint = checkpoint};
        printf("\n%zu of %zu routed experts lie in more than one shard:\n", s.n_straddling, s.n_expert);
        tess_checkpoint_visit_straddling(checkpoint, print_straddling, &p);
        if (p.n > MOST_STRADDLING_SHOWN) printf("  and %zu more\n", p.n - MOST_STRADDLING_SHOWN);
    }
}

static json_t *totals_json(const char *name, const tess_tensor_totals *t, uint64_t all_bytes)
{
    double share = all_bytes ? (double)t->n_byte / (double)all_bytes : 0;
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", name, "tensors", count_json(t->n_tensor),
                     "parameters", count_json(t->n_parameter), "bytes", count_json(t->n_byte), "share",
                     cli_number(share));
}

static json_t *packed_json(const tess_checkpoint *checkpoint)
{
    tess_packed_info info;
    if (!tess_checkpoint_get_packed(checkpoint, &info)) return json_null();
    return json_pack("{s:o, s:i, s:o, s:o, s:o}", "file", cli_text_or_null(info.path), "version",
                     info.version, "bytes", count_json(info.n_byte), "pieces_packed",
                     count_json(info.n_packed), "pieces_plain", count_json(info.n_plain));
}

static void add_straddling(void *context, const char *expert, int first, int last)
{
    (void)first;
    (void)last;
    json_array_append_new(context, json_string(expert));
}

void inspect_add_summary(const tess_checkpoint *checkpoint, json_t *root)
{
    tess_checkpoint_summary s;
    tess_checkpoint_summarise(checkpoint, &s);
    json_t *components = json_array(), *dtypes = json_object(), *shards = json_array(),
           *straddling = json_array();
    for (int i = 0; i < TESS_N_COMPONENT; i++) {
        if (!s.component[i].n_tensor) continue;
        json_t *entry = totals_json(tess_component_name((tess_component)i), &s.component[i], s.all.n_byte);
        if (s.experts[i].n_tensor)
            json_object_set_new(entry, "routed_experts",
                                totals_json("routed experts", &s.experts[i], s.all.n_byte));
        json_array_append_new(components, entry);
    }
    for (int i = 0; i < TESS_N_DTYPE; i++)
        if (s.n_tensor_of[i])
            json_object_set_new(dtypes, tess_dtype_name((tess_dtype)i), count_json(s.n_tensor_of[i]));
    for (int i = 0; i < tess_checkpoint_get_shard_count(checkpoint); i++) {
        tess_shard_info info;
        tess_checkpoint_get_shard(checkpoint, i, &info);
        json_array_append_new(shards, json_pack("{s:o, s:b, s:o, s:o}", "file", cli_text_or_null(info.name),
                                                "usable", info.is_usable, "tensors",
                                                count_json(info.n_tensor), "bytes", count_json(info.n_byte)));
    }
    tess_checkpoint_visit_straddling(checkpoint, add_straddling, straddling);
    json_object_set_new(root, "components", components);
    json_object_set_new(root, "tensors", count_json(s.all.n_tensor));
    json_object_set_new(root, "parameters", count_json(s.all.n_parameter));
    json_object_set_new(root, "bytes", count_json(s.all.n_byte));
    json_object_set_new(root, "dtypes", dtypes);
    json_object_set_new(root, "shards", shards);
    json_object_set_new(root, "packed", packed_json(checkpoint));
    json_object_set_new(root, "experts", count_json(s.n_expert));
    json_object_set_new(root, "straddling_experts", straddling);
}

/* --- tensors and problems ------------------------------------------------------------------------------- */

void inspect_print_tensor(const tess_checkpoint *checkpoint, const tess_tensor *tensor,
                          const tess_tensor_checksum *checksum)
{
    enum { LISTED_COLUMNS = 64 + 1 + 4 + 1 + 20 + 1 };
    char name[512], shape[160];
    tess_shard_info info;
    tess_checkpoint_get_shard(checkpoint, tensor->shard, &info);
    cli_escape(tensor->name, strlen(tensor->name), name, sizeof name);
    tess_tensor_format_shape(tensor->n_dim, tensor->dim, shape, sizeof shape);
    if (checksum) {
        printf("%s  %s\n", checksum->is_readable ? checksum->sha256 : "unreadable", name);
        return;
    }
    char place[512], shard[256];
    cli_escape(info.name, strlen(info.name), shard, sizeof shard);
    snprintf(place, sizeof place, "%12" PRIu64 " bytes at %12" PRIu64 " of %s", tensor->n_byte,
             tensor->offset, shard);
    /* Names are what such a list is for, so they are whole; one that is piped has a line for each. */
    if (isatty(STDOUT_FILENO) && LISTED_COLUMNS + cli_text_columns(place) > cli_screen_columns())
        printf("%s  %s %s\n    %s\n", name, tess_dtype_name(tensor->dtype), shape,
               place + strspn(place, " "));
    else
        printf("%-64s %-4s %-20s %s\n", name, tess_dtype_name(tensor->dtype), shape, place);
}

json_t *inspect_tensor_json(const tess_checkpoint *checkpoint, const tess_tensor *tensor,
                            const tess_tensor_checksum *checksum)
{
    tess_shard_info info;
    json_t *shape = json_array();
    tess_checkpoint_get_shard(checkpoint, tensor->shard, &info);
    for (int i = 0; i < tensor->n_dim; i++) json_array_append_new(shape, count_json(tensor->dim[i]));
    json_t *entry =
        json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "name", cli_text_or_null(tensor->name), "dtype",
                  tess_dtype_name(tensor->dtype), "shape", shape, "bytes", count_json(tensor->n_byte),
                  "shard", cli_text_or_null(info.name), "offset", count_json(tensor->offset));
    if (checksum && checksum->is_readable) {
        json_object_set_new(entry, "sha256", json_string(checksum->sha256));
        json_object_set_new(entry, "non_finite", count_json(checksum->n_nonfinite));
    } else if (checksum) {
        json_object_set_new(entry, "sha256", json_null());
    }
    return entry;
}

void inspect_print_problem(FILE *out, const tess_problem *problem)
{
    char line[1536];
    cli_escape(problem->message, strlen(problem->message), line, sizeof line);
    fprintf(out, "%-10s %s\n", tess_problem_kind_name(problem->kind), line);
}

json_t *inspect_problem_json(const tess_problem *problem)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", tess_problem_kind_name(problem->kind),
                     "file", cli_text_or_null(problem->file), "tensor", cli_text_or_null(problem->tensor),
                     "found", cli_text_or_null(problem->found), "expected",
                     cli_text_or_null(problem->expected), "offset",
                     problem->offset < 0 ? json_null() : json_integer(problem->offset), "message",
                     cli_text_or_null(problem->message));
}
