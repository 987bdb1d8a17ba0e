/* Counting the routers' choices. */
#ifndef TESS_VERIFY_LEDGER_ROUTING_H
#define TESS_VERIFY_LEDGER_ROUTING_H

#include "tessera/ledger.h"

struct tess_routing {
    int n_layer, n_expert;
    tess_tap_listener listener;
    int64_t count[]; /* [n_layer, n_expert] */
};

#endif
