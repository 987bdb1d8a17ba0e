/* What verifying one golden or several found, as text and as JSON. */
#ifndef TESS_APPS_VERIFY_REPORT_H
#define TESS_APPS_VERIFY_REPORT_H

#include "cli.h"

typedef struct verify_report {
    const tess_golden *golden;          /* [n] */
    tess_compare_result *const *result; /* [n] */
    int n;
    bool isolated, truth_is_computed;
} verify_report;

void verify_print(const verify_report *report);
/* One golden: the object of a comparison and what was run. Several: their sum, and one object each under
 * "goldens". Printed on standard output. */
void verify_print_json(const verify_report *report);
/* 0, or 1 if one of them is different. */
int verify_exit(const verify_report *report);

#endif
