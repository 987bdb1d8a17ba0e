/* Showing the ledger: rows as JSON, entries with all that belongs to them, tables. */
#ifndef TESS_APPS_REPORTS_LEDGER_REPORT_H
#define TESS_APPS_REPORTS_LEDGER_REPORT_H

#include "cli/cli.h"

/* The rows of a part as an array of objects; NULL after an error. */
json_t *ledger_part_json(tess_ledger *ledger, tess_ledger_part part, int64_t id, tess_error *err);
/* An entry with everything that belongs to it; NULL after an error. */
json_t *ledger_entry_json(tess_ledger *ledger, int64_t id, tess_error *err);

void ledger_print_list(const json_t *entries);
/* As ledger_entry_json gives it. */
void ledger_print_entry(const json_t *entry);

#endif
