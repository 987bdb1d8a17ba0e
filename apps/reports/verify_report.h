/* What verifying one golden or several found, as text and as JSON. */
#ifndef TESS_APPS_REPORTS_VERIFY_REPORT_H
#define TESS_APPS_REPORTS_VERIFY_REPORT_H

#include "cli/cli.h"

typedef struct verify_report {
    const tess_golden *golden;          /* [n] */
    tess_compare_result *const *result; /* [n] */
    int n;
    bool isolated, truth_is_computed;
    bool is_part;               /* further goldens were not run */
    const char *weights_sha256; /* of the model, "" if it is not known */
} verify_report;

void verify_print(const verify_report *report);
/* One golden: the object of a comparison and what was run. Several, or a part of them: their sum, and one
 * object each under "goldens". */
json_t *verify_json(const verify_report *report);
/* 0, or 1 if one of them is different. */
int verify_exit(const verify_report *report);

#endif
