/* tessera verify --certificate and --check-certificate. */
#ifndef TESS_APPS_COMMANDS_VERIFY_CERTIFICATE_H
#define TESS_APPS_COMMANDS_VERIFY_CERTIFICATE_H

#include "cli/engine_options.h"
#include "tessera/certificate.h"

/* What a certificate is made of, gathered while verifying. */
typedef struct cli_certifying {
    const char *path;          /* NULL: none is wanted */
    tess_certified_run run[2]; /* one per precision */
    int n_run;
} cli_certifying;

/* Whether it could be written and the checkpoint named in it, asked before the work. Returns -1 or an exit
 * code. */
int cli_certificate_probe(const cli_certifying *c, const cli_command *self, const cli_common *common,
                          const tess_verify_options *options);
/* Writes it, if one is wanted. Returns -1 or an exit code. */
int cli_certificate_write(const cli_certifying *c, const cli_command *self, const cli_common *common,
                          const tess_verify_options *options, const tess_golden *golden,
                          tess_compare_result *const *result, int n);

/* A certificate being checked. */
typedef struct cli_checking {
    const char *path; /* NULL: none */
    int sample;       /* cases to run again; -1: all */
    tess_certificate *certificate;
    int n;        /* cases that are run again, */
    int *chosen;  /* which [n], ascending, */
    char **found; /* and where their goldens are [n] */
    char *truth;  /* of the one bfloat16 golden that was judged by a given truth; or NULL */
} cli_checking;

/* Reads the certificate, chooses the cases by `seed`, finds their files, and fills in what is run: goldens,
 * isolation, truth, and the model where none is given. Returns -1 or an exit code. */
int cli_checking_begin(cli_checking *c, const cli_command *self, const cli_common *common, cli_engine *engine,
                       cli_list *goldens, tess_verify_options *options);
/* Whether the model is the certified one; weights_sha256 NULL: by its configuration. Returns -1 or an exit
 * code. */
int cli_checking_model(const cli_checking *c, const cli_command *self, const cli_common *common,
                       const char *model_dir, const char *weights_sha256);
/* Prints what came out again and what did not. Returns 0, 1, or the exit code of an error. */
int cli_checking_report(const cli_checking *c, const cli_command *self, const cli_common *common,
                        const tess_golden *golden, tess_compare_result *const *result);
void cli_checking_end(cli_checking *c);

#endif
