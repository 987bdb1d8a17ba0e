#include "reports/page_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"

void cli_page_facts_add(cli_page_facts *facts, int result, const char *name, const char *value)
{
    if (!value || !*value) return;
    tess_page_fact *grown = realloc(facts->fact, ((size_t)facts->n + 1) * sizeof *grown);
    if (!grown) return;
    facts->fact = grown;
    char *copy = strdup(value);
    if (copy) grown[facts->n++] = (tess_page_fact){.name = name, .value = copy, .result = result};
}

void cli_page_facts_release(cli_page_facts *facts)
{
    for (int i = 0; i < facts->n; i++) free((char *)(uintptr_t)facts->fact[i].value);
    free(facts->fact);
    *facts = (cli_page_facts){0};
}

/* ---- when and where ---- */

/* The first "model name" of /proc/cpuinfo; "" where the kernel tells none, as on ARM. */
static void read_cpu_name(char *out, size_t size)
{
    char line[512];
    *out = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file) return;
    while (!*out && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
    }
    fclose(file);
}

void cli_page_facts_add_machine(cli_page_facts *facts)
{
    char made[64] = "", cpu[300], machine[400];
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm)) strftime(made, sizeof made, "%Y-%m-%d %H:%M:%S UTC", &tm);
    read_cpu_name(cpu, sizeof cpu);
    long n_core = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(machine, sizeof machine, "%s, %ld %s", *cpu ? cpu : "processor without a name", n_core,
             n_core == 1 ? "core" : "cores");
    cli_page_facts_add(facts, -1, "made", made);
    cli_page_facts_add(facts, -1, "machine", machine);
}

/* ---- what went in ---- */

void cli_page_facts_add_digest(cli_page_facts *facts, int result, const char *name, const char *path)
{
    char sha256[TESS_SHA256_HEX];
    if (tess_sha256_file(path, sha256, NULL) == TESS_OK) cli_page_facts_add(facts, result, name, sha256);
}

/* A message's text: its content, or the texts among its parts. */
static void put_content(FILE *out, const json_t *content)
{
    size_t i;
    const json_t *part;
    if (json_is_string(content)) fputs(json_string_value(content), out);
    json_array_foreach(content, i, part)
    {
        const char *text = json_string_value(json_object_get(part, "text"));
        const char *type = json_string_value(json_object_get(part, "type"));
        if (i) putc(' ', out);
        if (text)
            fputs(text, out);
        else
            fprintf(out, "[%s]", type ? type : "part");
    }
}

/* "user: … ↵ assistant: …" of a JSON array of messages; NULL if it is none. Caller frees. */
static char *format_messages(const char *messages)
{
    json_t *list = json_loads(messages, 0, NULL);
    char *text = NULL;
    size_t n_byte = 0, i;
    const json_t *message;
    FILE *out = json_is_array(list) ? open_memstream(&text, &n_byte) : NULL;
    if (out) {
        json_array_foreach(list, i, message)
        {
            const char *role = json_string_value(json_object_get(message, "role"));
            fprintf(out, "%s%s: ", i ? "\n" : "", role ? role : "-");
            put_content(out, json_object_get(message, "content"));
        }
        fclose(out);
    }
    json_decref(list);
    return text;
}

/* A page shows a line's end as a sign. */
static char *mark_line_ends(const char *text)
{
    char *marked = NULL;
    size_t n_byte = 0;
    FILE *out = open_memstream(&marked, &n_byte);
    if (!out) return NULL;
    for (; *text; text++)
        if (*text == '\n')
            fputs(" ↵ ", out);
        else
            putc(*text, out);
    fclose(out);
    return marked;
}

void cli_page_facts_add_prompt(cli_page_facts *facts, int result, const tess_trace_inputs *inputs)
{
    char n_ids[64];
    snprintf(n_ids, sizeof n_ids, "%d ids", inputs->n_tok);
    char *talk = inputs->messages ? format_messages(inputs->messages) : NULL;
    const char *said = talk ? talk : inputs->raw;
    char *shown = said ? mark_line_ends(said) : NULL;
    cli_page_facts_add(facts, result, "prompt", shown ? shown : n_ids);
    free(shown);
    free(talk);
}
