/* What a comparison found, as text and as JSON. For compare and verify. */
#ifndef TESS_APPS_REPORTS_COMPARE_REPORT_H
#define TESS_APPS_REPORTS_COMPARE_REPORT_H

#include "cli/cli.h"
#include "reports/page_facts.h"

/* The table of taps, what differs, the verdict in one line. */
void cli_print_comparison(const tess_compare_result *result);

/* One line: the tap, its component, layer, experts and position, and what is wrong with it. */
void cli_print_place(const char *label, const tess_tap_report *tap);

/* {"verdict", "taps_compared", …} with every tap's metrics; the caller owns it. */
json_t *cli_comparison_json(const tess_compare_result *result);

/* How the HTML page is headed (title NULL: as of compare), what it says of its making, its tokens spelled by
 * a tokenizer, if there is one. Both must outlive the options. */
tess_page_options cli_page_options(const char *title, const cli_page_facts *facts,
                                   const tess_tokenizer *tokenizer);

/* 0, or 1 if the verdict is "different". */
int cli_comparison_exit(const tess_compare_result *result);

#endif
