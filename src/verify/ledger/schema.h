/* The tables of the ledger, by version. */
#ifndef TESS_VERIFY_LEDGER_SCHEMA_H
#define TESS_VERIFY_LEDGER_SCHEMA_H

#include "tessera/ledger.h"

/* The schema this version writes, and the way to it. */
enum { TESS_LEDGER_SCHEMA = 2 };
#define TESS_LEDGER_APPLICATION 0x5453534c /* "TSSL", in the file's header */
/* The statements that lead from schema `from` to from + 1, ended by NULL. */
const char *const *tess_ledger_migration(int from);
/* Brings the schema to `to` if it is older. For opening, and for tests of migrations. */
tess_status tess_ledger_migrate(tess_ledger *ledger, int to, tess_error *err);

#endif
