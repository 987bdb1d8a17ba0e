/* What `tessera inspect` shows, as aligned text and as JSON. */
#ifndef TESS_APPS_REPORTS_INSPECT_REPORT_H
#define TESS_APPS_REPORTS_INSPECT_REPORT_H

#include "cli/cli.h"
#include "tessera/checkpoint.h"

/* Components, dtypes, shards and experts in two shards, on standard output. */
void inspect_print_summary(const tess_checkpoint *checkpoint);
/* The same as members "components", "tensors", "parameters", "bytes", "dtypes", "shards", "experts",
 * "straddling_experts" of `root`. */
void inspect_add_summary(const tess_checkpoint *checkpoint, json_t *root);

/* One line; `checksum` may be NULL. */
void inspect_print_tensor(const tess_checkpoint *checkpoint, const tess_tensor *tensor,
                          const tess_tensor_checksum *checksum);
json_t *inspect_tensor_json(const tess_checkpoint *checkpoint, const tess_tensor *tensor,
                            const tess_tensor_checksum *checksum);

void inspect_print_problem(FILE *out, const tess_problem *problem);
json_t *inspect_problem_json(const tess_problem *problem);

/* "28,010". */
void inspect_format_count(uint64_t count, char *out, size_t size);

#endif
