/* What a report says of its making: when, on what machine, from which prompt and files. */
#ifndef TESS_APPS_REPORTS_PAGE_FACTS_H
#define TESS_APPS_REPORTS_PAGE_FACTS_H

#include "cli/cli.h"

/* Owned; zeroed to begin with, released at the end. Facts that find no memory are left out. */
typedef struct cli_page_facts {
    tess_page_fact *fact;
    int n;
} cli_page_facts;

/* result as in tess_page_fact; a value NULL or "" is left out. */
void cli_page_facts_add(cli_page_facts *facts, int result, const char *name, const char *value);
/* Date and time (UTC), processor and cores. */
void cli_page_facts_add_machine(cli_page_facts *facts);
/* The SHA-256 of a file; left out where it cannot be read. */
void cli_page_facts_add_digest(cli_page_facts *facts, int result, const char *name, const char *path);
/* What was said, where the inputs know it as text, else the number of ids. */
void cli_page_facts_add_prompt(cli_page_facts *facts, int result, const tess_trace_inputs *inputs);
void cli_page_facts_release(cli_page_facts *facts);

#endif
